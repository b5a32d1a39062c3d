/* The settings sheet: one row about the form as a whole.
 */
#include "forms/xlsform_impl.h"

static struct str setting(struct xl *x, const struct xl_row *row, const char *key)
{
    (void)x;
    return row ? xl_get_text(row, XL_PLAIN, key) : STR("");
}

static bool yes_no(struct xl *x, const struct xl_row *row, const char *key, bool otherwise)
{
    const struct xl_prop *p = row ? xl_get(row, XL_PLAIN, key) : NULL;
    int v = p ? xl_yes_no(p->value) : -1;
    if (p && v < 0)
        xl_warning(x, xl_cell_of(XL_SETTINGS, row, p),
                   "The '%s' setting expects yes or no, but \"%.*s\" was not recognised; it is taken as %s.",
                   key, STR_ARG(p->value), otherwise ? "yes" : "no");
    return v < 0 ? otherwise : v == 1;
}

void xl_read_settings(struct xl *x, const struct xlsform_options *options)
{
    const struct xl_table *t = &x->tables[XL_SETTINGS];
    const struct xl_row *row = t->present && t->rows.count ? t->rows.at : NULL;
    struct xl_cell at = {XL_SETTINGS, row ? row->number : 0, NOWHERE};
    struct str name = setting(x, row, "name");
    x->used.form_name = name.n ? name : options->form_name.n ? options->form_name : STR("data");
    if (!xl_is_name(x->used.form_name)) {
        const struct xl_prop *p = name.n ? xl_get(row, XL_PLAIN, "name") : NULL;
        xl_error(
            x, p ? xl_cell_of(XL_SETTINGS, row, p) : at,
            "The 'name' value is invalid: \"%.*s\" cannot name the form. Names must begin with a letter or "
            "underscore; after that letters, digits, underscores, hyphens and periods are allowed.",
            STR_ARG(x->used.form_name));
    }
    x->form_id = setting(x, row, "id_string");
    if (!x->form_id.n)
        x->form_id = options->form_id.n ? options->form_id : STR("data");
    x->title = setting(x, row, "title");
    if (!x->title.n)
        x->title = x->form_id;
    x->version = setting(x, row, "version");
    x->style = setting(x, row, "style");
    x->submission_url = setting(x, row, "submission_url");
    x->public_key = setting(x, row, "public_key");
    x->auto_send = setting(x, row, "auto_send");
    x->auto_delete = setting(x, row, "auto_delete");
    x->namespaces = setting(x, row, "namespaces");
    x->instance_xmlns = setting(x, row, "instance_xmlns");
    x->prefix = setting(x, row, "prefix");
    x->delimiter = setting(x, row, "delimiter");
    x->instance_id = setting(x, row, "instance_id");
    x->instance_name = setting(x, row, "instance_name");
    x->client_editable = yes_no(x, row, "client_editable", false) ? STR("true") : STR("");
    if (row && x->instance_name.n)
        x->instance_name_cell = xl_cell_of(XL_SETTINGS, row, xl_get(row, XL_PLAIN, "instance_name"));
    x->allow_duplicates = yes_no(x, row, "allow_choice_duplicates", false);
    x->omit_instance_id = yes_no(x, row,
                                 xl_has_column(t, XL_PLAIN, "omit_instanceID") ? "omit_instanceID"
                                                                               : "omit_instanceid",
                                 false);
    if (x->omit_instance_id && x->public_key.n)
        xl_error(
            x, at,
            "Cannot omit instanceID, it is required for encryption. Remove omit_instanceID or public_key.");
    for (uint32_t i = 0; row && i < row->count; i++)
        if (row->props[i].column->group == XL_ATTRIBUTE)
            xl_attr_put(x, &x->attributes, row->props[i].column->key, row->props[i].value,
                        xl_cell_of(XL_SETTINGS, row, &row->props[i]));
}
