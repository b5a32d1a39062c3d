/* See http_form.h. The multipart reader looks for "CRLF--boundary" once, forwards; a part's head ends at the
 * first empty line. */
#include "platform/http_form.h"

#include "platform/base/buf.h"

static bool plain(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

struct str http_decode(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    if (!out)
        return STR_NONE;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] == '+' ? ' ' : s.p[i];
        if (c == '%' && hex_read(str_sub(s, i + 1, 2), &c, 1))
            i += 2;
        out[n++] = c;
    }
    return (struct str){out, n};
}

void http_encode(struct buf *b, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (plain(s.p[i]) || c == '/') {
            buf_put_char(b, s.p[i]);
        } else {
            buf_put_char(b, '%');
            buf_put_char(b, digits[c >> 4]);
            buf_put_char(b, digits[c & 15]);
        }
    }
}

struct str http_cookie(struct str header, const char *name)
{
    struct str pair;
    while (str_split(&header, ';', &pair)) {
        struct str key, rest = str_trim(pair);
        if (str_split(&rest, '=', &key) && str_eq_z(key, name))
            return rest.p ? rest : STR("");
    }
    return STR_NONE;
}

struct str http_form_get(const struct http_form *f, const char *name)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (str_eq_z(f->at[i].name, name))
            return f->at[i].value;
    }
    return STR_NONE;
}

const struct http_field *http_form_file(const struct http_form *f, const char *name)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (str_eq_z(f->at[i].name, name))
            return f->at[i].file_name.p ? &f->at[i] : NULL;
    }
    return NULL;
}

struct fields {
    struct arena *a;
    VEC(struct http_field) list;
};

static enum err field_add(struct fields *f, const struct http_field *field, struct diag *d)
{
    if (f->list.count == HTTP_FIELDS_MAX)
        return diag_set(d, ERR_LIMIT, "The form has more than %d fields.", HTTP_FIELDS_MAX);
    if (field->name.n > HTTP_FIELD_NAME_MAX)
        return diag_set(d, ERR_LIMIT, "A field's name in the form is longer than %d bytes.",
                        HTTP_FIELD_NAME_MAX);
    struct http_field *to = vec_push(f->a, &f->list);
    if (!to)
        return diag_set(d, ERR_NOMEM, "The form does not fit into memory.");
    *to = *field;
    return ERR_OK;
}

static enum err read_urlencoded(struct fields *f, struct str body, struct diag *d)
{
    struct str pair;
    enum err rc = ERR_OK;
    while (!rc && str_split(&body, '&', &pair)) {
        struct str key;
        if (pair.n == 0)
            continue;
        ptrdiff_t equals = str_find(pair, STR("="));
        key = equals < 0 ? pair : str_sub(pair, 0, (size_t)equals);
        struct str value = equals < 0 ? STR("") : str_sub(pair, (size_t)equals + 1, pair.n);
        struct http_field field = {.name = http_decode(f->a, key), .value = http_decode(f->a, value)};
        rc = field.name.p && field.value.p ? field_add(f, &field, d)
                                           : diag_set(d, ERR_NOMEM, "The form does not fit into memory.");
    }
    return rc;
}

/* ---- multipart ---- */

/* One parameter of "form-data; name="a"; filename="b"": quoted or not. In quotes a backslash stands before a
 * quote (old browsers) and %22 for one (new ones). */
static struct str parameter(struct arena *a, struct str text, const char *name)
{
    struct str want = str_of(name);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"') { /* over a quoted value of another parameter */
            for (i++; i < text.n && text.p[i] != '"'; i++)
                i += text.p[i] == '\\';
            continue;
        }
        if (text.p[i] != ';')
            continue;
        struct str rest = str_trim(str_sub(text, i + 1, text.n));
        if (rest.n <= want.n || !str_eq_nocase(str_sub(rest, 0, want.n), want) || rest.p[want.n] != '=')
            continue;
        rest = str_sub(rest, want.n + 1, rest.n);
        if (rest.n == 0 || rest.p[0] != '"') {
            size_t n = 0;
            while (n < rest.n && rest.p[n] != ';' && rest.p[n] != ' ')
                n++;
            return str_sub(rest, 0, n);
        }
        char *out = arena_alloc(a, rest.n);
        size_t n = 0;
        for (size_t k = 1; out && k < rest.n && rest.p[k] != '"'; k++) {
            k += rest.p[k] == '\\' && k + 1 < rest.n && rest.p[k + 1] == '"';
            if (str_starts(str_sub(rest, k, 3), STR("%22"))) {
                out[n++] = '"';
                k += 2;
            } else {
                out[n++] = rest.p[k];
            }
        }
        return out ? (struct str){out, n} : STR_NONE;
    }
    return STR_NONE;
}

static struct str last_name(struct str path)
{
    size_t from = path.n;
    while (from > 0 && path.p[from - 1] != '/' && path.p[from - 1] != '\\')
        from--;
    return str_sub(path, from, path.n);
}

static enum err part_head(struct fields *f, struct str head, struct http_field *out, struct diag *d)
{
    struct str line, name;
    *out = (struct http_field){.type = STR("")};
    while (str_split(&head, '\n', &line)) {
        if (!str_split(&line, ':', &name) || !line.p)
            continue;
        struct str value = str_trim(line);
        if (str_eq_nocase(name, STR("Content-Disposition"))) {
            out->name = parameter(f->a, value, "name");
            struct str file = parameter(f->a, value, "filename");
            out->file_name = file.p ? last_name(file) : STR_NONE;
        } else if (str_eq_nocase(name, STR("Content-Type"))) {
            out->type = value;
        }
    }
    return out->name.p ? ERR_OK : diag_set(d, ERR_SYNTAX, "A part of the form has no name.");
}

static ptrdiff_t find_from(struct str s, size_t from, struct str needle)
{
    ptrdiff_t at = str_find(str_sub(s, from, s.n), needle);
    return at < 0 ? at : at + (ptrdiff_t)from;
}

static enum err read_multipart(struct fields *f, struct str boundary, struct str body, struct diag *d)
{
    char text[HTTP_BOUNDARY_MAX + 4] = "\r\n--";
    if (boundary.n == 0 || boundary.n > HTTP_BOUNDARY_MAX)
        return diag_set(d, ERR_SYNTAX, "The form does not say what stands between its parts.");
    memcpy(text + 4, boundary.p, boundary.n);
    struct str mark = {text, boundary.n + 4};
    struct str first = str_sub(mark, 2, mark.n);
    size_t at = 0;
    if (!str_starts(body, first)) {
        ptrdiff_t found = str_find(body, mark); /* a preamble is allowed, and means nothing */
        if (found < 0)
            return diag_set(d, ERR_SYNTAX, "The form does not begin with the mark it announces.");
        at = (size_t)found + 2;
    }
    for (;;) {
        struct http_field field;
        at += first.n;
        if (str_starts(str_sub(body, at, 2), STR("--")))
            return ERR_OK;
        if (!str_starts(str_sub(body, at, 2), STR("\r\n")))
            return diag_set(d, ERR_SYNTAX, "The form ends in the middle of a part.");
        /* Without headers the empty line follows at once. */
        ptrdiff_t head = find_from(body, at, STR("\r\n\r\n"));
        if (head < 0 || (size_t)head - at > HTTP_PART_HEAD_MAX)
            return diag_set(d, ERR_SYNTAX, "A part of the form has no end of its head.");
        ptrdiff_t end = find_from(body, (size_t)head + 2, mark);
        if (end < 0)
            return diag_set(d, ERR_SYNTAX, "The form ends in the middle of a part.");
        enum err rc = part_head(f, str_sub(body, at, (size_t)head - at), &field, d);
        size_t from = (size_t)head + 4;
        field.value = (size_t)end > from ? str_sub(body, from, (size_t)end - from) : STR("");
        if (!rc)
            rc = field_add(f, &field, d);
        if (rc)
            return rc;
        at = (size_t)end + 2;
    }
}

enum err http_form_read(struct arena *a, struct str type, struct str body, struct http_form *out,
                        struct diag *d)
{
    struct fields f = {.a = a};
    enum err rc = ERR_OK;
    ptrdiff_t semicolon = str_find(type, STR(";"));
    struct str name = str_trim(semicolon < 0 ? type : str_sub(type, 0, (size_t)semicolon));
    if (str_eq_nocase(name, STR("application/x-www-form-urlencoded")))
        rc = read_urlencoded(&f, body, d);
    else if (str_eq_nocase(name, STR("multipart/form-data")))
        rc = read_multipart(&f, parameter(a, type, "boundary"), body, d);
    if (!rc)
        *out = (struct http_form){f.list.at, f.list.count};
    return rc;
}
