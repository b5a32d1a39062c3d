/* See returned.h. */
#include "agent/returned.h"

#include <stdio.h>

#include "agent/store_impl.h"
#include "agent/term.h"

struct gathering {
    VEC(struct returned) list;
    VEC(int64_t) reviews; /* the row that decided, of each in `list` */
    struct returned *at;  /* whose remarks are read */
};

static enum err count_of(struct store *s, const char *sql, int64_t first, int64_t second, bool *any_out,
                         struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (rc)
        return rc;
    bind_i64(q, 1, first);
    bind_i64(q, 2, second);
    rc = stmt_step(q, any_out, d);
    stmt_done(q);
    return rc;
}

struct since {
    int64_t visit;
    bool corrected;
};

static enum err take_later(struct store *s, struct arena *a, const struct row *row, const struct record *r,
                           void *self, struct diag *d)
{
    struct since *x = self;
    (void)s, (void)a, (void)d;
    x->corrected = x->corrected ||
                   (row->key > x->visit && str_eq_z(record_value(r, VISIT_TYPE), VISIT_CORRECTION));
    return ERR_OK;
}

static enum err corrected_since(struct store *s, struct arena *a, const struct finished_visit *v, bool *out,
                                struct diag *d)
{
    struct since x = {.visit = v->key};
    enum err rc = each_record(s, a,
                              "SELECT " ROW_COLUMNS
                              " FROM row WHERE interview = ? AND kind = 4 AND state = 1 AND deleted = 0",
                              v->interview, take_later, &x, d);
    *out = x.corrected;
    return rc;
}

/* A visit with its last decision; rows of the centre come in its order, so the highest number is the last. */
static enum err take_review(struct store *s, struct arena *a, const struct row *row, const struct record *r,
                            void *self, struct diag *d)
{
    struct gathering *g = self;
    struct finished_visit v;
    struct published p;
    struct row about;
    struct record household;
    bool corrected = false, later = false;
    if (!str_eq_z(record_value(r, REVIEW_STATE), "rejected"))
        return ERR_OK;
    enum err rc = store_finished_visit(s, a, STR_NONE, row->parent, &v, d);
    if (rc == ERR_NOT_FOUND) /* the visit itself is still on its way down */
        return ERR_OK;
    if (!rc)
        rc = count_of(s, "SELECT 1 FROM row WHERE parent = ? AND kind = 14 AND deleted = 0 AND number > ?",
                      row->parent, (int64_t)row->number, &later, d);
    if (!rc && !later)
        rc = corrected_since(s, a, &v, &corrected, d);
    if (rc || later || corrected)
        return rc;
    struct returned *x = vec_push(a, &g->list);
    int64_t *review = x ? vec_push(a, &g->reviews) : NULL;
    if (!review)
        return diag_set(d, ERR_NOMEM, "no memory for what was sent back");
    *review = row->key;
    *x = (struct returned){.visit = v.key,
                           .household = v.household,
                           .code = v.household_code,
                           .name = STR(""),
                           .form = STR(""),
                           .title = STR(""),
                           .instance_id = v.instance_id,
                           .ended = v.ended,
                           .by = record_value(r, REVIEW_NAME),
                           .level = record_value(r, REVIEW_BY_LEVEL),
                           .at = record_value(r, REVIEW_AT),
                           .comment = record_value(r, REVIEW_COMMENT)};
    rc = row_by_key(s, v.key, &about, d);
    x->own = !rc && (about.id.device == s->id.by.device || about.id.device == 0);
    if (!rc && store_published_by_hash(s, a, v.form_hash, &p, NULL) == ERR_OK) {
        x->form = p.id;
        x->title = p.title;
    }
    if (!rc && v.household) {
        rc = row_by_key(s, v.household, &about, d);
        if (!rc)
            rc = record_load(s, a, &about, &household, d);
        x->name = rc ? STR("") : record_value(&household, HOUSEHOLD_NAME);
    }
    return rc ? rc
              : count_of(s,
                         "SELECT 1 FROM row WHERE interview = ? AND kind = 4 AND state = ? AND deleted = 0",
                         v.interview, 0, &x->draft, d);
}

static enum err take_remark(struct store *s, struct arena *a, const struct row *row, const struct record *r,
                            void *self, struct diag *d)
{
    struct returned *x = ((struct gathering *)self)->at;
    struct returned_remark *slot = vec_push(a, &x->remarks);
    (void)s;
    (void)row;
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for what was sent back");
    *slot = (struct returned_remark){record_value(r, COMMENT_PLACE), record_value(r, COMMENT_TEXT)};
    return ERR_OK;
}

enum err store_returned(struct store *s, struct arena *a, struct returned **list_out, uint32_t *count_out,
                        struct diag *d)
{
    struct gathering g = {0};
    enum err rc = each_record(s, a,
                              "SELECT " ROW_COLUMNS
                              " FROM row WHERE kind = ? AND deleted = 0 ORDER BY number",
                              ROW_REVIEW, take_review, &g, d);
    for (uint32_t i = 0; !rc && i < g.list.count; i++) {
        g.at = &g.list.at[i];
        rc = each_record(s, a,
                         "SELECT " ROW_COLUMNS " FROM row WHERE parent = ? AND kind = 9 AND deleted = 0"
                         " ORDER BY number",
                         g.reviews.at[i], take_remark, &g, d);
    }
    if (!rc) {
        *list_out = g.list.at;
        *count_out = g.list.count;
    }
    return rc;
}

/* ---- shown ---- */

void returned_text(const struct returned *list, uint32_t count, bool zh)
{
    if (count > 0)
        printf("\n%s\n", zh ? "退回待改（先改这些）" : "sent back, to be corrected first");
    for (uint32_t i = 0; i < count; i++) {
        const struct returned *x = &list[i];
        fputs("  ", stdout);
        term_put(stdout, x->code.n ? x->code : x->instance_id);
        fputs("  ", stdout);
        term_put(stdout, x->name);
        fputs("  ", stdout);
        term_put(stdout, x->title.n ? x->title : x->form);
        printf("  %.10s  ", x->at.n >= 10 ? x->at.p : "          ");
        term_put(stdout, x->by);
        puts(x->draft ? (zh ? "  （正在改）" : "  (correction under way)") : "");
        if (x->comment.n) {
            fputs("    ", stdout);
            term_put(stdout, x->comment);
            putchar('\n');
        }
        for (uint32_t k = 0; k < x->remarks.count; k++) {
            fputs("    ", stdout);
            term_put(stdout, x->remarks.at[k].place);
            fputs(": ", stdout);
            term_put(stdout, x->remarks.at[k].text);
            putchar('\n');
        }
        if (x->form.n) {
            fputs(zh ? "    修改：doorstep fill " : "    correct it: doorstep fill ", stdout);
            term_put(stdout, x->form);
            fputs(" --edit ", stdout);
            term_put(stdout, x->code.n ? x->code : x->instance_id);
            putchar('\n');
        }
    }
}

void returned_json(const struct returned *list, uint32_t count, struct buf *out)
{
    buf_put_char(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        const struct returned *x = &list[i];
        const struct {
            const char *name;
            struct str value;
        } members[] = {{"household", x->code}, {"name", x->name},   {"form", x->form},
                       {"title", x->title},    {"by", x->by},       {"level", x->level},
                       {"at", x->at},          {"ended", x->ended}, {"comment", x->comment}};
        buf_put_z(out, i ? ",{\"instance_id\":" : "{\"instance_id\":");
        buf_put_json(out, x->instance_id);
        for (size_t m = 0; m < sizeof members / sizeof members[0]; m++) {
            buf_printf(out, ",\"%s\":", members[m].name);
            buf_put_json(out, members[m].value);
        }
        buf_printf(out, ",\"own\":%s,\"draft\":%s,\"remarks\":[", x->own ? "true" : "false",
                   x->draft ? "true" : "false");
        for (uint32_t k = 0; k < x->remarks.count; k++) {
            buf_put_z(out, k ? ",{\"place\":" : "{\"place\":");
            buf_put_json(out, x->remarks.at[k].place);
            buf_put_z(out, ",\"text\":");
            buf_put_json(out, x->remarks.at[k].text);
            buf_put_char(out, '}');
        }
        buf_put_z(out, "]}");
    }
    buf_put_char(out, ']');
}
