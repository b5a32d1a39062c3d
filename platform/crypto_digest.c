/* Plain digests by name, for the form function digest() and for checksums that other systems publish. MD5 and
 * SHA-1 are here because old forms and OpenRosa manifests use them; nothing of ours relies on either.
 */
#include "platform/crypto_internal.h"

#include <psa/crypto.h>

enum err digest_named(struct str algorithm, struct str data, unsigned char out[static DIGEST_SIZE_MAX],
                      size_t *n_out)
{
    static const struct {
        const char *name;
        psa_algorithm_t id;
    } known[] = {{"MD5", PSA_ALG_MD5},
                 {"SHA-1", PSA_ALG_SHA_1},
                 {"SHA-256", PSA_ALG_SHA_256},
                 {"SHA-384", PSA_ALG_SHA_384},
                 {"SHA-512", PSA_ALG_SHA_512}};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (!str_eq_z(algorithm, known[i].name))
            continue;
        size_t n = 0;
        crypto_lock();
        psa_status_t status = psa_hash_compute(known[i].id, (const uint8_t *)(data.p ? data.p : ""), data.n,
                                               out, DIGEST_SIZE_MAX, &n);
        crypto_unlock();
        if (status != PSA_SUCCESS)
            return ERR_IO;
        *n_out = n;
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}
