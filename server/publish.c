/* Publishing: a form, a list or a rule pack becomes an object by its hash, and a row that every device is
 * told about.
 *
 * Always true: what is published compiles; a version of a form never changes its contents; a field keeps its
 * stable number through all versions of its form as long as its path and type stay; of each (kind, id) one
 * object is live.
 */
#include "forms/encrypt.h"
#include "forms/xlsform.h"
#include "platform/posix/posix_seam.h"
#include "risk/pack.h"
#include "server/parts.h"
#include "sync/batch_zstd.h"

#define ZONE_NAME_MAX 64
#define PUBLISHED_PAGE 256
#define LINES_SHOWN_MAX 201

void desk_line(struct desk *k, const char *kind, const char *format, ...)
{
    va_list args;
    if (!k->lines)
        return;
    buf_put_z(k->lines, kind);
    buf_put_z(k->lines, ": ");
    va_start(args, format);
    buf_vprintf(k->lines, format, args);
    va_end(args);
    buf_put_char(k->lines, '\n');
}

void desk_progress(struct desk *k, uint64_t done)
{
    if (k->progress)
        k->progress(k->self, done);
}

static void findings_tell(struct desk *k, const struct form_findings *f)
{
    for (uint32_t i = 0; i < f->list.count && i < LINES_SHOWN_MAX; i++) {
        const struct form_finding *x = &f->list.at[i];
        desk_line(k, x->severity == FINDING_ERROR ? "error" : "warning", "line %u, column %u%s%.*s: %.*s",
                  x->line, x->column, x->node.n ? ", " : "", STR_ARG(x->node), STR_ARG(x->text));
    }
}

/* ---- what is there ---- */

static enum err published_read(struct arena *a, const struct record_row *row, struct published *out,
                               bool *is_out, struct diag *d)
{
    struct record r;
    enum err rc = record_unpack(a, row->row, row->packed, &r, d);
    if (rc)
        return rc;
    *out = (struct published){.row = row->row,
                              .kind = record_value(&r, PUBLISHED_KIND),
                              .id = record_value(&r, PUBLISHED_ID),
                              .version = record_value(&r, PUBLISHED_VERSION),
                              .title = record_value(&r, PUBLISHED_TITLE),
                              .state = record_value(&r, PUBLISHED_STATE),
                              .areas = record_value(&r, PUBLISHED_AREAS)};
    *is_out = hex_read(record_value(&r, PUBLISHED_HASH), out->hash, SHA256_SIZE);
    return ERR_OK;
}

enum err published_all(struct cstore *st, struct arena *a, struct published **out, uint32_t *count_out,
                       struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    VEC(struct published) list = {0};
    do {
        enum err rc = cstore_records(st, a, RECORDS_OF_KIND, (struct row_id){0}, ROW_PUBLISHED, after,
                                     PUBLISHED_PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct published p;
            bool is_one = false;
            after = rows[i].number;
            rc = published_read(a, &rows[i], &p, &is_one, d);
            struct published *slot = rc || !is_one ? NULL : vec_push(a, &list);
            if (slot)
                *slot = p;
            else if (!rc && is_one)
                rc = diag_set(d, ERR_NOMEM, "Out of memory while listing what is published.");
        }
        if (rc)
            return rc;
    } while (count == PUBLISHED_PAGE);
    *out = list.at;
    *count_out = list.count;
    return ERR_OK;
}

enum err published_live(struct cstore *st, struct arena *a, const char *kind, struct str id,
                        struct published *out, struct diag *d)
{
    struct published *list = NULL;
    uint32_t count = 0;
    enum err rc = published_all(st, a, &list, &count, d);
    if (rc)
        return rc;
    /* What only some areas have so far counts where nothing is for all. */
    for (int staged = 0; staged < 2; staged++) {
        for (uint32_t i = count; i-- > 0;) {
            if (!str_eq_z(list[i].kind, kind) || !str_eq(list[i].id, id) ||
                !str_eq_z(list[i].state, "live") || (!staged && list[i].areas.n))
                continue;
            *out = list[i];
            return ERR_OK;
        }
    }
    return diag_set(d, ERR_NOT_FOUND, "No %s \"%.*s\" is published.", kind, STR_ARG(id));
}

/* ---- the catalogue row ---- */

struct entry {
    struct str kind, id, version, title, fieldmap;
    struct str areas; /* that have it before the others; "" = all have it, and it replaces what was live */
    unsigned char hash[SHA256_SIZE];
    size_t size;
};

static enum err retire_others(struct desk *k, struct cases *c, const struct entry *e, int64_t now,
                              struct row_id *same_out, bool *was_live_out, struct diag *d)
{
    struct published *list = NULL;
    uint32_t count = 0;
    enum err rc = published_all(k->st, k->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (!str_eq(list[i].kind, e->kind) || !str_eq(list[i].id, e->id))
            continue;
        if (memcmp(list[i].hash, e->hash, SHA256_SIZE) == 0) {
            *same_out = list[i].row;
            *was_live_out = str_eq_z(list[i].state, "live") && str_eq(list[i].areas, e->areas);
            continue;
        }
        if (e->areas.n)
            continue;
        const struct case_field state = {PUBLISHED_STATE, STR("retired")};
        struct case_edit edit = {.row = list[i].row, .fields = &state, .field_count = 1};
        rc = cases_edit(c, k->epoch, now, &edit, d);
    }
    return rc;
}

static enum err catalogue(struct desk *k, const struct entry *e, int64_t now, bool *changed_out,
                          struct diag *d)
{
    struct cases c = {.st = k->st, .a = k->a};
    struct row_id same = {0};
    bool was_live = false;
    char hash[2 * SHA256_SIZE];
    const struct row_birth birth = {.kind = ROW_PUBLISHED};
    hex_write(e->hash, SHA256_SIZE, hash);
    struct buf number;
    buf_init(&number, 24);
    buf_put_u64(&number, e->size);
    enum err rc = retire_others(k, &c, e, now, &same, &was_live, d);
    const struct case_field fields[] = {
        {PUBLISHED_KIND, e->kind},          {PUBLISHED_ID, e->id},
        {PUBLISHED_VERSION, e->version},    {PUBLISHED_HASH, {hash, sizeof hash}},
        {PUBLISHED_SIZE, buf_str(&number)}, {PUBLISHED_STATE, STR("live")},
        {PUBLISHED_TITLE, e->title},        {PUBLISHED_FIELDS, e->fieldmap},
        {PUBLISHED_AREAS, e->areas},
    };
    struct case_edit edit = {.row = same,
                             .birth = row_id_none(same) ? &birth : NULL,
                             .fields = fields,
                             .field_count = sizeof fields / sizeof fields[0]};
    if (!rc)
        rc = cases_edit(&c, k->epoch, now, &edit, d);
    *changed_out = !was_live;
    buf_free(&number);
    return rc;
}

/* ---- forms ---- */

/* What the form says about values of a field that meet. */
static enum err policy_of(struct desk *k, const struct form *form, const struct form_field *f,
                          enum field_policy *out, struct diag *d)
{
    enum form_policy policy;
    if (!form_field_policy(form, f->number, &policy)) {
        struct str name = form_field_extra(form, f->number, FORM_NS_DOORSTEP, "policy");
        return diag_set(d, ERR_SYNTAX,
                        "%.*s: ds:policy=\"%.*s\" is none of keep, review, union, immutable, visit.",
                        STR_ARG(f->path), STR_ARG(name));
    }
    _Static_assert((int)FORM_VISIT == (int)POLICY_VISIT && (int)FORM_IMMUTABLE == (int)POLICY_IMMUTABLE &&
                       FORM_POLICIES == FIELD_POLICIES,
                   "forms and sync number the policies alike");
    *out = (enum field_policy)policy;
    if (*out == POLICY_UNION && f->type != FIELD_SELECT_MANY)
        desk_line(k, "warning", "%.*s: ds:policy=\"union\" joins words; this is no select-multiple.",
                  STR_ARG(f->path));
    return ERR_OK;
}

static enum err form_numbers(struct desk *k, const struct form *form, struct buf *map, struct diag *d)
{
    uint32_t fields = form_field_count(form), repeats = form_repeat_count(form);
    uint32_t *field_number = ARENA_ARRAY(k->a, uint32_t, fields);
    uint32_t *repeat_number = ARENA_ARRAY(k->a, uint32_t, repeats);
    if (!field_number || !repeat_number)
        return diag_set(d, ERR_NOMEM, "Out of memory while numbering the form's fields.");
    for (uint32_t i = 0; i < fields; i++) {
        const struct form_field *f = form_field(form, i);
        enum field_policy policy = POLICY_KEEP;
        enum err rc = policy_of(k, form, f, &policy, d);
        if (!rc)
            rc = cstore_field_number(k->st, form_id(form), false, f->path, (int)f->type, policy,
                                     &field_number[i], d);
        if (rc)
            return rc;
    }
    for (uint32_t i = 0; i < repeats; i++) {
        enum err rc = cstore_field_number(k->st, form_id(form), true, form_repeat(form, i)->path, 0,
                                          POLICY_KEEP, &repeat_number[i], d);
        if (rc)
            return rc;
    }
    fieldmap_write(field_number, fields, repeat_number, repeats, map);
    return map->failed;
}

static enum err version_check(struct desk *k, const struct form *form, const unsigned char *hash,
                              bool *known_out, struct diag *d)
{
    struct form_row *list = NULL;
    uint32_t count = 0;
    enum err rc = cstore_forms(k->st, k->a, form_id(form), &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (memcmp(list[i].hash, hash, SHA256_SIZE) == 0)
            *known_out = true;
        else if (str_eq(list[i].version, form_version(form)))
            rc = diag_set(
                d, ERR_EXISTS,
                "Version \"%.*s\" of form %.*s was published with other contents. Give the changed form a "
                "new version.",
                STR_ARG(list[i].version), STR_ARG(list[i].id));
    }
    return rc;
}

/* The list a form reads under this address: all lists of fast external itemsets are in one file, and one that
 * comes with a workbook carries the form's id. */
static struct str list_wanted(struct desk *k, struct str uri, const struct form *form, bool own)
{
    struct str name = uri, whole[] = {form_id(form), STR("-itemsets.csv")};
    char *p;
    for (ptrdiff_t slash; (slash = str_find(name, STR("/"))) >= 0;)
        name = str_sub(name, (size_t)slash + 1, name.n);
    if (!str_starts(uri, STR("jr://itemsets/")))
        return name;
    p = own ? arena_alloc(k->a, whole[0].n + whole[1].n) : NULL;
    if (!p)
        return STR("itemsets.csv");
    memcpy(p, whole[0].p, whole[0].n);
    memcpy(p + whole[0].n, whole[1].p, whole[1].n);
    return (struct str){p, whole[0].n + whole[1].n};
}

static enum err form_publish(struct desk *k, struct entry *e, struct str bytes, struct str itemsets,
                             int64_t now, struct publish_result *out, struct diag *d)
{
    const struct form *form = NULL;
    struct form_findings findings = {0};
    struct buf map;
    bool known = false;
    enum err rc = form_load(k->a, bytes, &form, &findings, d);
    findings_tell(k, &findings);
    if (rc)
        return rc;
    if (form_submission(form)->public_key.n)
        desk_line(k, "warning",
                  "this form has a key for ODK's encryption: it holds for what handhelds export to an ODK "
                  "server; this centre reads the answers");
    e->id = form_id(form);
    e->version = form_version(form);
    e->title = form_title(form);
    out->fields = form_field_count(form);
    out->repeats = form_repeat_count(form);
    if (e->id.n == 0)
        return diag_set(d, ERR_SYNTAX, "The form has no id: give its primary instance an id attribute.");
    buf_init(&map, 4u << 20);
    rc = version_check(k, form, e->hash, &known, d);
    if (!rc)
        rc = form_numbers(k, form, &map, d);
    if (!rc) {
        e->fieldmap = arena_str(k->a, buf_str(&map));
        if (!e->fieldmap.p)
            e->fieldmap = STR("");
    }
    buf_free(&map);
    if (!rc && !known) {
        struct form_row row = {.id = e->id,
                               .version = e->version,
                               .title = e->title,
                               .fieldmap = e->fieldmap,
                               .published_ms = now};
        memcpy(row.hash, e->hash, SHA256_SIZE);
        rc = cstore_form_put(k->st, &row, d);
    }
    for (uint32_t i = 0; !rc && i < form_resource_count(form); i++) {
        struct str uri = form_resource(form, i), name = list_wanted(k, uri, form, itemsets.n > 0);
        struct published list;
        if (itemsets.n && str_starts(uri, STR("jr://itemsets/"))) {
            out->own_list = name;
            continue;
        }
        if (published_live(k->st, k->a, "list", name, &list, NULL) == ERR_NOT_FOUND)
            desk_line(k, "warning", "the form reads %.*s; publish it as: doorstepd publish DIR list %.*s",
                      STR_ARG(uri), STR_ARG(name));
    }
    return rc;
}

/* ---- packs and lists ---- */

static enum err pack_publish(struct desk *k, struct entry *e, struct str bytes, struct diag *d)
{
    struct pack_about about;
    enum err rc = pack_about_read(k->a, bytes, &about, d);
    if (rc)
        return rc;
    e->id = about.id;
    e->version = about.version;
    e->title = about.title_zh.n ? about.title_zh : about.title_en;
    if (about.form_id_count == 0)
        desk_line(k, "warning", "the pack names no form, so that nothing could be checked against one");
    for (uint32_t i = 0; i < about.form_id_count; i++) {
        struct published live;
        struct form_findings findings = {0}, own = {0};
        const struct form *form = NULL;
        const struct pack *pack = NULL;
        struct str xml;
        rc = published_live(k->st, k->a, "form", about.form_ids[i], &live, NULL);
        if (rc == ERR_NOT_FOUND)
            return diag_set(d, ERR_STATE,
                            "The pack is for form %.*s, which is not published. Publish the form first.",
                            STR_ARG(about.form_ids[i]));
        if (!rc)
            rc = cstore_object(k->st, k->a, live.hash, NULL, &xml, d);
        if (!rc)
            rc = form_load(k->a, xml, &form, &own, d);
        if (!rc)
            rc = pack_load(k->a, bytes, form, &pack, &findings, d);
        findings_tell(k, &findings);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err list_publish(struct desk *k, struct entry *e, struct str id, struct str file_name,
                             struct str bytes, struct diag *d)
{
    e->id = id.n ? id : file_name;
    e->version = STR("");
    e->title = e->id;
    if (str_ends(e->id, STR(".csv"))) {
        const struct tree *tree = NULL;
        return list_from_csv(k->a, bytes, 1, &tree, d);
    }
    if (!utf8_valid(bytes))
        return diag_set(d, ERR_SYNTAX, "%.*s is not UTF-8 text.", STR_ARG(e->id));
    return ERR_OK;
}

/* A list inside a workbook, in the transaction of its form: no device gets one without the other. */
static enum err own_list_publish(struct desk *k, struct str name, struct str bytes, int64_t now,
                                 struct diag *d)
{
    struct entry e = {.kind = STR("list"), .fieldmap = STR(""), .areas = STR(""), .size = bytes.n};
    bool changed = false;
    enum err rc = sha256(bytes, e.hash);
    if (!rc)
        rc = list_publish(k, &e, name, name, bytes, d);
    if (!rc)
        rc = cstore_object_put(k->st, e.hash, e.kind, bytes, now, d);
    if (!rc)
        rc = catalogue(k, &e, now, &changed, d);
    if (!rc && changed)
        rc = cstore_audit(k->st, now, STR("centre"), STR("published"), e.id, d);
    return rc;
}

/* Frames name it by its version, a number that is given here. */
static enum err dict_publish(struct desk *k, struct entry *e, struct str bytes, struct diag *d)
{
    uint16_t number = 0;
    struct buf text;
    if (bytes.n > FRAME_DICT_MAX || !zstd_is_dict(bytes))
        return diag_set(d, ERR_SYNTAX, "This is no compression dictionary of at most %u KiB.",
                        FRAME_DICT_MAX >> 10);
    enum err rc = dict_number(k->st, k->a, e->hash, &number, d);
    if (rc)
        return rc;
    buf_init(&text, 8);
    buf_put_u64(&text, number);
    e->id = STR("payload");
    e->title = e->id;
    e->version = arena_str(k->a, buf_str(&text));
    buf_free(&text);
    return e->version.p ? ERR_OK : ERR_NOMEM;
}

/* Where the county is: its bytes and its version are the name of a time zone, "Asia/Shanghai". */
static enum err zone_publish(struct desk *k, struct entry *e, struct str bytes, struct diag *d)
{
    const struct zone *zone = NULL;
    const char *name = arena_z(k->a, bytes);
    if (!name)
        return ERR_NOMEM;
    if (!bytes.n || bytes.n > ZONE_NAME_MAX)
        return diag_set(d, ERR_USAGE, "A time zone is named such as Asia/Shanghai.");
    e->id = STR("county");
    e->version = bytes;
    e->title = bytes;
    return posix_zone_load(k->a, name, &zone, d);
}

const struct zone *county_zone(struct desk *k)
{
    struct published p;
    struct diag quiet = {0};
    if (k->zone)
        return k->zone;
    bool said = published_live(k->st, k->a, "zone", STR("county"), &p, NULL) == ERR_OK;
    const char *name = said ? arena_z(k->a, p.version) : NULL;
    if (posix_zone_load(k->a, name, &k->zone, &quiet))
        k->zone = zone_utc();
    return k->zone;
}

struct publishing {
    struct str kind, id, file_name, bytes, itemsets, areas;
    bool check_only; /* everything is done but the commit */
};

static enum err publish_one(struct desk *k, const struct publishing *p, struct publish_result *out,
                            struct diag *d)
{
    struct str kind = p->kind, id = p->id, file_name = p->file_name, bytes = p->bytes, itemsets = p->itemsets;
    struct entry e = {.kind = kind, .fieldmap = STR(""), .areas = p->areas, .size = bytes.n};
    struct publish_result r = {.kind = kind};
    int64_t now = k->seam->wall_ms(k->seam->self);
    if (bytes.n > CSTORE_OBJECT_MAX)
        return diag_set(d, ERR_LIMIT, "An object of more than %u MiB cannot be published.",
                        CSTORE_OBJECT_MAX >> 20);
    enum err rc = sha256(bytes, e.hash);
    if (!rc)
        rc = cstore_begin(k->st, d);
    if (!rc && str_eq_z(kind, "form"))
        rc = form_publish(k, &e, bytes, itemsets, now, &r, d);
    if (!rc && r.own_list.n)
        rc = own_list_publish(k, r.own_list, itemsets, now, d);
    if (!rc && str_eq_z(kind, "pack"))
        rc = pack_publish(k, &e, bytes, d);
    else if (!rc && str_eq_z(kind, "list"))
        rc = list_publish(k, &e, id, file_name, bytes, d);
    else if (!rc && str_eq_z(kind, "dictionary"))
        rc = dict_publish(k, &e, bytes, d);
    else if (!rc && str_eq_z(kind, "zone"))
        rc = zone_publish(k, &e, bytes, d);
    else if (!rc && !str_eq_z(kind, "form"))
        rc = diag_set(d, ERR_USAGE, "What is published is a form, a list, a pack or a dictionary.");
    if (!rc && id.n && !str_eq(id, e.id))
        rc = diag_set(d, ERR_USAGE, "The %.*s calls itself %.*s, not %.*s.", STR_ARG(kind), STR_ARG(e.id),
                      STR_ARG(id));
    if (!rc)
        rc = cstore_object_put(k->st, e.hash, kind, bytes, now, d);
    if (!rc)
        rc = catalogue(k, &e, now, &r.changed, d);
    if (!rc && r.changed)
        rc = cstore_audit(k->st, now, STR("centre"), STR("published"), e.id, d);
    if (!rc && !p->check_only)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    if (rc)
        return rc;
    r.id = e.id;
    r.version = e.version;
    memcpy(r.hash, e.hash, SHA256_SIZE);
    *out = r;
    return ERR_OK;
}

/* What devices get, and what is numbered, is the XForm; a workbook is only how it was written. A list inside
 * it goes with it. */
static enum err publish_source(struct desk *k, struct publishing *p, struct publish_result *out,
                               struct diag *d)
{
    struct form_findings findings;
    struct xlsform_media media = {STR(""), STR("")};
    enum err rc = ERR_OK;
    if (str_eq_z(p->kind, "form")) {
        rc = form_source_to_xform(k->a, p->file_name, p->bytes, &p->bytes, NULL, &media, &findings, d);
        findings_tell(k, &findings);
    }
    p->itemsets = media.bytes;
    return rc ? rc : publish_one(k, p, out, d);
}

enum err publish(struct desk *k, struct str kind, struct str id, struct str file_name, struct str bytes,
                 struct publish_result *out, struct diag *d)
{
    struct publishing p = {.kind = kind, .id = id, .file_name = file_name, .bytes = bytes, .areas = STR("")};
    return publish_source(k, &p, out, d);
}

enum err publish_in(struct desk *k, struct str kind, struct str id, struct str file_name, struct str bytes,
                    struct str areas, struct publish_result *out, struct diag *d)
{
    struct publishing p = {.kind = kind, .id = id, .file_name = file_name, .bytes = bytes, .areas = areas};
    return publish_source(k, &p, out, d);
}

enum err publish_check(struct desk *k, struct str kind, struct str id, struct str file_name, struct str bytes,
                       struct publish_result *out, struct diag *d)
{
    struct publishing p = {
        .kind = kind, .id = id, .file_name = file_name, .bytes = bytes, .areas = STR(""), .check_only = true};
    return publish_source(k, &p, out, d);
}
