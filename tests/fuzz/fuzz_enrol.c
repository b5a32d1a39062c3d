/* Any bytes where enrolment takes them in: scanned or typed codes, the county's keyset, request and reply. */
#include <stddef.h>
#include <stdint.h>

#include "sync/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_code(struct arena *a, struct str text)
{
    struct enrol_code code;
    struct diag d = {0};
    uint64_t token, token_again;
    unsigned char print[16];
    char written[ENROL_TOKEN_TEXT];
    if (enrol_code_read(a, text, &code, &d))
        CHECK(d.text[0] != '\0');
    if (enrol_token_read(text, &token)) {
        enrol_token_write(token, written);
        CHECK(enrol_token_read(str_of(written), &token_again) && token_again == token);
    }
    (void)root_print_read(text, print);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char seed[32] = {1};
    struct str text = {(const char *)data, size};
    struct key_pair_x25519 seal;
    struct key_pair_p256 sign;
    struct keyset keys = {.epoch = 0};
    struct enrol_request request;
    struct enrol_reply reply;
    struct diag d = {0};
    struct arena a;
    CHECK(crypto_init(&d) == ERR_OK && x25519_make(seed, &seal) == ERR_OK &&
          p256_make(seed, &sign) == ERR_OK);
    arena_init(&a, 64u << 20);
    as_code(&a, text);
    enum err rc = keyset_read(&a, text, NULL, &keys, &d);
    CHECK(!rc || d.text[0] != '\0');
    memcpy(keys.sign_public, sign.public, sizeof(keys.sign_public));
    CHECK(enrol_request_read(&a, text, &seal, &request, NULL) != ERR_OK || request.token60 >> 60 == 0);
    CHECK(enrol_reply_read(&a, text, &keys, &seal, &reply, NULL) != ERR_OK || reply.device != 0);
    arena_free(&a);
    return 0;
}
