/* Where the reference engines disagree, docs/forms-decisions.tsv says what ours does: one row is one rule,
 * with a pattern for the cases it speaks of and a condition on our result. The condition is an expression of
 * our own language over $got and $expected (as text), so that a rule also holds for cases nobody has seen; a
 * case counts as decided only if the condition is true.
 */
#include "tests/cases/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "forms/expr.h"
#include "platform/base/civil.h"

/* The table's bytes, written by the build. */
extern const unsigned char forms_decisions[];
extern const size_t forms_decisions_size;

enum err decisions_read(struct report *r, struct arena *a)
{
    struct str rest = {(const char *)forms_decisions, forms_decisions_size}, line;
    VEC(struct decision) list = {0};
    for (uint32_t number = 1; str_split(&rest, '\n', &line); number++) {
        struct str cells[6] = {0};
        size_t count = 0;
        while (count < 6 && str_split(&line, '\t', &cells[count]))
            count++;
        if (number == 1 || (count == 1 && cells[0].n == 0))
            continue;
        if (count != 6 || cells[4].n == 0) {
            fprintf(stderr, "doorstep-cases: line %u of forms-decisions.tsv states no rule for our result\n",
                    number);
            return ERR_SYNTAX;
        }
        struct decision *d = vec_push(a, &list);
        if (!d)
            return ERR_NOMEM;
        *d = (struct decision){.rule = cells[0], .kind = cells[2], .matcher = cells[3], .holds = cells[4]};
    }
    r->decisions = list.at;
    r->decision_count = list.count;
    return ERR_OK;
}

bool pattern_found(struct str pattern, struct str text)
{
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, PCRE2_UTF, &error, &at, NULL);
    if (!code) {
        fprintf(stderr, "doorstep-cases: the pattern %.*s cannot be read\n", STR_ARG(pattern));
        return false;
    }
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    int found = pcre2_match(code, (PCRE2_SPTR)(text.p ? text.p : ""), text.n, 0, 0, data, NULL);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return found >= 0;
}

struct sides {
    struct str got, expected;
};

static enum err side(void *self, struct str name, uint32_t *ref_out, struct diag *d)
{
    (void)self;
    *ref_out = str_eq_z(name, "expected");
    if (!str_eq_z(name, "expected") && !str_eq_z(name, "got"))
        return diag_set(d, ERR_NOT_FOUND, "a decision speaks of $got and $expected, not of $%.*s",
                        STR_ARG(name));
    return ERR_OK;
}

static enum err side_value(struct eval *e, struct node context, uint32_t ref, struct value *out)
{
    const struct sides *s = e->host;
    (void)context;
    *out = (struct value){.type = VALUE_STRING, .text = ref ? s->expected : s->got};
    return ERR_OK;
}

static bool holds(struct arena *a, struct str condition, struct sides *s)
{
    struct expr_scope scope = {.library = EXPR_ODK, .context = EXPR_CONTEXT_NONE, .variable = side};
    struct diag d = {0};
    const struct expr *x = NULL;
    struct value v;
    if (expr_compile(a, &scope, condition, &x, &d)) {
        fprintf(stderr, "doorstep-cases: the condition %.*s: %s\n", STR_ARG(condition), d.text);
        return false;
    }
    struct eval e = {
        .scratch = a, .host = s, .context = NODE_NONE, .scalar = side_value, .fuel = 100000, .diag = &d};
    if (zone_fixed(a, CASES_OFFSET_MIN, &e.zone) || expr_eval(x, &e, &v))
        return false;
    return value_truth(&e, &v) == TRUTH_TRUE;
}

bool decided(struct report *r, struct arena *a, const char *kind, struct str subject, struct str got,
             struct str expected)
{
    for (uint32_t i = 0; i < r->decision_count; i++) {
        struct decision *d = &r->decisions[i];
        struct sides s = {got, expected};
        if (!str_eq_z(d->kind, kind) || !pattern_found(d->matcher, subject) || !holds(a, d->holds, &s))
            continue;
        d->used++;
        return true;
    }
    return false;
}
