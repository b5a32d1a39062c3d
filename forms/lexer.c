/* From the text of an expression to tokens, one at a time. Keeps no state but the place in the text and
 * whether the last token was an operand, which is what XPath 1.0 (section 3.7) needs to tell `*` and `and` as
 * operators from names. Names may hold '-' and '.', so `decimal-date-time` is one name and `a -b` a
 * subtraction.
 */
#include "forms/expr_impl.h"

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_name(unsigned char c)
{
    return is_name_start(c) || is_digit(c) || c == '-' || c == '.';
}

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* U+00A0 is what spreadsheets and web pages leave between words; it starts no name. */
static size_t space_length(struct str text, size_t at)
{
    if (is_space((unsigned char)text.p[at]))
        return 1;
    if (at + 1 < text.n && (unsigned char)text.p[at] == 0xC2 && (unsigned char)text.p[at + 1] == 0xA0)
        return 2;
    return 0;
}

static unsigned char at_offset(const struct lexer *l, size_t i)
{
    return l->at + i < l->text.n ? (unsigned char)l->text.p[l->at + i] : 0;
}

static size_t skip_space(struct str text, size_t at)
{
    size_t n;
    while (at < text.n && (n = space_length(text, at)) > 0)
        at += n;
    return at;
}

static size_t name_length(struct str text, size_t at)
{
    if (at >= text.n || !is_name_start((unsigned char)text.p[at]))
        return 0;
    size_t n = 1;
    while (at + n < text.n && is_name((unsigned char)text.p[at + n]) && space_length(text, at + n) == 0)
        n++;
    return n;
}

uint32_t lexer_column(struct str text, uint32_t at)
{
    return (uint32_t)utf8_length(str_sub(text, 0, at)) + 1;
}

bool lexer_sees(const struct lexer *l, const char *what)
{
    size_t at = skip_space(l->text, l->at);
    return str_starts(str_sub(l->text, at, l->text.n), str_of(what));
}

static size_t number_length(const struct lexer *l)
{
    size_t n = 0;
    while (is_digit(at_offset(l, n)))
        n++;
    if (at_offset(l, n) == '.') {
        n++;
        while (is_digit(at_offset(l, n)))
            n++;
    }
    return n;
}

struct symbol {
    const char *text;
    enum token_kind kind;
};

/* Longer ones first. */
static const struct symbol symbols[] = {
    {"..", TOK_DOTDOT}, {"::", TOK_AXIS},  {"//", TOK_SLASH2}, {"!=", TOK_NE},      {"<=", TOK_LE},
    {">=", TOK_GE},     {"(", TOK_LPAREN}, {")", TOK_RPAREN},  {"[", TOK_LBRACKET}, {"]", TOK_RBRACKET},
    {",", TOK_COMMA},   {"@", TOK_AT},     {".", TOK_DOT},     {"/", TOK_SLASH},    {"|", TOK_PIPE},
    {"+", TOK_PLUS},    {"-", TOK_MINUS},  {"=", TOK_EQ},      {"<", TOK_LT},       {">", TOK_GT},
};

static const struct symbol word_operators[] = {{"and", TOK_AND},
                                               {"or", TOK_OR},
                                               {"div", TOK_DIV},
                                               {"mod", TOK_MOD}};

/* `1 mod2` and `1or1` are written in the field and accepted by the reference engines: where an operator must
 * stand, the operator word is taken off the front of whatever follows. */
static bool word_operator(struct str word, struct token *t)
{
    for (size_t i = 0; i < sizeof(word_operators) / sizeof(*word_operators); i++)
        if (word.p[0] == word_operators[i].text[0] && str_starts(word, str_of(word_operators[i].text))) {
            t->kind = word_operators[i].kind;
            t->text = str_sub(word, 0, strlen(word_operators[i].text));
            return true;
        }
    return false;
}

static enum err read_name(struct lexer *l, struct token *t, struct diag *d)
{
    size_t n = name_length(l->text, l->at);
    struct str word = str_sub(l->text, l->at, n);
    if (l->operand_before) {
        if (!word_operator(word, t))
            return diag_set(
                d, ERR_SYNTAX,
                "an operator is missing before \"%.*s\"; write for example \"and\", \"or\", \"=\" or \",\"",
                STR_ARG(word));
        l->at += t->text.n;
        return ERR_OK;
    }
    t->kind = TOK_NAME;
    t->local = word;
    if (at_offset(l, n) == ':' && at_offset(l, n + 1) != ':') {
        size_t second = name_length(l->text, l->at + n + 1);
        if (second == 0 && at_offset(l, n + 1) == '*')
            second = 1;
        if (second > 0) {
            t->prefix = word;
            t->local = str_sub(l->text, l->at + n + 1, second);
            n += 1 + second;
        }
    }
    t->text = str_sub(l->text, l->at, n);
    l->at += n;
    return ERR_OK;
}

static enum err read_literal(struct lexer *l, struct token *t, struct diag *d)
{
    char quote = l->text.p[l->at];
    size_t end = l->at + 1;
    while (end < l->text.n && l->text.p[end] != quote)
        end++;
    if (end >= l->text.n)
        return diag_set(d, ERR_SYNTAX, "the text that starts here has no closing %c", quote);
    t->kind = TOK_LITERAL;
    t->text = str_sub(l->text, l->at + 1, end - l->at - 1);
    l->at = end + 1;
    return ERR_OK;
}

static enum err read_symbol(struct lexer *l, struct token *t, struct diag *d)
{
    struct str rest = str_sub(l->text, l->at, l->text.n);
    if (rest.p[0] == '*') {
        t->kind = l->operand_before ? TOK_MUL : TOK_ANY_NAME;
        t->text = str_sub(rest, 0, 1);
        l->at++;
        return ERR_OK;
    }
    for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++)
        if (rest.p[0] == symbols[i].text[0] && str_starts(rest, str_of(symbols[i].text))) {
            t->kind = symbols[i].kind;
            t->text = str_sub(rest, 0, strlen(symbols[i].text));
            l->at += t->text.n;
            return ERR_OK;
        }
    struct str one = str_sub(rest, 0, utf8_offset(rest, 1));
    if (str_eq_z(one, "&") || str_eq_z(one, "!"))
        return diag_set(
            d, ERR_SYNTAX,
            "\"%.*s\" is not part of the expression language; write \"and\", \"or\", \"not(...)\" or \"!=\"",
            STR_ARG(one));
    return diag_set(d, ERR_SYNTAX, "the character \"%.*s\" cannot stand here", STR_ARG(one));
}

static bool ends_operand(enum token_kind kind)
{
    switch (kind) {
    case TOK_NUMBER:
    case TOK_LITERAL:
    case TOK_NAME:
    case TOK_VARIABLE:
    case TOK_ANY_NAME:
    case TOK_RPAREN:
    case TOK_RBRACKET:
    case TOK_DOT:
    case TOK_DOTDOT: return true;
    default: return false;
    }
}

enum err lexer_next(struct lexer *l, struct token *out, struct diag *d, uint32_t *at_out)
{
    l->at = skip_space(l->text, l->at);
    struct token t = {.kind = TOK_END, .at = (uint32_t)l->at};
    *at_out = t.at;
    enum err rc = ERR_OK;
    unsigned char c = at_offset(l, 0);
    if (l->at >= l->text.n) {
        *out = t;
        return ERR_OK;
    }
    if (is_digit(c) || (c == '.' && is_digit(at_offset(l, 1)))) {
        size_t n = number_length(l);
        t.kind = TOK_NUMBER;
        t.text = str_sub(l->text, l->at, n);
        l->at += n;
    } else if (c == '\'' || c == '"') {
        rc = read_literal(l, &t, d);
    } else if (c == '$' && name_length(l->text, l->at + 1) > 0) {
        size_t n = name_length(l->text, l->at + 1);
        t.kind = TOK_VARIABLE;
        t.local = str_sub(l->text, l->at + 1, n);
        t.text = str_sub(l->text, l->at, n + 1);
        l->at += n + 1;
    } else if (is_name_start(c)) {
        rc = read_name(l, &t, d);
    } else {
        rc = read_symbol(l, &t, d);
    }
    if (rc)
        return rc;
    l->operand_before = ends_operand(t.kind);
    *out = t;
    return ERR_OK;
}
