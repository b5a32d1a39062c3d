/* Expression cases: one expression over one document, and the value it should have. The clock stands still,
 * chance is a fixed sequence, the zone is the one the cases were recorded in. */
#include "tests/cases/cases.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "forms/expr_doc.h"
#include "platform/crypto.h"

#define PREFIXES_MAX 32
#define NOW_MS INT64_C(1795437711000) /* 2026-11-23T05:41:51-07:00: the day the recorded results speak of */

struct run {
    struct arena *a;
    struct arena scratch;
    struct expr_doc doc;
    struct eval e;
    struct diag trouble;
    struct node root;
    struct expr_prefix prefixes[PREFIXES_MAX];
    uint64_t chance;
};

static enum err random_bytes(struct eval *e, void *out, size_t n)
{
    struct run *r = (struct run *)(void *)((char *)e - offsetof(struct run, e));
    uint64_t state = 42 + r->chance++;
    unsigned char *p = out;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        p[i] = (unsigned char)(state >> 56);
    }
    return ERR_OK;
}

static enum err digest(struct eval *e, struct str algorithm, struct str data, unsigned char out[64],
                       size_t *n_out)
{
    (void)e;
    return digest_named(algorithm, data, out, n_out);
}

/* "/node()[1]/node()[3]/@id": the path the cases name nodes by. */
static bool node_at(const struct tree *t, struct str path, struct node *out)
{
    struct str step;
    struct node n = t->ops->root(t);
    while (str_split(&path, '/', &step)) {
        if (step.n == 0)
            continue;
        struct node child;
        bool more;
        if (step.p[0] == '@') {
            struct str name = str_sub(step, 1, step.n);
            ptrdiff_t colon = str_find(name, STR(":"));
            struct str prefix = colon < 0 ? STR("") : str_sub(name, 0, (size_t)colon);
            name = str_sub(name, (size_t)(colon + 1), name.n);
            for (more = t->ops->first_attribute(t, n, &child); more;
                 more = t->ops->next_attribute(t, child, &child)) {
                struct node_name have = t->ops->name(t, child);
                if (str_eq(have.local, name) && str_eq(have.prefix, prefix))
                    break;
            }
        } else {
            uint64_t want = 0;
            struct str digits = str_sub(step, 7, step.n - 8);
            if (!str_starts(step, STR("node()[")) || !str_to_u64(digits, &want))
                return false;
            more = t->ops->first_child(t, n, &child);
            for (uint64_t i = 1; more && i < want; i++)
                more = t->ops->next_sibling(t, child, &child);
        }
        if (!more)
            return false;
        n = child;
    }
    *out = n;
    return true;
}

/* The path of a node, as above. */
static struct str path_of(struct run *r, struct node n)
{
    const struct tree *t = r->doc.tree;
    struct buf b;
    struct str parts[128];
    uint32_t count = 0;
    struct node up;
    buf_init(&b, 4096);
    while (count < 128 && t->ops->parent(t, n, &up)) {
        char text[200];
        if (t->ops->kind(t, n) == NODE_ATTRIBUTE) {
            struct node_name name = t->ops->name(t, n);
            snprintf(text, sizeof(text), "/@%.*s%s%.*s", STR_ARG(name.prefix), name.prefix.n ? ":" : "",
                     STR_ARG(name.local));
        } else {
            uint32_t at = 1;
            for (struct node s = n; t->ops->prev_sibling(t, s, &s); at++)
                ;
            snprintf(text, sizeof(text), "/node()[%u]", at);
        }
        parts[count++] = arena_str(r->a, str_of(text));
        n = up;
    }
    while (count)
        buf_put_str(&b, parts[--count]);
    struct str s = arena_str(r->a, b.n ? buf_str(&b) : STR("/"));
    buf_free(&b);
    return s;
}

/* A context node is named by such a path, or by any other. */
static bool named_node(struct run *r, struct str path, struct node *out)
{
    struct value v;
    if (node_at(r->doc.tree, path, out))
        return true;
    r->e.context = (struct node){0, 0, 0};
    if (expr_doc_run(&r->doc, EXPR_XPATH_1, &r->e, path, &v) || v.type != VALUE_NODES || v.nodes->count == 0)
        return false;
    *out = v.nodes->at[0];
    return true;
}

static bool set_up(struct run *r, const struct json *c, char *why, size_t room)
{
    struct str xml = json_text(c, "context_xml");
    struct diag d = {0};
    const struct zone *zone = NULL;
    r->doc.a = r->a;
    const struct json *ns = json_get(c, "ns");
    for (const struct json *one = ns ? ns->child : NULL; one && r->doc.prefix_count < PREFIXES_MAX;
         one = one->next)
        r->prefixes[r->doc.prefix_count++] = (struct expr_prefix){one->name, one->text};
    r->doc.prefixes = r->prefixes;
    r->doc.language = json_text(c, "language");
    if (zone_fixed(r->a, CASES_OFFSET_MIN, &zone))
        return false;
    if (xml.p && xml_tree_read(r->a, xml, 0, &r->doc.tree, &d)) {
        snprintf(why, room, "its document cannot be read: %s", d.text);
        return false;
    }
    r->e = (struct eval){.scratch = &r->scratch,
                         .context = NODE_NONE,
                         .random = random_bytes,
                         .digest = digest,
                         .now_ms = NOW_MS,
                         .zone = zone,
                         .fuel = EXPR_FUEL_DEFAULT,
                         .diag = &r->trouble};
    expr_doc_eval(&r->doc, &r->e);
    struct str at = json_text(c, "context_node");
    if (r->doc.tree && !named_node(r, at.p ? at : STR("/"), &r->e.context)) {
        snprintf(why, room, "its context node %.*s is not in its document", STR_ARG(at));
        return false;
    }
    struct str root = json_text(c, "root_node");
    if (r->doc.tree && root.p && node_at(r->doc.tree, root, &r->root))
        r->e.root = &r->root;
    return true;
}

/* -- comparing
 * -------------------------------------------------------------------------------------------------- */

static bool expected_number(const struct json *c, double *out)
{
    const struct json *want = json_get(c, "expect");
    if (!want)
        return false;
    if (want->type == JSON_NUMBER) {
        *out = want->number;
        return true;
    }
    *out = str_eq_z(want->text, "NaN")         ? (double)NAN
           : str_eq_z(want->text, "Infinity")  ? (double)INFINITY
           : str_eq_z(want->text, "-Infinity") ? -(double)INFINITY
                                               : -0.0;
    return want->type == JSON_STRING;
}

static bool same_number(const struct json *c, double got, double want)
{
    const struct json *factor = json_get(c, "round_factor"), *tolerance = json_get(c, "tolerance");
    if (isnan(got) || isnan(want))
        return isnan(got) && isnan(want);
    if (isinf(want) || isinf(got))
        return got == want;
    if (factor)
        return floor(got * factor->number + 0.5) / factor->number == want;
    if (want == 0 && got == 0)
        return tolerance || signbit(want) == 0 || signbit(got);
    double slack = tolerance ? tolerance->number : 4 * 2.220446049250313e-16 * fabs(want);
    if (tolerance && slack < 4 * 2.220446049250313e-16 * fabs(want))
        slack = 4 * 2.220446049250313e-16 * fabs(want);
    return fabs(got - want) <= slack;
}

static bool same_nodes(struct run *r, const struct json *c, const struct value *v, char *why, size_t room)
{
    const struct json *want = json_get(c, "expect"), *list = json_get(c, "nodes");
    if (v->type != VALUE_NODES) {
        snprintf(why, room, "gave a single value, not nodes");
        return false;
    }
    bool first = str_eq_z(json_text(c, "requested"), "node");
    uint32_t count = first && v->nodes->count > 1 ? 1 : v->nodes->count;
    if (!want || (double)count != want->number) {
        snprintf(why, room, "gave %u nodes, not %g", count, want ? want->number : 0.0);
        return false;
    }
    bool ordered = json_bool(c, "ordered") ||
                   (v->nodes->unordered && !r->chance); /* a seeded order is an order */
    for (uint32_t i = 0; list && i < list->count; i++) {
        struct str path = json_text(json_at(list, i), "path"), text = json_text(json_at(list, i), "s");
        bool found = false;
        for (uint32_t k = ordered ? i : 0; k < (ordered ? i + 1 : count) && !found; k++) {
            struct str got = r->doc.tree->ops->kind(r->doc.tree, v->nodes->at[k]) == NODE_NAMESPACE
                                 ? path
                                 : path_of(r, v->nodes->at[k]);
            struct str s = r->doc.tree->ops->text(r->doc.tree, v->nodes->at[k], &r->scratch);
            found = str_eq(got, path) && (text.p == NULL || str_eq(str_sub(s, 0, utf8_offset(s, 200)),
                                                                   str_sub(text, 0, utf8_offset(text, 200))));
        }
        if (!found) {
            snprintf(why, room, "node %u is not %.*s", i + 1, STR_ARG(path));
            return false;
        }
    }
    return true;
}

static bool same_text(struct run *r, struct str got, struct str want)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < got.n; i++) {
        if (got.p[i])
            buf_put_char(&b, got.p[i]);
        else
            buf_put_z(&b, "\xEE\x80\x80"); /* U+E000, see main.c */
    }
    bool same = str_eq(arena_str(r->a, buf_str(&b)), want);
    buf_free(&b);
    return same;
}

static const char *type_name(const struct value *v)
{
    static const char *const names[] = {"unknown", "boolean", "number", "number", "number",
                                        "string",  "date",    "date",   "nodeset"};
    return names[v->type];
}

static bool as_expected(struct run *r, const struct json *c, const struct value *v, char *why, size_t room)
{
    struct str type = json_text(c, "expect_type");
    const struct json *want = json_get(c, "expect");
    struct str text = value_text(&r->e, v);
    bool volatile_value = json_bool(c, "volatile");
    snprintf(why, room, "gave %s \"%.*s\"", type_name(v), (int)(text.n < 120 ? text.n : 120),
             text.p ? text.p : "");
    if (str_eq_z(type, "error"))
        return r->trouble.code != ERR_OK;
    if (str_eq_z(type, "boolean"))
        return volatile_value || (value_truth(&r->e, v) == TRUTH_TRUE) == (want && want->boolean);
    if (str_eq_z(type, "number")) {
        double number;
        return volatile_value ||
               (expected_number(c, &number) && same_number(c, value_number(&r->e, v), number));
    }
    if (str_eq_z(type, "string"))
        return volatile_value || (want && same_text(r, text, want->text));
    if (str_eq_z(type, "string-regex"))
        return want && pattern_found(want->text, text);
    if (str_eq_z(type, "string-length"))
        return want && (double)utf8_length(text) == want->number;
    if (str_eq_z(type, "nodeset-count"))
        return same_nodes(r, c, v, why, room);
    if (str_eq_z(type, "date")) {
        int64_t ms = 0;
        if (!json_i64(c, "epoch_ms", &ms))
            return false;
        if (v->type == VALUE_DATE)
            return v->day * INT64_C(86400000) == ms;
        return v->type == VALUE_INSTANT && v->instant.ms == ms;
    }
    return false;
}

/* Our result as a decision's condition sees it: in the type that was asked for, a node-set by its size. */
static struct str result_text(struct run *r, const struct json *c, const struct value *v)
{
    struct str type = json_text(c, "expect_type");
    struct value shown = *v;
    if (v->type == VALUE_UNKNOWN)
        return STR("error");
    if (str_eq_z(type, "number") || (str_eq_z(type, "nodeset-count") && v->type == VALUE_NODES))
        shown = (struct value){.type = VALUE_NUMBER,
                               .number = str_eq_z(type, "number") ? value_number(&r->e, v)
                                                                  : (double)v->nodes->count};
    else if (str_eq_z(type, "boolean"))
        shown = (struct value){.type = VALUE_BOOL, .boolean = value_truth(&r->e, v) == TRUTH_TRUE};
    return value_text(&r->e, &shown);
}

/* What a decision's pattern looks at: the expression, and in a second line the value it has. */
static struct str subject_of(struct run *r, struct str expression, const struct value *v)
{
    struct buf b;
    buf_init(&b, 1 << 24);
    buf_put_str(&b, expression);
    buf_put_char(&b, '\n');
    buf_put_str(&b, value_text(&r->e, v));
    struct str s = arena_str(r->a, buf_str(&b));
    buf_free(&b);
    return s;
}

static struct str expected_text(struct arena *a, const struct json *c)
{
    char text[NUM_TEXT_MAX];
    const struct json *want = json_get(c, "expect");
    if (!want)
        return STR("");
    if (want->type == JSON_BOOL)
        return want->boolean ? STR("true") : STR("false");
    if (want->type == JSON_NUMBER)
        return arena_str(a, (struct str){text, num_write(want->number, text)});
    return want->text;
}

static void report_failure(struct report *report, struct arena *a, const struct json *c, const char *why)
{
    char full[1200];
    struct str text = json_text(c, "expr"), want = expected_text(a, c);
    snprintf(full, sizeof(full), "%.*s  %s, not %.*s %.*s", (int)(text.n < 200 ? text.n : 200), text.p, why,
             STR_ARG(json_text(c, "expect_type")), (int)(want.n < 120 ? want.n : 120), want.p ? want.p : "");
    report_case(report, CASE_FAILED, json_text(c, "id"), full);
}

void case_xpath(struct report *report, struct arena *a, const struct json *c)
{
    struct run r;
    memset(&r, 0, sizeof(r));
    r.a = a;
    char why[700] = "";
    struct str id = json_text(c, "id"), text = json_text(c, "expr");
    struct value v = {0};
    if (json_bool(c, "needs_custom_context")) {
        report_skip(report, "needs_custom_context");
        return;
    }
    if (json_bool(c, "unsupported_context")) {
        report_skip(report, "unsupported_context");
        return;
    }
    arena_init(&r.scratch, (size_t)256 << 20);
    enum expr_library library = str_eq_z(json_text(c, "function_library"), "xpath-1.0") ? EXPR_XPATH_1
                                                                                        : EXPR_ODK;
    bool good = set_up(&r, c, why, sizeof(why));
    if (good) {
        enum err rc = expr_doc_run(&r.doc, library, &r.e, text, &v);
        bool wants_error = str_eq_z(json_text(c, "expect_type"), "error");
        if (rc) {
            good = wants_error || json_bool(c, "reference_limitation");
            snprintf(why, sizeof(why), "error: %s", r.trouble.text);
        } else {
            good = as_expected(&r, c, &v, why, sizeof(why)) ||
                   (wants_error && json_bool(c, "reference_limitation"));
        }
    }
    if (good)
        report_case(report, CASE_PASSED, id, "");
    else if (decided(report, a, "xpath", subject_of(&r, text, &v), result_text(&r, c, &v),
                     expected_text(a, c)))
        report_case(report, CASE_DECIDED, id, "");
    else
        report_failure(report, a, c, why);
    arena_free(&r.scratch);
}
