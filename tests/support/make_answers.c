/* make_answers FORM.xml SEED [LIST_DIR]: holds an interview with seeded answers and prints it as a script for
 * `doorstep fill --answers`.
 *
 * Walks the form as a person would: every relevant question that can be answered gets one, repeats that may
 * grow get two instances. A question whose constraint refuses every candidate is left open when it may be.
 * What a later answer made irrelevant again is left out of the script, so that the script says what the
 * submission must hold. Exit 1 when the interview could not be completed.
 */
#include "forms/session.h"
#include "platform/posix/posix_seam.h"

#include <stdio.h>
#include <stdlib.h>

struct line {
    struct str add; /* ref of an added repeat instance, p NULL = an answer */
    struct place place;
};

struct maker {
    struct arena form_arena, arena;
    struct seam seam;
    const struct form *form;
    struct session *session;
    uint64_t random;
    const char *list_dir;
    VEC(struct line) lines;
};

static uint64_t draw(struct maker *m, uint64_t below)
{
    uint64_t z = m->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

static int64_t now_ms(void *self)
{
    (void)self;
    return 1795420800000; /* 2026-11-23 */
}

static enum err some_random(void *self, void *out, size_t n)
{
    struct maker *m = self;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)out)[i] = (unsigned char)draw(m, 256);
    return ERR_OK;
}

static enum err resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct maker *m = self;
    struct buf path, *bytes = arena_alloc(&m->arena, sizeof *bytes);
    size_t slash = uri.n;

    while (slash > 0 && uri.p[slash - 1] != '/')
        slash--;
    buf_init(&path, 4096);
    buf_printf(&path, "%s/%.*s", m->list_dir ? m->list_dir : ".", (int)(uri.n - slash), uri.p + slash);
    buf_init(bytes, 256u << 20);
    enum err rc = m->seam.file_read(m->seam.self, path.p, bytes, d);
    buf_free(&path);
    if (!rc)
        *bytes_out = buf_str(bytes);
    return rc;
}

/* Candidates for a typed question: one of the first four by the seed, then all in turn until one is accepted.
 * Small numbers stand first, because numbers say how often a repeat is asked. */
static bool try_texts(struct maker *m, struct place p, const char *const *texts, size_t count)
{
    size_t first = (size_t)draw(m, count < 4 ? count : 4);
    for (size_t i = 0; i < count; i++) {
        struct diag d = {0};
        if (!session_answer(m->session, p, str_of(texts[(first + i) % count]), &d))
            return true;
    }
    return false;
}

static bool try_choices(struct maker *m, struct place p, const struct question_view *v)
{
    struct choice_view *c;
    uint32_t count, total;
    struct diag d = {0};
    if (session_choices(m->session, p, 0, 5000, &m->arena, &c, &count, &total, &d) || count == 0)
        return false;
    if (v->control == CONTROL_RANK) {
        struct buf all;
        buf_init(&all, 1u << 20);
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0)
                buf_put_char(&all, ' ');
            buf_put_str(&all, c[i].value);
        }
        bool ok = !session_answer(m->session, p, buf_str(&all), &d);
        buf_free(&all);
        return ok;
    }
    /* Mostly the first choice, which is "yes" in most forms and opens the sections behind it. */
    uint32_t first = draw(m, 4) == 0 ? (uint32_t)draw(m, count) : 0;
    for (uint32_t i = 0; i < count && i < 50; i++) {
        struct diag quiet = {0};
        if (!session_answer(m->session, p, c[(first + i) % count].value, &quiet))
            return true;
    }
    return false;
}

static bool answer(struct maker *m, struct place p, const struct question_view *v)
{
    static const char *const numbers[] = {"3",           "12",         "1",  "2",         "30",
                                          "7",           "0",          "45", "5",         "100",
                                          "180",         "65",         "20", "1500",      "4",
                                          "2019",        "10000",      "99", "123456789", "0999999999",
                                          "13900000000", "1234567890", "98", "999",       "888",
                                          "-1",          "50",         "15", "8"};
    static const char *const decimals[] = {"1.5",  "12.25", "3", "0.5", "100", "7",   "60",
                                           "30.5", "2",     "0", "14",  "20",  "45.5"};
    static const char *const dates[] = {"2026-11-01", "2026-10-15", "2025-05-05", "2026-11-23", "2020-02-29",
                                        "1990-07-07", "1960-01-01", "2026-11-20", "2019-06-01", "2016-11-11",
                                        "2016-12-01", "2017-01-15", "2030-01-01"};
    static const char *const texts[] = {"Aline Brookfield",
                                        "a",
                                        "Test",
                                        "12345678",
                                        "0123456789",
                                        "13900000001",
                                        "ABC-123",
                                        "a@example.org",
                                        "1234",
                                        "12",
                                        "yes",
                                        "田大米, \"quoted\", & <odd>",
                                        "ABCDE",
                                        "123456",
                                        "2026",
                                        "A1"};
    static const char *const times[] = {"09:30:00.000+08:00", "18:05:00.000Z"};
    static const char *const instants[] = {"2026-11-01T09:30:00.000+08:00", "2026-11-20T23:00:00.000Z"};
    static const char *const points[] = {"26.1 108.2 640 9", "6.31 -10.8 12 4.5"};
    static const char *const traces[] = {"26.1 108.2 0 0; 26.2 108.3 0 0; 26.3 108.2 0 0"};
    static const char *const shapes[] = {"26.1 108.2 0 0; 26.2 108.3 0 0; 26.3 108.2 0 0; 26.1 108.2 0 0"};
    static const char *const files[] = {"photo.jpg"};
    static const char *const ok[] = {"OK"};
#define TRY(list) try_texts(m, p, list, sizeof(list) / sizeof *(list))

    if (v->control == CONTROL_SELECT_ONE || v->control == CONTROL_SELECT_MANY || v->control == CONTROL_RANK)
        return try_choices(m, p, v);
    if (v->control == CONTROL_TRIGGER)
        return TRY(ok);
    if (v->control == CONTROL_UPLOAD)
        return TRY(files);
    if (v->control == CONTROL_RANGE) {
        struct diag d = {0};
        return !session_answer(m->session, p, v->range_start, &d) || TRY(numbers);
    }
    switch (v->type) {
    case FIELD_INT: return TRY(numbers);
    case FIELD_DECIMAL: return TRY(decimals) || TRY(numbers);
    case FIELD_DATE: return TRY(dates);
    case FIELD_TIME: return TRY(times);
    case FIELD_DATETIME: return TRY(instants);
    case FIELD_GEOPOINT: return TRY(points);
    case FIELD_GEOTRACE: return TRY(traces);
    case FIELD_GEOSHAPE: return TRY(shapes);
    default: return TRY(texts) || TRY(numbers);
    }
#undef TRY
}

static void visit(struct maker *m, struct place p)
{
    struct question_view v;
    struct diag d = {0};

    if (session_view(m->session, p, &m->arena, &v, &d) || v.readonly || !v.relevant ||
        v.control == CONTROL_NONE)
        return;
    if (answer(m, p, &v)) {
        struct line *slot = vec_push(&m->arena, &m->lines);
        if (slot)
            slot->place = p;
    } else if (v.required) {
        fprintf(stderr, "no answer is accepted for %.*s\n", STR_ARG(v.ref));
    }
}

static bool grow(struct maker *m, const struct stop *st)
{
    struct place added;
    struct diag d = {0};
    struct line *slot;

    if (!st->can_add || st->count >= 2)
        return false;
    if (session_repeat_add(m->session, st->place, st->repeat, &added, &d) ||
        session_jump(m->session, added, &d))
        return false;
    slot = vec_push(&m->arena, &m->lines);
    if (slot) {
        /* @add names the repeat without its own position */
        struct str ref = session_ref(m->session, added, &m->arena);
        while (ref.n > 0 && ref.p[ref.n - 1] != '[' && ref.p[ref.n - 1] != '/')
            ref.n--;
        if (ref.n > 0 && ref.p[ref.n - 1] == '[')
            ref.n--;
        slot->add = ref;
    }
    return slot != NULL;
}

static void walk(struct maker *m)
{
    struct stop st = session_next(m->session);
    for (uint32_t steps = 0; st.kind != STOP_END && steps < 200000; steps++) {
        if (st.kind == STOP_REPEAT) {
            st = grow(m, &st) ? session_stop(m->session) : session_next(m->session);
            continue;
        }
        struct place *places;
        uint32_t count = session_stop_questions(m->session, &m->arena, &places);
        for (uint32_t i = 0; i < count; i++) {
            /* An answer may show or hide its neighbours. */
            struct place at = places[i];
            visit(m, at);
            count = session_stop_questions(m->session, &m->arena, &places);
            for (i = 0; i < count && (places[i].node != at.node || places[i].frame != at.frame); i++) {
            }
        }
        st = session_next(m->session);
    }
}

static void print_script(struct maker *m)
{
    for (uint32_t i = 0; i < m->lines.count; i++) {
        const struct line *l = &m->lines.at[i];
        bool relevant = false;
        if (l->add.p) {
            printf("@add\t%.*s\n", STR_ARG(l->add));
            continue;
        }
        struct str value = session_value(m->session, l->place, &relevant);
        if (relevant)
            printf("%.*s\t%.*s\n", STR_ARG(session_ref(m->session, l->place, &m->arena)), STR_ARG(value));
    }
}

static int finish(struct maker *m)
{
    struct place *left;
    struct diag d = {0};
    uint32_t count = session_violations(m->session, &m->arena, &left);

    for (uint32_t i = 0; i < count; i++) {
        struct question_view v;
        if (!session_view(m->session, left[i], &m->arena, &v, &d))
            fprintf(stderr, "still open: %.*s: %.*s\n", STR_ARG(v.ref), STR_ARG(v.message));
    }
    return count > 0;
}

int main(int argc, char **argv)
{
    struct maker m = {0};
    struct diag d = {0};
    struct buf xml;
    struct form_findings findings = {0};
    struct session_host host = {.self = &m, .now_ms = now_ms, .random = some_random, .resource = resource};
    struct session_options so = {.host = &host, .row_key_next = 1};

    if (argc < 3) {
        fprintf(stderr, "make_answers FORM.xml SEED [LIST_DIR]\n");
        return 2;
    }
    m.random = strtoull(argv[2], NULL, 10);
    m.list_dir = argc > 3 ? argv[3] : NULL;
    arena_init(&m.form_arena, 512u << 20);
    arena_init(&m.arena, 1024u << 20);
    buf_init(&xml, 256u << 20);
    enum err rc = posix_seam_open(NULL, &m.seam, &d);
    if (!rc)
        rc = m.seam.file_read(m.seam.self, argv[1], &xml, &d);
    if (!rc)
        rc = form_load(&m.form_arena, buf_str(&xml), &m.form, &findings, &d);
    so.form = m.form;
    if (!rc)
        rc = session_open(&m.form_arena, &so, &m.session, &d);
    if (rc) {
        fprintf(stderr, "make_answers: %s\n", d.text);
        return 1;
    }
    printf("# made from seed %s\n", argv[2]);
    walk(&m);
    print_script(&m);
    int code = finish(&m);
    session_close(m.session);
    buf_free(&xml);
    arena_free(&m.arena);
    arena_free(&m.form_arena);
    posix_seam_close(&m.seam);
    return code;
}
