/* Shares of the root key: arithmetic, and how they are written on paper. See root.h. */
#include "server/root.h"

#define SHARE_BYTES (16 + 1 + 1 + P256_SECRET_SIZE)
#define CHECK_BYTES 4
#define GROUP 5 /* bytes, 8 digits */

static uint8_t gf_mul(uint8_t a, uint8_t b)
{
    uint8_t out = 0;
    for (int i = 0; i < 8; i++) {
        out ^= (uint8_t)(a & (uint8_t) - (b & 1)); /* the same steps whatever the bits are */
        b >>= 1;
        a = (uint8_t)((uint8_t)(a << 1) ^ (0x1b & (uint8_t) - (a >> 7)));
    }
    return out;
}

/* a to the 254th. */
static uint8_t gf_inverse(uint8_t a)
{
    uint8_t out = 1;
    for (int bit = 7; bit >= 0; bit--) {
        out = gf_mul(out, out);
        if (254 >> bit & 1)
            out = gf_mul(out, a);
    }
    return out;
}

void root_split(const unsigned char secret[static P256_SECRET_SIZE], uint8_t need, uint8_t count,
                const unsigned char *random, struct root_share *shares_out)
{
    CHECK(need >= 1 && need <= count && count <= ROOT_SHARES_MAX);
    for (uint8_t s = 0; s < count; s++) {
        shares_out[s].need = need;
        shares_out[s].x = (uint8_t)(s + 1);
        for (size_t i = 0; i < P256_SECRET_SIZE; i++) {
            uint8_t y = 0;
            for (int c = need - 2; c >= 0; c--)
                y = gf_mul(y, shares_out[s].x) ^ random[(size_t)c * P256_SECRET_SIZE + i];
            shares_out[s].y[i] = gf_mul(y, shares_out[s].x) ^ secret[i];
        }
    }
}

/* Lagrange at 0: the weight of share i is the product of x_k / (x_k - x_i), and minus is plus here. */
static void interpolate(const struct root_share *s, uint32_t count,
                        unsigned char out[static P256_SECRET_SIZE])
{
    memset(out, 0, P256_SECRET_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t weight = 1;
        for (uint32_t k = 0; k < count; k++) {
            if (k != i)
                weight = gf_mul(weight, gf_mul(s[k].x, gf_inverse(s[k].x ^ s[i].x)));
        }
        for (size_t b = 0; b < P256_SECRET_SIZE; b++)
            out[b] ^= gf_mul(weight, s[i].y[b]);
    }
}

static enum err shares_check(const struct root_share *s, uint32_t count, struct diag *d)
{
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(s[i].print, s[0].print, sizeof s[0].print) != 0 || s[i].need != s[0].need)
            return diag_set(d, ERR_USAGE, "These shares are not of one splitting of one root key.");
        for (uint32_t k = 0; k < i; k++) {
            if (s[k].x == s[i].x)
                return diag_set(d, ERR_USAGE, "Share %u was given twice.", s[i].x);
        }
    }
    if (count == 0 || count < s[0].need)
        return diag_set(d, ERR_USAGE, "%u shares are here and %u are needed.", count, count ? s[0].need : 1);
    return ERR_OK;
}

enum err root_join(const struct root_share *shares, uint32_t count, struct key_pair_p256 *root_out,
                   struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    struct key_pair_p256 root = {0};
    enum err rc = shares_check(shares, count, d);
    if (rc)
        return rc;
    interpolate(shares, shares[0].need, root.secret);
    rc = p256_public(&root);
    if (!rc)
        rc = sha256((struct str){(const char *)root.public, sizeof root.public}, hash);
    if (!rc && memcmp(hash, shares[0].print, sizeof shares[0].print) != 0)
        rc = ERR_CORRUPT;
    if (rc)
        rc = diag_set(d, ERR_CORRUPT,
                      "These shares do not give the root key back: one of them is not what was written.");
    else
        *root_out = root;
    crypto_wipe(&root, sizeof root);
    return rc;
}

/* ---- on paper ---- */

static void share_bytes(const struct root_share *s, unsigned char out[static SHARE_BYTES])
{
    memcpy(out, s->print, 16);
    out[16] = s->need;
    out[17] = s->x;
    memcpy(out + 18, s->y, P256_SECRET_SIZE);
}

static enum err share_check(const unsigned char bytes[static SHARE_BYTES],
                            unsigned char out[static CHECK_BYTES])
{
    unsigned char hash[SHA256_SIZE];
    const struct str parts[] = {STR("doorstep-root/1"), {(const char *)bytes, SHARE_BYTES}};
    enum err rc = sha256_parts(parts, 2, hash);
    memcpy(out, hash, CHECK_BYTES);
    return rc;
}

/* 50 bytes and 4 of checksum, and one 0: eleven groups of 8 digits. */
enum err root_share_write(const struct root_share *s, char out[static ROOT_SHARE_TEXT])
{
    unsigned char bytes[SHARE_BYTES + CHECK_BYTES + 1] = {0};
    size_t n = 0;
    share_bytes(s, bytes);
    enum err rc = share_check(bytes, bytes + SHARE_BYTES);
    for (size_t at = 0; !rc && at < sizeof bytes; at += GROUP) {
        uint64_t v = 0;
        for (size_t i = 0; i < GROUP; i++)
            v = v << 8 | bytes[at + i];
        if (at)
            out[n++] = '-';
        base32_write(v, 8, out + n);
        n += 8;
    }
    out[n] = 0;
    crypto_wipe(bytes, sizeof bytes);
    return rc;
}

enum err root_share_read(struct str text, struct root_share *out, struct diag *d)
{
    unsigned char bytes[SHARE_BYTES + CHECK_BYTES + 1] = {0}, check[CHECK_BYTES];
    struct str group, rest = str_trim(text);
    size_t at = 0;
    bool right = true;
    while (right && str_split(&rest, '-', &group)) {
        uint64_t v = 0;
        right = at < sizeof bytes && str_trim(group).n == 8 && base32_read(str_trim(group), &v);
        for (size_t i = 0; right && i < GROUP; i++)
            bytes[at + i] = (unsigned char)(v >> (8 * (GROUP - 1 - i)));
        at += GROUP;
    }
    if (!right || at != sizeof bytes || bytes[sizeof bytes - 1] != 0 || share_check(bytes, check) ||
        memcmp(check, bytes + SHARE_BYTES, CHECK_BYTES) != 0 || bytes[16] == 0 || bytes[17] == 0 ||
        bytes[17] > ROOT_SHARES_MAX || bytes[16] > ROOT_SHARES_MAX) {
        crypto_wipe(bytes, sizeof bytes);
        return diag_set(d, ERR_SYNTAX,
                        "This is no share of a root key, or a digit of it is wrong: eleven groups of eight "
                        "digits with lines between them.");
    }
    memcpy(out->print, bytes, 16);
    out->need = bytes[16];
    out->x = bytes[17];
    memcpy(out->y, bytes + 18, P256_SECRET_SIZE);
    crypto_wipe(bytes, sizeof bytes);
    return ERR_OK;
}
