/* What a handheld gives to a memory card or a colleague, and takes from them.
 *
 * A place is a folder (a card) with bundles in it (sync/courier.h), each written by one carrier under its own
 * name. What is carried for others is such a bundle too: DATA/courier/carried.dsb.
 *
 * Always true:
 *   - what is given away stays here: only a receipt that deliver() verified makes this device forget;
 *   - what is for this device passes the same machine as a reply by radio, so that an old downlink, another
 *     device's receipt or a forged one is refused here as it is there;
 *   - of others is carried what is signed by a device with the centre's certificate, or by the centre;
 * nothing of it can be read here. What the centre says that it has is let go;
 *   - a bundle is replaced whole or not at all; damage costs the pieces it hit.
 */
#ifndef DOORSTEP_AGENT_COURIER_H
#define DOORSTEP_AGENT_COURIER_H

#include "agent/deliver.h"
#include "sync/courier.h"

#define COURIER_SUFFIX ".dsb"
#define COURIER_CARRY_MAX (256u << 20) /* bytes carried for others */
#define COURIER_LIFE_MS                                                                        \
    (60LL * 86400 * 1000)        /* what the centre sends is carried so long, by its own clock \
                                  */
#define COURIER_PIECES_MAX 65536 /* pieces known at once, of one place: what bounds memory */
#define COURIER_FILES_MAX 256    /* bundles of one place */
#define COURIER_COPIES_MAX 2     /* of a carried frame in one place */

struct courier_options {
    const char *data;   /* this handheld's own folder */
    uint64_t bytes_max; /* given: of the bundle written; 0 = no limit. taken: of what is carried */
};

/* What became of it. Frames: batches of changes and parts of attachments. */
struct courier_result {
    uint64_t bundles, bundles_damaged, bytes_damaged;
    uint64_t frames_missing; /* named by an index, and not readable */
    /* take */
    struct deliver_result received;
    uint64_t objects_missing;                          /* named by the catalogue, and not on the card */
    uint64_t frames_carried, devices_carried;          /* of others: frames here now */
    uint64_t frames_let_go, pieces_left, pieces_false; /* the centre has them; too many; not signed */
    /* give */
    uint64_t frames_own, frames_left, bytes; /* of this device; not given for bytes_max; of the bundle */
    uint64_t bundles_removed;                /* whose frames the centre has */
    uint64_t frames_sent;                    /* of others, by radio */
    char trouble[DIAG_TEXT_MAX];             /* "" = all that was for this device could be used */
};

/* `place`: a folder or one bundle. ERR_NOT_FOUND when there is no bundle. */
enum err courier_take(struct store *s, const struct seam *seam, const char *place,
                      const struct courier_options *o, struct courier_result *result_out,
                      struct diag *d) MUST_USE;
/* Own frames without receipt, what this device asks for, and what it carries, into one bundle in the folder.
 */
enum err courier_give(struct store *s, const struct seam *seam, const char *place,
                      const struct courier_options *o, struct courier_result *result_out,
                      struct diag *d) MUST_USE;
/* The same into that very file. */
enum err courier_pack(struct store *s, const struct seam *seam, const char *path,
                      const struct courier_options *o, struct courier_result *result_out,
                      struct diag *d) MUST_USE;
/* DATA/courier and the name below it; the folder is made. */
enum err courier_path(struct arena *a, const struct seam *seam, const char *data, const char *name,
                      const char **path_out, struct diag *d) MUST_USE;

#endif
