/* The choices, external_choices and osm sheets: lists of named choices with labels in several languages,
 * media and columns of the author's own for choice filters.
 */
#include "forms/xlsform_impl.h"

static const char *const media_kinds[] = {"image", "big-image", "audio", "video"};

struct xl_list *xl_list_named(struct xl *x, struct str name)
{
    uint32_t i;
    return map_get(&x->list_by_name, name, &i) ? &x->lists.at[i] : NULL;
}

static bool has_space(struct str s)
{
    return s.n == 0 || memchr(s.p, ' ', s.n) != NULL;
}

/* Columns that cannot become elements are left out, with a warning. */
static bool own_column(const struct xl_column *c)
{
    return c->group == XL_PLAIN && !str_eq_z(c->key, "list_name") && !str_eq_z(c->key, "name") &&
           !str_eq_z(c->key, "label") && !has_space(c->key) && !c->language.n;
}

static void fill_choice(struct xl *x, enum xl_sheet sheet, const struct xl_row *row, struct xl_choice *c)
{
    c->row = row->number;
    c->name = xl_get_text(row, XL_PLAIN, "name");
    c->label = xl_get_translated(x, sheet, row, XL_PLAIN, "label");
    for (size_t k = 0; k < 4; k++) {
        struct xl_text t = xl_get_translated(x, sheet, row, XL_MEDIA, media_kinds[k]);
        if (t.at.count) {
            c->media[c->media_count].kind = str_of(media_kinds[k]);
            c->media[c->media_count++].text = t;
        }
    }
    for (uint32_t i = 0; i < row->count; i++)
        if (own_column(row->props[i].column))
            xl_attr_put(x, &c->extra, row->props[i].column->key, row->props[i].value,
                        xl_cell_of(sheet, row, &row->props[i]));
}

static bool dynamic_text(const struct xl_text *t)
{
    for (uint32_t i = 0; i < t->at.count; i++)
        if (xl_has_reference(t->at.at[i].text))
            return true;
    return false;
}

/* Choices of one name may be told apart by a filter column: district 4 of county 1, district 4 of county 2.
 */
static bool told_apart(const struct xl_choice *a, const struct xl_choice *b)
{
    for (uint32_t i = 0; i < a->extra.at.count; i++) {
        bool same = false;
        for (uint32_t k = 0; k < b->extra.at.count; k++)
            same |= str_eq(a->extra.at.at[i].name, b->extra.at.at[k].name) &&
                    str_eq(a->extra.at.at[i].value, b->extra.at.at[k].value);
        if (!same)
            return true;
    }
    return a->extra.at.count != b->extra.at.count;
}

static void check_choices(struct xl *x, struct xl_list *l)
{
    struct map seen;
    map_init(&seen, x->a);
    for (uint32_t i = 0; i < l->choices.count && !x->rc; i++) {
        const struct xl_choice *c = &l->choices.at[i];
        struct xl_cell cell = {XL_CHOICES, c->row, NOWHERE};
        uint32_t other;
        if (!c->name.n)
            xl_error(x, cell, "The 'name' value is invalid. Choices must have a name (list \"%.*s\").",
                     STR_ARG(l->name));
        else if (!x->allow_duplicates && map_get(&seen, c->name, &other) &&
                 !told_apart(&l->choices.at[other], c))
            xl_error(x, cell,
                     "The 'name' value is invalid. Choice names must be unique for each choice list: "
                     "\"%.*s\" stands in "
                     "row %u of list \"%.*s\" already. If this is intentional, use the setting "
                     "'allow_choice_duplicates'.",
                     STR_ARG(c->name), l->choices.at[other].row, STR_ARG(l->name));
        else if (c->name.n && map_put(&seen, c->name, i))
            xl_check(x, NULL);
        if (c->label.at.count == 0)
            xl_warning(
                x, cell,
                "The 'label' value is invalid. Choices should have a label (\"%.*s\" of list \"%.*s\").",
                STR_ARG(c->name), STR_ARG(l->name));
        if (c->label.translated || c->media_count || dynamic_text(&c->label))
            l->itext = true;
    }
}

static void read_lists(struct xl *x)
{
    const struct xl_table *t = &x->tables[XL_CHOICES];
    for (uint32_t i = 0; i < t->columns.count; i++)
        if (t->columns.at[i].group == XL_PLAIN && !str_eq_z(t->columns.at[i].key, "list_name") &&
            has_space(t->columns.at[i].key))
            xl_warning(x, (struct xl_cell){XL_CHOICES, 1, t->columns.at[i].column},
                       "The '%.*s' value is invalid. Column headers must not be empty and must not contain "
                       "spaces; this "
                       "column is left out.",
                       STR_ARG(t->columns.at[i].key));
    for (uint32_t i = 0; i < t->rows.count && !x->rc; i++) {
        struct str name = xl_get_text(&t->rows.at[i], XL_PLAIN, "list_name");
        struct xl_list *l = name.n ? xl_list_named(x, name) : NULL;
        if (!name.n)
            continue;
        if (!l) {
            l = xl_push(x, &x->lists);
            if (!l || !xl_check(x, map_put(&x->list_by_name, name, x->lists.count - 1) ? NULL : x))
                return;
            l->name = name;
        }
        struct xl_choice *c = xl_push(x, &l->choices);
        if (c)
            fill_choice(x, XL_CHOICES, &t->rows.at[i], c);
    }
    for (uint32_t i = 0; i < x->lists.count && !x->rc; i++)
        check_choices(x, &x->lists.at[i]);
}

static void read_osm(struct xl *x)
{
    const struct xl_table *t = &x->tables[XL_OSM];
    for (uint32_t i = 0; i < t->rows.count && !x->rc; i++) {
        struct str name = xl_get_text(&t->rows.at[i], XL_PLAIN, "list_name");
        struct xl_list *l = NULL;
        for (uint32_t k = 0; k < x->osm.count; k++)
            if (str_eq(x->osm.at[k].name, name))
                l = &x->osm.at[k];
        if (!l && name.n && (l = xl_push(x, &x->osm)) != NULL)
            l->name = name;
        struct xl_choice *c = l ? xl_push(x, &l->choices) : NULL;
        if (c)
            fill_choice(x, XL_OSM, &t->rows.at[i], c);
    }
}

void xl_read_choices(struct xl *x)
{
    const struct xl_table *t = &x->tables[XL_EXTERNAL];
    map_init(&x->list_by_name, x->a);
    map_init(&x->external_lists, x->a);
    read_lists(x);
    read_osm(x);
    for (uint32_t i = 0; i < t->rows.count && !x->rc; i++) {
        struct str name = xl_get_text(&t->rows.at[i], XL_PLAIN, "list_name");
        if (name.n && map_put(&x->external_lists, name, i))
            xl_check(x, NULL);
    }
}

/* The external_choices sheet as it is handed to devices: every value quoted, headers as written. */
void xl_write_itemsets(struct xl *x, struct xlsform_media *media)
{
    const struct xl_table *t = &x->tables[XL_EXTERNAL];
    struct buf b;
    if (!t->present || !t->rows.count)
        return;
    buf_init(&b, SHEET_PART_BYTES_MAX);
    for (uint32_t i = 0; i <= t->rows.count; i++) {
        uint32_t k = 0;
        const struct xl_row *row = i ? &t->rows.at[i - 1] : NULL;
        for (uint32_t c = 0; c < t->columns.count; c++) {
            struct str v = row ? STR("") : t->columns.at[c].header;
            if (!row && t->columns.at[c].group == XL_PLAIN)
                v = t->columns.at[c].key;
            if (row && k < row->count && row->props[k].column == &t->columns.at[c])
                v = row->props[k++].value;
            buf_put_z(&b, c ? ",\"" : "\"");
            for (size_t j = 0; j < v.n; j++) {
                if (v.p[j] == '"')
                    buf_put_char(&b, '"');
                buf_put_char(&b, v.p[j]);
            }
            buf_put_char(&b, '"');
        }
        buf_put_z(&b, "\r\n");
    }
    media->name = STR("itemsets.csv");
    media->bytes = arena_str(x->a, buf_str(&b));
    if (b.failed || !media->bytes.p)
        xl_check(x, NULL);
    buf_free(&b);
}
