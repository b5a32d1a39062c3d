/* See desk_people.h. */
#include "server/desk_people.h"

#include "server/audit.h"

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
