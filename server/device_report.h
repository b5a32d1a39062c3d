/* What handhelds say about themselves (sync/device_report.h), as the centre last heard it.
 */
#ifndef DOORSTEP_SERVER_DEVICE_REPORT_H
#define DOORSTEP_SERVER_DEVICE_REPORT_H

#include "server/store.h"
#include "sync/device_report.h"

struct device_report_row {
    uint64_t device;
    int64_t at_ms;
    struct device_report report;
};
/* A version that is "" leaves the one that is there. */
enum err cstore_device_report_put(struct cstore *s, const struct device_report_row *row,
                                  struct diag *d) MUST_USE;
/* ERR_NOT_FOUND: it never said anything. */
enum err cstore_device_report(struct cstore *s, struct arena *a, uint64_t device,
                              struct device_report_row *out, struct diag *d) MUST_USE;

#endif
