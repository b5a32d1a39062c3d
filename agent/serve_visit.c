/* See serve.h. Holding an interview: opened, walked, answered, left. What is answered is committed before the
 * reply; a draft that is opened again opens where it was left.
 */
#include "agent/serve.h"

#include "agent/attach.h"

enum err visit_needed(struct serve_call *c)
{
    return c->g->visit.open ? ERR_OK : diag_set(c->d, ERR_STATE, "no interview is open");
}

void visit_close(struct serving *g)
{
    struct serve_visit *v = &g->visit;
    if (v->open)
        work_close(&v->w);
    buf_free(&v->household);
    buf_free(&v->form);
    buf_free(&v->noted);
    memset(v, 0, sizeof *v);
}

void visit_news(struct serve_call *c)
{
    struct serve_visit *v = &c->g->visit;
    js_open(c->out, "alerts", '[');
    for (; v->alerts_told < v->w.alerts.count; v->alerts_told++) {
        const struct work_alert *x = &v->w.alerts.at[v->alerts_told];
        js_open(c->out, NULL, '{');
        js_z(c->out, "severity", severity_name(x->severity));
        js_str(c->out, "zh", x->zh);
        js_str(c->out, "en", x->en);
        buf_put_char(c->out, '}');
    }
    buf_put_char(c->out, ']');
    js_open(c->out, "notes", '[');
    for (; v->notes_told < v->w.notes.count; v->notes_told++)
        js_str(c->out, NULL, v->w.notes.at[v->notes_told]);
    buf_put_char(c->out, ']');
}

/* ---- opening ---- */

static bool is_open_question(struct session *s, const struct place *in, uint32_t n)
{
    bool answered = true, any = false;
    for (uint32_t i = 0; i < n && !any; i++)
        any = session_counts(s, in[i], &answered) && !answered;
    return any;
}

/* Where the person stopped; where that does not apply any more, the first question without an answer. */
static enum err resume(struct serve_call *c, struct str *focus_out)
{
    struct session *s = c->g->visit.w.session;
    struct str wanted = c->g->visit.w.visit.place;
    struct road r;
    bool found = false;
    enum err rc = wanted.n ? road_find(c, wanted, &found) : ERR_OK;
    if (rc || found) {
        *focus_out = wanted;
        return rc;
    }
    rc = road_look(c, &r);
    for (uint32_t i = 0; !rc && i < r.stops.count; i++) {
        struct place *in = NULL;
        struct diag quiet = {0};
        uint32_t n = 0;
        if (road_is_question(&r.stops.at[i]) && !session_jump(s, r.stops.at[i].place, &quiet))
            n = session_stop_questions(s, c->a, &in);
        if (is_open_question(s, in, n)) {
            road_stand(c, &r, i);
            return ERR_OK;
        }
    }
    if (!rc)
        road_stand(c, &r, r.stops.count - 1);
    return rc;
}

static void put_languages(struct serve_call *c)
{
    const struct work *w = &c->g->visit.w;
    js_open(c->out, "languages", '[');
    for (uint32_t i = 0; i < form_language_count(w->form); i++)
        js_str(c->out, NULL, form_language(w->form, i));
    buf_put_char(c->out, ']');
    js_str(c->out, "language", w->start.language);
}

static void put_visit(struct serve_call *c)
{
    const struct serve_visit *v = &c->g->visit;
    const struct work *w = &v->w;
    js_open(c->out, "visit", '{');
    js_str(c->out, "form", form_id(w->form));
    js_str(c->out, "title", form_title(w->form).n ? form_title(w->form) : form_id(w->form));
    js_str(c->out, "version", form_version(w->form));
    if (w->has_household) {
        js_str(c->out, "household", w->household.code);
        js_str(c->out, "name", w->household.name);
    }
    put_languages(c);
    js_bool(c->out, "resumed", w->visit.resumed);
    js_bool(c->out, "revisit", w->visit.revisit);
    js_bool(c->out, "edit", w->visit.edit);
    js_bool(c->out, "reason_wanted", w->visit.edit && form_audit(w->form)->change_reasons);
    js_str(c->out, "prev_ended", w->visit.prev_ended);
    js_bool(c->out, "practice", c->g->training != NULL);
    js_bool(c->out, "pack", w->pack != NULL);
    js_str(c->out, "judged", w->visit.judgement);
    visit_news(c);
    buf_put_char(c->out, '}');
}

static bool same_as_open(const struct serve_visit *v, struct str household, struct str form, struct str edit)
{
    return v->open && !v->w.finalised && !edit.n && str_eq(buf_str(&v->household), household) &&
           str_eq(buf_str(&v->form), form);
}

static enum err open_work(struct serve_call *c, struct str household, struct str form)
{
    struct serve_visit *v = &c->g->visit;
    struct str language = json_text(c->in, "language"), edit = json_text(c->in, "edit");
    struct str position = json_text(c->in, "position"), reason = json_text(c->in, "reason");
    serve_training_end(c->g);
    visit_close(c->g);
    buf_init(&v->household, 4096);
    buf_init(&v->form, 4096);
    buf_init(&v->noted, 65536);
    buf_put_str(&v->household, household);
    buf_put_str(&v->form, form);
    struct work_options o = {.store = c->g->store,
                             .seam = c->g->seam,
                             .zone = c->g->zone,
                             .form = v->form.p,
                             .household = household.n && !edit.n ? v->household.p : NULL,
                             .fresh = json_bool(c->in, "fresh")};
    /* What the work keeps pointing to lives as long as it does; these are read while it opens. */
    o.language = language.n ? arena_z(c->a, language) : NULL;
    o.edit = edit.n ? arena_z(c->a, edit) : NULL;
    o.position = position.n ? arena_z(c->a, position) : NULL;
    o.reason = reason.n ? arena_z(c->a, reason) : NULL;
    enum err rc = work_open(&v->w, &o, c->d);
    if (rc)
        return rc;
    v->open = true;
    v->w.o.language = v->w.o.edit = v->w.o.position = NULL;
    v->w.o.reason = reason.n ? arena_z(&v->w.arena, reason) : NULL;
    v->first = session_next(v->w.session).place;
    return ERR_OK;
}

enum err visit_practise(struct serve_call *c, const char *form, const char *pack)
{
    struct serve_visit *v = &c->g->visit;
    visit_close(c->g);
    buf_init(&v->household, 4096);
    buf_init(&v->form, 4096);
    buf_init(&v->noted, 65536);
    buf_put_z(&v->form, form);
    const struct work_options o = {.store = c->g->training,
                                   .seam = c->g->seam,
                                   .zone = c->g->zone,
                                   .form = v->form.p,
                                   .pack = pack ? arena_z(c->a, str_of(pack)) : NULL,
                                   .fresh = true};
    enum err rc = work_open(&v->w, &o, c->d);
    if (rc) {
        visit_close(c->g);
        return rc;
    }
    v->open = true;
    v->w.o.pack = NULL;
    v->notes_told = v->w.notes.count; /* that the centre does not know this form is meant so */
    v->first = session_next(v->w.session).place;
    js_open(c->out, NULL, '{');
    put_visit(c);
    rc = page_write(c, STR(""));
    buf_put_char(c->out, '}');
    return rc;
}

static enum err open_visit(struct serve_call *c)
{
    struct serve_visit *v = &c->g->visit;
    struct str household = json_text(c->in, "household"), form = json_text(c->in, "form");
    struct str focus = STR("");
    bool held = same_as_open(v, household, form, json_text(c->in, "edit"));
    if (!form.n)
        return diag_set(c->d, ERR_USAGE, "say which form");
    enum err rc = held ? ERR_OK : open_work(c, household, form);
    if (!rc && !held && v->w.visit.resumed)
        rc = resume(c, &focus);
    if (rc) {
        visit_close(c->g);
        return rc;
    }
    js_open(c->out, NULL, '{');
    put_visit(c);
    rc = page_write(c, held ? buf_str(&v->noted) : focus);
    buf_put_char(c->out, '}');
    return rc;
}

static enum err show_visit(struct serve_call *c)
{
    js_open(c->out, NULL, '{');
    enum err rc = ERR_OK;
    if (c->g->visit.open) {
        put_visit(c);
        rc = page_write(c, buf_str(&c->g->visit.noted));
    }
    buf_put_char(c->out, '}');
    return rc;
}

static enum err leave_visit(struct serve_call *c)
{
    visit_close(c->g);
    buf_put_z(c->out, "{}");
    return ERR_OK;
}

/* ---- answering ---- */

static enum err find_place(struct serve_call *c, const char *name, struct place *out)
{
    struct str ref = c->in ? json_text(c->in, name) : serve_query(c, name);
    return session_place(c->g->visit.w.session, ref, out, c->d);
}

static enum err give(struct serve_call *c, struct place p)
{
    struct session *s = c->g->visit.w.session;
    struct str status = json_text(c->in, "status");
    struct str value = json_text(c->in, "value");
    if (status.n) {
        enum answer_status a = str_eq_z(status, "refused")     ? ANSWER_REFUSED
                               : str_eq_z(status, "dont_know") ? ANSWER_DONT_KNOW
                                                               : ANSWER_NONE;
        if (a == ANSWER_NONE)
            return diag_set(c->d, ERR_LIMIT, "status is refused or dont_know");
        return session_answer_status(s, p, a, c->d);
    }
    value = value.p ? value : STR("");
    return json_bool(c->in, "force") ? session_answer_forced(s, p, value, c->d)
                                     : session_answer(s, p, value, c->d);
}

/* What the form does not let stand is no failure: the words go beside the field, and nothing changed. */
static bool is_refusal(enum err rc)
{
    return rc == ERR_SYNTAX || rc == ERR_USAGE || rc == ERR_STATE || rc == ERR_LIMIT;
}

static void put_refusal(struct serve_call *c, enum err rc)
{
    js_open(c->out, NULL, '{');
    js_bool(c->out, "saved", false);
    js_z(c->out, "refused", err_action(rc)->name);
    js_z(c->out, "text", c->d->text);
    buf_put_char(c->out, '}');
}

static enum err saved_reply(struct serve_call *c)
{
    enum err rc = work_save(&c->g->visit.w, c->d);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    js_bool(c->out, "saved", true);
    rc = page_changes(c);
    visit_news(c);
    buf_put_char(c->out, '}');
    return rc;
}

/* The page that the answer stands on is noted with the first answer, when there is something to note it in.
 */
static void note_first(struct serve_call *c, struct place p)
{
    struct serve_visit *v = &c->g->visit;
    struct diag quiet = {0};
    if (v->noted.n > 0 || v->w.visit.key == 0)
        return;
    struct str ref = session_ref(v->w.session, p, c->a);
    if (store_visit_place(v->w.o.store, &v->w.visit, ref, &quiet) == ERR_OK)
        buf_put_str(&v->noted, ref);
}

static enum err answer(struct serve_call *c)
{
    struct place p;
    enum err rc = visit_needed(c);
    if (!rc)
        rc = find_place(c, "ref", &p);
    if (rc)
        return rc;
    rc = give(c, p);
    if (is_refusal(rc)) {
        if (rc == ERR_SYNTAX)
            audit_moment(c->g->visit.w.audit, AUDIT_CONSTRAINT_ERROR, &p);
        put_refusal(c, rc);
        return ERR_OK;
    }
    if (!rc)
        rc = saved_reply(c);
    if (!rc)
        note_first(c, p);
    return rc;
}

/* A write that failed is tried again; the answers stayed with the session. */
static enum err save_again(struct serve_call *c)
{
    enum err rc = visit_needed(c);
    return rc ? rc : saved_reply(c);
}

static enum err comment(struct serve_call *c)
{
    struct place p;
    enum err rc = visit_needed(c);
    if (!rc)
        rc = find_place(c, "ref", &p);
    if (!rc)
        rc = work_comment(&c->g->visit.w, p, json_text(c->in, "text"), c->d);
    return rc ? rc : saved_reply(c);
}

static enum err take_file(struct serve_call *c)
{
    char name[ATTACH_NAME_MAX];
    struct place p;
    struct session *s = c->g->visit.w.session;
    enum err rc = visit_needed(c);
    if (!rc)
        rc = find_place(c, "ref", &p);
    if (!rc)
        rc = attach_put(c->g->visit.w.o.store, serve_query(c, "name"), c->request->body, name, c->d);
    if (!rc)
        rc = session_answer(s, p, str_of(name), c->d);
    return rc ? rc : saved_reply(c);
}

/* ---- walking ---- */

static enum err page_reply(struct serve_call *c, struct str focus)
{
    js_open(c->out, NULL, '{');
    enum err rc = page_write(c, focus);
    visit_news(c);
    buf_put_char(c->out, '}');
    return rc;
}

/* Asking whether there is one more makes no sense where the form counts itself. */
static bool is_shown(const struct stop *st)
{
    return st->kind != STOP_START && (st->kind != STOP_REPEAT || st->can_add || st->count > 0);
}

static enum err go(struct serve_call *c)
{
    enum err rc = visit_needed(c);
    struct str to = json_text(c->in, "to");
    bool found = true;
    if (rc)
        return rc;
    struct session *s = c->g->visit.w.session;
    if (str_eq_z(to, "next") || str_eq_z(to, "prev")) {
        bool next = to.p[0] == 'n';
        struct stop st = next ? session_next(s) : session_prev(s);
        while (!is_shown(&st) && st.kind != STOP_START)
            st = next ? session_next(s) : session_prev(s);
        if (st.kind == STOP_START) {
            session_next(s);
            buf_put_z(c->out, "{\"left\":true}");
            return ERR_OK;
        }
        return page_reply(c, STR(""));
    }
    rc = road_find(c, to, &found);
    if (!rc && !found)
        rc = diag_set(c->d, ERR_NOT_FOUND, "this question does not apply now");
    bool is_ref = str_starts(to, STR("/")) && str_find(to, STR(" + ")) < 0;
    return rc ? rc : page_reply(c, is_ref ? to : STR(""));
}

static enum err progress(struct serve_call *c)
{
    struct road r;
    enum err rc = visit_needed(c);
    if (!rc)
        rc = road_look(c, &r);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    js_i64(c->out, "total", r.questions);
    js_i64(c->out, "before", r.before);
    js_i64(c->out, "answered", r.answered);
    buf_put_char(c->out, '}');
    return ERR_OK;
}

/* ---- the list to jump from ---- */

static enum err put_line(struct serve_call *c, struct place p, struct str *group)
{
    struct session *s = c->g->visit.w.session;
    struct question_view v;
    bool answered = false;
    if (!session_counts(s, p, &answered))
        return ERR_OK;
    enum err rc = session_view(s, p, c->a, &v, c->d);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    js_str(c->out, "ref", v.ref);
    js_str(c->out, "label", v.label);
    if (!str_eq(*group, v.group))
        js_str(c->out, "group", v.group);
    *group = v.group;
    js_z(c->out, "state", !v.answered ? (v.required ? "needed" : "open") : v.violated ? "check" : "done");
    buf_put_char(c->out, '}');
    return ERR_OK;
}

static enum err put_stop_lines(struct serve_call *c, const struct stop *st, struct str *group)
{
    struct session *s = c->g->visit.w.session;
    struct place *in = NULL;
    struct diag quiet = {0};
    uint32_t n = 0;
    enum err rc = ERR_OK;
    if (st->kind == STOP_REPEAT && is_shown(st)) {
        js_open(c->out, NULL, '{');
        js_str(c->out, "ref", road_prompt(c, st));
        js_str(c->out, "label", session_repeat_label(s, st, c->a));
        js_z(c->out, "state", "roster");
        js_i64(c->out, "count", st->count);
        buf_put_char(c->out, '}');
    }
    if (road_is_question(st) && !session_jump(s, st->place, &quiet))
        n = session_stop_questions(s, c->a, &in);
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = put_line(c, in[i], group);
    return rc;
}

static enum err jump_list(struct serve_call *c)
{
    struct road r;
    struct str group = STR("");
    enum err rc = visit_needed(c);
    if (!rc)
        rc = road_look(c, &r);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    js_str(c->out, "here", buf_str(&c->g->visit.noted));
    js_i64(c->out, "total", r.questions);
    js_i64(c->out, "answered", r.answered);
    js_open(c->out, "rows", '[');
    for (uint32_t i = 0; !rc && i < r.stops.count; i++)
        rc = put_stop_lines(c, &r.stops.at[i], &group);
    road_stand(c, &r, r.at);
    buf_put_z(c->out, "]}");
    return rc;
}

static enum err choices(struct serve_call *c)
{
    struct place p;
    uint64_t skip = 0;
    enum err rc = visit_needed(c);
    (void)str_to_u64(serve_query(c, "skip"), &skip);
    if (!rc)
        rc = find_place(c, "ref", &p);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    rc = page_choices(c, p, serve_query(c, "q"), skip > UINT32_MAX ? UINT32_MAX : (uint32_t)skip);
    buf_put_char(c->out, '}');
    return rc;
}

/* ---- entries ---- */

/* "/survey + /survey/member": below the first, one more of the second. */
static enum err add_entry(struct serve_call *c)
{
    struct session *s;
    struct stop st;
    struct place added;
    bool found = false;
    enum err rc = visit_needed(c);
    if (!rc)
        rc = road_find(c, json_text(c->in, "roster"), &found);
    if (rc)
        return rc;
    s = c->g->visit.w.session;
    st = session_stop(s);
    if (!found || st.kind != STOP_REPEAT || !st.can_add)
        return diag_set(c->d, ERR_STATE, "there is nothing to add to here");
    rc = session_repeat_add(s, st.place, st.repeat, &added, c->d);
    if (!rc)
        rc = work_save(&c->g->visit.w, c->d);
    if (!rc)
        rc = session_jump(s, added, c->d);
    return rc ? rc : page_reply(c, STR(""));
}

static enum err remove_entry(struct serve_call *c)
{
    struct place p;
    bool found = false;
    enum err rc = visit_needed(c);
    if (!rc)
        rc = find_place(c, "entry", &p);
    if (!rc)
        rc = session_repeat_remove(c->g->visit.w.session, p, c->d);
    if (!rc)
        rc = work_save(&c->g->visit.w, c->d);
    if (!rc)
        rc = road_find(c, json_text(c->in, "roster"), &found);
    return rc ? rc : page_reply(c, STR(""));
}

static enum err language(struct serve_call *c)
{
    struct work *w = &c->g->visit.w;
    struct str wanted = json_text(c->in, "language");
    enum err rc = visit_needed(c);
    for (uint32_t i = 0; !rc && i < form_language_count(w->form); i++) {
        if (!str_eq(form_language(w->form, i), wanted))
            continue;
        rc = session_language(w->session, i, c->d);
        if (rc)
            return rc;
        w->start.language = form_language(w->form, i);
        return page_reply(c, json_text(c->in, "focus"));
    }
    return rc ? rc : diag_set(c->d, ERR_NOT_FOUND, "the form has no such language");
}

/* ---- what questions show ---- */

static const char *media_type(struct str name)
{
    static const char *const types[][2] = {
        {".jpg", "image/jpeg"},  {".jpeg", "image/jpeg"}, {".png", "image/png"}, {".gif", "image/gif"},
        {".webp", "image/webp"}, {".mp3", "audio/mpeg"},  {".m4a", "audio/mp4"}, {".ogg", "audio/ogg"},
        {".oga", "audio/ogg"},   {".webm", "audio/webm"}, {".wav", "audio/wav"}, {".mp4", "video/mp4"},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_ends(name, str_of(types[i][0])))
            return types[i][1];
    return "application/octet-stream";
}

static enum err media_bytes(struct serve_call *c, struct str *name_out)
{
    struct str uri = serve_query(c, "uri"), bytes = STR("");
    struct buf file;
    enum err rc;
    if (uri.n) { /* of the form: "jr://images/well.png" */
        rc = visit_needed(c);
        if (!rc)
            rc = lists_read(&c->g->visit.w.lists, uri, &bytes, c->d);
        buf_put_str(c->out, rc ? STR("") : bytes);
        *name_out = uri;
        return rc;
    }
    struct store *from = c->g->training ? c->g->training : c->g->store;
    *name_out = serve_query(c, "name");
    buf_init(&file, SERVE_BODY_MAX);
    rc = attach_get(from, *name_out, &file, c->d);
    if (!rc)
        buf_put_str(c->out, buf_str(&file));
    buf_free(&file);
    return rc;
}

/* What a question shows, or a file that answers one: image, sound or bytes, never a page. */
static enum err media(struct serve_call *c)
{
    struct str name = STR("");
    struct http_reply *r = c->reply;
    enum err rc = media_bytes(c, &name);
    if (rc == ERR_NOT_FOUND)
        (void)diag_set(c->d, rc, "this file is not here");
    if (rc)
        return rc;
    r->headers[r->header_count++] = (struct http_header){STR("Content-Type"), str_of(media_type(name))};
    r->headers[r->header_count++] = (struct http_header){STR("Content-Disposition"), STR("attachment")};
    r->headers[r->header_count++] = (struct http_header){STR("Cache-Control"), STR("private, max-age=3600")};
    return ERR_OK;
}

const struct serve_route serve_visit_routes[] = {
    {HTTP_POST, "/api/visit/open", open_visit},
    {HTTP_GET, "/api/visit", show_visit},
    {HTTP_POST, "/api/visit/leave", leave_visit},
    {HTTP_POST, "/api/visit/answer", answer},
    {HTTP_POST, "/api/visit/save", save_again},
    {HTTP_POST, "/api/visit/comment", comment},
    {HTTP_POST, "/api/visit/file", take_file},
    {HTTP_POST, "/api/visit/go", go},
    {HTTP_GET, "/api/visit/progress", progress},
    {HTTP_GET, "/api/visit/list", jump_list},
    {HTTP_GET, "/api/visit/choices", choices},
    {HTTP_POST, "/api/visit/add", add_entry},
    {HTTP_POST, "/api/visit/remove", remove_entry},
    {HTTP_POST, "/api/visit/language", language},
    {HTTP_GET, "/api/media", media},
    {HTTP_GET, NULL, NULL},
};
