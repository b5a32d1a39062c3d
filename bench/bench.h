/* Inside the stopwatch: clocks, results as JSON lines, and the lists of a case.
 *
 * One process measures one case, so that the first load really is the first. Results go to standard output,
 * trouble to standard error.
 */
#ifndef DOORSTEP_BENCH_BENCH_H
#define DOORSTEP_BENCH_BENCH_H

#include <stdbool.h>

#include "agent/list_store.h"
#include "forms/session.h"

/* --- bench_clock.c --- */

double wall_ms(void);
double process_cpu_ms(void);
double thread_cpu_ms(void);
double rss_peak_mb(void);
bool live_heap_mb(double *mb_out); /* false where the C library does not tell */

struct report {
    const char *bench_case;
};
void report_number(const struct report *r, const char *metric, double value);
void report_text(const struct report *r, const char *metric, struct str value);

/* A file as bytes that live in `a`. */
enum err read_file(struct arena *a, const char *dir, struct str name, struct str *out, struct diag *d);

/* --- bench_lists.c --- */

/* Where a case's lists come from: `self` of the host's resource callback. */
struct bench_lists {
    const char *case_dir;
    struct arena arena;
    struct list_store *store; /* NULL: the case has no lists */
};

/* Before the first load: empties CASE_DIR/.doorstep-cache and imports what the form wants, reporting
 * import_ms. */
enum err bench_lists_prepare(struct bench_lists *l, const char *case_dir, struct str xml,
                             const struct report *r, struct diag *d);
/* Sets the host's callbacks for lists. */
void bench_lists_host(struct bench_lists *l, struct session_host *host);
void bench_lists_free(struct bench_lists *l);
/* choices_first_ms, choices_eq_ms_best and choices_and3_ms_best over the answers of a script. */
enum err bench_lists_choices(const struct form *form, const struct session_host *host, struct str script,
                             const struct report *r, struct diag *d);

/* --- bench.c --- */

/* One line of script.tsv: reference, type, value. False at the end. */
bool script_line(struct str *rest, struct str *ref, struct str *value);

#endif
