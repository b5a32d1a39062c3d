/* Any bytes as a rule pack for the example form; what loads also judges a household, with the same bytes as
 * the departments' record. Nothing may crash, run on, or find what is not an error, a hit or a cannot-judge.
 */
#include <stdio.h>
#include <stdlib.h>

#include "forms/session.h"
#include "risk/judge.h"

static char form_text[1 << 18];

static int64_t clock_now(void *self)
{
    (void)self;
    return INT64_C(1795420800000);
}

static enum err no_chance(void *self, void *out, size_t n)
{
    (void)self;
    memset(out, 7, n);
    return ERR_OK;
}

static const struct form *form_once(void)
{
    static struct arena arena;
    static const struct form *form;
    if (form)
        return form;
    FILE *f = fopen(DS_SOURCE_DIR "/examples/monitoring.xform.xml", "rb");
    size_t n = f ? fread(form_text, 1, sizeof(form_text), f) : 0;
    struct form_findings findings = {0};
    struct diag d = {0};
    if (f)
        fclose(f);
    arena_init(&arena, 64u << 20);
    if (form_load(&arena, (struct str){form_text, n}, &form, &findings, &d)) {
        fprintf(stderr, "%s\n", d.text);
        abort();
    }
    return form;
}

static void judge(struct arena *a, const struct form *form, const struct pack *p, struct str bytes)
{
    struct session_host host = {.now_ms = clock_now, .random = no_chance};
    struct session_options o = {.form = form, .host = &host, .row_key_next = 1};
    struct session *s = NULL;
    struct diag d = {0};
    struct place place, added;
    if (session_open(a, &o, &s, &d) || session_place(s, STR("/monitoring"), &place, &d) ||
        session_repeat_add(s, place, 0, &added, &d)) {
        fprintf(stderr, "%s\n", d.text);
        abort();
    }
    struct judge_input in = {.now = s, .prev = s, .dept = bytes, .area = STR("990101001201"), .today = 20780};
    struct judgement j;
    if (judge_household(a, p, &in, &j, &d) == ERR_OK) {
        struct buf out;
        buf_init(&out, 64u << 20);
        judgement_json(&j, &out);
        judgement_text(&j, STR("en"), &out);
        buf_free(&out);
    }
    session_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct form *form = form_once();
    struct str bytes = {(const char *)data, size};
    struct arena a;
    struct form_findings findings = {0};
    struct diag d = {0};
    const struct pack *p = NULL;
    arena_init(&a, 256u << 20);
    enum err rc = pack_load(&a, bytes, form, &p, &findings, &d);
    if (rc && d.text[0] == 0)
        abort(); /* a refusal without a reason */
    if (!rc)
        judge(&a, form, p, bytes);
    arena_free(&a);
    return 0;
}
