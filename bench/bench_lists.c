/* The lists of a case, and how long their choices take.
 *
 * Choices are asked as a screen asks: the question is known, the filter follows the answers around it.
 */
#include "bench/bench.h"

#include <stdio.h>

#define CHOICES_SHOWN 100u

enum err bench_lists_prepare(struct bench_lists *l, const char *case_dir, const struct report *r,
                             struct diag *d)
{
    (void)r;
    (void)d;
    l->case_dir = case_dir;
    arena_init(&l->arena, (size_t)1 << 30);
    return ERR_OK;
}

static enum err resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct bench_lists *l = self;
    struct str name = uri;
    for (size_t i = 0; i < uri.n; i++)
        if (uri.p[i] == '/')
            name = str_sub(uri, i + 1, uri.n);
    return read_file(&l->arena, l->case_dir, name, bytes_out, d);
}

void bench_lists_host(struct bench_lists *l, struct session_host *host)
{
    host->self = l;
    host->resource = resource;
}

void bench_lists_free(struct bench_lists *l)
{
    arena_free(&l->arena);
}

static enum err time_choices(struct session *s, const char *ref, double *ms_out, uint32_t *total_out,
                             struct diag *d)
{
    struct arena a;
    struct place p;
    struct choice_view *choices;
    uint32_t count;
    arena_init(&a, (size_t)1 << 30);
    enum err rc = session_place(s, str_of(ref), &p, d);
    double before = wall_ms();
    if (!rc)
        rc = session_choices(s, p, 0, CHOICES_SHOWN, &a, &choices, &count, total_out, d);
    *ms_out = wall_ms() - before;
    arena_free(&a);
    return rc;
}

enum err bench_lists_choices(const struct form *form, const struct session_host *host, struct str script,
                             const struct report *r, struct diag *d)
{
    struct arena a;
    struct session *s = NULL;
    struct str rest = script, ref, value;
    double eq = 1e300, and3 = 1e300, ms;
    uint32_t line = 0, total = 0, seen = 0;
    arena_init(&a, (size_t)1 << 20);
    enum err rc = session_open(&a, &(struct session_options){.form = form, .host = host}, &s, d);
    while (!rc && script_line(&rest, &ref, &value)) {
        struct place p;
        rc = session_place(s, ref, &p, d);
        if (!rc)
            rc = session_answer(s, p, value, d);
        if (rc || ++line % 4 != 3)
            continue;
        rc = time_choices(s, "/data/village_a", &ms, &total, d);
        if (line == 3)
            report_number(r, "choices_first_ms", ms);
        eq = ms < eq ? ms : eq;
        seen += total;
        if (!rc)
            rc = time_choices(s, "/data/village_b", &ms, &total, d);
        and3 = ms < and3 ? ms : and3;
        seen += total;
    }
    if (!rc) {
        report_number(r, "choices_eq_ms_best", eq);
        report_number(r, "choices_and3_ms_best", and3);
        report_number(r, "check_choices_seen", seen);
    }
    session_close(s);
    arena_free(&a);
    return rc;
}
