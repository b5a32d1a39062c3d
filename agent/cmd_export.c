/* `doorstep export`: finalised visits of this device as an ODK server or a telephone takes them. The files of
 * a visit are those that were made when it was finalised, byte for byte the same every time; with a form that
 * has a key they are its sealed files, and nothing of the visit is written in the clear.
 */
#include "agent/cli.h"
#include "agent/term.h"
#include "agent/work.h"
#include "forms/encrypt.h"
#include "forms/sms.h"

#include <stdio.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
#define SMS_BYTES_MAX (64u << 10)
#define FOLDER_NAME_MAX 120

struct exporting {
    struct store *store;
    struct seam *seam;
    struct arena *a;
    const struct zone *zone;
    const char *dir, *form, *household, *instance;
    bool sms, json;
    /* the form at hand */
    unsigned char form_hash[SHA256_SIZE];
    const struct form *loaded;
    uint32_t written, passed_over;
    struct buf out; /* JSON */
};

static enum err form_of(struct exporting *x, const struct finished_visit *v, struct diag *d)
{
    struct form_findings findings = {0};
    struct buf bytes;
    if (x->loaded && memcmp(x->form_hash, v->form_hash, SHA256_SIZE) == 0)
        return ERR_OK;
    buf_init(&bytes, WORK_FILE_MAX);
    enum err rc = store_object_get(x->store, v->form_hash, &bytes, d);
    if (!rc)
        rc = form_load(x->a, buf_str(&bytes), &x->loaded, &findings, d);
    memcpy(x->form_hash, v->form_hash, SHA256_SIZE);
    x->loaded = rc ? NULL : x->loaded;
    buf_free(&bytes);
    return rc;
}

/* ---- files ---- */

/* "uuid:1b2c..." -> "uuid1b2c..."; an instanceID is what its form made of it. */
static void put_folder_name(struct buf *b, struct str instance_id)
{
    uint32_t written = 0;
    for (size_t i = 0; i < instance_id.n && written < FOLDER_NAME_MAX; i++) {
        char c = instance_id.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                     c == '_';
        if (c == ':')
            continue;
        buf_put_char(b, plain ? c : '_');
        written++;
    }
    if (written == 0)
        buf_put_z(b, "visit");
}

static enum err write_file(struct exporting *x, struct str folder, const struct visit_file *f, struct diag *d)
{
    struct buf path;
    buf_init(&path, 8192);
    buf_put_str(&path, folder);
    buf_put_char(&path, '/');
    buf_put_str(&path, f->name);
    enum err rc = path.failed ? diag_set(d, ERR_USAGE, "the folder's path is too long")
                              : x->seam->file_write(x->seam->self, path.p, f->bytes, true, d);
    buf_free(&path);
    return rc;
}

static enum err write_visit(struct exporting *x, const struct finished_visit *v, struct diag *d)
{
    struct visit_file *files = NULL;
    uint32_t count = 0;
    struct buf folder;
    bool sealed = form_submission(x->loaded)->public_key.n > 0;
    enum err rc = store_visit_files(x->store, x->a, v->key, &files, &count, d);
    if (rc)
        return rc;
    if (count == 0) {
        x->passed_over++;
        return ERR_OK;
    }
    buf_init(&folder, 8192);
    buf_put_z(&folder, x->dir);
    buf_put_char(&folder, '/');
    put_folder_name(&folder, v->instance_id);
    rc = folder.failed ? diag_set(d, ERR_USAGE, "the folder's path is too long")
                       : x->seam->dir_make(x->seam->self, folder.p, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = write_file(x, buf_str(&folder), &files[i], d);
    if (!rc && !sealed && v->log.n)
        rc = write_file(x, buf_str(&folder), &(struct visit_file){STR("audit.csv"), v->log}, d);
    if (!rc && x->json) {
        buf_put_z(&x->out, x->written ? ",{\"instance_id\":" : "{\"instance_id\":");
        buf_put_json(&x->out, v->instance_id);
        buf_put_z(&x->out, ",\"folder\":");
        buf_put_json(&x->out, buf_str(&folder));
        buf_printf(&x->out, ",\"encrypted\":%s}", sealed ? "true" : "false");
    } else if (!rc) {
        term_put(stdout, buf_str(&folder));
        fputc('\n', stdout);
    }
    x->written += !rc;
    buf_free(&folder);
    return rc;
}

/* ---- short messages ---- */

static int64_t host_now(void *self)
{
    struct exporting *x = self;
    return x->seam->wall_ms(x->seam->self);
}

/* As it was finalised; a form without tags has no message. */
static enum err message_of(struct exporting *x, struct str xml, struct buf *text, bool *any_out,
                           struct diag *d)
{
    const struct session_host host = {.self = x, .now_ms = host_now, .zone = x->zone};
    struct saved_interview saved = {0};
    struct session *session = NULL;
    struct diag why = {0};
    enum err rc = submission_read(x->a, x->loaded, xml, 1, &saved, d);
    const struct session_options o = {.form = x->loaded,
                                      .host = &host,
                                      .frozen = true,
                                      .rows = saved.rows,
                                      .row_count = saved.row_count,
                                      .cells = saved.cells,
                                      .cell_count = saved.cell_count,
                                      .row_key_next = (uint64_t)saved.row_count + 1};
    if (!rc)
        rc = session_open(x->a, &o, &session, d);
    if (!rc)
        rc = session_sms(session, text, &why);
    session_close(session);
    *any_out = !rc;
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    return rc && why.code ? diag_set(d, rc, "%s", why.text) : rc;
}

static enum err say_visit(struct exporting *x, const struct finished_visit *v, struct diag *d)
{
    struct visit_file *files = NULL;
    uint32_t count = 0;
    struct buf text;
    bool any = false;
    enum err rc = store_visit_files(x->store, x->a, v->key, &files, &count, d);
    if (!rc && (count == 0 || form_submission(x->loaded)->public_key.n > 0)) {
        x->passed_over++;
        return ERR_OK;
    }
    buf_init(&text, SMS_BYTES_MAX);
    if (!rc)
        rc = message_of(x, files[0].bytes, &text, &any, d);
    if (!rc && any && x->json) {
        buf_put_z(&x->out, x->written ? ",{\"instance_id\":" : "{\"instance_id\":");
        buf_put_json(&x->out, v->instance_id);
        buf_put_z(&x->out, ",\"sms\":");
        buf_put_json(&x->out, buf_str(&text));
        buf_put_char(&x->out, '}');
    } else if (!rc && any) {
        term_put(stdout, buf_str(&text));
        fputc('\n', stdout);
    }
    x->written += !rc && any;
    x->passed_over += !rc && !any;
    buf_free(&text);
    return rc;
}

/* ---- which ones ---- */

static enum err each_visit(struct exporting *x, struct diag *d)
{
    struct finished_visit *list = NULL;
    uint32_t count = 0;
    enum err rc = store_finished(x->store, x->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        const struct finished_visit *v = &list[i];
        if (!v->files || (x->household && !str_eq_z(v->household_code, x->household)) ||
            (x->instance && !str_eq_z(v->instance_id, x->instance)))
            continue;
        rc = form_of(x, v, d);
        if (!rc && (!x->form || str_eq_z(form_id(x->loaded), x->form)))
            rc = x->sms ? say_visit(x, v, d) : write_visit(x, v, d);
    }
    return rc;
}

static void tell(const struct exporting *x, bool zh)
{
    if (x->json) {
        printf("{\"visits\":[%.*s],\"passed_over\":%u}\n", STR_ARG(buf_str(&x->out)), x->passed_over);
        return;
    }
    if (x->passed_over > 0 && x->sms)
        fprintf(stderr,
                zh ? "%u 次走访没有短信：表单没有短信标记，或表单要求加密\n"
                   : "%u visits have no message: their form has no tags, or asks for encryption\n",
                x->passed_over);
    else if (x->passed_over > 0)
        fprintf(stderr,
                zh ? "%u 次走访不能导出：无法按表单的要求加密\n"
                   : "%u visits are not exported: they could not be encrypted as their form asks\n",
                x->passed_over);
    if (x->written == 0)
        fprintf(stderr, "%s\n", zh ? "没有可导出的走访" : "there is nothing to export");
}

static int run_export(int argc, char **argv, struct seam *seam)
{
    struct exporting x = {.seam = seam};
    const char *data = NULL, *lang = NULL, *json = NULL, *sms = NULL, *args[1];
    const struct cli_option options[] = {
        {"--odk", "DIR", "a folder for each visit: submission.xml and what belongs to it", &x.dir},
        {"--sms", NULL, "a short message for each visit, where its form has tags for one", &sms},
        {"--form", "ID", "only visits with this form", &x.form},
        {"--household", "CODE", "only visits to this household", &x.household},
        {"--instance", "ID", "only this visit", &x.instance},
        {"--json", NULL, "what was exported, as JSON", &json},
        {"--lang", "zh|en", "language of the messages", &lang},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct arena a;
    struct diag d = {0};

    int code = cli_parse(&command_export, options, COUNT(options), argc, argv, args, 0, 0, &n);
    if (code >= 0)
        return code;
    x.sms = sms != NULL;
    x.json = json != NULL;
    if (x.sms == (x.dir != NULL)) {
        diag_set(&d, ERR_USAGE, "give --odk DIR or --sms");
        return cli_fail("export", ERR_USAGE, &d);
    }
    bool zh = cli_chinese(lang);
    arena_init(&a, WORK_MEMORY_MAX);
    x.a = &a;
    buf_init(&x.out, 64u << 20);
    code = cli_store_open("export", &a, data, NULL, seam, &x.zone, &x.store);
    if (code < 0) {
        enum err rc = each_visit(&x, &d);
        code = rc ? cli_fail("export", rc, &d) : 0;
        if (!rc)
            tell(&x, zh);
    }
    store_close(x.store);
    buf_free(&x.out);
    arena_free(&a);
    return code;
}

const struct cli_command command_export = {
    .name = "export",
    .arguments = "--odk DIR | --sms [--form ID] [--household CODE]",
    .summary = "finalised visits as an ODK server or a telephone takes them",
    .example = "doorstep export --odk out --form household_monitoring",
    .run = run_export,
};
