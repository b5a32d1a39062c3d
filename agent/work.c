/* See work.h. */
#include "agent/work.h"

#include "agent/form_file.h"

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
static void note(struct work *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct work *w, const char *format, ...)
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

#define LAST_SAVED STR("jr://instance/last-saved")

/* "jr://file-csv/villages.csv" -> "villages.csv"; all lists of fast external itemsets are in one file. */
static struct str resource_name(struct str uri)
{
    if (str_starts(uri, STR("jr://itemsets/")))
        return STR("itemsets.csv");
    for (size_t i = uri.n; i > 0; i--)
        if (uri.p[i - 1] == '/')
            return str_sub(uri, i, uri.n - i);
    return uri;
}

static enum err resource_beside(struct work *w, struct str name, struct buf *out, struct diag *d)
{
    struct buf path;
    const char *slash = strrchr(w->o.form, '/');

    buf_init(&path, 4096);
    if (slash)
        buf_put(&path, w->o.form, (size_t)(slash - w->o.form) + 1);
    buf_put_str(&path, name);
    enum err rc = path.failed ? path.failed : w->o.seam->file_read(w->o.seam->self, path.p, out, d);
    buf_free(&path);
    return rc;
}

/* The newest list of this name that is here; a newer one that is not fetched yet is told. */
static enum err resource_published(struct work *w, struct str name, struct buf *out, struct diag *d)
{
    struct published *list;
    uint32_t count;
    bool newer = false;
    enum err rc = store_published(w->o.store, &w->arena, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (!str_eq_z(list[i].kind, "list") || !str_eq(list[i].id, name))
            continue;
        if (!list[i].held) {
            newer = true;
            continue;
        }
        if (newer)
            note(w, "a newer list %.*s waits at the centre: sync fetches it", STR_ARG(name));
        return store_object_get(w->o.store, list[i].hash, out, d);
    }
    return rc ? rc : ERR_NOT_FOUND;
}

/* A form from a file takes its lists from beside it, as its author does; a published form only published
 * ones. */
static enum err resource_read(struct work *w, struct str name, struct buf *out, struct diag *d)
{
    enum err rc = w->from_file ? resource_beside(w, name, out, d) : ERR_NOT_FOUND;
    if (rc != ERR_NOT_FOUND)
        return rc;
    diag_clear(d);
    return resource_published(w, name, out, d);
}

static enum err host_resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct work *w = self;
    struct str name = resource_name(uri);
    struct diag why = {0};

    if (name.n == 0 || str_eq_z(name, ".") || str_eq_z(name, "..") || memchr(name.p, 0, name.n))
        return diag_set(d, ERR_SYNTAX, "the form names a list in a way that is not allowed: %.*s",
                        STR_ARG(uri));
    struct buf *slot = vec_push(&w->arena, &w->resources);
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for the list %.*s", STR_ARG(name));
    buf_init(slot, WORK_FILE_MAX);
    if (str_eq(uri, LAST_SAVED)) {
        enum err last = store_last_saved(w->o.store, &w->arena, form_id(w->form), slot, d);
        *bytes_out = last ? STR_NONE : buf_str(slot);
        return last;
    }
    enum err rc = resource_read(w, name, slot, &why);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, rc, "the list %.*s is not on this device: %s", STR_ARG(name),
                        w->from_file ? "put it beside the form, or sync" : "sync");
    if (rc)
        return diag_set(d, rc, "the list %.*s: %s", STR_ARG(name),
                        why.text[0] ? why.text : err_action(rc)->todo_en);
    *bytes_out = buf_str(slot);
    return ERR_OK;
}

/* ---- large lists ---- */

static enum err published_hash(struct work *w, struct str name, unsigned char out[SHA256_SIZE],
                               struct diag *d)
{
    struct published *list;
    uint32_t count;
    enum err rc = store_published(w->o.store, &w->arena, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        if (str_eq_z(list[i].kind, "list") && str_eq(list[i].id, name) && list[i].held) {
            memcpy(out, list[i].hash, SHA256_SIZE);
            return ERR_OK;
        }
    return rc ? rc : ERR_NOT_FOUND;
}

/* What the centre published is known by its hash; a file beside the form must be read to know it. */
static enum err list_hash(void *self, struct str uri, unsigned char out[LIST_HASH_SIZE], struct diag *d)
{
    struct work *w = self;
    struct str name = resource_name(uri);
    struct buf bytes;
    if (str_eq(uri, LAST_SAVED) || name.n == 0 || str_eq_z(name, ".") || str_eq_z(name, ".."))
        return ERR_NOT_FOUND;
    buf_init(&bytes, WORK_FILE_MAX);
    enum err rc = w->from_file ? resource_beside(w, name, &bytes, d) : ERR_NOT_FOUND;
    if (!rc)
        rc = sha256(buf_str(&bytes), out);
    buf_free(&bytes);
    if (rc != ERR_NOT_FOUND)
        return rc;
    diag_clear(d);
    return published_hash(w, name, out, d);
}

static enum err list_bytes(void *self, struct str uri, struct buf *out, struct diag *d)
{
    return resource_read(self, resource_name(uri), out, d);
}

/* Beside the public database. Without it every list is read into memory, which the person is told. */
static enum err open_lists(struct work *w, struct diag *d)
{
    struct str beside = store_public_path(w->o.store);
    const struct list_source source = {w, list_hash, list_bytes};
    struct buf path;
    struct diag why = {0};
    if (form_resource_count(w->form) == 0)
        return ERR_OK;
    while (beside.n && beside.p[beside.n - 1] != '/')
        beside.n--;
    buf_init(&path, 4096);
    buf_put_str(&path, beside);
    buf_put_z(&path, "lists.db");
    const char *z = path.failed ? NULL : arena_z(&w->arena, buf_str(&path));
    buf_free(&path);
    if (!z)
        return diag_set(d, ERR_NOMEM, "no memory for the lists of this form");
    enum err rc = list_store_open(z, w->o.seam->vfs, &source, &w->lists, &why);
    if (rc == ERR_NOMEM)
        return diag_set(d, rc, "%s", why.text);
    if (rc)
        note(w, "large lists are slow today: %s", why.text);
    else
        w->host.lists = list_store_host(w->lists);
    return ERR_OK;
}

/* A form that looks back finds this interview next time. */
static enum err keep_last_saved(struct work *w, struct arena *a, struct str xml, struct diag *d)
{
    for (uint32_t i = 0; i < form_resource_count(w->form); i++)
        if (str_eq(form_resource(w->form, i), LAST_SAVED))
            return store_last_saved_put(w->o.store, a, form_id(w->form), xml, d);
    return ERR_OK;
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
static enum err fieldmap_of(struct work *w, bool *published_out, struct str *out, struct diag *d)
{
    struct published p;
    enum err rc = store_published_by_hash(w->o.store, &w->arena, w->start.form_hash, &p, d);
    *published_out = rc == ERR_OK;
    *out = rc ? STR("") : p.fieldmap;
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/* The argument is a file when there is one of that name, else the id of a published form. */
static enum err form_source(struct work *w, struct diag *d)
{
    struct diag quiet = {0};
    struct published p;

    enum err rc = form_file_read(w->o.seam, w->o.form, &w->arena, &w->form_bytes, NULL, NULL, &w->findings,
                                 &quiet);
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

static enum err load_form(struct work *w, struct diag *d)
{
    memset(&w->findings, 0, sizeof w->findings);
    return form_load(&w->arena, buf_str(&w->form_bytes), &w->form, &w->findings, d);
}

/* A form of a file is kept, so that a draft can go on with it whatever becomes of the file. One that the
 * centre knows in another version only must not be begun with: its fields would have numbers that mean
 * others. */
static enum err keep_file_form(struct work *w, struct diag *d)
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
        note(w, "the centre does not know this form yet: what is captured waits there until it is published");
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
    rc = load_form(w, d);
    if (!rc)
        note(w,
             "this draft goes on with version %.*s of the form, with which it was begun; version %.*s is "
             "here for the next visit",
             STR_ARG(form_version(w->form)), STR_ARG(newer));
    return rc;
}

static enum err open_form(struct work *w, struct diag *d)
{
    struct str fieldmap;
    bool published = false;

    enum err rc = form_source(w, d);
    if (!rc)
        rc = load_form(w, d);
    if (!rc)
        rc = follow_draft(w, d);
    if (!rc)
        rc = fieldmap_of(w, &published, &fieldmap, d);
    if (!rc && w->from_file && !published)
        rc = keep_file_form(w, d);
    return rc ? rc
              : fieldmap_read(&w->arena, fieldmap, form_field_count(w->form), form_repeat_count(w->form),
                              &w->map, d);
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
        note(w, "rule pack %.*s %.*s waits at the centre: sync fetches it", STR_ARG(p->id),
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
        note(w, "rule pack %.*s %.*s cannot be used: %s", STR_ARG(p->id), STR_ARG(p->version), why.text);
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

static enum err open_session(struct work *w, uint32_t language, struct diag *d)
{
    w->host = (struct session_host){.self = w,
                                    .now_ms = host_now,
                                    .zone = w->o.zone,
                                    .random = host_random,
                                    .property = host_property,
                                    .resource = host_resource};
    enum err rc = open_lists(w, d);
    if (rc)
        return rc;
    const struct visit *v = &w->visit;
    struct session_options so = {.form = w->form,
                                 .host = &w->host,
                                 .resume = v->resumed || v->revisit,
                                 .revisit = v->revisit && !v->resumed,
                                 .rows = v->now.rows,
                                 .row_count = v->now.row_count,
                                 .cells = v->now.cells,
                                 .cell_count = v->now.cell_count,
                                 .row_key_next = v->row_key_next,
                                 .language = language};
    rc = session_open(&w->arena, &so, &w->session, d);
    return rc ? rc : work_save(w, d);
}

static enum err open_household(struct work *w, struct diag *d)
{
    if (!w->o.household)
        return ERR_OK;
    enum err rc = store_household(w->o.store, &w->arena, str_of(w->o.household), &w->household, d);
    w->has_household = !rc;
    w->start.household = rc ? 0 : w->household.key;
    return rc;
}

enum err work_open(struct work *w, const struct work_options *o, struct diag *d)
{
    uint32_t language = 0;

    memset(w, 0, sizeof *w);
    w->o = *o;
    w->start.fresh = o->fresh;
    arena_init(&w->arena, WORK_MEMORY_MAX);
    enum err rc = open_household(w, d);
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
        rc = open_session(w, language, d);
    if (rc)
        work_close(w);
    return rc;
}

void work_close(struct work *w)
{
    session_close(w->session);
    list_store_close(w->lists);
    for (uint32_t i = 0; i < w->resources.count; i++)
        buf_free(&w->resources.at[i]);
    buf_free(&w->form_bytes);
    buf_free(&w->pack_bytes);
    arena_free(&w->arena);
    memset(w, 0, sizeof *w);
}

enum err work_save(struct work *w, struct diag *d)
{
    const struct session_change *changes;
    uint32_t count = session_changes(w->session, &changes);
    enum err rc = store_visit_save(w->o.store, &w->visit, changes, count, d);
    if (!rc)
        session_changes_clear(w->session);
    return rc;
}

/* ---- judging and finishing ---- */

static enum err open_prev(struct work *w, struct arena *a, struct session **prev_out, struct diag *d)
{
    const struct saved_interview *p = &w->visit.prev;
    struct session_options so = {.form = w->form,
                                 .host = &w->host,
                                 .resume = true,
                                 .frozen = true,
                                 .rows = p->rows,
                                 .row_count = p->row_count,
                                 .cells = p->cells,
                                 .cell_count = p->cell_count,
                                 .row_key_next = w->visit.row_key_next};
    return session_open(a, &so, prev_out, d);
}

enum err work_judge(struct work *w, struct arena *a, struct judgement *j, struct diag *d)
{
    struct judge_input in = {.now = w->session};
    struct session *prev = NULL;

    if (!w->pack)
        return diag_set(d, ERR_NOT_FOUND, "no rule pack for this form is on the device");
    int64_t now = host_now(w);
    struct civil today = civil_at(now, w->o.zone ? w->o.zone : zone_utc());
    in.today = civil_days(today.year, today.month, today.day);
    enum err rc = ERR_OK;
    if (w->has_household) {
        in.area = w->household.area;
        rc = store_department(w->o.store, a, w->household.key, &in.dept, &in.dept_as_of, d);
    }
    if (!rc && w->visit.revisit) {
        in.prev_date = str_sub(w->visit.prev_ended, 0, 10);
        rc = open_prev(w, a, &prev, d);
        in.prev = prev;
    }
    if (!rc)
        rc = judge_household(a, w->pack, &in, j, d);
    session_close(prev);
    return rc;
}

static struct str instance_id(struct work *w, struct arena *a)
{
    for (uint32_t i = 0; i < form_field_count(w->form); i++) {
        const struct form_field *f = form_field(w->form, i);
        struct place p;
        struct diag quiet = {0};
        if (str_ends(f->path, STR("/meta/instanceID")) && !session_place(w->session, f->path, &p, &quiet)) {
            bool relevant;
            return arena_str(a, session_value(w->session, p, &relevant));
        }
    }
    return STR_NONE;
}

enum err work_finish(struct work *w, struct arena *a, struct str own_judgement, struct work_result *out,
                     struct diag *d)
{
    struct work_result r = {0};
    struct visit_finish f = {.judgement = own_judgement};
    struct buf xml;

    buf_init(&xml, WORK_FILE_MAX);
    /* A finish that failed later, on a full card, is tried again. */
    enum err rc = w->finalised ? ERR_OK : session_finalise(w->session, d);
    w->finalised = !rc;
    if (!rc)
        rc = work_save(w, d);
    if (!rc)
        rc = session_xml(w->session, false, &xml, d);
    if (!rc)
        rc = sha256(buf_str(&xml), f.xml_hash);
    if (!rc && w->pack) {
        rc = work_judge(w, a, &r.judgement, d);
        r.judged = !rc;
    }
    if (!rc) {
        r.instance_id = instance_id(w, a);
        r.xml_size = xml.n;
        rc = keep_last_saved(w, a, buf_str(&xml), d);
    }
    if (!rc) {
        f.instance_id = r.instance_id;
        f.judged = r.judged;
        f.findings = r.judged ? &r.judgement : NULL;
        memcpy(f.pack_hash, w->pack_hash, SHA256_SIZE);
        rc = store_visit_finalise(w->o.store, &w->visit, &f, d);
    }
    buf_free(&xml);
    if (!rc)
        *out = r;
    return rc;
}
