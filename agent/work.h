/* Work: one interview under way. Joins the form, the session, the store and the rule pack, so that screens
 * and scripts have four verbs: open, save after each answer, finish, close.
 */
#ifndef DOORSTEP_AGENT_WORK_H
#define DOORSTEP_AGENT_WORK_H

#include "agent/lists.h"
#include "forms/audit.h"
#include "forms/xlsform.h"

#define WORK_MEMORY_MAX (768u << 20)
#define WORK_FILE_MAX (256u << 20)

struct work_options {
    struct store *store;
    const struct seam *seam;
    const struct zone *zone;
    const char *form;      /* a file, or the id of a published form */
    const char *pack;      /* a file; NULL = the published pack for this form, if any */
    const char *household; /* code; NULL = none */
    const char *type;      /* of the visit; NULL = "monitoring" with a household, else "" */
    const char *language;  /* of the form, or a prefix of its name; NULL = the form's default */
    bool fresh;            /* begin anew although a draft is there */
    const char *edit;      /* correct what was sent: a household's code, or an instanceID; NULL = no */
    const char *reason;    /* why it is corrected, where the form wants to know */
    const char *position;  /* "LAT LON [ALT [ACC]]" where the device is; NULL = it cannot tell */
};

/* An urgent finding, told while the interview goes on. */
struct work_alert {
    struct str rule, zh, en;
    enum severity severity;
};

struct work {
    struct work_options o;
    struct arena arena;
    const struct form *form;
    struct fieldmap map;
    struct visit_start start;
    struct visit visit;
    struct session_host host;
    struct session *session;
    struct household household;
    bool has_household;
    bool draft;              /* goes on with a draft */
    bool from_file;          /* the form is a file, not a published one */
    bool finalised;          /* the session is; perhaps not yet the store */
    const struct pack *pack; /* NULL = none */
    struct buf form_bytes, pack_bytes;
    struct xlsform_media own_list; /* inside the form's file */
    unsigned char pack_hash[SHA256_SIZE];
    struct lists lists;
    struct finished_visit sent; /* with `edit` by instanceID: the one that is meant */
    struct audit *audit;        /* NULL = the form wants no log */
    struct buf log_text;        /* rows of it that are being saved */
    bool log_full;
    VEC(struct visit_comment) comments; /* not saved yet */
    struct form_findings findings;      /* of the form, then of the pack */
    VEC(struct str) notes;              /* sentences to show before the first question */
    /* of work_judge.c */
    struct judge *judge;       /* NULL = there is no pack, or it could not be applied */
    struct arena judge_memory; /* of what it tells */
    struct session *prev;      /* the visit before, NULL = none */
    struct judge_input basis;  /* what is judged by besides the answers, as known at the beginning */
    bool basis_read;
    int64_t judged_ms;             /* when work_judge() last was */
    VEC(struct work_alert) alerts; /* in the order in which they came to hold; show each once */
};

/* On failure everything is released; work_close accepts a zeroed struct. `w` must stay where it is while
 * open. */
enum err work_open(struct work *w, const struct work_options *o, struct diag *d) MUST_USE;
void work_close(struct work *w);

/* Commits what the session changed, with the comments given and the log so far, after what the form asked of
 * the device has been answered as far as it can be. When it fails the changes stay with the session and go
 * with the next save. */
enum err work_save(struct work *w, struct diag *d) MUST_USE;
/* Something said beside an answer; saved with the next save. */
/* Where the device is, from now on: "LAT LON [ALT [ACC]]". ERR_SYNTAX when it is no position. */
enum err work_position(struct work *w, struct str position, struct diag *d) MUST_USE;
enum err work_comment(struct work *w, struct place p, struct str text, struct diag *d) MUST_USE;

/* Judges the answers as they are (no finalising). `j` lives in `a`. ERR_NOT_FOUND when no pack is at hand. */
enum err work_judge(struct work *w, struct arena *a, struct judgement *j, struct diag *d) MUST_USE;

/* Finalises: the session, then the judgement with `own_judgement` beside it, then the store. After ERR_OK the
 * interview is on its way. */
struct work_result {
    bool judged;
    struct judgement judgement; /* in `a` */
    struct str instance_id;
    size_t xml_size;
    uint32_t entities; /* changes to entities that it made */
};
enum err work_finish(struct work *w, struct arena *a, struct str own_judgement, struct work_result *out,
                     struct diag *d) MUST_USE;

/* A draft goes over to the newest version of its form that is here. `dry`: nothing is written. The plan lives
 * in the arena of `w`, which is given zeroed and closed with work_close, failed or not. ERR_NOT_FOUND: no
 * draft; ERR_STATE: it has that version already. */
struct work_migration {
    const struct form *from, *to;
    struct migration_plan plan;
};
enum err work_migrate(struct work *w, const struct work_options *o, bool dry, struct work_migration *out,
                      struct diag *d) MUST_USE;

/* Is this language of a form Chinese? "中文 (zh)", "zh-Hans". */
bool work_is_chinese(struct str language);

/* Reads a file through the seam, capped. */
enum err work_file(const struct seam *seam, const char *path, struct buf *out, struct diag *d) MUST_USE;

#endif
