/* The audit log: who read and changed what, newest first, and whether the chain is whole. */
#include "server/screens.h"

static void rows_draw(struct page *p, const struct audit_row *list, uint32_t count)
{
    static const struct column columns[] = {{W_WHEN, NULL, false},
                                            {W_WHO, NULL, false},
                                            {W_AUDIT_WHAT, NULL, false},
                                            {W_CODE, NULL, false},
                                            {W_AUDIT_ABOUT, NULL, false}};
    const struct table t = {.columns = columns,
                            .count = 5,
                            .caption = word_of(p, W_AUDIT),
                            .caption_hidden = true};
    if (!count) {
        pg_empty(p, W_AUDIT_NONE);
        return;
    }
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < count; i++) {
        pg_row(p);
        pg_cell_time(p, list[i].at_ms);
        pg_cell(p, list[i].who);
        pg_cell(p, list[i].what);
        pg_cell(p, list[i].household);
        pg_open(p, "td", "wide");
        pg_data(p, page_private(p, list[i].about, false));
        pg_close(p);
        pg_close(p);
    }
    pg_table_end(p);
}

enum err audit_of_household(struct page *p, struct str code, struct diag *d)
{
    struct audit_row *list = NULL;
    uint32_t count = 0;
    const struct audit_filter f = {.household = code, .newest_first = true, .limit = PAGE_ROWS};
    enum err rc = cstore_audit_rows(p->c->st, p->a, &f, &list, &count, d);
    if (!rc)
        rows_draw(p, list, count);
    return rc;
}

static struct str asked(struct page *p, const char *name)
{
    struct str s = page_query(p, name);
    return s.p ? str_trim(s) : STR("");
}

/* Walking the whole chain takes a while in a large county: it is done when it is asked for. */
static enum err chain_draw(struct page *p, struct diag *d)
{
    struct audit_state state;
    if (!asked(p, "verify").n) {
        pg_get_begin(p, STR("/audit"), "actions");
        pg_hidden(p, "verify", STR("1"));
        pg_button(p, W_AUDIT_VERIFY, NULL, NULL);
        pg_close(p);
        return ERR_OK;
    }
    enum err rc = audit_verify(p->c->st, NULL, &state, d);
    if (rc)
        return rc;
    if (state.broken)
        pg_note(p, "bad", page_say(p, W_AUDIT_BROKEN, page_u64(p, state.broken), STR("")));
    else
        pg_note(p, "good", page_say(p, W_AUDIT_INTACT, page_time(p, state.newest_ms), STR("")));
    return ERR_OK;
}

enum err screen_audit(struct call *c, struct diag *d)
{
    struct page p;
    struct audit_row *list = NULL;
    uint32_t count = 0;
    uint64_t before = 0;
    page_init(&p, c);
    enum err rc = screen_may(c, ACT_SEE_AUDIT, STR_NONE, d);
    if (!str_to_u64(asked(&p, "before"), &before))
        before = 0;
    const struct audit_filter f = {.who = asked(&p, "who"),
                                   .what = asked(&p, "what"),
                                   .household = asked(&p, "household"),
                                   .after = before,
                                   .newest_first = true,
                                   .limit = PAGE_ROWS + 1};
    if (!rc)
        rc = cstore_audit_rows(c->st, p.a, &f, &list, &count, d);
    if (rc)
        return rc;
    pg_begin(&p, NAV_AUDIT, word_of(&p, W_AUDIT));
    rc = chain_draw(&p, d);
    pg_get_begin(&p, STR("/audit"), "row-of");
    pg_field(&p, &(struct field){.name = "who", .label = W_WHO, .value = f.who});
    pg_field(&p, &(struct field){.name = "household", .label = W_CODE, .value = f.household});
    pg_field(&p, &(struct field){.name = "what", .label = W_AUDIT_WHAT, .value = f.what});
    pg_button(&p, W_FILTER, NULL, NULL);
    pg_close(&p);
    uint32_t shown = count < PAGE_ROWS ? count : PAGE_ROWS;
    rows_draw(&p, list, shown);
    if (count > shown)
        pg_next(&p, page_url(&p, "/audit", STR(""),
                             ATTRS({"who", f.who}, {"household", f.household}, {"what", f.what},
                                   {"before", page_u64(&p, list[shown - 1].n)})));
    pg_end(&p);
    return rc;
}
