/* Fuzz target: JSON from rule packs, configuration and requests. Whatever the bytes are, json_read() either
 * gives a tree whose every node can be walked within its stated depth, or an error with a sentence; it never
 * does both. */
#include "platform/base/err.h"
#include "platform/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct json *at, int depth)
{
    CHECK(depth <= JSON_DEPTH_MAX);
    uint32_t count = 0;
    int64_t whole = 0;

    for (const struct json *child = at->child; child; child = child->next) {
        count++;
        walk(child, depth + 1);
        if (at->type == JSON_OBJECT && child->name.n && json_i64(at, child->name.p, &whole))
            CHECK(json_get(at, child->name.p)->type == JSON_NUMBER);
    }
    CHECK(count == at->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct diag d = {0};
    const struct json *json = NULL;

    arena_init(&a, 16u << 20);
    enum err rc = json_read(&a, (struct str){(const char *)data, size}, &json, &d);
    CHECK((rc == ERR_OK) == (json != NULL));
    CHECK((rc == ERR_OK) == (d.text[0] == '\0'));
    if (json)
        walk(json, 0);
    arena_free(&a);
    return 0;
}
