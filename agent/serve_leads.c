/* See serve.h. What is verified at the door, and what two people answered differently.
 */
#include "agent/serve.h"

#include "agent/disputes.h"
#include "agent/leads.h"
#include "risk/pack.h"

static struct str text_of(const struct serve_call *c, const char *name)
{
    struct str s = json_text(c->in, name);
    return s.p ? s : STR("");
}

static enum err done(struct serve_call *c, enum err rc)
{
    buf_put_z(c->out, "{}");
    return rc;
}

/* ---- leads ---- */

static enum err lead_key(struct serve_call *c, int64_t *out)
{
    return json_i64(c->in, "lead", out) ? ERR_OK : diag_set(c->d, ERR_USAGE, "say which lead");
}

static enum err seen(struct serve_call *c)
{
    int64_t lead = 0;
    struct lead_seen x = {.name = text_of(c, "name"),
                          .result = text_of(c, "result"),
                          .note = text_of(c, "note"),
                          .photo = text_of(c, "photo"),
                          .position = text_of(c, "position")};
    enum err rc = lead_key(c, &lead);
    bool known = str_eq_z(x.result, "confirmed") || str_eq_z(x.result, "refuted") ||
                 str_eq_z(x.result, "unclear");
    if (!rc && (!x.name.n || !known))
        rc = diag_set(c->d, ERR_USAGE, "say what was seen: confirmed, refuted or unclear");
    return done(c, rc ? rc : store_lead_indicator(c->g->store, lead, &x, c->d));
}

/* The visit at the door, when everything that could be seen is noted. */
static enum err visited(struct serve_call *c)
{
    int64_t lead = 0;
    const struct lead_step_taken t = {.step = STEP_VISIT,
                                      .at = STR(""),
                                      .note = text_of(c, "note"),
                                      .result = text_of(c, "result"),
                                      .category = STR(""),
                                      .follow_up = STR("")};
    enum err rc = lead_key(c, &lead);
    rc = done(c, rc ? rc : store_lead_step(c->g->store, lead, &t, c->d));
    if (!rc)
        serve_sync_ask(c->g);
    return rc;
}

static enum err report(struct serve_call *c)
{
    struct household h;
    int64_t key;
    struct lead l = {.source = STR(""),
                     .opened = STR(""),
                     .deadline = STR(""),
                     .indicators = STR(""),
                     .note = text_of(c, "note")};
    if (!lead_channel_read(text_of(c, "channel"), &l.times.channel) || l.times.channel == CHANNEL_DEPARTMENT)
        return diag_set(c->d, ERR_USAGE, "a lead is told by the household or seen on a visit");
    if (!l.note.n)
        return diag_set(c->d, ERR_USAGE, "say in a few words what it is about");
    enum err rc = store_household(c->g->store, c->a, text_of(c, "household"), &h, c->d);
    if (!rc)
        rc = store_lead_open(c->g->store, h.key, &l, &key, c->d);
    rc = done(c, rc);
    if (!rc)
        serve_sync_ask(c->g);
    return rc;
}

/* ---- answers in dispute ---- */

static void put_value(struct serve_call *c, const struct contested_value *v)
{
    js_open(c->out, NULL, '{');
    js_bool(c->out, "any", v->value.p != NULL);
    js_str(c->out, "value", v->value.p ? v->value : STR(""));
    js_bool(c->out, "removed", v->removed);
    js_bool(c->out, "own", v->own);
    js_i64(c->out, "person", v->person);
    js_i64(c->out, "at_ms", v->at_ms);
    buf_put_char(c->out, '}');
}

static void put_dispute(struct serve_call *c, struct dispute_names *names, const struct contested *x)
{
    struct household h = {.name = STR("")};
    struct diag quiet = {0};
    if (x->household.n && store_household(c->g->store, c->a, x->household, &h, &quiet))
        h.name = STR("");
    js_open(c->out, NULL, '{');
    js_i64(c->out, "row", x->row);
    js_i64(c->out, "field", x->field);
    js_str(c->out, "household", x->household);
    js_str(c->out, "name", h.name);
    js_str(c->out, "label", dispute_name(names, x));
    js_bool(c->out, "review", field_policy(x->field) == POLICY_REVIEW);
    js_open(c->out, "values", '[');
    for (uint32_t k = 0; k < x->count; k++)
        put_value(c, &x->values[k]);
    buf_put_z(c->out, "]}");
}

static enum err conflicts(struct serve_call *c)
{
    struct contested *list;
    uint32_t count;
    struct dispute_names names = {.s = c->g->store, .a = c->a};
    enum err rc = store_contested(c->g->store, c->a, &list, &count, c->d);
    if (!rc)
        rc = store_published(c->g->store, c->a, &names.list, &names.count, c->d);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    js_open(c->out, "rows", '[');
    for (uint32_t i = 0; i < count; i++)
        if (!list[i].decided)
            put_dispute(c, &names, &list[i]);
    buf_put_z(c->out, "]}");
    return ERR_OK;
}

static enum err resolve(struct serve_call *c)
{
    int64_t row, field;
    const struct json *value = json_get(c->in, "value");
    if (!json_i64(c->in, "row", &row) || !json_i64(c->in, "field", &field) || field < 0 || field > UINT32_MAX)
        return diag_set(c->d, ERR_USAGE, "say which answer");
    struct str chosen = value && value->type == JSON_STRING ? value->text : STR_NONE;
    enum err rc = done(c, store_resolve(c->g->store, row, (uint32_t)field, chosen, c->d));
    if (!rc)
        serve_sync_ask(c->g);
    return rc;
}

const struct serve_route serve_lead_routes[] = {
    {HTTP_POST, "/api/lead/seen", seen},
    {HTTP_POST, "/api/lead/visited", visited},
    {HTTP_POST, "/api/lead/report", report},
    {HTTP_GET, "/api/conflicts", conflicts},
    {HTTP_POST, "/api/conflicts/resolve", resolve},
    {HTTP_GET, NULL, NULL},
};
