/* Any bytes as the public key of a form: base 64 around X.509 around an RSA key. What is found lies inside
 * what was given. */
#include <stdint.h>
#include <stdlib.h>

#include "forms/encrypt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct str key = STR_NONE;
    struct diag d = {0};
    arena_init(&a, 1u << 20);
    enum err rc = encrypt_key_read(&a, (struct str){(const char *)data, size}, &key, &d);
    if (rc ? key.p != NULL || d.text[0] == 0 : key.n == 0 || key.n > size)
        abort();
    (void)str_hash(rc ? STR("") : key); /* every byte of it may be read */
    arena_free(&a);
    return 0;
}
