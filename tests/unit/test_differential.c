/* The merge against a model of it: random histories go through the centre's code and its SQLite store, change
 * by change and frame by frame, in any order and twice; what the store then holds is compared with what a
 * small model says. The model is written from the rule in words (docs/WIRE.md, section 7), knows all changes
 * at once, and shares no code with what it judges.
 *
 *   test_differential [MERGES [SEED]]        default: 100000 merges
 */
#include "tests/support/centre.h"

#define CHANGES_MAX 20
#define AUTHORS 3
#define FIELDS 5

/* ---- the model ---- */

enum said { SAID_SET, SAID_CLEAR, SAID_DELETE, SAID_RESOLVE };

struct fact {
    int author; /* 0..AUTHORS-1 */
    int field;  /* place in field_numbers */
    enum said said;
    int status;
    char text[8];             /* words of one letter */
    uint64_t seq, seen, told; /* told: its place in the centre's order */
    int64_t clock;
    int frame;
};

struct history {
    struct fact at[CHANGES_MAX];
    int count, frames;
};

static const uint32_t field_numbers[FIELDS] = {0, 3, 250003, 500003, 750003};
enum { ROW, KEEP, REVIEW, UNION, IMMUTABLE };

/* Made later by the same author, or made by somebody who had been told of it. Nobody is told of what comes
 * after. */
static bool knew(const struct fact *a, const struct fact *b)
{
    if (a->author == b->author)
        return a->seq > b->seq;
    return b->told <= a->seen && b->told < a->told;
}

static bool higher(const struct fact *a, const struct fact *b)
{
    if (a->clock != b->clock)
        return a->clock > b->clock;
    if (a->author != b->author)
        return a->author > b->author;
    return a->seq > b->seq;
}

static bool same_answer(const struct fact *a, const struct fact *b)
{
    enum said x = a->said == SAID_RESOLVE ? SAID_SET : a->said,
              y = b->said == SAID_RESOLVE ? SAID_SET : b->said;
    return x == y && a->status == b->status && strcmp(a->text, b->text) == 0;
}

struct cell {
    bool kept[CHANGES_MAX], disputes[CHANGES_MAX];
    int shown; /* -1: nothing was ever said */
    bool conflict;
    unsigned words; /* of a union: letters */
};

static void model_dominance(const struct history *h, int field, struct cell *out)
{
    bool over[CHANGES_MAX][CHANGES_MAX] = {{false}};
    for (int a = 0; a < h->count; a++)
        for (int b = 0; b < h->count; b++)
            over[a][b] = a != b && h->at[a].field == field && h->at[b].field == field &&
                         knew(&h->at[a], &h->at[b]);
    for (int m = 0; m < h->count; m++)
        for (int a = 0; a < h->count; a++)
            for (int b = 0; b < h->count; b++)
                over[a][b] = over[a][b] || (over[a][m] && over[m][b]);
    for (int b = 0; b < h->count; b++) {
        out->kept[b] = h->at[b].field == field;
        for (int a = 0; a < h->count; a++)
            out->kept[b] = out->kept[b] && !over[a][b];
        if (out->kept[b] && (out->shown < 0 || higher(&h->at[b], &h->at[out->shown])))
            out->shown = b;
    }
}

static unsigned letters(const char *text)
{
    unsigned set = 0;
    for (; *text; text++)
        set |= *text == ' ' ? 0 : 1u << (*text - 'a');
    return set;
}

static void model_union(const struct history *h, struct cell *out)
{
    const struct fact *shown = &h->at[out->shown];
    for (int i = 0; i < h->count; i++) {
        if (!out->kept[i])
            continue;
        if (h->at[i].status <= 1 && h->at[i].said != SAID_CLEAR)
            out->words |= letters(h->at[i].text);
        out->disputes[i] = i != out->shown && !same_answer(shown, &h->at[i]) &&
                           (h->at[i].status > 1 || shown->status > 1);
        out->conflict = out->conflict || out->disputes[i];
    }
}

static void model_immutable(const struct history *h, struct cell *out)
{
    bool first[CHANGES_MAX] = {false}, last[CHANGES_MAX] = {false};
    int best = -1, decided = -1;
    for (int i = 0; i < h->count; i++) {
        const struct fact *x = &h->at[i];
        out->kept[i] = x->field == IMMUTABLE;
        first[i] = out->kept[i] && x->said != SAID_RESOLVE;
        last[i] = out->kept[i] && x->said == SAID_RESOLVE;
        for (int k = 0; k < h->count; k++) {
            const struct fact *y = &h->at[k];
            if (k == i || y->field != IMMUTABLE)
                continue;
            first[i] = first[i] && (y->said == SAID_RESOLVE || !knew(x, y));
            last[i] = last[i] && (y->said != SAID_RESOLVE || !knew(y, x));
        }
        if (first[i] && (best < 0 || higher(&h->at[best], x)))
            best = i;
        if (last[i] && (decided < 0 || higher(x, &h->at[decided])))
            decided = i;
    }
    out->shown = decided >= 0 ? decided : best;
    for (int i = 0; i < h->count; i++) {
        out->disputes[i] = (first[i] || last[i]) && i != out->shown &&
                           !same_answer(&h->at[out->shown], &h->at[i]) &&
                           !knew(&h->at[out->shown], &h->at[i]);
        out->conflict = out->conflict || out->disputes[i];
    }
}

static void model(const struct history *h, struct cell cells[FIELDS], bool *removed)
{
    bool any_delete = false, survivor = false;
    for (int f = 0; f < FIELDS; f++) {
        cells[f] = (struct cell){.shown = -1};
        if (f == IMMUTABLE)
            model_immutable(h, &cells[f]);
        else
            model_dominance(h, f, &cells[f]);
        if (f == UNION && cells[f].shown >= 0)
            model_union(h, &cells[f]);
        for (int i = 0; f != UNION && f != IMMUTABLE && i < h->count; i++) {
            cells[f].disputes[i] = cells[f].kept[i] && i != cells[f].shown &&
                                   !same_answer(&h->at[cells[f].shown], &h->at[i]);
            cells[f].conflict = cells[f].conflict || cells[f].disputes[i];
        }
    }
    for (int i = 0; i < h->count; i++)
        any_delete = any_delete || (cells[ROW].kept[i] && h->at[i].said == SAID_DELETE);
    for (int f = 0; any_delete && f < FIELDS; f++)
        for (int i = 0; i < h->count; i++) {
            bool covered = !cells[f].kept[i] || h->at[i].said == SAID_DELETE;
            for (int k = 0; k < h->count; k++)
                covered = covered ||
                          (cells[ROW].kept[k] && h->at[k].said == SAID_DELETE && knew(&h->at[k], &h->at[i]));
            survivor = survivor || !covered;
        }
    *removed = any_delete && !survivor;
    cells[ROW].conflict = cells[ROW].conflict || (any_delete && survivor);
}

/* ---- histories ---- */

static uint64_t draw(uint64_t *s, uint64_t n)
{
    *s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t x = *s;
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    return (x ^ x >> 29) % n;
}

static void fact_draw(uint64_t *s, struct fact *f)
{
    static const char *const texts[] = {"a", "b", "c", "a b", "b c"};
    uint64_t kind = draw(s, 12);
    f->field = (int)draw(s, FIELDS);
    f->said = f->field == ROW ? (kind < 8 ? SAID_DELETE : SAID_RESOLVE)
              : kind < 8      ? SAID_SET
              : kind < 10     ? SAID_CLEAR
                              : SAID_RESOLVE;
    f->status = f->said == SAID_SET && draw(s, 8) == 0 ? 2 : 0;
    f->clock = (int64_t)draw(s, 6) + 1;
    if (f->said == SAID_SET || (f->said == SAID_RESOLVE && f->field != ROW))
        strcpy(f->text, texts[draw(s, 5)]);
}

/* Authors write, freeze frames, which reach the centre in any order of their own, and hear of what is there.
 */
static void history_draw(uint64_t *s, struct history *h, uint64_t *told)
{
    uint64_t seq[AUTHORS] = {0}, cursor[AUTHORS];
    int open[AUTHORS] = {-1, -1, -1}, waiting[CHANGES_MAX], waiting_count = 0,
        length = 1 + (int)draw(s, CHANGES_MAX);
    *h = (struct history){.count = 0};
    for (int a = 0; a < AUTHORS; a++)
        cursor[a] = *told;
    while (h->count < length) {
        int a = (int)draw(s, AUTHORS);
        uint64_t what = draw(s, 6);
        if (what < 3) {
            struct fact *f = &h->at[h->count++];
            fact_draw(s, f);
            f->author = a;
            f->seq = ++seq[a];
            f->seen = cursor[a];
            if (open[a] < 0) {
                waiting[waiting_count++] = h->frames;
                open[a] = h->frames++;
            }
            f->frame = open[a];
        } else if (what == 3) {
            open[a] = -1;
        } else if (what == 4 && waiting_count) {
            int k = (int)draw(s, (uint64_t)waiting_count);
            uint64_t place = ++*told;
            for (int i = 0; i < h->count; i++) {
                if (h->at[i].frame == waiting[k])
                    h->at[i].told = place;
            }
            for (int o = 0; o < AUTHORS; o++)
                open[o] = open[o] == waiting[k] ? -1 : open[o];
            waiting[k] = waiting[--waiting_count];
        } else {
            cursor[a] += draw(s, *told - cursor[a] + 1);
        }
    }
    for (; waiting_count; waiting_count--) {
        uint64_t place = ++*told;
        for (int i = 0; i < h->count; i++) {
            if (h->at[i].frame == waiting[waiting_count - 1])
                h->at[i].told = place;
        }
    }
}

/* ---- the store ---- */

static const enum change_op ops[] = {CHANGE_SET, CHANGE_CLEAR, CHANGE_ROW_DELETE, CHANGE_RESOLVE};

static void frame_give(struct world *w, struct cstore *st, struct arena *a, struct row_id row,
                       const struct history *h, int frame)
{
    struct change changes[CHANGES_MAX];
    int64_t clocks[CHANGES_MAX];
    uint32_t count = 0;
    uint64_t told = 0;
    int author = 0;
    struct cases cases = {.st = st, .a = a};
    for (int i = 0; i < h->count; i++) {
        const struct fact *f = &h->at[i];
        if (f->frame != frame)
            continue;
        told = f->told;
        author = f->author;
        clocks[count] = f->clock;
        changes[count++] = (struct change){.seq = f->seq,
                                           .row = row,
                                           .field = field_numbers[f->field],
                                           .op = ops[f->said],
                                           .status = (uint8_t)f->status,
                                           .hlc = f->clock,
                                           .seen = f->seen,
                                           .value = str_of(f->text)};
    }
    struct counters *n = cstore_counters(st);
    n->server_seq = n->server_seq > told ? n->server_seq : told;
    OK(cases_apply(&cases, (struct case_author){(uint64_t)author + 7, 1}, changes, clocks, count, told,
                   &w->d));
}

static void birth_give(struct world *w, struct cstore *st, struct arena *a, struct row_id row, uint64_t told)
{
    struct buf b;
    struct cases cases = {.st = st, .a = a};
    const struct row_birth birth = {.kind = ROW_INTERVIEW, .object = {1}};
    const int64_t clock = 1;
    buf_init(&b, 256);
    OK(row_birth_write(&b, &birth));
    const struct change c = {.seq = 1000, .row = row, .op = CHANGE_ROW_CREATE, .value = buf_str(&b)};
    OK(cases_apply(&cases, (struct case_author){row.device, row.inc}, &c, &clock, 1, told, &w->d));
    buf_free(&b);
}

static int place_of(const struct history *h, int field, const struct version *v)
{
    for (int i = 0; i < h->count; i++)
        if (h->at[i].field == field && (uint64_t)h->at[i].author + 7 == v->device && h->at[i].seq == v->seq)
            return i;
    return -1;
}

static bool agrees(struct arena *a, const struct history *h, const struct record *r)
{
    struct cell cells[FIELDS];
    bool removed;
    model(h, cells, &removed);
    if (record_deleted(r) != removed || !r->born)
        return false;
    for (int f = 0; f < FIELDS; f++) {
        const struct record_cell *cell = record_cell(r, field_numbers[f]);
        uint32_t kept = 0;
        struct str words;
        for (int i = 0; i < h->count; i++)
            kept += cells[f].kept[i];
        if (record_conflict(r, field_numbers[f]) != cells[f].conflict || (cell ? cell->count : 0) != kept)
            return false;
        for (uint32_t i = 0; cell && i < cell->count; i++) {
            int at = place_of(h, f, &cell->versions[i]);
            if (at < 0 || !cells[f].kept[at] || (i == 0 && at != cells[f].shown) ||
                (f != ROW && record_disputes(r, cell, i) != cells[f].disputes[at]) ||
                !str_eq_z(cell->versions[i].value, h->at[at].text))
                return false;
        }
        if (f == UNION && cell && cell->versions[0].status <= 1) {
            char text[64] = {0};
            if (record_answer(a, cell, &words))
                return false;
            memcpy(text, words.p ? words.p : "", words.n < sizeof text ? words.n : 0);
            if (letters(text) != cells[f].words)
                return false;
        }
    }
    return true;
}

static void history_tell(const struct history *h)
{
    static const char *const said[] = {"set", "clear", "delete", "resolve"};
    for (int i = 0; i < h->count; i++)
        print_message("  author %d seq %llu field %u %s \"%s\" status %d clock %lld seen %llu told %llu\n",
                      h->at[i].author, (unsigned long long)h->at[i].seq, field_numbers[h->at[i].field],
                      said[h->at[i].said], h->at[i].text, h->at[i].status, (long long)h->at[i].clock,
                      (unsigned long long)h->at[i].seen, (unsigned long long)h->at[i].told);
}

static void one_history(struct world *w, struct cstore *st, struct arena *a, uint64_t *s, uint32_t n,
                        uint64_t *told, uint64_t *merges)
{
    struct history h;
    int order[2 * CHANGES_MAX + 1], count = 0;
    struct row_id row = {7 + draw(s, AUTHORS), 1, n + 1};
    struct record_row kept;
    struct record r;
    history_draw(s, &h, told);
    for (int f = 0; f < h.frames; f++)
        for (uint64_t twice = draw(s, 4) == 0; count < 2 * CHANGES_MAX; twice--) {
            order[count++] = f;
            if (!twice)
                break;
        }
    order[count++] = -1; /* the row's birth */
    for (int i = count; i > 1; i--) {
        int k = (int)draw(s, (uint64_t)i), t = order[i - 1];
        order[i - 1] = order[k];
        order[k] = t;
    }
    for (int i = 0; i < count; i++) {
        if (order[i] < 0)
            birth_give(w, st, a, row, *told + 1);
        else
            frame_give(w, st, a, row, &h, order[i]);
    }
    ++*told;
    *merges += (uint64_t)h.count;
    OK(cstore_record(st, a, row, &kept, &w->d));
    OK(record_unpack(a, row, kept.packed, &r, &w->d));
    if (!agrees(a, &h, &r)) {
        history_tell(&h);
        fail_msg("history %u: the store and the model disagree", n);
    }
}

static uint64_t merges_wanted = 100000, seed_wanted = 2026;

static void test_the_store_agrees_with_the_model(void **state)
{
    struct world *w = *state;
    struct desk k = desk_begin(w, NULL);
    struct arena a;
    uint64_t s = seed_wanted, told = 0, merges = 0;
    uint32_t n = 0;
    arena_init(&a, 64u << 20);
    while (merges < merges_wanted) {
        OK(cstore_begin(k.st, &w->d));
        if (told < cstore_counters(k.st)->server_seq)
            told = cstore_counters(k.st)->server_seq;
        for (int i = 0; i < 500 && merges < merges_wanted; i++, n++) {
            struct arena_mark mark = arena_mark(&a);
            one_history(w, k.st, &a, &s, n, &told, &merges);
            arena_release(&a, mark);
        }
        cstore_counters(k.st)->server_seq = told;
        /* The store begins anew: what is judged is the merge, not the disk. */
        cstore_rollback(k.st);
    }
    print_message("%llu merges in %u histories\n", (unsigned long long)merges, n);
    arena_free(&a);
    desk_end(&k);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_store_agrees_with_the_model, world_open, world_close),
    };
    if (argc > 1)
        merges_wanted = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seed_wanted = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
