/* The store's part of reports.h: what people reported and nobody has settled yet. */
#ifndef DOORSTEP_SERVER_STORE_REPORTS_H
#define DOORSTEP_SERVER_STORE_REPORTS_H

#include "server/reports.h"

/* Gets the next number. `settled`: a lead was made of it at once; kept only to count senders. */
enum err cstore_report_put(struct cstore *s, const struct report_row *r, bool settled,
                           struct diag *d) MUST_USE;
/* How many came from this sender since then, and how many wait. */
enum err cstore_report_counts(struct cstore *s, struct str from, int64_t since_ms, uint32_t *from_out,
                              uint32_t *waiting_out, struct diag *d) MUST_USE;
enum err cstore_reports(struct cstore *s, struct arena *a, uint64_t after, uint32_t limit,
                        struct report_row **out, uint32_t *count_out, struct diag *d) MUST_USE;
enum err cstore_report_settle(struct cstore *s, uint64_t n, struct diag *d) MUST_USE;

#endif
