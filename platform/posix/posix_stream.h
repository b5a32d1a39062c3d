/* Files that are longer than one wants to hold: read piece by piece, written piece by piece.
 *
 * Always true: what is being written stands under NAME.part until stream_out_commit, which syncs it, renames
 * it and syncs the folder; a card that is pulled out before leaves the old file under its name, and as much
 * of the new one under the other as was written. One program writes one name at a time. Only ordinary files
 * are read, and no symbolic link is written through. */
#ifndef DOORSTEP_POSIX_STREAM_H
#define DOORSTEP_POSIX_STREAM_H

#include "platform/base/arena.h"
#include "platform/base/str.h"

#define STREAM_PART ".part"

struct stream_in;
enum err stream_in_open(const char *path, struct stream_in **in_out, struct diag *d) MUST_USE;
/* At most n bytes; *got_out 0 = the end. `self` is the struct stream_in. */
enum err stream_in_read(void *self, char *out, size_t n, size_t *got_out, struct diag *d);
enum err stream_in_seek(struct stream_in *in, uint64_t offset, struct diag *d) MUST_USE;
uint64_t stream_in_size(const struct stream_in *in);
void stream_in_close(struct stream_in *in); /* accepts NULL */

struct stream_out;
enum err stream_out_open(const char *path, struct stream_out **out_out, struct diag *d) MUST_USE;
/* `self` is the struct stream_out. */
enum err stream_out_write(void *self, struct str bytes, struct diag *d);
/* Closes in any case; after ERR_OK the bytes survive a power cut. */
enum err stream_out_commit(struct stream_out *out, struct diag *d) MUST_USE;
void stream_out_drop(struct stream_out *out); /* forgets what was written; accepts NULL */

/* The files of a folder whose names end in `suffix`, those among them whose writing broke off too, sorted, at
 * most `max`; or the one file that `place` is. Paths end in NUL and live in `a`. */
enum err stream_list(struct arena *a, const char *place, const char *suffix, uint32_t max,
                     struct str **paths_out, uint32_t *count_out, struct diag *d) MUST_USE;

#endif
