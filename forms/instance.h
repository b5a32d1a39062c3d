/* Inside a session: the instance as frames of cells, and the queue of what must be computed anew.
 *
 * A frame is one repeat instance (frame 0 is the interview). It has one cell for every schema node of its
 * class and one ordered list per repeat directly below it: the instances in use, and behind them those that a
 * smaller jr:count put aside. A cell counts how many of its ancestors-or-self are
 * irrelevant: it is visible at 0. Always true: cell.typed is only read when CELL_TYPED is set; a violated
 * cell stands in session->violations.
 */
#ifndef DOORSTEP_FORMS_INSTANCE_H
#define DOORSTEP_FORMS_INSTANCE_H

#include "forms/model.h"
#include "forms/regex.h"

enum cell_flags {
    CELL_IRRELEVANT = 1, /* its own relevance is false */
    CELL_REQUIRED = 2,
    CELL_READONLY = 4,
    CELL_TYPED = 8,
    CELL_BROKEN = 16, /* violated by its constraint or choices, not only by being empty */
};

struct cell {
    struct str text;
    uint32_t room; /* bytes owned in the pool; 0 = the text is the form's */
    uint16_t hidden;
    uint8_t flags;
    uint8_t status;     /* enum answer_status */
    uint32_t change;    /* place in session->changes, from 1; 0 = unchanged */
    uint32_t violation; /* place in session->violations, from 1; 0 = fine */
    struct value typed;
};

/* What a node last brought into the tallies above it (tally.c). */
struct share {
    double number;
    uint8_t flags;
};

struct tally {
    uint32_t present, given, numbers, inexact;
    int64_t units; /* sum and sum of absolute values of the exact shares */
    uint64_t magnitude;
    double sum, low, high; /* where `known` says so */
    uint8_t known;
};

/* See order.c. */
struct frame_list {
    uint32_t *at;           /* slots: frame numbers, NONE = hole; then as many counts */
    uint32_t used, room;    /* slots */
    uint32_t active, aside; /* entries in use; entries put aside, from the end of the slots */
    uint32_t recounts;      /* jr:count evaluations in the transaction `counted_in` */
    uint32_t counted_in;
};

struct frame {
    uint32_t number, class, parent;
    uint32_t slot; /* in its list; put aside: how many were before it */
    uint64_t key;
    int64_t order;
    bool surplus;
    uint32_t change; /* ROW_ADD in session->changes, from 1 */
    struct cell *cells;
    struct frame_list *lists;
    struct tally *tallies;
    struct share *shares;
    uint64_t *dirty; /* by prop.bit */
    bool *picked;    /* by pick.slot: its condition holds */
};

/* What evaluating a property was seen to cost. */
struct cost {
    bool walks; /* it puts the text of a container together */
    bool much;  /* it looks through many nodes */
};

struct pending {
    uint32_t *at; /* frame numbers */
    uint32_t count, room;
    uint32_t whole; /* all frames below the frame of this number - 1 are in it; 0 = not known */
    struct cost cost;
};

struct change_entry {
    enum session_op op;
    bool dead;
    uint32_t frame, node;
    uint64_t key, parent_key;
    uint32_t repeat;
    int64_t order;
};

struct cell_id {
    uint32_t frame, node;
};

struct primary {
    struct tree tree; /* first, so that the tree is the session's */
    struct session *session;
};

/* What the form does not know but a submission had. The bytes before `next` are its place. */
struct unknown_node {
    uint64_t key;
    uint32_t node;
    uint32_t next; /* at the same place, from 1; 0 = none */
    struct str xml;
};
struct unknown_list {
    struct saved_unknown *at;
    uint32_t count, room;
};
#define UNKNOWN_MAX 10000

struct cursor {
    enum stop_kind kind;
    uint32_t control, frame; /* REPEAT: the repeat control and the parent's frame */
};

struct session {
    const struct form *form;
    const struct session_host *host;
    struct str instance_id; /* to be given out once; "" = it is drawn */
    struct arena arena;     /* everything that lives as long as the session */
    struct arena scratch;   /* of one evaluation, rolled back */
    struct arena told;      /* texts of session_changes, until the clear */
    struct pool pool;
    struct primary primary;
    const struct tree **trees;  /* 0 = primary, then form->resources */
    struct node *roots;         /* what instance('id') gives, by tree */
    VEC(struct frame *) frames; /* by number; NULL = free */
    VEC(uint32_t) frames_free;
    uint32_t frames_alive;
    struct pending *pending; /* by property */
    struct pending spare;
    uint64_t *pending_bits;
    uint32_t pending_low; /* no set bit below this word */
    uint32_t running;     /* property under evaluation, NONE */
    struct eval work;     /* of the properties under evaluation */
    uint64_t walked;      /* nodes of containers' texts put together since this change began */
    uint64_t worked;      /* fuel that calculations and actions have spent since then */
    uint64_t work_max;
    struct regex_cache regexes;
    uint32_t transaction;
    VEC(struct cell_id) violations;
    VEC(struct change_entry) changes;
    VEC(struct session_change) changes_told;
    VEC(struct cell_id) triggered; /* cells with value-changed actions to run; `frame` still alive or not */
    VEC(struct str) warnings;
    VEC(struct unknown_node) unknown;
    struct map unknown_at;     /* by place: number of the first, from 1 */
    VEC(struct place) located; /* setgeopoint and the like wait for the host */
    uint64_t row_key_next;
    int64_t now_ms;
    uint32_t language;
    struct cursor at;
    bool *unpicked; /* by pick: some condition of it could not be computed; NULL = none so far */
    bool loading;   /* events of value-changed wait until the first computation is done */
    bool resumed;   /* saved values of volatile calculations stand */
    bool finalised;
    bool frozen;
    bool tallying;  /* tallies hold; before the first is asked for, nothing is counted */
    bool supposing; /* a cell holds a text that is only being asked about */
    bool broken;    /* memory ran out in the middle: nothing can be trusted */
};

static inline struct frame *frame_at(const struct session *s, uint32_t number)
{
    return number < s->frames.count ? s->frames.at[number] : NULL;
}
static inline const struct schema_node *node_at(const struct session *s, uint32_t node)
{
    return &s->form->nodes.at[node];
}
static inline struct cell *cell_at(const struct session *s, const struct frame *f, uint32_t node)
{
    return &f->cells[node_at(s, node)->slot];
}

/* --- order.c --- */

enum err order_add(struct session *s, struct frame_list *l, uint32_t number); /* at the end; ERR_NOMEM */
void order_take_out(struct session *s, struct frame_list *l, const struct frame *f); /* one in use */
/* The last in use, and the one put aside last. The caller sets its `surplus`. */
struct frame *order_put_aside(struct session *s, struct frame_list *l);
struct frame *order_take_back(struct session *s, struct frame_list *l);
uint32_t order_position(const struct frame_list *l, const struct frame *f);
/* Slot of the entry in use at a position; `used` when there are fewer. */
uint32_t order_slot(const struct frame_list *l, uint32_t position);
void order_sort(struct session *s, struct frame_list *l); /* by frame.order; all are in use, without holes */
void order_free(struct session *s, struct frame_list *l);

/* The first slot at or behind `slot` that holds an entry in use; `used` at the end. In document order:
 * for (uint32_t i = entry_from(l, 0); i < l->used; i = entry_from(l, i + 1)) ... l->at[i] */
static inline uint32_t entry_from(const struct frame_list *l, uint32_t slot)
{
    while (slot < l->used && l->at[slot] == NONE)
        slot++;
    return slot;
}
/* The same with those put aside behind them; ends at `room`. */
static inline uint32_t any_entry_from(const struct frame_list *l, uint32_t slot)
{
    slot = entry_from(l, slot);
    return slot >= l->used && slot < l->room - l->aside ? l->room - l->aside : slot;
}

/* --- instance.c --- */

/* A frame appended to its list, visible as its parent is, all its properties waiting. ERR_LIMIT or ERR_NOMEM.
 */
enum err frame_add(struct session *s, uint32_t class, uint32_t parent, uint64_t key, int64_t order,
                   struct frame **frame_out, struct diag *d);
/* A new row with the texts and nested rows of its blueprint, reported as changes. */
enum err frame_create(struct session *s, uint32_t class, uint32_t parent, struct frame **frame_out,
                      struct diag *d);
enum err frame_fill(struct session *s, struct frame *f,
                    struct diag *d); /* blueprint of a frame that is there */
void frame_remove(struct session *s, struct frame *f);
void frame_set_surplus(struct session *s, struct frame *f, bool surplus);
uint32_t frame_position(const struct session *s, const struct frame *f); /* from 0 */
/* Its slot; of one put aside the end of those in use. */
uint32_t entry_slot(const struct session *s, const struct frame *f);
struct frame_list *frame_list(const struct session *s, const struct frame *parent, uint32_t class);
const struct frame *frame_up(const struct session *s, const struct frame *f, uint32_t class);
/* Document order: <0, 0, >0. */
int frame_compare(struct session *s, const struct frame *a, const struct frame *b);

/* Replaces the text. Does not tell anyone. */
enum err cell_put(struct session *s, struct cell *c, struct str text);
/* Replaces text and status, records the change and wakes those who depend on it. */
enum err cell_set(struct session *s, struct frame *f, uint32_t node, struct str text,
                  enum answer_status status);
void cell_set_relevant(struct session *s, struct frame *f, uint32_t node, bool relevant);
void cell_set_violated(struct session *s, struct frame *f, uint32_t node, bool violated);
bool cell_readonly(const struct session *s, const struct frame *f, uint32_t node); /* inherited */

/* --- tally.c --- */

/* The cell may have another value or visibility. */
void tally_update(struct session *s, struct frame *f, uint32_t node);
/* The same for all cells of a frame; not `there`: it is about to go. */
void tally_frame(struct session *s, struct frame *f, bool there);
/* A condition of the frame came out differently. */
void tally_pick(struct session *s, struct frame *f, const struct pick *pick);
/* False when no tally is kept of it. */
bool tally_read(struct session *s, const struct frame *from, const struct expr_kept *kept, struct value *out);

/* --- recompute.c --- */

void mark_prop(struct session *s, uint32_t prop, struct frame *f);
void mark_frame(struct session *s, struct frame *f); /* all properties of a frame */
/* The node has another visibility, comes or goes: wakes its readers. */
void touch(struct session *s, struct frame *f, uint32_t node);
void touch_value(struct session *s, struct frame *f, uint32_t node); /* it has another value */
/* Does anything inside an entry ask where it stands? */
bool position_is_read(const struct form *f, uint32_t class);
void touch_position(struct session *s, const struct frame *f); /* wakes those */
void touch_frame(struct session *s, struct frame *f);
/* Until nothing waits: properties, then actions of value-changed, and again. */
enum err recompute(struct session *s, struct diag *d);
enum err run_event(struct session *s, uint32_t event);
enum err run_insert_actions(struct session *s, struct frame *f);
enum err add_row(struct session *s, uint32_t class, struct frame *parent, struct frame **frame_out,
                 struct diag *d);
/* Would the text satisfy the constraint? Puts it in place for the moment of the question. */
enum err constraint_holds(struct session *s, struct frame *f, uint32_t node, struct str text,
                          bool *holds_out);

/* --- session.c --- */

enum err preload_frame(struct session *s, struct frame *f, struct diag *d);
/* The frame of a place; NULL when it is gone. */
struct frame *place_frame(const struct session *s, struct place p);
struct place place_of(const struct session *s, const struct frame *f, uint32_t node);
/* May it be changed at all? Takes the time of the operation. */
enum err session_ready(struct session *s, struct diag *d);

enum err session_new_uuid(struct session *s, struct arena *a, struct str *out, struct diag *d);

/* Keeps a sentence for session_warnings, once. */
void session_warn(struct session *s, struct str text);

/* --- edit.c --- */

struct xml_doc;
/* Keeps an element or attribute that stands in `node` of row `key`. ERR_LIMIT beyond UNKNOWN_MAX. */
enum err unknown_element(struct arena *a, const struct form *f, const struct xml_doc *doc, uint32_t element,
                         uint64_t key, uint32_t node, struct unknown_list *list);
enum err unknown_attribute(struct arena *a, const struct form *f, const struct node_name *name,
                           struct str value, uint64_t key, uint32_t node, struct unknown_list *list);
enum err unknown_load(struct session *s, const struct session_options *o);
enum err edit_begin(struct session *s, struct diag *d);
/* Writes what stands at a place: its elements, or its attributes. */
void unknown_put(const struct session *s, const struct frame *f, uint32_t node, bool elements,
                 struct buf *out);
bool unknown_inside(const struct session *s, const struct frame *f, uint32_t node);

/* --- answer.c --- */

/* Is the text of the type as it stands, nothing of it lost? Choices and constraints are not looked at. */
bool answer_fits(struct arena *a, enum field_type type, struct str text);

/* `broken`: by constraint or choices; else required and empty. */
struct str violation_message(struct session *s, const struct frame *f, uint32_t node, bool broken,
                             struct arena *a);

/* --- primary.c --- */

void primary_init(struct session *s);
/* The frame of a class as seen from another frame: the instance around it, else the first one; NULL when
 * there is none. */
const struct frame *frame_seen(const struct session *s, const struct frame *from, uint32_t class);
struct value cell_value(struct session *s, const struct frame *f, uint32_t node, bool rules);
/* Runs an expression bound to a node in a frame. Trouble inside gives an empty text; only ERR_NOMEM comes
 * back. */
enum err evaluate(struct session *s, struct arena *scratch, const struct expr *x, struct node context,
                  struct value *out);
void eval_init(struct session *s, struct eval *e, struct arena *scratch);
struct eval eval_for(struct session *s, struct arena *scratch);
/* The same in an evaluation that is set up already. */
enum err evaluate_in(struct eval *e, const struct expr *x, struct node context, struct value *out);
/* Text of a value for a node of this type. */
struct str value_for_node(struct session *s, struct eval *e, uint32_t node, const struct value *v);

/* --- walk.c --- */

/* The place of a group without a path: its control number with this bit. */
#define PLACE_CONTROL 0x80000000u
/* The control of a place, NONE when it has none. */
uint32_t place_control(const struct session *s, struct place p);

/* The frame is about to go: steps back out of it. */
void cursor_leave(struct session *s, const struct frame *f);

/* --- view.c --- */

struct str label_text(struct session *s, const struct label *label, enum text_form form, struct node context,
                      struct arena *a);
struct str text_in_language(struct session *s, uint32_t text, enum text_form form, struct node context,
                            struct arena *a);
/* Is the text (or each word of it, for select-multiple) among the choices? */
enum err choices_have(struct session *s, struct frame *f, uint32_t node, struct str text, bool *have_out);
struct str choice_label(struct session *s, struct place question, struct str value, struct arena *a);

#endif
