/* Judging a line of a table: its texts become the saved answers of the form that pack_table.c made, and the
 * household is judged like any other.
 */
#include "risk/table.h"

#include "risk/pack_impl.h"

#include <math.h>

uint32_t table_input_count(const struct pack *p)
{
    return p->inputs.count;
}

struct str table_input(const struct pack *p, uint32_t i)
{
    return p->inputs.at[i].name;
}

uint32_t table_set_count(const struct pack *p)
{
    return p->sets.count;
}

struct str table_set(const struct pack *p, uint32_t i)
{
    return p->sets.at[i].name;
}

uint32_t table_field_count(const struct pack *p, uint32_t set)
{
    return p->sets.at[set].field_count;
}

struct str table_field(const struct pack *p, uint32_t set, uint32_t i)
{
    return p->sets.at[set].fields[i].name;
}

uint32_t table_total_count(const struct pack *p)
{
    return p->totals.count;
}

struct table_total_about table_total(const struct pack *p, uint32_t i)
{
    const struct pack_total *t = &p->totals.at[i];
    return (struct table_total_about){t->name, t->words.zh, t->words.en};
}

/* -- a line as a saved interview -------------------------------------------------------------------- */

struct saved {
    struct saved_row *rows;
    struct saved_cell *cells;
    uint32_t row_count, cell_count;
};

static void put_cell(struct saved *s, uint64_t key, uint32_t field, struct str value)
{
    if (value.n)
        s->cells[s->cell_count++] = (struct saved_cell){key, field, value, ANSWER_GIVEN};
}

static enum err save(struct arena *a, const struct pack *p, const struct table_household *h,
                     struct saved *out, struct diag *d)
{
    size_t cells = p->inputs.count, rows = 0;
    for (uint32_t i = 0; i < p->sets.count; i++) {
        if (h->sets[i].count > TABLE_ROWS_MAX)
            return diag_set(d, ERR_LIMIT, "A household has %u rows of \"%.*s\"; at most %d are read.",
                            h->sets[i].count, STR_ARG(p->sets.at[i].name), TABLE_ROWS_MAX);
        rows += h->sets[i].count;
        cells += (size_t)h->sets[i].count * p->sets.at[i].field_count;
    }
    *out = (struct saved){.rows = ARENA_ARRAY(a, struct saved_row, rows + 1),
                          .cells = ARENA_ARRAY(a, struct saved_cell, cells + 1)};
    if (!out->rows || !out->cells)
        return diag_set(d, ERR_NOMEM, "There is no memory left for this household.");
    for (uint32_t i = 0; i < p->inputs.count; i++)
        put_cell(out, 0, p->inputs.at[i].field, h->values[i]);
    for (uint32_t i = 0; i < p->sets.count; i++) {
        uint32_t fields = p->sets.at[i].field_count;
        for (uint32_t r = 0; r < h->sets[i].count; r++) {
            uint64_t key = out->row_count + 1;
            out->rows[out->row_count++] = (struct saved_row){key, 0, i, r};
            for (uint32_t k = 0; k < fields; k++)
                put_cell(out, key, p->sets.at[i].fields[k].field, h->sets[i].values[(size_t)r * fields + k]);
        }
    }
    return ERR_OK;
}

static int64_t no_clock(void *self)
{
    (void)self;
    return 0;
}

/* -- what came out ---------------------------------------------------------------------------------- */

struct outcome {
    struct arena *a;
    struct table_result *results;
    struct table_total_part *totals;
};

static double number_of(const struct value *v)
{
    switch (v->type) {
    case VALUE_DEC: return dec_double(v->dec);
    case VALUE_NUMBER: return v->number;
    case VALUE_BOOL: return v->boolean ? 1 : 0;
    default: return NAN;
    }
}

static bool put_result(struct judging *j, struct arena *a, uint32_t index, struct table_result *out)
{
    const struct value *v = &j->now.values[index];
    struct str text = v->type == VALUE_UNKNOWN ? STR("")
                      : v->type == VALUE_BOOL  ? v->boolean ? STR("1") : STR("0")
                                               : value_text(&j->now.eval, v);
    *out = (struct table_result){j->p->values.at[index].name, arena_str(a, text), number_of(v)};
    return out->text.p != NULL;
}

static struct table_total_part total_part(struct judging *j, const struct pack_total *t)
{
    struct table_total_part part = {.value = number_of(&j->now.values[t->mean]), .weight = 1};
    if (t->weight != UINT32_MAX)
        part.weight = number_of(&j->now.values[t->weight]);
    bool among = t->where == UINT32_MAX || value_truth(&j->now.eval, &j->now.values[t->where]) == TRUTH_TRUE;
    part.counts = among && isfinite(part.value) && isfinite(part.weight);
    return part;
}

static enum err take(void *self, struct judging *j)
{
    struct outcome *o = self;
    const struct pack *p = j->p;
    for (uint32_t i = 0; i < p->result_count; i++)
        if (!put_result(j, o->a, p->results[i], &o->results[i]))
            return ERR_NOMEM;
    for (uint32_t i = 0; i < p->totals.count; i++)
        o->totals[i] = total_part(j, &p->totals.at[i]);
    return ERR_OK;
}

enum err table_judge(struct arena *a, const struct pack *p, const struct table_household *h,
                     struct table_judgement *out, struct diag *d)
{
    const struct session_host host = {.now_ms = no_clock};
    struct saved saved = {0};
    struct table_judgement result = {.result_count = p->result_count};
    struct outcome outcome = {.a = a,
                              .results = ARENA_ARRAY(a, struct table_result, p->result_count + 1),
                              .totals = ARENA_ARRAY(a, struct table_total_part, p->totals.count + 1)};
    CHECK(p->table);
    if (!outcome.results || !outcome.totals)
        return diag_set(d, ERR_NOMEM, "There is no memory left for this household.");
    enum err rc = save(a, p, h, &saved, d);
    if (rc)
        return rc;
    struct session *session = NULL;
    struct session_options o = {.form = p->form,
                                .host = &host,
                                .frozen = true,
                                .rows = saved.rows,
                                .row_count = saved.row_count,
                                .cells = saved.cells,
                                .cell_count = saved.cell_count,
                                .row_key_next = (uint64_t)saved.row_count + 1};
    rc = session_open(a, &o, &session, d);
    struct judge_input in = {.now = session, .area = h->area, .today = h->today};
    if (!rc)
        rc = judge_and(a, p, &in, &result.judgement, take, &outcome, d);
    session_close(session);
    result.results = outcome.results;
    result.totals = outcome.totals;
    if (!rc)
        *out = result;
    return rc;
}
