/* See work.h. */
#include "agent/work.h"

enum err work_file(const struct seam *seam, const char *path, struct buf *out, struct diag *d)
{
    buf_init(out, WORK_FILE_MAX);
    enum err rc = seam->file_read(seam->self, path, out, d);
    if (rc == ERR_NOT_FOUND && d && !d->text[0])
        rc = diag_set(d, rc, "there is no file %s", path);
    return rc;
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

/* "jr://file-csv/villages.csv" -> "villages.csv" */
static struct str resource_name(struct str uri)
{
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
    enum err rc = path.failed ? ERR_NOT_FOUND : w->o.seam->file_read(w->o.seam->self, path.p, out, d);
    buf_free(&path);
    return rc;
}

static enum err resource_published(struct work *w, struct str name, struct buf *out, struct diag *d)
{
    struct published *list;
    uint32_t count;
    enum err rc = store_published(w->o.store, &w->arena, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        if (str_eq_z(list[i].kind, "list") && str_eq(list[i].id, name))
            return store_object_get(w->o.store, list[i].hash, out, d);
    return rc ? rc : ERR_NOT_FOUND;
}

static enum err host_resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct work *w = self;
    struct str name = resource_name(uri);
    struct diag quiet = {0};

    if (name.n == 0 || str_find(name, STR("..")) >= 0)
        return diag_set(d, ERR_SYNTAX, "the form names a list in a way that is not allowed: %.*s",
                        STR_ARG(uri));
    struct buf *slot = vec_push(&w->arena, &w->resources);
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for the list %.*s", STR_ARG(name));
    buf_init(slot, WORK_FILE_MAX);
    enum err rc = resource_published(w, name, slot, &quiet);
    if (rc == ERR_NOT_FOUND)
        rc = resource_beside(w, name, slot, &quiet);
    if (rc)
        return diag_set(d,
                        rc == ERR_NOT_FOUND ? rc
                        : quiet.code        ? quiet.code
                                            : rc,
                        "the list %.*s is not on this device: sync, or put it beside the form",
                        STR_ARG(name));
    *bytes_out = buf_str(slot);
    return ERR_OK;
}

/* ---- opening ---- */

static enum err find_published(struct work *w, const char *kind, struct str id, const unsigned char *hash,
                               struct published *out, struct diag *d)
{
    struct published *list;
    uint32_t count;
    enum err rc = store_published(w->o.store, &w->arena, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        if (str_eq_z(list[i].kind, kind) &&
            (id.p ? str_eq(list[i].id, id) : memcmp(list[i].hash, hash, SHA256_SIZE) == 0)) {
            *out = list[i];
            return ERR_OK;
        }
    return rc ? rc : ERR_NOT_FOUND;
}

/* The argument is a file when there is one of that name, else the id of a published form. */
static enum err form_source(struct work *w, struct str *fieldmap_out, struct diag *d)
{
    struct diag quiet = {0};
    struct published p;
    enum err rc = work_file(w->o.seam, w->o.form, &w->form_bytes, &quiet);

    if (rc == ERR_NOT_FOUND) {
        rc = find_published(w, "form", str_of(w->o.form), NULL, &p, d);
        if (rc == ERR_NOT_FOUND)
            return diag_set(
                d, rc,
                "%s is neither a file nor the id of a form on this device: `doorstep status` lists the forms",
                w->o.form);
        if (!rc)
            rc = store_object_get(w->o.store, p.hash, &w->form_bytes, d);
        if (!rc)
            memcpy(w->start.form_hash, p.hash, SHA256_SIZE);
        *fieldmap_out = p.fieldmap;
        return rc;
    }
    if (rc)
        return diag_set(d, quiet.code ? quiet.code : rc, "%s", quiet.text);
    rc = sha256(buf_str(&w->form_bytes), w->start.form_hash);
    if (!rc)
        rc = find_published(w, "form", STR_NONE, w->start.form_hash, &p, d);
    *fieldmap_out = rc ? STR_NONE : p.fieldmap;
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
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

static enum err pack_source(struct work *w, struct diag *d)
{
    struct published *list;
    uint32_t count;
    struct str id = form_id(w->form);

    if (w->o.pack)
        return work_file(w->o.seam, w->o.pack, &w->pack_bytes, d);
    enum err rc = store_published(w->o.store, &w->arena, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct pack_about about;
        if (!str_eq_z(list[i].kind, "pack") || !list[i].held)
            continue;
        buf_free(&w->pack_bytes);
        buf_init(&w->pack_bytes, WORK_FILE_MAX);
        rc = store_object_get(w->o.store, list[i].hash, &w->pack_bytes, d);
        if (!rc)
            rc = pack_about_read(&w->arena, buf_str(&w->pack_bytes), &about, d);
        for (uint32_t k = 0; !rc && k < about.form_id_count; k++)
            if (str_eq(about.form_ids[k], id))
                return ERR_OK;
    }
    return rc ? rc : ERR_NOT_FOUND;
}

static enum err open_pack(struct work *w, struct diag *d)
{
    enum err rc = pack_source(w, d);
    if (rc == ERR_NOT_FOUND && !w->o.pack)
        return ERR_OK;
    if (!rc)
        rc = pack_load(&w->arena, buf_str(&w->pack_bytes), w->form, &w->pack, &w->findings, d);
    return rc ? rc : sha256(buf_str(&w->pack_bytes), w->pack_hash);
}

static enum err open_session(struct work *w, uint32_t language, struct diag *d)
{
    w->host = (struct session_host){.self = w,
                                    .now_ms = host_now,
                                    .zone = w->o.zone,
                                    .random = host_random,
                                    .property = host_property,
                                    .resource = host_resource};
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
    enum err rc = session_open(&w->arena, &so, &w->session, d);
    return rc ? rc : work_save(w, d);
}

enum err work_open(struct work *w, const struct work_options *o, struct diag *d)
{
    struct str fieldmap = STR_NONE;
    uint32_t language = 0;

    memset(w, 0, sizeof *w);
    w->o = *o;
    arena_init(&w->arena, WORK_MEMORY_MAX);
    buf_init(&w->form_bytes, WORK_FILE_MAX);
    enum err rc = form_source(w, &fieldmap, d);
    if (!rc)
        rc = form_load(&w->arena, buf_str(&w->form_bytes), &w->form, &w->findings, d);
    if (!rc)
        rc = fieldmap_read(&w->arena, fieldmap, form_field_count(w->form), form_repeat_count(w->form),
                           &w->map, d);
    if (!rc && o->household) {
        rc = store_household(o->store, &w->arena, str_of(o->household), &w->household, d);
        w->has_household = !rc;
    }
    if (!rc) {
        language = language_of(w->form, o->language);
        w->start.form = w->form;
        w->start.map = &w->map;
        w->start.household = w->has_household ? w->household.key : 0;
        w->start.fresh = o->fresh;
        w->start.type = str_of(o->type ? o->type : w->has_household ? "monitoring" : "");
        w->start.language = form_language_count(w->form) ? form_language(w->form, language) : STR_NONE;
        rc = open_pack(w, d);
    }
    if (!rc)
        rc = store_visit_open(o->store, &w->arena, &w->start, &w->visit, d);
    if (!rc)
        rc = open_session(w, language, d);
    if (rc)
        work_close(w);
    return rc;
}

void work_close(struct work *w)
{
    session_close(w->session);
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
    enum err rc = session_finalise(w->session, d);
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
