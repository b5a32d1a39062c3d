/* A session: one interview being held. Holds the instance (answers, relevance, violations), applies each
 * answer once through the dependency graph, and says what changed, so that the store can commit it before
 * anyone says "saved".
 *
 * Always true between two calls: every calculation, relevance, readonly, required and constraint is up to
 * date; the violation set covers the whole form; values of non-relevant nodes are kept and invisible.
 * Rejected input changes nothing. The session never writes anywhere and reads no clock: the host gives it
 * both.
 */
#ifndef DOORSTEP_FORMS_SESSION_H
#define DOORSTEP_FORMS_SESSION_H

#include "forms/expr.h"
#include "forms/form.h"
#include "forms/list.h"

struct session;

/* Given by the host; `self` is passed back. All but now_ms may be NULL. */
struct session_host {
    void *self;
    int64_t (*now_ms)(void *self);
    const struct zone *zone; /* NULL = UTC */
    enum err (*random)(void *self, void *out, size_t n);
    /* For digest() and text seeds of randomize(): algorithm "MD5", "SHA-1", "SHA-256", "SHA-384" or
     * "SHA-512". */
    enum err (*digest)(void *self, struct str algorithm, struct str data, unsigned char out[64],
                       size_t *n_out);
    struct str (*property)(void *self,
                           struct str name); /* deviceid, username, phonenumber ... "" when unknown */
    /* Bytes of an external resource: valid while the session lives. ERR_NOT_FOUND: the list is empty and a
     * warning is kept. */
    enum err (*resource)(void *self, struct str uri, struct str *bytes_out, struct diag *d);
    /* Large lists that stay with the host (forms/list.h); what it does not offer is asked of `resource`. */
    const struct list_host *lists;
};

/* An answer that is not an answer (RULINGS): kept, exported, UNKNOWN to rules. */
enum answer_status { ANSWER_NONE, ANSWER_GIVEN, ANSWER_DONT_KNOW, ANSWER_REFUSED, ANSWER_PARTIAL };

/* A saved interview coming back from the store, row by row: first all rows (parents before children), then
 * cells. */
struct saved_row {
    uint64_t key; /* row key, unique in this interview; the interview itself has key 0 and is not listed */
    uint64_t parent_key;
    uint32_t repeat; /* form_repeat number */
    int64_t order;   /* position among siblings, ascending */
};
struct saved_cell {
    uint64_t key; /* 0 = the interview itself */
    uint32_t field;
    struct str value;
    enum answer_status status;
};

/* Something that a submission holds and the form does not know: an element, or an attribute with a space
 * before it, as text. `path`: the element it stands in, without positions. */
struct saved_unknown {
    uint64_t key;
    struct str path;
    struct str xml;
};

/* A new interview runs preloads and odk-instance-first-load; a saved one only odk-instance-load. `saved`
 * arrays may be empty. `row_key_next`: first key free for new repeat instances. The session lives in `a`,
 * keeps `form` and `host`. */
struct session_options {
    const struct form *form;
    const struct session_host *host;
    bool resume;
    /* A further visit to the same record: earlier answers come back as `rows` and `cells`, those of fields
     * marked `fresh` are left out (they are cleared as changes), preloads run again, instanceID becomes new
     * and, where the form has one, deprecatedID the old one. Implies resume. */
    bool revisit;
    /* What was sent is being edited: rows, cells and `unknown` are those of submission_read, instanceID
     * becomes new and deprecatedID the old one (added where the form has none). ERR_STATE without an old
     * instanceID. Implies resume; the draft of an edit resumes without it. */
    bool edit;
    /* As recorded: no events, no calculations, answers are refused; relevance is evaluated, so that the
     * submission XML and rules see what the device saw. For the centre and for earlier visits. Implies
     * resume. */
    bool frozen;
    const struct saved_row *rows;
    uint32_t row_count;
    const struct saved_cell *cells;
    uint32_t cell_count;
    const struct saved_unknown *unknown;
    uint32_t unknown_count;
    uint64_t row_key_next;
    /* What instanceID becomes when it becomes new; "" = it is drawn. */
    struct str instance_id;
    uint32_t language; /* form language index */
    size_t memory_max; /* 0 = limits.h */
    /* Fuel (expr.h) of the calculations of one change: beyond it, what costs much keeps the value it has, and
     * a warning is kept. 0 = limits.h. */
    uint64_t work_max;
};
enum err session_open(struct arena *a, const struct session_options *o, struct session **session_out,
                      struct diag *d) MUST_USE;
void session_close(struct session *s); /* accepts NULL */

/* What went wrong without stopping anything: a list that is not there or cannot be read. */
uint32_t session_warnings(struct session *s, const struct str **warnings_out);

/* Every change since the last session_changes_clear, in order, coalesced by (row, field). Texts live until
 * the clear. */
enum session_op { SESSION_SET, SESSION_CLEAR, SESSION_ROW_ADD, SESSION_ROW_REMOVE };
struct session_change {
    enum session_op op;
    uint64_t key;        /* row; for ROW_ADD and ROW_REMOVE the repeat instance itself */
    uint64_t parent_key; /* ROW_ADD */
    uint32_t repeat;     /* ROW_ADD */
    int64_t order;       /* ROW_ADD */
    uint32_t field;      /* SET, CLEAR */
    struct str value;    /* SET */
    enum answer_status status;
    bool calculated;
};
uint32_t session_changes(struct session *s, const struct session_change **changes_out);
void session_changes_clear(struct session *s);

/* A place in the interview is named by text such as "/monitor/member[2]/age" (positions from 1 on repeat
 * steps; left out = 1). The same text serves people, scripts, JSON and tests. `key` is unmoved by removals
 * before it. */
struct place {
    uint64_t key;   /* row */
    uint32_t field; /* or UINT32_MAX when it is a group or repeat */
    uint32_t node;  /* schema node, private */
    uint32_t frame; /* private */
};
enum err session_place(struct session *s, struct str ref, struct place *place_out,
                       struct diag *d) MUST_USE; /* ERR_NOT_FOUND */
struct str session_ref(struct session *s, struct place p, struct arena *a);
/* Fields that wait for the host: a position (setgeopoint) or a recording. The host answers them; asking
 * clears the list. */
uint32_t session_requests(struct session *s, struct arena *a, struct place **places_out);
enum request_kind { REQUEST_POSITION, REQUEST_RECORDING };
struct session_request {
    enum request_kind kind;
    struct str quality; /* RECORDING: "voice-only", "low", "normal", "external" as the form says, or "" */
};
struct session_request session_request(const struct session *s, struct place p);

/* Gives an answer as its text ("female", "2026-11-23", "12.5", "a b c"); "" clears. Returns ERR_SYNTAX when
 * it cannot be of the type, ERR_STATE when the question is read-only or not relevant, ERR_USAGE when a choice
 * does not exist, ERR_LIMIT beyond a cap; and ERR_CORRUPT is never used. When the constraint does not hold
 * nothing changes and ERR_SYNTAX carries the author's message; _forced keeps it all the same and leaves the
 * violation standing (for drafts); what cannot be of the type or is not among the choices leaves the question
 * empty there, and the error says why. */
enum err session_answer(struct session *s, struct place p, struct str value, struct diag *d) MUST_USE;
enum err session_answer_forced(struct session *s, struct place p, struct str value, struct diag *d) MUST_USE;
enum err session_answer_status(struct session *s, struct place p, enum answer_status status,
                               struct diag *d) MUST_USE;
enum err session_repeat_add(struct session *s, struct place repeat_or_parent, uint32_t repeat,
                            struct place *added_out, struct diag *d) MUST_USE;
enum err session_repeat_remove(struct session *s, struct place p, struct diag *d) MUST_USE;
enum err session_language(struct session *s, uint32_t language, struct diag *d) MUST_USE;

/* Walking. A stop is one screen of a question-by-question interview; groups with appearance field-list are
 * one stop. Only relevant ones. */
enum stop_kind { STOP_START, STOP_QUESTION, STOP_FIELD_LIST, STOP_REPEAT, STOP_END };
struct stop {
    enum stop_kind kind;
    struct place place; /* QUESTION, FIELD_LIST: the group; REPEAT: asks "add another?" after the last
                           instance: parent's place */
    uint32_t repeat;    /* REPEAT */
    uint32_t count;     /* REPEAT: instances there are */
    bool can_add;       /* REPEAT */
};
struct stop session_stop(struct session *s);
struct stop session_next(struct session *s); /* stays at STOP_END */
struct stop session_prev(struct session *s); /* stays at STOP_START */
enum err session_jump(struct session *s, struct place p, struct diag *d) MUST_USE;
/* Questions inside a field-list stop (or the one question), in order. */
uint32_t session_stop_questions(struct session *s, struct arena *a, struct place **places_out);

/* What a screen shows of one place. Texts live in `a`. */
enum control_kind {
    CONTROL_NONE,
    CONTROL_INPUT,
    CONTROL_SELECT_ONE,
    CONTROL_SELECT_MANY,
    CONTROL_RANK,
    CONTROL_RANGE,
    CONTROL_UPLOAD,
    CONTROL_TRIGGER,
    CONTROL_GROUP,
    CONTROL_REPEAT
};
struct question_view {
    struct str ref;
    enum control_kind control;
    enum field_type type;
    struct str label, hint, guidance, appearance, mediatype;
    struct str image, big_image, audio, video; /* of the label: "jr://images/x.png", "" = none */
    struct str value;
    enum answer_status status;
    bool relevant, required, readonly, answered;
    bool violated;      /* constraint does not hold, or required and empty, or no longer among its choices */
    struct str message; /* when violated */
    struct str group;   /* labels of the groups around it, " › " between; repeats with the entry's number */
    struct str range_start, range_end, range_step;
};
enum err session_view(struct session *s, struct place p, struct arena *a, struct question_view *view_out,
                      struct diag *d) MUST_USE;
/* What the entries are called that a STOP_REPEAT asks about, "" when the form does not say. */
struct str session_repeat_label(struct session *s, const struct stop *st, struct arena *a);
struct choice_view {
    struct str value, label;
    struct str image; /* as in question_view; "" = none */
    bool selected;
};
/* Choices after filters and randomize, from `skip` on, at most `limit`; *total_out counts all. */
enum err session_choices(struct session *s, struct place p, uint32_t skip, uint32_t limit, struct arena *a,
                         struct choice_view **choices_out, uint32_t *count_out, uint32_t *total_out,
                         struct diag *d) MUST_USE;

/* At most `limit` of those whose label or value begins with `prefix`, for typing into a long list. */
enum err session_choices_starting(struct session *s, struct place p, struct str prefix, uint32_t limit,
                                  struct arena *a, struct choice_view **choices_out, uint32_t *count_out,
                                  struct diag *d) MUST_USE;

/* Everything that stands in the way of finalising, in document order. */
uint32_t session_violations(struct session *s, struct arena *a, struct place **places_out);

/* Raw reading for rules, exports and tests: value of any field of any row (also non-relevant: *relevant_out
 * tells). */
struct str session_value(struct session *s, struct place p, bool *relevant_out);
/* For progress: false for what is shown only; else whether there is an answer, or one that is none. */
bool session_counts(struct session *s, struct place p, bool *answered_out);
/* Instances of a repeat under a parent place, in order. */
uint32_t session_instances(struct session *s, struct place parent, uint32_t repeat, struct arena *a,
                           struct place **places_out);
/* The primary instance as a tree, and an evaluation set up to run over it (rules, `doorstep expr` inside an
 * interview). */
void session_eval(struct session *s, struct eval *e, struct arena *scratch);

/* Finalise: timestamp end, xforms-revalidate, then all violations must be gone (ERR_STATE with the first
 * otherwise). After it, answers are refused. */
enum err session_finalise(struct session *s, struct diag *d) MUST_USE;

/* The submission XML: relevant nodes only, attributes kept, in schema order. Draft form keeps everything. The
 * same session state always gives the same bytes. */
enum err session_xml(struct session *s, bool draft, struct buf *out, struct diag *d) MUST_USE;
/* Reads such XML into saved rows and cells for a form: import, re-reading a submission at the centre. Keys
 * count up from row_key_next. */
struct saved_interview {
    struct saved_row *rows;
    uint32_t row_count;
    struct saved_cell *cells;
    uint32_t cell_count;
    struct saved_unknown *unknown;
    uint32_t unknown_count;
};
/* What a draft must keep beside rows and cells, because it came with a submission. */
uint32_t session_unknown(struct session *s, struct arena *a, struct saved_unknown **unknown_out);
enum err submission_read(struct arena *a, const struct form *form, struct str xml, uint64_t row_key_next,
                         struct saved_interview *out, struct diag *d) MUST_USE;

#endif
