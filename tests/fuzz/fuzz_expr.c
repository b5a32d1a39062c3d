/* Any text as an expression: compiled in each mode and run over a small document. Whatever it is, it ends
 * soon, within its memory, and in a value or an error. The first byte chooses the mode. */
#include <stdint.h>
#include <string.h>

#include "forms/expr_doc.h"
#include "platform/base/civil.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
    "<h id='7' xmlns:p='u'><!--c--><?go now?><m><n>a</n><v>1</v></m><m><n>b</n><v>2.5</v></m>"
    "<m><n>c</n><v/></m><p:x p:y='z'>t</p:x><d>2026-11-23</d><g>0 0; 0 1; 1 1; 0 0</g>"
    "<instance id='l'><root><item><name>a</name></item><item><name>b</name></item></root>"
    "</instance></h>";

static enum err any_bytes(struct eval *e, void *out, size_t n)
{
    (void)e;
    memset(out, 0x5A, n);
    return ERR_OK;
}

static enum err any_digest(struct eval *e, struct str algorithm, struct str data, unsigned char out[64],
                           size_t *n_out)
{
    (void)e, (void)algorithm, (void)data;
    memset(out, 7, 64);
    *n_out = 20;
    return ERR_OK;
}

static enum err any_value(struct eval *e, struct node context, uint32_t ref, struct value *out)
{
    (void)e, (void)context;
    *out = (struct value){.type = VALUE_UNKNOWN};
    if (ref == 1)
        *out = (struct value){.type = VALUE_DEC, .dec = {INT64_MAX, 9}};
    return ERR_OK;
}

static enum err any_variable(void *self, struct str name, uint32_t *ref_out, struct diag *d)
{
    (void)self, (void)d;
    *ref_out = name.n > 1;
    return ERR_OK;
}

static void run(struct arena *a, struct str text, bool rules, bool lenient, enum expr_library library)
{
    static const struct expr_prefix prefixes[] = {{{"p", 1}, {"u", 1}}};
    struct expr_doc doc = {.a = a, .prefixes = prefixes, .prefix_count = 1};
    struct expr_scope scope;
    struct diag d = {0};
    const struct expr *x = NULL;
    struct value v;
    if (xml_tree_read(a, str_of(document), 0, &doc.tree, &d))
        return;
    expr_doc_scope(&doc, library, &scope);
    scope.rules = rules;
    scope.lenient = lenient;
    scope.variable = any_variable;
    if (expr_compile(a, &scope, text, &x, &d))
        return;
    struct eval e = {.scratch = a,
                     .random = any_bytes,
                     .digest = any_digest,
                     .scalar = any_value,
                     .now_ms = INT64_C(1795391711000),
                     .zone = zone_utc(),
                     .fuel = 200000,
                     .rules = rules,
                     .diag = &d};
    expr_doc_eval(&doc, &e);
    if (expr_eval(x, &e, &v) == ERR_OK) {
        value_text(&e, &v);
        value_number(&e, &v);
        value_truth(&e, &v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    if (size == 0)
        return 0;
    struct str text = {(const char *)data + 1, size - 1};
    arena_init(&a, (size_t)32 << 20);
    run(&a, text, data[0] & 1, data[0] & 2, data[0] & 4 ? EXPR_XPATH_1 : EXPR_ODK);
    arena_free(&a);
    return 0;
}
