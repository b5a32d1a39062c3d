/* Drafts, staged versions and the way back (stage.h). What is published passes through publish.c, a draft
 * too. */
#include "server/stage.h"

#include "forms/xlsform.h"
#include "server/store_stage.h"

enum err stage_draft(struct desk *k, struct str by, struct str kind, struct str id, struct str file_name,
                     struct str bytes, struct publish_result *out, struct diag *d)
{
    struct draft_row row = {.kind = kind, .file_name = file_name, .by = by};
    int64_t now = k->seam->wall_ms(k->seam->self);
    enum err rc = publish_check(k, kind, id, file_name, bytes, out, d); /* rolled back: nothing is numbered */
    if (!rc)
        rc = sha256(bytes, row.hash);
    if (!rc)
        rc = cstore_begin(k->st, d);
    row.id = rc ? STR("") : out->id;
    row.version = rc ? STR("") : out->version;
    row.title = row.id;
    row.at_ms = now;
    if (!rc)
        rc = cstore_object_put(k->st, row.hash, STR("draft"), bytes, now, d);
    if (!rc)
        rc = cstore_draft_put(k->st, &row, d);
    if (!rc)
        rc = cstore_audit(k->st, now, by.n ? by : STR("centre"), STR("drafted"), row.id, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

enum err stage_drafts(struct desk *k, struct draft_row **out, uint32_t *count_out, struct diag *d)
{
    return cstore_drafts(k->st, k->a, out, count_out, d);
}

enum err stage_find(struct desk *k, struct str kind, struct str id, struct draft_row *out,
                    struct str *bytes_out, struct diag *d)
{
    struct draft_row *list = NULL;
    uint32_t count = 0;
    enum err rc = cstore_drafts(k->st, k->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (!str_eq(list[i].kind, kind) || !str_eq(list[i].id, id))
            continue;
        *out = list[i];
        return cstore_object(k->st, k->a, list[i].hash, NULL, bytes_out, d);
    }
    return rc ? rc
              : diag_set(d, ERR_NOT_FOUND,
                         "There is no draft of %.*s %.*s. Make one: doorstepd publish DIR KIND FILE --draft",
                         STR_ARG(kind), STR_ARG(id));
}

static bool area_word(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
              c == '.'))
            return false;
    }
    return s.n <= 64;
}

enum err stage_publish(struct desk *k, struct str kind, struct str id, struct str areas,
                       struct publish_result *out, struct diag *d)
{
    struct draft_row draft = {0};
    struct str bytes = STR(""), rest = areas, word;
    while (str_word(&rest, &word))
        if (!area_word(word))
            return diag_set(d, ERR_USAGE, "%.*s is no area code.", STR_ARG(word));
    enum err rc = stage_find(k, kind, id, &draft, &bytes, d);
    if (!rc)
        rc = publish_in(k, kind, str_eq_z(kind, "list") ? id : STR(""), draft.file_name, bytes,
                        str_trim(areas), out, d);
    if (rc || str_trim(areas).n)
        return rc;
    rc = cstore_begin(k->st, d);
    if (!rc)
        rc = cstore_draft_drop(k->st, kind, id, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

/* ---- the way back ---- */

static enum err state_set(struct desk *k, struct cases *c, struct row_id row, struct str state, int64_t now,
                          struct diag *d)
{
    const struct case_field fields[] = {{PUBLISHED_STATE, state}, {PUBLISHED_AREAS, STR("")}};
    struct case_edit edit = {.row = row, .fields = fields, .field_count = 2};
    return cases_edit(c, k->epoch, now, &edit, d);
}

static bool is_of(const struct published *p, struct str kind, struct str id)
{
    return str_eq(p->kind, kind) && str_eq(p->id, id);
}

/* The newest that is live goes. Beside a staged one that for all is live still; else the last one before. */
static void which(const struct published *list, uint32_t count, struct str kind, struct str id,
                  uint32_t *newest, uint32_t *before)
{
    *newest = *before = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (is_of(&list[i], kind, id) && str_eq_z(list[i].state, "live"))
            *newest = i;
    for (uint32_t i = 0; *newest != UINT32_MAX && i < *newest; i++) {
        bool live_before = *before != UINT32_MAX && str_eq_z(list[*before].state, "live");
        if (is_of(&list[i], kind, id) && (!live_before || str_eq_z(list[i].state, "live")))
            *before = i;
    }
}

enum err stage_withdraw(struct desk *k, struct str kind, struct str id, struct published *now_out,
                        struct diag *d)
{
    struct cases c = {.st = k->st, .a = k->a};
    struct published *list = NULL;
    uint32_t count = 0, newest = UINT32_MAX, before = UINT32_MAX;
    int64_t now = k->seam->wall_ms(k->seam->self);
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = published_all(k->st, k->a, &list, &count, d);
    if (!rc)
        which(list, count, kind, id, &newest, &before);
    if (!rc && before == UINT32_MAX)
        rc = diag_set(d, ERR_NOT_FOUND, "No earlier version of %.*s %.*s was published.", STR_ARG(kind),
                      STR_ARG(id));
    if (!rc)
        rc = state_set(k, &c, list[newest].row, STR("retired"), now, d);
    if (!rc)
        rc = state_set(k, &c, list[before].row, STR("live"), now, d);
    if (!rc)
        rc = cstore_audit(k->st, now, STR("centre"), STR("withdrawn"), id, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    if (!rc)
        *now_out = list[before];
    return rc;
}
