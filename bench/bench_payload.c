/* doorstep-bench-payload: how many bytes a change costs on the wire, beside what it could cost at least.
 *
 * Changes come from a generator whose entropy is known, because every choice in it is uniform and
 * independent:
 *
 *   one-field edit   which of 400 households     log2 400  =  8.64 bits
 *                    which of 40 fields          log2 40   =  5.32
 *                    what the answer is, by the field's type, each type five fields of 40, on average  7.26
 *                      yes or no                 log2 2    =  1.00
 *                      one of 4 choices          log2 4    =  2.00
 *                      one of 8 choices          log2 8    =  3.00
 *                      a number 0..98            log2 99   =  6.63
 *                      money, tens to 19,990     log2 2000 = 10.97
 *                      two decimals to 499.99    log2 50000 = 15.61
 *                      a day of 20 years         log2 7305 = 12.83
 *                      a name of 64              log2 64   =  6.00
 *                    when, after the one before: 1..240 s in ticks of 128 ms   log2 1867 = 10.87
 *                    together                              32.09 bits = 4.01 bytes
 *   new record       when, and 40 answers          10.87 + 40 * 7.26 = 301.1 bits = 37.6 bytes, 0.94 a field
 *
 * What surrounds them (head of the payload, sequence numbers, who) is the same every time and is not counted
 * as entropy, only as cost. A payload is what lies inside the seal: compressed where that is shorter. Frames
 * add 164 bytes. "dict": with a dictionary learned from 3,000 other payloads of the same generator. Prints
 * the table, and exits with 1 when 100 one-field edits cost more than twice their entropy, or the sum above
 * is wrong.
 */
#include "sync/batch.h"
#include "sync/batch_zstd.h"
#include "sync/envelope.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HOUSEHOLDS 400
#define FIELDS 40
#define NAMES 64
#define GAP_MS_MIN 1000
#define GAP_MS_MAX 240000
#define NOW_MS INT64_C(1795420800000) /* 2026-11-23 */
#define DEVICE UINT64_C(0x8877665544332211)
#define RUNS 20
#define SAMPLES 3000
#define ITS_BYTES_AROUND 164 /* head, tag, signature */

struct made {
    struct arena arena;
    uint64_t random;
    struct change *changes;
    uint32_t count;
};

static uint64_t draw(uint64_t *state, uint64_t below)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

static const double type_choices[8] = {2, 4, 8, 99, 2000, 50000, 7305, NAMES};

static int spell(char *out, size_t n, unsigned type, unsigned v)
{
    static const char *const eight[] = {"own", "rent", "shared", "public", "none", "other", "tank", "river"};
    static const char *const first[] = {"Amina", "Kofi", "Zhang", "Li", "Wang", "Esi", "Juma", "Noor"};
    static const char *const second[] = {"Mensah", "Osei", "Wei", "Min", "Fang", "Okoro", "Hassan", "Khan"};
    switch (type) {
    case 0: return snprintf(out, n, "%s", v ? "yes" : "no");
    case 1: return snprintf(out, n, "option_%c", 'a' + (int)v);
    case 2: return snprintf(out, n, "%s", eight[v]);
    case 3: return snprintf(out, n, "%u", v);
    case 4: return snprintf(out, n, "%u", v * 10);
    case 5: return snprintf(out, n, "%u.%02u", v / 100, v % 100);
    case 6: {
        /* 20 years of days up to 2026-11-22, by hand: no clock, no locale */
        static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        unsigned year = 2006, month = 10, day = 22 + v; /* from 2006-11-23 */
        for (;;) {
            bool leap = month == 1 && year % 4 == 0;
            unsigned length = lengths[month] + leap;
            if (day < length)
                break;
            day -= length;
            year += ++month == 12;
            month %= 12;
        }
        return snprintf(out, n, "%04u-%02u-%02u", year, month + 1, day + 1);
    }
    default: return snprintf(out, n, "%s %s", first[v % 8], second[v / 8]);
    }
}

static struct str answer(struct made *m, uint32_t field)
{
    char text[64];
    unsigned type = field % 8;
    int n = spell(text, sizeof text, type, (unsigned)draw(&m->random, (uint64_t)type_choices[type]));
    return arena_str(&m->arena, (struct str){text, (size_t)n});
}

static struct change *add(struct made *m, struct row_id row, int64_t hlc)
{
    struct change *c = &m->changes[m->count++];
    *c = (struct change){.seq = 70000 + m->count,
                         .row = row,
                         .person = 41,
                         .role = 3,
                         .hlc = hlc,
                         .seen = 5120,
                         .value = STR("")};
    return c;
}

static int64_t next_clock(struct made *m, int64_t *wall, int64_t hlc)
{
    *wall += GAP_MS_MIN + (int64_t)draw(&m->random, GAP_MS_MAX - GAP_MS_MIN);
    return hlc_whole_tick(hlc_next(hlc, *wall, 0));
}

static void make(struct made *m, bool whole, uint32_t n, uint64_t seed)
{
    int64_t wall = NOW_MS - (int64_t)n * (GAP_MS_MIN + GAP_MS_MAX) / 2, hlc = 0;
    arena_free(&m->arena);
    arena_init(&m->arena, 64u << 20);
    m->random = seed;
    m->count = 0;
    m->changes = ARENA_ARRAY(&m->arena, struct change, (size_t)n * (FIELDS + 1));
    CHECK(m->changes);
    for (uint32_t i = 0; i < n; i++) {
        hlc = next_clock(m, &wall, hlc);
        if (!whole) {
            struct row_id row = {5, 1, 1 + (uint32_t)draw(&m->random, HOUSEHOLDS)};
            struct change *c = add(m, row, hlc);
            c->field = 1 + (uint32_t)draw(&m->random, FIELDS);
            c->value = answer(m, c->field);
            continue;
        }
        struct row_birth birth = {.kind = ROW_INTERVIEW,
                                  .parent = {5, 1, 1 + i},
                                  .object = {7, 7, 7, 7, 7, 7, 7, 7}};
        struct row_id row = {DEVICE, 1, 900 + i};
        struct buf b;
        buf_init(&b, 64);
        CHECK(row_birth_write(&b, &birth) == ERR_OK);
        struct change *c = add(m, row, hlc);
        c->op = CHANGE_ROW_CREATE;
        c->value = arena_str(&m->arena, buf_str(&b));
        buf_free(&b);
        for (uint32_t f = 1; f <= FIELDS; f++) {
            c = add(m, row, hlc);
            c->field = f;
            c->value = answer(m, f);
        }
    }
}

/* The centre's numbers for the households. */
static bool number_of(void *self, struct row_id id, uint64_t *out)
{
    (void)self;
    *out = 1000 + id.counter;
    return id.device == 5;
}

static void write_payload(const struct made *m, struct buf *out)
{
    const struct batch_head head = {.device = DEVICE,
                                    .inc = 1,
                                    .epoch = 1,
                                    .now_ms = NOW_MS,
                                    .anchor_ms = NOW_MS - 5 * 3600 * 1000,
                                    .elapsed_ms = 5 * 3600 * 1000};
    const struct batch_rows rows = {.number_of = number_of};
    CHECK(batch_write(&head, &rows, m->changes, m->count, out, NULL) == ERR_OK);
}

struct sizes {
    double raw, packed, dict;
};

static size_t sealed(struct str payload, const struct frame_dict *dict)
{
    struct key_pair_x25519 county;
    struct key_pair_p256 author;
    const unsigned char seed[32] = {7};
    struct buf frame;
    buf_init(&frame, FRAME_SIZE_MAX);
    CHECK(!x25519_make(seed, &county) && !p256_make(seed, &author));
    const struct frame_seal how = {.type = FRAME_UP,
                                   .device = DEVICE,
                                   .inc = 1,
                                   .batch_seq = 1,
                                   .schema = BATCH_SCHEMA_CHANGES,
                                   .recipient = county.public,
                                   .dict = dict,
                                   .author = &author,
                                   .ephemeral_seed = seed};
    CHECK(frame_make(&how, payload, &frame, NULL) == ERR_OK);
    size_t n = frame.n - ITS_BYTES_AROUND;
    buf_free(&frame);
    return n;
}

static struct sizes measure(struct made *m, bool whole, uint32_t n, const struct frame_dict *dict)
{
    struct sizes sum = {0};
    struct buf payload;
    buf_init(&payload, FRAME_RAW_MAX);
    for (uint64_t run = 0; run < RUNS; run++) {
        make(m, whole, n, 1000000 + run);
        buf_clear(&payload);
        write_payload(m, &payload);
        sum.raw += (double)payload.n / RUNS;
        sum.packed += (double)sealed(buf_str(&payload), NULL) / RUNS;
        sum.dict += (double)sealed(buf_str(&payload), dict) / RUNS;
    }
    buf_free(&payload);
    return sum;
}

/* What a county sees: edits and records, alone and by the ten. */
static void learn(struct made *m, struct buf *dict)
{
    static size_t lengths[SAMPLES];
    struct buf all;
    buf_init(&all, 64u << 20);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        size_t before = all.n;
        make(m, i % 4 >= 2, i % 2 ? 10 : 1, i);
        write_payload(m, &all);
        lengths[i] = all.n - before;
    }
    struct diag d = {0};
    enum err rc = zstd_train(buf_str(&all), lengths, SAMPLES, 16384, dict, &d);
    if (rc)
        fprintf(stderr, "%s\n", d.text);
    CHECK(rc == ERR_OK);
    buf_free(&all);
}

static double value_bits(void)
{
    double sum = 0;
    for (unsigned t = 0; t < 8; t++)
        sum += log2(type_choices[t]) / 8;
    return sum;
}

int main(void)
{
    static const uint32_t counts[] = {1, 10, 100};
    double clock = log2((GAP_MS_MAX - GAP_MS_MIN) / 128.0);
    double edit = (log2(HOUSEHOLDS) + log2(FIELDS) + value_bits() + clock) / 8;
    double record = (clock + FIELDS * value_bits()) / 8;
    struct made m = {0};
    struct buf dict_bytes;
    bool ok = fabs(edit - 4.01) < 0.01 && fabs(record - 37.6) < 0.1;
    CHECK(crypto_init(NULL) == ERR_OK);
    buf_init(&dict_bytes, 16384);
    learn(&m, &dict_bytes);
    const struct frame_dict dict = {1, buf_str(&dict_bytes)};
    printf("bytes per changed field     n   columns    best    dict  entropy  best/entropy\n");
    for (int whole = 0; whole < 2; whole++) {
        for (size_t i = 0; i < 3; i++) {
            struct sizes s = measure(&m, whole, counts[i], &dict);
            double fields = (double)counts[i] * (whole ? FIELDS : 1);
            double floor = whole ? record / FIELDS : edit;
            double best = s.packed / fields;
            printf("%-24s %4u %9.2f %7.2f %7.2f %8.2f %13.2f\n",
                   whole ? "new record, 40 fields" : "one-field edits", (unsigned)counts[i], s.raw / fields,
                   best, s.dict / fields, floor, best / floor);
            ok = ok && (whole || counts[i] != 100 || best <= 2 * floor);
        }
    }
    buf_free(&dict_bytes);
    arena_free(&m.arena);
    return ok ? 0 : 1;
}
