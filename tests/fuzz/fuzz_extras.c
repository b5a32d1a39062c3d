/* Any bytes as a form that asks for more than answers: its interview is logged, its entities and its short
 * message are taken, and its draft is brought to the very same form, where nothing may be set aside. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "forms/audit.h"
#include "forms/entities.h"
#include "forms/migrate.h"
#include "forms/sms.h"

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

static void take_log(struct audit *audit, const struct form *f, struct buf *out)
{
    const struct audit_row *rows = NULL;
    uint32_t count = 0;
    struct diag d = {0};
    if (audit_rows(audit, &rows, &count, &d) == ERR_OK)
        for (uint32_t i = 0; i < count; i++)
            audit_csv_row(form_audit(f), &rows[i], out);
    audit_rows_clear(audit);
}

static void walk(struct session *s, struct audit *audit, const struct form *f, struct arena *a,
                 struct buf *out)
{
    uint32_t stops = 0, added = 0;
    for (struct stop at = session_next(s); at.kind != STOP_END && stops < 100;
         at = session_next(s), stops++) {
        struct place *list = NULL, p;
        struct diag d = {0};
        audit_view(audit);
        uint32_t count = session_stop_questions(s, a, &list);
        for (uint32_t i = 0; i < count; i++)
            if (session_answer(s, list[i], STR("1"), &d) && session_answer(s, list[i], STR("a b"), &d))
                audit_moment(audit, AUDIT_CONSTRAINT_ERROR, &list[i]);
        if (at.kind == STOP_REPEAT && at.can_add && added++ < 4 &&
            session_repeat_add(s, at.place, at.repeat, &p, &d) == ERR_OK &&
            session_jump(s, p, &d) == ERR_OK && added == 3 && session_repeat_remove(s, p, &d) == ERR_OK)
            audit_moment(audit, AUDIT_DELETE_REPEAT, NULL);
        if (stops % 3 == 0)
            audit_jump(audit);
        if (stops % 2)
            take_log(audit, f, out);
    }
    audit_view(audit);
    audit_moment(audit, AUDIT_FORM_EXIT, NULL);
    take_log(audit, f, out);
}

/* The draft as a store would have it: changes in their order are enough, the interview is new. */
static bool draft_of(struct session *s, struct arena *a, struct saved_interview *out)
{
    const struct session_change *list = NULL;
    uint32_t count = session_changes(s, &list);
    *out = (struct saved_interview){.rows = arena_array(a, count + 1, sizeof(struct saved_row)),
                                    .cells = arena_array(a, count + 1, sizeof(struct saved_cell))};
    if (!out->rows || !out->cells)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct session_change *c = &list[i];
        if (c->op == SESSION_ROW_ADD)
            out->rows[out->row_count++] = (struct saved_row){c->key, c->parent_key, c->repeat, c->order};
        else if (c->op == SESSION_SET)
            out->cells[out->cell_count++] = (struct saved_cell){c->key, c->field, c->value, c->status};
    }
    return true;
}

static void migrate_to_itself(struct session *s, const struct form *f, const struct session_host *host,
                              struct arena *a)
{
    struct migration_draft draft = {.from = f, .to = f, .host = host, .row_key_next = 1000000};
    struct migration_plan plan;
    struct diag d = {0};
    if (!draft_of(s, a, &draft.saved))
        return;
    enum err rc = migration_plan(a, &draft, &plan, &d);
    if (rc && d.text[0] == 0)
        abort();
    if (!rc && (plan.aside_count || plan.after.row_count != draft.saved.row_count ||
                plan.after.cell_count < draft.saved.cell_count))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    const struct form *f = NULL;
    struct form_findings findings;
    struct diag d = {0};
    struct session *s = NULL;
    struct audit *audit = NULL;
    struct buf out;
    struct entity_delta *deltas = NULL;
    uint32_t count = 0;
    unsigned char seed = 0;
    struct session_host host = {.self = &seed, .now_ms = now, .random = chance};
    arena_init(&a, 128u << 20);
    buf_init(&out, 1u << 20);
    enum err rc = form_load(&a, (struct str){(const char *)data, size}, &f, &findings, &d);
    struct session_options o = {.form = f, .host = &host, .memory_max = 16u << 20};
    if (!rc && session_open(&a, &o, &s, &d) == ERR_OK && audit_open(&a, s, &audit, &d) == ERR_OK) {
        walk(s, audit, f, &a, &out);
        migrate_to_itself(s, f, &host, &a);
        diag_clear(&d);
        if (session_sms(s, &out, &d) && d.text[0] == 0)
            abort();
        diag_clear(&d);
        if (session_finalise(s, &d) == ERR_OK && session_entities(s, &a, &deltas, &count, &d) == ERR_OK)
            for (uint32_t i = 0; i < count; i++)
                if (deltas[i].fault == ENTITY_FINE && deltas[i].id.n != 36)
                    abort();
    }
    audit_close(audit);
    session_close(s);
    buf_free(&out);
    arena_free(&a);
    return 0;
}
