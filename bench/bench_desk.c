/* doorstep-bench-desk DIR COUNT: how long the centre's people wait. DIR is a county of `doorstepd init`; an
 * empty one is filled with COUNT households in 400 villages of 20 townships (imported as a register, four in
 * five assigned and visited, one in thirty with an alert). Then every question of server/work.h is asked on a
 * fresh connection: one JSON line each with the milliseconds of the first asking, and of the slowest of
 * twenty more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/bench.h"
#include "platform/base/civil.h"
#include "platform/posix/posix_seam.h"
#include "server/store_work.h"
#include "server/work.h"

#define VILLAGES 400
#define IN_ONE_TRANSACTION 500
#define DEVICE 77
#define TODAY 20773 /* 2026-11-16 */
#define AGAIN 20

struct filling {
    struct desk k;
    struct seam seam;
    struct arena a;
    uint64_t seq;
    uint32_t counter;
};

static void area_code(uint32_t i, char out[static 16])
{
    (void)snprintf(out, 16, "9901%02u%03u%03u", i % VILLAGES / 20 + 1, i % VILLAGES % 20 + 1, 1u);
}

static void code_of(uint32_t i, char out[static 16])
{
    (void)snprintf(out, 16, "H%06u", i);
}

/* ---- filling ---- */

static enum err register_import(struct filling *f, uint32_t count, struct diag *d)
{
    static const char *const names[] = {"张桂山", "王小红", "李文",   "陈倩",
                                        "赵大壮", "刘芳",   "杨树林", "周玲"};
    struct buf csv;
    struct import_result r;
    char area[16], code[16];
    buf_init(&csv, 64u << 20);
    buf_put_z(&csv, "code,area,name,address\n");
    for (uint32_t i = 0; i < count; i++) {
        area_code(i, area);
        code_of(i, code);
        buf_printf(&csv, "%s,%s,%s%u,%u组\n", code, area, names[i % 8], i % 97, i % 9 + 1);
    }
    double begun = wall_ms();
    enum err rc = import_households(&f->k, buf_str(&csv), false, &r, d);
    if (!rc)
        printf("{\"metric\":\"import_rows_per_s\",\"value\":%.0f}\n", count / (wall_ms() - begun) * 1000.0);
    buf_free(&csv);
    return rc;
}

static struct change said(struct filling *f, struct row_id row, uint32_t field, enum change_op op,
                          struct str value)
{
    return (struct change){.seq = ++f->seq,
                           .row = row,
                           .field = field,
                           .op = op,
                           .person = 1,
                           .role = ROLE_CADRE,
                           .hlc = (int64_t)(TODAY - 8) * 86400000LL << 16,
                           .value = value};
}

static struct str birth_text(struct arena *a, enum row_kind kind, struct row_id parent)
{
    struct buf b;
    const struct row_birth birth = {.kind = kind, .parent = parent};
    buf_init(&b, 256);
    struct str s = row_birth_write(&b, &birth) ? STR_NONE : arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static struct row_id row_next(struct filling *f)
{
    return (struct row_id){DEVICE, 1, ++f->counter};
}

static enum err visit_make(struct filling *f, uint32_t i, struct diag *d)
{
    static const char *const levels[] = {"none", "none", "blue", "yellow", "none", "unknown", "red", "none"};
    struct record_row *rows = NULL;
    uint32_t count = 0, n = 0;
    char code[16], ended[40];
    struct change c[16];
    int64_t hlc[16];
    struct civil at = civil_at((int64_t)(TODAY - i % 40) * 86400000LL, zone_utc());
    struct cases cases = {.st = f->k.st, .a = &f->a};
    code_of(i, code);
    enum err rc = cstore_records_coded(f->k.st, &f->a, ROW_HOUSEHOLD, str_of(code), &rows, &count, d);
    if (rc || !count)
        return rc ? rc : ERR_NOT_FOUND;
    struct str level = str_of(levels[i % 8]);
    struct row_id interview = row_next(f), visit = row_next(f), finding = row_next(f);
    const struct str when = {ended, civil_write(&at, ended)};
    c[n++] = said(f, interview, 0, CHANGE_ROW_CREATE, birth_text(&f->a, ROW_INTERVIEW, rows[0].row));
    c[n++] = said(f, visit, 0, CHANGE_ROW_CREATE, birth_text(&f->a, ROW_VISIT, interview));
    c[n++] = said(f, visit, VISIT_TYPE, CHANGE_SET, STR("monitoring"));
    c[n++] = said(f, visit, VISIT_ENDED, CHANGE_SET, when);
    c[n++] = said(f, visit, VISIT_LEVEL, CHANGE_SET, level);
    if (!str_eq_z(level, "none")) {
        c[n++] = said(f, finding, 0, CHANGE_ROW_CREATE, birth_text(&f->a, ROW_FINDING, visit));
        c[n++] = said(f, finding, FINDING_RULE, CHANGE_SET, i % 3 ? STR("MED01") : STR("INC01"));
        c[n++] = said(f, finding, FINDING_SEVERITY, CHANGE_SET, level);
        c[n++] = said(f, finding, FINDING_STATE, CHANGE_SET,
                      str_eq_z(level, "unknown") ? STR("unknown") : STR("hit"));
    }
    c[n++] = said(f, visit, 0, CHANGE_FINALISE, STR(""));
    for (uint32_t k = 0; k < n; k++)
        hlc[k] = c[k].hlc;
    const struct submission_row s = {.visit = visit,
                                     .form_id = STR("household_monitoring"),
                                     .instance_id = STR(""),
                                     .xml = STR(""),
                                     .xml_matches = true,
                                     .statuses = STR(""),
                                     .device = DEVICE,
                                     .inc = 1,
                                     .person = 1};
    uint64_t seq = ++cstore_counters(f->k.st)->server_seq;
    rc = cases_apply(&cases, (struct case_author){DEVICE, 1}, c, hlc, n, seq, d);
    if (!rc)
        rc = cstore_submission_put(f->k.st, &s, d);
    return rc ? rc : cases_lines(&cases, d);
}

static enum err visits_make(struct filling *f, uint32_t count, struct diag *d)
{
    enum err rc = ERR_OK;
    double begun = wall_ms();
    for (uint32_t i = 0; !rc && i < count; i += IN_ONE_TRANSACTION) {
        rc = cstore_begin(f->k.st, d);
        for (uint32_t k = i; !rc && k < count && k < i + IN_ONE_TRANSACTION; k++) {
            struct arena_mark mark = arena_mark(&f->a);
            rc = k % 5 ? visit_make(f, k, d) : ERR_OK;
            arena_release(&f->a, mark);
        }
        if (!rc)
            rc = cstore_commit(f->k.st, d);
        cstore_rollback(f->k.st);
    }
    if (!rc)
        printf("{\"metric\":\"visits_applied_per_s\",\"value\":%.0f}\n",
               count * 0.8 / (wall_ms() - begun) * 1000.0);
    return rc;
}

static enum err alerts_import(struct filling *f, uint32_t count, struct diag *d)
{
    struct buf csv;
    struct import_result r;
    char code[16];
    buf_init(&csv, 64u << 20);
    buf_put_z(&csv, "household,source,opened,med_self\n");
    for (uint32_t i = 0; i < count; i += 30) {
        code_of(i, code);
        buf_printf(&csv, "%s,医保局,2026-11-%02u,23000\n", code, i / 30 % 15 + 1);
    }
    enum err rc = import_leads(&f->k, buf_str(&csv), false, &r, d);
    buf_free(&csv);
    return rc;
}

static enum err fill(struct filling *f, uint32_t count, struct diag *d)
{
    struct person who;
    uint32_t changed = 0;
    enum err rc = register_import(f, count, d);
    if (!rc)
        rc = cstore_begin(f->k.st, d);
    if (!rc)
        rc = people_take(f->k.st, STR("李文"), ROLE_CADRE, STR("9901"), 1, &who, d);
    if (!rc)
        rc = cstore_commit(f->k.st, d);
    cstore_rollback(f->k.st);
    double begun = wall_ms();
    if (!rc)
        rc = assign_area(&f->k, STR("9901"), who.person, STR("2026-11-20"), &changed, d);
    if (!rc)
        printf("{\"metric\":\"assigned_per_s\",\"value\":%.0f}\n", changed / (wall_ms() - begun) * 1000.0);
    if (!rc)
        rc = visits_make(f, count, d);
    return rc ? rc : alerts_import(f, count, d);
}

/* ---- asking ---- */

struct asking {
    struct filling *f;
    struct work_ask q;
    enum work_queue queue;
    struct str after;
};
typedef enum err asked(struct asking *x, struct diag *d);

static enum err ask_overview(struct asking *x, struct diag *d)
{
    struct work_overview o;
    return work_overview(&x->q, &o, d);
}

static enum err ask_areas(struct asking *x, struct diag *d)
{
    struct work_area *list;
    uint32_t n;
    return work_areas(&x->q, 6, &list, &n, d);
}

static enum err ask_causes(struct asking *x, struct diag *d)
{
    struct work_cause *list;
    uint32_t n;
    return work_causes(&x->q, &list, &n, d);
}

static enum err ask_queue(struct asking *x, struct diag *d)
{
    struct work_item *list;
    uint32_t n;
    enum err rc = work_queue_page(&x->q, x->queue, x->after, 50, &list, &n, d);
    if (!rc && n)
        x->after = list[n - 1].key;
    return rc;
}

static enum err ask_search(struct asking *x, struct diag *d)
{
    struct work_household *list;
    uint32_t n;
    return work_search(&x->q, STR("张"), STR(""), 50, &list, &n, d);
}

static enum err ask_code(struct asking *x, struct diag *d)
{
    struct work_household *list;
    uint32_t n;
    return work_search(&x->q, STR("H0123"), STR(""), 50, &list, &n, d);
}

static enum err ask_history(struct asking *x, struct diag *d)
{
    struct work_household h;
    struct work_change *list;
    uint32_t n;
    enum err rc = work_household_of(&x->q, STR("H000000"), &h, d);
    return rc ? rc : work_history(&x->q, h.row, STR(""), 50, &list, &n, d);
}

static enum err ask_household(struct asking *x, struct diag *d)
{
    struct work_household h;
    struct work_visit *list;
    uint32_t n;
    enum err rc = work_household_of(&x->q, STR("H000000"), &h, d);
    return rc ? rc : work_visits(&x->q, h.row, &list, &n, d);
}

static enum err measure(struct filling *f, const char *dir, const char *what, const char *whom, asked *ask,
                        struct asking *x, struct diag *d)
{
    double slowest = 0, first = 0;
    enum err rc = centre_store_open(&f->seam, dir, &f->k.st, d);
    x->q.st = f->k.st;
    for (int i = 0; !rc && i <= AGAIN; i++) {
        double begun = wall_ms();
        rc = ask(x, d);
        double ms = wall_ms() - begun;
        first = i ? first : ms;
        slowest = i && ms > slowest ? ms : slowest;
    }
    cstore_close(f->k.st);
    if (!rc)
        printf("{\"metric\":\"%s\",\"whom\":\"%s\",\"first_ms\":%.2f,\"slowest_ms\":%.2f}\n", what, whom,
               first, slowest);
    return rc;
}

static enum err ask_all(struct filling *f, const char *dir, struct diag *d)
{
    static const struct {
        const char *what;
        asked *ask;
    } asks[] = {{"overview", ask_overview},  {"areas", ask_areas},      {"causes", ask_causes},
                {"search_name", ask_search}, {"search_code", ask_code}, {"household", ask_household},
                {"history", ask_history}};
    static const struct {
        const char *whom, *area;
        uint8_t role;
    } people[] = {{"county", "", ROLE_COUNTY},
                  {"township", "990103", ROLE_SUPERVISOR},
                  {"village", "990101001001", ROLE_CADRE}};
    enum err rc = ERR_OK;
    for (size_t p = 0; !rc && p < sizeof people / sizeof people[0]; p++) {
        struct asking x = {.f = f};
        x.q = (struct work_ask){.a = &f->a,
                                .area = str_of(people[p].area),
                                .person = 1,
                                .role = people[p].role,
                                .today = TODAY,
                                .now_ms = TODAY * 86400000LL};
        for (size_t i = 0; !rc && i < sizeof asks / sizeof asks[0]; i++) {
            if (i >= 5 && p == 1)
                continue; /* H000000 is of another township */
            rc = measure(f, dir, asks[i].what, people[p].whom, asks[i].ask, &x, d);
        }
        for (int which = 0; !rc && which < WORK_QUEUES; which++) {
            char name[40];
            (void)snprintf(name, sizeof name, "queue_%s", work_queue_name((enum work_queue)which));
            x.queue = (enum work_queue)which;
            x.after = STR("");
            x.q.role = which == QUEUE_MINE ? ROLE_CADRE : people[p].role;
            rc = measure(f, dir, name, people[p].whom, ask_queue, &x, d);
        }
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct filling f = {0};
    struct diag d = {0};
    struct posix_options po = {0};
    struct centre_counts n = {0};
    struct counters now;
    uint64_t count = 0;
    struct rusage use = {0};
    if (argc != 3 || !str_to_u64(str_of(argv[2]), &count) || count > 10000000) {
        fputs("usage: doorstep-bench-desk DIR COUNT\n", stderr);
        return 2;
    }
    arena_init(&f.a, 1024u << 20);
    enum err rc = posix_seam_open(&po, &f.seam, &d);
    if (!rc)
        rc = crypto_init(&d);
    if (!rc)
        rc = centre_store_open(&f.seam, argv[1], &f.k.st, &d);
    f.k.seam = &f.seam;
    f.k.a = &f.a;
    if (!rc)
        rc = cstore_county(f.k.st, &f.a, NULL, &f.k.epoch, &now, &d);
    if (!rc)
        rc = cstore_counts(f.k.st, &n, &d);
    if (!rc && n.households == 0)
        rc = fill(&f, (uint32_t)count, &d);
    cstore_close(f.k.st);
    if (!rc)
        rc = ask_all(&f, argv[1], &d);
    (void)getrusage(RUSAGE_SELF, &use);
    printf("{\"metric\":\"peak_kib\",\"value\":%ld}\n", use.ru_maxrss);
    if (rc)
        fprintf(stderr, "%s\n", d.text);
    arena_free(&f.a);
    posix_seam_close(&f.seam);
    return rc ? 1 : 0;
}
