/* Bodies of forms as anybody may send them: the first line is the Content-Type, the rest the body. Whatever
 * it is, the fields lie within what was given or in the arena, and their number within its cap.
 */
#include "platform/http_form.h"

#include "platform/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct http_form form = {0};
    struct buf b;
    struct diag d = {0};
    struct str type, rest = {(const char *)data, size};
    if (!size || !str_split(&rest, '\n', &type))
        return 0;
    arena_init(&a, 64u << 20);
    buf_init(&b, 8u << 20);
    enum err rc = http_form_read(&a, type, rest.p ? rest : STR(""), &form, &d);
    CHECK(rc == ERR_OK || d.text[0]);
    CHECK(form.count <= HTTP_FIELDS_MAX);
    for (uint32_t i = 0; i < form.count; i++) {
        CHECK(form.at[i].name.p && form.at[i].value.p && form.at[i].name.n <= HTTP_FIELD_NAME_MAX);
        http_encode(&b, form.at[i].name); /* reads every byte */
        http_encode(&b, form.at[i].value);
        if (form.at[i].file_name.p)
            http_encode(&b, form.at[i].file_name);
    }
    (void)http_cookie(rest.p ? rest : STR(""), "ds");
    buf_free(&b);
    arena_free(&a);
    return 0;
}
