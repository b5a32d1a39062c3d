/* doorstep: the handheld's program. A table of commands; each says what it does and shows an example.
 */
#include "agent/cli.h"
#include "platform/db.h"
#include "platform/posix/posix_seam.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef DOORSTEP_VERSION
#define DOORSTEP_VERSION "0.1"
#endif

static const struct cli_command command_expr = {
    .name = "expr",
    .arguments = "[options] EXPRESSION",
    .summary = "evaluate one expression and print it as JSON",
    .example = "doorstep expr 'if(3 > 2, \"yes\", \"no\")'",
    .run = cmd_expr,
};
static const struct cli_command command_risk = {
    .name = "risk",
    .arguments = "judge FORM PACK --answers FILE",
    .summary = "judge a household by a rule pack and say why",
    .example = "doorstep risk judge monitoring.xform.xml pack.cn.json --answers trouble.tsv",
    .run = cmd_risk,
};

static const struct cli_command *const commands[] = {
    &command_enrol,     &command_fill,    &command_check,  &command_convert, &command_courier,
    &command_expr,      &command_risk,    &command_export, &command_sync,    &command_status,
    &command_conflicts, &command_resolve, &command_lead,   &command_serve,
};

static void print_commands(FILE *to)
{
    fprintf(to, "doorstep: household surveys at the door, offline first\n\nCommands:\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(to, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\n`doorstep COMMAND --help` shows options and an example. Data lie in --data DIR or "
                "$DOORSTEP_DATA.\n");
}

int main(int argc, char **argv)
{
    struct diag d = {0};
    struct seam seam = {0};
    struct posix_options options = {.ca_file = getenv("DOORSTEP_CA_FILE"),
                                    .log_file = getenv("DOORSTEP_LOG")};

    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_commands(argc < 2 ? stderr : stdout);
        return argc < 2 ? err_action(ERR_USAGE)->exit_code : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("doorstep %s\n", DOORSTEP_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i]->name) != 0)
            continue;
        enum err rc = crypto_init(&d);
        if (!rc)
            rc = posix_seam_open(&options, &seam, &d);
        if (!rc)
            rc = db_vfs_register(NULL);
        seam.vfs = "doorstep";
        if (rc)
            return cli_fail(argv[1], rc, &d);
        int code = commands[i]->run(argc - 1, argv + 1, &seam);
        posix_seam_close(&seam);
        return code;
    }
    fprintf(stderr, "doorstep: no command %s\n\n", argv[1]);
    print_commands(stderr);
    return err_action(ERR_USAGE)->exit_code;
}
