/* The county's root key on paper: n shares of which any k give the key back, and fewer give nothing.
 *
 * Shamir's scheme over GF(256) with the polynomial of AES: byte i of share x is f_i(x), f_i a random
 * polynomial of degree k-1 with f_i(0) = byte i of the key. A share says whose key it is of (the fingerprint
 * that people compare by eye), how many are needed, and carries a checksum of its own, so that a line typed
 * wrong is told at once and shares of two counties never mix.
 */
#ifndef DOORSTEP_SERVER_ROOT_H
#define DOORSTEP_SERVER_ROOT_H

#include "server/server.h"

#define ROOT_SHARES_MAX 20
#define ROOT_SHARE_TEXT 160 /* one line */

struct root_share {
    unsigned char print[16]; /* SHA-256(root public)[0..16) */
    uint8_t need, x;         /* x from 1 */
    unsigned char y[P256_SECRET_SIZE];
};

/* `random`: (need - 1) * P256_SECRET_SIZE bytes. */
void root_split(const unsigned char secret[static P256_SECRET_SIZE], uint8_t need, uint8_t count,
                const unsigned char *random, struct root_share *shares_out);
/* ERR_USAGE: too few, two with one number, of different keys. What comes out is only the key when the public
 * key that follows from it has the shares' fingerprint: ERR_CORRUPT otherwise. */
enum err root_join(const struct root_share *shares, uint32_t count, struct key_pair_p256 *root_out,
                   struct diag *d) MUST_USE;

/* "doorstep-root 2 of 1: ..." in groups that can be read aloud. */
enum err root_share_write(const struct root_share *s, char out[static ROOT_SHARE_TEXT]) MUST_USE;
enum err root_share_read(struct str text, struct root_share *out, struct diag *d) MUST_USE; /* ERR_SYNTAX */

#endif
