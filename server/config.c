/* The centre's directory: keys, the signed keyset, the database. Secret keys are raw bytes in files of mode
 * 0600; the root's is needed only to sign a new keyset and may be moved to a safe after init.
 *
 *   DIR/keyset.json      county, epoch, public keys, signed by the root: what devices are given
 *   DIR/keys/root.key    signs keysets           DIR/keys/sign.key    signs receipts and downlink
 *   DIR/keys/seal.key    opens frames            DIR/keys/secret.key  bearer and enrolment tokens
 *   DIR/centre.db        everything else; or
 *   DIR/store            the address of the PostgreSQL database that holds it (mode 0600: it may hold a
 *                        password), and the county's number there
 */
#include "server/server.h"

#define PATH_TEXT_MAX 4096
#define COUNTY_NAME_MAX 120
#define FIRST_EPOCH 1

static enum err path_in(struct buf *b, const char *dir, const char *name, struct diag *d)
{
    buf_init(b, PATH_TEXT_MAX);
    buf_put_z(b, dir);
    buf_put_char(b, '/');
    buf_put_z(b, name);
    return b->failed ? diag_set(d, ERR_LIMIT, "The path of the centre's directory is too long.") : ERR_OK;
}

static enum err file_put(const struct seam *seam, const char *dir, const char *name, struct str bytes,
                         bool secret, struct diag *d)
{
    struct buf path;
    enum err rc = path_in(&path, dir, name, d);
    if (!rc)
        rc = seam->file_write(seam->self, path.p, bytes, secret, d);
    buf_free(&path);
    return rc;
}

static enum err file_get(const struct seam *seam, const char *dir, const char *name, struct buf *out,
                         struct diag *d)
{
    struct buf path;
    enum err rc = path_in(&path, dir, name, d);
    if (!rc)
        rc = seam->file_read(seam->self, path.p, out, d);
    buf_free(&path);
    return rc;
}

static enum err key_get(const struct seam *seam, const char *dir, const char *name, void *out, size_t n,
                        struct diag *d)
{
    struct buf bytes;
    buf_init(&bytes, 4096);
    enum err rc = file_get(seam, dir, name, &bytes, d);
    if (!rc && bytes.n != n)
        rc = diag_set(d, ERR_CORRUPT,
                      "%s/%s has %zu bytes instead of %zu: put the key file back from its copy.", dir, name,
                      bytes.n, n);
    if (!rc)
        memcpy(out, bytes.p, n);
    if (bytes.p)
        crypto_wipe(bytes.p, bytes.n);
    buf_free(&bytes);
    return rc;
}

/* "URL LF county LF", beside the keys: where the database is, when it is not the file. */
static enum err place_read(const struct seam *seam, const char *dir, struct arena *a,
                           struct cstore_place *out, struct diag *d)
{
    struct buf text;
    struct diag quiet = {0};
    struct str url, number;
    buf_init(&text, PATH_TEXT_MAX);
    enum err rc = file_get(seam, dir, "store", &text, &quiet);
    struct str rest = buf_str(&text);
    if (!rc && (!str_split(&rest, '\n', &url) || !str_split(&rest, '\n', &number) ||
                !str_to_i64(str_trim(number), &out->county) || out->county < 1))
        rc = diag_set(d, ERR_CORRUPT, "%s/store must hold the database's address and the county's number.",
                      dir);
    else if (!rc && !(out->url = arena_z(a, str_trim(url))))
        rc = ERR_NOMEM;
    else if (rc == ERR_NOT_FOUND) /* the file */
        rc = ERR_OK;
    else if (rc)
        rc = diag_set(d, rc, "%s/store cannot be read.", dir);
    buf_free(&text);
    return rc;
}

static enum err place_write(const struct seam *seam, const char *dir, const char *url, int64_t county,
                            struct diag *d)
{
    struct buf text;
    buf_init(&text, PATH_TEXT_MAX);
    buf_printf(&text, "%s\n%lld\n", url, (long long)county);
    enum err rc = text.failed ? diag_set(d, ERR_LIMIT, "The database's address is too long.")
                              : file_put(seam, dir, "store", buf_str(&text), true, d);
    buf_free(&text);
    return rc;
}

enum err centre_store_open(const struct seam *seam, const char *dir, struct cstore **store_out,
                           struct diag *d)
{
    struct buf path;
    struct arena memory;
    struct cstore_place place = {.seam = seam, .vfs = seam->vfs, .county = 1};
    arena_init(&memory, 2 * PATH_TEXT_MAX);
    enum err rc = path_in(&path, dir, "centre.db", d);
    place.path = path.p;
    if (!rc)
        rc = place_read(seam, dir, &memory, &place, d);
    if (!rc)
        rc = cstore_open(&place, store_out, d);
    arena_free(&memory);
    buf_free(&path);
    return rc;
}

struct fresh_keys {
    struct key_pair_p256 root, sign;
    struct key_pair_x25519 seal;
    unsigned char secret[32];
};

static enum err keys_draw(const struct seam *seam, struct fresh_keys *k, struct diag *d)
{
    unsigned char seed[3][32];
    enum err rc = seam->random(seam->self, seed, sizeof seed);
    if (!rc)
        rc = seam->random(seam->self, k->secret, sizeof k->secret);
    if (!rc)
        rc = p256_make(seed[0], &k->root);
    if (!rc)
        rc = p256_make(seed[1], &k->sign);
    if (!rc)
        rc = x25519_make(seed[2], &k->seal);
    crypto_wipe(seed, sizeof seed);
    return rc ? diag_set(d, rc, "Keys could not be made: the system gave no random bytes.") : ERR_OK;
}

static enum err keys_write(const struct seam *seam, const char *dir, const struct fresh_keys *k,
                           struct diag *d)
{
    /* clang-format off */
    const struct { const char *name; const void *p; size_t n; } files[] = {
        {"keys/root.key",   k->root.secret, sizeof k->root.secret},
        {"keys/sign.key",   k->sign.secret, sizeof k->sign.secret},
        {"keys/seal.key",   k->seal.secret, sizeof k->seal.secret},
        {"keys/secret.key", k->secret,      sizeof k->secret},
    };
    /* clang-format on */
    struct buf path;
    enum err rc = path_in(&path, dir, "keys", d);
    if (!rc)
        rc = seam->dir_make(seam->self, path.p, d);
    buf_free(&path);
    for (size_t i = 0; !rc && i < sizeof files / sizeof files[0]; i++)
        rc = file_put(seam, dir, files[i].name, (struct str){files[i].p, files[i].n}, true, d);
    return rc;
}

static enum err keyset_put(const struct seam *seam, const char *dir, const struct fresh_keys *k,
                           struct str county, struct diag *d)
{
    struct keyset set = {.county = county, .epoch = FIRST_EPOCH, .issued_ms = seam->wall_ms(seam->self)};
    memcpy(set.root_public, k->root.public, sizeof set.root_public);
    memcpy(set.sign_public, k->sign.public, sizeof set.sign_public);
    memcpy(set.seal_public, k->seal.public, sizeof set.seal_public);
    struct buf json;
    buf_init(&json, 1u << 16);
    enum err rc = keyset_write(&set, &k->root, &json, d);
    if (!rc)
        rc = file_put(seam, dir, "keyset.json", buf_str(&json), false, d);
    buf_free(&json);
    return rc;
}

static enum err place_open(const struct seam *seam, const char *dir, const struct centre_options *o,
                           struct cstore **out, struct diag *d)
{
    struct cstore_place place = {.seam = seam, .url = o->store_url, .partitions = o->partitions};
    return o->store_url ? cstore_open(&place, out, d) : centre_store_open(seam, dir, out, d);
}

/* A directory that says where its store is was finished. */
static enum err dir_free(const struct seam *seam, const char *dir, struct cstore *st, struct diag *d)
{
    struct counters counters;
    struct diag quiet = {0};
    struct buf text;
    buf_init(&text, PATH_TEXT_MAX);
    bool taken = file_get(seam, dir, "store", &text, &quiet) == ERR_OK ||
                 cstore_county(st, NULL, NULL, NULL, &counters, NULL) == ERR_OK;
    buf_free(&text);
    return taken ? diag_set(d, ERR_EXISTS, "%s holds a county already; choose another directory.", dir)
                 : ERR_OK;
}

/* The county's row in the database comes last: a directory without it was never finished and init may start
 * over. */
enum err centre_make_with(const struct seam *seam, const char *dir, struct str county,
                          const struct centre_options *o, char print_out[static 40], struct diag *d)
{
    struct cstore *st = NULL;
    struct fresh_keys keys = {0};
    unsigned char print[SHA256_SIZE];
    int64_t number = 0;
    if (county.n == 0 || county.n > COUNTY_NAME_MAX || !utf8_valid(county))
        return diag_set(d, ERR_USAGE, "The county's name must have 1 to %d bytes of UTF-8.", COUNTY_NAME_MAX);
    enum err rc = crypto_init(d);
    if (!rc)
        rc = seam->dir_make(seam->self, dir, d);
    if (!rc)
        rc = place_open(seam, dir, o, &st, d);
    if (!rc)
        rc = dir_free(seam, dir, st, d);
    if (!rc)
        rc = keys_draw(seam, &keys, d);
    if (!rc)
        rc = keys_write(seam, dir, &keys, d);
    if (!rc)
        rc = keyset_put(seam, dir, &keys, county, d);
    if (!rc)
        rc = cstore_county_make(st, county, FIRST_EPOCH, &number, d);
    if (!rc && o->store_url)
        rc = place_write(seam, dir, o->store_url, number, d);
    if (!rc)
        rc = sha256((struct str){(const char *)keys.root.public, sizeof keys.root.public}, print);
    if (!rc)
        root_print_text(print, print_out);
    crypto_wipe(&keys, sizeof keys);
    cstore_close(st);
    return rc;
}

enum err centre_make(const struct seam *seam, const char *dir, struct str county, char print_out[static 40],
                     struct diag *d)
{
    const struct centre_options usual = {0};
    return centre_make_with(seam, dir, county, &usual, print_out, d);
}

enum err centre_read(const struct seam *seam, const char *dir, struct arena *a, struct centre *out,
                     struct diag *d)
{
    struct centre c = {0};
    struct buf json;
    buf_init(&json, 1u << 16);
    enum err rc = crypto_init(d);
    if (!rc)
        rc = file_get(seam, dir, "keyset.json", &json, NULL);
    if (rc == ERR_NOT_FOUND)
        rc = diag_set(d, ERR_STATE, "%s holds no county. Make one with: doorstepd init %s --county NAME", dir,
                      dir);
    else if (rc)
        (void)diag_set(d, rc, "%s/keyset.json cannot be read.", dir);
    if (!rc) {
        c.keyset_json = arena_str(a, buf_str(&json));
        rc = c.keyset_json.p ? keyset_read(a, c.keyset_json, NULL, &c.keys, d) : ERR_NOMEM;
    }
    if (!rc)
        rc = key_get(seam, dir, "keys/sign.key", c.sign.secret, sizeof c.sign.secret, d);
    if (!rc)
        rc = key_get(seam, dir, "keys/seal.key", c.seal.secret, sizeof c.seal.secret, d);
    if (!rc)
        rc = key_get(seam, dir, "keys/secret.key", c.secret, sizeof c.secret, d);
    if (!rc)
        rc = p256_public(&c.sign);
    if (!rc)
        rc = x25519_public(&c.seal);
    if (!rc && (memcmp(c.sign.public, c.keys.sign_public, sizeof c.sign.public) != 0 ||
                memcmp(c.seal.public, c.keys.seal_public, sizeof c.seal.public) != 0))
        rc = diag_set(
            d, ERR_CORRUPT,
            "The secret keys in %s/keys are not those of %s/keyset.json: put both back from the same copy.",
            dir, dir);
    if (!rc) {
        c.county = c.keys.county;
        c.epoch = c.keys.epoch;
        *out = c;
    } else {
        (void)diag_set(d, rc, "The keys in %s/keys cannot be used.", dir);
    }
    crypto_wipe(&c, sizeof c);
    buf_free(&json);
    return rc;
}

/* ---- backups ---- */

static enum err file_copy(const struct seam *seam, const char *from, const char *to, const char *name,
                          bool secret, struct diag *d)
{
    struct buf bytes;
    buf_init(&bytes, 1u << 20);
    enum err rc = file_get(seam, from, name, &bytes, d);
    if (!rc)
        rc = file_put(seam, to, name, buf_str(&bytes), secret, d);
    if (bytes.p)
        crypto_wipe(bytes.p, bytes.n);
    buf_free(&bytes);
    return rc;
}

static enum err keys_copy(const struct seam *seam, const char *from, const char *to, struct diag *d)
{
    struct arena a;
    struct buf path;
    struct str *names = NULL;
    uint32_t count = 0;
    arena_init(&a, 1u << 20);
    enum err rc = path_in(&path, to, "keys", d);
    if (!rc)
        rc = seam->dir_make(seam->self, path.p, d);
    buf_free(&path);
    if (!rc)
        rc = path_in(&path, from, "keys", d);
    if (!rc)
        rc = seam->dir_list(seam->self, path.p, &a, &names, &count);
    buf_free(&path);
    for (uint32_t i = 0; !rc && i < count; i++) {
        rc = path_in(&path, "keys", arena_z(&a, names[i]), d);
        if (!rc)
            rc = file_copy(seam, from, to, path.p, true, d);
        buf_free(&path);
    }
    if (!rc)
        rc = file_copy(seam, from, to, "keyset.json", false, d);
    arena_free(&a);
    return rc;
}

/* The database comes last: a directory without it is no backup. */
enum err centre_backup(const struct seam *seam, const char *dir, struct cstore *st, const char *to,
                       struct diag *d)
{
    struct buf path, there;
    struct diag quiet = {0};
    buf_init(&there, 1u << 20);
    enum err rc = seam->dir_make(seam->self, to, d);
    if (!rc && file_get(seam, to, "keyset.json", &there, &quiet) == ERR_OK)
        rc = diag_set(d, ERR_EXISTS, "%s holds a county already; a backup never overwrites.", to);
    buf_free(&there);
    if (!rc)
        rc = keys_copy(seam, dir, to, d);
    if (rc)
        return rc;
    rc = path_in(&path, to, "centre.db", d);
    if (!rc)
        rc = cstore_backup(st, path.p, seam->vfs, d);
    buf_free(&path);
    return rc;
}

enum err centre_restore(const struct seam *seam, const char *dir, const char *from,
                        const struct centre_options *o, struct diag *d)
{
    struct cstore *source = NULL, *st = NULL;
    int64_t county = 0;
    struct arena a;
    struct centre c;
    arena_init(&a, 1u << 20);
    enum err rc = centre_read(seam, from, &a, &c, d); /* a whole backup, not any directory */
    crypto_wipe(&c, sizeof c);
    arena_free(&a);
    if (!rc)
        rc = centre_store_open(seam, from, &source, d);
    if (!rc)
        rc = seam->dir_make(seam->self, dir, d);
    if (!rc)
        rc = place_open(seam, dir, o, &st, d);
    if (!rc)
        rc = dir_free(seam, dir, st, d);
    if (!rc)
        rc = keys_copy(seam, from, dir, d);
    if (!rc)
        rc = cstore_copy(source, st, &county, d);
    if (!rc)
        rc = centre_set_back(seam, dir, st, d);
    if (!rc && o->store_url)
        rc = place_write(seam, dir, o->store_url, county, d);
    cstore_close(source);
    cstore_close(st);
    return rc;
}
