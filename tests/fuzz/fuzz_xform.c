/* Any bytes as a form. One that loads is walked from end to end, each question answered in a few ways,
 * repeats added and removed; then its XML is read back and must give the same XML again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "forms/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t now(void *self)
{
    (void)self;
    return INT64_C(1795437711000);
}

static enum err chance(void *self, void *out, size_t n)
{
    unsigned char *next = self;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)out)[i] = (*next)++;
    return ERR_OK;
}

static void answer_all(struct session *s, struct arena *a)
{
    static const char *const tries[] = {"1", "yes", "2026-11-23", "6.3 -10.8", "a b", ""};
    struct place *list = NULL;
    uint32_t count = session_stop_questions(s, a, &list);
    for (uint32_t i = 0; i < count; i++) {
        struct question_view view;
        struct choice_view *choices;
        uint32_t n, total;
        struct diag d = {0};
        if (session_view(s, list[i], a, &view, &d) ||
            session_choices(s, list[i], 0, 5, a, &choices, &n, &total, &d))
            continue;
        enum err rc = n ? session_answer(s, list[i], choices[n - 1].value, &d) : ERR_SYNTAX;
        for (size_t k = 0; rc && k < sizeof(tries) / sizeof(*tries); k++)
            rc = session_answer(s, list[i], str_of(tries[k]), &d);
        if (i == 1 && session_answer_status(s, list[i], ANSWER_DONT_KNOW, &d) == ERR_OK)
            rc = session_answer_forced(s, list[i], STR("7"), &d);
    }
}

#define WORK_MAX 300000 /* a thousandth of what an interview may spend, so that many forms are tried */

/* What was left as it was may come out otherwise when the interview is read back. */
static bool cut_short(struct session *s)
{
    const struct str *at;
    uint32_t count = session_warnings(s, &at);
    bool cut = false;
    for (uint32_t i = 0; i < count && !cut; i++)
        cut = str_starts(at[i], STR("Calculations of this form"));
    return cut;
}

static void walk(struct session *s, struct arena *a)
{
    uint32_t stops = 0, added = 0;
    for (struct stop at = session_next(s); at.kind != STOP_END && stops < 300;
         at = session_next(s), stops++) {
        struct diag d = {0};
        struct place p;
        answer_all(s, a);
        if (at.kind == STOP_REPEAT && at.can_add && added++ < 6 &&
            session_repeat_add(s, at.place, at.repeat, &p, &d) == ERR_OK &&
            session_jump(s, p, &d) == ERR_OK && added == 3 && session_repeat_remove(s, p, &d))
            return;
    }
    while (stops-- > 0 && session_prev(s).kind != STOP_START)
        continue;
}

static void check_round_trip(const struct form *f, struct session *s, struct session_host *host,
                             struct arena *a)
{
    struct buf first, second;
    struct saved_interview saved;
    struct session *again = NULL;
    struct diag d = {0};
    buf_init(&first, 1u << 22);
    buf_init(&second, 1u << 22);
    if (session_xml(s, true, &first, &d) || submission_read(a, f, buf_str(&first), 1, &saved, &d))
        goto done;
    struct session_options o = {.form = f,
                                .host = host,
                                .frozen = true,
                                .rows = saved.rows,
                                .row_count = saved.row_count,
                                .cells = saved.cells,
                                .cell_count = saved.cell_count,
                                .memory_max = 16u << 20,
                                .work_max = WORK_MAX};
    if (session_open(a, &o, &again, &d) == ERR_OK && session_xml(again, true, &second, &d) == ERR_OK &&
        !cut_short(s) && !cut_short(again) &&
        (first.n != second.n || memcmp(first.p, second.p, first.n) != 0))
        abort();
    session_close(again);
done:
    buf_free(&first);
    buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    const struct form *f = NULL;
    struct form_findings findings;
    struct diag d = {0};
    struct session *s = NULL;
    unsigned char seed = 0;
    struct session_host host = {.self = &seed, .now_ms = now, .random = chance};
    arena_init(&a, 64u << 20);
    enum err rc = form_load(&a, (struct str){(const char *)data, size}, &f, &findings, &d);
    if ((rc != ERR_OK) != (d.text[0] != 0 && !f) || (rc == ERR_SYNTAX && findings.error_count == 0))
        abort(); /* a refusal always has its sentence */
    struct session_options o = {.form = f, .host = &host, .memory_max = 16u << 20, .work_max = WORK_MAX};
    if (!rc && session_open(&a, &o, &s, &d) == ERR_OK) {
        walk(s, &a);
        check_round_trip(f, s, &host, &a);
        if (session_finalise(s, &d) != ERR_OK && d.text[0] == 0)
            abort();
    }
    session_close(s);
    arena_free(&a);
    return 0;
}
