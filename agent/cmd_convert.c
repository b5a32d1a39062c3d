/* `doorstep convert`: a workbook becomes the XForm that other tools read. What is wrong with it is told cell
 * by cell on standard error; the result goes to a file or to standard output.
 */
#include "agent/cli.h"
#include "agent/form_file.h"
#include "agent/term.h"
#include "agent/work.h"

#include <stdio.h>
#include <unistd.h>

/* Through a stream of its own, because standard error writes every character by itself. */
static void print_findings(const struct form_findings *f)
{
    FILE *out = f->list.count ? fdopen(dup(STDERR_FILENO), "w") : NULL;
    for (uint32_t i = 0; out && i < f->list.count; i++) {
        fputs(f->list.at[i].severity == FINDING_ERROR ? "error: " : "warning: ", out);
        term_put(out, f->list.at[i].text);
        fputc('\n', out);
    }
    if (out)
        fclose(out);
}

/* Beside the output, else in the folder named, else in the working folder. */
static enum err write_media(struct seam *seam, const struct xlsform_media *media, const char *out,
                            const char *dir, struct diag *d)
{
    struct buf path;
    const char *slash = out ? strrchr(out, '/') : NULL;
    enum err rc = dir ? seam->dir_make(seam->self, dir, d) : ERR_OK;
    buf_init(&path, 4096);
    if (dir)
        buf_printf(&path, "%s/", dir);
    else if (slash)
        buf_put(&path, out, (size_t)(slash - out) + 1);
    buf_put_str(&path, media->name);
    if (!rc)
        rc = path.failed ? diag_set(d, ERR_USAGE, "The folder's name is too long.")
                         : seam->file_write(seam->self, path.p, media->bytes, false, d);
    buf_free(&path);
    return rc;
}

static int run_convert(int argc, char **argv, struct seam *seam)
{
    const char *out = NULL, *dir = NULL, *args[1];
    const struct cli_option options[] = {
        {"-o", "OUT.xml", "write the XForm here instead of to standard output", &out},
        {"--media", "DIR", "write what belongs to the form (itemsets.csv) here instead of beside it", &dir},
    };
    int n;
    struct diag d = {0};
    struct arena a;
    struct buf xml = {0};
    struct xlsform_media media;
    struct form_findings findings;

    int code = cli_parse(&command_convert, options, (int)(sizeof options / sizeof *options), argc, argv, args,
                         1, 1, &n);
    if (code >= 0)
        return code;
    arena_init(&a, WORK_MEMORY_MAX);
    enum err rc = form_file_read(seam, args[0], &a, &xml, NULL, &media, &findings, &d);
    print_findings(&findings);
    /* A form whose expressions are wrong is still what the sheets say: it is written, and the exit code
     * tells. */
    enum err written = rc == ERR_SYNTAX && xml.n ? ERR_OK : rc;
    if (!written && out)
        written = seam->file_write(seam->self, out, buf_str(&xml), false, &d);
    else if (!written && fwrite(xml.p, 1, xml.n, stdout) != xml.n)
        written = diag_set(&d, ERR_IO, "Standard output could not be written.");
    if (!written && media.name.n && (out || dir))
        written = write_media(seam, &media, out, dir, &d);
    if (written && (written != rc || !findings.error_count))
        code = cli_fail("convert", written, &d);
    else
        code = rc ? err_action(rc)->exit_code : 0;
    buf_free(&xml);
    arena_free(&a);
    return code;
}

const struct cli_command command_convert = {
    .name = "convert",
    .arguments = "IN [-o OUT.xml]",
    .summary = "turn an XLSForm (.xlsx, .csv, .md) into an XForm",
    .example = "doorstep convert household.xlsx -o household.xml",
    .run = run_convert,
};
