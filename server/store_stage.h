/* The store's part of stage.h: drafts by kind and id. */
#ifndef DOORSTEP_SERVER_STORE_STAGE_H
#define DOORSTEP_SERVER_STORE_STAGE_H

#include "server/stage.h"

enum err cstore_draft_put(struct cstore *s, const struct draft_row *r, struct diag *d) MUST_USE;
enum err cstore_drafts(struct cstore *s, struct arena *a, struct draft_row **out, uint32_t *count_out,
                       struct diag *d) MUST_USE;
enum err cstore_draft_drop(struct cstore *s, struct str kind, struct str id, struct diag *d) MUST_USE;
/* Of stage.c, for the comparison. */
enum err stage_find(struct desk *k, struct str kind, struct str id, struct draft_row *out,
                    struct str *bytes_out, struct diag *d) MUST_USE;

#endif
