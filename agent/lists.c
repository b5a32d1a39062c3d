/* See lists.h. */
#include "agent/lists.h"

#include "agent/entity_list.h"
#include "forms/limits.h"
#include "platform/db.h"

#define LIST_BYTES_MAX (256u << 20)
#define PREPARE_MEMORY_MAX (512u << 20)

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

static bool allowed(struct str name)
{
    return name.n > 0 && !str_eq_z(name, ".") && !str_eq_z(name, "..") && !memchr(name.p, 0, name.n);
}

static enum err read_beside(struct lists *l, struct str name, struct buf *out, struct diag *d)
{
    struct buf path;
    const char *slash = strrchr(l->beside, '/');

    if (l->own_name.n && str_eq(l->own_name, name)) {
        buf_put_str(out, l->own_bytes);
        return out->failed ? diag_set(d, out->failed, "a list of the form is too large") : ERR_OK;
    }
    buf_init(&path, 4096);
    if (slash)
        buf_put(&path, l->beside, (size_t)(slash - l->beside) + 1);
    buf_put_str(&path, name);
    enum err rc = path.failed ? path.failed : l->seam->file_read(l->seam->self, path.p, out, d);
    buf_free(&path);
    return rc;
}

static void note_newer(struct lists *l, struct str name)
{
    struct buf b;
    if (!l->note)
        return;
    buf_init(&b, 4096);
    buf_put_z(&b, "a newer list ");
    buf_put_str(&b, name);
    buf_put_z(&b, " waits at the centre: sync fetches it");
    l->note(l->self, buf_str(&b));
    buf_free(&b);
}

/* What came with a published workbook carries the form's id, because every such list has one name. */
static bool is_called(const struct lists *l, struct str id, struct str name)
{
    struct str own = form_id(l->form);
    return str_eq(id, name) || (str_eq_z(name, "itemsets.csv") && id.n == own.n + 1 + name.n &&
                                str_starts(id, own) && id.p[own.n] == '-' && str_ends(id, name));
}

/* The newest list of this name that is here. */
static enum err find_published(struct lists *l, struct str name, bool *newer_out,
                               unsigned char out[static SHA256_SIZE], struct diag *d)
{
    struct published *list;
    uint32_t count;
    *newer_out = false;
    enum err rc = store_published(l->store, l->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (!str_eq_z(list[i].kind, "list") || !is_called(l, list[i].id, name))
            continue;
        if (list[i].held) {
            memcpy(out, list[i].hash, SHA256_SIZE);
            return ERR_OK;
        }
        *newer_out = true;
    }
    return rc ? rc : ERR_NOT_FOUND;
}

/* A form from a file takes its lists from beside it, as its author does; a published form only published
 * ones. */
static enum err read_base(struct lists *l, struct str name, struct buf *out, struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    bool newer;
    enum err rc = l->beside ? read_beside(l, name, out, d) : ERR_NOT_FOUND;
    if (rc != ERR_NOT_FOUND)
        return rc;
    diag_clear(d);
    rc = find_published(l, name, &newer, hash, d);
    if (!rc && newer)
        note_newer(l, name);
    return rc ? rc : store_object_get(l->store, hash, out, d);
}

/* ---- entity lists ---- */

/* "people.csv" is the list of the entities "people"; p NULL: no such name. */
static struct str dataset_of(struct str name)
{
    return str_ends(name, STR(".csv")) ? str_sub(name, 0, name.n - 4) : STR_NONE;
}

static bool form_keeps(const struct form *f, struct str dataset)
{
    for (uint32_t i = 0; i < form_entity_count(f); i++)
        if (str_eq(form_entity_dataset(f, i), dataset))
            return true;
    return false;
}

/* *is_out: this form makes or changes entities of that list, or visits have said something about them. */
static enum err entities_of(struct lists *l, struct str name, bool *is_out, struct entity_change **list_out,
                            uint32_t *count_out, struct diag *d)
{
    struct str dataset = dataset_of(name);
    *is_out = false;
    *count_out = 0;
    if (!dataset.p || dataset.n == 0)
        return ERR_OK;
    enum err rc = store_entities(l->store, l->a, dataset, list_out, count_out, d);
    *is_out = !rc && (*count_out > 0 || form_keeps(l->form, dataset));
    return rc;
}

static enum err read_list(struct lists *l, struct str name, struct buf *out, struct diag *d)
{
    struct entity_change *changes = NULL;
    uint32_t count = 0;
    bool entities = false;
    struct buf base;

    enum err rc = entities_of(l, name, &entities, &changes, &count, d);
    if (rc || !entities)
        return rc ? rc : read_base(l, name, out, d);
    buf_init(&base, LIST_BYTES_MAX);
    rc = read_base(l, name, &base, d);
    bool none = rc == ERR_NOT_FOUND;
    if (none)
        diag_clear(d);
    if (!rc || none)
        rc = entity_list_write(l->a,
                               none     ? STR_NONE
                               : base.n ? buf_str(&base)
                                        : STR(""),
                               changes, count, store_identity(l->store)->by.device, out, d);
    buf_free(&base);
    return rc;
}

enum err lists_read(struct lists *l, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct str name = resource_name(uri);
    struct diag why = {0};

    if (!allowed(name))
        return diag_set(d, ERR_SYNTAX, "the form names a list in a way that is not allowed: %.*s",
                        STR_ARG(uri));
    struct buf *slot = vec_push(l->a, &l->read);
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for the list %.*s", STR_ARG(name));
    buf_init(slot, LIST_BYTES_MAX);
    if (str_eq(uri, LIST_LAST_SAVED)) {
        enum err last = store_last_saved(l->store, l->a, form_id(l->form), slot, d);
        *bytes_out = last ? STR_NONE : buf_str(slot);
        return last;
    }
    enum err rc = read_list(l, name, slot, &why);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, rc, "the list %.*s is not on this device: %s", STR_ARG(name),
                        l->beside ? "put it beside the form, or sync" : "sync");
    if (rc)
        return diag_set(d, rc, "the list %.*s: %s", STR_ARG(name),
                        why.text[0] ? why.text : err_action(rc)->todo_en);
    *bytes_out = buf_str(slot);
    return ERR_OK;
}

/* ---- large lists ---- */

/* What the centre published is known by its hash; a file beside the form must be read to know it. */
static enum err kept_hash(void *self, struct str uri, unsigned char out[LIST_HASH_SIZE], struct diag *d)
{
    struct lists *l = self;
    struct str name = resource_name(uri);
    struct entity_change *changes;
    uint32_t count;
    struct buf bytes;
    bool entities = false, newer;
    if (str_eq(uri, LIST_LAST_SAVED) || !allowed(name))
        return ERR_NOT_FOUND;
    enum err rc = entities_of(l, name, &entities, &changes, &count, d);
    if (rc || entities)
        return rc ? rc : ERR_NOT_FOUND; /* not into a plain file */
    buf_init(&bytes, LIST_BYTES_MAX);
    rc = l->beside ? read_beside(l, name, &bytes, d) : ERR_NOT_FOUND;
    if (!rc)
        rc = sha256(buf_str(&bytes), out);
    buf_free(&bytes);
    if (rc != ERR_NOT_FOUND)
        return rc;
    diag_clear(d);
    return find_published(l, name, &newer, out, d);
}

static void close_source(struct lists *l)
{
    db_blob_close(l->object);
    l->object = NULL;
    buf_free(&l->file);
}

/* Published lists are read from the database as they are needed; only a file beside the form is read whole.
 */
static enum err open_source(struct lists *l, struct str name, struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    bool newer;
    if (l->importing && l->told != str_hash(name))
        l->importing(l->self, name);
    l->told = str_hash(name);
    close_source(l);
    buf_init(&l->file, LIST_BYTES_MAX);
    enum err rc = l->beside ? read_beside(l, name, &l->file, d) : ERR_NOT_FOUND;
    if (rc != ERR_NOT_FOUND)
        return rc;
    diag_clear(d);
    rc = find_published(l, name, &newer, hash, d);
    if (!rc && newer)
        note_newer(l, name);
    return rc ? rc : store_object_open(l->store, hash, &l->object, &l->object_size, d);
}

static enum err kept_piece(void *self, struct str uri, size_t at, char *out, size_t room, size_t *n_out,
                           struct diag *d)
{
    struct lists *l = self;
    enum err rc = at == 0 ? open_source(l, resource_name(uri), d) : ERR_OK;
    size_t size = l->object ? l->object_size : l->file.n;
    *n_out = at >= size ? 0 : size - at < room ? size - at : room;
    if (!rc && *n_out && l->object)
        rc = db_blob_read(l->object, at, out, *n_out, d);
    else if (!rc && *n_out)
        memcpy(out, l->file.p + at, *n_out);
    if (rc || *n_out == 0)
        close_source(l);
    return rc;
}

/* Beside the public database. */
static const char *database_path(struct store *s, struct arena *a)
{
    struct str beside = store_public_path(s);
    struct buf path;
    while (beside.n && beside.p[beside.n - 1] != '/')
        beside.n--;
    buf_init(&path, 4096);
    buf_put_str(&path, beside);
    buf_put_z(&path, "lists.db");
    const char *z = path.failed ? NULL : arena_z(a, buf_str(&path));
    buf_free(&path);
    return z;
}

enum err lists_open(struct lists *l, struct diag *d)
{
    const struct list_source source = {l, kept_hash, kept_piece};
    struct diag why = {0};
    struct buf b;
    if (form_resource_count(l->form) == 0)
        return ERR_OK;
    const char *path = database_path(l->store, l->a);
    if (!path)
        return diag_set(d, ERR_NOMEM, "no memory for the lists of this form");
    enum err rc = list_store_open(path, l->seam->vfs, &source, &l->kept, &why);
    if (rc == ERR_NOMEM)
        return diag_set(d, rc, "%s", why.text);
    if (rc && l->note) {
        buf_init(&b, 4096);
        buf_put_z(&b, "large lists are slow today: ");
        buf_put_z(&b, why.text);
        l->note(l->self, buf_str(&b));
        buf_free(&b);
    }
    return ERR_OK;
}

void lists_close(struct lists *l)
{
    close_source(l);
    list_store_close(l->kept);
    l->kept = NULL;
    for (uint32_t i = 0; i < l->read.count; i++)
        buf_free(&l->read.at[i]);
    l->read.count = 0;
}

const struct list_host *lists_host(const struct lists *l)
{
    return l->kept ? list_store_host(l->kept) : NULL;
}

/* ---- at download ---- */

static void prepare_form(struct store *s, const struct seam *seam, const struct published *p,
                         const struct lists_watch *watch)
{
    struct arena a;
    struct buf bytes;
    struct form_findings findings = {0};
    struct diag quiet = {0};
    struct lists l = {.store = s,
                      .seam = seam,
                      .a = &a,
                      .self = watch ? watch->self : NULL,
                      .importing = watch ? watch->importing : NULL};

    arena_init(&a, PREPARE_MEMORY_MAX);
    buf_init(&bytes, FORM_BYTES_MAX);
    enum err rc = store_object_get(s, p->hash, &bytes, &quiet);
    if (!rc)
        rc = form_load(&a, buf_str(&bytes), &l.form, &findings, &quiet);
    if (!rc)
        rc = lists_open(&l, &quiet);
    if (!rc && l.kept) /* what fails now is tried again, and told, when the form is opened */
        (void)!form_lists_prepare(l.form, lists_host(&l), &quiet);
    lists_close(&l);
    buf_free(&bytes);
    arena_free(&a);
}

void lists_prepare(struct store *s, const struct seam *seam, const struct lists_watch *watch)
{
    struct arena a;
    struct published *list = NULL;
    uint32_t count = 0;
    struct diag quiet = {0};

    arena_init(&a, PREPARE_MEMORY_MAX);
    if (store_published(s, &a, &list, &count, &quiet) == ERR_OK)
        for (uint32_t i = 0; i < count; i++)
            if (str_eq_z(list[i].kind, "form") && list[i].held)
                prepare_form(s, seam, &list[i], watch);
    arena_free(&a);
}
