/* See auto_answers.h. */
#include "tests/support/auto_answers.h"

uint64_t auto_draw(struct auto_answers *m, uint64_t below)
{
    uint64_t z = m->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

/* Candidates for a typed question: one of the first four by the seed, then all in turn until one is accepted.
 * Small numbers stand first, because numbers say how often a repeat is asked. */
static bool try_texts(struct auto_answers *m, struct place p, const char *const *texts, size_t count)
{
    size_t first = (size_t)auto_draw(m, count < 4 ? count : 4);
    for (size_t i = 0; i < count; i++) {
        struct diag d = {0};
        if (!session_answer(m->session, p, str_of(texts[(first + i) % count]), &d))
            return true;
    }
    return false;
}

static bool try_choices(struct auto_answers *m, struct place p, const struct question_view *v)
{
    struct choice_view *c;
    uint32_t count, total;
    struct diag d = {0};
    if (session_choices(m->session, p, 0, 5000, m->arena, &c, &count, &total, &d) || count == 0)
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
    uint32_t first = !m->first && auto_draw(m, 4) == 0 ? (uint32_t)auto_draw(m, count) : 0;
    for (uint32_t i = 0; i < count && i < 50; i++) {
        struct diag quiet = {0};
        if (!session_answer(m->session, p, c[(first + i) % count].value, &quiet))
            return true;
    }
    return false;
}

static bool answer(struct auto_answers *m, struct place p, const struct question_view *v)
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

static void visit(struct auto_answers *m, struct place p)
{
    struct question_view v;
    struct diag d = {0};

    if (session_view(m->session, p, m->arena, &v, &d) || v.readonly || !v.relevant ||
        v.control == CONTROL_NONE)
        return;
    m->shown++;
    if (answer(m, p, &v)) {
        struct auto_line *slot = vec_push(m->arena, &m->lines);
        if (slot)
            slot->place = p;
    }
}

static bool grow(struct auto_answers *m, const struct stop *st)
{
    struct place added;
    struct diag d = {0};
    struct auto_line *slot;

    if (!st->can_add || st->count >= 2)
        return false;
    if (session_repeat_add(m->session, st->place, st->repeat, &added, &d) ||
        session_jump(m->session, added, &d))
        return false;
    slot = vec_push(m->arena, &m->lines);
    if (slot) {
        /* @add names the repeat without its own position */
        struct str ref = session_ref(m->session, added, m->arena);
        while (ref.n > 0 && ref.p[ref.n - 1] != '[' && ref.p[ref.n - 1] != '/')
            ref.n--;
        if (ref.n > 0 && ref.p[ref.n - 1] == '[')
            ref.n--;
        slot->add = ref;
    }
    return slot != NULL;
}

bool auto_walk(struct auto_answers *m)
{
    struct stop st = session_next(m->session);
    for (; st.kind != STOP_END && m->stops < 200000; m->stops++) {
        if (st.kind == STOP_REPEAT) {
            st = grow(m, &st) ? session_stop(m->session) : session_next(m->session);
            continue;
        }
        struct place *places;
        uint32_t count = session_stop_questions(m->session, m->arena, &places);
        for (uint32_t i = 0; i < count; i++) {
            /* An answer may show or hide its neighbours. */
            struct place at = places[i];
            visit(m, at);
            count = session_stop_questions(m->session, m->arena, &places);
            for (i = 0; i < count && (places[i].node != at.node || places[i].frame != at.frame); i++) {
            }
        }
        st = session_next(m->session);
    }
    return st.kind == STOP_END;
}

/* A note that must be answered is how a form says "this cannot be": an earlier answer is changed until it is
 * gone. What does not help is put back. */
static bool amend(struct auto_answers *m, struct place stop)
{
    static const char *const others[] = {"30", "1", "2", "0", "3", "12", "45", "100"};
    for (uint32_t i = m->lines.count; i > 0; i--) {
        const struct auto_line *l = &m->lines.at[i - 1];
        bool relevant = true;
        struct question_view v;
        struct choice_view *c = NULL;
        struct diag d = {0};
        uint32_t count = sizeof others / sizeof *others, total;
        if (l->add.p || session_view(m->session, l->place, m->arena, &v, &d) || v.readonly || !v.relevant)
            continue;
        bool number = v.control == CONTROL_INPUT && (v.type == FIELD_INT || v.type == FIELD_DECIMAL);
        if (!number && (v.control != CONTROL_SELECT_ONE ||
                        session_choices(m->session, l->place, 0, 8, m->arena, &c, &count, &total, &d)))
            continue;
        for (uint32_t k = 0; k < count && relevant; k++)
            if (!session_answer(m->session, l->place, number ? str_of(others[k]) : c[k].value, &d))
                session_value(m->session, stop, &relevant);
        if (!relevant)
            return true;
        if (session_answer_forced(m->session, l->place, v.value, &d))
            return false;
    }
    return false;
}

void auto_go_back(struct auto_answers *m, bool refuse)
{
    struct place *left;
    for (uint32_t round = 0; round < 10; round++) {
        uint32_t count = session_violations(m->session, m->arena, &left), before = count;
        for (uint32_t i = 0; i < count; i++) {
            struct question_view v;
            struct diag d = {0};
            if (session_view(m->session, left[i], m->arena, &v, &d) || !v.violated)
                continue;
            if (v.readonly)
                amend(m, left[i]);
            else if (!answer(m, left[i], &v) && refuse && v.required &&
                     !session_answer_status(m->session, left[i], ANSWER_REFUSED, &d))
                m->refused++;
        }
        if (count == 0 || (round > 3 && session_violations(m->session, m->arena, &left) == before))
            return;
    }
}
