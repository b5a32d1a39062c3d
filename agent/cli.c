/* See cli.h. */
#include "agent/cli.h"

#include "agent/term.h"
#include "platform/posix/posix_seam.h"

#include <stdio.h>
#include <stdlib.h>

static void print_help(const struct cli_command *c, const struct cli_option *options, int count)
{
    printf("doorstep %s %s\n  %s\n", c->name, c->arguments, c->summary);
    if (count > 0)
        printf("\nOptions:\n");
    for (int i = 0; i < count; i++) {
        char left[48];
        snprintf(left, sizeof left, "%s%s%s", options[i].name, options[i].value_name ? " " : "",
                 options[i].value_name ? options[i].value_name : "");
        printf("  %-24s %s\n", left, options[i].help);
    }
    printf("\nExample:\n  %s\n", c->example);
}

static const struct cli_option *find_option(const struct cli_option *options, int count, const char *name,
                                            size_t n)
{
    for (int i = 0; i < count; i++)
        if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
            return &options[i];
    return NULL;
}

int cli_parse(const struct cli_command *c, const struct cli_option *options, int option_count, int argc,
              char **argv, const char **arguments, int min, int max, int *count_out)
{
    int usage = err_action(ERR_USAGE)->exit_code;
    int n = 0;
    bool plain = false;

    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (plain || word[0] != '-' || word[1] == '\0') {
            if (n == max) {
                fprintf(
                    stderr,
                    "doorstep %s: one argument too many: %s\n`doorstep %s --help` shows how it is used.\n",
                    c->name, word, c->name);
                return usage;
            }
            arguments[n++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            plain = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(c, options, option_count);
            return 0;
        }
        const char *equals = strchr(word, '=');
        const struct cli_option *o = find_option(options, option_count, word,
                                                 equals ? (size_t)(equals - word) : strlen(word));
        if (!o || (equals && !o->value_name)) {
            fprintf(stderr, "doorstep %s: no option %s\n`doorstep %s --help` lists them.\n", c->name, word,
                    c->name);
            return usage;
        }
        if (!o->value_name) {
            *o->value = "";
        } else if (equals) {
            *o->value = equals + 1;
        } else if (i + 1 < argc) {
            *o->value = argv[++i];
        } else {
            fprintf(stderr, "doorstep %s: %s needs a value: %s %s\n", c->name, o->name, o->name,
                    o->value_name);
            return usage;
        }
    }
    if (n < min) {
        fprintf(
            stderr,
            "doorstep %s: something is missing. It is used like this:\n  doorstep %s %s\nExample:\n  %s\n",
            c->name, c->name, c->arguments, c->example);
        return usage;
    }
    *count_out = n;
    return -1;
}

int cli_fail(const char *command, enum err rc, const struct diag *d)
{
    enum err code = d && d->code ? d->code : rc;
    const struct err_action *action = err_action(code);
    const char *todo = cli_chinese(NULL) ? action->todo_zh : action->todo_en;
    const char *text = d && d->text[0] ? d->text : action->name;

    fprintf(stderr, "doorstep %s: ", command);
    if (d && d->text[0] && d->line && d->column)
        fprintf(stderr, "line %u, column %u: ", d->line, d->column);
    else if (d && d->text[0] && d->line)
        fprintf(stderr, "line %u: ", d->line);
    term_put(stderr, str_of(text));
    fputc('\n', stderr);
    if (strcmp(text, action->todo_en) != 0)
        fprintf(stderr, "  %s\n", todo);
    return action->exit_code;
}

/* Days and clocks are the county's, wherever the handheld's own clock was set up. A zone that this machine
 * has no table of leaves the machine's. */
static enum err take_county_zone(struct arena *a, struct store *s, const struct zone **zone, struct diag *d)
{
    struct str name;
    struct diag quiet = {0};
    enum err rc = store_county_zone(s, a, &name, d);
    const char *z = rc || !name.n ? NULL : arena_z(a, name);
    if (z && posix_zone_load(a, z, zone, &quiet) == ERR_OK)
        store_zone(s, *zone);
    return rc;
}

int cli_store_open(const char *command, struct arena *a, const char *data, const char *zone_name,
                   struct seam *seam, const struct zone **zone_out, struct store **store_out)
{
    struct diag d = {0};
    const char *dir = NULL;

    enum err rc = cli_data_dir(a, data, &dir, &d);
    if (!rc)
        rc = posix_zone_load(a, zone_name, zone_out, &d);
    if (!rc)
        rc = store_open(dir, seam, *zone_out, store_out, &d);
    if (!rc && !zone_name)
        rc = take_county_zone(a, *store_out, zone_out, &d);
    return rc ? cli_fail(command, rc, &d) : -1;
}

void cli_duration(int64_t ms, bool zh, char out[static 40])
{
    long long minutes = (ms < 0 ? -ms : ms) / 60000;
    if (minutes >= 48 * 60)
        snprintf(out, 40, zh ? "%lld 天" : "%lld days", minutes / (24 * 60));
    else if (minutes >= 60)
        snprintf(out, 40, zh ? "%lld 小时 %lld 分" : "%lld h %lld min", minutes / 60, minutes % 60);
    else
        snprintf(out, 40, zh ? "%lld 分钟" : "%lld min", minutes);
}

enum err cli_data_dir(struct arena *a, const char *option, const char **dir_out, struct diag *d)
{
    const char *base = option ? option : getenv("DOORSTEP_DATA");
    const char *tail = "";

    if (!base || !*base) {
        base = getenv("XDG_DATA_HOME");
        tail = "/doorstep";
    }
    if (!base || !*base) {
        base = getenv("HOME");
        tail = "/.local/share/doorstep";
    }
    if (!base || !*base)
        return diag_set(d, ERR_USAGE, "no data directory: give --data DIR or set DOORSTEP_DATA");
    struct buf b;
    buf_init(&b, 4000);
    buf_put_z(&b, base);
    buf_put_z(&b, tail);
    *dir_out = b.failed ? NULL : arena_z(a, buf_str(&b));
    buf_free(&b);
    return *dir_out ? ERR_OK : diag_set(d, ERR_USAGE, "the data directory's path is too long");
}

bool cli_chinese(const char *option)
{
    if (option)
        return strcmp(option, "zh") == 0;
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *v = getenv(names[i]);
        if (v && *v)
            return strncmp(v, "zh", 2) == 0;
    }
    return false;
}
