/* The command line of `doorstep`: options from a table, help from the same table, errors that say what to do
 * next.
 *
 * Every command is a row: name, one-line summary, usage, example. Output for programs goes to standard output
 * as JSON when asked; messages, progress and prompts go to standard error.
 */
#ifndef DOORSTEP_AGENT_CLI_H
#define DOORSTEP_AGENT_CLI_H

#include "agent/store.h"

struct cli_option {
    const char *name;       /* "--answers" */
    const char *value_name; /* "FILE"; NULL = a flag */
    const char *help;
    const char **value; /* set when given; for flags, set to "" */
};

struct cli_command {
    const char *name;
    const char *arguments; /* "FORM" */
    const char *summary;
    const char *example;
    int (*run)(int argc, char **argv,
               struct seam *seam); /* argv[0] is the command's name; returns an exit code */
};

/* Reads options wherever they stand; the rest goes to `arguments` (at most `max`). Returns -1 to go on, else
 * an exit code (0 after --help). */
int cli_parse(const struct cli_command *c, const struct cli_option *options, int option_count, int argc,
              char **argv, const char **arguments, int min, int max, int *count_out);

/* Prints the diag and what to do next to standard error; returns the exit code of its cause. */
int cli_fail(const char *command, enum err rc, const struct diag *d);

/* The store in the data directory, with times in the zone named (NULL = the machine's). What belongs to it
 * lives in `a`. Returns -1 to go on, else an exit code: the failure is told. */
int cli_store_open(const char *command, struct arena *a, const char *data, const char *zone_name,
                   struct seam *seam, const struct zone **zone_out, struct store **store_out);

/* The data directory: the option, $DOORSTEP_DATA, else under $XDG_DATA_HOME or $HOME. Lives in `a`. */
enum err cli_data_dir(struct arena *a, const char *option, const char **dir_out, struct diag *d) MUST_USE;
bool cli_chinese(const char *option); /* option "zh" or "en", else the locale's language */
/* "3 h 20 min", "12 days". */
void cli_duration(int64_t ms, bool zh, char out[static 40]);

extern const struct cli_command command_fill, command_check, command_enrol, command_sync, command_status,
    command_convert, command_export, command_courier, command_conflicts, command_resolve, command_lead,
    command_serve;
int cmd_expr(int argc, char **argv, struct seam *seam);
int cmd_risk(int argc, char **argv, struct seam *seam);

#endif
