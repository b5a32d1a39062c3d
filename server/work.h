/* What people at the centre work from: queues, search, a household's page and its history, the overview; and
 * what they do there: review, leases, assignments by area. Screens and commands draw it, nothing here does.
 *
 * Always true: a line (of a household, a visit, a lead) is a function of the records and of what follows from
 * them, made anew in the transaction that changed one of them, so that no answer is older than the records;
 * tallies are sums over the lines of households. Lists are paged by a key that stays valid while rows come
 * and go; every question is cut to an area prefix. Texts live in the arena given. Reading leaves no audit
 * row: whoever shows personal data writes that (people.h).
 */
#ifndef DOORSTEP_SERVER_WORK_H
#define DOORSTEP_SERVER_WORK_H

#include "server/parts.h"

#define WORK_PAGE_MAX 200 /* lines of one page at most */
#define WORK_NEVER 0      /* of a day: never, none */

/* Who asks, and about what. */
struct work_ask {
    struct cstore *st;
    struct arena *a;
    struct str area; /* prefix of the areas that may be shown; "" = the whole county */
    uint32_t person; /* 0 = nobody: nothing is "mine" */
    uint8_t role;    /* enum role: decides which queue is "mine" */
    int64_t today;   /* civil days since 1970 where the county is */
    int64_t now_ms;  /* for leases and for devices that are silent */
};

/* ---- review ---- */
/* Numbers are stored. A visit waits for a level until that level approves; the county's word is the last. A
 * correction takes the place of the visit that it corrects, in the next round. */
enum review_level { REVIEW_VILLAGE, REVIEW_TOWNSHIP, REVIEW_COUNTY, REVIEW_LEVELS };
enum review_state { REVIEW_RECEIVED, REVIEW_HAS_ISSUES, REVIEW_REJECTED, REVIEW_APPROVED, REVIEW_STATES };
enum visit_waits {
    WAITS_VILLAGE, /* as enum review_level */
    WAITS_TOWNSHIP,
    WAITS_COUNTY,
    WAITS_DEVICE,  /* rejected, not corrected yet */
    WAITS_NOBODY,  /* approved by the county */
    WAITS_REPLACED /* a correction has come */
};
const char *review_state_name(enum review_state s); /* "received", "has_issues", "rejected", "approved" */
const char *review_level_name(enum review_level l); /* "village", "township", "county" */
bool review_state_read(struct str name, enum review_state *out);
bool review_level_read(struct str name, enum review_level *out);
/* At which level a role decides. False: it does not. */
bool review_level_of(uint8_t role, enum review_level *out);

/* Why a visit is not approved in bulk. Bits. */
enum visit_flag {
    VISIT_IS_RED = 1,
    VISIT_MISMATCH = 2, /* its document, or its findings, do not follow from its answers */
    VISIT_CONFLICT = 4, /* an answer of its interview or household is in dispute */
    VISIT_UNPROVEN = 8  /* what belongs to it has not arrived whole */
};

/* ---- queues ---- */
enum work_queue {
    QUEUE_MINE,          /* visits that wait for my level and that nobody else holds */
    QUEUE_DUE,           /* households: a visit or a clock due within 7 days, or overdue; soonest first */
    QUEUE_CONFLICTS,     /* households with answers in dispute */
    QUEUE_REJECTED,      /* visits that went back and were not corrected */
    QUEUE_QUARANTINE,    /* frames that were set apart; whole county only */
    QUEUE_DISAGREEMENTS, /* visits whose findings the centre does not find again */
    QUEUE_QUALITY,       /* visits that the centre cannot prove, or could not judge */
    QUEUE_LEADS,         /* open leads, soonest clock first */
    WORK_QUEUES
};
const char *work_queue_name(enum work_queue q); /* "mine", "due" ... as addresses have it */
bool work_queue_read(struct str name, enum work_queue *out);

struct work_item {
    struct str key;          /* continues the walk behind this item */
    struct str lease;        /* names it for work_lease; "" = cannot be taken */
    uint64_t number;         /* server row number of the visit, household or lead; 0 = a frame */
    struct row_id row;       /* the same */
    struct row_id household; /* all zero = none */
    struct str code, name, area;
    struct str form, level; /* of a visit: form id; "red", "yellow", "blue", "unknown", "none" or "" */
    struct str person;      /* who made the visit, or whom the household is assigned to */
    struct str what;        /* due: clock's code or "visit"; lead: its channel; frame: its name */
    struct str why;         /* rejected: the comment; frame: its reason; lead: its source */
    int64_t day;            /* when it ended, is due, or was opened; WORK_NEVER */
    uint32_t count;         /* conflicts: how many answers */
    uint32_t round;         /* of a visit, from 1 */
    uint32_t flags;         /* enum visit_flag */
    enum visit_waits waits;
    enum review_state state;
    uint32_t held_by; /* who has taken it, 0 = nobody */
    struct str held_name;
};
/* At most `limit` (WORK_PAGE_MAX) behind `after` ("" = from the beginning). ERR_USAGE: `after` is no key. */
enum err work_queue_page(const struct work_ask *q, enum work_queue which, struct str after, uint32_t limit,
                         struct work_item **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* Up to WORK_COUNT_MAX, then *more_out. */
#define WORK_COUNT_MAX 10000
enum err work_queue_count(const struct work_ask *q, enum work_queue which, uint32_t *count_out,
                          bool *more_out, struct diag *d) MUST_USE;

/* ---- households ---- */
struct work_household {
    struct str key; /* continues a walk */
    struct row_id row;
    uint64_t number;
    struct str code, name, area, level;
    struct str status;           /* "" = in the register; else "merged", "closed", "erased" */
    struct str into;             /* code of the household that it was merged into, "" = none */
    struct str person;           /* whom it is assigned to */
    int64_t visited, due, clock; /* days; WORK_NEVER */
    struct str clock_code;       /* which clock is due first */
    uint32_t leads, conflicts;
};
/* By code, by the beginning of code or name; "" = all, in the order of areas. */
enum err work_search(const struct work_ask *q, struct str text, struct str after, uint32_t limit,
                     struct work_household **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* ERR_NOT_FOUND: there is none of this code, or not in the area of who asks. */
enum err work_household_of(const struct work_ask *q, struct str code, struct work_household *out,
                           struct diag *d) MUST_USE;

/* A visit with all its rounds' words. */
struct work_round {
    enum review_state state;
    enum review_level level;
    int64_t at_ms;
    uint32_t person;
    struct str name, comment;
    struct row_id row;
};
struct work_remark { /* said beside one question */
    struct str place, text;
    struct row_id row; /* that holds the answer; all zero = none */
    uint32_t field;    /* stable number; 0 = none */
    struct str name;   /* who */
    int64_t at_ms;
};
struct work_visit {
    struct row_id row, interview, household;
    uint64_t number;
    struct str form, form_version, type, instance, person, level;
    struct str ended; /* as its author wrote it */
    uint64_t device;
    uint32_t inc, round, flags;
    enum visit_waits waits;
    enum review_state state;
    struct work_round
        *rounds; /* of this visit, and before them those of the visits it corrects; oldest first */
    uint32_t round_count;
    struct work_remark *remarks; /* of the last decision, and those of its author */
    uint32_t remark_count;
};
/* Newest first. */
enum err work_visits(const struct work_ask *q, struct row_id household, struct work_visit **out,
                     uint32_t *count_out, struct diag *d) MUST_USE;
enum err work_visit_of(const struct work_ask *q, uint64_t number, struct work_visit *out,
                       struct diag *d) MUST_USE;

/* One value that became another. */
struct work_change {
    struct str key;      /* continues the walk */
    int64_t at_ms;       /* as its author's clock said, bounded (hlc_effective) */
    int64_t received_ms; /* 0 = the centre itself made it */
    uint32_t person;
    uint8_t role;
    struct str name; /* of the person */
    uint64_t device; /* 0 = the centre */
    uint32_t inc;
    struct str frame;   /* batch id in hex, "" = the centre's own */
    struct str version; /* of the form, "" = none */
    struct row_id row;
    int kind;         /* enum row_kind */
    uint32_t field;   /* 0 = the row itself */
    struct str label; /* field's name or path */
    enum change_op op;
    uint8_t status;
    struct str old, value; /* p NULL = nothing */
};
/* Newest frame first, within a frame as it was said. Read from the log itself: nothing is missing from it but
 * what was erased. */
enum err work_history(const struct work_ask *q, struct row_id household, struct str after, uint32_t limit,
                      struct work_change **out, uint32_t *count_out, struct diag *d) MUST_USE;

/* ---- overview ---- */
struct work_area {
    struct str area;
    uint64_t households, due, done;      /* due, done: assigned visits of the month of `today` */
    uint64_t red, yellow, blue, unknown; /* households by their newest visit */
    uint64_t leads, overdue, conflicts;
};
struct work_overview {
    uint64_t households, due, done;
    uint64_t red, yellow, blue, unknown, none;
    uint64_t leads, leads_red, leads_yellow, leads_blue,
        leads_unknown;          /* open ones, by their household's level */
    uint64_t overdue, due_soon; /* households: a clock over time; something due within 7 days */
    uint64_t conflicts, disagreements, rejected, waits[REVIEW_LEVELS], quarantined, silent;
    struct str missing; /* the check that could most often not be judged, "" = none */
    uint64_t missing_count;
};
enum err work_overview(const struct work_ask *q, struct work_overview *out, struct diag *d) MUST_USE;
/* In administrative order, by the first `digits` characters of their codes (0 = whole codes). */
enum err work_areas(const struct work_ask *q, uint32_t digits, struct work_area **out, uint32_t *count_out,
                    struct diag *d) MUST_USE;
/* Checks that hold for households' newest visits, most first. */
struct work_cause {
    struct str rule, severity; /* severity "unknown": it could not be judged */
    uint64_t households;
};
enum err work_causes(const struct work_ask *q, struct work_cause **out, uint32_t *count_out,
                     struct diag *d) MUST_USE;
/* Handhelds in use that were not heard of for `days`, longest first. */
#define WORK_SILENT_DAYS 3
struct work_silent {
    uint64_t device;
    uint32_t inc, person;
    struct str name, area, version;
    int64_t contact_ms;
};
enum err work_silent(const struct work_ask *q, uint32_t days, struct work_silent **out, uint32_t *count_out,
                     struct diag *d) MUST_USE;

/* ---- what people do; each in its own transaction, with its audit row ---- */
/* Who does it: numbers of people.c, named for the audit. */
struct work_by {
    uint32_t person;
    uint8_t role;
    struct str name, area;
};
struct review_remark {
    struct row_id row; /* that holds the answer; all zero: about the whole */
    uint32_t field;
    struct str place, text;
};
struct review_act {
    enum review_state state; /* not RECEIVED */
    struct str comment;      /* REJECTED, HAS_ISSUES: needed, unless there are remarks */
    const struct review_remark *remarks;
    uint32_t remark_count;
};
/* ERR_DENIED: not this role, level or area. ERR_STATE: the visit is replaced, decided, or an answer that bars
 * approval is in dispute; ERR_EXISTS: somebody else has taken it. */
enum err review_act(struct desk *k, const struct work_by *by, uint64_t visit, const struct review_act *act,
                    struct diag *d) MUST_USE;
/* Approves those of `visits` that wait for this level and have no flag; the others are listed. */
struct review_exception {
    uint64_t visit;
    struct str code, why;
};
enum err review_bulk(struct desk *k, const struct work_by *by, const uint64_t *visits, uint32_t count,
                     uint32_t *approved_out, struct review_exception **out, uint32_t *count_out,
                     struct diag *d) MUST_USE;

/* A piece of work is taken for a while: nobody else gets it until then. ERR_EXISTS names who has it. Taking
 * it again prolongs. */
#define WORK_LEASE_MS (2LL * 3600 * 1000)
enum err work_lease(struct desk *k, const struct work_by *by, struct str lease, int64_t ms,
                    struct diag *d) MUST_USE;
enum err work_lease_end(struct desk *k, const struct work_by *by, struct str lease, struct diag *d) MUST_USE;
/* Hands every household of an area (prefix) to a person; `due` ISO date or "". */
enum err assign_area(struct desk *k, struct str area, uint32_t person, struct str due, uint32_t *changed_out,
                     struct diag *d) MUST_USE;

/* ---- making lines (lines.c) ---- */
/* All of them, from nothing; for a county whose lines were lost, and to see that they are what they should
 * be. */
enum err lines_rebuild(struct desk *k, uint64_t *households_out, struct diag *d) MUST_USE;

#endif
