/* doorstep-cases: runs published cases as they are written, and says of each whether it passed, failed, was
 * decided otherwise (docs/forms-decisions.tsv) or had to be left out and why.
 */
#ifndef TESTS_CASES_H
#define TESTS_CASES_H

#include "platform/base/arena.h"
#include "platform/base/json.h"

enum outcome { CASE_PASSED, CASE_FAILED, CASE_DECIDED, CASE_SKIPPED };

struct decision {
    struct str rule, kind, matcher, holds; /* columns of the table */
    uint32_t used;
};

#define SKIP_REASONS_MAX 32
struct report {
    bool list_failed, state, outcomes;
    struct str id; /* of the case at hand */
    const char *base_dir;
    const char *file; /* that the cases come from */
    uint32_t passed, failed, decided, skipped;
    struct {
        char reason[80];
        uint32_t count;
    } reasons[SKIP_REASONS_MAX];
    uint32_t reason_count;
    struct decision *decisions;
    uint32_t decision_count;
};

/* One case, one line. `why` is printed with --list-failed. */
void report_case(struct report *r, enum outcome o, struct str id, const char *why);
void report_skip(struct report *r, const char *reason);

/* The decisions, built in. ERR_SYNTAX when a row says nothing about our result. */
enum err decisions_read(struct report *r, struct arena *a);
/* Does a rule speak of this case, and does our result follow it? Texts as the rule's condition sees them. */
bool decided(struct report *r, struct arena *a, const char *kind, struct str subject, struct str got,
             struct str expected);
bool pattern_found(struct str pattern, struct str text);

#define CASES_OFFSET_MIN (-7 * 60) /* America/Phoenix, where every expectation was recorded */

/* Each runs one case; the arena is cleared after it. */
void case_xpath(struct report *r, struct arena *a, const struct json *c);
void case_scenario(struct report *r, struct arena *a, const struct json *c);
void case_forms(struct report *r, struct arena *a, const struct json *c);
void case_pyxform(struct report *r, struct arena *a, const struct json *c);

#endif
