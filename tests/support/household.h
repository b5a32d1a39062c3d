/* A household for tests: the example form and pack, a session filled from a script of answers, and its
 * judgement. Scripts are those of examples/README.md; whatever a script may not say stops the test, because a
 * case that was not set up proves nothing. */
#ifndef TESTS_SUPPORT_HOUSEHOLD_H
#define TESTS_SUPPORT_HOUSEHOLD_H

#include <stdio.h>
#include <stdlib.h>

#include "forms/session.h"
#include "risk/judge.h"
#include "tests/support/unit.h"

/* 2026-11-23T08:00Z */
#define HOUSEHOLD_NOW_MS INT64_C(1795420800000)

static inline struct str read_whole(struct arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot read %s", path);
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *p = arena_alloc(a, (size_t)n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, (size_t)n, f), n);
    fclose(f);
    return (struct str){p, (size_t)n};
}

struct household_host {
    struct session_host host;
    int64_t now_ms;
    struct str villages;
};

static inline int64_t household_now(void *self)
{
    return ((struct household_host *)self)->now_ms;
}

static inline enum err household_resource(void *self, struct str uri, struct str *out, struct diag *d)
{
    (void)d;
    if (!str_eq_z(uri, "jr://file-csv/villages.csv"))
        return ERR_NOT_FOUND;
    *out = ((struct household_host *)self)->villages;
    return ERR_OK;
}

static inline enum err household_random(void *self, void *out, size_t n)
{
    (void)self;
    memset(out, 7, n);
    return ERR_OK;
}

struct household {
    struct arena arena;
    struct household_host host;
    const struct form *form;
    struct session *session, *prev;
};

static inline void household_load(struct household *h)
{
    struct form_findings findings = {0};
    struct diag d = {0};
    *h = (struct household){.host = {.now_ms = HOUSEHOLD_NOW_MS}};
    arena_init(&h->arena, 512u << 20);
    struct str xml = read_whole(&h->arena, DS_SOURCE_DIR "/examples/monitoring.xform.xml");
    h->host.villages = read_whole(&h->arena, DS_SOURCE_DIR "/examples/villages.csv");
    h->host.host = (struct session_host){.self = &h->host,
                                         .now_ms = household_now,
                                         .resource = household_resource,
                                         .random = household_random};
    enum err rc = form_load(&h->arena, xml, &h->form, &findings, &d);
    for (uint32_t i = 0; i < findings.list.count; i++)
        print_error("%u: %.*s: %.*s\n", findings.list.at[i].line, STR_ARG(findings.list.at[i].node),
                    STR_ARG(findings.list.at[i].text));
    if (rc || findings.list.count)
        fail_msg("the example form does not load: %s", d.text);
}

static inline struct place place_at(struct session *s, struct str ref)
{
    struct place p;
    struct diag d = {0};
    if (session_place(s, ref, &p, &d))
        fail_msg("%s", d.text);
    return p;
}

static inline void answer(struct session *s, struct str ref, struct str value)
{
    struct diag d = {0};
    if (session_answer(s, place_at(s, ref), value, &d))
        fail_msg("%.*s := %.*s: %s", STR_ARG(ref), STR_ARG(value), d.text);
}

static inline void answer_z(struct session *s, const char *ref, const char *value)
{
    answer(s, str_of(ref), str_of(value));
}

static inline void run_command(const struct form *form, struct session *s, struct str name, struct str rest)
{
    struct str ref, status;
    struct place added;
    struct diag d = {0};
    str_split(&rest, '\t', &ref);
    if (str_eq_z(name, "@add")) {
        uint32_t repeat = 0;
        while (repeat < form_repeat_count(form) && !str_eq(form_repeat(form, repeat)->path, ref))
            repeat++;
        if (session_repeat_add(s, place_at(s, STR("/monitoring")), repeat, &added, &d))
            fail_msg("%s", d.text);
    } else if (str_eq_z(name, "@remove")) {
        assert_int_equal(session_repeat_remove(s, place_at(s, ref), &d), ERR_OK);
    } else if (str_eq_z(name, "@status")) {
        str_split(&rest, '\t', &status);
        enum answer_status value = str_eq_z(status, "refused") ? ANSWER_REFUSED : ANSWER_DONT_KNOW;
        assert_int_equal(session_answer_status(s, place_at(s, ref), value, &d), ERR_OK);
    } else if (!str_eq_z(name, "@language") && !str_eq_z(name, "@judgement")) {
        fail_msg("no such command: %.*s", STR_ARG(name));
    }
}

static inline void run_script(const struct form *form, struct session *s, struct str script)
{
    struct str line, ref;
    while (str_split(&script, '\n', &line)) {
        if (line.n == 0 || line.p[0] == '#')
            continue;
        str_split(&line, '\t', &ref);
        if (ref.p[0] == '@')
            run_command(form, s, ref, line);
        else
            answer(s, ref, line);
    }
}

static inline struct session *new_session(struct household *h)
{
    struct session_options o = {.form = h->form, .host = &h->host.host, .row_key_next = 1};
    struct session *s = NULL;
    struct diag d = {0};
    if (session_open(&h->arena, &o, &s, &d))
        fail_msg("%s", d.text);
    return s;
}

static inline struct session *session_of_script(struct household *h, const char *path)
{
    struct session *s = new_session(h);
    run_script(h->form, s, read_whole(&h->arena, path));
    return s;
}

/* A further visit: everything of the earlier one under the same row keys, what is fresh left out. */
static inline struct session *session_after(struct household *h, struct session *earlier)
{
    struct buf xml;
    struct saved_interview saved = {0};
    struct session *s = NULL;
    struct diag d = {0};
    buf_init(&xml, 16u << 20);
    assert_int_equal(session_xml(earlier, true, &xml, &d), ERR_OK);
    assert_int_equal(submission_read(&h->arena, h->form, buf_str(&xml), 1, &saved, &d), ERR_OK);
    buf_free(&xml);
    struct session_options o = {.form = h->form,
                                .host = &h->host.host,
                                .revisit = true,
                                .rows = saved.rows,
                                .row_count = saved.row_count,
                                .cells = saved.cells,
                                .cell_count = saved.cell_count,
                                .row_key_next = 1000};
    if (session_open(&h->arena, &o, &s, &d))
        fail_msg("%s", d.text);
    return s;
}

static inline void household_close(struct household *h)
{
    session_close(h->session);
    session_close(h->prev);
    h->session = h->prev = NULL;
}

static inline const struct pack *pack_of(struct household *h, struct str json)
{
    const struct pack *p = NULL;
    struct form_findings findings = {0};
    struct diag d = {0};
    enum err rc = pack_load(&h->arena, json, h->form, &p, &findings, &d);
    for (uint32_t i = 0; rc && i < findings.list.count; i++)
        print_error("%u: %.*s: %.*s\n", findings.list.at[i].line, STR_ARG(findings.list.at[i].node),
                    STR_ARG(findings.list.at[i].text));
    if (rc)
        fail_msg("the pack does not load: %s", d.text);
    return p;
}

static inline const struct pack *example_pack(struct household *h)
{
    return pack_of(h, read_whole(&h->arena, DS_SOURCE_DIR "/examples/pack.cn.json"));
}

static inline const struct finding *finding_of(const struct judgement *j, const char *rule)
{
    for (uint32_t i = 0; i < j->count; i++)
        if (str_eq_z(j->findings[i].rule, rule))
            return &j->findings[i];
    return NULL;
}

#endif
