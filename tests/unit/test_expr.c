/* The expression engine, case by case: what an author writes and what comes out. Forms are tried over a small
 * household, rules over named values of which some are missing. */
#include "tests/support/unit.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forms/expr_doc.h"
#include "forms/limits.h"

static const char household[] = "<hh id='7' xmlns:p='http://example.org/p'>"
                                "<head>Li Fang</head>"
                                "<member><name>Li Fang</name><age>41</age><sex>female</sex></member>"
                                "<member><name>Wang Wei</name><age>43</age><sex>male</sex></member>"
                                "<member><name>Wang Xiaomei</name><age/><sex>female</sex></member>"
                                "<village>v2</village>"
                                "<needs>school clinic water</needs>"
                                "<income>1200.50</income>"
                                "<p:note>seen</p:note>"
                                "<visit>2026-11-23</visit>"
                                "<plot>0 0; 0 1; 1 1; 1 0; 0 0</plot>"
                                "<instance id='villages'><root>"
                                "<item><name>v1</name><label>East</label><pop>90</pop></item>"
                                "<item><name>v2</name><label>West</label><pop>250</pop></item>"
                                "<item><name>v3</name><label>West</label><pop>30</pop></item>"
                                "</root></instance>"
                                "</hh>";

struct world {
    struct arena a;
    struct expr_doc doc;
    struct eval e;
    struct diag d;
};

#define NOW_MS INT64_C(1795394111000) /* 2026-11-23T00:35:11Z: still the 22nd at UTC-7, the 23rd in China */

static enum err counted_bytes(struct eval *e, void *out, size_t n)
{
    (void)e;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)out)[i] = (unsigned char)(i * 37);
    return ERR_OK;
}

static void world_open(struct world *w, const char *xml, int16_t offset_min)
{
    static const struct expr_prefix prefixes[] = {{{"p", 1}, {"http://example.org/p", 20}}};
    const struct zone *zone = NULL;
    memset(w, 0, sizeof(*w));
    arena_init(&w->a, (size_t)64 << 20);
    w->doc = (struct expr_doc){.a = &w->a, .prefixes = prefixes, .prefix_count = 1};
    w->e = (struct eval){.scratch = &w->a,
                         .context = NODE_NONE,
                         .fuel = EXPR_FUEL_DEFAULT,
                         .now_ms = NOW_MS,
                         .random = counted_bytes,
                         .diag = &w->d};
    assert_int_equal(zone_fixed(&w->a, offset_min, &zone), ERR_OK);
    w->e.zone = zone;
    if (xml)
        assert_int_equal(xml_tree_read(&w->a, str_of(xml), 0, &w->doc.tree, &w->d), ERR_OK);
    expr_doc_eval(&w->doc, &w->e);
    if (xml) /* the root element is where the household's own expressions stand */
        assert_true(w->doc.tree->ops->first_child(w->doc.tree, (struct node){0, 0, 0}, &w->e.context));
}

static const char *kind_of(const struct value *v)
{
    static const char *const names[] = {"unknown", "boolean", "number", "exact", "range",
                                        "string",  "date",    "time",   "nodes"};
    return names[v->type];
}

/* "kind text" of the result, or "error sentence". */
static const char *shown(struct world *w, enum expr_library library, const char *text, char out[700])
{
    struct value v;
    diag_clear(&w->d);
    if (expr_doc_run(&w->doc, library, &w->e, str_of(text), &v)) {
        snprintf(out, 700, "error %s", w->d.text);
        return out;
    }
    struct str s = value_text(&w->e, &v);
    if (v.type == VALUE_NODES)
        snprintf(out, 700, "nodes %u %.*s", v.nodes->count, STR_ARG(s));
    else if (v.type == VALUE_UNKNOWN)
        snprintf(out, 700, "unknown");
    else
        snprintf(out, 700, "%s %.*s", kind_of(&v), STR_ARG(s));
    return out;
}

struct row {
    const char *expression, *result;
};

static void check_rows(const struct row *rows, size_t count, enum expr_library library, int16_t offset_min)
{
    struct world w;
    char got[700];
    world_open(&w, household, offset_min);
    for (size_t i = 0; i < count; i++)
        if (strcmp(shown(&w, library, rows[i].expression, got), rows[i].result) != 0)
            fail_msg("%s gives \"%s\", not \"%s\"", rows[i].expression, got, rows[i].result);
    arena_free(&w.a);
}
#define CHECK_ROWS(rows, library) check_rows((rows), sizeof(rows) / sizeof(*(rows)), (library), 480)

static void operators_follow_xpath(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"1 + 2 * 3", "number 7"},
        {"10 - 4 - 3", "number 3"},
        {"7 div 2", "number 3.5"},
        {"-7 mod 3", "number -1"},
        {"1 div 0", "number Infinity"},
        {"0 div 0", "number NaN"},
        {"--5", "number 5"},
        {"- - - 5", "number -5"},
        {"1 mod2", "number 1"}, /* as forms in the field write it */
        {"1or0", "boolean true"},
        {"0.1 + 0.2", "number 0.30000000000000004"},
        {"3000000000", "number 3000000000"},
        {"0.00001 * 1", "number 0.00001"},
        {"'a' = 'a' and not('b' = 'a')", "boolean true"},
        {"3 < 4 < 5", "boolean true"},
        {"'10' > '9'", "boolean true"},
        {"'abc' < 'abd'", "boolean false"},
        {"true() = 'false'", "boolean true"},
        {"5. + .5", "number 5.5"},
        {"'it''s'", "error \"s\" stands where an operator or the end should stand"},
    };
    CHECK_ROWS(rows, EXPR_ODK);
    CHECK_ROWS(rows, EXPR_XPATH_1);
}

static void paths_reach_any_node(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"head", "nodes 1 Li Fang"},
        {"/hh/member/name", "nodes 3 Li Fang"},
        {"member[2]/name", "nodes 1 Wang Wei"},
        {"member[last()]/name", "nodes 1 Wang Xiaomei"},
        {"member[age > 41]/name", "nodes 1 Wang Wei"},
        {"member[name = /hh/head]/age", "nodes 1 41"},
        {"member[sex = 'female'][2]/name", "nodes 1 Wang Xiaomei"},
        {"(//name)[4]", "nodes 1 v1"},
        {"//member/name/../age", "nodes 3 41"},
        {"@id", "nodes 1 7"},
        {"p:note", "nodes 1 seen"},
        {"member[1]/following-sibling::*[1]/name", "nodes 1 Wang Wei"},
        {"member[3]/preceding-sibling::member[1]/name", "nodes 1 Wang Wei"},
        {"//pop/ancestor::instance/@id", "nodes 1 villages"},
        {"village | head | village", "nodes 2 Li Fang"},
        {"head/text()", "nodes 1 Li Fang"},
        {"nowhere", "nodes 0 "},
        {"count(//item/descendant-or-self::node())", "number 21"},
        {"instance('villages')/root/item[name = /hh/village]/label", "nodes 1 West"},
        {"instance('villages')/root/item[label = 'West' and pop < 100]/name", "nodes 1 v3"},
        {"instance('villages')/root/item[name = current()/village]/pop", "nodes 1 250"},
        {"q:x", "error the prefix \"q:\" is not declared"},
        {"child::member[1]/child::name", "nodes 1 Li Fang"},
        {"'a'/b", "error a path or \"[...]\" can only follow something that gives nodes"},
    };
    CHECK_ROWS(rows, EXPR_ODK);
}

static void functions_do_what_forms_expect(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"if(count(member) > 2, 'many', 'few')", "string many"},
        {"0.1 + 0.7 + 0.1 = 0.9", "boolean true"}, /* shares that make a whole */
        {"0.1 + 0.7 + 0.1 >= 0.9000001", "boolean false"},
        {"coalesce(member[3]/age, 'not asked')", "string not asked"},
        {"coalesce('', 0 div 0)", "number NaN"},
        {"selected(needs, 'clinic')", "boolean true"},
        {"selected(needs, 'clin')", "boolean false"},
        {"selected-at(needs, 2)", "string water"},
        {"selected-at(needs, 9)", "string "},
        {"count-selected(needs)", "number 3"},
        {"join(', ', member/name)", "string Li Fang, Wang Wei, Wang Xiaomei"},
        {"concat(head, ' ', 3)", "string Li Fang 3"},
        {"substr('hello', 1, 3)", "string el"},
        {"substr('hello', -3)", "string llo"},
        {"substring('12345', 1.5, 2.6)", "string 234"},
        {"string-length('\xe6\x9d\x8e\xe8\x8a\xb3')", "number 2"},
        {"translate('2026/11/23', '/', '-')", "string 2026-11-23"},
        {"normalize-space('  a  b ')", "string a b"},
        {"regex('139', '[0-9]{3}')", "boolean true"},
        {"regex('1390', '[0-9]{3}')", "boolean false"}, /* the whole text must match */
        {"regex('x', '(')", "boolean false"},
        {"sum(member/age)", "number 84"}, /* the blank one is skipped */
        {"max(member/age)", "number 43"},
        {"max(-4, -1, -3)", "number -1"},
        {"min('')", "number NaN"},
        {"count-non-empty(member/age)", "number 2"},
        {"round(2.675, 2)", "number 2.68"},
        {"round(-33.33, -1)", "number -30"},
        {"round(-1.5)", "number -1"},
        {"round(12350.12345, -2)", "number 12400"},
        {"int(-3.7)", "number -3"},
        {"number('1,5')", "number 1.5"},
        {"number('1e3')", "number NaN"},
        {"position(member[2])", "number 2"},
        {"member[position() = 2]/name", "nodes 1 Wang Wei"},
        {"checklist(1, 2, true(), true(), true())", "boolean false"},
        {"weighted-checklist(3, -1, true(), 2, true(), 1.5)", "boolean true"},
        {"indexed-repeat(member/name, member, 2)", "nodes 1 Wang Wei"},
        {"indexed-repeat(/hh/member/name, /hh/member, 9)", "nodes 0 "},
        {"geofence('0.5 0.5', plot)", "boolean true"},
        {"geofence('2 0.5', plot)", "boolean false"},
        {"distance('0 0; 0 1')", "number 111318.85"},
        {"intersects('0 0; 1 1; 0 1; 1 0')", "boolean true"},
        {"intersects(plot)", "boolean false"},
        {"base64-decode('RGFzc2Vs')", "string Dassel"},
        {"uuid()", "string 00254a6f-94b9-4e03-a84d-7297bce1062b"},
        {"string-length(uuid(6))", "number 6"},
        {"boolean-from-string('1')", "boolean true"},
        {"is-missing(member[3]/age)", "boolean true"},
        {"once('x')", "string Li FangLi Fang41femaleWang Wei43maleWang Xiaomeifemalev2school clinic "
                      "water1200.50seen2026-11-230 0; 0 1; 1 1; 1 0; 0 0v1East90v2West250v3West30"},
    };
    CHECK_ROWS(rows, EXPR_ODK);
}

static void dates_are_civil_days(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"today()", "date 2026-11-23"},
        {"now()", "time 2026-11-23T08:35:11.000+08:00"},
        {"date('2026-2-3')", "date 2026-02-03"},
        {"date(visit) - date('2026-11-20')", "number 3"},
        {"date('2001-12-26') + 5", "number 11687"},
        {"date(date('2026-11-23') + 40)", "date 2027-01-02"},
        {"visit > '2026-11-22'", "boolean true"},
        {"visit < today()", "boolean false"},
        {"today() <= now()", "boolean true"}, /* also where the day began before UTC's */
        {"date('2026-11-23T23:30:00.000+08:00')", "date 2026-11-23"},
        {"date-time('2026-11-23T00:00:00Z')", "time 2026-11-23T08:00:00.000+08:00"},
        {"decimal-date-time('1970-01-01T08:00:00.000+08:00')", "number 0"},
        {"decimal-time('06:00:00.000+08:00')", "number 0.25"},
        {"format-date('2026-11-03', '%e %b %Y, %a, %n/%d/%y, week %W')",
         "string 3 Nov 2026, Tue, 11/03/26, week 45"},
        {"format-date-time('2026-11-03T04:05:06.007+08:00', '%H:%M:%S.%3 %h')", "string 04:05:06.007 4"},
        {"date('2026-02-30')", "string "},
        {"format-date('soon', '%Y')", "string "},
        {"date('2026-11-23') = '2026-11-23'", "boolean true"},
        {"'2026-11-23' = '2026-11-23T00:00:00.000+08:00'", "boolean false"},
        {"number('2026-11-23') - number('2026-11-01')", "number 22"},
    };
    CHECK_ROWS(rows, EXPR_ODK);
    static const struct row west[] = {{"today()", "date 2026-11-22"},
                                      {"date('2026-11-23') - today()", "number 1"},
                                      {"today() <= now()", "boolean true"},
                                      {"date(decimal-date-time(today()))", "date 2026-11-22"}};
    check_rows(west, 4, EXPR_ODK, -420);
}

static void plain_xpath_has_only_its_own_functions(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0.1 + 0.7 + 0.1 = 0.9", "boolean false"},
        {"sum(member/age)", "number NaN"},
        {"round(-1.5)", "number -1"},
        {"number('1,5')", "number NaN"},
        {"number('2026-11-23')", "number NaN"},
        {"local-name(*[1])", "string head"},
        {"namespace-uri(*[last() - 3])", "string http://example.org/p"},
        {"selected('a', 'a')", "error there is no function selected()"},
        {"round(1.5, 1)", "error round() takes 1 argument and got 2"},
        {"count(id('7'))", "number 1"},
        {"name(//p:*)", "string p:note"},
    };
    CHECK_ROWS(rows, EXPR_XPATH_1);
}

static void what_is_wrong_is_said_at_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *expression, *sentence;
        uint32_t column;
    } rows[] = {
        {"1 +", "the expression ends where a value, a path or a function should stand", 4},
        {"selectd(needs, 'a')", "there is no function selectd(); did you mean selected()?", 1},
        {"1 + if(true(), 2)", "if() takes 3 arguments and got 2", 5},
        {"'\xe6\x9d\x8e' = 'x", "the text that starts here has no closing '", 7},
        {"a && b",
         "\"&\" is not part of the expression language; write \"and\", \"or\", \"not(...)\" or \"!=\"", 3},
        {"sum(5)", "sum() needs a path to nodes as argument 1, not a single value", 5},
        {"down::a", "there is no axis \"down\"; the common ones are child, parent, ancestor and descendant",
         1},
        {"concat('a',)", "\")\" stands where an argument should stand", 12},
        {"", "the expression is empty", 1},
        {"extract-signed('a', 'b')",
         "extract-signed() is not supported: its signatures (Ed25519) cannot be checked here", 1},
    };
    struct arena a;
    struct expr_scope scope = {.library = EXPR_ODK, .context = EXPR_CONTEXT_NONE};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct expr *x = NULL;
        struct diag d = {0};
        arena_init(&a, 1 << 20);
        assert_int_not_equal(expr_compile(&a, &scope, str_of(rows[i].expression), &x, &d), ERR_OK);
        assert_string_equal(d.text, rows[i].sentence);
        assert_int_equal(d.column, rows[i].column);
        assert_null(x);
        arena_free(&a);
    }
}

/* A fault behind a condition that is never met does no harm where formulas are only tried. */
static void lenient_faults_wait_until_they_are_reached(void **state)
{
    (void)state;
    static const struct row rows[] = {{"false() and foo()", "boolean false"},
                                      {"true() or substring()", "boolean true"},
                                      {"true() and foo()", "error there is no function foo()"},
                                      {"if(true(), 1, foo())", "number 1"}};
    CHECK_ROWS(rows, EXPR_ODK);
}

/* -- a schema: /f/a, /f/rep/{x,y}, bound inside rep
 * ------------------------------------------------------------- */

enum { F, A, REP, X, Y };

static enum err schema_path(void *self, uint32_t context, bool absolute, const struct path_step *steps,
                            uint32_t count, uint32_t *ref_out, struct diag *d)
{
    static const int parents[] = {-1, F, F, REP, REP};
    static const char *const names[] = {"f", "a", "rep", "x", "y"};
    int at = absolute ? -1 : (int)context;
    (void)self;
    for (uint32_t i = 0; i < count; i++) {
        if (steps[i].kind == STEP_SELF)
            continue;
        if (steps[i].kind == STEP_PARENT) {
            at = parents[at];
            continue;
        }
        int child = 0;
        while (child < 5 && (parents[child] != at || !str_eq_z(steps[i].local, names[child])))
            child++;
        if (child == 5)
            return diag_set(d, ERR_NOT_FOUND, "there is no %.*s", STR_ARG(steps[i].local));
        at = child;
    }
    *ref_out = (uint32_t)at;
    return ERR_OK;
}

static bool schema_many(void *self, uint32_t context, uint32_t ref)
{
    (void)self;
    return ref >= REP && context < REP;
}

static const char *reads_of(const char *text, uint32_t context, char out[200], struct diag *d)
{
    static const char kinds[] = "snd#";
    static const char *const names[] = {"f", "a", "rep", "x", "y"};
    struct arena a;
    const struct expr *x = NULL;
    const struct expr_read *reads;
    struct expr_scope scope = {.library = EXPR_ODK,
                               .context = context,
                               .path = schema_path,
                               .many = schema_many};
    arena_init(&a, 1 << 20);
    out[0] = 0;
    if (expr_compile(&a, &scope, str_of(text), &x, d) == ERR_OK) {
        uint32_t count = expr_reads(x, &reads);
        for (uint32_t i = 0; i < count; i++)
            snprintf(out + strlen(out), 200 - strlen(out), "%s%c ", names[reads[i].ref],
                     kinds[reads[i].kind]);
        if (expr_uses(x) & EXPR_USES_SELF)
            strcat(out, "self ");
        if (expr_uses(x) & EXPR_USES_ALL)
            strcat(out, "all ");
    }
    arena_free(&a);
    return out;
}

static void an_expression_knows_what_it_reads(void **state)
{
    (void)state;
    static const struct {
        const char *expression;
        uint32_t context;
        const char *reads; /* s one value, n every instance, d behind a predicate, # how many */
    } rows[] = {
        {"../y + 1", X, "ys "},
        {"/f/rep/y * 2", X, "ys "},  /* the same instance */
        {"sum(/f/rep/y)", X, "yn "}, /* all of them */
        {"/f/rep/y = 3", X, "ys "},  /* one value inside the repeat */
        {"/f/rep/y = 3", A, "yn "},  /* any of them outside */
        {"count(/f/rep)", A, "rep# repn "},
        {"count(/f/rep[y > /f/a])", A, "rep# yd ad repd "},
        {"position(..)", X, "rep# "},
        {". > 5", A, "as self "},
        {"//y", A, "all "},
        {"if(../y, /f/a, 1)", X, "ys as "},
        {"indexed-repeat(/f/rep/y, /f/rep, /f/a)", A, "yd repd as "},
        {"/f/nowhere", A, ""},
        {"1 + 2", A, ""},
    };
    char got[200];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct diag d = {0};
        reads_of(rows[i].expression, rows[i].context, got, &d);
        if (strcmp(got, rows[i].reads) != 0)
            fail_msg("%s reads \"%s\", not \"%s\"", rows[i].expression, got, rows[i].reads);
    }
    struct diag d = {0};
    reads_of("1 + /f/nowhere", A, got, &d);
    assert_int_equal(d.code, ERR_NOT_FOUND);
    assert_string_equal(d.text, "there is no nowhere");
    assert_int_equal(d.column, 5);
}

static void constants_are_known_before_anything_runs(void **state)
{
    (void)state;
    struct arena a;
    struct expr_scope scope = {.library = EXPR_ODK, .context = EXPR_CONTEXT_NONE};
    struct value v;
    const struct expr *x = NULL;
    arena_init(&a, 1 << 20);
    assert_int_equal(expr_compile(&a, &scope, STR("if(2 > 1, concat('a', 1 + 1), today())"), &x, NULL),
                     ERR_OK);
    assert_false(expr_constant(x, &v)); /* one side asks the clock */
    assert_int_equal(expr_compile(&a, &scope, STR("not(false()) and 'x' = concat('x')"), &x, NULL), ERR_OK);
    assert_true(expr_constant(x, &v));
    assert_true(v.type == VALUE_BOOL && v.boolean);
    assert_int_equal(expr_compile(&a, &scope, STR("today()"), &x, NULL), ERR_OK);
    assert_int_equal(expr_uses(x), EXPR_USES_CLOCK);
    arena_free(&a);
}

/* -- rules
 * ------------------------------------------------------------------------------------------------------ */

static enum err rule_variable(void *self, struct str name, uint32_t *ref_out, struct diag *d)
{
    static const char *const names[] = {"unknown", "yes", "no", "npi", "line", "members"};
    (void)self;
    for (uint32_t i = 0; i < 6; i++)
        if (str_eq_z(name, names[i])) {
            *ref_out = i;
            return ERR_OK;
        }
    return diag_set(d, ERR_NOT_FOUND, "there is no $%.*s", STR_ARG(name));
}

static enum err rule_value(struct eval *e, struct node context, uint32_t ref, struct value *out)
{
    (void)e, (void)context;
    *out = (struct value){.type = VALUE_UNKNOWN};
    if (ref == 1 || ref == 2)
        *out = (struct value){.type = VALUE_BOOL, .boolean = ref == 1};
    if (ref == 3 || ref == 4) {
        out->type = VALUE_DEC;
        assert_true(dec_read(ref == 3 ? STR("6999.99") : STR("7000"), &out->dec));
    }
    return ERR_OK;
}

static const char *judged(struct world *w, const char *text, char out[700])
{
    struct expr_scope scope;
    const struct expr *x = NULL;
    struct value v;
    expr_doc_scope(&w->doc, EXPR_ODK, &scope);
    scope.rules = true;
    scope.lenient = false;
    scope.variable = rule_variable;
    w->e.rules = true;
    w->e.scalar = rule_value;
    diag_clear(&w->d);
    if (expr_compile(&w->a, &scope, str_of(text), &x, &w->d) || expr_eval(x, &w->e, &v)) {
        snprintf(out, 700, "error %s", w->d.text);
        return out;
    }
    snprintf(out, 700, "%s%s%.*s", kind_of(&v), v.type == VALUE_UNKNOWN ? "" : " ",
             STR_ARG(value_text(&w->e, &v)));
    return out;
}

static void a_rule_never_takes_the_unknown_for_safe(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"$unknown and $no", "boolean false"},
        {"$unknown and $yes", "unknown"},
        {"$yes and $unknown", "unknown"},
        {"$unknown or $yes", "boolean true"},
        {"$unknown or $no", "unknown"},
        {"not($unknown)", "unknown"},
        {"$unknown = $unknown", "unknown"},
        {"$unknown > 3", "unknown"},
        {"$unknown + 1", "unknown"},
        {"concat('a', $unknown)", "unknown"},
        {"if($unknown, 'same', 'same')", "string same"},
        {"if($unknown, 1, 2)", "unknown"},
        {"if($yes, 1, $unknown)", "exact 1"},
        {"coalesce($unknown, 0)", "exact 0"},
        {"is-missing($unknown)", "boolean true"},
        {"is-missing($npi)", "boolean false"},
        {"$npi < $line", "boolean true"},
        {"$npi + 0.01 = $line", "boolean true"}, /* exact: no double comes near it */
        {"0.1 + 0.2 = 0.3", "boolean true"},
        {"$line * 1.5", "exact 10500"},
        {"$line div 8", "exact 875"},
        {"round(10 div 3, 2)", "number 3.33"},
        {"round($npi)", "exact 7000"},
        {"$line div 0", "unknown"},
        {"selected($unknown, 'a')", "unknown"},
        {"$typo", "error there is no $typo"},
        /* the third member's age was not asked */
        {"count(member)", "exact 3"},
        {"count(member[age > 40])", "range 2-3"},
        {"count(member[age > 40]) > 1", "boolean true"},
        {"count(member[age > 40]) > 2", "unknown"},
        {"count(member[age > 40]) > 3", "boolean false"},
        {"count(member[age > 42]) = 0", "boolean false"},
        {"count(member[age > 50]) = 0", "unknown"},
        {"count(member[age > 40]) + 1", "range 3-4"},
        {"sum(member/age)", "exact 84"},
        {"sum(member[3]/age)", "unknown"},
        {"sum(member[age > 0]/age)", "unknown"},
        {"sum(nothing)", "exact 0"},
        {"max(member/age)", "exact 43"},
        {"member/age > 42", "boolean true"},
        {"member/age > 50", "unknown"},
        {"member[sex = 'male']/age < 40", "boolean false"},
        {"boolean(member[age > 50])", "unknown"},
        {"checklist(2, 3, $yes, $yes, $unknown)", "boolean true"},
        {"checklist(3, 3, $yes, $yes, $unknown)", "unknown"},
        {"income * 2", "exact 2401"},
    };
    struct world w;
    char got[700];
    world_open(&w, household, 480);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (strcmp(judged(&w, rows[i].expression, got), rows[i].result) != 0)
            fail_msg("%s gives \"%s\", not \"%s\"", rows[i].expression, got, rows[i].result);
    arena_free(&w.a);
}

/* -- limits
 * ----------------------------------------------------------------------------------------------------- */

static struct str repeated(struct arena *a, const char *head, const char *piece, size_t times,
                           const char *tail)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_put_z(&b, head);
    for (size_t i = 0; i < times; i++)
        buf_put_z(&b, piece);
    buf_put_z(&b, tail);
    struct str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static enum err compiled(struct arena *a, struct str text, const struct expr **x, struct diag *d)
{
    struct expr_scope scope = {.library = EXPR_ODK, .context = EXPR_CONTEXT_NONE};
    return expr_compile(a, &scope, text, x, d);
}

static void depth_and_length_have_caps(void **state)
{
    (void)state;
    struct arena a;
    struct diag d = {0};
    const struct expr *x = NULL;
    arena_init(&a, (size_t)64 << 20);
    assert_int_equal(compiled(&a, repeated(&a, "1", " + 1", 20000, ""), &x, &d), ERR_OK); /* long is fine */
    assert_int_equal(compiled(&a, repeated(&a, "", "-", 50000, "1"), &x, &d), ERR_OK);
    assert_int_equal(compiled(&a, repeated(&a, "", "(", 5000, "1"), &x, &d), ERR_LIMIT);
    assert_non_null(strstr(d.text, "nested deeper"));
    diag_clear(&d);
    assert_int_equal(compiled(&a, repeated(&a, "a", "[a", 5000, ""), &x, &d), ERR_LIMIT);
    diag_clear(&d);
    assert_int_equal(compiled(&a, repeated(&a, "1", " + 1", EXPR_TEXT_MAX / 4, ""), &x, &d), ERR_LIMIT);
    diag_clear(&d);
    assert_int_equal(compiled(&a, repeated(&a, "concat(1", ", 1", EXPR_STACK_MAX, ")"), &x, &d), ERR_LIMIT);
    arena_free(&a);
}

static void an_endless_expression_runs_out_of_fuel(void **state)
{
    (void)state;
    struct world w;
    char got[700];
    world_open(&w, household, 480);
    w.e.fuel = 3000;
    assert_string_equal(shown(&w, EXPR_ODK, "count(//*[count(//*[count(//*) > 0]) > 0])", got),
                        "error the expression takes too long; it was stopped");
    w.e.fuel = EXPR_FUEL_DEFAULT;
    assert_string_equal(shown(&w, EXPR_ODK, "regex('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', '(a+)+')", got),
                        "boolean false");
    assert_non_null(strstr(w.d.text, "takes too long"));
    arena_free(&w.a);
}

static void trouble_with_data_is_noted_and_survived(void **state)
{
    (void)state;
    struct world w;
    char got[700];
    world_open(&w, household, 480);
    assert_string_equal(shown(&w, EXPR_ODK, "date('soon')", got), "string ");
    assert_int_equal(w.d.code, ERR_SYNTAX);
    assert_non_null(strstr(w.d.text, "\"soon\" is no date"));
    assert_string_equal(shown(&w, EXPR_ODK, "date('')", got), "string ");
    assert_int_equal(w.d.code, ERR_OK); /* an unanswered question is no mistake */
    arena_free(&w.a);
}

/* A comma as the decimal point of the machine must not reach a form. */
static void the_locale_changes_nothing(void **state)
{
    (void)state;
    static const struct row rows[] = {{"number('1.5') + 0.25", "number 1.75"},
                                      {"string(1 div 8)", "string 0.125"}};
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        setlocale(LC_ALL, "C.UTF-8");
    CHECK_ROWS(rows, EXPR_ODK);
    setlocale(LC_ALL, "C");
}

/* SHA-256 of "foo", the one text hashed here. */
static enum err digest_of_foo(struct eval *e, struct str algorithm, struct str data, unsigned char out[64],
                              size_t *n_out)
{
    (void)e;
    assert_true(str_eq(algorithm, STR("SHA-256")) && str_eq(data, STR("foo")));
    *n_out = 32;
    return hex_read(STR("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"), out, 32)
               ? ERR_OK
               : ERR_CORRUPT;
}

/* The published order of randomize() for a seed, the same in every engine. */
static void a_seed_gives_the_order_that_was_printed(void **state)
{
    (void)state;
    static const struct {
        const char *seed, *order;
    } rows[] = {{"42", "AFCBDE"}, {"-42", "EDAFBC"}, {"1", "BFEACD"}, {"11111111", "ACDBFE"}};
    struct world w;
    char got[700], text[100], want[100];
    world_open(&w, "<l><i>A</i><i>B</i><i>C</i><i>D</i><i>E</i><i>F</i></l>", 0);
    for (size_t i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "join('', randomize(i, %s))", rows[i].seed);
        snprintf(want, sizeof(want), "string %s", rows[i].order);
        assert_string_equal(shown(&w, EXPR_ODK, text, got), want);
    }
    arena_free(&w.a);
    world_open(&w, "<l><i>a</i><i>b</i><i>c</i><i>d</i><i>e</i><i>f</i><i>g</i><i>h</i></l>", 0);
    w.e.digest = digest_of_foo;
    assert_string_equal(shown(&w, EXPR_ODK, "join('', randomize(i, 'foo'))", got), "string eadbhgcf");
    assert_string_equal(shown(&w, EXPR_ODK, "join('', randomize(i, ''))", got), "string cbhafdge");
    assert_string_equal(shown(&w, EXPR_ODK, "digest('foo', 'sha-256')", got),
                        "string LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=");
    arena_free(&w.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_follow_xpath),
        cmocka_unit_test(paths_reach_any_node),
        cmocka_unit_test(functions_do_what_forms_expect),
        cmocka_unit_test(dates_are_civil_days),
        cmocka_unit_test(plain_xpath_has_only_its_own_functions),
        cmocka_unit_test(what_is_wrong_is_said_at_its_place),
        cmocka_unit_test(lenient_faults_wait_until_they_are_reached),
        cmocka_unit_test(an_expression_knows_what_it_reads),
        cmocka_unit_test(constants_are_known_before_anything_runs),
        cmocka_unit_test(a_rule_never_takes_the_unknown_for_safe),
        cmocka_unit_test(depth_and_length_have_caps),
        cmocka_unit_test(an_endless_expression_runs_out_of_fuel),
        cmocka_unit_test(trouble_with_data_is_noted_and_survived),
        cmocka_unit_test(the_locale_changes_nothing),
        cmocka_unit_test(a_seed_gives_the_order_that_was_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
