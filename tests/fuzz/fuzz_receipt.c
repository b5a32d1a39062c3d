/* Any bytes as a receipt. What can be read can be written and read again, and is the same then. */
#include <stddef.h>
#include <stdint.h>

#include "sync/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same bytes as a part of an attachment: what is taken lies within its file, and is written the same. */
static void part_of_a_file(struct arena *a, struct str bytes)
{
    struct part p;
    struct diag d = {0};
    struct buf again;
    enum err rc = part_read(a, bytes, &p, &d);
    CHECK(!rc || d.text[0] != '\0');
    if (rc)
        return;
    CHECK(p.size <= ATTACHMENT_SIZE_MAX && p.at <= p.size && p.bytes.n <= p.size - p.at);
    for (uint32_t i = 0; i < p.link_count; i++)
        CHECK(attachment_name_ok(p.links[i].name));
    buf_init(&again, bytes.n);
    CHECK(part_write(&p, &again) == ERR_OK && str_eq(buf_str(&again), bytes));
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct receipt r, s;
    struct diag d = {0};
    struct buf again;
    arena_init(&a, 16u << 20);
    buf_init(&again, 16u << 20);
    enum err rc = receipt_read(&a, (struct str){(const char *)data, size}, &r, &d);
    CHECK(!rc || d.text[0] != '\0');
    if (!rc) {
        CHECK(receipt_write(&r, &again) == ERR_OK);
        CHECK(receipt_read(&a, buf_str(&again), &s, &d) == ERR_OK);
        CHECK(r.device == s.device && r.cursor == s.cursor && r.caught_up == s.caught_up &&
              r.refused == s.refused);
        CHECK(r.item_count == s.item_count && str_eq(r.token, s.token) &&
              r.server_time_ms == s.server_time_ms);
        for (uint32_t i = 0; i < r.item_count; i++)
            CHECK(r.items[i].batch_seq == s.items[i].batch_seq &&
                  r.items[i].server_seq == s.items[i].server_seq && r.items[i].status == s.items[i].status &&
                  str_eq(r.items[i].reason, s.items[i].reason));
        CHECK(r.part_count == s.part_count);
        for (uint32_t i = 0; i < r.part_count; i++)
            CHECK(r.parts[i].status == s.parts[i].status && str_eq(r.parts[i].reason, s.parts[i].reason));
    }
    part_of_a_file(&a, (struct str){(const char *)data, size});
    buf_free(&again);
    arena_free(&a);
    return 0;
}
