/* JSON: cJSON decides what the text means; this file adds caps, places and exact numbers.
 *
 * cJSON keeps neither line numbers nor the text of a number, and lets some things pass that JSON forbids (raw
 * control characters, "01", "\u0000" that would cut a string short). So the text is looked at three times: a
 * scan that checks UTF-8 and depth before cJSON may recurse; cJSON; and a walk that goes through cJSON's tree
 * and the text side by side, copies both into the arena, and is strict. cJSON's own memory is freed before
 * json_read returns. */
#include "platform/base/json.h"

#include <cjson/cJSON.h>

#include "platform/base/num.h"

struct cursor {
    struct arena *arena;
    struct diag *d;
    const char *start;
    const char *p;
    const char *end;
    const char *line_start;
    uint32_t line;
};

static enum err fail_at(const struct cursor *c, enum err code, const char *what)
{
    struct str before = {c->line_start, (size_t)(c->p - c->line_start)};
    return diag_set_at(c->d, code, c->line, (uint32_t)utf8_length(before) + 1,
                       "The JSON text is wrong at line %u: %s.", (unsigned)c->line, what);
}

static enum err no_memory(const struct cursor *c)
{
    return diag_set(c->d, ERR_NOMEM, "Not enough memory for a JSON text of %zu bytes.",
                    (size_t)(c->end - c->start));
}

static void skip_space(struct cursor *c)
{
    for (; c->p < c->end; c->p++) {
        if (*c->p == '\n') {
            c->line++;
            c->line_start = c->p + 1;
        } else if (*c->p != ' ' && *c->p != '\t' && *c->p != '\r') {
            return;
        }
    }
}

/* Moves to the byte at `place`, counting lines. */
static void move_to(struct cursor *c, const char *place)
{
    for (; c->p < place; c->p++) {
        if (*c->p == '\n') {
            c->line++;
            c->line_start = c->p + 1;
        }
    }
}

static enum err check_depth(struct cursor c)
{
    uint32_t depth = 0;
    bool in_string = false;
    for (; c.p < c.end; move_to(&c, c.p + 1)) {
        if (in_string) {
            if (*c.p == '\\' && c.p + 1 < c.end)
                c.p++;
            else if (*c.p == '"')
                in_string = false;
        } else if (*c.p == '"') {
            in_string = true;
        } else if (*c.p == '[' || *c.p == '{') {
            if (++depth > JSON_DEPTH_MAX)
                return fail_at(&c, ERR_LIMIT, "more than 64 levels of [ and {");
        } else if ((*c.p == ']' || *c.p == '}') && depth > 0) {
            depth--;
        }
    }
    return ERR_OK;
}

/* The walk relies on cJSON having accepted the text: brackets, commas and colons are where they belong. */

static enum err walk_string(struct cursor *c, const char *value, struct str *out)
{
    if (c->p >= c->end || *c->p != '"')
        return fail_at(c, ERR_SYNTAX, "a text in double quotes was expected");
    for (c->p++; *c->p != '"'; c->p++) {
        if ((unsigned char)*c->p < 0x20)
            return fail_at(c, ERR_SYNTAX,
                           "a line break or control character inside a text; write it as \\n or \\u00XX");
        if (*c->p == '\\') {
            if (c->end - c->p > 5 && memcmp(c->p + 1, "u0000", 5) == 0)
                return fail_at(c, ERR_SYNTAX, "\\u0000 is not allowed in a text");
            c->p++;
        }
    }
    c->p++;
    *out = arena_str(c->arena, str_of(value));
    return out->p ? ERR_OK : no_memory(c);
}

static size_t digits_at(struct str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9')
        n++;
    return n;
}

/* RFC 8259: [-] int [frac] [exp]. */
static bool strict_number(struct str s)
{
    size_t at = s.n > 0 && s.p[0] == '-';
    size_t n = digits_at(s, at);
    if (n == 0 || (n > 1 && s.p[at] == '0'))
        return false;
    at += n;
    if (at < s.n && s.p[at] == '.') {
        n = digits_at(s, at + 1);
        if (n == 0)
            return false;
        at += n + 1;
    }
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        at++;
        if (at < s.n && (s.p[at] == '+' || s.p[at] == '-'))
            at++;
        n = digits_at(s, at);
        if (n == 0)
            return false;
        at += n;
    }
    return at == s.n;
}

static enum err walk_number(struct cursor *c, struct json *out)
{
    size_t n = 0;
    while (c->p + n < c->end && c->p[n] && strchr("0123456789+-.eE", c->p[n]))
        n++;
    struct str text = {c->p, n};
    if (!strict_number(text) || !num_read_exp(text, &out->number))
        return fail_at(c, ERR_SYNTAX, "a number is not written as JSON wants it, e.g. 12, -0.5 or 1e3");
    out->text = arena_str(c->arena, text);
    if (!out->text.p)
        return no_memory(c);
    c->p += n;
    return ERR_OK;
}

static enum err walk_word(struct cursor *c, const char *word)
{
    size_t n = strlen(word);
    CHECK((size_t)(c->end - c->p) >= n && memcmp(c->p, word, n) == 0);
    c->p += n;
    return ERR_OK;
}

static enum err walk_value(struct cursor *c, const cJSON *item, struct json *out);

static enum err walk_mark(struct cursor *c, char mark)
{
    skip_space(c);
    if (c->p >= c->end || *c->p != mark)
        return fail_at(c, ERR_SYNTAX, "a control character stands between the values");
    c->p++;
    skip_space(c);
    return ERR_OK;
}

/* Depth is at most JSON_DEPTH_MAX, checked before. */
static enum err walk_children(struct cursor *c, const cJSON *item, struct json *out)
{
    bool object = out->type == JSON_OBJECT;
    const struct json **link = &out->child;
    enum err rc = walk_mark(c, object ? '{' : '[');
    for (const cJSON *child = item->child; child && !rc; child = child->next) {
        struct json *node = ARENA_NEW(c->arena, struct json);
        if (!node)
            return no_memory(c);
        if (object) {
            rc = walk_string(c, child->string, &node->name);
            if (!rc)
                rc = walk_mark(c, ':');
        }
        if (!rc)
            rc = walk_value(c, child, node);
        if (!rc && child->next)
            rc = walk_mark(c, ',');
        *link = node;
        link = &node->next;
        out->count++;
    }
    if (rc)
        return rc;
    skip_space(c);
    if (c->p >= c->end || *c->p != (object ? '}' : ']'))
        return fail_at(c, ERR_SYNTAX, "a control character stands between the values");
    c->p++;
    return ERR_OK;
}

static enum err walk_value(struct cursor *c, const cJSON *item, struct json *out)
{
    skip_space(c);
    out->line = c->line;
    if (cJSON_IsString(item)) {
        out->type = JSON_STRING;
        return walk_string(c, item->valuestring, &out->text);
    }
    if (cJSON_IsNumber(item)) {
        out->type = JSON_NUMBER;
        return walk_number(c, out);
    }
    if (cJSON_IsArray(item) || cJSON_IsObject(item)) {
        out->type = cJSON_IsArray(item) ? JSON_ARRAY : JSON_OBJECT;
        return walk_children(c, item, out);
    }
    if (c->p < c->end && (unsigned char)*c->p < 0x20)
        return fail_at(c, ERR_SYNTAX, "a control character stands between the values");
    if (cJSON_IsBool(item)) {
        out->type = JSON_BOOL;
        out->boolean = cJSON_IsTrue(item);
        return walk_word(c, out->boolean ? "true" : "false");
    }
    CHECK(cJSON_IsNull(item));
    out->type = JSON_NULL;
    return walk_word(c, "null");
}

static enum err fail_parse(struct cursor c, const char *stopped)
{
    if (stopped < c.p || stopped > c.end)
        stopped = c.end;
    move_to(&c, stopped);
    if (stopped == c.end)
        return fail_at(&c, ERR_SYNTAX,
                       "it ends too early, or is out of memory; a bracket or quote may be missing");
    return fail_at(&c, ERR_SYNTAX, "this is not JSON; look for a missing comma, quote or bracket");
}

enum err json_read(struct arena *a, struct str text, const struct json **json_out, struct diag *d)
{
    if (text.n > JSON_TEXT_MAX)
        return diag_set(d, ERR_LIMIT, "The JSON text has %zu bytes; at most %u are read.", text.n,
                        JSON_TEXT_MAX);
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_sub(text, 3, text.n);
    struct cursor c = {a, d, text.p, text.p, text.p + text.n, text.p, 1};
    if (str_starts(text, STR("\xEF\xBB\xBF"))) /* cJSON would skip it, and the walk would lose its place */
        return fail_at(&c, ERR_SYNTAX, "a second byte order mark stands at the start");
    if (!utf8_valid(text)) {
        for (struct str rest = text; rest.n > 0;) {
            struct str one = rest;
            uint32_t character = utf8_next(&rest);
            if (character == 0 || (character == 0xFFFD && one.n - rest.n == 1)) {
                move_to(&c, one.p);
                break;
            }
        }
        return fail_at(&c, ERR_SYNTAX, "it is not UTF-8; save the file as UTF-8");
    }
    enum err rc = check_depth(c);
    if (rc)
        return rc;
    const char *stopped = c.end;
    cJSON *tree = text.n ? cJSON_ParseWithLengthOpts(text.p, text.n, &stopped, false) : NULL;
    if (!tree)
        return fail_parse(c, stopped);
    struct json *root = ARENA_NEW(a, struct json);
    rc = root ? walk_value(&c, tree, root) : no_memory(&c);
    cJSON_Delete(tree);
    if (rc)
        return rc;
    skip_space(&c);
    if (c.p < c.end)
        return fail_at(&c, ERR_SYNTAX, "something stands after the end of the value");
    *json_out = root;
    return ERR_OK;
}

const struct json *json_get(const struct json *object, const char *name)
{
    if (!object || object->type != JSON_OBJECT)
        return NULL;
    const struct json *member = object->child;
    while (member && !str_eq_z(member->name, name))
        member = member->next;
    return member;
}

const struct json *json_at(const struct json *array, uint32_t index)
{
    if (!array || array->type != JSON_ARRAY)
        return NULL;
    const struct json *item = array->child;
    while (item && index-- > 0)
        item = item->next;
    return item;
}

struct str json_text(const struct json *object, const char *name)
{
    const struct json *member = json_get(object, name);
    return member && member->type == JSON_STRING ? member->text : STR_NONE;
}

bool json_i64(const struct json *object, const char *name, int64_t *out)
{
    const struct json *member = json_get(object, name);
    if (!member || member->type != JSON_NUMBER)
        return false;
    if (str_to_i64(member->text, out))
        return true;
    /* Written with a point or an exponent: doubles are whole and exact up to 2^53. */
    double v = member->number;
    if (!(v >= -9007199254740992.0 && v <= 9007199254740992.0) || v != (double)(int64_t)v)
        return false;
    *out = (int64_t)v;
    return true;
}

bool json_bool(const struct json *object, const char *name)
{
    const struct json *member = json_get(object, name);
    return member && member->type == JSON_BOOL && member->boolean;
}
