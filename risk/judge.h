/* Judging: one pack over one household. A hit is a lead for a person to verify, never a verdict. A check that
 * lacks an input is a finding of its own, "cannot judge: X is missing"; it never counts as safe. The same
 * pack and inputs give the same bytes on handheld and centre.
 */
#ifndef DOORSTEP_RISK_JUDGE_H
#define DOORSTEP_RISK_JUDGE_H

#include "forms/session.h"
#include "risk/pack.h"

enum severity { SEVERITY_NONE = 0, SEVERITY_BLUE, SEVERITY_YELLOW, SEVERITY_RED };
const char *severity_name(enum severity s); /* "red" */

enum finding_kind {
    KIND_RISK,
    KIND_VERIFY, /* what was told or seen differs from a record */
    KIND_PROCESS /* a time limit of the work itself */
};
const char *finding_kind_name(enum finding_kind k); /* "risk" */

enum finding_state { FINDING_HIT, FINDING_CANNOT_JUDGE };

struct finding {
    struct str rule; /* "MED01" */
    enum severity severity;
    enum finding_state state;
    enum finding_kind kind;
    bool urgent; /* the pack lets it show at once, before the person's own judgement */
    struct str name_zh, name_en;
    struct str text_zh, text_en;     /* the sentence with the values used */
    struct str values_zh, values_en; /* the values it rests on, with where each comes from */
    struct str follow_zh, follow_en; /* what to verify or do next */
    struct str inputs;               /* JSON object: every value the check read, by name; canonical */
    struct str params;               /* JSON object: parameters used, with the area and year they came from */
    struct str missing;              /* names, space-separated; CANNOT_JUDGE */
    struct str source;               /* codes of the pack */
    struct str source_zh, source_en; /* what they stand for, as far as the pack says */
};

struct judgement {
    struct finding
        *findings; /* severity descending, then pack order; hits before cannot-judge of the same severity */
    uint32_t count;
    enum severity level; /* highest hit */
    struct str category; /* suggestion: code of the pack, "" = none */
    struct str category_zh, category_en;
    struct str pack_id, pack_version;
    uint32_t checked, unknown;
    bool expired; /* the pack's validity ended before the visit */
};

struct judge_input {
    struct session *now;
    struct session *prev;  /* earlier visit's answers under the same row keys, or NULL */
    struct str prev_date;  /* ISO date of it, "" */
    struct str dept;       /* JSON object of department values, "" = none */
    struct str dept_as_of; /* ISO date, "" */
    struct str area;       /* 12-digit area code, "" = unknown */
    int64_t today;         /* civil day of the visit */
};

/* "red", "yellow", "blue": the highest hit; "unknown" when nothing was hit but something cannot be judged;
 * "none" only when everything was judged. What lists show. */
const char *judgement_level(const struct judgement *j);

/* Results live in `a`. Fuel is capped: a pack cannot freeze a handheld (ERR_LIMIT names the check). */
enum err judge_household(struct arena *a, const struct pack *p, const struct judge_input *in,
                         struct judgement *out, struct diag *d) MUST_USE;

/* The same while an interview goes on: opened once, touched after every answer, which judges again only what
 * rests on something that changed; sentences are made when they are asked for. judge_findings() after any
 * number of touches gives what judge_household() gives. The judge lives in `a`, keeps what `in` points to and
 * works on in->now as it stands. */
struct judge;
enum err judge_open(struct arena *a, const struct pack *p, const struct judge_input *in,
                    struct judge **judge_out, struct diag *d) MUST_USE;
/* *judged_out: checks that were judged again; may be NULL. After an error only judge_close. */
enum err judge_touch(struct judge *g, uint32_t *judged_out, struct diag *d) MUST_USE;
/* `urgent_only`: hits that the pack lets show before the person's own judgement. Results live in `a`. */
enum err judge_findings(struct judge *g, struct arena *a, bool urgent_only, struct judgement *out,
                        struct diag *d) MUST_USE;
void judge_close(struct judge *g); /* accepts NULL */

/* The findings page as text, in "zh" or "en"; and as one JSON object, canonical (what is compared byte for
 * byte). */
void judgement_text(const struct judgement *j, struct str language, struct buf *out);
void judgement_json(const struct judgement *j, struct buf *out);

#endif
