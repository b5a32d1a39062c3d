/* The commands about this device: enrol, sync, status, check.
 */
#include "agent/cli.h"
#include "agent/deliver.h"
#include "agent/work.h"

#include <stdio.h>
#include <unistd.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static int open_store(const char *command, const char *data, struct seam *seam, struct store **store_out)
{
    struct arena a;
    struct diag d = {0};
    const char *dir;

    arena_init(&a, 64u << 10);
    enum err rc = cli_data_dir(&a, data, &dir, &d);
    if (!rc)
        rc = store_open(dir, seam, store_out, &d);
    arena_free(&a);
    return rc ? cli_fail(command, rc, &d) : -1;
}

/* ---- enrol ---- */

static bool confirm_root(void *self, const char *fingerprint)
{
    char line[16];
    (void)self;
    if (!isatty(STDIN_FILENO))
        return false;
    fprintf(stderr, "The centre's fingerprint is\n\n  %s\n\nIs it the one on the county's sheet? Type yes: ",
            fingerprint);
    return fgets(line, sizeof line, stdin) && (strcmp(line, "yes\n") == 0 || strcmp(line, "y\n") == 0);
}

static int run_enrol(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *url = NULL, *root = NULL, *args[1];
    const struct cli_option options[] = {
        {"--centre", "URL", "address of the centre, with a typed code", &url},
        {"--root", "FINGERPRINT", "the county root's fingerprint, to compare without asking", &root},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct store *s = NULL;
    struct diag d = {0};

    int code = cli_parse(&command_enrol, options, COUNT(options), argc, argv, args, 1, 1, &n);
    if (code < 0)
        code = open_store("enrol", data, seam, &s);
    if (code >= 0)
        return code;
    struct enrol_options o = {.code = args[0], .url = url, .root_print = root, .confirm = confirm_root};
    enum err rc = enrol(s, seam, &o, &d);
    if (rc) {
        code = cli_fail("enrol", rc, &d);
    } else {
        const struct identity *id = store_identity(s);
        printf("enrolled at %.*s as %.*s, device %016llx, area %.*s\n", STR_ARG(id->by.county),
               STR_ARG(id->by.person_name), (unsigned long long)id->by.device, STR_ARG(id->by.area));
        fprintf(stderr, "Next: `doorstep sync` fetches forms, rules and households.\n");
        code = 0;
    }
    store_close(s);
    return code;
}

const struct cli_command command_enrol = {
    .name = "enrol",
    .arguments = "CODE [--centre URL] [--root FINGERPRINT]",
    .summary = "make this device known to a centre",
    .example = "doorstep enrol 7K2M-94QX-BT3N-5 --centre http://127.0.0.1:8080 --root \"7F3A 09C2 11D0 5E6B "
               "88A1 0C4D 92EF 3B57\"",
    .run = run_enrol,
};

/* ---- sync ---- */

static void show_progress(void *self, const struct deliver_progress *p)
{
    (void)self;
    if (p->wait_ms > 0)
        fprintf(stderr, "\rno connection, next try in %lld s; %llu bytes wait        ",
                (long long)((p->wait_ms + 999) / 1000), (unsigned long long)p->bytes_waiting);
    else
        fprintf(stderr,
                "\r%llu frames delivered, %llu bytes left, %llu changes and %llu objects received        ",
                (unsigned long long)p->totals.frames_receipted, (unsigned long long)p->bytes_waiting,
                (unsigned long long)p->totals.changes_received,
                (unsigned long long)p->totals.objects_received);
    fflush(stderr);
}

static void print_totals(const struct sync_totals *t, bool json)
{
    const char *format = json
                             ? "{\"frames_sent\":%llu,\"frames_receipted\":%llu,\"frames_quarantined\":%llu,"
                               "\"changes_received\":%llu,\"objects_received\":%llu,"
                               "\"bytes_up\":%llu,\"bytes_down\":%llu,\"exchanges\":%llu,\"failures\":%llu}\n"
                             : "frames sent %llu, with receipt %llu, set aside by the centre %llu; received "
                               "%llu changes, %llu objects; %llu bytes up, %llu bytes down, "
                               "%llu exchanges, %llu failed\n";
    printf(format, (unsigned long long)t->frames_sent, (unsigned long long)t->frames_receipted,
           (unsigned long long)t->frames_quarantined, (unsigned long long)t->changes_received,
           (unsigned long long)t->objects_received, (unsigned long long)t->bytes_up,
           (unsigned long long)t->bytes_down, (unsigned long long)t->exchanges,
           (unsigned long long)t->failures);
}

static int run_sync(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *json = NULL, *bytes = NULL, *tries = NULL, *args[1];
    const struct cli_option options[] = {
        {"--max-bytes", "N", "stop politely after so many bytes", &bytes},
        {"--tries", "N", "give up after so many failures in a row (8)", &tries},
        {"--json", NULL, "totals as JSON", &json},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct store *s = NULL;
    struct diag d = {0};
    struct deliver_options o = {0};
    struct sync_totals totals = {0};
    uint64_t tries_max = 0;

    int code = cli_parse(&command_sync, options, COUNT(options), argc, argv, args, 0, 0, &n);
    if (code >= 0)
        return code;
    if ((bytes && !str_to_u64(str_of(bytes), &o.bytes_max)) ||
        (tries && (!str_to_u64(str_of(tries), &tries_max) || tries_max > 1000))) {
        diag_set(&d, ERR_USAGE, "--max-bytes and --tries take whole numbers");
        return cli_fail("sync", ERR_USAGE, &d);
    }
    o.tries_max = (uint32_t)tries_max;
    code = open_store("sync", data, seam, &s);
    if (code >= 0)
        return code;
    if (isatty(STDERR_FILENO))
        o.progress = show_progress;
    enum err rc = deliver(s, seam, &o, &totals, &d);
    if (o.progress)
        fprintf(stderr, "\n");
    print_totals(&totals, json != NULL);
    code = rc ? cli_fail("sync", rc, &d) : 0;
    store_close(s);
    return code;
}

const struct cli_command command_sync = {
    .name = "sync",
    .arguments = "[--max-bytes N] [--json]",
    .summary = "deliver what is finalised, fetch what is new",
    .example = "doorstep sync --max-bytes 200000",
    .run = run_sync,
};

/* ---- status ---- */

static void status_json(const struct identity *id, const struct store_status *st, const struct household *h,
                        uint32_t count, const struct published *p, uint32_t published)
{
    struct buf b;
    buf_init(&b, 64u << 20);
    buf_printf(&b, "{\"enrolled\":%s,\"centre\":", id->enrolled ? "true" : "false");
    buf_put_json(&b, id->url);
    buf_printf(&b,
               ",\"device\":\"%016llx\",\"households\":%u,\"drafts\":%u,\"finalised_unsent\":%u,\"frames_"
               "waiting\":%u,\"frames_receipted\":%u,"
               "\"frames_quarantined\":%u,\"bytes_waiting\":%llu,\"objects_missing\":%u,\"changes\":%llu,"
               "\"last_contact\":",
               (unsigned long long)id->by.device, st->households, st->drafts, st->finalised_unsent,
               st->frames_waiting, st->frames_receipted, st->frames_quarantined,
               (unsigned long long)st->bytes_waiting, st->objects_missing, (unsigned long long)st->changes);
    buf_put_json(&b, st->last_contact);
    buf_put_z(&b, ",\"caseload\":[");
    for (uint32_t i = 0; i < count; i++) {
        buf_put_z(&b, i ? ",{\"code\":" : "{\"code\":");
        buf_put_json(&b, h[i].code);
        buf_put_z(&b, ",\"name\":");
        buf_put_json(&b, h[i].name);
        buf_put_z(&b, ",\"area\":");
        buf_put_json(&b, h[i].area);
        buf_put_z(&b, ",\"last_visit\":");
        buf_put_json(&b, h[i].last_visit);
        buf_put_z(&b, ",\"level\":");
        buf_put_json(&b, h[i].last_level);
        buf_printf(&b, ",\"draft\":%s}", h[i].draft ? "true" : "false");
    }
    buf_put_z(&b, "],\"published\":[");
    for (uint32_t i = 0; i < published; i++) {
        buf_put_z(&b, i ? ",{\"kind\":" : "{\"kind\":");
        buf_put_json(&b, p[i].kind);
        buf_put_z(&b, ",\"id\":");
        buf_put_json(&b, p[i].id);
        buf_put_z(&b, ",\"version\":");
        buf_put_json(&b, p[i].version);
        buf_printf(&b, ",\"held\":%s}", p[i].held ? "true" : "false");
    }
    buf_put_z(&b, "]}\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static void status_text(const struct identity *id, const struct store_status *st, const struct household *h,
                        uint32_t count, const struct published *p, uint32_t published)
{
    if (id->enrolled)
        printf("%.*s · %.*s · device %016llx · area %.*s\n", STR_ARG(id->by.county),
               STR_ARG(id->by.person_name), (unsigned long long)id->by.device, STR_ARG(id->by.area));
    else
        printf("not enrolled yet: answers are kept here until `doorstep enrol`\n");
    printf("drafts %u · finalised and not yet cut %u · frames waiting %u (%llu bytes) · with receipt %u · "
           "set aside by the centre %u\n",
           st->drafts, st->finalised_unsent, st->frames_waiting, (unsigned long long)st->bytes_waiting,
           st->frames_receipted, st->frames_quarantined);
    printf("last contact %.*s\n", STR_ARG(st->last_contact.n ? st->last_contact : STR("never")));
    if (published > 0)
        printf("\nforms, lists, rules\n");
    for (uint32_t i = 0; i < published; i++)
        printf("  %-5.*s %.*s %.*s%s\n", STR_ARG(p[i].kind), STR_ARG(p[i].id), STR_ARG(p[i].version),
               p[i].held ? "" : "  (sync fetches it)");
    if (count > 0)
        printf("\nhouseholds\n");
    for (uint32_t i = 0; i < count; i++)
        printf("  %.*s  %.*s  %.*s%s%.*s%s\n", STR_ARG(h[i].code), STR_ARG(h[i].name),
               STR_ARG(h[i].last_visit.n ? str_sub(h[i].last_visit, 0, 10) : STR("not visited")),
               h[i].last_level.n ? "  " : "", STR_ARG(h[i].last_level), h[i].draft ? "  (draft)" : "");
}

static int run_status(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *json = NULL, *check = NULL, *args[1];
    const struct cli_option options[] = {
        {"--check", NULL, "also check every page of the databases", &check},
        {"--json", NULL, "as JSON", &json},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct store *s = NULL;
    struct diag d = {0};
    struct arena a;
    struct store_status st;
    struct household *h;
    struct published *p;
    uint32_t households, published;

    int code = cli_parse(&command_status, options, COUNT(options), argc, argv, args, 0, 0, &n);
    if (code < 0)
        code = open_store("status", data, seam, &s);
    if (code >= 0)
        return code;
    arena_init(&a, WORK_MEMORY_MAX);
    enum err rc = check ? store_check(s, &d) : ERR_OK;
    if (!rc)
        rc = store_status(s, &a, &st, &d);
    if (!rc)
        rc = store_households(s, &a, &h, &households, &d);
    if (!rc)
        rc = store_published(s, &a, &p, &published, &d);
    if (rc)
        code = cli_fail("status", rc, &d);
    else {
        (json ? status_json : status_text)(store_identity(s), &st, h, households, p, published);
        code = 0;
    }
    arena_free(&a);
    store_close(s);
    return code;
}

const struct cli_command command_status = {
    .name = "status",
    .arguments = "[--json]",
    .summary = "what this device holds, and what is not delivered yet",
    .example = "doorstep status --json",
    .run = run_status,
};

/* ---- check ---- */

static void print_findings(const struct form_findings *f, const char *file)
{
    for (uint32_t i = 0; i < f->list.count; i++) {
        const struct form_finding *x = &f->list.at[i];
        printf("%s: %s:%u:%u: %.*s%s%.*s\n", x->severity == FINDING_ERROR ? "error" : "warning", file,
               x->line, x->column, STR_ARG(x->node), x->node.n ? ": " : "", STR_ARG(x->text));
    }
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
    buf_put_z(&b, ",\"findings\":[");
    for (uint32_t i = 0; i < f->list.count; i++) {
        const struct form_finding *x = &f->list.at[i];
        buf_printf(&b, "%s{\"severity\":\"%s\",\"line\":%u,\"column\":%u,\"node\":", i ? "," : "",
                   x->severity == FINDING_ERROR ? "error" : "warning", x->line, x->column);
        buf_put_json(&b, x->node);
        buf_put_z(&b, ",\"text\":");
        buf_put_json(&b, x->text);
        buf_put_char(&b, '}');
    }
    buf_put_z(&b, "]}\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static void print_summary(const struct form *form)
{
    struct form_summary m = form_summary(form);
    printf("%.*s (%.*s%s%.*s): %u questions, %u groups, %u repeats, %u calculations, %u constraints, %u "
           "languages, %u lists with %u choices\n",
           STR_ARG(form_title(form)), STR_ARG(form_id(form)), form_version(form).n ? ", version " : "",
           STR_ARG(form_version(form)), m.questions, m.groups, m.repeats, m.calculations, m.constraints,
           m.languages, m.lists, m.choices);
    for (uint32_t i = 0; i < form_resource_count(form); i++)
        printf("  wants %.*s\n", STR_ARG(form_resource(form, i)));
}

static int run_check(int argc, char **argv, struct seam *seam)
{
    const char *json = NULL, *pack_file = NULL, *args[1];
    const struct cli_option options[] = {
        {"--pack", "FILE", "also check this rule pack against the form", &pack_file},
        {"--json", NULL, "as JSON", &json},
    };
    int n;
    struct diag d = {0};
    struct arena a;
    struct buf form_bytes = {0}, pack_bytes = {0};
    struct form_findings findings = {0};
    const struct form *form = NULL;
    const struct pack *pack = NULL;

    int code = cli_parse(&command_check, options, COUNT(options), argc, argv, args, 1, 1, &n);
    if (code >= 0)
        return code;
    arena_init(&a, WORK_MEMORY_MAX);
    enum err rc = work_file(seam, args[0], &form_bytes, &d);
    if (!rc)
        rc = form_load(&a, buf_str(&form_bytes), &form, &findings, &d);
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
    code = rc ? cli_fail("check", rc, &d) : 0;
    buf_free(&form_bytes);
    buf_free(&pack_bytes);
    arena_free(&a);
    return code;
}

const struct cli_command command_check = {
    .name = "check",
    .arguments = "FORM [--pack FILE]",
    .summary = "find every mistake in a form, and in a rule pack for it",
    .example = "doorstep check household.xml",
    .run = run_check,
};
