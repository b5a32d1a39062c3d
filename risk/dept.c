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

/* What stands inside its braces; *any false when it is no object, or an empty one. */
static enum err members_of(struct arena *a, struct str values, bool *any, struct str *out)
{
    const struct json *j = NULL;
    struct diag quiet = {0};
    struct str text = str_trim(values);
    struct arena_mark mark = arena_mark(a);
    enum err rc = json_read(a, text, &j, &quiet);
    *any = !rc && j->type == JSON_OBJECT && j->count > 0;
    if (*any)
        *out = str_sub(text, 1, text.n - 2);
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
        struct str members;
        rc = members_of(a, list[i].values, &any, &members);
        if (rc || !any)
            continue;
        if (!b.n)
            as_of = list[i].as_of;
        buf_put_char(&b, b.n ? ',' : '{');
        buf_put_str(&b, members);
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
