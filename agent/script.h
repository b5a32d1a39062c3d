/* Scripts of answers (examples/README.md): one answer a line, REF, tab, VALUE; lines that begin with @ are
 * commands. Applied to a session of whatever host; the caller is told after each line, so that it can commit
 * what changed before the next one.
 */
#ifndef DOORSTEP_AGENT_SCRIPT_H
#define DOORSTEP_AGENT_SCRIPT_H

#include "forms/session.h"

struct script {
    const struct form *form;
    struct session *session;
    struct arena *a;  /* for unescaped values and the judgement */
    const char *file; /* for messages */
    void *self;
    /* Each may be NULL. */
    enum err (*after_line)(void *self, struct diag *d);
    void (*before_answer)(void *self, struct place p); /* the question is at hand */
    enum err (*comment)(void *self, struct place p, struct str text, struct diag *d);
    enum err (*position)(void *self, struct str position, struct diag *d);
    /* Keeps the file at `path` and gives the name to answer. */
    enum err (*attach)(void *self, struct str path, struct arena *a, struct str *name_out, struct diag *d);
    /* results */
    uint32_t line, answers;
    struct str judgement; /* of the last @judgement line */
};

/* Stops at the first line that cannot be carried out, and names file and line. */
enum err script_run(struct script *s, struct str text, struct diag *d) MUST_USE;

#endif
