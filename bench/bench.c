/* doorstep-bench CASE_DIR CASE BUDGET_S: replays the answer script of a generated case and prints what it
 * cost, one JSON line a metric.
 *
 * The first pass loads the form for the first time in this process; further passes load it again, until the
 * budget is used up. Of every answer the best pass counts; median and p99 are taken over the answers. An
 * answer is: set, check the constraint, compute every dependant. Finding the place of a reference and taking
 * the list of changes over to a store lie outside the clock.
 */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define MEMORY_MAX ((size_t)1 << 30)
#define REPEAT_EDITS 20
#define PASSES_MAX 40

struct bench {
    struct report report;
    struct session_host host;
    struct bench_lists lists;
    struct arena files;
    struct str xml, script;
    uint32_t answers;
    double *wall, *cpu; /* by answer: best of the passes, ms */
    double load_best, serialise_best;
    uint32_t passes;
};

struct opened {
    struct arena form_memory, memory;
    const struct form *form;
    struct session *session;
};

static int64_t now(void *self)
{
    (void)self;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum err chance(void *self, void *out, size_t n)
{
    (void)self;
    return getrandom(out, n, 0) == (ssize_t)n ? ERR_OK : ERR_IO;
}

bool script_line(struct str *rest, struct str *ref, struct str *value)
{
    struct str line, type;
    if (!str_split(rest, '\n', &line) || line.n == 0)
        return false;
    return str_split(&line, '\t', ref) && str_split(&line, '\t', &type) && str_split(&line, '\t', value);
}

/* --- one pass --- */

static enum err open_form(struct bench *b, struct opened *o, struct diag *d)
{
    struct form_findings findings = {0};
    arena_init(&o->form_memory, MEMORY_MAX);
    arena_init(&o->memory, MEMORY_MAX);
    enum err rc = form_load(&o->form_memory, b->xml, &o->form, &findings, d);
    struct session_options options = {.form = o->form, .host = &b->host};
    return rc ? rc : session_open(&o->memory, &options, &o->session, d);
}

static void close_form(struct opened *o)
{
    session_close(o->session);
    arena_free(&o->memory);
    arena_free(&o->form_memory);
    *o = (struct opened){0};
}

static enum err replay(struct bench *b, struct session *s, struct diag *d)
{
    struct str rest = b->script, ref, value;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && script_line(&rest, &ref, &value); i++) {
        struct place p;
        rc = session_place(s, ref, &p, d);
        if (rc)
            break;
        double wall = wall_ms(), cpu = thread_cpu_ms();
        rc = session_answer(s, p, value, d);
        cpu = thread_cpu_ms() - cpu;
        wall = wall_ms() - wall;
        session_changes_clear(s);
        b->wall[i] = wall < b->wall[i] ? wall : b->wall[i];
        b->cpu[i] = cpu < b->cpu[i] ? cpu : b->cpu[i];
        if (rc)
            fprintf(stderr, "%.*s = \"%.*s\": %s\n", STR_ARG(ref), STR_ARG(value), d->text);
    }
    return rc;
}

static enum err serialise(struct bench *b, struct session *s, struct diag *d)
{
    struct buf out;
    buf_init(&out, MEMORY_MAX);
    double before = wall_ms();
    enum err rc = session_xml(s, false, &out, d);
    double ms = wall_ms() - before;
    b->serialise_best = ms < b->serialise_best ? ms : b->serialise_best;
    buf_free(&out);
    return rc;
}

/* --- what the answers add up to --- */

static void check_value(struct bench *b, struct session *s, const char *metric, const char *ref)
{
    struct place p;
    if (session_place(s, str_of(ref), &p, NULL) == ERR_OK)
        report_text(&b->report, metric, session_value(s, p, NULL));
}

/* The last node of a numbered row, such as c999 of c0, c1, c2 ... */
static void check_last(struct bench *b, struct session *s, const char *metric, const char *before,
                       const char *after)
{
    char ref[64], last[64] = "";
    struct place p;
    for (unsigned i = 0;; i++) {
        snprintf(ref, sizeof(ref), "%s%u%s", before, i, after);
        if (session_place(s, str_of(ref), &p, NULL) != ERR_OK)
            break;
        memcpy(last, ref, sizeof(ref));
    }
    if (last[0])
        check_value(b, s, metric, last);
}

static void check_values(struct bench *b, struct session *s)
{
    static const char *const sums[] = {"n",          "sum_age", "n_adult", "max_age",
                                       "sum_income", "assets",  "mean_age"};
    check_last(b, s, "check_total", "/data/s", "/total");
    check_last(b, s, "check_last", "/data/c", "");
    for (size_t i = 0; i < sizeof(sums) / sizeof(*sums); i++) {
        char metric[40], ref[40];
        snprintf(metric, sizeof(metric), "check_%s", sums[i]);
        snprintf(ref, sizeof(ref), "/data/%s", sums[i]);
        check_value(b, s, metric, ref);
    }
    check_value(b, s, "check_vlabel", "/data/vlabel");
}

/* --- adding at the end, deleting in the middle --- */

static enum err edit_repeat(struct bench *b, struct session *s, struct diag *d)
{
    struct place parent, added, list;
    uint32_t repeat = 0;
    double add = 1e300, del = 1e300;
    if (session_place(s, STR("/data/member"), &list, NULL) != ERR_OK)
        return ERR_OK;
    enum err rc = session_place(s, STR("/data"), &parent, d);
    for (int i = 0; !rc && i < REPEAT_EDITS; i++) {
        double before = wall_ms();
        rc = session_repeat_add(s, parent, repeat, &added, d);
        double ms = wall_ms() - before;
        session_changes_clear(s);
        add = ms < add ? ms : add;
    }
    for (int i = 0; !rc && i < REPEAT_EDITS; i++) {
        struct place *all = NULL;
        struct arena a;
        arena_init(&a, MEMORY_MAX);
        uint32_t count = session_instances(s, parent, repeat, &a, &all);
        double before = wall_ms();
        rc = count ? session_repeat_remove(s, all[count / 2], d) : ERR_STATE;
        double ms = wall_ms() - before;
        session_changes_clear(s);
        del = ms < del ? ms : del;
        arena_free(&a);
    }
    if (rc)
        return rc;
    report_number(&b->report, "repeat_add_ms_best", add);
    report_number(&b->report, "repeat_delete_mid_ms_best", del);
    check_value(b, s, "check_n_after_edits", "/data/n");
    check_value(b, s, "check_sum_age_after_delete", "/data/sum_age");
    return ERR_OK;
}

/* --- all passes --- */

static enum err pass(struct bench *b, bool first, struct diag *d)
{
    struct opened o;
    double cpu = process_cpu_ms(), wall = wall_ms();
    enum err rc = open_form(b, &o, d);
    wall = wall_ms() - wall;
    cpu = process_cpu_ms() - cpu;
    b->load_best = wall < b->load_best ? wall : b->load_best;
    if (first && !rc) {
        report_number(&b->report, "load_ms_cold", wall);
        report_number(&b->report, "load_proc_cpu_ms_cold", cpu);
        report_number(&b->report, "rss_mb", rss_peak_mb());
    }
    if (!rc)
        session_changes_clear(o.session);
    if (!rc)
        rc = replay(b, o.session, d);
    if (first && !rc) {
        double heap_mb;
        if (live_heap_mb(&heap_mb))
            report_number(&b->report, "live_heap_mb", heap_mb);
        report_number(&b->report, "rss_after_answers_mb", rss_peak_mb());
        check_values(b, o.session);
    }
    for (int i = 0; i < 5 && !rc; i++)
        rc = serialise(b, o.session, d);
    if (first && !rc)
        rc = edit_repeat(b, o.session, d);
    if (first && !rc && form_resource_count(o.form))
        rc = bench_lists_choices(o.form, &b->host, b->script, &b->report, d);
    close_form(&o);
    b->passes += !rc;
    return rc;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report_percentiles(struct bench *b, double *ms, const char *median, const char *p99)
{
    if (b->answers == 0)
        return;
    qsort(ms, b->answers, sizeof(*ms), by_size);
    report_number(&b->report, median, ms[b->answers / 2] * 1e3);
    report_number(&b->report, p99, ms[(b->answers - 1) * 99 / 100] * 1e3);
}

static enum err read_case(struct bench *b, const char *dir, struct diag *d)
{
    struct str rest, ref, value;
    enum err rc = read_file(&b->files, dir, STR("form.xml"), &b->xml, d);
    if (!rc)
        rc = read_file(&b->files, dir, STR("script.tsv"), &b->script, d);
    for (rest = b->script; !rc && script_line(&rest, &ref, &value);)
        b->answers++;
    b->wall = ARENA_ARRAY(&b->files, double, b->answers + 1);
    b->cpu = ARENA_ARRAY(&b->files, double, b->answers + 1);
    if (!b->wall || !b->cpu)
        return diag_set(d, ERR_NOMEM, "There is no memory for the script.");
    for (uint32_t i = 0; i < b->answers; i++)
        b->wall[i] = b->cpu[i] = 1e300;
    return rc;
}

static enum err run(struct bench *b, const char *dir, double budget_s, struct diag *d)
{
    enum err rc = read_case(b, dir, d);
    if (!rc)
        rc = bench_lists_prepare(&b->lists, dir, b->xml, &b->report, d);
    if (rc)
        return rc;
    bench_lists_host(&b->lists, &b->host);
    double until = wall_ms() + budget_s * 1e3;
    rc = pass(b, true, d);
    while (!rc && wall_ms() < until && b->passes < PASSES_MAX)
        rc = pass(b, false, d);
    if (rc)
        return rc;
    report_number(&b->report, "load_ms_best", b->load_best);
    report_percentiles(b, b->wall, "answer_best_us_med", "answer_best_us_p99");
    report_percentiles(b, b->cpu, "answer_cpu_us_med", "answer_cpu_us_p99");
    report_number(&b->report, "answers_done", b->answers);
    report_number(&b->report, "passes", b->passes);
    report_number(&b->report, "serialise_ms_best", b->serialise_best);
    report_number(&b->report, "rss_end_mb", rss_peak_mb());
    return ERR_OK;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: doorstep-bench CASE_DIR CASE BUDGET_S\n"
                        "CASE_DIR holds form.xml and script.tsv (see bench/README.md).\n");
        return 2;
    }
    struct diag d = {0};
    struct bench b = {.report = {argv[2]},
                      .host = {.now_ms = now, .random = chance},
                      .load_best = 1e300,
                      .serialise_best = 1e300};
    arena_init(&b.files, ARENA_GIB(4));
    enum err rc = run(&b, argv[1], strtod(argv[3], NULL), &d);
    if (rc)
        fprintf(stderr, "doorstep-bench: %s\n", d.text);
    bench_lists_free(&b.lists);
    arena_free(&b.files);
    return rc ? 1 : 0;
}
