/* The audit log: who read and changed what, newest first. */
#include "server/screens.h"

static void rows_draw(struct page *p, const struct audit_row *list, uint32_t count)
{
    static const struct column columns[] = {{W_WHEN, NULL, false},
                                            {W_WHO, NULL, false},
                                            {W_AUDIT_WHAT, NULL, false},
                                            {W_AUDIT_ABOUT, NULL, false}};
    const struct table t = {.columns = columns,
                            .count = 4,
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
