/* Patterns of regex(), through PCRE2 with limits on what a pattern and a text may cost. A pattern written in
 * the form is compiled when the form is; of patterns that only come up in the interview the latest few stay
 * compiled. A match needs memory of its own each time, which lies in the scratch arena.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "forms/regex.h"

#include <pcre2.h>

#include "forms/expr_impl.h"

#define REGEX_STEPS_MAX 1000000 /* a second or less on a slow handheld */
#define REGEX_HEAP_KB_MAX 4096
#define REGEX_PATTERN_MAX 10000
#define REGEX_MEMORY_MAX ((size_t)4 << 20) /* of one compiled pattern that came up in an interview */

static void *regex_alloc(size_t n, void *arena)
{
    return arena_alloc(arena, n);
}

static void regex_free(void *p, void *arena)
{
    (void)p, (void)arena;
}

const void *regex_compile(struct arena *a, struct str pattern, struct diag *d)
{
    int error = 0;
    PCRE2_SIZE at = 0;
    if (pattern.n > REGEX_PATTERN_MAX || !utf8_valid(pattern)) {
        diag_set(d, ERR_SYNTAX, "the pattern of regex() is too long, or its text is not UTF-8");
        return NULL;
    }
    pcre2_general_context *memory = pcre2_general_context_create(regex_alloc, regex_free, a);
    pcre2_compile_context *compile = memory ? pcre2_compile_context_create(memory) : NULL;
    if (!compile)
        return NULL;
    pcre2_set_parens_nest_limit(compile, EXPR_DEPTH_MAX);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n,
                                     PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED, &error, &at, compile);
    if (!code) {
        char why[120] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof(why));
        diag_set(d, ERR_SYNTAX, "the pattern of regex() cannot be read at character %zu: %s",
                 utf8_length(str_sub(pattern, 0, at)) + 1, why);
    }
    return code;
}

static bool matches(struct eval *e, const pcre2_code *code, struct str text)
{
    pcre2_general_context *memory = pcre2_general_context_create(regex_alloc, regex_free, e->scratch);
    pcre2_match_context *match = memory ? pcre2_match_context_create(memory) : NULL;
    pcre2_match_data *data = match ? pcre2_match_data_create_from_pattern(code, memory) : NULL;
    if (!data)
        return false;
    pcre2_set_match_limit(match, REGEX_STEPS_MAX);
    pcre2_set_heap_limit(match, REGEX_HEAP_KB_MAX);
    int found = pcre2_match(code, (PCRE2_SPTR)text.p, text.n, 0, 0, data, match);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH)
        expr_trouble(e, "the pattern of regex() takes too long on this text");
    return found >= 0;
}

/* The one not used for longest gives way. */
static const void *compile_cached(struct regex_cache *c, struct str pattern)
{
    struct regex_cached *oldest = &c->at[0];
    for (uint32_t i = 0; i < REGEX_CACHED; i++) {
        struct regex_cached *one = &c->at[i];
        if (one->code && str_eq(one->pattern, pattern)) {
            one->used = ++c->clock;
            return one->code;
        }
        if (one->used < oldest->used)
            oldest = one;
    }
    arena_free(&oldest->memory);
    *oldest = (struct regex_cached){.used = ++c->clock};
    arena_init(&oldest->memory, REGEX_MEMORY_MAX);
    oldest->pattern = arena_str(&oldest->memory, pattern);
    oldest->code = oldest->pattern.p ? regex_compile(&oldest->memory, pattern, NULL) : NULL;
    return oldest->code;
}

void regex_cache_free(struct regex_cache *c)
{
    for (uint32_t i = 0; i < REGEX_CACHED; i++)
        arena_free(&c->at[i].memory);
    *c = (struct regex_cache){0};
}

static const void *compiled(struct eval *e, struct str pattern)
{
    const struct expr *x = e->running;
    const void *code = NULL;
    for (uint32_t i = 0; x && i < x->regexes.count; i++)
        if (x->regexes.at[i].code && str_eq(x->regexes.at[i].pattern, pattern))
            return x->regexes.at[i].code;
    if (e->regexes)
        code = compile_cached(e->regexes, pattern);
    return code ? code : regex_compile(e->scratch, pattern, e->diag);
}

bool regex_matches(struct eval *e, struct str text, struct str pattern)
{
    struct arena_mark mark = arena_mark(e->scratch);
    bool found = false;
    if (!utf8_valid(text)) {
        expr_trouble(e, "the text that regex() looks at is not UTF-8");
    } else {
        const void *code = compiled(e, pattern);
        found = code && matches(e, code, text);
    }
    arena_release(e->scratch, mark);
    return found;
}
