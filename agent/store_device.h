/* The store's side of what the centre knows of this device, and of the order to erase it.
 */
#ifndef DOORSTEP_AGENT_STORE_DEVICE_H
#define DOORSTEP_AGENT_STORE_DEVICE_H

#include "agent/store.h"

/* What the centre was told last (sync/device_report.h), and under which version; "" = nothing yet. */
enum err store_report_told(struct store *s, struct arena *a, struct str *report_out, struct str *version_out,
                           struct diag *d) MUST_USE;
enum err store_report_put(struct store *s, struct str report, struct str version, struct diag *d) MUST_USE;

/* Whether the centre has ordered it (a verified receipt said so). */
enum err store_erase_ordered(struct store *s, bool *out, struct diag *d) MUST_USE;
/* Erases what has receipts: all that the centre told, and all that it was told. What has none stays, with the
 * households it is about: work that was not finished, frames that did not get through, files on their way.
 * *left_out: so many households stay. Bytes are overwritten. */
enum err store_erase(struct store *s, uint64_t *left_out, struct diag *d) MUST_USE;

#endif
