/* Lines: what lists and the overview show, made anew from a household's records whenever one of them changed.
 *
 * Always true: lines are a function of the records, the submissions and the judgements of one household (or
 * of one interview about nobody), whatever the order in which these came; the tallies are the sums of what
 * the household lines say they add. Nothing here reads a clock: days are compared with today by whoever asks.
 */
#include <stdlib.h>

#include "server/leads.h"
#include "server/lines.h"
#include "server/store_pages.h"
#include "server/work.h"

#define LINES_MEMORY_MAX (256u << 20)
#define NAME_MAX_BYTES 200
#define RECORDS_PAGE 256

struct seen_visit {
    const struct record_row *row;
    struct record record;
    int64_t hlc;
    struct visit_facts facts;
    uint32_t round, waits, state;
    struct str why;
    bool replaced;
};

struct making {
    struct cstore *st;
    struct arena *a;
    struct lines_basis *basis;
    struct row_id root;
    struct record_row *rows;
    uint32_t count;
    struct house_line house;
    bool is_house;
    struct seen_visit *visits;
    uint32_t visit_count;
    const struct seen_visit *newest;
    VEC(struct lead_line) leads;
    struct buf tallies;
    struct str position; /* of the household, as the register says */
};

static int64_t day_of(struct str at)
{
    struct civil c;
    int64_t day = civil_read_date(str_sub(at, 0, 10), &c) ? civil_days(c.year, c.month, c.day) : 0;
    return day > 0 ? day : 0;
}

static int64_t day_of_hlc(int64_t hlc)
{
    return (hlc >> 16) / 86400000;
}

static bool same(struct row_id a, struct row_id b)
{
    return row_id_same(a, b);
}

static struct str cut(struct str s)
{
    s = str_sub(s, 0, NAME_MAX_BYTES);
    while (s.n && !utf8_valid(s))
        s.n--;
    return s;
}

/* ---- the days of clocks ---- */

void lines_basis_free(struct lines_basis *b)
{
    arena_free(&b->memory);
    *b = (struct lines_basis){0};
}

/* The newest pack that is live sets them; those that hold on the day a lead was opened. */
static enum err clock_pack(struct making *m, const struct pack **out, struct diag *d)
{
    struct published *list = NULL;
    uint32_t count = 0;
    struct lines_basis *b = m->basis;
    const struct published *live = NULL;
    struct form_findings none = {0};
    struct diag quiet = {0};
    struct str bytes;
    enum err rc = published_all(m->st, m->a, &list, &count, d);
    for (uint32_t i = count; !rc && !live && i-- > 0;)
        if (str_eq_z(list[i].kind, "pack") && str_eq_z(list[i].state, "live") && !list[i].areas.n)
            live = &list[i];
    *out = NULL;
    if (rc || !live)
        return rc;
    if (!b->looked || memcmp(b->hash, live->hash, SHA256_SIZE) != 0) {
        lines_basis_free(b);
        arena_init(&b->memory, LINES_MEMORY_MAX);
        memcpy(b->hash, live->hash, SHA256_SIZE);
        b->looked = true;
        if (cstore_object(m->st, &b->memory, live->hash, NULL, &bytes, NULL) ||
            pack_load_alone(&b->memory, bytes, &b->pack, &none, &quiet))
            b->pack = NULL;
    }
    *out = b->pack;
    return ERR_OK;
}

/* ---- leads ---- */

static enum err steps_note(struct making *m, struct row_id lead, struct lead_times *times, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < m->count; i++) {
        struct record x;
        if (m->rows[i].kind != ROW_STEP || !same(m->rows[i].parent, lead))
            continue;
        rc = record_unpack(m->a, m->rows[i].row, m->rows[i].packed, &x, d);
        if (!rc && !record_deleted(&x))
            lead_times_note(times, record_value(&x, STEP_CODE), record_value(&x, STEP_AT));
    }
    return rc;
}

static enum err lead_make(struct making *m, const struct record_row *row, struct diag *d)
{
    struct record x;
    struct lead_times times;
    struct clock_days days;
    struct clock clocks[CLOCKS];
    const struct pack *pack = NULL;
    lead_times_init(&times);
    enum err rc = record_unpack(m->a, row->row, row->packed, &x, d);
    if (rc || record_deleted(&x))
        return rc;
    struct str opened = record_value(&x, LEAD_OPENED);
    (void)lead_channel_read(record_value(&x, LEAD_CHANNEL), &times.channel);
    lead_times_note(&times, STR("lead"), opened);
    lead_times_note(&times, STR("deadline"), record_value(&x, LEAD_DEADLINE));
    rc = steps_note(m, row->row, &times, d);
    if (rc || !lead_times_open(&times))
        return rc;
    rc = clock_pack(m, &pack, d);
    if (rc)
        return rc;
    struct lead_line *l = vec_push(m->a, &m->leads);
    if (!l)
        return ERR_NOMEM;
    *l = (struct lead_line){.row = row->row,
                            .number = row->number,
                            .household = m->root,
                            .channel = str_of(lead_channel_name(times.channel)),
                            .source = cut(record_value(&x, LEAD_SOURCE)),
                            .state = str_of(lead_step_about(lead_times_state(&times))->code),
                            .opened = day_of(opened),
                            .clock_code = STR("")};
    clock_days_for(pack, row->area.p ? row->area : STR(""), l->opened, &days);
    lead_clocks(&times, &days, l->opened, clocks);
    for (int c = 0; c < CLOCKS; c++) {
        bool runs = clocks[c].state == CLOCK_RUNS || clocks[c].state == CLOCK_OVERDUE;
        if (!runs || clocks[c].due <= 0 || (l->next && clocks[c].due >= l->next))
            continue;
        l->next = clocks[c].due;
        l->clock_code = str_of(clock_about((enum clock_name)c)->code);
    }
    return ERR_OK;
}

static enum err leads_make(struct making *m, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < m->count; i++) {
        if (m->rows[i].kind == ROW_LEAD)
            rc = lead_make(m, &m->rows[i], d);
    }
    for (uint32_t i = 0; i < m->leads.count; i++) {
        const struct lead_line *l = &m->leads.at[i];
        if (l->next && (!m->house.clock || l->next < m->house.clock)) {
            m->house.clock = l->next;
            m->house.clock_code = l->clock_code;
        }
    }
    m->house.leads = m->leads.count;
    return rc;
}

/* ---- visits ---- */

static int by_clock(const void *a, const void *b)
{
    const struct seen_visit *x = a, *y = b;
    if (x->hlc != y->hlc)
        return x->hlc < y->hlc ? -1 : 1;
    return x->row->number < y->row->number ? -1 : x->row->number > y->row->number;
}

static enum err visits_read(struct making *m, struct diag *d)
{
    enum err rc = ERR_OK;
    m->visits = ARENA_ARRAY(m->a, struct seen_visit, m->count + 1);
    if (!m->visits)
        return ERR_NOMEM;
    for (uint32_t i = 0; !rc && i < m->count; i++) {
        struct seen_visit *v = &m->visits[m->visit_count];
        if (m->rows[i].kind != ROW_VISIT)
            continue;
        *v = (struct seen_visit){.row = &m->rows[i], .why = STR("")};
        rc = record_unpack(m->a, m->rows[i].row, m->rows[i].packed, &v->record, d);
        if (rc || record_deleted(&v->record) || !record_value(&v->record, VISIT_ENDED).n)
            continue;
        v->hlc = v->record.born ? v->record.birth.hlc : 0;
        rc = cstore_visit_facts(m->st, m->a, m->rows[i].row, &v->facts, d);
        m->visit_count++;
    }
    if (!rc && m->visit_count)
        qsort(m->visits, m->visit_count, sizeof *m->visits, by_clock);
    return rc;
}

bool visit_corrects(const struct record *visit)
{
    return str_eq_z(record_value(visit, VISIT_TYPE), "correction");
}

/* A correction takes the place of the visit before it. */
static void rounds_count(struct making *m)
{
    for (uint32_t i = 0; i < m->visit_count; i++) {
        struct seen_visit *v = &m->visits[i], *before = NULL;
        for (uint32_t k = i; !before && k-- > 0;)
            before = same(m->visits[k].row->interview, v->row->interview) ? &m->visits[k] : NULL;
        v->round = 1;
        if (before && visit_corrects(&v->record)) {
            v->round = before->round + 1;
            before->replaced = true;
        }
    }
}

uint32_t review_waits(uint32_t state, uint32_t level)
{
    switch (state) {
    case REVIEW_APPROVED: return level == REVIEW_COUNTY ? WAITS_NOBODY : level + 1;
    case REVIEW_REJECTED: return WAITS_DEVICE;
    default: return level;
    }
}

/* The centre decides one after the other: the last row is the last word. */
static enum err decisions_read(struct making *m, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < m->count; i++) {
        struct record x;
        enum review_state state;
        enum review_level level;
        if (m->rows[i].kind != ROW_REVIEW)
            continue;
        rc = record_unpack(m->a, m->rows[i].row, m->rows[i].packed, &x, d);
        if (rc || record_deleted(&x) || !review_state_read(record_value(&x, REVIEW_STATE), &state) ||
            !review_level_read(record_value(&x, REVIEW_BY_LEVEL), &level))
            continue;
        for (uint32_t k = 0; k < m->visit_count; k++) {
            if (!same(m->visits[k].row->row, m->rows[i].parent))
                continue;
            m->visits[k].state = state;
            m->visits[k].waits = review_waits(state, level);
            m->visits[k].why = cut(record_value(&x, REVIEW_COMMENT));
        }
    }
    return rc;
}

static uint32_t conflicts_about(const struct making *m, struct row_id interview)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->count; i++)
        if (m->rows[i].kind == ROW_HOUSEHOLD || same(m->rows[i].interview, interview))
            n += m->rows[i].conflicts;
    return n;
}

static uint32_t flags_of(const struct making *m, const struct seen_visit *v)
{
    uint32_t flags = 0;
    if (str_eq_z(record_value(&v->record, VISIT_LEVEL), "red"))
        flags |= VISIT_IS_RED;
    if ((v->facts.submitted && !v->facts.matches) || v->facts.verdict == JUDGED_DIFFERS)
        flags |= VISIT_MISMATCH;
    if (conflicts_about(m, v->row->interview))
        flags |= VISIT_CONFLICT;
    if (!v->facts.submitted || !v->facts.matches || v->facts.verdict == JUDGED_WAITS)
        flags |= VISIT_UNPROVEN;
    return flags;
}

static enum err visit_keep(struct making *m, const struct seen_visit *v, struct diag *d)
{
    const struct visit_line l = {.row = v->row->row,
                                 .number = v->row->number,
                                 .root = m->root,
                                 .household = v->row->household,
                                 .interview = v->row->interview,
                                 .area = m->house.area,
                                 .code = m->house.code,
                                 .name = m->house.name,
                                 .form_id = v->facts.form_id,
                                 .level = cut(record_value(&v->record, VISIT_LEVEL)),
                                 .person = v->facts.person ? v->facts.person : v->record.birth.person,
                                 .device = v->row->row.device,
                                 .day = day_of(record_value(&v->record, VISIT_ENDED)),
                                 .round = v->round,
                                 .waits = v->replaced ? WAITS_REPLACED : v->waits,
                                 .state = v->state,
                                 .flags = flags_of(m, v),
                                 .verdict = v->facts.verdict,
                                 .why = v->why};
    return row_id_none(l.interview) ? ERR_OK : cstore_visit_line_put(m->st, &l, d);
}

/* ---- the household ---- */

static enum err house_read(struct making *m, struct diag *d)
{
    struct house_line *h = &m->house;
    struct record x;
    enum err rc = ERR_OK;
    *h = (struct house_line){.row = m->root, .level = STR(""), .clock_code = STR("")};
    for (uint32_t i = 0; !rc && i < m->count; i++) {
        const struct record_row *row = &m->rows[i];
        h->conflicts += row->conflicts;
        if (row->kind == ROW_INTERVIEW && same(row->row, m->root)) {
            h->number = row->number; /* about nobody: it is in no list of households */
            h->area = row->area.p ? row->area : STR("");
        }
        if (row->kind != ROW_HOUSEHOLD || !same(row->row, m->root))
            continue;
        rc = record_unpack(m->a, row->row, row->packed, &x, d);
        if (rc)
            break;
        m->is_house = !record_deleted(&x);
        h->number = row->number;
        h->area = row->area.p ? row->area : STR("");
        if (!m->is_house)
            continue;
        h->code = cut(record_value(&x, HOUSEHOLD_CODE));
        h->name = cut(record_value(&x, HOUSEHOLD_NAME));
        m->position = record_value(&x, HOUSEHOLD_POSITION);
        h->status = cut(record_value(&x, HOUSEHOLD_STATUS));
        struct str into = record_value(&x, HOUSEHOLD_INTO);
        struct record_row other;
        struct row_id id;
        unsigned char bytes[ROW_ID_SIZE];
        if (hex_read(into, bytes, sizeof bytes) &&
            row_id_read((struct str){(const char *)bytes, sizeof bytes}, &id) &&
            cstore_record(m->st, m->a, id, &other, NULL) == ERR_OK && other.code.p)
            h->into_code = other.code;
    }
    return rc;
}

static void newest_find(struct making *m)
{
    for (uint32_t i = 0; i < m->visit_count; i++) {
        int64_t day = day_of(record_value(&m->visits[i].record, VISIT_ENDED));
        if (day < m->house.visited)
            continue;
        m->house.visited = day;
        m->house.level = cut(record_value(&m->visits[i].record, VISIT_LEVEL));
        m->newest = &m->visits[i];
    }
}

static enum err assignment_read(struct making *m, int64_t *assigned_out, struct diag *d)
{
    for (uint32_t i = 0; i < m->count; i++) {
        struct record x;
        uint64_t person = 0;
        if (m->rows[i].kind != ROW_ASSIGNMENT)
            continue;
        enum err rc = record_unpack(m->a, m->rows[i].row, m->rows[i].packed, &x, d);
        if (rc || record_deleted(&x))
            return rc;
        const struct record_cell *due = record_cell(&x, ASSIGNMENT_DUE);
        m->house.due = day_of(record_value(&x, ASSIGNMENT_DUE));
        m->house.person = str_to_u64(record_value(&x, ASSIGNMENT_PERSON), &person) ? (uint32_t)person : 0;
        *assigned_out = due && due->count ? day_of_hlc(due->versions[0].hlc) : 0;
        return ERR_OK;
    }
    return ERR_OK;
}

static void tally(struct making *m, const char *what, struct str more, int64_t day)
{
    buf_put_z(&m->tallies, what);
    buf_put_str(&m->tallies, more);
    buf_put_char(&m->tallies, '\t');
    buf_put_i64(&m->tallies, day);
    buf_put_z(&m->tallies, "\t1\n");
}

static bool earlier_rule(struct str rules, struct str rule)
{
    struct str line;
    while (str_split(&rules, '\n', &line))
        if (str_eq(line, rule))
            return true;
    return false;
}

/* Each check counts once, however many members it holds for. */
static enum err causes_tally(struct making *m, struct diag *d)
{
    struct buf rules;
    enum err rc = ERR_OK;
    buf_init(&rules, 1u << 16);
    for (uint32_t i = 0; !rc && m->newest && i < m->count; i++) {
        struct record x;
        if (m->rows[i].kind != ROW_FINDING || !same(m->rows[i].parent, m->newest->row->row))
            continue;
        rc = record_unpack(m->a, m->rows[i].row, m->rows[i].packed, &x, d);
        struct str rule = rc ? STR("") : str_sub(record_value(&x, FINDING_RULE), 0, 64);
        if (rc || record_deleted(&x) || !rule.n || str_find(rule, STR("\t")) >= 0 ||
            str_find(rule, STR("\n")) >= 0 || earlier_rule(buf_str(&rules), rule))
            continue;
        buf_put_str(&rules, rule);
        buf_put_char(&rules, '\n');
        bool hit = str_eq_z(record_value(&x, FINDING_STATE), "hit");
        struct str severity = record_value(&x, FINDING_SEVERITY);
        tally(m,
              !hit                           ? "cause:unknown:"
              : str_eq_z(severity, "red")    ? "cause:red:"
              : str_eq_z(severity, "yellow") ? "cause:yellow:"
                                             : "cause:blue:",
              rule, 0);
    }
    buf_free(&rules);
    return rc;
}

static enum err house_make(struct making *m, struct diag *d)
{
    struct house_line *h = &m->house;
    int64_t assigned = 0;
    enum err rc = assignment_read(m, &assigned, d);
    newest_find(m);
    bool done = h->visited && h->visited >= assigned;
    h->next = h->due && !done ? h->due : 0;
    if (h->clock && (!h->next || h->clock < h->next))
        h->next = h->clock;
    if (rc || h->status.n) /* what is merged, closed or erased counts nowhere */
        return rc;
    struct str level = h->level.n ? h->level : STR("none");
    tally(m, "household", STR(""), 0);
    tally(m, "level:", level, 0);
    if (h->due)
        tally(m, "due", STR(""), h->due);
    if (h->due && done)
        tally(m, "done", STR(""), h->due);
    if (h->clock)
        tally(m, "clock", STR(""), h->clock);
    if (h->next)
        tally(m, "next", STR(""), h->next);
    if (h->conflicts)
        tally(m, "conflict", STR(""), 0);
    for (uint32_t i = 0; i < m->leads.count; i++)
        tally(m, "lead:", level, 0);
    return causes_tally(m, d);
}

/* What visits add is told with their household, so that one text says all. */
static void visits_tally(struct making *m)
{
    static const char *const waits[] = {"waits:0", "waits:1", "waits:2", "rejected", NULL, NULL};
    for (uint32_t i = 0; i < m->visit_count; i++) {
        const struct seen_visit *v = &m->visits[i];
        const char *what = v->replaced ? NULL : waits[v->waits];
        if (what)
            tally(m, what, STR(""), 0);
        if (v->facts.verdict == JUDGED_DIFFERS)
            tally(m, "differs", STR(""), 0);
        if (flags_of(m, v) & VISIT_UNPROVEN || v->facts.verdict == JUDGED_NOT)
            tally(m, "doubtful", STR(""), 0);
    }
}

static enum err tallies_apply(struct making *m, struct str area, struct str text, int64_t sign,
                              struct diag *d)
{
    struct str line;
    enum err rc = ERR_OK;
    while (!rc && text.n && str_split(&text, '\n', &line)) {
        struct str what, day_text;
        int64_t day = 0, n = 0;
        if (!str_split(&line, '\t', &what) || !str_split(&line, '\t', &day_text) ||
            !str_to_i64(day_text, &day) || !str_to_i64(line, &n))
            continue;
        rc = cstore_tally_add(m->st, area, what, day, sign * n, d);
    }
    return rc;
}

static enum err house_keep(struct making *m, struct diag *d)
{
    struct house_line was = {.area = STR(""), .tallies = STR("")};
    enum err rc = cstore_house_line(m->st, m->a, m->root, &was, d);
    bool before = rc == ERR_OK;
    m->house.tallies = buf_str(&m->tallies);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    bool same_sums = before && str_eq(was.area, m->house.area) && str_eq(was.tallies, m->house.tallies);
    rc = same_sums ? ERR_OK : tallies_apply(m, was.area, was.tallies, -1, d);
    if (!rc && !same_sums)
        rc = tallies_apply(m, m->house.area, m->house.tallies, 1, d);
    if (!rc && m->count == 0) /* what was about nobody is a household's now */
        return cstore_house_line_drop(m->st, m->root, d);
    return rc ? rc : cstore_house_line_put(m->st, &m->house, d);
}

/* A position among a visit's answers: the first that is four numbers, as XForms write a geopoint. */
static bool answered_place(struct making *m, struct row_id interview, int64_t *latitude, int64_t *longitude)
{
    struct record_row row;
    struct record x;
    struct diag quiet = {0};
    if (row_id_none(interview) || cstore_record(m->st, m->a, interview, &row, &quiet) ||
        record_unpack(m->a, interview, row.packed, &x, &quiet))
        return false;
    for (uint32_t i = 0; i < x.count; i++) {
        struct str value = record_value(&x, x.cells[i].field), rest = value, word;
        int words = 0;
        bool numbers = value.n > 0 && value.n < 100;
        while (numbers && str_word(&rest, &word)) {
            words++;
            for (size_t k = 0; k < word.n; k++)
                numbers = numbers && strchr("0123456789.-", word.p[k]);
        }
        if (numbers && words == 4 && place_read(value, latitude, longitude))
            return true;
    }
    return false;
}

/* Where the household is, for the map: as its newest visit says, beside or among its answers; else as the
 * register does. */
static enum err place_keep(struct making *m, struct diag *d)
{
    int64_t latitude = 0, longitude = 0, newest = INT64_MIN;
    const struct seen_visit *last = NULL;
    for (uint32_t i = 0; i < m->visit_count; i++) {
        int64_t day = day_of(record_value(&m->visits[i].record, VISIT_ENDED));
        if (day >= newest) {
            last = &m->visits[i];
            newest = day;
        }
    }
    bool found = last && (place_read(record_value(&last->record, VISIT_POSITION), &latitude, &longitude) ||
                          answered_place(m, last->row->interview, &latitude, &longitude));
    if (!found && !place_read(m->position, &latitude, &longitude))
        return ERR_OK;
    return place_put(m->st, m->root, m->house.area, m->house.level, latitude, longitude, d);
}

static enum err make(struct making *m, struct diag *d)
{
    enum err rc = cstore_line_records(m->st, m->a, m->root, &m->rows, &m->count, d);
    if (!rc)
        rc = house_read(m, d);
    if (!rc)
        rc = visits_read(m, d);
    if (!rc)
        rounds_count(m);
    if (!rc)
        rc = decisions_read(m, d);
    if (!rc)
        rc = leads_make(m, d);
    if (!rc && m->is_house)
        rc = house_make(m, d);
    if (!rc)
        visits_tally(m);
    if (!rc)
        rc = m->tallies.failed;
    if (!rc)
        rc = cstore_lines_drop(m->st, m->root, d);
    for (uint32_t i = 0; !rc && i < m->visit_count; i++)
        rc = visit_keep(m, &m->visits[i], d);
    for (uint32_t i = 0; !rc && i < m->leads.count; i++) {
        m->leads.at[i].area = m->house.area;
        m->leads.at[i].code = m->house.into_code.n ? m->house.into_code : m->house.code;
        m->leads.at[i].name = m->house.name;
        rc = cstore_lead_line_put(m->st, &m->leads.at[i], d);
    }
    if (!rc)
        rc = house_keep(m, d);
    return rc || !m->is_house ? rc : place_keep(m, d);
}

enum err lines_refresh(struct cstore *st, struct row_id root, struct lines_basis *basis, struct diag *d)
{
    struct arena a;
    struct lines_basis none = {0};
    struct making m = {.st = st, .a = &a, .basis = basis ? basis : &none, .root = root};
    if (row_id_none(root))
        return ERR_OK;
    arena_init(&a, LINES_MEMORY_MAX);
    buf_init(&m.tallies, 1u << 20);
    enum err rc = make(&m, d);
    buf_free(&m.tallies);
    arena_free(&a);
    lines_basis_free(&none);
    return rc == ERR_NOMEM ? diag_set(d, rc, "Out of memory while a household's lines were made.") : rc;
}

enum err lines_rebuild(struct desk *k, uint64_t *households_out, struct diag *d)
{
    struct lines_basis basis = {0};
    static const int kinds[] = {ROW_HOUSEHOLD, ROW_INTERVIEW};
    uint64_t done = 0;
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = cstore_lines_forget(k->st, d);
    for (int i = 0; !rc && i < 2; i++) {
        struct record_row *rows = NULL;
        uint32_t count = 0;
        uint64_t after = 0;
        do {
            struct arena_mark mark = arena_mark(k->a);
            rc = cstore_records(k->st, k->a, RECORDS_OF_KIND, (struct row_id){0}, kinds[i], after,
                                RECORDS_PAGE, &rows, &count, d);
            for (uint32_t r = 0; !rc && r < count; r++) {
                after = rows[r].number;
                if (kinds[i] == ROW_INTERVIEW && !row_id_none(rows[r].household))
                    continue;
                rc = lines_refresh(k->st, rows[r].row, &basis, d);
                desk_progress(k, ++done);
            }
            arena_release(k->a, mark);
        } while (!rc && count == RECORDS_PAGE);
    }
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    lines_basis_free(&basis);
    if (!rc)
        *households_out = done;
    return rc;
}
