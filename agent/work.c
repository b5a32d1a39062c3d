/* See work.h. */
#include "agent/work.h"

#include "agent/form_file.h"
#include "agent/leads.h"
#include "agent/returned.h"
#include "agent/work_impl.h"

#include <stdarg.h>

enum err work_file(const struct seam *seam, const char *path, struct buf *out, struct diag *d)
{
    buf_init(out, WORK_FILE_MAX);
    enum err rc = seam->file_read(seam->self, path, out, d);
    if (rc == ERR_NOT_FOUND && d && !d->text[0])
        rc = diag_set(d, rc, "there is no file %s", path);
    return rc;
}

/* What the person should know before the first question. */
void work_note(struct work *w, const char *format, ...)
{
    struct buf b;
    va_list args;

    buf_init(&b, 4096);
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    struct str text = b.failed ? STR_NONE : arena_str(&w->arena, buf_str(&b));
    struct str *slot = text.p ? vec_push(&w->arena, &w->notes) : NULL;
    if (slot)
        *slot = text;
    buf_free(&b);
}

/* ---- what the session asks of us ---- */

static int64_t host_now(void *self)
{
    struct work *w = self;
    return w->o.seam->wall_ms(w->o.seam->self);
}

static enum err host_random(void *self, void *out, size_t n)
{
    struct work *w = self;
    return w->o.seam->random(w->o.seam->self, out, n);
}

static struct str host_property(void *self, struct str name)
{
    struct work *w = self;
    const struct identity *id = store_identity(w->o.store);

    if (str_eq_z(name, "deviceid") || str_eq_z(name, "uri:deviceid"))
        return id->enrolled ? device_text(&w->arena, id->by.device) : STR("");
    if (str_eq_z(name, "username") || str_eq_z(name, "uri:username"))
        return id->by.person_name.p ? id->by.person_name : STR("");
    return STR("");
}

static enum err host_resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct work *w = self;
    return lists_read(&w->lists, uri, bytes_out, d);
}

static void note_text(void *self, struct str text)
{
    work_note(self, "%.*s", STR_ARG(text));
}

enum err work_lists(struct work *w, struct diag *d)
{
    w->lists = (struct lists){.store = w->o.store,
                              .seam = w->o.seam,
                              .form = w->form,
                              .beside = w->from_file ? w->o.form : NULL,
                              .own_name = w->own_list.name,
                              .own_bytes = w->own_list.bytes,
                              .a = &w->arena,
                              .self = w,
                              .note = note_text};
    w->host = (struct session_host){.self = w,
                                    .now_ms = host_now,
                                    .zone = w->o.zone,
                                    .random = host_random,
                                    .property = host_property,
                                    .resource = host_resource};
    enum err rc = lists_open(&w->lists, d);
    w->host.lists = rc ? NULL : lists_host(&w->lists);
    return rc;
}

/* ---- opening ---- */

static enum err newest_published(struct work *w, const char *kind, struct str id, struct published *out,
                                 struct diag *d)
{
    struct published *list;
    uint32_t count;
    enum err rc = store_published(w->o.store, &w->arena, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        if (str_eq_z(list[i].kind, kind) && str_eq(list[i].id, id)) {
            *out = list[i];
            return ERR_OK;
        }
    return rc ? rc : ERR_NOT_FOUND;
}

/* The stable numbers of its fields, as the centre gave them out; "" where it never did. */
enum err work_fieldmap(struct work *w, bool *published_out, struct str *out, struct diag *d)
{
    struct published p;
    enum err rc = store_published_by_hash(w->o.store, &w->arena, w->start.form_hash, &p, d);
    *published_out = rc == ERR_OK;
    *out = rc ? STR("") : p.fieldmap;
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

enum err work_map_read(struct work *w, struct str text, struct fieldmap *out, struct diag *d)
{
    return fieldmap_read(&w->arena, text, form_policies(&w->arena, w->form), form_field_count(w->form),
                         form_repeat_count(w->form), out, d);
}

/* The argument is a file when there is one of that name, else the id of a published form. */
enum err work_form_source(struct work *w, struct diag *d)
{
    struct diag quiet = {0};
    struct published p;

    enum err rc = form_file_read(w->o.seam, w->o.form, &w->arena, &w->form_bytes, NULL, &w->own_list,
                                 &w->findings, &quiet);
    w->from_file = rc != ERR_NOT_FOUND;
    if (!rc)
        return sha256(buf_str(&w->form_bytes), w->start.form_hash);
    if (w->from_file)
        return diag_set(d, quiet.code ? quiet.code : rc, "%s", quiet.text);
    rc = newest_published(w, "form", str_of(w->o.form), &p, d);
    if (rc == ERR_NOT_FOUND)
        return diag_set(
            d, rc,
            "%s is neither a file nor the id of a form on this device: `doorstep status` lists the forms",
            w->o.form);
    if (!rc)
        rc = store_object_get(w->o.store, p.hash, &w->form_bytes, d);
    if (!rc)
        memcpy(w->start.form_hash, p.hash, SHA256_SIZE);
    return rc;
}

enum err work_form_load(struct work *w, struct diag *d)
{
    memset(&w->findings, 0, sizeof w->findings);
    return form_load(&w->arena, buf_str(&w->form_bytes), &w->form, &w->findings, d);
}

/* A form of a file is kept, so that a draft can go on with it whatever becomes of the file. One that the
 * centre knows in another version only must not be begun with: its fields would have numbers that mean
 * others. */
enum err work_form_keep(struct work *w, struct diag *d)
{
    struct published p;
    if (store_identity(w->o.store)->enrolled) {
        enum err rc = newest_published(w, "form", form_id(w->form), &p, d);
        if (rc && rc != ERR_NOT_FOUND)
            return rc;
        if (!rc && !w->draft)
            return diag_set(d, ERR_STATE,
                            "the centre has published form %.*s, but not this file (version %.*s): have it "
                            "published and sync, or use the form's id",
                            STR_ARG(form_id(w->form)), STR_ARG(form_version(w->form)));
        work_note(
            w, "the centre does not know this form yet: what is captured waits there until it is published");
    }
    return store_object_put(w->o.store, w->start.form_hash, buf_str(&w->form_bytes), d);
}

/* A draft goes on with the version of the form that it was begun with. */
static enum err follow_draft(struct work *w, struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    struct str newer = form_version(w->form);

    if (!w->start.household && w->start.fresh)
        return ERR_OK;
    enum err rc = store_draft_form(w->o.store, form_id(w->form), w->start.household, hash, &w->draft, d);
    if (rc || !w->draft || memcmp(hash, w->start.form_hash, SHA256_SIZE) == 0)
        return rc;
    buf_clear(&w->form_bytes);
    rc = store_object_get(w->o.store, hash, &w->form_bytes, d);
    if (rc)
        return rc;
    memcpy(w->start.form_hash, hash, SHA256_SIZE);
    rc = work_form_load(w, d);
    if (!rc)
        work_note(w,
                  "this draft goes on with version %.*s of the form, with which it was begun; version %.*s "
                  "is here for the next visit, or for this draft with --migrate",
                  STR_ARG(form_version(w->form)), STR_ARG(newer));
    return rc;
}

/* What was sent is corrected with the version of the form that it was made with. */
static enum err follow_sent(struct work *w, struct diag *d)
{
    struct finished_visit sent;
    enum err rc = store_finished_newest(w->o.store, &w->arena, form_id(w->form), w->start.household,
                                        w->start.interview, &sent, d);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, rc, "nothing was finalised with form %.*s for %s: there is nothing to correct",
                        STR_ARG(form_id(w->form)), w->o.edit);
    if (!rc && w->sent.key && w->sent.key != sent.key)
        return diag_set(
            d, ERR_STATE,
            "there is a later visit to this household (%.*s): correct that one, or hold a new visit",
            STR_ARG(str_sub(sent.ended, 0, 10)));
    if (rc || memcmp(sent.form_hash, w->start.form_hash, SHA256_SIZE) == 0)
        return rc;
    buf_clear(&w->form_bytes);
    rc = store_object_get(w->o.store, sent.form_hash, &w->form_bytes, d);
    if (rc)
        return rc;
    memcpy(w->start.form_hash, sent.form_hash, SHA256_SIZE);
    return work_form_load(w, d);
}

static enum err open_form(struct work *w, struct diag *d)
{
    struct str fieldmap;
    bool published = false;

    enum err rc = work_form_source(w, d);
    if (!rc)
        rc = work_form_load(w, d);
    if (!rc)
        rc = follow_draft(w, d);
    if (!rc && w->o.edit && !w->draft)
        rc = follow_sent(w, d);
    if (!rc)
        rc = work_fieldmap(w, &published, &fieldmap, d);
    if (!rc && w->from_file && !published)
        rc = work_form_keep(w, d);
    return rc ? rc : work_map_read(w, fieldmap, &w->map, d);
}

static uint32_t language_of(const struct form *f, const char *wanted)
{
    if (wanted)
        for (uint32_t i = 0; i < form_language_count(f); i++) {
            struct str l = form_language(f, i);
            if (str_starts(l, str_of(wanted)) || str_find(l, str_of(wanted)) >= 0)
                return i;
        }
    return form_language_default(f);
}

bool work_is_chinese(struct str language)
{
    return str_starts(language, STR("zh")) || str_find(language, STR("(zh")) >= 0 ||
           str_find(language, STR("中文")) >= 0;
}

static enum err use_pack(struct work *w, struct diag *d)
{
    struct form_findings findings = {0};
    enum err rc = pack_load(&w->arena, buf_str(&w->pack_bytes), w->form, &w->pack, &findings, d);
    for (uint32_t i = 0; i < findings.list.count; i++) {
        struct form_finding *slot = vec_push(&w->arena, &w->findings.list);
        if (slot)
            *slot = findings.list.at[i];
    }
    if (rc)
        w->pack = NULL;
    return rc ? rc : sha256(buf_str(&w->pack_bytes), w->pack_hash);
}

/* A pack that cannot be read or used must not keep anybody from interviewing: it is told, and the next one is
 * looked at. */
static enum err try_pack(struct work *w, const struct published *p, struct diag *d)
{
    struct pack_about about = {0};
    struct diag why = {0};
    struct str id = form_id(w->form);
    bool ours = false;

    if (!p->held) {
        work_note(w, "rule pack %.*s %.*s waits at the centre: sync fetches it", STR_ARG(p->id),
                  STR_ARG(p->version));
        return ERR_OK;
    }
    buf_free(&w->pack_bytes);
    buf_init(&w->pack_bytes, WORK_FILE_MAX);
    enum err rc = store_object_get(w->o.store, p->hash, &w->pack_bytes, d);
    if (rc)
        return rc;
    rc = pack_about_read(&w->arena, buf_str(&w->pack_bytes), &about, &why);
    for (uint32_t k = 0; !rc && k < about.form_id_count; k++)
        ours = ours || str_eq(about.form_ids[k], id);
    if (!rc && ours)
        rc = use_pack(w, &why);
    if (rc == ERR_NOMEM)
        return diag_set(d, rc, "no memory for the rule pack");
    if (rc)
        work_note(w, "rule pack %.*s %.*s cannot be used: %s", STR_ARG(p->id), STR_ARG(p->version), why.text);
    return ERR_OK;
}

static enum err open_pack(struct work *w, struct diag *d)
{
    struct published *list;
    uint32_t count;

    buf_init(&w->pack_bytes, WORK_FILE_MAX);
    if (w->o.pack) {
        enum err rc = work_file(w->o.seam, w->o.pack, &w->pack_bytes, d);
        return rc ? rc : use_pack(w, d);
    }
    enum err rc = store_published(w->o.store, &w->arena, &list, &count, d);
    for (uint32_t i = 0; !rc && !w->pack && i < count; i++)
        if (str_eq_z(list[i].kind, "pack"))
            rc = try_pack(w, &list[i], d);
    return rc;
}

/* [["/survey/meta", "<deprecatedID>...</deprecatedID>"], ...] and back. */
static enum err unknown_write(struct work *w, struct str *out, struct diag *d)
{
    struct saved_unknown *list;
    struct buf b;
    uint32_t count = session_unknown(w->session, &w->arena, &list);
    buf_init(&b, 1u << 20);
    for (uint32_t i = 0; i < count; i++) {
        buf_put_z(&b, i ? ",[" : "[[");
        buf_put_json(&b, list[i].path);
        buf_put_char(&b, ',');
        buf_put_json(&b, list[i].xml);
        buf_put_char(&b, ']');
    }
    buf_put_z(&b, count ? "]" : "");
    *out = b.n ? arena_str(&w->arena, buf_str(&b)) : STR("");
    enum err rc = b.failed ? b.failed : out->p ? ERR_OK : ERR_NOMEM;
    buf_free(&b);
    return rc ? diag_set(d, rc, "what was sent holds too much that its form does not know") : ERR_OK;
}

static enum err unknown_read(struct work *w, struct str text, struct session_options *so, struct diag *d)
{
    const struct json *list = NULL;
    if (text.n == 0)
        return ERR_OK;
    enum err rc = json_read(&w->arena, text, &list, d);
    struct saved_unknown *out = rc ? NULL : ARENA_ARRAY(&w->arena, struct saved_unknown, list->count + 1u);
    if (rc || !out)
        return rc ? rc : diag_set(d, ERR_NOMEM, "no memory to open the interview");
    for (const struct json *x = list->child; x; x = x->next)
        if (x->count == 2)
            out[so->unknown_count++] = (struct saved_unknown){.path = json_at(x, 0)->text,
                                                              .xml = json_at(x, 1)->text};
    so->unknown = out;
    return ERR_OK;
}

static enum err open_session(struct work *w, uint32_t language, struct diag *d)
{
    const struct visit *v = &w->visit;
    struct session_options so = {.form = w->form,
                                 .instance_id = w->visit.instance_id,
                                 .host = &w->host,
                                 .resume = v->resumed || v->revisit,
                                 .revisit = v->revisit && !v->resumed,
                                 .edit = v->edit && !v->resumed,
                                 .rows = v->now.rows,
                                 .row_count = v->now.row_count,
                                 .cells = v->now.cells,
                                 .cell_count = v->now.cell_count,
                                 .row_key_next = v->row_key_next,
                                 .language = language};
    enum err rc = work_lists(w, d);
    if (!rc)
        rc = unknown_read(w, v->unknown, &so, d);
    if (!rc)
        rc = session_open(&w->arena, &so, &w->session, d);
    if (!rc && so.edit)
        rc = unknown_write(w, &w->start.unknown, d);
    if (!rc)
        rc = work_log_open(w, d);
    if (!rc && w->o.position)
        rc = work_position(w, str_of(w->o.position), d);
    return rc ? rc : work_save(w, d);
}

enum err work_household(struct work *w, struct diag *d)
{
    if (!w->o.household)
        return ERR_OK;
    enum err rc = store_household(w->o.store, &w->arena, str_of(w->o.household), &w->household, d);
    w->has_household = !rc;
    w->start.household = rc ? 0 : w->household.key;
    return rc;
}

/* By the code of a household, whose newest visit with this form is meant, or by the instanceID of a visit. */
static enum err open_edit(struct work *w, struct diag *d)
{
    struct diag quiet = {0};
    struct str which = w->o.edit ? str_of(w->o.edit) : STR_NONE;
    if (!which.p)
        return ERR_OK;
    w->start.edit = true;
    if (store_household(w->o.store, &w->arena, which, &w->household, &quiet) == ERR_OK) {
        w->has_household = true;
        w->start.household = w->household.key;
        return ERR_OK;
    }
    enum err rc = store_finished_visit(w->o.store, &w->arena, which, 0, &w->sent, d);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, rc, "%s is neither a household nor a visit that was finalised on this device",
                        w->o.edit);
    if (rc)
        return rc;
    w->start.household = w->sent.household;
    w->start.interview = w->sent.household ? 0 : w->sent.interview;
    if (w->sent.household_code.n)
        rc = store_household(w->o.store, &w->arena, w->sent.household_code, &w->household, d);
    w->has_household = !rc && w->sent.household_code.n > 0;
    return rc;
}

static enum err settle_edit(struct work *w, struct diag *d)
{
    if (w->o.edit && w->visit.resumed && !w->visit.edit)
        return diag_set(d, ERR_STATE,
                        "a visit with this form is under way: finish it first, or correct the answers in it");
    if (w->visit.edit)
        work_note(w, "this corrects what was sent; the centre gets it as a correction");
    return ERR_OK;
}

/* What earlier versions of the form asked and this one does not: kept, and shown. */
static enum err tell_aside(struct work *w, struct diag *d)
{
    struct set_aside *list;
    uint32_t count = 0;
    if (!w->visit.resumed)
        return ERR_OK;
    enum err rc = store_visit_aside(w->o.store, &w->arena, &w->visit, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        if (list[i].status != ANSWER_NONE) /* an answer, not the entry it stood in */
            work_note(
                w, "kept beside this draft, because this version of the form has no place for it: %.*s: %.*s",
                STR_ARG(list[i].path), STR_ARG(list[i].value));
    return rc;
}

enum err work_open(struct work *w, const struct work_options *o, struct diag *d)
{
    uint32_t language = 0;

    memset(w, 0, sizeof *w);
    w->o = *o;
    w->start.fresh = o->fresh;
    arena_init(&w->arena, WORK_MEMORY_MAX);
    enum err rc = work_household(w, d);
    if (!rc)
        rc = open_edit(w, d);
    if (!rc)
        rc = open_form(w, d);
    if (!rc)
        rc = open_pack(w, d);
    if (!rc) {
        language = language_of(w->form, o->language);
        w->start.form = w->form;
        w->start.map = &w->map;
        w->start.type = str_of(o->type ? o->type : w->has_household ? "monitoring" : "");
        w->start.language = form_language_count(w->form) ? form_language(w->form, language) : STR("");
        rc = store_visit_open(o->store, &w->arena, &w->start, &w->visit, d);
    }
    if (!rc)
        rc = settle_edit(w, d);
    if (!rc)
        rc = tell_aside(w, d);
    if (!rc && form_submission(w->form)->public_key.n)
        work_note(w,
                  "this form asks for ODK's encryption: exports to ODK are sealed with the form's key; the "
                  "county's own centre reads the answers");
    if (!rc) {
        store_visit_reserve(o->store, &w->visit);
        rc = open_session(w, language, d);
    }
    if (!rc)
        rc = lead_notes(w, d);
    if (!rc)
        rc = returned_notes(w, d);
    if (!rc)
        work_judge_open(w);
    if (rc)
        work_close(w);
    return rc;
}

void work_close(struct work *w)
{
    if (w->session && !w->finalised)
        work_log_leave(w);
    audit_close(w->audit);
    work_judge_close(w);
    session_close(w->session);
    lists_close(&w->lists);
    buf_free(&w->form_bytes);
    buf_free(&w->pack_bytes);
    buf_free(&w->log_text);
    arena_free(&w->arena);
    memset(w, 0, sizeof *w);
}

enum err work_save(struct work *w, struct diag *d)
{
    const struct session_change *changes;
    struct visit_beside beside = {.comments = w->comments.at, .comment_count = w->comments.count};

    enum err rc = work_requests(w, d);
    uint32_t count = session_changes(w->session, &changes);
    if (rc || (count == 0 && beside.comment_count == 0))
        return rc; /* the log alone waits for the next answer */
    beside.log = work_log_text(w);
    rc = store_visit_save(w->o.store, &w->visit, changes, count, &beside, d);
    if (rc)
        return rc;
    session_changes_clear(w->session);
    work_log_saved(w);
    w->comments.count = 0;
    if (count)
        work_judge_touch(w);
    return ERR_OK;
}
