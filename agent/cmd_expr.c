/* `doorstep expr`: one expression over one document (or none), one JSON object on standard output. What a
 * form author tries a formula with, and what acceptance asks the engine through. The same engine as
 * everywhere else; nothing is kept.
 */
#include "agent/cli.h"
#include "forms/expr_doc.h"
#include "platform/base/civil.h"
#include "platform/crypto.h"
#include "platform/posix/posix_seam.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PREFIXES_MAX 64
#define CONTEXT_BYTES_MAX (64u << 20)
#define MEMORY_MAX ((size_t)512 << 20)

static const char help[] =
    "doorstep expr [options] EXPRESSION\n"
    "\n"
    "Evaluates one expression and prints one JSON object: {\"type\":...,\"value\":...}\n"
    "\n"
    "  --library NAME   odk-xforms (the default) or xpath-1.0\n"
    "  --context FILE   the XML document the expression looks at\n"
    "  --node PATH      the node it stands on, as a path; the default is the document\n"
    "  --ns PREFIX=URI  a namespace prefix; may be given several times\n"
    "  --tz ZONE        time zone, such as Asia/Shanghai; the default is the machine's\n"
    "  --now TIME       what now() and today() shall say, such as 2026-11-23T08:00:00+08:00\n"
    "\n"
    "Example: doorstep expr 'if(3 > 2, \"yes\", \"no\")'\n";

struct request {
    const char *library, *context, *node, *zone, *now, *expression;
    struct expr_prefix prefixes[PREFIXES_MAX];
    uint32_t prefix_count;
};

struct chance {
    struct expr_doc doc; /* first: the evaluation's host is this */
    struct seam *seam;
};

static enum err random_bytes(struct eval *e, void *out, size_t n)
{
    struct seam *seam = ((struct chance *)e->host)->seam;
    return seam->random(seam->self, out, n);
}

static enum err digest(struct eval *e, struct str algorithm, struct str data, unsigned char out[64],
                       size_t *n_out)
{
    (void)e;
    return digest_named(algorithm, data, out, n_out);
}

/* -- the command line
 * ------------------------------------------------------------------------------------------- */

static enum err add_prefix(struct request *r, const char *text, struct diag *d)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return diag_set(d, ERR_USAGE, "--ns wants PREFIX=URI, not \"%s\"", text);
    if (r->prefix_count == PREFIXES_MAX)
        return diag_set(d, ERR_LIMIT, "at most %d prefixes can be given", PREFIXES_MAX);
    r->prefixes[r->prefix_count++] = (struct expr_prefix){{text, (size_t)(equals - text)},
                                                          str_of(equals + 1)};
    return ERR_OK;
}

static enum err read_arguments(struct request *r, int argc, char **argv, struct diag *d)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {{"--library", &r->library},
                   {"--context", &r->context},
                   {"--node", &r->node},
                   {"--tz", &r->zone},
                   {"--now", &r->now}};
    bool only_plain = false;
    for (int i = 1; i < argc; i++) {
        if (!only_plain && strcmp(argv[i], "--") == 0) {
            only_plain = true;
            continue;
        }
        if (only_plain || argv[i][0] != '-' || argv[i][1] != '-' || strchr(argv[i], ' ')) {
            if (r->expression)
                return diag_set(d, ERR_USAGE, "one expression at a time; put it in quotes");
            r->expression = argv[i];
            continue;
        }
        if (i + 1 == argc)
            return diag_set(d, ERR_USAGE, "%s wants a value; see doorstep expr --help", argv[i]);
        if (strcmp(argv[i], "--ns") == 0) {
            enum err rc = add_prefix(r, argv[++i], d);
            if (rc)
                return rc;
            continue;
        }
        size_t o = 0;
        while (o < sizeof(options) / sizeof(*options) && strcmp(argv[i], options[o].name) != 0)
            o++;
        if (o == sizeof(options) / sizeof(*options))
            return diag_set(d, ERR_USAGE, "there is no option %s; see doorstep expr --help", argv[i]);
        *options[o].value = argv[++i];
    }
    if (!r->expression)
        return diag_set(d, ERR_USAGE, "an expression is missing; see doorstep expr --help");
    return ERR_OK;
}

static enum err library_of(const struct request *r, enum expr_library *out, struct diag *d)
{
    *out = EXPR_ODK;
    if (!r->library || strcmp(r->library, "odk-xforms") == 0)
        return ERR_OK;
    *out = EXPR_XPATH_1;
    if (strcmp(r->library, "xpath-1.0") == 0)
        return ERR_OK;
    return diag_set(d, ERR_USAGE, "--library is odk-xforms or xpath-1.0, not \"%s\"", r->library);
}

/* -- printing
 * --------------------------------------------------------------------------------------------------- */

static void put_number(struct buf *b, double n)
{
    char text[NUM_TEXT_MAX];
    size_t length = num_write(n, text);
    bool plain = !isnan(n) && !isinf(n) && !(n == 0 && signbit(n));
    if (!plain)
        buf_put_char(b, '"');
    if (n == 0 && signbit(n))
        buf_put_char(b, '-');
    buf_put(b, text, length);
    if (!plain)
        buf_put_char(b, '"');
}

static void put_nodes(struct buf *b, struct eval *e, const struct nodes *n)
{
    buf_put_char(b, '[');
    for (uint32_t i = 0; i < n->count; i++) {
        const struct tree *t = e->trees[n->at[i].tree];
        if (i)
            buf_put_char(b, ',');
        buf_put_json(b, t->ops->text(t, n->at[i], e->scratch));
    }
    buf_put_char(b, ']');
}

static void put_value(struct buf *b, struct eval *e, const struct value *v)
{
    static const char *const types[] = {"string", "boolean", "number", "number", "string",
                                        "string", "date",    "date",   "nodeset"};
    buf_put_z(b, "{\"type\":\"");
    buf_put_z(b, types[v->type]);
    buf_put_z(b, "\",\"value\":");
    if (v->type == VALUE_BOOL)
        buf_put_z(b, v->boolean ? "true" : "false");
    else if (v->type == VALUE_NUMBER || v->type == VALUE_DEC)
        put_number(b, value_number(e, v));
    else if (v->type == VALUE_NODES)
        put_nodes(b, e, v->nodes);
    else
        buf_put_json(b, value_text(e, v));
    buf_put_z(b, "}\n");
}

static int print_error(enum err rc, const struct diag *d)
{
    struct buf b;
    char text[DIAG_TEXT_MAX + 40];
    buf_init(&b, 1 << 16);
    if (d->column)
        snprintf(text, sizeof(text), "column %u: %s", d->column, d->text);
    else
        snprintf(text, sizeof(text), "%s", d->text[0] ? d->text : err_action(rc)->todo_en);
    buf_put_z(&b, "{\"type\":\"error\",\"value\":");
    buf_put_json(&b, str_of(text));
    buf_put_z(&b, "}\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
    return err_action(rc)->exit_code;
}

/* -- running
 * ---------------------------------------------------------------------------------------------------- */

static enum err open_document(const struct request *r, struct expr_doc *doc, struct eval *e,
                              struct seam *seam, struct diag *d)
{
    struct buf xml;
    struct value v;
    if (!r->context)
        return r->node ? diag_set(d, ERR_USAGE, "--node needs --context") : ERR_OK;
    buf_init(&xml, CONTEXT_BYTES_MAX);
    enum err rc = seam->file_read(seam->self, r->context, &xml, d);
    if (!rc)
        rc = xml_tree_read(doc->a, buf_str(&xml), 0, &doc->tree, d);
    buf_free(&xml);
    if (rc)
        return rc;
    expr_doc_eval(doc, e);
    e->context = doc->tree->ops->root(doc->tree);
    if (!r->node)
        return ERR_OK;
    e->diag = d;
    rc = expr_doc_run(doc, EXPR_XPATH_1, e, str_of(r->node), &v);
    if (rc)
        return rc;
    if (v.type != VALUE_NODES || v.nodes->count == 0)
        return diag_set(d, ERR_NOT_FOUND, "there is no node %s in %s", r->node, r->context);
    e->context = v.nodes->at[0];
    return ERR_OK;
}

static enum err clock_of(const struct request *r, struct arena *a, struct eval *e, struct seam *seam,
                         struct diag *d)
{
    struct civil c;
    enum err rc = posix_zone_load(a, r->zone, &e->zone, d);
    e->now_ms = seam->wall_ms(seam->self);
    if (rc || !r->now)
        return rc;
    if (!civil_read(str_of(r->now), &c) || !c.has_date)
        return diag_set(d, ERR_USAGE, "--now wants a time such as 2026-11-23T08:00:00+08:00, not \"%s\"",
                        r->now);
    e->now_ms = civil_instant_ms(&c, e->zone);
    return ERR_OK;
}

static enum err run(const struct request *r, struct arena *a, struct seam *seam, struct buf *out,
                    struct diag *note, struct diag *d)
{
    enum expr_library library;
    struct chance host = {.doc = {.a = a, .prefixes = r->prefixes, .prefix_count = r->prefix_count},
                          .seam = seam};
    struct eval e = {.scratch = a,
                     .context = NODE_NONE,
                     .random = random_bytes,
                     .digest = digest,
                     .fuel = EXPR_FUEL_DEFAULT};
    struct value v;
    enum err rc = library_of(r, &library, d);
    if (!rc)
        rc = clock_of(r, a, &e, seam, d);
    if (!rc)
        rc = open_document(r, &host.doc, &e, seam, d);
    if (rc)
        return rc;
    expr_doc_eval(&host.doc, &e);
    e.diag = note;
    rc = expr_doc_run(&host.doc, library, &e, str_of(r->expression), &v);
    if (rc) {
        *d = *note;
        return rc;
    }
    put_value(out, &e, &v);
    return out->failed;
}

int cmd_expr(int argc, char **argv, struct seam *seam)
{
    struct request r = {0};
    struct diag d = {0}, note = {0};
    struct arena a;
    struct buf out;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
    arena_init(&a, MEMORY_MAX);
    buf_init(&out, MEMORY_MAX);
    enum err rc = read_arguments(&r, argc, argv, &d);
    if (!rc)
        rc = run(&r, &a, seam, &out, &note, &d);
    int code = 0;
    if (rc) {
        code = print_error(rc, &d);
    } else {
        fwrite(out.p, 1, out.n, stdout);
        if (note.code)
            fprintf(stderr, "note: %s\n", note.text);
    }
    buf_free(&out);
    arena_free(&a);
    return code;
}
