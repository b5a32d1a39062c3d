/* Changes: the only thing that travels. A household, an interview, a member of the roster, a visit, a
 * finding, an assignment are rows with ids made offline; a change says (row, field) := value, with who, when
 * and what its author had seen.
 *
 * Always true: a change never changes once it has a sequence number; (device, incarnation, seq) names it for
 * ever. See docs/WIRE.md for the bytes.
 */
#ifndef DOORSTEP_SYNC_CHANGE_H
#define DOORSTEP_SYNC_CHANGE_H

#include "platform/base/arena.h"
#include "platform/base/buf.h"

/* device 0 is the centre. counter counts from 1 within (device, incarnation). */
struct row_id {
    uint64_t device;
    uint32_t inc;
    uint32_t counter;
};
#define ROW_ID_SIZE 16 /* big-endian, so that bytes sort like numbers */
void row_id_write(struct row_id id, unsigned char out[static ROW_ID_SIZE]);
bool row_id_read(struct str bytes, struct row_id *out);
static inline bool row_id_same(struct row_id a, struct row_id b)
{
    return a.device == b.device && a.inc == b.inc && a.counter == b.counter;
}

/* Incarnation `inc` of a device goes on where `from` was: what `from` changed up to `upto` is its own. */
struct heir {
    uint64_t device;
    uint32_t inc, from;
    uint64_t upto;
};

enum change_op {
    CHANGE_SET = 0,
    CHANGE_CLEAR = 1,
    CHANGE_ROW_DELETE = 2, /* on field 0 */
    CHANGE_ROW_CREATE = 3, /* on field 0; value is a row_birth */
    CHANGE_RESOLVE = 4,    /* closes a conflict with this value */
    CHANGE_FINALISE = 5    /* on a visit row, field 0: all of this visit up to this seq belongs together */
};

struct change {
    uint64_t seq; /* from 1, per (device, incarnation); the centre's own changes use its server sequence */
    struct row_id row;
    uint32_t field; /* 0 = the row itself */
    enum change_op op;
    uint8_t status;  /* of the answer: enum answer_status as a number; 0 = plain */
    uint32_t person; /* who, as numbered by the centre; 0 = nobody (imports) */
    uint8_t role;
    int64_t hlc;      /* hybrid logical clock: milliseconds << 16 | counter */
    uint64_t seen;    /* downlink cursor of the author when the change was made */
    struct str value; /* text, or bytes for ROW_CREATE */
};

/* What happens when values of one answer meet that their authors had not seen of each other. A form says it
 * (bind ds:policy, docs/FORMS-extras.md); the stable number that the centre gives the field carries it, so
 * that a merge needs nothing but the change, and an author cannot claim another one. */
enum field_policy {
    POLICY_KEEP,      /* one is shown, the others are kept until somebody decides */
    POLICY_REVIEW,    /* the same, but nothing may be finished or approved over it */
    POLICY_UNION,     /* of lists of words: all words count */
    POLICY_IMMUTABLE, /* the first one stays; later ones are kept as attempts; only a decision replaces it */
    POLICY_VISIT      /* it belongs to the visit, or follows from other answers: nobody needs to decide */
};
#define FIELD_POLICIES 5
#define FIELD_POLICY_NUMBERS 250000u /* stable numbers of one policy: 1..249999, 250001..499999 ... */
static inline enum field_policy field_policy(uint32_t field)
{
    uint32_t policy = field / FIELD_POLICY_NUMBERS;
    return policy < FIELD_POLICIES ? (enum field_policy)policy : POLICY_KEEP;
}
/* "keep", "review", "union", "immutable", "visit". False: no such policy. */
const char *field_policy_name(enum field_policy policy);
bool field_policy_read(struct str name, enum field_policy *out);

/* What a row is. Numbers are for ever. */
enum row_kind {
    ROW_HOUSEHOLD = 1,  /* the tracked case; fields: enum household_field */
    ROW_INTERVIEW = 2,  /* one form's answers about one household (or about nobody: parent none); fields: the
                           form's stable field numbers (fieldmap.h) */
    ROW_REPEAT = 3,     /* one instance of a repeat of an interview; fields as the interview's */
    ROW_VISIT = 4,      /* one visit that changed an interview, its parent; fields: enum visit_field */
    ROW_FINDING = 5,    /* one risk finding of a visit; fields: enum finding_field */
    ROW_ASSIGNMENT = 6, /* a household handed to a person or device */
    ROW_DEPARTMENT = 7, /* a department's record about a household; fields: enum department_field */
    ROW_PUBLISHED = 8,  /* a form, list or pack that devices should hold; fields: enum published_field */
    ROW_COMMENT = 9, /* what was said beside an answer; its parent is the visit; fields: enum comment_field */
    ROW_LEAD = 10,   /* a sign of risk that somebody verifies; its parent is the household; enum lead_field */
    ROW_ENTITY = 11, /* what one visit said about one entity of a list (ODK entities); its parent is the
                       visit; fields: enum entity_field. The entity as it is now follows from all of them. */
    ROW_STEP = 12,   /* one step that was taken about a lead, its parent; enum step_field */
    ROW_INDICATOR = 13, /* what was seen of one indicator of a lead, its parent; enum indicator_field */
    ROW_REVIEW = 14,    /* what the centre decided about a visit, its parent; enum review_field. What it says
                           of single questions are comments below it */
    ROW_EVENT = 15      /* what became of a household as a case, its parent; enum event_field */
};

struct row_birth {
    enum row_kind kind;
    struct row_id parent;    /* all zero = none */
    uint32_t number;         /* REPEAT: form repeat number; else 0 */
    int64_t order;           /* REPEAT: position key among siblings */
    unsigned char object[8]; /* INTERVIEW: first of SHA-256(form id), the same for all versions; else zero */
};
/* Bytes of a birth, as a ROW_CREATE's value. */
enum err row_birth_write(struct buf *b, const struct row_birth *birth);
bool row_birth_read(struct str bytes, struct row_birth *out);

enum household_field {
    HOUSEHOLD_CODE = 1,
    HOUSEHOLD_AREA = 2,
    HOUSEHOLD_NAME = 3,
    HOUSEHOLD_ADDRESS = 4,
    HOUSEHOLD_CATEGORY = 5,
    HOUSEHOLD_POSITION = 6,
    HOUSEHOLD_PHONE = 7,
    /* Only the county says these two. */
    HOUSEHOLD_STATUS = 8, /* "" = in the register; "merged", "closed", "erased" */
    HOUSEHOLD_INTO = 9    /* the household that stands for a merged one: its row id, 32 hex digits */
};
/* Rows never change their parent: what was captured about a merged household stays below it, and the
 * pointer says where to look, so that it does not matter what came first. */
enum event_field {
    EVENT_CODE =
        1,        /* "split", "split-off", "merge", "merged", "move", "correct", "close", "reopen", "erase" */
    EVENT_AT = 2, /* ISO instant */
    EVENT_PERSON = 3, /* number */
    EVENT_OTHER = 4,  /* the other household: its row id, 32 hex digits */
    EVENT_REMARK = 5,
    EVENT_MEMBERS = 6, /* of a split: who went, as people say it */
    EVENT_BEFORE = 7   /* what it replaced: the area before a move, the value before a correction */
};
enum review_field {
    REVIEW_STATE = 1,    /* "has_issues", "rejected", "approved" */
    REVIEW_BY_LEVEL = 2, /* "village", "township", "county" */
    REVIEW_AT = 3,       /* ISO instant */
    REVIEW_PERSON = 4,   /* number */
    REVIEW_NAME = 5,     /* of that person, for whoever reads it offline */
    REVIEW_COMMENT = 6
};
enum visit_field {
    VISIT_FORM = 1,    /* object hash, 64 hex digits */
    VISIT_TYPE = 2,    /* see docs: monitoring, patrol, ... free text from the assignment */
    VISIT_STARTED = 3, /* ISO instant */
    VISIT_ENDED = 4,
    VISIT_PERSON = 5,   /* number */
    VISIT_INSTANCE = 6, /* instanceID; "uuid:" and the hex of the visit's own row id travels for nothing */
    VISIT_XML_HASH =
        7, /* of the submission XML, see visit_check_write: the centre rebuilds it and compares */
    VISIT_JUDGEMENT = 8, /* the person's own judgement, given before any finding was shown */
    VISIT_PACK = 9,      /* object hash of the rule pack */
    VISIT_LEVEL = 10,    /* highest severity of its findings: "red", "yellow", "blue"; "unknown" when nothing
                            was hit but something cannot be judged; "none" */
    VISIT_LANGUAGE = 11,
    VISIT_POSITION = 12,
    VISIT_AUDIT = 13,  /* the log of the interview, as ODK's audit.csv; only where the form asks for it */
    VISIT_DEPT = 15,   /* which of the departments' values it was judged by: see dept_mark() */
    VISIT_UNKNOWN = 14 /* what its submission holds outside repeats and its form does not know, JSON:
                          [["path of the element around it", "XML"], ...]; a deprecatedID, for instance */
};
/* What a visit says of its submission: "h" and the first bytes of the SHA-256 in hexadecimal. It guards
 * against a mistake in the rebuilding, not against forgery (the frame is signed), and travels with every
 * visit. */
#define VISIT_CHECK_BYTES 2
#define VISIT_CHECK_SIZE (1 + 2 * VISIT_CHECK_BYTES)
void visit_check_write(const unsigned char sha256[static 32], char out[static VISIT_CHECK_SIZE]);
enum comment_field {
    COMMENT_TEXT = 1,
    COMMENT_PLACE = 2, /* as people read it, "/survey/member[2]/age", at that moment */
    COMMENT_ROW = 3,   /* id of the row that holds the answer: 32 hex digits */
    COMMENT_FIELD = 4, /* its stable number */
    COMMENT_AT = 5     /* ISO instant */
};
enum entity_field {
    ENTITY_DATASET = 1,
    ENTITY_ID = 2,     /* UUID */
    ENTITY_ACTION = 3, /* "create", "update" or "upsert" (an update that may create) */
    ENTITY_LABEL = 4,  /* "" in an update: unchanged */
    ENTITY_VALUES = 5, /* JSON object of texts: what was said; "" clears */
    ENTITY_BASE = 6,   /* version that its author saw */
    ENTITY_TRUNK = 7,  /* version of the centre's that the author's branch began with, "" = none */
    ENTITY_BRANCH = 8  /* UUID */
};
enum finding_field {
    FINDING_RULE = 1,
    FINDING_SEVERITY = 2,
    FINDING_STATE = 3, /* "hit" or "unknown" */
    FINDING_TEXT_ZH = 4,
    FINDING_TEXT_EN = 5,
    FINDING_INPUTS = 6, /* JSON */
    FINDING_PACK = 7,
    FINDING_PACK_VERSION = 8,
    FINDING_PARAMS = 9 /* JSON */
};
/* A lead is made once and hardly changed; what becomes of it are rows of their own below it, so that two who
 * work on it never overwrite each other. Codes of channels and steps: risk/clock.h. */
enum lead_field {
    LEAD_CHANNEL = 1,
    LEAD_OPENED = 2,     /* ISO date or instant */
    LEAD_DEADLINE = 3,   /* ISO date, as a department asks */
    LEAD_SOURCE = 4,     /* which department */
    LEAD_INDICATORS = 5, /* JSON object: the evidence by name, as in department_field */
    LEAD_NOTE = 6,
    LEAD_PERSON = 7 /* number; "" = the centre */
};
enum step_field {
    STEP_CODE = 1,
    STEP_AT = 2,     /* ISO date or instant */
    STEP_PERSON = 3, /* number */
    STEP_REMARK = 4,
    STEP_RESULT = 5,    /* "confirmed", "refuted", "partly" */
    STEP_CATEGORY = 6,  /* suggested: code of the rule pack */
    STEP_FOLLOW_UP = 7, /* what is to be done */
    STEP_OF_VISIT = 8,  /* id of the visit's row: 32 hex digits */
    STEP_PHOTO = 9      /* name of an attachment, linked to this row: the meeting, the notice on the wall */
};
enum indicator_field {
    INDICATOR_NAME = 1,
    INDICATOR_RESULT = 2, /* "confirmed", "refuted", "unclear" */
    INDICATOR_NOTE = 3,
    INDICATOR_PHOTO = 4,    /* name of an attachment, linked to this row */
    INDICATOR_POSITION = 5, /* "latitude longitude [altitude [accuracy]]" */
    INDICATOR_AT = 6,       /* ISO instant */
    INDICATOR_PERSON = 7,   /* number */
    INDICATOR_OF_VISIT = 8
};
enum assignment_field {
    ASSIGNMENT_DEVICE = 1,
    ASSIGNMENT_PERSON = 2,
    ASSIGNMENT_DUE = 3,
    ASSIGNMENT_FORM = 4,
    ASSIGNMENT_TYPE = 5
};
enum department_field {
    DEPARTMENT_SOURCE = 1,
    DEPARTMENT_AS_OF = 2,
    DEPARTMENT_VALUES = 3 /* JSON object, names as in the rule pack */
};
enum published_field {
    PUBLISHED_KIND = 1 /* "form" "list" "pack" */,
    PUBLISHED_ID = 2,
    PUBLISHED_VERSION = 3,
    PUBLISHED_HASH = 4,
    PUBLISHED_SIZE = 5,
    PUBLISHED_STATE = 6 /* "live" "retired" */,
    PUBLISHED_TITLE = 7,
    PUBLISHED_FIELDS = 8, /* a form's fieldmap text */
    PUBLISHED_AREAS = 9   /* prefixes between spaces, of the areas that have it before all others; "" = all */
};

/* Hybrid logical clock: milliseconds since 1970 << 16 | counter. Never goes back, and follows the wall clock
 * when that is ahead, in ticks of 128 ms: nobody answers faster, and a tick saves a byte for each change on
 * the wire. */
#define HLC_TICK_MS 128
int64_t hlc_next(int64_t hlc_last, int64_t wall_ms, int64_t received_max);
/* The same or, within a tick, the next whole one: shorter on the wire. */
int64_t hlc_whole_tick(int64_t hlc);
/* The clock a change is ranked by: at most 180 days ahead of the frame's own trusted time (the last time that
 * the centre signed, and what passed since then; -1 counts as 0), so that a wild clock cannot win for ever. A
 * pure function of the frame, never of when it arrived. anchor_ms 0: an author without one, such as the
 * centre itself; no bound. */
int64_t hlc_effective(int64_t hlc, int64_t anchor_ms, int64_t elapsed_ms);

#endif
