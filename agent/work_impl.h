/* Shared by work.c (opening, saving), work_log.c (what is noted beside answers), work_finish.c and
 * work_migrate.c. Private to them.
 */
#ifndef DOORSTEP_AGENT_WORK_IMPL_H
#define DOORSTEP_AGENT_WORK_IMPL_H

#include "agent/work.h"
#include "forms/encrypt.h"
#include "platform/base/json.h"

/* A sentence to show the person. */
void work_note(struct work *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Opening, step by step; each fills in its part of `w`. */
enum err work_household(struct work *w, struct diag *d) MUST_USE;
enum err work_form_source(struct work *w, struct diag *d) MUST_USE; /* form_bytes and their hash */
enum err work_form_load(struct work *w, struct diag *d) MUST_USE;   /* of form_bytes */
enum err work_form_keep(struct work *w, struct diag *d) MUST_USE;   /* one from a file */
/* The stable numbers of its fields, as the centre gave them out; "" where it never did. */
enum err work_fieldmap(struct work *w, bool *published_out, struct str *out, struct diag *d) MUST_USE;
enum err work_map_read(struct work *w, struct str text, struct fieldmap *out, struct diag *d) MUST_USE;
enum err work_lists(struct work *w, struct diag *d) MUST_USE; /* and the session's host */

/* A judge beside the interview (work_judge.c): never in the way of an answer. */
void work_judge_open(struct work *w);
void work_judge_touch(struct work *w); /* after answers were saved */
void work_judge_close(struct work *w);

enum err work_log_open(struct work *w, struct diag *d) MUST_USE;
struct str work_log_text(struct work *w); /* complete rows that are not saved yet */
void work_log_saved(struct work *w);
void work_log_leave(struct work *w); /* the draft is left: its log is kept with it */
/* Positions and recordings that the form wants now. */
enum err work_requests(struct work *w, struct diag *d) MUST_USE;

#endif
