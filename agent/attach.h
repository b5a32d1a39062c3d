/* Attachments on the handheld: photos, sound and other files that an upload question takes.
 *
 * A file lies in the sealed database, in pieces, under its SHA-256; its name comes from that hash, so the
 * same photo taken in twice is one file. The answer is the name. Finalising links the files that the
 * submission names to its visit; only then are they cut into sealed object frames (sync/wire.h, struct part),
 * one at a time, and sent behind everything else. A file goes only after receipts for all of its parts and
 * the time that delivered data is kept; one that no answer names any more goes after a day.
 */
#ifndef DOORSTEP_AGENT_ATTACH_H
#define DOORSTEP_AGENT_ATTACH_H

#include "agent/store.h"

#define ATTACH_NAME_MAX 40
#define ATTACH_ALL_MAX (512u << 20) /* what waits and what is kept together; cards of handhelds have 4 GB */
#define ATTACH_KEEP_MS (30LL * 86400 * 1000)
#define ATTACH_LOOSE_MS (1LL * 86400 * 1000)

/* Keeps the bytes; `file_name` gives the extension. `name_out`: what to answer. ERR_LIMIT when the file, or
 * all of them together, are too large. */
enum err attach_put(struct store *s, struct str file_name, struct str bytes,
                    char name_out[static ATTACH_NAME_MAX], struct diag *d) MUST_USE;
/* The same for a file of this machine; the name lives in `a`. */
enum err attach_file(struct store *s, const struct seam *seam, struct arena *a, struct str path,
                     struct str *name_out, struct diag *d) MUST_USE;
/* ERR_NOT_FOUND when it is not here (any more). */
enum err attach_get(struct store *s, struct str name, struct buf *out, struct diag *d) MUST_USE;
/* Links every file that the submission names to the visit; before store_visit_finalise. */
enum err attach_link(struct store *s, int64_t visit, struct str xml, struct diag *d) MUST_USE;
/* Links one file by its name, as attach_file gave it, to a step or an indicator of a lead. */
enum err attach_link_one(struct store *s, int64_t row, struct str name, struct diag *d) MUST_USE;

/* The next object frame without receipt after number `after`, cut when there is none yet. */
enum err attach_part_next(struct store *s, uint64_t after, uint64_t *number_out, struct buf *frame_out,
                          bool *any_out, struct diag *d) MUST_USE;
/* What a verified receipt says about parts. */
enum err attach_receipt(struct store *s, const struct receipt *r, struct diag *d) MUST_USE;
/* Inside a transaction: the centre tells of a later epoch than it did. */
enum err attach_set_back(struct store *s, uint32_t epoch, struct diag *d) MUST_USE;
/* Drops what was delivered long ago, by the centre's time, and what nothing names. */
enum err attach_forget(struct store *s, struct diag *d) MUST_USE;

struct attach_status {
    uint64_t waiting, bytes_waiting; /* linked to finished visits, without receipts for all of it */
    uint64_t delivered, quarantined;
};
enum err attach_status(struct store *s, struct attach_status *out, struct diag *d) MUST_USE;

#endif
