/* See dept.h.
 */
#include "risk/dept.h"

#include "platform/base/json.h"

#define DEPT_BYTES_MAX (1u << 20)

static bool before(const struct dept_record *x, const struct dept_record *y)
{
    int order = str_cmp(x->as_of, y->as_of);
    return order ? order > 0 : str_cmp(x->source, y->source) < 0;
}

/* A household has few of them. */
static void sort(struct dept_record *list, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t k = i; k > 0 && before(&list[k], &list[k - 1]); k--) {
            struct dept_record swap = list[k];
            list[k] = list[k - 1];
            list[k - 1] = swap;
        }
}

static bool is_scalar(const struct json *v)
{
    return v->type != JSON_ARRAY && v->type != JSON_OBJECT;
}

static void put_scalar(struct buf *b, const struct json *v)
{
    switch (v->type) {
    case JSON_STRING: buf_put_json(b, v->text); break;
    case JSON_NUMBER: buf_put_str(b, v->text); break;
    case JSON_BOOL: buf_put_z(b, v->boolean ? "true" : "false"); break;
    default: buf_put_z(b, "null"); break;
    }
}

static void put_origin(struct buf *b, const struct dept_record *r)
{
    buf_put_z(b, ",\"source\":");
    buf_put_json(b, r->source.p ? r->source : STR(""));
    buf_put_z(b, ",\"as_of\":");
    buf_put_json(b, r->as_of.p ? r->as_of : STR(""));
}

/* A person, or a value that came with an origin of its own: its members stand first and are the ones read. */
static void put_object(struct buf *b, const struct json *o, const struct dept_record *r)
{
    const char *before = "{";
    for (const struct json *v = o->child; v; v = v->next) {
        if (!is_scalar(v))
            continue;
        buf_put_z(b, before);
        buf_put_json(b, v->name);
        buf_put_char(b, ':');
        put_scalar(b, v);
        before = ",";
    }
    if (*before == '{')
        buf_put_z(b, "{\"value\":null");
    put_origin(b, r);
    buf_put_char(b, '}');
}

static void put_member(struct buf *b, const struct json *v, const struct dept_record *r)
{
    buf_put_char(b, b->n ? ',' : '{');
    buf_put_json(b, v->name);
    buf_put_char(b, ':');
    if (v->type == JSON_ARRAY) {
        bool first = true;
        buf_put_char(b, '[');
        for (const struct json *o = v->child; o; o = o->next)
            if (o->type == JSON_OBJECT) {
                buf_put_z(b, first ? "" : ",");
                put_object(b, o, r);
                first = false;
            }
        buf_put_char(b, ']');
    } else if (v->type == JSON_OBJECT) {
        put_object(b, v, r);
    } else {
        buf_put_z(b, "{\"value\":");
        put_scalar(b, v);
        put_origin(b, r);
        buf_put_char(b, '}');
    }
}

/* What a department sent, value by value; *any false when it is no object, or an empty one. */
static enum err put_record(struct arena *a, struct buf *b, const struct dept_record *r, bool *any)
{
    const struct json *j = NULL;
    struct diag quiet = {0};
    struct arena_mark mark = arena_mark(a);
    enum err rc = json_read(a, str_trim(r->values), &j, &quiet);
    *any = !rc && j->type == JSON_OBJECT && j->count > 0;
    for (const struct json *v = *any ? j->child : NULL; v; v = v->next)
        put_member(b, v, r);
    arena_release(a, mark);
    return rc == ERR_NOMEM ? rc : ERR_OK;
}

enum err dept_join(struct arena *a, struct dept_record *list, uint32_t count, struct str *json_out,
                   struct str *as_of_out, struct diag *d)
{
    struct buf b;
    struct str as_of = STR("");
    enum err rc = ERR_OK;
    buf_init(&b, DEPT_BYTES_MAX);
    sort(list, count);
    for (uint32_t i = 0; !rc && i < count; i++) {
        bool any;
        rc = put_record(a, &b, &list[i], &any);
        if (!rc && any && !as_of.n)
            as_of = list[i].as_of;
    }
    if (b.n)
        buf_put_char(&b, '}');
    struct str json = b.n ? arena_str(a, buf_str(&b)) : STR("");
    rc = rc ? rc : b.failed ? b.failed : json.p ? ERR_OK : ERR_NOMEM;
    buf_free(&b);
    if (rc)
        return diag_set(d, rc, "the departments' records about this household are too large");
    *json_out = json;
    *as_of_out = as_of;
    return ERR_OK;
}

struct str dept_mark(struct arena *a, struct str as_of, const unsigned char sha256[static DEPT_MARK_BYTES])
{
    struct buf b;
    buf_init(&b, 256);
    buf_put_str(&b, str_sub(as_of, 0, 10));
    buf_put_char(&b, ' ');
    for (int i = 0; i < DEPT_MARK_BYTES; i++)
        buf_printf(&b, "%02x", sha256[i]);
    struct str mark = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    buf_free(&b);
    return mark;
}
