/* See serve.h: JSON as the screens read it. */
#include "agent/serve.h"

static void name_of(struct buf *b, const char *name)
{
    if (b->n > 0 && b->p[b->n - 1] != '{' && b->p[b->n - 1] != '[')
        buf_put_char(b, ',');
    if (!name)
        return;
    buf_put_json(b, str_of(name));
    buf_put_char(b, ':');
}

void js_open(struct buf *b, const char *name, char bracket)
{
    name_of(b, name);
    buf_put_char(b, bracket);
}

void js_str(struct buf *b, const char *name, struct str value)
{
    name_of(b, name);
    buf_put_json(b, value);
}

void js_z(struct buf *b, const char *name, const char *value)
{
    js_str(b, name, str_of(value ? value : ""));
}

void js_i64(struct buf *b, const char *name, int64_t value)
{
    name_of(b, name);
    buf_put_i64(b, value);
}

void js_bool(struct buf *b, const char *name, bool value)
{
    name_of(b, name);
    buf_put_z(b, value ? "true" : "false");
}

void js_raw(struct buf *b, const char *name, struct str json)
{
    name_of(b, name);
    buf_put_str(b, json.n ? json : STR("null"));
}
