/* doorstep-bench-risk FORM PACK ANSWERS [COUNT]: what judging costs. The script is run with a judge beside it
 * that is touched after every line, as at the door; then the finished household is judged whole COUNT times,
 * and COUNT times over from its saved answers, as a centre replays it. One JSON line a metric; of every touch
 * the best of twenty passes, of the others the best of ten batches.
 */
#include "agent/script.h"
#include "bench/bench.h"
#include "platform/base/civil.h"
#include "risk/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOUCHES_MAX 10000
#define BATCHES 10
#define PASSES 20 /* of the script */

struct stopwatch {
    struct arena a, line;
    const struct form *form;
    const struct pack *pack;
    struct judge *judge;
    struct judge_input in;
    char folder[4096];            /* of the form */
    double touch_us[TOUCHES_MAX]; /* the best of all passes */
    bool anew[TOUCHES_MAX];       /* somebody came or left: everything was judged */
    uint32_t touches, pass;
    uint64_t judged;
};

static int64_t now_ms(void *self)
{
    (void)self;
    return INT64_C(1795420800000); /* 2026-11-23T08:00Z */
}

static enum err random_bytes(void *self, void *out, size_t n)
{
    (void)self;
    memset(out, 7, n);
    return ERR_OK;
}

/* The village list lies beside the form. */
static enum err resource(void *self, struct str uri, struct str *out, struct diag *d)
{
    struct stopwatch *w = self;
    size_t name = uri.n;
    while (name > 0 && uri.p[name - 1] != '/')
        name--;
    return read_file(&w->a, w->folder, str_sub(uri, name, uri.n), out, d);
}

static enum err touch(void *self, struct diag *d)
{
    struct stopwatch *w = self;
    uint32_t again = 0;
    double from = wall_ms();
    enum err rc = judge_touch(w->judge, &again, d);
    double us = (wall_ms() - from) * 1000;
    if (w->touches < TOUCHES_MAX) {
        double *best = &w->touch_us[w->touches];
        *best = w->pass == 0 || us < *best ? us : *best;
        w->anew[w->touches++] = again == pack_check_count(w->pack);
    }
    w->judged += again;
    return rc;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum err whole(struct stopwatch *w, uint32_t count, double *us_out, struct diag *d)
{
    double from = wall_ms();
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct arena_mark mark = arena_mark(&w->line);
        struct judgement out;
        rc = judge_household(&w->line, w->pack, &w->in, &out, d);
        arena_release(&w->line, mark);
    }
    *us_out = (wall_ms() - from) * 1000 / count;
    return rc;
}

static enum err replay(struct stopwatch *w, const struct saved_interview *saved,
                       const struct session_host *host, uint32_t count, double *us_out, struct diag *d)
{
    struct session_options o = {.form = w->form,
                                .host = host,
                                .frozen = true,
                                .rows = saved->rows,
                                .row_count = saved->row_count,
                                .cells = saved->cells,
                                .cell_count = saved->cell_count,
                                .row_key_next = saved->row_count + 1};
    double from = wall_ms();
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct arena_mark mark = arena_mark(&w->line);
        struct judge_input in = w->in;
        struct judgement out;
        in.now = NULL;
        rc = session_open(&w->line, &o, &in.now, d);
        if (!rc)
            rc = judge_household(&w->line, w->pack, &in, &out, d);
        session_close(in.now);
        arena_release(&w->line, mark);
    }
    *us_out = (wall_ms() - from) * 1000 / count;
    return rc;
}

static enum err script(struct stopwatch *w, const char *path, struct diag *d)
{
    struct str text;
    struct script s = {
        .form = w->form, .session = w->in.now, .a = &w->a, .file = path, .self = w, .after_line = touch};
    enum err rc = judge_open(&w->a, w->pack, &w->in, &w->judge, d);
    if (!rc)
        rc = read_file(&w->a, ".", str_of(path), &text, d);
    return rc ? rc : script_run(&s, text, d);
}

/* Answers, and lines that bring or take a person, apart. */
static void report_touches(struct stopwatch *w, const struct report *r)
{
    double list[TOUCHES_MAX];
    for (int anew = 0; anew < 2; anew++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < w->touches; i++)
            if (w->anew[i] == (anew == 1))
                list[n++] = w->touch_us[i];
        if (n == 0)
            continue;
        qsort(list, n, sizeof *list, ascending);
        report_number(r, anew ? "person_added_us_median" : "touch_us_median", list[n / 2]);
        report_number(r, anew ? "person_added_us_max" : "touch_us_p99",
                      anew ? list[n - 1] : list[n * 99 / 100]);
        if (!anew)
            report_number(r, "touch_us_max", list[n - 1]);
    }
}

static enum err measure(struct stopwatch *w, const struct session_host *host, const struct report *r,
                        uint32_t count, struct diag *d)
{
    struct saved_interview saved = {0};
    struct buf xml;
    double full = 1e9, again = 1e9, us;
    buf_init(&xml, 16u << 20);
    enum err rc = session_xml(w->in.now, true, &xml, d);
    if (!rc)
        rc = submission_read(&w->a, w->form, buf_str(&xml), 1, &saved, d);
    for (int i = 0; !rc && i < BATCHES; i++) {
        rc = whole(w, count / BATCHES + 1, &us, d);
        full = us < full ? us : full;
    }
    for (int i = 0; !rc && i < BATCHES; i++) {
        rc = replay(w, &saved, host, count / BATCHES + 1, &us, d);
        again = us < again ? us : again;
    }
    buf_free(&xml);
    if (rc)
        return rc;
    report_number(r, "touches", w->touches);
    report_number(r, "checks_judged_a_touch", (double)w->judged / w->touches / PASSES);
    report_touches(w, r);
    report_number(r, "full_us", full);
    report_number(r, "replay_us", again);
    report_number(r, "replay_households_a_minute", 60e6 / again);
    report_number(r, "rss_mb", rss_peak_mb());
    return ERR_OK;
}

int main(int argc, char **argv)
{
    static struct stopwatch w;
    const struct session_host host = {.self = &w,
                                      .now_ms = now_ms,
                                      .random = random_bytes,
                                      .resource = resource};
    struct form_findings findings = {0};
    struct diag d = {0};
    struct str xml, json;
    if (argc < 4) {
        fprintf(stderr, "usage: doorstep-bench-risk FORM PACK ANSWERS [COUNT]\n");
        return 2;
    }
    struct report r = {argv[3]};
    const char *slash = strrchr(argv[1], '/');
    snprintf(w.folder, sizeof(w.folder), "%.*s", slash ? (int)(slash - argv[1]) : 1, slash ? argv[1] : ".");
    arena_init(&w.a, (size_t)1 << 30);
    arena_init(&w.line, (size_t)256 << 20);
    enum err rc = read_file(&w.a, ".", str_of(argv[1]), &xml, &d);
    if (!rc)
        rc = form_load(&w.a, xml, &w.form, &findings, &d);
    if (!rc)
        rc = read_file(&w.a, ".", str_of(argv[2]), &json, &d);
    if (!rc)
        rc = pack_load(&w.a, json, w.form, &w.pack, &findings, &d);
    w.in = (struct judge_input){.area = STR("990101001201"), .today = now_ms(NULL) / 86400000};
    struct session_options o = {.form = w.form, .host = &host, .row_key_next = 1};
    for (w.pass = 0; !rc && w.pass < PASSES; w.pass++) {
        judge_close(w.judge);
        session_close(w.in.now);
        w.judge = NULL;
        w.in.now = NULL;
        w.touches = 0;
        rc = session_open(&w.a, &o, &w.in.now, &d);
        if (!rc)
            rc = script(&w, argv[3], &d);
    }
    if (!rc)
        rc = measure(&w, &host, &r, argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 2000, &d);
    if (rc)
        fprintf(stderr, "doorstep-bench-risk: %s\n", d.text);
    judge_close(w.judge);
    session_close(w.in.now);
    arena_free(&w.line);
    arena_free(&w.a);
    return rc ? 1 : 0;
}
