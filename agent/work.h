/* Work: one interview under way. Joins the form, the session, the store and the rule pack, so that screens
 * and scripts have four verbs: open, save after each answer, finish, close.
 */
#ifndef DOORSTEP_AGENT_WORK_H
#define DOORSTEP_AGENT_WORK_H

#include "agent/list_store.h"
#include "agent/store.h"

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
    unsigned char pack_hash[SHA256_SIZE];
    VEC(struct buf) resources;
    struct list_store *lists;      /* large lists; NULL = all are read into memory */
    struct form_findings findings; /* of the form, then of the pack */
    VEC(struct str) notes;         /* sentences to show before the first question */
};

/* On failure everything is released; work_close accepts a zeroed struct. `w` must stay where it is while
 * open. */
enum err work_open(struct work *w, const struct work_options *o, struct diag *d) MUST_USE;
void work_close(struct work *w);

/* Commits what the session changed. When it fails the changes stay with the session and go with the next
 * save. */
enum err work_save(struct work *w, struct diag *d) MUST_USE;

/* Judges the answers as they are (no finalising). `j` lives in `a`. ERR_NOT_FOUND when no pack is at hand. */
enum err work_judge(struct work *w, struct arena *a, struct judgement *j, struct diag *d) MUST_USE;

/* Finalises: the session, then the judgement with `own_judgement` beside it, then the store. After ERR_OK the
 * interview is on its way. */
struct work_result {
    bool judged;
    struct judgement judgement; /* in `a` */
    struct str instance_id;
    size_t xml_size;
};
enum err work_finish(struct work *w, struct arena *a, struct str own_judgement, struct work_result *out,
                     struct diag *d) MUST_USE;

/* Is this language of a form Chinese? "中文 (zh)", "zh-Hans". */
bool work_is_chinese(struct str language);

/* Reads a file through the seam, capped. */
enum err work_file(const struct seam *seam, const char *path, struct buf *out, struct diag *d) MUST_USE;

#endif
