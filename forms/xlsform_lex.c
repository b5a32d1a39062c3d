/* The tokens of expressions as authors write them, with ${references}. The order of the rules decides, as in
 * the reference converter: "a-b" is one name, "1-2" two numbers. Also what follows from tokens alone: is a
 * default dynamic, is this a name, where is an instance() path.
 */
#include "forms/xlsform_impl.h"

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of the name character at p, 0 when it is none; `first` excludes digits, hyphen and full stop. */
static size_t name_char(struct str s, bool first)
{
    if (s.n == 0)
        return 0;
    unsigned char c = (unsigned char)s.p[0];
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_')
        return 1;
    if (c < 0x80)
        return !first && (digit((char)c) || c == '-' || c == '.');
    struct str rest = s;
    uint32_t u = utf8_next(&rest);
    bool more = u == 0xb7 || (u >= 0x300 && u <= 0x36f) || (u >= 0x203f && u <= 0x2040);
    bool start = (u >= 0xc0 && u <= 0xd6) || (u >= 0xd8 && u <= 0xf6) || (u >= 0xf8 && u <= 0x2ff) ||
                 (u >= 0x370 && u <= 0x37d) || (u >= 0x37f && u <= 0x1fff) || (u >= 0x200c && u <= 0x200d) ||
                 (u >= 0x2070 && u <= 0x218f) || (u >= 0x2c00 && u <= 0x2fef) ||
                 (u >= 0x3001 && u <= 0xd7ff) || (u >= 0xf900 && u <= 0xfdcf) ||
                 (u >= 0xfdf0 && u <= 0xfffc) || u >= 0x10000;
    return start || (more && !first) ? s.n - rest.n : 0;
}

static size_t ncname(struct str s)
{
    size_t n = name_char(s, true), k;
    while (n && (k = name_char(str_sub(s, n, s.n), false)) > 0)
        n += k;
    return n;
}

/* A name with at most one prefix. */
static size_t name_length(struct str s)
{
    size_t n = ncname(s), more;
    if (n && n < s.n && s.p[n] == ':' && (more = ncname(str_sub(s, n + 1, s.n))) > 0)
        n += 1 + more;
    return n;
}

/* Does s begin with digits where the pattern has 9, and with the other characters as they are? */
static bool shaped(struct str s, const char *pattern)
{
    for (size_t i = 0; pattern[i]; i++)
        if (i >= s.n || (pattern[i] == '9' ? !digit(s.p[i]) : s.p[i] != pattern[i]))
            return false;
    return true;
}

static size_t date_length(struct str s)
{
    size_t sign = s.n > 0 && s.p[0] == '-';
    struct str d = str_sub(s, sign, s.n);
    if (shaped(d, "9999-99-99T99:99:99"))
        return sign + 19;
    if (shaped(d, "9999-99-99"))
        return sign + 10;
    return shaped(s, "99:99:99") ? 8 : 0;
}

static size_t number_length(struct str s)
{
    size_t i = s.n > 0 && s.p[0] == '-', from = i;
    while (i < s.n && digit(s.p[i]))
        i++;
    bool whole = i > from;
    if (i < s.n && s.p[i] == '.') {
        size_t point = i++;
        while (i < s.n && digit(s.p[i]))
            i++;
        if (!whole && i == point + 1)
            return 0;
        return i;
    }
    return whole ? i : 0;
}

static size_t reference_length(struct str s)
{
    if (!str_starts(s, STR("${")))
        return 0;
    size_t n = 2, k = name_length(str_sub(s, 2, s.n));
    n += k;
    if (k && n < s.n && s.p[n] == '#') {
        k = name_length(str_sub(s, n + 1, s.n));
        n += 1 + k;
    }
    return k && n < s.n && s.p[n] == '}' ? n + 1 : 0;
}

static enum xl_token punctuation(char c)
{
    switch (c) {
    case '*':
    case '+':
    case '-': return TK_MATH;
    case '=':
    case '<':
    case '>': return TK_COMPARE;
    case '|': return TK_UNION;
    case '(': return TK_OPEN;
    case ')': return TK_CLOSE;
    case '.': return TK_SELF;
    case '/': return TK_SLASH;
    case ',': return TK_COMMA;
    case ']': return TK_PREDICATE_END;
    default: return TK_OTHER;
    }
}

static enum xl_token named(struct str s, size_t *n)
{
    size_t k = name_length(s);
    *n = k;
    if (k < s.n && (s.p[k] == '(' || s.p[k] == '[')) {
        *n = k + 1;
        return s.p[k] == '(' ? TK_CALL : TK_PREDICATE;
    }
    if (str_starts(str_sub(s, k, s.n), STR("://"))) {
        *n = k + 3;
        return TK_SCHEME;
    }
    return TK_NAME;
}

enum xl_token xl_next_token(struct str *rest, struct str *token_out)
{
    static const struct {
        const char *text;
        enum xl_token token;
    } words[] = {{" mod ", TK_MATH}, {" div ", TK_MATH}, {" and ", TK_BOOL},
                 {" or ", TK_BOOL},  {"!=", TK_COMPARE}, {"..", TK_PARENT}};
    struct str s = *rest;
    enum xl_token t = TK_OTHER;
    size_t n = 0;
    if (s.n == 0)
        return TK_END;
    if ((n = date_length(s)) > 0)
        t = TK_DATETIME;
    else if ((n = number_length(s)) > 0)
        t = TK_NUMBER;
    for (size_t i = 0; n == 0 && i < sizeof(words) / sizeof(*words); i++)
        if (str_starts(s, str_of(words[i].text))) {
            n = strlen(words[i].text);
            t = words[i].token;
        }
    if (n == 0 && (s.p[0] == '"' || s.p[0] == '\'')) {
        ptrdiff_t end = str_find(str_sub(s, 1, s.n), (struct str){s.p, 1});
        n = end < 0 ? 1 : (size_t)end + 2;
        t = end < 0 ? TK_OTHER : TK_LITERAL;
    }
    while (n < s.n && (n == 0 || t == TK_SPACE) && memchr(" \t\r\n", s.p[n], 4)) {
        t = TK_SPACE;
        n++;
    }
    if (n == 0 && (n = reference_length(s)) > 0)
        t = TK_REFERENCE;
    if (n == 0 && name_char(s, true))
        t = named(s, &n);
    if (n == 0) {
        n = 1;
        t = punctuation(s.p[0]);
    }
    *token_out = str_sub(s, 0, n);
    *rest = str_sub(s, n, s.n);
    return t;
}

bool xl_is_name(struct str s)
{
    return s.n > 0 && name_length(s) == s.n;
}

bool xl_is_reference(struct str s)
{
    s = str_trim(s);
    return s.n > 0 && reference_length(s) == s.n;
}

bool xl_find_reference(struct str s, size_t from, size_t *start_out, size_t *end_out, struct str *name_out,
                       bool *last_saved_out)
{
    ptrdiff_t at = from <= s.n ? str_find(str_sub(s, from, s.n), STR("${")) : -1;
    if (at < 0)
        return false;
    struct str r = str_sub(s, from + (size_t)at, s.n);
    size_t n = reference_length(r);
    *start_out = from + (size_t)at;
    *name_out = STR("");
    *last_saved_out = false;
    if (n) {
        *name_out = str_sub(r, 2, n - 3);
        if (str_starts(*name_out, STR("last-saved#"))) {
            *last_saved_out = true;
            *name_out = str_sub(*name_out, 11, name_out->n);
        }
        if (name_length(*name_out) != name_out->n)
            *name_out = STR("");
    } else {
        ptrdiff_t end = str_find(r, STR("}"));
        n = end < 0 ? r.n : (size_t)end + 1;
    }
    *end_out = *start_out + n;
    return true;
}

bool xl_has_reference(struct str s)
{
    size_t start, end;
    struct str name;
    bool last_saved;
    return xl_find_reference(s, 0, &start, &end, &name, &last_saved) && name.n > 0;
}

bool xl_is_dynamic(struct str fallback, struct str type)
{
    static const char *const hyphened[] = {"date",     "dateTime", "datetime", "geopoint",
                                           "geotrace", "geoshape", "time"};
    bool hyphens = false;
    struct str token;
    for (size_t i = 0; i < sizeof(hyphened) / sizeof(*hyphened); i++)
        hyphens |= str_eq_z(type, hyphened[i]);
    for (enum xl_token t; (t = xl_next_token(&fallback, &token)) != TK_END;) {
        if (hyphens && t == TK_MATH && str_eq_z(token, "-"))
            return false;
        if (t == TK_MATH || t == TK_UNION || t == TK_REFERENCE || t == TK_CALL)
            return true;
    }
    return false;
}

int xl_yes_no(struct str s)
{
    static const char *const yes[] = {"yes", "Yes", "YES", "true", "True", "TRUE", "true()"};
    static const char *const no[] = {"no", "No", "NO", "false", "False", "FALSE", "false()"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
        if (str_eq_z(s, yes[i]))
            return 1;
        if (str_eq_z(s, no[i]))
            return 0;
    }
    return -1;
}

/* An instance() path ends at white space outside its predicates. */
bool xl_find_instance(struct str s, size_t from, size_t *start_out, size_t *end_out)
{
    struct str rest = str_sub(s, from, s.n), token;
    size_t at = from, depth = 0;
    bool in = false, called = false;
    if (!rest.n || !memchr(rest.p, '(', rest.n) || str_find(rest, STR("instance(")) < 0)
        return false; /* nearly every text */
    for (enum xl_token t; (t = xl_next_token(&rest, &token)) != TK_END; at += token.n) {
        if (!in && t == TK_CALL && str_eq_z(token, "instance(")) {
            in = true;
            called = true;
            *start_out = at;
        } else if (in) {
            if (called && t == TK_CLOSE)
                called = false;
            else if (!called && depth == 0 && t == TK_SPACE)
                break;
            depth += t == TK_PREDICATE || (t == TK_OTHER && str_eq_z(token, "["));
            depth -= depth > 0 && t == TK_PREDICATE_END;
        }
        if (in)
            *end_out = at + token.n;
    }
    return in;
}

bool xl_in_instance_predicate(struct str s, size_t at)
{
    size_t start, end;
    for (size_t from = 0; xl_find_instance(s, from, &start, &end) && start < at; from = end) {
        if (at >= end)
            continue;
        size_t depth = 0;
        struct str rest = str_sub(s, start, at - start), token;
        for (enum xl_token t; (t = xl_next_token(&rest, &token)) != TK_END;) {
            depth += t == TK_PREDICATE || (t == TK_OTHER && str_eq_z(token, "["));
            depth -= depth > 0 && t == TK_PREDICATE_END;
        }
        return depth > 0;
    }
    return false;
}
