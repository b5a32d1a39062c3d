/* Signs of risk that people bring: a household about itself on a public page, without an account; a clerk at
 * the telephone; a patrol. Together with the departments' alerts (import.c) they become leads, and stand in
 * one queue (work.h, QUEUE_LEADS).
 *
 * Always true: what comes without an account becomes a lead only when code and name are those of one
 * household of the register, and at most once a day for each; else it waits as a report until a clerk says
 * whose it is. Whoever sends it is told the same in both cases, so that nobody can find out who is in the
 * register.
 */
#ifndef DOORSTEP_SERVER_REPORTS_H
#define DOORSTEP_SERVER_REPORTS_H

#include "risk/clock.h"
#include "server/routes.h"
#include "server/work.h"

#define REPORT_TEXT_MAX 2000
#define REPORTS_AN_HOUR 5       /* from one address */
#define REPORTS_WAITING_MAX 500 /* then the page refuses until clerks have looked */

struct self_report {
    struct str code, name, place, phone, text; /* code and place may be "" */
    struct str from;                           /* numeric address of the sender; "" = not known */
};
/* In its own transaction. ERR_USAGE: something is missing. ERR_BUSY: too many. */
enum err report_take(struct desk *k, const struct self_report *r, struct diag *d) MUST_USE;

/* A report that waits for a clerk. */
struct report_row {
    uint64_t n;
    int64_t at_ms;
    struct str code, name, place, phone, text, from;
};
enum err reports_waiting(struct desk *k, uint64_t after, uint32_t limit, struct report_row **out,
                         uint32_t *count_out, struct diag *d) MUST_USE;
/* It is about this household: it becomes a lead, opened on the day it came. */
enum err report_attach(struct desk *k, const struct work_by *by, uint64_t n, struct str code,
                       struct diag *d) MUST_USE;
enum err report_drop(struct desk *k, const struct work_by *by, uint64_t n, struct str why,
                     struct diag *d) MUST_USE;

/* A clerk opens a lead: what was told by telephone (CHANNEL_SELF), a patrol saw, or a department wrote. */
struct lead_opening {
    struct str code; /* of the household */
    enum lead_channel channel;
    struct str source, note;
    struct str indicators;       /* JSON object, "" = none */
    struct str opened, deadline; /* ISO dates, "" = today, none */
};
enum err lead_open(struct desk *k, const struct work_by *by, const struct lead_opening *l,
                   uint64_t *number_out, struct diag *d) MUST_USE;

extern const struct route_table report_routes; /* POST /v1/report */

#endif
