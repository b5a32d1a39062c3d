/* Any bytes as the payload of an up or a down frame (first byte: which). What can be read can be written and
 * read again, and is the same then. */
#include <stddef.h>
#include <stdint.h>

#include "sync/batch.h"
#include "sync/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool number_of(void *self, struct row_id id, uint64_t *out)
{
    (void)self;
    *out = id.counter;
    return id.device == 5 && id.inc == 1;
}

static bool id_of(void *self, uint64_t number, struct row_id *out)
{
    (void)self;
    *out = (struct row_id){5, 1, (uint32_t)number};
    return number <= UINT32_MAX;
}

static const struct batch_rows rows = {.number_of = number_of, .id_of = id_of};

struct content {
    struct batch_head head;
    struct change *changes;
    struct down_author *authors;
    uint32_t count;
};

static enum err get(struct arena *a, struct str payload, bool down, struct content *c)
{
    struct diag d = {0};
    c->head = (struct batch_head){.device = down ? 0 : 7, .inc = 1};
    enum err rc = down ? down_read(a, payload, &c->head, &c->changes, &c->authors, &c->count, &d)
                       : batch_read(a, payload, &rows, &c->head, &c->changes, &c->count, &d);
    CHECK(!rc || d.text[0] != '\0');
    return rc;
}

static void check_same(const struct content *a, const struct content *b, bool down)
{
    CHECK(a->count == b->count && a->head.now_ms == b->head.now_ms && a->head.cursor == b->head.cursor);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct change *x = &a->changes[i], *y = &b->changes[i];
        CHECK(x->seq == y->seq && row_id_same(x->row, y->row) && x->field == y->field && x->op == y->op);
        CHECK(x->status == y->status && x->person == y->person && x->role == y->role && x->hlc == y->hlc);
        CHECK(x->seen == y->seen && str_eq(x->value, y->value));
        CHECK(!down || (a->authors[i].server_seq == b->authors[i].server_seq &&
                        a->authors[i].row_number == b->authors[i].row_number));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    bool down = data[0] & 1;
    struct arena a;
    struct content first, second;
    struct buf again;
    arena_init(&a, 256u << 20);
    buf_init(&again, FRAME_RAW_MAX * 16);
    if (get(&a, (struct str){(const char *)data + 1, size - 1}, down, &first) == ERR_OK) {
        enum err rc = down ? down_write(&first.head, first.changes, first.authors, first.count, &again, NULL)
                           : batch_write(&first.head, &rows, first.changes, first.count, &again, NULL);
        CHECK(rc == ERR_OK || rc == ERR_LIMIT || rc == ERR_USAGE);
        if (!rc) {
            CHECK(get(&a, buf_str(&again), down, &second) == ERR_OK);
            check_same(&first, &second, down);
        }
    }
    buf_free(&again);
    arena_free(&a);
    return 0;
}
