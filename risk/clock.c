/* See clock.h.
 */
#include "risk/clock.h"

#include "platform/base/civil.h"
#include "risk/pack_impl.h"

static const struct lead_step_about steps[LEAD_STEPS] = {
    [STEP_LEAD] = {"lead", "发现线索", "lead opened", 0},
    [STEP_FORWARD] = {"forward", "转办", "handed on to the village", -1},
    [STEP_VISIT] = {"visit", "入户核实", "seen at the door", 1},
    [STEP_COMPARE] = {"compare", "信息比对", "compared with departments' data", 2},
    [STEP_NOTICE] = {"notice", "评议公示", "village meeting, notice begins", 3},
    [STEP_NOTICE_END] = {"notice_end", "公示期满", "notice ends", -1},
    [STEP_TOWNSHIP] = {"township", "乡镇审核", "township has examined", 4},
    [STEP_COUNTY] = {"county", "县级审批", "county has approved", 5},
    [STEP_ANNOUNCE] = {"announce", "公告", "announced", 6},
    [STEP_RECORD] = {"record", "录入", "entered", 7},
    [STEP_HELP] = {"help", "落实帮扶", "measures agreed", 8},
    [STEP_REMOVE] = {"remove", "风险消除", "risk removed", 9},
    [STEP_CLOSE] = {"close", "排除", "not confirmed", -1},
};
/* Bits of roles: 1 household, 2 enumerator, 3 cadre, 4 supervisor (township), 5 county, 6 department. */
#define R(role) (1u << (role))
static const struct {
    uint32_t roles;
    const char *whose;
} step_roles[LEAD_STEPS] = {
    [STEP_LEAD] = {R(1) | R(2) | R(3) | R(4) | R(5) | R(6), "anybody who visits"},
    [STEP_FORWARD] = {R(4) | R(5), "the township (supervisor) or the county"},
    [STEP_VISIT] = {R(2) | R(3) | R(4) | R(5), "whoever was at the door"},
    [STEP_COMPARE] = {R(4) | R(5) | R(6), "the township (supervisor), the county or a department"},
    [STEP_NOTICE] = {R(3) | R(4), "the village (cadre) or the township (supervisor)"},
    [STEP_NOTICE_END] = {R(3) | R(4), "the village (cadre) or the township (supervisor)"},
    [STEP_TOWNSHIP] = {R(4), "the township (supervisor)"},
    [STEP_COUNTY] = {R(5), "the county"},
    [STEP_ANNOUNCE] = {R(4) | R(5), "the township (supervisor) or the county"},
    [STEP_RECORD] = {R(4) | R(5), "the township (supervisor) or the county"},
    [STEP_HELP] = {R(3) | R(4) | R(5), "the village (cadre), the township (supervisor) or the county"},
    [STEP_REMOVE] = {R(5), "the county"},
    [STEP_CLOSE] = {R(4) | R(5), "the township (supervisor) or the county"},
};
#undef R
static const char *const channels[LEAD_CHANNELS] = {"self_report", "patrol", "department"};
static const struct clock_about clocks[CLOCKS] = {
    [CLOCK_FORWARD] = {"forward", "clock_forward", "自主申报转办", "request handed on", "S-AHZY", 2, false},
    [CLOCK_VISIT] = {"visit", "clock_visit", "入户核实", "visit", "S-RP", 3, false},
    [CLOCK_COMPARE] = {"compare", "clock_compare", "信息比对", "comparison of data", "S-RP", 5, false},
    [CLOCK_NOTICE] = {"notice", "clock_notice", "公示期", "public notice", "S-LZ", 5, true},
    [CLOCK_CHAIN] = {"chain", "clock_chain", "识别认定全过程", "identification, in all", "S-QA", 15, false},
    [CLOCK_DEADLINE] = {"deadline", "", "部门要求的期限", "deadline of the department", "", 0, false},
};
static const char *const states[] = {"off", "runs", "overdue", "kept", "late", "too_short"};
static const struct {
    const char *zh, *en;
} conditions[REMOVAL_CONDITIONS] = {
    [REMOVAL_INCOME] = {"收入未稳定超过当前监测线满6个月",
                        "income has not been over the current line for 6 months"},
    [REMOVAL_SPENDING] = {"大额刚性支出问题尚未解决", "large unavoidable spending is not solved"},
    [REMOVAL_GUARANTEES] = {"三保障和饮水安全尚未稳固",
                            "schooling, medical care, housing or water is not held"},
    [REMOVAL_ORIGINAL] = {"原有风险尚未消除", "the original risk is not gone"},
    [REMOVAL_NEW_RISK] = {"存在新的风险", "there is a new risk"},
    [REMOVAL_LABOUR] = {"无劳动能力户暂不标注风险消除", "a household without labour power is not marked"},
};
static const struct {
    const char *name, *zh, *en;
} groups[MUST_GROUPS] = {
    [MUST_INCOME] = {"income", "收入偏低或下降", "low or falling income"},
    [MUST_ILLNESS] = {"illness", "大病重病慢病", "serious or chronic illness"},
    [MUST_ALONE] = {"alone", "独居、留守", "living alone, only old or young at home"},
    [MUST_ALLOWANCE] = {"allowance", "低保及依赖转移收入", "living on allowances"},
    [MUST_DISABILITY] = {"disability", "残疾", "disability"},
    [MUST_CHILDREN] = {"children", "多子女、非义务教育", "many children in school"},
    [MUST_WORK] = {"work", "务工不稳", "unstable work"},
    [MUST_ACCIDENT] = {"accident", "灾害、意外", "disaster or accident"},
};
#define COUNT(list) (sizeof(list) / sizeof *(list))

const struct lead_step_about *lead_step_about(enum lead_step s)
{
    return &steps[s];
}

bool lead_step_read(struct str code, enum lead_step *out)
{
    for (size_t i = 0; i < LEAD_STEPS; i++)
        if (str_eq_z(code, steps[i].code)) {
            *out = (enum lead_step)i;
            return true;
        }
    return false;
}

enum err lead_step_by(enum lead_step s, uint8_t role, struct diag *d)
{
    if (role == 0 || (role < 32 && step_roles[s].roles >> role & 1))
        return ERR_OK;
    return diag_set(
        d, ERR_DENIED,
        "The step \"%s\" (%s) is noted by %s. Ask them to note it; what you know of it can go into "
        "the note of a step of yours.",
        steps[s].code, steps[s].en, step_roles[s].whose);
}

const char *lead_channel_name(enum lead_channel c)
{
    return channels[c];
}

bool lead_channel_read(struct str name, enum lead_channel *out)
{
    for (size_t i = 0; i < LEAD_CHANNELS; i++)
        if (str_eq_z(name, channels[i])) {
            *out = (enum lead_channel)i;
            return true;
        }
    return false;
}

/* ---- what was noted ---- */

void lead_times_init(struct lead_times *t)
{
    *t = (struct lead_times){.deadline = LEAD_NEVER};
    for (size_t i = 0; i < LEAD_STEPS; i++)
        t->at[i] = LEAD_NEVER;
}

static int64_t day_of(struct str at)
{
    struct civil c;
    return civil_read_date(str_sub(at, 0, 10), &c) ? civil_days(c.year, c.month, c.day) : LEAD_NEVER;
}

void lead_times_note(struct lead_times *t, struct str step, struct str at)
{
    enum lead_step s;
    int64_t day = day_of(at);
    if (day == LEAD_NEVER)
        return;
    if (str_eq_z(step, "deadline"))
        t->deadline = day;
    else if (lead_step_read(step, &s) && (t->at[s] == LEAD_NEVER || day < t->at[s]))
        t->at[s] = day;
}

enum lead_step lead_times_state(const struct lead_times *t)
{
    for (size_t i = LEAD_STEPS; i-- > 0;)
        if (t->at[i] != LEAD_NEVER)
            return (enum lead_step)i;
    return STEP_LEAD;
}

bool lead_times_open(const struct lead_times *t)
{
    for (size_t i = STEP_RECORD; i < LEAD_STEPS; i++)
        if (t->at[i] != LEAD_NEVER)
            return false;
    return true;
}

/* ---- clocks ---- */

const struct clock_about *clock_about(enum clock_name c)
{
    return &clocks[c];
}

bool clock_is_param(struct str name)
{
    for (size_t i = 0; i < CLOCKS; i++)
        if (clocks[i].param[0] && str_eq_z(name, clocks[i].param))
            return true;
    return false;
}

const char *clock_state_name(enum clock_state s)
{
    return states[s];
}

/* Whole days; what is none is passed over. */
static bool whole_days(struct dec v, int64_t *out)
{
    for (; v.scale && v.coefficient % 10 == 0; v.scale--)
        v.coefficient /= 10;
    *out = v.coefficient;
    return v.scale == 0 && v.coefficient >= 0 && v.coefficient <= 3650;
}

void clock_days_for(const struct pack *pack, struct str area, int64_t today, struct clock_days *out)
{
    for (size_t i = 0; i < CLOCKS; i++) {
        struct dec v;
        int64_t n;
        out->days[i] = clocks[i].days;
        if (pack && pack_param(pack, str_of(clocks[i].param), area, today, &v) && whole_days(v, &n))
            out->days[i] = n;
    }
}

/* Not after: from `from` at most `days` until `to`. */
static struct clock most(int64_t from, int64_t to, int64_t days, int64_t today, bool off)
{
    struct clock c = {CLOCK_OFF, LEAD_NEVER, 0};
    if (from == LEAD_NEVER || off)
        return c;
    c.due = from + days;
    c.left = c.due - (to == LEAD_NEVER ? today : to);
    if (to == LEAD_NEVER)
        c.state = c.left >= 0 ? CLOCK_RUNS : CLOCK_OVERDUE;
    else
        c.state = c.left >= 0 ? CLOCK_KEPT : CLOCK_LATE;
    return c;
}

/* Not before. A notice that hangs on is never too long. */
static struct clock least(int64_t from, int64_t to, int64_t days, int64_t today)
{
    struct clock c = {CLOCK_OFF, LEAD_NEVER, 0};
    if (from == LEAD_NEVER)
        return c;
    c.due = from + days;
    c.left = to == LEAD_NEVER ? c.due - today : to - c.due;
    if (to == LEAD_NEVER)
        c.state = c.left > 0 ? CLOCK_RUNS : CLOCK_KEPT;
    else
        c.state = c.left >= 0 ? CLOCK_KEPT : CLOCK_TOO_SHORT;
    return c;
}

void lead_clocks(const struct lead_times *t, const struct clock_days *days, int64_t today,
                 struct clock out[static CLOCKS])
{
    const int64_t *at = t->at;
    bool closed = at[STEP_CLOSE] != LEAD_NEVER;
    bool seen = at[STEP_VISIT] != LEAD_NEVER;
    int64_t end = at[STEP_RECORD] != LEAD_NEVER ? at[STEP_RECORD] : at[STEP_CLOSE];
    /* Who has been at the door has had it handed on. */
    int64_t forwarded = at[STEP_FORWARD] != LEAD_NEVER ? at[STEP_FORWARD] : at[STEP_VISIT];
    out[CLOCK_FORWARD] = most(at[STEP_LEAD], forwarded, days->days[CLOCK_FORWARD], today,
                              t->channel != CHANNEL_SELF || (closed && !seen));
    out[CLOCK_VISIT] = most(at[STEP_LEAD], at[STEP_VISIT], days->days[CLOCK_VISIT], today, closed && !seen);
    out[CLOCK_COMPARE] = most(at[STEP_VISIT], at[STEP_COMPARE], days->days[CLOCK_COMPARE], today,
                              closed && at[STEP_COMPARE] == LEAD_NEVER);
    out[CLOCK_NOTICE] = least(at[STEP_NOTICE], at[STEP_NOTICE_END], days->days[CLOCK_NOTICE], today);
    out[CLOCK_CHAIN] = most(at[STEP_LEAD], end, days->days[CLOCK_CHAIN], today, false);
    int64_t answered = seen ? at[STEP_VISIT] : at[STEP_CLOSE];
    out[CLOCK_DEADLINE] = most(t->deadline, answered, 0, today, false);
}

/* ---- removing the risk ---- */

/* The same day of the month, `months` later; a day that there is not counts as the next one. */
static int64_t months_after(int64_t day, int months)
{
    int32_t y;
    uint8_t m, d;
    civil_from_days(day, &y, &m, &d);
    int month = m - 1 + months;
    y += month / 12;
    m = (uint8_t)(month % 12 + 1);
    return civil_valid_date(y, m, d) ? civil_days(y, m, d)
                                     : civil_days(m == 12 ? y + 1 : y, m == 12 ? 1 : (uint8_t)(m + 1), 1);
}

uint32_t removal_missing(const struct removal *r, int64_t today)
{
    uint32_t missing = 0;
    bool income = r->above_since != LEAD_NEVER && months_after(r->above_since, REMOVAL_MONTHS) <= today;
    missing |= income ? 0 : 1u << REMOVAL_INCOME;
    missing |= r->spending_solved == TRUTH_TRUE ? 0 : 1u << REMOVAL_SPENDING;
    missing |= r->guarantees_held == TRUTH_TRUE ? 0 : 1u << REMOVAL_GUARANTEES;
    missing |= r->original_gone == TRUTH_TRUE ? 0 : 1u << REMOVAL_ORIGINAL;
    missing |= r->new_risk == TRUTH_FALSE ? 0 : 1u << REMOVAL_NEW_RISK;
    missing |= r->has_labour == TRUTH_TRUE ? 0 : 1u << REMOVAL_LABOUR;
    return missing;
}

const char *removal_text(enum removal_condition c, bool zh)
{
    return zh ? conditions[c].zh : conditions[c].en;
}

static bool said(struct str value, enum truth *out)
{
    bool yes = str_eq_z(value, "yes"), no = str_eq_z(value, "no");
    if (yes || no)
        *out = yes ? TRUTH_TRUE : TRUTH_FALSE;
    return yes || no;
}

enum err removal_read(struct str text, struct removal *out, struct diag *d)
{
    struct removal r = {.above_since = LEAD_NEVER,
                        .spending_solved = TRUTH_UNKNOWN,
                        .guarantees_held = TRUTH_UNKNOWN,
                        .original_gone = TRUTH_UNKNOWN,
                        .new_risk = TRUTH_UNKNOWN,
                        .has_labour = TRUTH_UNKNOWN};
    const struct {
        const char *name;
        enum truth *truth;
    } words[] = {{"spending", &r.spending_solved},
                 {"guarantees", &r.guarantees_held},
                 {"original", &r.original_gone},
                 {"new-risk", &r.new_risk},
                 {"labour", &r.has_labour}};
    struct str word, name;
    while (str_word(&text, &word)) {
        struct str value = word;
        struct civil c = {0};
        bool read = str_split(&value, '=', &name);
        if (read && str_eq_z(name, "above")) {
            read = civil_read_date(value, &c);
            r.above_since = read ? civil_days(c.year, c.month, c.day) : LEAD_NEVER;
        } else if (read) {
            enum truth *truth = NULL;
            for (size_t i = 0; i < COUNT(words); i++)
                truth = str_eq_z(name, words[i].name) ? words[i].truth : truth;
            read = truth && said(value, truth);
        }
        if (!read)
            return diag_set(d, ERR_SYNTAX,
                            "\"%.*s\" is no condition: say above=DAY, and spending=, guarantees=, original=, "
                            "new-risk=, labour= with yes or no",
                            STR_ARG(word));
    }
    *out = r;
    return ERR_OK;
}

enum err removal_check(struct str text, int64_t today, struct diag *d)
{
    static const char *const names[REMOVAL_CONDITIONS] = {"above",    "spending", "guarantees",
                                                          "original", "new-risk", "labour"};
    struct removal r = {.above_since = LEAD_NEVER};
    struct buf out;
    enum err rc = removal_read(text, &r, d);
    uint32_t missing = rc ? 0 : removal_missing(&r, today);
    if (!missing)
        return rc;
    buf_init(&out, 2048);
    for (uint32_t i = 0; i < REMOVAL_CONDITIONS; i++)
        if (missing >> i & 1)
            buf_printf(&out, "%s%s", out.n ? ", " : "", names[i]);
    rc = diag_set(
        d, ERR_STATE,
        "The risk cannot be marked as removed. Not met, or not said: %.*s (above: six months over the "
        "line).",
        (int)out.n, out.p ? out.p : "");
    buf_free(&out);
    return rc;
}

/* ---- whom to visit first ---- */

const char *must_visit_text(enum must_visit g, bool zh)
{
    return zh ? groups[g].zh : groups[g].en;
}

bool must_visit_read(struct str name, enum must_visit *out)
{
    for (size_t i = 0; i < MUST_GROUPS; i++)
        if (str_eq_z(name, groups[i].name)) {
            *out = (enum must_visit)i;
            return true;
        }
    return false;
}

uint32_t queue_priority(const struct queue_place *q, int64_t today)
{
    uint32_t n = 0, p;
    for (uint32_t g = q->groups; g; g &= g - 1)
        n++;
    int64_t days = q->last_visit == LEAD_NEVER ? 999 : today - q->last_visit;
    days = days < 0 ? 0 : days > 999 ? 999 : days;
    p = q->lead_overdue ? 5 : q->lead_open ? 4 : str_eq_z(q->level, "red") ? 3 : 0;
    if (q->assigned_due != LEAD_NEVER && q->assigned_due < today && p < 4)
        p = 4;
    uint32_t level = str_eq_z(q->level, "yellow")    ? 3
                     : str_eq_z(q->level, "unknown") ? 2
                                                     : str_eq_z(q->level, "blue");
    return p * 1000000 + n * 100000 + level * 10000 + (uint32_t)days;
}
