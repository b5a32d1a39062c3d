/* The columns that up and down payloads share. A column holds one fact of every change, such as the clock; a
 * fact that is the same throughout takes no room. Rows are named as shortly as the frame itself allows.
 * Private to sync/batch*.
 */
#ifndef DOORSTEP_SYNC_BATCH_COLUMNS_H
#define DOORSTEP_SYNC_BATCH_COLUMNS_H

#include "platform/base/map.h"
#include "sync/batch.h"

/* Bits of the flags in the head: which columns are there. */
enum columns_flag {
    COLUMNS_SEQ = 1,
    COLUMNS_OP = 2,
    COLUMNS_STATUS = 4,
    COLUMNS_WHO = 8,
    COLUMNS_HLC = 16,
    COLUMNS_SEEN = 32,
    COLUMNS_NUMBERED = 64,     /* UP: rows are named by number, a checksum follows them */
    COLUMNS_AUTHORS = 64,      /* DOWN: more than one author */
    COLUMNS_REBOOTED = 128,    /* UP: no elapsed time */
    COLUMNS_CAUGHT_UP = 128,   /* DOWN */
    COLUMNS_AS = 256,          /* UP: changes of another incarnation, which the author inherited */
    COLUMNS_ROW_NUMBERS = 256, /* DOWN */
    COLUMNS_SERVER_SEQ = 512,  /* DOWN: server sequences other than the cursor */
    COLUMNS_HEIRS = 2048,      /* DOWN: which incarnations go on where others were */
    COLUMNS_AGREED = 1024      /* DOWN: the histories agree beyond where this goes on from */
};

/* `authors` NULL: upward, one author, the head's. Writes to `body`; flags_out says what to put into the head.
 */
enum err columns_write(const struct batch_head *head, const struct batch_rows *rows,
                       const struct change *changes, const struct down_author *authors, uint32_t count,
                       struct buf *body, uint64_t *flags_out, struct diag *d) MUST_USE;

struct columns {
    struct change *changes;
    struct down_author *authors; /* NULL: upward */
    uint32_t count;
};
/* ERR_CORRUPT without a sentence when the bytes are malformed (the caller knows the offset), or ERR_STATE,
 * ERR_NOMEM. */
enum err columns_read(struct arena *a, const struct batch_head *head, const struct batch_rows *rows,
                      bool down, uint64_t flags, struct reader *r, struct columns *out,
                      struct diag *d) MUST_USE;

/* Zig-zag, for columns of differences. */
static inline uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}
static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}
/* Differences wrap, so that no pair of numbers is out of reach. */
static inline int64_t minus(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b);
}

/* Tokens of a column, in their low two bits. */
enum { COLUMN_PLAIN = 0, COLUMN_RUN = 1, COLUMN_PACKED = 2 };
#define COLUMN_WIDTH_MAX \
    32 /* bits of a packed value; the byte that says so has a shift in its two high bits */
#define COLUMN_SHIFT_AT 6

/* What writer and reader both know of the groups once rows and births are told: the kind of each one's row
 * when it was born in this payload, in this group or one before, else 0; and the groups ordered by that. */
struct group_kinds {
    struct arena *arena;
    struct map kinds; /* row id -> kind */
    uint8_t *kind;    /* by group */
    uint32_t *order;
    uint32_t count;
};
enum err group_kinds_init(struct group_kinds *k, struct arena *a, uint32_t group_max) MUST_USE;
/* `birth`: value of the group's first change when it is a birth, else p NULL. */
enum err group_kinds_add(struct group_kinds *k, struct row_id row, struct str birth) MUST_USE;
void group_kinds_sort(struct group_kinds *k);

/* The order of fields: by kind of group, then by place in the group, then as the groups come; so the fields
 * that every visit has are runs. Only changes that name a field are walked. */
struct field_walk {
    const struct change *ch;
    const uint32_t *group; /* starts; one more behind the last */
    const struct group_kinds *kinds;
    uint32_t *active, *at, *before_of; /* by place among the groups of the kind at hand */
    uint32_t active_count, next, kept, kind_end;
    /* of the change last given: the field before it in its group, 0 at first; and the field that the group
     * before has in this place */
    uint32_t before, last;
    bool has_last;
};
enum err field_walk_init(struct field_walk *w, struct arena *a, const struct change *ch,
                         const uint32_t *group, const struct group_kinds *kinds) MUST_USE;
bool field_walk_next(struct field_walk *w, uint32_t *change_out);
/* To be told what the field of the change last given is, before the next one. */
void field_walk_said(struct field_walk *w, uint32_t field);

/* Whether an operation is expected: a visit's last group of changes ends by finalising it. */
static inline bool finalise_expected(const struct group_kinds *k, const bool *born, const uint32_t *group,
                                     uint32_t g, uint32_t i)
{
    return k->kind[g] == ROW_VISIT && !born[g] && i + 1 == group[g + 1];
}
/* How many changes more a clock is expected to stand for after change `at`: up to the next finalising one; 0
 * when there is none. *from moves along. */
static inline uint32_t clock_stands(const struct change *ch, uint32_t n, uint32_t at, uint32_t *from)
{
    if (*from < at)
        *from = at;
    while (*from < n - 1 && ch[*from].op != CHANGE_FINALISE)
        ++*from;
    return ch[*from].op == CHANGE_FINALISE ? *from - at : 0;
}

/* The order of values: by the kind of the row, then by field, then as the changes come. */
struct value_place {
    uint8_t kind;
    uint32_t field;
    uint32_t change;
};
void value_places_sort(struct value_place *places, uint32_t count);

/* Kinds of row references, the low two bits. */
enum row_ref {
    REF_NUMBER = 0, /* zig-zag of the difference to the number named before */
    REF_OWN = 1,    /* the author's own row: zig-zag of the difference to the counter of the last OWN */
    REF_NEW = 2,    /* the author's own and born here: zig-zag of the difference to the last NEW, plus 1 */
    REF_OTHER = 3   /* 0 full id, 1 full id and born here, 2 + distance: a row named before */
};
enum { OTHER_FULL = 0, OTHER_NEW = 1, OTHER_BACK = 2 };

/* The first byte of a birth. Low four bits: kind; 0 = bytes that are no birth follow, 15 = kind in a byte. */
enum { BIRTH_HAS_PARENT = 16, BIRTH_HAS_PLACE = 32, BIRTH_HAS_OBJECT = 64, BIRTH_SAME_OBJECT = 128 };
enum { BIRTH_RAW = 0, BIRTH_KIND_FOLLOWS = 15 };

/* Operations that, by default, carry a value; bit 3 of the column's entry says that this one does otherwise.
 */
enum { OP_OTHERWISE = 8 };
static inline bool op_has_value(unsigned op)
{
    return op == CHANGE_SET || op == CHANGE_RESOLVE;
}
/* Operations on the row itself: always field 0, and so not in the column of fields. */
static inline bool op_on_row(unsigned op)
{
    return op == CHANGE_ROW_DELETE || op == CHANGE_ROW_CREATE || op == CHANGE_FINALISE;
}

/* The clock in ticks of 128 ms and the rest. */
#define HLC_FINE_BITS 23
static inline int64_t hlc_coarse(int64_t hlc)
{
    return (int64_t)((uint64_t)hlc >> HLC_FINE_BITS);
}
/* The clock that the first one is told from. */
static inline int64_t hlc_base(int64_t now_s)
{
    uint64_t ms = now_s < 0 ? 0 : (uint64_t)now_s * 1000;
    return (int64_t)((ms << 16) & ~((UINT64_C(1) << HLC_FINE_BITS) - 1) & INT64_MAX);
}
static inline int64_t floor_s(int64_t ms)
{
    return ms / 1000 - (ms % 1000 < 0);
}
static inline int64_t hlc_seconds(int64_t hlc)
{
    return floor_s(hlc < 0 ? 0 : hlc >> 16);
}
static inline uint64_t hlc_fine(int64_t hlc)
{
    return (uint64_t)hlc & ((UINT64_C(1) << HLC_FINE_BITS) - 1);
}

#endif
