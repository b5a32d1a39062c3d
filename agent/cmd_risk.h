/* What the commands of `doorstep risk` share. */
#ifndef DOORSTEP_AGENT_CMD_RISK_H
#define DOORSTEP_AGENT_CMD_RISK_H

#include "platform/seam.h"
#include "risk/pack.h"

/* A pack's or form's mistakes, a line each, on standard error. */
void risk_print_findings(const char *file, const struct form_findings *f);
enum err risk_file_read(struct seam *seam, const char *path, size_t max, struct buf *out,
                        struct diag *d) MUST_USE;
/* A pack that reads a table; `lookup` is the option's text, NULL = none. */
enum err risk_table_pack(struct arena *a, struct seam *seam, const char *path, const char *lookup,
                         const struct pack **out, struct diag *d) MUST_USE;
/* --date, else today. */
enum err risk_day(struct seam *seam, const char *date, int64_t *day_out, struct diag *d) MUST_USE;

int cmd_risk_score(int argc, char **argv, struct seam *seam);
int cmd_risk_quality(int argc, char **argv, struct seam *seam);
int cmd_risk_backtest(int argc, char **argv, struct seam *seam);
int cmd_risk_simulate(int argc, char **argv, struct seam *seam);

#endif
