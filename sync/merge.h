/* Merge: what a record is, given a set of changes, in whatever order they came. The same C on device and
 * centre, over any store.
 *
 * c1 dominates c2 when the same author (device, incarnation) made it later, or when its author had seen c2
 * (c2.server_seq <= c1.seen), or through a chain of these. An incarnation that goes on where another one of
 * its device was is its heir: what it inherited counts as made by the same author, earlier. The versions
 * nobody dominates are kept; the one with the highest (effective clock, device, incarnation, seq) is shown;
 * when the others differ in value they are a conflict, kept until a resolving change has seen them. A delete
 * wins only over what it dominates.
 *
 * Why order does not matter. Per cell and author it is enough to keep the last sequence and the highest
 * `seen` of all that was ever applied, also of what was dominated: the mark. Of an author's changes only the
 * last can be undominated. A chain that ends in an author's last change ends with a `seen` edge, because an
 * edge within one author would need a later change; so that last change is dominated exactly when the mark of
 * another author has seen its server sequence. And a change that arrives after its dominator was itself
 * dominated is still recognised: by the author's mark when a later change of the same author came first (even
 * if that one is long gone: this closes the chain "seen, then same author"), by the other authors' marks when
 * it had been seen. Marks are maxima, and maxima do not know an order.
 *
 * What keeps a cell from becoming empty: an author cannot have seen what came after its own change, so `seen`
 * is cut to below the change's own server sequence, and among last changes the one with the highest server
 * sequence then has no dominator. An author who lies (a `seen` that goes down as its sequence goes up) can
 * build a circle; the highest-ranked version then stays, and only in that case the order may show.
 *
 * Policies (change.h) come with the field's number and are functions of what is kept, so they do not know an
 * order either. Review and union keep what keep keeps: the one bars finishing, the other shows the words of
 * all. An immutable cell keeps every change that was ever made to it: the first is shown, that is the one
 * whose author had seen none before it (the lowest-ranked, when several began without seeing each other,
 * which is a conflict); what came after it is an attempt; only a resolving change replaces it.
 *
 * Births are apart: the first ROW_CREATE by the row's own creator is what the row is, whatever happens to it.
 */
#ifndef DOORSTEP_SYNC_MERGE_H
#define DOORSTEP_SYNC_MERGE_H

#include "sync/change.h"

struct version {
    uint64_t device;
    uint32_t inc;
    uint64_t seq;
    int64_t hlc; /* effective */
    uint64_t seen;
    uint64_t server_seq; /* 0 = not known to the centre yet */
    enum change_op op;
    uint8_t status;
    uint32_t person;
    uint8_t role;
    struct str value;
};

/* What was ever applied to one cell by one author. */
struct version_mark {
    uint32_t field;
    uint64_t device;
    uint32_t inc;
    uint64_t seq;  /* the last */
    uint64_t seen; /* the highest */
};

/* One row's state, unpacked: cells by ascending field, each with its maximal versions, the shown one first.
 * Lives in an arena. */
struct record_cell {
    uint32_t field;
    struct version *versions;
    uint32_t count;
};
struct record {
    struct row_id row;
    struct record_cell *cells;
    uint32_t count;
    bool born;
    struct version birth; /* its value: see record_birth() */
    /* private */
    struct version_mark *marks; /* by field, device, incarnation */
    uint32_t mark_count;
    uint32_t cell_room, mark_room;
    struct heir *heirs; /* by device, inc, from */
    uint32_t heir_count, heir_room;
};

enum merge_result { MERGE_SHOWN, MERGE_KEPT_BESIDE, MERGE_DOMINATED, MERGE_DUPLICATE };

/* `packed` "" = a new row. Texts point into `packed`. */
enum err record_unpack(struct arena *a, struct row_id row, struct str packed, struct record *out,
                       struct diag *d) MUST_USE;
enum err record_pack(const struct record *r,
                     struct buf *out) MUST_USE; /* canonical: equal states, equal bytes */
/* c's own hlc is not looked at. A duplicate with a server sequence tells it to a version that had none. The
 * change's value must live as long as `r`. ERR_NOMEM, or ERR_LIMIT when an immutable answer was attempted
 * more than IMMUTABLE_ATTEMPTS_MAX times. */
#define IMMUTABLE_ATTEMPTS_MAX 1000
enum err record_apply(struct arena *a, struct record *r, const struct change *c, uint64_t device,
                      uint32_t inc, int64_t hlc_effective, uint64_t server_seq,
                      enum merge_result *result_out) MUST_USE;
const struct record_cell *record_cell(const struct record *r, uint32_t field); /* NULL when absent */
struct str record_value(const struct record *r, uint32_t field); /* shown; "" when absent or cleared */
/* What a cell answers, its policy taken into account: p NULL when cleared. In `a` when words of several
 * versions were joined. The status is that of the first version. */
enum err record_answer(struct arena *a, const struct record_cell *cell, struct str *value_out) MUST_USE;
/* True when a delete has seen everything that is there; an answer it had not seen keeps the row visible, and
 * record_conflict(r, 0) says so. */
bool record_deleted(const struct record *r);
bool record_conflict(const struct record *r, uint32_t field);
/* Does versions[i], i > 0, disagree with what the cell shows, undecided? What does not is the same answer,
 * part of a union, or an attempt on an immutable one. */
bool record_disputes(const struct record *r, const struct record_cell *cell, uint32_t i);
/* A field of this policy is in conflict. */
bool record_disputed(const struct record *r, enum field_policy policy);
/* Birth; false when the ROW_CREATE has not arrived yet. */
bool record_birth(const struct record *r, struct row_birth *out);

/* Told before the changes of an heir are applied: they dominate what it inherited as if one author had made
 * both. The same in any order, because it only ever says more. ERR_NOMEM. */
enum err record_inherit(struct arena *a, struct record *r, const struct heir *h) MUST_USE;

/* The centre's order begins anew above `last` (it was set back to a backup), and is told anew from its
 * beginning: places beyond it are unknown, nobody has seen more than that, and what is told again does not
 * pass for known. What others than (device, inc) said beyond it stays until then: whatever of an author is
 * told takes its place. */
void record_set_back(struct record *r, uint64_t last, uint64_t device, uint32_t inc);
/* All was told again: what other devices said and has no place now is not at the centre; its author sends it
 * again. True when something was let go. */
bool record_settle(struct record *r, uint64_t device);
/* Versions of one author, by sequence, become another's: work that the centre never had goes over to another
 * incarnation of its device. What else the author did here counts as far as it is still kept. ERR_NOMEM. */
struct record_handover {
    uint64_t device;
    uint32_t inc;
    uint64_t to_device;
    uint32_t to_inc;
    const uint64_t *seqs; /* ascending */
    uint32_t count;
};
enum err record_hand_over(struct arena *a, struct record *r, const struct record_handover *w) MUST_USE;
/* The answers of a deleted row are let go; who answered and when stays, so that what arrives late is still
 * recognised. False when the row is not deleted. */
bool record_bury(struct record *r);
/* What the record is, told without anything that depends on the order of arrival (places in the centre's
 * order, what authors had seen): equal for equal sets of changes. Appended; a deleted row is its birth and
 * deletes. */
enum err record_state(const struct record *r, struct buf *out) MUST_USE;

#endif
