/* Leads and their clocks: what becomes of a sign of risk, step by step, and by when. A lead comes from the
 * household itself, from a patrol or from a department; each step is noted with who and when; the clocks
 * follow from what was noted and are computed, never stored. A pure function of its arguments: nothing here
 * reads a clock of its own.
 *
 * Steps and limits: docs/RISK.md, "Leads". A pack's parameters of the names below set the days for an area;
 * where it has none, the built-in ones hold.
 */
#ifndef DOORSTEP_RISK_CLOCK_H
#define DOORSTEP_RISK_CLOCK_H

#include "forms/expr.h"
#include "risk/pack.h"

/* Numbers as in the field's own list; they are for ever, because rows carry the codes. */
enum lead_step {
    STEP_LEAD,       /* 0  it is opened */
    STEP_FORWARD,    /*    handed on to the village */
    STEP_VISIT,      /* 1  seen at the door */
    STEP_COMPARE,    /* 2  compared with the departments' data */
    STEP_NOTICE,     /* 3  village meeting, public notice begins */
    STEP_NOTICE_END, /*    public notice ends */
    STEP_TOWNSHIP,   /* 4  township has examined */
    STEP_COUNTY,     /* 5  county has approved */
    STEP_ANNOUNCE,   /* 6  announced */
    STEP_RECORD,     /* 7  entered; the identification is complete */
    STEP_HELP,       /* 8  measures agreed */
    STEP_REMOVE,     /* 9  risk removed */
    STEP_CLOSE,      /*    not confirmed: nothing follows */
    LEAD_STEPS
};
struct lead_step_about {
    const char *code, *zh, *en;
    int number; /* of the field's list, -1 = between two */
};
const struct lead_step_about *lead_step_about(enum lead_step s);
bool lead_step_read(struct str code, enum lead_step *out);

/* Who notes a step. `role`: as changes carry it (server/parts.h, enum role); 0 is a device that nobody
 * enrolled, whose steps carry no name and are not held back. ERR_DENIED with a sentence that says whose the
 * step is. */
enum err lead_step_by(enum lead_step s, uint8_t role, struct diag *d) MUST_USE;

enum lead_channel { CHANNEL_SELF, CHANNEL_PATROL, CHANNEL_DEPARTMENT, LEAD_CHANNELS };
const char *lead_channel_name(enum lead_channel c); /* "self_report", "patrol", "department" */
bool lead_channel_read(struct str name, enum lead_channel *out);

#define LEAD_NEVER INT64_MIN
struct lead_times {
    enum lead_channel channel;
    int64_t at[LEAD_STEPS]; /* civil days; the first time it was noted, LEAD_NEVER = not yet */
    int64_t deadline;       /* that the department set, LEAD_NEVER = none */
};
void lead_times_init(struct lead_times *t);
/* Days as ISO dates or instants; what cannot be read is not noted. The earliest day counts. */
void lead_times_note(struct lead_times *t, struct str step, struct str at);
/* The last step that was noted, by their order. */
enum lead_step lead_times_state(const struct lead_times *t);
bool lead_times_open(const struct lead_times *t); /* neither recorded nor closed nor removed */

enum clock_name {
    CLOCK_FORWARD,
    CLOCK_VISIT,
    CLOCK_COMPARE,
    CLOCK_NOTICE,
    CLOCK_CHAIN,
    CLOCK_DEADLINE,
    CLOCKS
};
struct clock_about {
    const char *code, *param; /* param "": the lead's own deadline */
    const char *zh, *en, *source;
    int64_t days; /* where no pack says otherwise */
    bool least;   /* not before, instead of not after */
};
const struct clock_about *clock_about(enum clock_name c);
bool clock_is_param(struct str name); /* a parameter that a clock reads */

struct clock_days {
    int64_t days[CLOCKS];
};
/* `pack` NULL: the built-in ones. */
void clock_days_for(const struct pack *pack, struct str area, int64_t today, struct clock_days *out);

enum clock_state {
    CLOCK_OFF,     /* has not begun, or does not apply */
    CLOCK_RUNS,    /* there is time: `left` days */
    CLOCK_OVERDUE, /* not done, and `-left` days too late */
    CLOCK_KEPT,
    CLOCK_LATE,     /* done, `-left` days too late */
    CLOCK_TOO_SHORT /* ended `-left` days too early */
};
const char *clock_state_name(enum clock_state s); /* "overdue" */
struct clock {
    enum clock_state state;
    int64_t due; /* civil day; LEAD_NEVER = none */
    int64_t left;
};
void lead_clocks(const struct lead_times *t, const struct clock_days *days, int64_t today,
                 struct clock out[static CLOCKS]);

/* ---- removing the risk (step 9) ---- */
struct removal {
    int64_t above_since; /* first day of the unbroken time with income over the current line, LEAD_NEVER */
    enum truth spending_solved, guarantees_held, original_gone, new_risk, has_labour;
};
#define REMOVAL_MONTHS 6
enum removal_condition {
    REMOVAL_INCOME,
    REMOVAL_SPENDING,
    REMOVAL_GUARANTEES,
    REMOVAL_ORIGINAL,
    REMOVAL_NEW_RISK,
    REMOVAL_LABOUR, /* a household without labour power is not marked, whatever measures are in place */
    REMOVAL_CONDITIONS
};
/* Bits of what is missing; 0 = it may be marked. What is not known is missing. */
uint32_t removal_missing(const struct removal *r, int64_t today);
const char *removal_text(enum removal_condition c, bool zh);
/* What a person affirms, as words between spaces: "above=2026-05-31 spending=yes guarantees=yes original=yes
 * new-risk=no labour=yes". above: the first day of the unbroken time over the line; original: it is gone.
 * What is left out is not known. ERR_SYNTAX names the word that cannot be read. */
enum err removal_read(struct str text, struct removal *out, struct diag *d) MUST_USE;
/* ERR_STATE with all that is missing. */
enum err removal_check(struct str text, int64_t today, struct diag *d) MUST_USE;

/* ---- whom to visit first ---- */
/* The eight groups that are visited in any case; which check puts a household into one, the pack says. */
enum must_visit {
    MUST_INCOME,
    MUST_ILLNESS,
    MUST_ALONE,
    MUST_ALLOWANCE,
    MUST_DISABILITY,
    MUST_CHILDREN,
    MUST_WORK,
    MUST_ACCIDENT,
    MUST_GROUPS
};
const char *must_visit_text(enum must_visit g, bool zh);
bool must_visit_read(struct str name, enum must_visit *out); /* "income", as packs write it */
struct queue_place {
    bool lead_overdue, lead_open;
    struct str level;     /* of the newest visit, "" = never visited */
    uint32_t groups;      /* MUST_* bits */
    int64_t last_visit;   /* civil day, LEAD_NEVER */
    int64_t assigned_due; /* LEAD_NEVER */
};
/* Larger = sooner. Overdue leads, open leads, red, groups, long not visited; nothing is cut off to a quota.
 */
uint32_t queue_priority(const struct queue_place *q, int64_t today);

#endif
