/* `doorstep check`: every mistake in a form, or in a rule pack alone or against a form, in one run.
 */
#include "agent/cli.h"
#include "agent/form_file.h"
#include "agent/term.h"
#include "agent/work.h"

#include <stdio.h>

static void print_findings(const struct form_findings *f, const char *file)
{
    for (uint32_t i = 0; i < f->list.count; i++) {
        const struct form_finding *x = &f->list.at[i];
        printf("%s: %s:", x->severity == FINDING_ERROR ? "error" : "warning", file);
        if (x->line)
            printf("%u:%u:", x->line, x->column);
        fputc(' ', stdout);
        term_put(stdout, x->node);
        fputs(x->node.n ? ": " : "", stdout);
        term_put(stdout, x->text);
        fputc('\n', stdout);
    }
}

static void findings_json(struct buf *b, const struct form_findings *f)
{
    buf_put_z(b, ",\"findings\":[");
    for (uint32_t i = 0; i < f->list.count; i++) {
        const struct form_finding *x = &f->list.at[i];
        buf_printf(b, "%s{\"severity\":\"%s\",\"line\":%u,\"column\":%u,\"node\":", i ? "," : "",
                   x->severity == FINDING_ERROR ? "error" : "warning", x->line, x->column);
        buf_put_json(b, x->node);
        buf_put_z(b, ",\"text\":");
        buf_put_json(b, x->text);
        buf_put_char(b, '}');
    }
    buf_put_z(b, "]}\n");
}

static void print_findings_json(const struct form_findings *f, const struct form *form)
{
    struct buf b;
    buf_init(&b, 16u << 20);
    buf_printf(&b, "{\"ok\":%s,\"errors\":%u", form && f->error_count == 0 ? "true" : "false",
               f->error_count);
    if (form) {
        struct form_summary m = form_summary(form);
        buf_put_z(&b, ",\"id\":");
        buf_put_json(&b, form_id(form));
        buf_put_z(&b, ",\"version\":");
        buf_put_json(&b, form_version(form));
        buf_printf(&b,
                   ",\"questions\":%u,\"groups\":%u,\"repeats\":%u,\"calculations\":%u,\"constraints\":%u,"
                   "\"languages\":%u,\"lists\":%u,\"choices\":%u",
                   m.questions, m.groups, m.repeats, m.calculations, m.constraints, m.languages, m.lists,
                   m.choices);
    }
    findings_json(&b, f);
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static void print_summary(const struct form *form)
{
    struct form_summary m = form_summary(form);
    term_put(stdout, form_title(form));
    fputs(" (", stdout);
    term_put(stdout, form_id(form));
    fputs(form_version(form).n ? ", version " : "", stdout);
    term_put(stdout, form_version(form));
    printf("): %u questions, %u groups, %u repeats, %u calculations, %u constraints, %u languages, %u lists "
           "with %u choices\n",
           m.questions, m.groups, m.repeats, m.calculations, m.constraints, m.languages, m.lists, m.choices);
    for (uint32_t i = 0; i < form_resource_count(form); i++) {
        fputs("  wants ", stdout);
        term_put(stdout, form_resource(form, i));
        fputc('\n', stdout);
    }
}

/* What a survey manager reads; `of` languages with how much of the texts each has. */
static void print_workbook(const struct xlsform_summary *s)
{
    printf("  %u questions, at most %u of them in one interview (each repeat counted once)\n", s->questions,
           s->path_longest);
    for (uint32_t i = 0; i < s->languages; i++) {
        uint32_t all = s->language[i].texts_all;
        fputs("  language ", stdout);
        term_put(stdout, s->language[i].name);
        printf(": %u of %u texts (%u %%)\n", s->language[i].texts, all,
               all ? (uint32_t)((uint64_t)s->language[i].texts * 100 / all) : 100);
    }
    printf("  questions without a label: %u\n  choices of lists that no question uses: %u\n",
           s->without_label, s->unused_choices);
    printf("  answers to all questions take about %u bytes (estimated from usual lengths)\n",
           s->answer_bytes);
}

/* A workbook's result was compiled while it was converted, and what is wrong with it told by cell. */
static enum err load(struct arena *a, struct str xml, bool workbook, const struct form **form_out,
                     struct form_findings *findings, struct diag *d)
{
    struct form_findings again = {0};
    return form_load(a, xml, form_out, workbook ? &again : findings, d);
}

/* ---- a rule pack ---- */

static bool is_pack(struct str bytes)
{
    struct str s = str_trim(bytes);
    if (str_starts(s, STR("\xEF\xBB\xBF")))
        s = str_trim(str_sub(s, 3, s.n));
    return s.n && s.p[0] == '{' && str_find(s, STR("\"format\"")) > 0 && str_find(s, STR("\"inputs\"")) > 0;
}

static void pack_json(const struct form_findings *f, const struct pack *pack)
{
    struct buf b;
    buf_init(&b, 16u << 20);
    buf_printf(&b, "{\"ok\":%s,\"errors\":%u", pack ? "true" : "false", f->error_count);
    if (pack) {
        buf_put_z(&b, ",\"id\":");
        buf_put_json(&b, pack_id(pack));
        buf_put_z(&b, ",\"version\":");
        buf_put_json(&b, pack_version(pack));
        buf_printf(&b, ",\"checks\":%u", pack_check_count(pack));
    }
    findings_json(&b, f);
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static enum err load_pack(struct arena *a, struct seam *seam, const char *form_file, struct str bytes,
                          const struct pack **pack_out, struct form_findings *f, struct diag *d)
{
    struct buf text = {0};
    struct form_findings of_form = {0};
    const struct form *form = NULL;
    if (!form_file)
        return pack_load_alone(a, bytes, pack_out, f, d);
    enum err rc = form_file_read(seam, form_file, a, &text, NULL, NULL, &of_form, d);
    if (!rc)
        rc = form_load(a, buf_str(&text), &form, &of_form, d);
    if (rc)
        print_findings(&of_form, form_file);
    else
        rc = pack_load(a, bytes, form, pack_out, f, d);
    buf_free(&text);
    return rc;
}

static int check_pack(struct seam *seam, const char *file, const char *form_file, struct str bytes, bool json)
{
    struct arena a;
    struct diag d = {0};
    struct form_findings findings = {0};
    const struct pack *pack = NULL;
    arena_init(&a, WORK_MEMORY_MAX);
    enum err rc = load_pack(&a, seam, form_file, bytes, &pack, &findings, &d);
    if (json)
        pack_json(&findings, rc ? NULL : pack);
    else
        print_findings(&findings, file);
    if (!rc && !json) {
        term_put(stdout, pack_title(pack, STR("zh")));
        putchar(' ');
        term_put(stdout, pack_title(pack, STR("en")));
        printf(" (%.*s, version %.*s): %u checks", STR_ARG(pack_id(pack)), STR_ARG(pack_version(pack)),
               pack_check_count(pack));
        if (pack_is_table(pack))
            printf(", %u results of a table\n", pack_result_count(pack));
        else
            puts(form_file ? "" : "; give its form with --form to check it against the questions");
    }
    int code = rc ? cli_fail("check", rc, &d) : 0;
    arena_free(&a);
    return code;
}

static int run_check(int argc, char **argv, struct seam *seam)
{
    const char *json = NULL, *pack_file = NULL, *of_form = NULL, *args[1];
    const struct cli_option options[] = {
        {"--pack", "FILE", "also check this rule pack against the form", &pack_file},
        {"--form", "FORM", "of a rule pack: also check it against the form", &of_form},
        {"--json", NULL, "as JSON", &json},
    };
    int n;
    struct diag d = {0};
    struct arena a;
    struct buf form_bytes = {0}, pack_bytes = {0};
    struct form_findings findings = {0};
    struct xlsform_summary summary = {0};
    const struct form *form = NULL;
    const struct pack *pack = NULL;

    int code = cli_parse(&command_check, options, (int)(sizeof options / sizeof *options), argc, argv, args,
                         1, 1, &n);
    if (code >= 0)
        return code;
    if (work_file(seam, args[0], &pack_bytes, &d) == ERR_OK &&
        (is_pack(buf_str(&pack_bytes)) || str_ends(str_of(args[0]), STR(".json")))) {
        code = check_pack(seam, args[0], of_form, buf_str(&pack_bytes), json != NULL);
        buf_free(&pack_bytes);
        return code;
    }
    buf_free(&pack_bytes);
    diag_clear(&d);
    arena_init(&a, WORK_MEMORY_MAX);
    enum err rc = form_file_read(seam, args[0], &a, &form_bytes, &summary, NULL, &findings, &d);
    if (!rc)
        rc = load(&a, buf_str(&form_bytes), summary.questions > 0, &form, &findings, &d);
    if (!rc && pack_file)
        rc = work_file(seam, pack_file, &pack_bytes, &d);
    if (!rc && pack_file)
        rc = pack_load(&a, buf_str(&pack_bytes), form, &pack, &findings, &d);
    if (json)
        print_findings_json(&findings, rc ? NULL : form);
    else
        print_findings(&findings, args[0]);
    if (!rc && !json)
        print_summary(form);
    if (!rc && !json && summary.questions)
        print_workbook(&summary);
    code = rc ? cli_fail("check", rc, &d) : 0;
    buf_free(&form_bytes);
    buf_free(&pack_bytes);
    arena_free(&a);
    return code;
}

const struct cli_command command_check = {
    .name = "check",
    .arguments = "FORM [--pack FILE] | PACK [--form FORM]",
    .summary = "find every mistake in a form, or in a rule pack",
    .example = "doorstep check household.xlsx",
    .run = run_check,
};
