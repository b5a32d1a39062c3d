/* Form cases: each published form loads and can be walked to its end, or is refused where JavaRosa's recorded
 * state (javarosa_initial_state.jsonl beside the index) says that it was, for a fault that is the form's own.
 * With --state the nodes after loading are compared as well: value, relevance, required, readonly.
 */
#include "tests/cases/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forms/limits.h"
#include "forms/session.h"
#include "forms/xlsform.h"
#include "platform/crypto.h"

#define STOPS_MAX 20000

static int64_t host_now(void *self)
{
    (void)self;
    return INT64_C(1795437711000);
}

static enum err host_random(void *self, void *out, size_t n)
{
    unsigned char *next = self;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)out)[i] = *next += 37;
    return ERR_OK;
}

static enum err host_digest(void *self, struct str algorithm, struct str data, unsigned char out[64],
                            size_t *n_out)
{
    (void)self;
    return digest_named(algorithm, data, out, n_out);
}

/* A file beside the case file, else in --base. */
static FILE *open_beside(const struct report *r, const char *name)
{
    char path[2000];
    const char *slash = strrchr(r->file, '/');
    int dir = slash ? (int)(slash - r->file) : 1;
    snprintf(path, sizeof(path), "%.*s/%s", dir, slash ? r->file : ".", name);
    FILE *f = fopen(path, "rb");
    if (f || !r->base_dir)
        return f;
    snprintf(path, sizeof(path), "%s/%s", r->base_dir, name);
    return fopen(path, "rb");
}

static struct str read_all(struct arena *a, FILE *f)
{
    struct buf b;
    char block[65536];
    size_t n;
    buf_init(&b, FORM_BYTES_MAX);
    while ((n = fread(block, 1, sizeof(block), f)) > 0)
        buf_put(&b, block, n);
    struct str out = arena_str(a, buf_str(&b));
    buf_free(&b);
    return out;
}

/* What JavaRosa, or the reference converter, made of the form; NULL when there is no record. */
static const struct json *recorded(const struct report *r, struct arena *a, const char *file, struct str name)
{
    FILE *f = open_beside(r, file);
    const struct json *found = NULL;
    struct diag d = {0};
    char *line = NULL, wanted[600];
    size_t room = 0;
    ssize_t n;
    snprintf(wanted, sizeof(wanted), "\"%.*s\"", STR_ARG(name));
    while (f && !found && (n = getline(&line, &room, f)) > 0)
        if (strstr(line, wanted) && json_read(a, arena_str(a, (struct str){line, (size_t)n}), &found, &d))
            break;
    free(line);
    if (f)
        fclose(f);
    return found;
}

/* Causes for which a recorded refusal must be ours, too. */
static bool must_refuse(struct str error)
{
    static const char *const causes[] = {"Cycle detected", "non-existent node", "unsupported events",
                                         "XPathSyntaxException", "cannot handle function"};
    for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++)
        if (str_find(error, str_of(causes[i])) >= 0)
            return true;
    return false;
}

static bool walk(struct session *s)
{
    uint32_t stops = 0;
    while (session_next(s).kind != STOP_END)
        if (++stops > STOPS_MAX)
            return false;
    return true;
}

static bool same_value(struct str have, struct str want)
{
    double x, y;
    struct civil a, b;
    if (str_eq(have, want) || (num_read(have, &x) && num_read(want, &y) && x == y))
        return true;
    if (str_starts(want, STR("uuid:")) && str_starts(have, STR("uuid:")))
        return true;
    return civil_read(have, &a) && civil_read(want, &b) &&
           a.has_date == b.has_date; /* the clock was another */
}

static bool compare_node(struct session *s, struct arena *a, const struct json *n, char why[600])
{
    struct str ref = json_text(n, "r"), value = json_text(n, "v");
    struct place p;
    struct question_view v;
    struct diag d = {0};
    bool relevant = json_bool(n, "rel");
    if (session_place(s, ref, &p, &d) || session_view(s, p, a, &v, &d)) {
        snprintf(why, 600, "%.*s: %s", STR_ARG(ref), d.text);
        return !relevant;
    }
    const char *what = v.relevant != relevant                               ? "relevant"
                       : relevant && v.required != json_bool(n, "req")      ? "required"
                       : relevant && v.readonly != json_bool(n, "ro")       ? "readonly"
                       : relevant && value.p && !same_value(v.value, value) ? "value"
                                                                            : NULL;
    if (what)
        snprintf(why, 600, "%s of %.*s: \"%.*s\", recorded \"%.*s\"", what, STR_ARG(ref), STR_ARG(v.value),
                 STR_ARG(value));
    return !what;
}

static bool compare_state(struct session *s, struct arena *a, const struct json *state, char why[600])
{
    const struct json *full = json_get(state, "full");
    for (const struct json *n = full ? full->child : NULL; n; n = n->next)
        if (!compare_node(s, a, n, why))
            return false;
    return true;
}

/* Is this difference a decision? The subject is what was done or where, and the form. */
static bool known(struct report *r, struct arena *a, const char *what, struct str xml, struct str got,
                  struct str expected)
{
    struct buf b;
    buf_init(&b, FORM_BYTES_MAX + 1000u);
    buf_put_z(&b, what);
    buf_put_char(&b, '\n');
    buf_put_str(&b, xml);
    bool yes = decided(r, a, "forms", buf_str(&b), got, expected);
    buf_free(&b);
    return yes;
}

static void run_form(struct report *r, struct arena *a, struct str name, struct str xml,
                     const struct json *record)
{
    const struct form *form = NULL;
    struct form_findings findings;
    struct session *s = NULL;
    struct diag d = {0};
    unsigned char seed = 0;
    char why[600] = "";
    const struct zone *zone = NULL;
    struct session_host host = {.self = &seed,
                                .now_ms = host_now,
                                .random = host_random,
                                .digest = host_digest};
    struct session_options o = {.host = &host, .row_key_next = 1};
    bool refused = record && !json_bool(record, "ok");
    bool must = refused && must_refuse(json_text(record, "error"));
    enum err rc = form_load(a, xml, &form, &findings, &d);
    if (rc || must) {
        bool right = refused && rc;
        if (!right)
            snprintf(why, sizeof(why), rc ? "refused: %s" : "loads; JavaRosa: %s",
                     rc ? d.text : arena_z(a, json_text(record, "error")));
        report_case(r,
                    right                                                                    ? CASE_PASSED
                    : known(r, a, "load", xml, str_of(why), record ? STR("") : STR("loads")) ? CASE_DECIDED
                                                                                             : CASE_FAILED,
                    name, why);
        return;
    }
    if (!zone_fixed(a, CASES_OFFSET_MIN, &zone))
        host.zone = zone;
    o.form = form;
    o.language = form_language_default(form);
    bool ok = session_open(a, &o, &s, &d) == ERR_OK && walk(s);
    if (!ok)
        snprintf(why, sizeof(why), "not walked to the end: %s", d.text);
    if (ok && r->state && !refused && record)
        ok = compare_state(s, a, json_get(record, "state"), why);
    session_close(s);
    report_case(r, ok ? CASE_PASSED : CASE_FAILED, name, why);
}

/* A workbook is converted first. What the reference converter rejects must be refused; a form whose
 * expressions are wrong is refused by us, where the reference leaves it to another program to find out. */
static void run_workbook(struct report *r, struct arena *a, struct str name, struct str bytes)
{
    struct form_findings findings;
    struct diag d = {0};
    struct str xml = STR("");
    const struct json *record = recorded(r, a, "xlsform_reference.jsonl", name);
    enum err rc = form_source_to_xform(a, name, bytes, &xml, NULL, NULL, &findings, &d);
    bool refused = record && !json_bool(record, "ok"), expressions = rc == ERR_SYNTAX && xml.n > 0;
    if (!rc && !refused)
        run_form(r, a, name, xml, NULL);
    else if (rc && (refused || expressions))
        report_case(r, CASE_PASSED, name, "");
    else
        report_case(r, CASE_FAILED, name, rc ? d.text : "converts, but the reference rejects it");
}

void case_forms(struct report *r, struct arena *a, const struct json *c)
{
    struct str name = json_text(c, "file");
    bool workbook = !str_eq_z(json_text(c, "kind"), "xform");
    if (workbook && str_ends(name, STR(".xls"))) {
        report_skip(r, "xls (old binary)");
        return;
    }
    FILE *f = open_beside(r, arena_z(a, name));
    if (!f) {
        report_case(r, CASE_FAILED, name, "the file is not there");
        return;
    }
    struct str bytes = read_all(a, f);
    fclose(f);
    if (workbook)
        run_workbook(r, a, name, bytes);
    else
        run_form(r, a, name, bytes, recorded(r, a, "javarosa_initial_state.jsonl", name));
}
