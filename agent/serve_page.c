/* See serve.h. A page is one question, one group that the form shows together, the list of a repeat's
 * entries, or the end. Texts that a form or a person wrote go out as they are: the pages show them as text.
 */
#include "agent/serve.h"

static const char *const controls[] = {
    [CONTROL_NONE] = "none",        [CONTROL_INPUT] = "input",     [CONTROL_SELECT_ONE] = "one",
    [CONTROL_SELECT_MANY] = "many", [CONTROL_RANK] = "rank",       [CONTROL_RANGE] = "range",
    [CONTROL_UPLOAD] = "upload",    [CONTROL_TRIGGER] = "trigger", [CONTROL_GROUP] = "group",
    [CONTROL_REPEAT] = "repeat",
};
static const char *const statuses[] = {
    [ANSWER_NONE] = "",           [ANSWER_GIVEN] = "given",     [ANSWER_DONT_KNOW] = "dont_know",
    [ANSWER_REFUSED] = "refused", [ANSWER_PARTIAL] = "partial",
};

static bool takes_choices(const struct question_view *v)
{
    return v->control == CONTROL_SELECT_ONE || v->control == CONTROL_SELECT_MANY ||
           v->control == CONTROL_RANK;
}

static void text_if(struct buf *b, const char *name, struct str value)
{
    if (value.n)
        js_str(b, name, value);
}

static void flag_if(struct buf *b, const char *name, bool value)
{
    if (value)
        js_bool(b, name, true);
}

static void put_choices(struct buf *b, const char *name, const struct choice_view *list, uint32_t count)
{
    js_open(b, name, '[');
    for (uint32_t i = 0; i < count; i++) {
        js_open(b, NULL, '{');
        js_str(b, "v", list[i].value);
        js_str(b, "l", list[i].label);
        text_if(b, "image", list[i].image);
        flag_if(b, "s", list[i].selected);
        buf_put_char(b, '}');
    }
    buf_put_char(b, ']');
}

/* Of a list too long to travel, those that are chosen. */
static enum err put_chosen(struct serve_call *c, struct place p, struct str value, bool many)
{
    struct session *s = c->g->visit.w.session;
    struct str rest = value, one;
    enum err rc = ERR_OK;
    js_open(c->out, "chosen", '[');
    while (!rc && (many ? str_word(&rest, &one) : rest.n > 0)) {
        struct choice_view *found = NULL;
        uint32_t count = 0;
        if (!many) {
            one = rest;
            rest = STR("");
        }
        rc = session_choices_starting(s, p, one, SERVE_CHOICES, c->a, &found, &count, c->d);
        for (uint32_t i = 0; !rc && i < count; i++)
            if (str_eq(found[i].value, one)) {
                js_open(c->out, NULL, '{');
                js_str(c->out, "v", one);
                js_str(c->out, "l", found[i].label);
                buf_put_char(c->out, '}');
                break;
            }
    }
    buf_put_char(c->out, ']');
    return rc;
}

static enum err put_list(struct serve_call *c, struct place p, const struct question_view *v)
{
    struct choice_view *list = NULL;
    uint32_t count = 0, total = 0;
    enum err rc = session_choices(c->g->visit.w.session, p, 0, SERVE_CHOICES, c->a, &list, &count, &total,
                                  c->d);
    if (rc)
        return rc;
    js_i64(c->out, "total", total);
    if (total > SERVE_CHOICES)
        rc = put_chosen(c, p, v->value, v->control != CONTROL_SELECT_ONE);
    put_choices(c->out, "choices", list, total > SERVE_CHOICES ? 0 : count);
    return rc;
}

static const char *type_name(enum field_type t)
{
    static const struct {
        enum field_type type;
        const char *name;
    } names[] = {
        {FIELD_INT, "int"},           {FIELD_DECIMAL, "decimal"},   {FIELD_DATE, "date"},
        {FIELD_TIME, "time"},         {FIELD_DATETIME, "dateTime"}, {FIELD_GEOPOINT, "geopoint"},
        {FIELD_GEOTRACE, "geotrace"}, {FIELD_GEOSHAPE, "geoshape"}, {FIELD_BARCODE, "barcode"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == t)
            return names[i].name;
    return "string";
}

static void put_range(struct buf *b, const struct question_view *v)
{
    if (v->control != CONTROL_RANGE)
        return;
    js_str(b, "start", v->range_start);
    js_str(b, "end", v->range_end);
    js_str(b, "step", v->range_step);
}

static enum err put_question(struct serve_call *c, struct place p)
{
    struct question_view v;
    struct buf *b = c->out;
    enum err rc = session_view(c->g->visit.w.session, p, c->a, &v, c->d);
    if (rc)
        return rc;
    js_open(b, NULL, '{');
    js_str(b, "ref", v.ref);
    js_z(b, "control", controls[v.control]);
    js_z(b, "type", type_name(v.type));
    js_str(b, "label", v.label);
    text_if(b, "hint", v.hint);
    text_if(b, "guidance", v.guidance);
    text_if(b, "appearance", v.appearance);
    text_if(b, "mediatype", v.mediatype);
    text_if(b, "image", v.big_image.n ? v.big_image : v.image);
    text_if(b, "audio", v.audio);
    text_if(b, "video", v.video);
    text_if(b, "group", v.group);
    js_str(b, "value", v.value);
    js_z(b, "status", statuses[v.status]);
    flag_if(b, "required", v.required);
    flag_if(b, "readonly", v.readonly);
    /* Nobody is scolded for a question that was not reached. */
    if (v.violated && v.answered)
        js_str(b, "message", v.message);
    put_range(b, &v);
    if (takes_choices(&v))
        rc = put_list(c, p, &v);
    buf_put_char(b, '}');
    return rc;
}

/* ---- what was sent ---- */

static uint64_t *sent_slot(struct serve_visit *v, uint64_t ref)
{
    for (uint32_t i = 0; i < v->sent_count; i++)
        if (v->sent[i].ref == ref)
            return &v->sent[i].json;
    if (v->sent_count == SERVE_SENT)
        return NULL; /* a longer page is told whole each time */
    v->sent[v->sent_count] = (struct serve_sent){.ref = ref};
    return &v->sent[v->sent_count++].json;
}

static uint64_t ref_hash(struct serve_call *c, struct place p)
{
    return str_hash(session_ref(c->g->visit.w.session, p, c->a));
}

/* Appends the question unless the page has it so already. */
static enum err put_if_new(struct serve_call *c, struct place p, bool all)
{
    size_t before = c->out->n;
    uint64_t *slot = sent_slot(&c->g->visit, ref_hash(c, p));
    enum err rc = put_question(c, p);
    if (rc || c->out->failed)
        return rc;
    size_t skip = c->out->p[before] == ',' ? 1 : 0;
    uint64_t now = str_hash((struct str){c->out->p + before + skip, c->out->n - before - skip});
    if (!all && slot && *slot == now)
        c->out->p[c->out->n = before] = '\0';
    if (slot)
        *slot = now;
    return ERR_OK;
}

static enum err put_questions(struct serve_call *c, bool all)
{
    struct place *places;
    enum err rc = ERR_OK;
    uint32_t count = session_stop_questions(c->g->visit.w.session, c->a, &places);
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = put_if_new(c, places[i], all);
    return rc;
}

/* ---- the entries of a repeat ---- */

#define COLUMNS 3

/* As people read it: a choice by its label. */
static struct str shown(struct serve_call *c, struct place p, const struct question_view *v)
{
    struct choice_view *list = NULL;
    uint32_t count = 0;
    struct diag quiet = {0};
    if (v->control != CONTROL_SELECT_ONE || !v->value.n ||
        session_choices_starting(c->g->visit.w.session, p, v->value, 4, c->a, &list, &count, &quiet))
        return v->value;
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(list[i].value, v->value))
            return list[i].label;
    return v->value;
}

static uint32_t missing_in(struct serve_call *c, struct str entry)
{
    struct session *s = c->g->visit.w.session;
    struct place *places;
    uint32_t n = 0, count = session_violations(s, c->a, &places);
    for (uint32_t i = 0; i < count; i++) {
        struct str ref = session_ref(s, places[i], c->a);
        n += str_starts(ref, entry) && ref.n > entry.n && ref.p[entry.n] == '/';
    }
    return n;
}

static enum err put_entry(struct serve_call *c, struct place entry)
{
    struct session *s = c->g->visit.w.session;
    struct str ref = session_ref(s, entry, c->a);
    struct place *in = NULL;
    uint32_t columns = 0, count = 0;
    struct diag quiet = {0};
    enum err rc = ERR_OK;
    if (session_jump(s, entry, &quiet) == ERR_OK)
        count = session_stop_questions(s, c->a, &in);
    js_open(c->out, NULL, '{');
    js_str(c->out, "ref", ref);
    js_open(c->out, "cells", '[');
    for (uint32_t i = 0; !rc && i < count && columns < COLUMNS; i++) {
        struct question_view v;
        rc = session_view(s, in[i], c->a, &v, c->d);
        if (!rc && !v.readonly && v.control != CONTROL_UPLOAD && v.control != CONTROL_TRIGGER) {
            js_str(c->out, NULL, shown(c, in[i], &v));
            columns++;
        }
    }
    buf_put_char(c->out, ']');
    js_i64(c->out, "missing", missing_in(c, ref));
    buf_put_char(c->out, '}');
    return rc;
}

static enum err put_roster(struct serve_call *c, const struct stop *st)
{
    struct session *s = c->g->visit.w.session;
    struct place *entries;
    struct str prompt = road_prompt(c, st);
    struct str label = session_repeat_label(s, st, c->a);
    bool back;
    js_z(c->out, "kind", "roster");
    js_str(c->out, "ref", prompt);
    js_str(c->out, "label", label);
    js_bool(c->out, "can_add", st->can_add);
    js_open(c->out, "entries", '[');
    uint32_t count = session_instances(s, st->place, st->repeat, c->a, &entries);
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = put_entry(c, entries[i]);
    buf_put_char(c->out, ']');
    return rc ? rc : road_find(c, prompt, &back);
}

/* ---- pages ---- */

static void note_place(struct serve_call *c, struct str place)
{
    struct serve_visit *v = &c->g->visit;
    struct diag quiet = {0};
    if (str_eq(place, buf_str(&v->noted)) || v->w.visit.key == 0)
        return;
    if (store_visit_place(v->w.o.store, &v->w.visit, place, &quiet))
        return; /* an answer that cannot be saved says so itself */
    buf_clear(&v->noted);
    buf_put_str(&v->noted, place);
}

static struct str page_place(struct serve_call *c, const struct stop *st, struct str focus)
{
    if (st->kind == STOP_END)
        return STR("end");
    if (st->kind == STOP_REPEAT)
        return road_prompt(c, st);
    return focus.n ? focus : session_ref(c->g->visit.w.session, st->place, c->a);
}

static enum err put_stop(struct serve_call *c, const struct stop *st, struct str focus)
{
    if (st->kind == STOP_END) {
        js_z(c->out, "kind", "end");
        return ERR_OK;
    }
    if (st->kind == STOP_REPEAT)
        return put_roster(c, st);
    js_z(c->out, "kind", "questions");
    js_bool(c->out, "group", st->kind == STOP_FIELD_LIST);
    text_if(c->out, "focus", focus);
    if (st->kind == STOP_FIELD_LIST) {
        struct question_view v;
        enum err rc = session_view(c->g->visit.w.session, st->place, c->a, &v, c->d);
        if (rc)
            return rc;
        js_str(c->out, "label", v.label);
        text_if(c->out, "around", v.group);
    }
    js_open(c->out, "questions", '[');
    enum err rc = put_questions(c, true);
    buf_put_char(c->out, ']');
    return rc;
}

enum err page_write(struct serve_call *c, struct str focus)
{
    struct stop st = session_stop(c->g->visit.w.session);
    c->g->visit.sent_count = 0;
    audit_view(c->g->visit.w.audit);
    note_place(c, page_place(c, &st, focus));
    js_open(c->out, "page", '{');
    enum err rc = put_stop(c, &st, focus);
    buf_put_char(c->out, '}');
    return rc;
}

enum err page_changes(struct serve_call *c)
{
    struct session *s = c->g->visit.w.session;
    struct stop st = session_stop(s);
    struct place *places;
    if (!road_is_question(&st))
        return ERR_OK;
    js_open(c->out, "changed", '[');
    enum err rc = put_questions(c, false);
    buf_put_char(c->out, ']');
    uint32_t count = session_stop_questions(s, c->a, &places);
    js_open(c->out, "order", '[');
    for (uint32_t i = 0; i < count; i++)
        js_str(c->out, NULL, session_ref(s, places[i], c->a));
    buf_put_char(c->out, ']');
    return rc;
}

/* ---- searching the choices of a question ---- */

static struct str folded(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (!p)
        return s;
    for (size_t i = 0; i < s.n; i++)
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + ('a' - 'A') : s.p[i]);
    return (struct str){p, s.n};
}

enum err page_choices(struct serve_call *c, struct place p, struct str search, uint32_t skip)
{
    struct choice_view *list = NULL, *kept = NULL;
    uint32_t count = 0, total = 0, met = 0, n = 0;
    bool all = search.n == 0;
    enum err rc = session_choices(c->g->visit.w.session, p, all ? skip : 0, all ? SERVE_CHOICES : UINT32_MAX,
                                  c->a, &list, &count, &total, c->d);
    if (rc)
        return rc;
    kept = ARENA_ARRAY(c->a, struct choice_view, SERVE_CHOICES);
    if (!kept)
        return diag_set(c->d, ERR_NOMEM, "no memory for the choices");
    struct str wanted = folded(c->a, search);
    for (uint32_t i = 0; i < count; i++) {
        if (!all && str_find(folded(c->a, list[i].label), wanted) < 0 &&
            str_find(folded(c->a, list[i].value), wanted) < 0)
            continue;
        if ((all || met >= skip) && n < SERVE_CHOICES)
            kept[n++] = list[i];
        met++;
    }
    js_i64(c->out, "total", all ? total : met);
    js_i64(c->out, "of", total);
    put_choices(c->out, "choices", kept, n);
    return ERR_OK;
}
