/* An interview in a test: a form written as text, answers by path, a clock that stands still and chance that
 * counts. */
#ifndef TESTS_SUPPORT_FORMS_H
#define TESTS_SUPPORT_FORMS_H

#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "forms/limits.h"
#include "forms/session.h"

struct interview {
    struct arena a;
    const struct form *form;
    struct session *s;
    struct session_host host;
    uint64_t work_max; /* 0 = as an interview has it */
    struct form_findings findings;
    struct diag d;
    unsigned char chance;
    const char *list_uri, *list; /* one external list */
};

static int64_t interview_now(void *self)
{
    (void)self;
    return INT64_C(1795437711000); /* 2026-11-23T12:41:51Z */
}

static enum err interview_random(void *self, void *out, size_t n)
{
    struct interview *v = self;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)out)[i] = v->chance += 11;
    return ERR_OK;
}

static struct str interview_property(void *self, struct str name)
{
    (void)self;
    return str_eq_z(name, "deviceid") ? STR("handheld-7") : STR("");
}

static enum err interview_resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    const struct interview *v = self;
    if (!v->list_uri || !str_eq_z(uri, v->list_uri))
        return diag_set(d, ERR_NOT_FOUND, "no such list");
    *bytes_out = str_of(v->list);
    return ERR_OK;
}

/* A form from its model (instance, binds, itext) and its body. */
static inline struct str form_text(struct arena *a, const char *model, const char *body)
{
    struct buf b;
    buf_init(&b, 1u << 24);
    buf_put_z(&b, "<h:html xmlns=\"http://www.w3.org/2002/xforms\" xmlns:h=\"http://www.w3.org/1999/xhtml\""
                  " xmlns:jr=\"http://openrosa.org/javarosa\" xmlns:orx=\"http://openrosa.org/xforms\""
                  " xmlns:odk=\"http://www.opendatakit.org/xforms\" xmlns:ds=\"urn:doorstep:xforms:1\">"
                  "<h:head><h:title>Test</h:title><model>");
    buf_put_z(&b, model);
    buf_put_z(&b, "</model></h:head><h:body>");
    buf_put_z(&b, body);
    buf_put_z(&b, "</h:body></h:html>");
    struct str out = arena_str(a, buf_str(&b));
    buf_free(&b);
    return out;
}

static inline void interview_init(struct interview *v)
{
    *v = (struct interview){0};
    arena_init(&v->a, 1u << 28);
    v->host = (struct session_host){.self = v,
                                    .now_ms = interview_now,
                                    .random = interview_random,
                                    .property = interview_property,
                                    .resource = interview_resource};
}

static inline enum err interview_form(struct interview *v, struct str xml)
{
    diag_clear(&v->d);
    return form_load(&v->a, xml, &v->form, &v->findings, &v->d);
}

static inline void interview_begin(struct interview *v)
{
    struct session_options o = {.form = v->form,
                                .host = &v->host,
                                .row_key_next = 1,
                                .language = form_language_default(v->form),
                                .work_max = v->work_max};
    diag_clear(&v->d);
    if (session_open(&v->a, &o, &v->s, &v->d))
        fail_msg("the interview does not open: %s", v->d.text);
}

static inline void interview_load(struct interview *v, const char *model, const char *body)
{
    if (interview_form(v, form_text(&v->a, model, body)))
        fail_msg("the form does not load: %s", v->d.text);
    interview_begin(v);
}

static inline void interview_open(struct interview *v, const char *model, const char *body)
{
    interview_init(v);
    interview_load(v, model, body);
}

static inline void interview_close(struct interview *v)
{
    session_close(v->s);
    arena_free(&v->a);
}

static inline struct place at(struct interview *v, const char *ref)
{
    struct place p = {0};
    diag_clear(&v->d);
    if (session_place(v->s, str_of(ref), &p, &v->d))
        fail_msg("%s", v->d.text);
    return p;
}

static inline bool is_there(struct interview *v, const char *ref)
{
    struct place p;
    struct diag d = {0};
    return session_place(v->s, str_of(ref), &p, &d) == ERR_OK;
}

static inline enum err try_answer(struct interview *v, const char *ref, const char *value)
{
    struct place p = at(v, ref);
    diag_clear(&v->d);
    return session_answer(v->s, p, str_of(value), &v->d);
}

static inline void answer(struct interview *v, const char *ref, const char *value)
{
    if (try_answer(v, ref, value))
        fail_msg("%s = \"%s\" was refused: %s", ref, value, v->d.text);
}

static inline const char *value_of(struct interview *v, const char *ref)
{
    return arena_z(&v->a, session_value(v->s, at(v, ref), NULL));
}

static inline bool applies(struct interview *v, const char *ref)
{
    bool relevant = false;
    session_value(v->s, at(v, ref), &relevant);
    return relevant;
}

static inline struct question_view view(struct interview *v, const char *ref)
{
    struct question_view q = {0};
    if (session_view(v->s, at(v, ref), &v->a, &q, &v->d))
        fail_msg("%s", v->d.text);
    return q;
}

static inline const char *text(struct interview *v, struct str s)
{
    return arena_z(&v->a, s);
}

static inline struct place add(struct interview *v, const char *parent, const char *repeat)
{
    struct place p = {0};
    uint32_t r = 0;
    while (r < form_repeat_count(v->form) && !str_eq_z(form_repeat(v->form, r)->path, repeat))
        r++;
    diag_clear(&v->d);
    if (session_repeat_add(v->s, at(v, parent), r, &p, &v->d))
        fail_msg("%s", v->d.text);
    return p;
}

static inline void drop(struct interview *v, const char *ref)
{
    struct place p = at(v, ref);
    diag_clear(&v->d);
    if (session_repeat_remove(v->s, p, &v->d))
        fail_msg("%s", v->d.text);
}

static inline const char *xml(struct interview *v, bool draft)
{
    struct buf b;
    buf_init(&b, 1u << 26);
    if (session_xml(v->s, draft, &b, &v->d))
        fail_msg("%s", v->d.text);
    const char *out = arena_z(&v->a, buf_str(&b));
    buf_free(&b);
    return out;
}

/* What the store would have after all changes so far. */
static inline void interview_resume(struct interview *v, struct saved_row *rows, uint32_t row_count,
                                    struct saved_cell *cells, uint32_t cell_count)
{
    struct session_options o = {.form = v->form,
                                .host = &v->host,
                                .resume = true,
                                .rows = rows,
                                .row_count = row_count,
                                .cells = cells,
                                .cell_count = cell_count,
                                .row_key_next = 1,
                                .language = form_language_default(v->form)};
    session_close(v->s);
    v->s = NULL;
    diag_clear(&v->d);
    if (session_open(&v->a, &o, &v->s, &v->d))
        fail_msg("the interview does not resume: %s", v->d.text);
}

/* Keeps what session_changes reports, as a store does. */
struct kept {
    VEC(struct saved_row) rows;
    VEC(struct saved_cell) cells;
};

static inline void keep_changes(struct interview *v, struct kept *k)
{
    const struct session_change *list;
    uint32_t count = session_changes(v->s, &list);
    for (uint32_t i = 0; i < count; i++) {
        const struct session_change *c = &list[i];
        if (c->op == SESSION_ROW_ADD) {
            struct saved_row *r = vec_push(&v->a, &k->rows);
            *r = (struct saved_row){c->key, c->parent_key, c->repeat, c->order};
            continue;
        }
        if (c->op == SESSION_ROW_REMOVE) {
            uint32_t rows = 0, cells = 0; /* order stays: parents before children */
            for (uint32_t n = 0; n < k->rows.count; n++)
                if (k->rows.at[n].key != c->key)
                    k->rows.at[rows++] = k->rows.at[n];
            for (uint32_t n = 0; n < k->cells.count; n++)
                if (k->cells.at[n].key != c->key)
                    k->cells.at[cells++] = k->cells.at[n];
            k->rows.count = rows;
            k->cells.count = cells;
            continue;
        }
        uint32_t n = 0;
        while (n < k->cells.count && (k->cells.at[n].key != c->key || k->cells.at[n].field != c->field))
            n++;
        struct saved_cell *cell = n < k->cells.count ? &k->cells.at[n] : vec_push(&v->a, &k->cells);
        *cell = (struct saved_cell){c->key, c->field, arena_str(&v->a, c->value), c->status};
        if (c->op == SESSION_CLEAR)
            *cell = k->cells.at[--k->cells.count];
    }
    session_changes_clear(v->s);
}

#endif
