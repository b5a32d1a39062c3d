/* See desk_people.h. */
#include "server/desk_people.h"

#include "server/audit.h"
#include "server/qr.h"
#include "server/root.h"

#define AUDIT_PAGE 500
#define LINE_TIME 16 /* "2026-03-02T18:05" */

enum err person_named(struct desk *k, struct str text, uint32_t *person_out, struct diag *d)
{
    struct account_row row;
    struct person p;
    struct str login;
    uint64_t number = 0;
    if (str_to_u64(text, &number) && number > 0 && number <= UINT32_MAX &&
        cstore_person(k->st, k->a, (uint32_t)number, &p, NULL) == ERR_OK) {
        *person_out = p.person;
        return ERR_OK;
    }
    if (login_read(k->a, text, &login, NULL) == ERR_OK) {
        enum err rc = cstore_account_login(k->st, k->a, login, &row, NULL);
        if (!rc)
            *person_out = row.person;
        if (rc != ERR_NOT_FOUND)
            return rc ? diag_set(d, rc, "The accounts cannot be read.") : ERR_OK;
    }
    return diag_set(d, ERR_NOT_FOUND,
                    "Nobody has the sign-in name or number %.*s. List people with: doorstepd person list DIR",
                    STR_ARG(text));
}

/* ---- the audit log ---- */

static void row_text(const struct audit_row *r, struct buf *out)
{
    char when[40];
    struct civil c = civil_at(r->at_ms, zone_utc());
    (void)civil_write(&c, when);
    buf_printf(out, "%llu  %.*s  %.*s", (unsigned long long)r->n, LINE_TIME, when, STR_ARG(r->who));
    if (r->person)
        buf_printf(out, " (%u)", r->person);
    buf_printf(out, "  %.*s", STR_ARG(r->what));
    if (r->household.n)
        buf_printf(out, "  %.*s", STR_ARG(r->household));
    if (r->about.n)
        buf_printf(out, "  %.*s", STR_ARG(r->about));
    buf_put_char(out, '\n');
}

static void row_json(const struct audit_row *r, struct buf *out)
{
    buf_printf(out, "{\"n\":%llu,\"at_ms\":%lld,\"person\":%u,\"who\":", (unsigned long long)r->n,
               (long long)r->at_ms, r->person);
    buf_put_json(out, r->who);
    buf_put_z(out, ",\"what\":");
    buf_put_json(out, r->what);
    buf_put_z(out, ",\"household\":");
    buf_put_json(out, r->household);
    buf_put_z(out, ",\"about\":");
    buf_put_json(out, r->about);
    buf_put_z(out, ",\"hash\":\"");
    buf_put_hex(out, r->hash, sizeof r->hash);
    buf_put_z(out, "\"}\n");
}

static enum err audit_list(struct desk *k, const struct audit_question *q, struct buf *out, struct diag *d)
{
    struct audit_filter f = {.who = q->person,
                             .what = q->act,
                             .household = q->household,
                             .limit = AUDIT_PAGE};
    uint32_t person = 0, count = AUDIT_PAGE;
    enum err rc = ERR_OK;
    struct person p;
    if (q->person.n && person_named(k, q->person, &person, NULL) == ERR_OK) {
        rc = cstore_person(k->st, k->a, person, &p, d);
        f.who = p.name;
    }
    while (!rc && count == AUDIT_PAGE && !out->failed) {
        struct arena a;
        struct audit_row *rows = NULL;
        arena_init(&a, 16u << 20);
        rc = cstore_audit_rows(k->st, &a, &f, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            (q->json ? row_json : row_text)(&rows[i], out);
            f.after = rows[i].n;
        }
        arena_free(&a);
    }
    return rc;
}

static enum err head_read(struct str text, struct audit_row *head, struct diag *d)
{
    struct str n, rest = text;
    *head = (struct audit_row){0};
    if (!str_split(&rest, ':', &n) || !str_to_u64(n, &head->n) || !hex_read(rest, head->hash, SHA256_SIZE))
        return diag_set(d, ERR_USAGE, "--head must be NUMBER:HASH as an earlier --verify printed it.");
    return ERR_OK;
}

static enum err audit_state_tell(const struct audit_state *x, const struct audit_row *head, bool json,
                                 struct buf *out, struct diag *d)
{
    char hash[2 * SHA256_SIZE + 1] = {0};
    hex_write(x->hash, SHA256_SIZE, hash);
    bool lost = head->n && !x->head_found && !x->broken;
    if (json)
        buf_printf(out,
                   "{\"whole\":%s,\"rows\":%llu,\"broken\":%llu,\"missing\":%s,\"head\":\"%llu:%s\","
                   "\"noted_head_found\":%s}\n",
                   x->broken || lost ? "false" : "true", (unsigned long long)x->newest,
                   (unsigned long long)x->broken, x->missing ? "true" : "false",
                   (unsigned long long)x->newest, hash, head->n ? x->head_found ? "true" : "false" : "null");
    if (x->broken)
        return diag_set(d, ERR_CORRUPT,
                        "The audit log was tampered with: row %llu %s. The rows before it are whole.",
                        (unsigned long long)x->broken, x->missing ? "is gone" : "is not what was written");
    if (lost)
        return diag_set(
            d, ERR_CORRUPT,
            "The audit log was cut or written anew: row %llu with the noted hash is not there; it "
            "ends at row %llu.",
            (unsigned long long)head->n, (unsigned long long)x->newest);
    if (!json)
        buf_printf(out,
                   "The audit log is whole: %llu rows.\nhead  %llu:%s\n"
                   "Note the head where the centre's machine cannot reach; --head compares with it later.\n",
                   (unsigned long long)x->newest, (unsigned long long)x->newest, hash);
    return ERR_OK;
}

enum err audit_answer(struct desk *k, const struct audit_question *q, struct buf *out, struct diag *d)
{
    struct audit_row head = {0};
    struct audit_state x;
    if (!q->verify && !q->head.p)
        return audit_list(k, q, out, d);
    enum err rc = q->head.p ? head_read(q->head, &head, d) : ERR_OK;
    if (!rc)
        rc = audit_verify(k->st, head.n ? &head : NULL, &x, d);
    return rc ? rc : audit_state_tell(&x, &head, q->json, out, d);
}

/* ---- the second factor ---- */

enum err totp_give(struct desk *k, struct str county, uint32_t person, const char *qr_file, struct buf *out,
                   struct diag *d)
{
    unsigned char key[TOTP_KEY_SIZE];
    struct account_row row;
    struct buf uri, svg;
    buf_init(&uri, QR_TEXT_MAX);
    buf_init(&svg, 1u << 20);
    enum err rc = cstore_account(k->st, k->a, person, &row, d);
    if (!rc && k->seam->random(k->seam->self, key, sizeof key))
        rc = diag_set(d, ERR_IO, "The system gave no random bytes for a key.");
    if (!rc) {
        totp_uri(key, county, row.login.p ? row.login : STR(""), &uri);
        rc = uri.failed;
    }
    if (!rc && qr_file)
        rc = qr_svg(buf_str(&uri), STR("Doorstep"), &svg, d);
    if (!rc && qr_file)
        rc = k->seam->file_write(k->seam->self, qr_file, buf_str(&svg), true, d);
    if (!rc)
        rc = account_set_totp(k->st, k->seam, STR("centre"), person, key, d);
    if (!rc)
        buf_printf(
            out,
            "%.*s\nSigning in as %.*s needs a code of this key from now on. Put it into an authenticator "
            "and keep it nowhere else.\n",
            STR_ARG(buf_str(&uri)), STR_ARG(row.login));
    crypto_wipe(key, sizeof key);
    buf_free(&svg);
    buf_free(&uri);
    return rc;
}

/* ---- the root key ---- */

static enum err path_of(struct desk *k, const char *folder, const char *name, const char **out)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_printf(&b, "%s/%s", folder, name);
    *out = b.failed ? NULL : arena_z(k->a, buf_str(&b));
    buf_free(&b);
    return *out ? ERR_OK : ERR_NOMEM;
}

static enum err root_read(struct desk *k, const char *dir, struct key_pair_p256 *root, struct diag *d)
{
    const char *path = NULL;
    struct buf bytes;
    buf_init(&bytes, 4096);
    enum err rc = path_of(k, dir, "keys/root.key", &path);
    if (!rc)
        rc = k->seam->file_read(k->seam->self, path, &bytes, NULL);
    if (rc == ERR_NOT_FOUND)
        rc = diag_set(d, ERR_STATE, "%s/keys/root.key is not here. Put it back with: doorstepd root join",
                      dir);
    if (!rc && bytes.n != sizeof root->secret)
        rc = diag_set(d, ERR_CORRUPT, "%s/keys/root.key is no key.", dir);
    if (!rc) {
        memcpy(root->secret, bytes.p, sizeof root->secret);
        rc = p256_public(root);
    }
    if (bytes.p)
        crypto_wipe(bytes.p, bytes.room);
    buf_free(&bytes);
    return rc ? diag_set(d, rc, "The root key cannot be read.") : ERR_OK;
}

static enum err share_put(struct desk *k, const char *folder, const struct root_share *s, struct diag *d)
{
    char name[20], text[ROOT_SHARE_TEXT];
    const char *path = NULL;
    struct buf line;
    buf_init(&line, 4096);
    buf_printf(&line, "share-%u.txt", s->x);
    memcpy(name, line.p, line.n + 1);
    buf_clear(&line);
    enum err rc = path_of(k, folder, name, &path);
    if (!rc)
        rc = root_share_write(s, text);
    buf_printf(&line, "%s\n", text);
    if (!rc)
        rc = k->seam->file_write(k->seam->self, path, buf_str(&line), true, d);
    crypto_wipe(text, sizeof text);
    if (line.p)
        crypto_wipe(line.p, line.room);
    buf_free(&line);
    return rc ? diag_set(d, rc, "%s/%s cannot be written.", folder, name) : ERR_OK;
}

static enum err share_get(struct desk *k, const char *path, struct root_share *out, struct diag *d)
{
    struct buf text;
    buf_init(&text, 4096);
    enum err rc = k->seam->file_read(k->seam->self, path, &text, d);
    if (!rc)
        rc = root_share_read(buf_str(&text), out, NULL);
    if (rc == ERR_SYNTAX)
        rc = diag_set(
            d, rc,
            "%s holds no share of a root key, or a digit of it is wrong: eleven groups of eight digits "
            "with lines between them.",
            path);
    if (text.p)
        crypto_wipe(text.p, text.room);
    buf_free(&text);
    return rc;
}

/* From the files, all of them, and the last `need`. */
static enum err shares_prove(struct desk *k, const char *folder, uint8_t need, uint8_t count,
                             const struct key_pair_p256 *root, struct diag *d)
{
    struct root_share s[ROOT_SHARES_MAX];
    struct key_pair_p256 back = {0};
    enum err rc = ERR_OK;
    for (uint8_t i = 0; !rc && i < count; i++) {
        char name[20];
        const char *path = NULL;
        struct buf b;
        buf_init(&b, sizeof name);
        buf_printf(&b, "share-%u.txt", i + 1u);
        memcpy(name, b.p, b.n + 1);
        buf_free(&b);
        rc = path_of(k, folder, name, &path);
        if (!rc)
            rc = share_get(k, path, &s[i], d);
    }
    for (uint8_t from = 0; !rc && from <= count - need; from++) {
        rc = root_join(s + from, need, &back, d);
        if (!rc && memcmp(back.secret, root->secret, sizeof back.secret) != 0)
            rc = diag_set(d, ERR_CORRUPT, "The shares do not give the key back. Nothing was removed.");
    }
    crypto_wipe(s, sizeof s);
    crypto_wipe(&back, sizeof back);
    return rc;
}

static enum err root_audit(struct desk *k, const char *what, struct diag *d)
{
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = cstore_audit(k->st, k->seam->wall_ms(k->seam->self), STR("centre"), str_of(what), STR(""), d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

enum err root_give_out(struct desk *k, const char *dir, const char *folder, uint8_t need, uint8_t count,
                       bool remove, struct buf *out, struct diag *d)
{
    struct key_pair_p256 root = {0};
    struct root_share s[ROOT_SHARES_MAX] = {{{0}, 0, 0, {0}}};
    unsigned char random[(ROOT_SHARES_MAX - 1) * P256_SECRET_SIZE], hash[SHA256_SIZE];
    const char *path = NULL;
    if (need < 2 || need > count || count > ROOT_SHARES_MAX)
        return diag_set(d, ERR_USAGE,
                        "Say how many shares (2 to %d) and how many of them are needed (2 or more).",
                        ROOT_SHARES_MAX);
    enum err rc = root_read(k, dir, &root, d);
    if (!rc)
        rc = k->seam->dir_make(k->seam->self, folder, d);
    if (!rc)
        rc = crypto_random(random, sizeof random);
    if (!rc)
        rc = sha256((struct str){(const char *)root.public, sizeof root.public}, hash);
    if (!rc)
        root_split(root.secret, need, count, random, s);
    for (uint8_t i = 0; !rc && i < count; i++) {
        memcpy(s[i].print, hash, sizeof s[i].print);
        rc = share_put(k, folder, &s[i], d);
    }
    if (!rc)
        rc = shares_prove(k, folder, need, count, &root, d);
    if (!rc)
        rc = root_audit(k, remove ? "root-split-and-removed" : "root-split", d);
    if (!rc && remove)
        rc = path_of(k, dir, "keys/root.key", &path);
    if (!rc && remove)
        rc = k->seam->file_remove(k->seam->self, path);
    if (!rc)
        buf_printf(
            out,
            "%u shares lie in %s; any %u of them give the key back, fewer say nothing. This was tried.\n"
            "Print each, give it to its keeper, and remove the files. %s\n",
            count, folder, need,
            remove ? "The key itself is no longer here." : "The key itself still lies in keys/root.key.");
    crypto_wipe(&root, sizeof root);
    crypto_wipe(s, sizeof s);
    crypto_wipe(random, sizeof random);
    return rc ? diag_set(d, rc, "The root key could not be split.") : ERR_OK;
}

enum err root_put_back(struct desk *k, const char *dir, const struct str *files, uint32_t file_count,
                       struct buf *out, struct diag *d)
{
    struct root_share s[ROOT_SHARES_MAX];
    struct key_pair_p256 root = {0};
    struct centre c;
    const char *path = NULL;
    enum err rc = file_count <= ROOT_SHARES_MAX
                      ? centre_read(k->seam, dir, k->a, &c, d)
                      : diag_set(d, ERR_LIMIT, "There are at most %d shares.", ROOT_SHARES_MAX);
    for (uint32_t i = 0; !rc && i < file_count; i++)
        rc = share_get(k, arena_z(k->a, files[i]), &s[i], d);
    if (!rc)
        rc = root_join(s, file_count, &root, d);
    if (!rc && memcmp(root.public, c.keys.root_public, sizeof root.public) != 0)
        rc = diag_set(d, ERR_USAGE, "These are shares of another county's root key.");
    if (!rc)
        rc = path_of(k, dir, "keys/root.key", &path);
    if (!rc)
        rc = k->seam->file_write(k->seam->self, path,
                                 (struct str){(const char *)root.secret, sizeof root.secret}, true, d);
    if (!rc)
        rc = root_audit(k, "root-joined", d);
    if (!rc)
        buf_printf(out, "The root key is back in %s. Take it out again when it has done its work.\n", path);
    crypto_wipe(s, sizeof s);
    crypto_wipe(&root, sizeof root);
    crypto_wipe(&c, sizeof c);
    return rc;
}
