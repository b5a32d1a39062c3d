/* Functions on text, choices and conditions: XForms, JavaRosa and ODK. */
#include "forms/expr_impl.h"
#include "forms/regex.h"

#define COUNT_OF(rows) ((uint32_t)(sizeof(rows) / sizeof(*(rows))))

/* -- putting together
 * ------------------------------------------------------------------------------------------- */

struct text_list {
    VEC(struct str) items;
    size_t bytes;
};

/* The texts of all values the arguments stand for. */
static enum err collect_texts(struct eval *e, const struct value *args, uint32_t count, struct text_list *l)
{
    struct each each = {.args = args, .count = count};
    struct value v;
    enum err rc;
    while (each_value(e, &each, &v, &rc)) {
        struct str *slot = vec_push(e->scratch, &l->items);
        if (!slot)
            return ERR_NOMEM;
        *slot = value_text(e, &v);
        l->bytes += slot->n;
    }
    return rc;
}

static enum err join(struct eval *e, const struct text_list *l, struct str separator, struct value *out)
{
    size_t n = l->bytes + (l->items.count ? (l->items.count - 1) * separator.n : 0);
    char *p = arena_alloc(e->scratch, n);
    if (!p)
        return ERR_NOMEM;
    *out = value_of_text((struct str){p, n});
    for (uint32_t i = 0; i < l->items.count; i++) {
        if (i && separator.n) {
            memcpy(p, separator.p, separator.n);
            p += separator.n;
        }
        if (l->items.at[i].n)
            memcpy(p, l->items.at[i].p, l->items.at[i].n);
        p += l->items.at[i].n;
    }
    return ERR_OK;
}

static enum err fn_concat(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct text_list l = {0};
    enum err rc = collect_texts(e, args, count, &l);
    return rc ? rc : join(e, &l, STR(""), out);
}

static enum err fn_join(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct text_list l = {0};
    enum err rc = collect_texts(e, args + 1, count - 1, &l);
    return rc ? rc : join(e, &l, args[0].text, out);
}

/* -- taking apart
 * ----------------------------------------------------------------------------------------------- */

/* A place in a text of `length` code points: from the front, or from the end when negative; clamped. */
static size_t text_place(double at, size_t length)
{
    if (isnan(at))
        return 0;
    at = trunc(at);
    if (at < 0)
        at += (double)length;
    return at < 0 ? 0 : at > (double)length ? length : (size_t)at;
}

static enum err fn_substr(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct str s = args[0].text;
    size_t length = utf8_length(s);
    size_t from = text_place(value_number(e, &args[1]), length);
    size_t end = count > 2 ? text_place(value_number(e, &args[2]), length) : length;
    size_t first = utf8_offset(s, from), last = utf8_offset(s, end);
    *out = value_of_text(end > from ? str_sub(s, first, last - first) : STR(""));
    return ERR_OK;
}

static enum err fn_ends_with(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e, (void)count;
    *out = value_bool(str_ends(args[0].text, args[1].text));
    return ERR_OK;
}

/* -- choices
 * ---------------------------------------------------------------------------------------------------- */

static enum err fn_selected(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e, (void)count;
    struct str rest = args[0].text, word, want = str_trim(args[1].text);
    bool found = want.n == 0 && str_trim(rest).n == 0;
    while (!found && str_word(&rest, &word))
        found = str_eq(word, want);
    *out = value_bool(found);
    return ERR_OK;
}

static enum err fn_selected_at(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct str rest = args[0].text, word;
    double want = value_number(e, &args[1]);
    *out = value_of_text(STR(""));
    if (isnan(want) || want < 0)
        return ERR_OK;
    want = floor(want);
    for (double at = 0; str_word(&rest, &word); at++)
        if (at == want) {
            *out = value_of_text(word);
            break;
        }
    return ERR_OK;
}

static enum err fn_count_selected(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct str rest = args[0].text, word;
    int64_t n = 0;
    while (str_word(&rest, &word))
        n++;
    *out = value_count(e, n);
    return ERR_OK;
}

/* -- conditions
 * ------------------------------------------------------------------------------------------------- */

static enum err fn_boolean_from(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e, (void)count;
    *out = value_bool(str_eq_nocase(args[0].text, STR("true")) || str_eq_z(args[0].text, "1"));
    return ERR_OK;
}

/* checklist(min, max, a, b ...): are at least min and at most max of them true? -1 is no bound. */
static enum err fn_checklist(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    double low = value_number(e, &args[0]), high = value_number(e, &args[1]);
    struct each each = {.args = args + 2, .count = count - 2};
    struct value v;
    enum err rc;
    double sure = 0, unsure = 0;
    while (each_value(e, &each, &v, &rc)) {
        enum truth t = value_truth(e, &v);
        sure += t == TRUTH_TRUE;
        unsure += t == TRUTH_UNKNOWN;
    }
    bool least = (low < 0 || sure >= low) && (high < 0 || sure <= high);
    bool most = (low < 0 || sure + unsure >= low) && (high < 0 || sure + unsure <= high);
    *out = least == most ? value_bool(least) : value_unknown();
    return rc;
}

/* weighted-checklist(min, max, a, weight of a, b, weight of b ...): -1 is no bound, other negative numbers
 * are. */
static enum err fn_weighted(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    double low = value_number(e, &args[0]), high = value_number(e, &args[1]);
    double total = 0;
    enum err rc = ERR_OK;
    if (count % 2)
        return diag_set(e->diag, ERR_SYNTAX, "weighted-checklist() needs a weight after each condition");
    for (uint32_t i = 2; i + 1 < count; i += 2) {
        struct each conditions = {.args = args + i, .count = 1}, weights = {.args = args + i + 1, .count = 1};
        struct value c, w;
        enum err rw;
        while (each_value(e, &conditions, &c, &rc) && each_value(e, &weights, &w, &rw)) {
            enum truth t = value_truth(e, &c);
            if (t == TRUTH_UNKNOWN) {
                *out = value_unknown();
                return ERR_OK;
            }
            if (t == TRUTH_TRUE)
                total += value_number(e, &w);
        }
        if (rc)
            return rc;
    }
    *out = value_bool((low == -1 || total >= low) && (high == -1 || total <= high));
    return rc;
}

static enum err fn_is_missing(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    *out = value_bool(value_blank(e, &args[0]));
    return ERR_OK;
}

static enum err fn_depend(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    return value_single(e, &args[0], out);
}

/* -- regular expressions
 * ---------------------------------------------------------------------------------------- */

static enum err fn_regex(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct str text = args[0].text.p ? args[0].text : STR("");
    *out = value_bool(regex_matches(e, text, args[1].text.p ? args[1].text : STR("")));
    return ERR_OK;
}

/* -- encodings
 * -------------------------------------------------------------------------------------------------- */

static enum err fn_base64_decode(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct str s = args[0].text;
    char *p = arena_alloc(e->scratch, s.n);
    if (!p)
        return ERR_NOMEM;
    size_t n = 0;
    *out = value_of_text(STR(""));
    if (!base64_read(s, p, &n)) {
        expr_trouble(e, "base64-decode() was given text that is not base64");
        return ERR_OK;
    }
    *out = value_of_text((struct str){p, n});
    return ERR_OK;
}

bool text_digest(struct eval *e, struct str algorithm, struct str data, unsigned char out[64], size_t *n_out)
{
    static const struct {
        const char *spelling, *name;
    } names[] = {{"MD5", "MD5"},         {"SHA-1", "SHA-1"},     {"SHA1", "SHA-1"},
                 {"SHA-256", "SHA-256"}, {"SHA256", "SHA-256"},  {"SHA-384", "SHA-384"},
                 {"SHA384", "SHA-384"},  {"SHA-512", "SHA-512"}, {"SHA512", "SHA-512"}};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq_nocase(algorithm, str_of(names[i].spelling))) {
            if (e->digest && e->digest(e, str_of(names[i].name), data, out, n_out) == ERR_OK)
                return true;
            expr_trouble(e, "%s cannot be computed here", names[i].name);
            return false;
        }
    expr_trouble(e, "digest() knows MD5, SHA-1, SHA-256, SHA-384 and SHA-512, not \"%.*s\"",
                 STR_ARG(algorithm));
    return false;
}

static enum err fn_digest(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    unsigned char sum[64];
    size_t n = 0;
    char text[136];
    *out = value_of_text(STR(""));
    if (!text_digest(e, args[1].text, args[0].text, sum, &n))
        return ERR_OK;
    if (count > 2 && str_eq_nocase(args[2].text, STR("hex"))) {
        hex_write(sum, n, text);
        *out = value_of_text(scratch_copy(e, text, 2 * n));
    } else if (count == 2 || str_eq_nocase(args[2].text, STR("base64"))) {
        *out = value_of_text(scratch_copy(e, text, base64_write(sum, n, text)));
    } else {
        expr_trouble(e, "digest() writes \"base64\" or \"hex\", not \"%.*s\"", STR_ARG(args[2].text));
    }
    return ERR_OK;
}

/* uuid() is a version 4 UUID, uuid(n) n characters of chance. */
static enum err fn_uuid(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[1024] = {0};
    char text[1024];
    size_t n = 16;
    *out = value_of_text(STR(""));
    if (count) {
        double wanted = value_number(e, &args[0]);
        if (!(wanted >= 0 && wanted <= (double)sizeof(bytes))) {
            expr_trouble(e, "uuid() makes 0 to %zu characters", sizeof(bytes));
            return ERR_OK;
        }
        n = (size_t)wanted;
    }
    if (!e->random || e->random(e, bytes, n)) {
        expr_trouble(e, "there is no source of random numbers here");
        return ERR_OK;
    }
    if (count) {
        for (size_t i = 0; i < n; i++)
            text[i] = letters[bytes[i] & 63];
        *out = value_of_text(scratch_copy(e, text, n));
        return ERR_OK;
    }
    bytes[6] = (unsigned char)((bytes[6] & 15) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 63) | 0x80);
    static const unsigned char groups[] = {4, 2, 2, 2, 6};
    size_t from = 0, written = 0;
    for (size_t i = 0; i < sizeof(groups); i++) {
        if (i)
            text[written++] = '-';
        hex_write(bytes + from, groups[i], text + written);
        from += groups[i];
        written += 2u * groups[i];
    }
    *out = value_of_text(scratch_copy(e, text, written));
    return ERR_OK;
}

/* -- what the host knows
 * ---------------------------------------------------------------------------------------- */

static enum err host_text(struct eval *e, const char *what, struct str a, struct str b, struct value *out)
{
    struct str s = STR("");
    enum err rc = e->text ? e->text(e, what, a, b, &s) : ERR_OK;
    if (rc == ERR_NOT_FOUND) {
        expr_trouble(e, "%s(): there is no \"%.*s\"", what, STR_ARG(a));
        rc = ERR_OK;
        s = STR("");
    }
    *out = value_of_text(s);
    return rc;
}

static enum err fn_itext(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    return host_text(e, "jr:itext", args[0].text, STR(""), out);
}

static enum err fn_choice_name(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    return host_text(e, "jr:choice-name", args[0].text, args[1].text, out);
}

static enum err fn_property(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    return host_text(e, "property", args[0].text, STR(""), out);
}

static enum err fn_version(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)args, (void)count;
    return host_text(e, "version", STR(""), STR(""), out);
}

#define B ARG_BOOL
#define N ARG_NUMBER
#define S ARG_STRING
#define MANY ARG_MANY
#define ANY ARG_ANY
#define END EXPR_ARGS_MANY
#define TAKES_UNKNOWN EXPR_TAKES_UNKNOWN
#define USES_LANGUAGE EXPR_USES_LANGUAGE
#define USES_HOST EXPR_USES_HOST
#define USES_RANDOM EXPR_USES_RANDOM
#define USES_ZONE EXPR_USES_ZONE

/* if, coalesce and once are compiled to jumps. */
/* clang-format off */
static const struct expr_function rows[] = {
    /*name                   min  max  arguments                 returns  marks          call */
    {"if",                  3, 3,   {B, ANY, ANY},            ANY, 0,             NULL},
    {"coalesce",            2, 2,   {ANY, ANY},               ANY, 0,             NULL},
    {"once",                1, 1,   {ANY},                    ANY, 0,             NULL},
    {"selected",            2, 2,   {S, S},                   B,   0,             fn_selected},
    {"is-selected",         2, 2,   {S, S},                   B,   0,             fn_selected},
    {"selected-at",         2, 2,   {S, N},                   S,   0,             fn_selected_at},
    {"count-selected",      1, 1,   {S},                      N,   0,             fn_count_selected},
    {"concat",              0, END, {MANY, MANY, MANY, MANY}, S,   0,             fn_concat},
    {"join",                1, END, {S, MANY, MANY, MANY},    S,   0,             fn_join},
    {"substr",              2, 3,   {S, N, N},                S,   0,             fn_substr},
    {"ends-with",           2, 2,   {S, S},                   B,   0,             fn_ends_with},
    {"regex",               2, 2,   {S, S},                   B,   0,             fn_regex},
    {"boolean-from-string", 1, 1,   {S},                      B,   0,             fn_boolean_from},
    {"checklist",           2, END, {N, N, MANY, MANY},       B,   TAKES_UNKNOWN, fn_checklist},
    {"weighted-checklist",  2, END, {N, N, MANY, MANY},       B,   0,             fn_weighted},
    {"is-missing",          1, 1,   {ANY},                    B,   TAKES_UNKNOWN, fn_is_missing},
    {"depend",              1, END, {ANY, ANY, ANY, ANY},     ANY, 0,             fn_depend},
    {"uuid",                0, 1,   {N},                      S,   USES_RANDOM,   fn_uuid},
    {"digest",              2, 3,   {S, S, S},                S,   USES_ZONE,     fn_digest},
    {"base64-decode",       1, 1,   {S},                      S,   0,             fn_base64_decode},
    {"extract-signed",      2, 2,   {S, S},                   S,   0,             NULL},
    {"jr:itext",            1, 1,   {S},                      S,   USES_LANGUAGE, fn_itext},
    {"jr:choice-name",      2, 2,   {S, S},                   S,   USES_LANGUAGE, fn_choice_name},
    {"property",            1, 1,   {S},                      S,   USES_HOST,     fn_property},
    {"version",             0, 0,   {S},                      S,   USES_HOST,     fn_version},
};
/* clang-format on */

struct expr_function_table expr_functions_text(void)
{
    return (struct expr_function_table){rows, COUNT_OF(rows)};
}
