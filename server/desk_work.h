/* work.h for the command line: who does it, and what it shows. */
#ifndef DOORSTEP_SERVER_DESK_WORK_H
#define DOORSTEP_SERVER_DESK_WORK_H

#include "server/work.h"

/* Today by the machine's clock in UTC. `by` may be NULL. */
void work_ask_now(struct desk *k, struct str area, const struct work_by *by, struct work_ask *out);
/* The person of this name, role ("" = county) and area, made when there is none. */
enum err work_by_named(struct desk *k, struct str name, struct str role, struct str area, struct work_by *out,
                       struct diag *d) MUST_USE;
/* `name` "" = mine. */
enum err work_queue_tell(const struct work_ask *q, struct str name, bool json, struct buf *out,
                         struct diag *d) MUST_USE;
enum err work_visits_tell(const struct work_ask *q, struct str code, bool json, struct buf *out,
                          struct diag *d) MUST_USE;
enum err work_history_tell(const struct work_ask *q, struct str code, bool json, struct buf *out,
                           struct diag *d) MUST_USE;
enum err work_overview_tell(const struct work_ask *q, bool json, struct buf *out, struct diag *d) MUST_USE;

#endif
