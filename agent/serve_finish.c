/* See serve.h. The end of an interview: what is missing, the person's own judgement, then what the rules
 * found, then it is finalised.
 *
 * Always true: no finding leaves here before the judgement is in the store (urgent ones, which the pack
 * names, are told beside the answers).
 */
#include "agent/serve.h"

#include "platform/crypto.h"

/* ---- what is missing ---- */

static enum err put_problem(struct serve_call *c, struct place p)
{
    struct question_view v;
    enum err rc = session_view(c->g->visit.w.session, p, c->a, &v, c->d);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    js_str(c->out, "ref", v.ref);
    js_str(c->out, "label", v.label.n ? v.label : v.ref);
    js_str(c->out, "group", v.group);
    js_str(c->out, "message", v.message);
    js_bool(c->out, "missing", !v.answered);
    buf_put_char(c->out, '}');
    return ERR_OK;
}

static enum err check(struct serve_call *c)
{
    struct place *places;
    enum err rc = visit_needed(c);
    if (rc)
        return rc;
    uint32_t count = session_violations(c->g->visit.w.session, c->a, &places);
    js_open(c->out, NULL, '{');
    js_open(c->out, "problems", '[');
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = put_problem(c, places[i]);
    buf_put_z(c->out, "]}");
    return rc;
}

/* ---- judged by both ---- */

static enum err judged_by_person(struct serve_call *c)
{
    return c->g->visit.w.visit.judgement.n
               ? ERR_OK
               : diag_set(c->d, ERR_STATE, "your own judgement comes before the findings");
}

static void put_about(struct serve_call *c, const struct judgement *j)
{
    js_z(c->out, "level", judgement_level(j));
    js_str(c->out, "pack", j->pack_id);
    js_str(c->out, "version", j->pack_version);
    js_bool(c->out, "expired", j->expired);
    js_str(c->out, "category_zh", j->category_zh);
    js_str(c->out, "category_en", j->category_en);
    js_i64(c->out, "checked", j->checked);
    js_i64(c->out, "unknown", j->unknown);
}

static void put_finding(struct serve_call *c, const struct finding *f)
{
    js_open(c->out, NULL, '{');
    js_str(c->out, "rule", f->rule);
    js_z(c->out, "severity", f->state == FINDING_HIT ? severity_name(f->severity) : "unknown");
    js_z(c->out, "kind", finding_kind_name(f->kind));
    js_str(c->out, "name_zh", f->name_zh);
    js_str(c->out, "name_en", f->name_en);
    js_str(c->out, "text_zh", f->text_zh);
    js_str(c->out, "text_en", f->text_en);
    js_str(c->out, "values_zh", f->values_zh);
    js_str(c->out, "values_en", f->values_en);
    js_str(c->out, "follow_zh", f->follow_zh);
    js_str(c->out, "follow_en", f->follow_en);
    js_str(c->out, "missing", f->missing);
    js_str(c->out, "source", f->source);
    buf_put_char(c->out, '}');
}

static enum err put_findings(struct serve_call *c)
{
    struct judgement j;
    enum err rc = work_judge(&c->g->visit.w, c->a, &j, c->d);
    if (rc)
        return rc;
    put_about(c, &j);
    js_str(c->out, "own", c->g->visit.w.visit.judgement);
    js_open(c->out, "findings", '[');
    for (uint32_t i = 0; i < j.count; i++)
        put_finding(c, &j.findings[i]);
    buf_put_char(c->out, ']');
    return ERR_OK;
}

static enum err findings(struct serve_call *c)
{
    enum err rc = visit_needed(c);
    if (!rc)
        rc = judged_by_person(c);
    js_open(c->out, NULL, '{');
    if (!rc)
        rc = put_findings(c);
    buf_put_char(c->out, '}');
    return rc;
}

static enum err judge(struct serve_call *c)
{
    struct str own = str_trim(json_text(c->in, "own"));
    enum err rc = visit_needed(c);
    if (!rc && !own.n)
        rc = diag_set(c->d, ERR_USAGE, "choose what you think first");
    if (!rc)
        rc = store_visit_judged(c->g->visit.w.o.store, &c->g->visit.w.visit, own, c->d);
    return rc ? rc : findings(c);
}

/* ---- finalising ---- */

/* Eight letters and digits that can be read aloud; the same for the same submission everywhere. */
static enum err receipt_number(struct str instance, char out[static 10], struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    enum err rc = sha256(instance, hash);
    if (rc)
        return diag_set(d, rc, "no receipt number");
    uint64_t bits = 0;
    for (int i = 0; i < 5; i++)
        bits = bits << 8 | hash[i];
    base32_write(bits, 8, out);
    memmove(out + 5, out + 4, 4);
    out[4] = '-';
    out[9] = '\0';
    return ERR_OK;
}

static enum err put_receipt(struct serve_call *c, const struct work_result *r)
{
    char number[10];
    const struct work *w = &c->g->visit.w;
    enum err rc = receipt_number(r->instance_id, number, c->d);
    if (rc)
        return rc;
    js_z(c->out, "receipt", number);
    js_str(c->out, "instance", r->instance_id);
    js_str(c->out, "household", w->has_household ? w->household.code : STR(""));
    js_str(c->out, "name", w->has_household ? w->household.name : STR(""));
    js_str(c->out, "title", form_title(w->form).n ? form_title(w->form) : form_id(w->form));
    js_str(c->out, "started", w->visit.started);
    js_str(c->out, "form", form_id(w->form));
    js_bool(c->out, "practice", c->g->training != NULL);
    js_z(c->out, "level", r->judged ? judgement_level(&r->judgement) : "");
    visit_news(c);
    return ERR_OK;
}

static enum err finish(struct serve_call *c)
{
    struct work *w = &c->g->visit.w;
    struct work_result r;
    enum err rc = visit_needed(c);
    struct str reason = rc || !c->in ? STR("") : json_text(c->in, "reason");
    if (!rc && w->pack)
        rc = judged_by_person(c);
    if (!rc && reason.n) {
        w->o.reason = arena_z(&w->arena, reason);
        audit_reason(w->audit, str_of(w->o.reason));
    }
    if (!rc)
        rc = work_finish(w, c->a, w->visit.judgement, &r, c->d);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    rc = put_receipt(c, &r);
    buf_put_char(c->out, '}');
    if (c->g->training)
        serve_training_end(c->g);
    visit_close(c->g);
    serve_sync_ask(c->g);
    return rc;
}

const struct serve_route serve_finish_routes[] = {
    {HTTP_GET, "/api/visit/check", check},
    {HTTP_POST, "/api/visit/judgement", judge},
    {HTTP_GET, "/api/visit/findings", findings},
    {HTTP_POST, "/api/visit/finish", finish},
    {HTTP_GET, NULL, NULL},
};
