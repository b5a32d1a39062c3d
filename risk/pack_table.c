/* What a pack has beside rules: look-up tables, and for packs over a table the form made of its inputs, the
 * results that are shown and the totals over all households. Reading goes on after a mistake, as in pack.c.
 */
#include "risk/pack_impl.h"

#include "platform/base/csv.h"

/* -- the form of a table ---------------------------------------------------------------------------- */

static const char *bind_type(const struct json *item)
{
    return str_eq_z(json_text(item, "type"), "date") ? "date" : "string";
}

/* Names that are no names are told by the reader of the pack; here they are passed over. */
static bool usable(const struct json *o)
{
    return o->type == JSON_OBJECT && pack_name_valid(o->name);
}

static void put_leaf(struct buf *out, const struct json *o)
{
    buf_printf(out, "<%.*s/>", STR_ARG(o->name));
}

static void put_instance(struct buf *out, const struct json *inputs, const struct json *sets)
{
    for (const struct json *o = inputs ? inputs->child : NULL; o; o = o->next)
        if (usable(o))
            put_leaf(out, o);
    for (const struct json *s = sets ? sets->child : NULL; s; s = s->next) {
        const struct json *fields = json_get(s, "fields");
        if (!usable(s))
            continue;
        buf_printf(out, "<%.*s jr:template=''>", STR_ARG(s->name));
        for (const struct json *o = fields ? fields->child : NULL; o; o = o->next)
            if (usable(o))
                put_leaf(out, o);
        buf_printf(out, "</%.*s>", STR_ARG(s->name));
    }
}

static void put_binds(struct buf *out, const struct json *list, struct str parent)
{
    for (const struct json *o = list ? list->child : NULL; o; o = o->next)
        if (usable(o))
            buf_printf(out, "<bind nodeset='%.*s%.*s' type='%s'/>", STR_ARG(parent), STR_ARG(o->name),
                       bind_type(o));
}

static void put_body(struct buf *out, const struct json *inputs, const struct json *sets)
{
    for (const struct json *o = inputs ? inputs->child : NULL; o; o = o->next)
        if (usable(o))
            buf_printf(out, "<input ref='" TABLE_ROOT "%.*s'/>", STR_ARG(o->name));
    for (const struct json *s = sets ? sets->child : NULL; s; s = s->next) {
        const struct json *fields = json_get(s, "fields");
        if (!usable(s))
            continue;
        buf_printf(out, "<group><repeat nodeset='" TABLE_ROOT "%.*s'>", STR_ARG(s->name));
        for (const struct json *o = fields ? fields->child : NULL; o; o = o->next)
            if (usable(o))
                buf_printf(out, "<input ref='" TABLE_ROOT "%.*s/%.*s'/>", STR_ARG(s->name), STR_ARG(o->name));
        buf_put_z(out, "</repeat></group>");
    }
}

static void put_set_binds(struct buf *out, const struct json *s)
{
    struct buf parent;
    if (!usable(s))
        return;
    buf_init(&parent, 256);
    buf_printf(&parent, TABLE_ROOT "%.*s/", STR_ARG(s->name));
    put_binds(out, json_get(s, "fields"), buf_str(&parent));
    buf_free(&parent);
}

enum err pack_table_form(struct arena *a, const struct json *root, const struct form **form_out,
                         struct diag *d)
{
    const struct json *inputs = json_get(root, "inputs"), *sets = json_get(root, "sets");
    struct buf xml;
    struct form_findings findings = {0};
    if (!json_bool(root, "table"))
        return diag_set(d, ERR_SYNTAX,
                        "This pack is for a form. A pack that reads a table says \"table\": true.");
    buf_init(&xml, 8u << 20);
    buf_put_z(&xml, "<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' "
                    "xmlns:jr='http://openrosa.org/javarosa'><h:head><h:title>table</h:title><model>"
                    "<instance><table id='table'>");
    put_instance(&xml, inputs, sets);
    buf_put_z(&xml, "</table></instance>");
    put_binds(&xml, inputs, STR(TABLE_ROOT));
    for (const struct json *s = sets ? sets->child : NULL; s; s = s->next)
        put_set_binds(&xml, s);
    buf_put_z(&xml, "</model></h:head><h:body>");
    put_body(&xml, inputs, sets);
    buf_put_z(&xml, "</h:body></h:html>");
    enum err rc = xml.failed ? diag_set(d, xml.failed, "The pack's inputs are too many for one table.")
                             : form_load(a, buf_str(&xml), form_out, &findings, d);
    buf_free(&xml);
    return rc;
}

/* -- look-up tables --------------------------------------------------------------------------------- */

static void add_entry(struct pack_loader *l, struct pack_lookup *t, struct pack_lookup_entry e, uint32_t line,
                      struct str where)
{
    struct pack_lookup_entry *last = t->entries.count ? &t->entries.at[t->entries.count - 1] : NULL;
    if (last && dec_cmp(last->key, e.key) >= 0) {
        PACK_ERROR(l, line, where, "The keys of a look-up table ascend, each stands there once.");
        return;
    }
    struct pack_lookup_entry *slot = vec_push(l->a, &t->entries);
    if (slot)
        *slot = e;
    else
        l->rc = ERR_NOMEM;
}

static void read_lookup_file(struct pack_loader *l, struct pack_lookup *t, struct str text, struct str where)
{
    struct csv csv;
    struct str *cells = ARENA_ARRAY(l->a, struct str, CSV_FIELDS_MAX);
    uint32_t count = 0, line = 0;
    struct diag what = {0};
    if (!cells) {
        l->rc = ERR_NOMEM;
        return;
    }
    csv_open(&csv, text);
    do {
        struct pack_lookup_entry e;
        enum err rc = csv_row(&csv, l->a, cells, &count, &what);
        if (rc == ERR_NOMEM)
            l->rc = rc;
        else if (rc)
            pack_finding(l, FINDING_ERROR, t->line, where, &what);
        if (rc || count == 0)
            return;
        bool numbers = count == 2 && dec_read(str_trim(cells[0]), &e.key) &&
                       dec_read(str_trim(cells[1]), &e.value);
        if (numbers)
            add_entry(l, t, e, t->line, where);
        else if (line > 0)
            PACK_ERROR(l, t->line, where,
                       "Line %u of the file needs two columns of numbers: a key and its value.", csv.line);
        line++;
    } while (!l->rc && line <= 10 * PACK_ITEMS_MAX);
}

static void read_lookup(struct pack_loader *l, const struct json *o)
{
    struct str where = pack_where(l, "lookups", o->name, "");
    struct pack_lookup *t = vec_push(l->a, &l->pack->lookups);
    bool filled = false;
    if (!t) {
        l->rc = ERR_NOMEM;
        return;
    }
    pack_keys(l, o, where, "zh en source values");
    t->name = arena_str(l->a, o->name);
    t->line = o->line;
    t->words = pack_words(l, o, where);
    t->source = pack_text(l, o, "source", true, where);
    if (!pack_name_valid(o->name))
        PACK_ERROR(l, o->line, where,
                   "A name is made of letters, digits, _ and -, and begins with a letter.");
    const struct json *values = pack_object(l, o, "values", false, where);
    if (values && pack_list_fits(l, values, "values", 10 * PACK_ITEMS_MAX)) {
        filled = true;
        for (const struct json *v = values->child; v && !l->rc; v = v->next) {
            struct pack_lookup_entry e;
            if (v->type == JSON_NUMBER && dec_read(v->text, &e.value) && dec_read(v->name, &e.key))
                add_entry(l, t, e, v->line, where);
            else
                PACK_ERROR(l, v->line, where, "A line is a number in quotes and a number: \"20\": 70.2.");
        }
    }
    for (uint32_t i = 0; i < l->file_count && !filled; i++)
        if (str_eq(l->files[i].name, o->name)) {
            filled = true;
            read_lookup_file(l, t, l->files[i].csv, where);
        }
    if (!filled && l->alone)
        PACK_WARNING(l, o->line, where, "The table is not here: it is given with --lookup %.*s=FILE.csv.",
                     STR_ARG(o->name));
    else if (!filled)
        PACK_ERROR(l, o->line, where, "The table is not here: give it with --lookup %.*s=FILE.csv.",
                   STR_ARG(o->name));
}

void pack_read_lookups(struct pack_loader *l, const struct json *root)
{
    const struct json *list = pack_object(l, root, "lookups", false, STR("pack"));
    if (!pack_list_fits(l, list, "lookups", PACK_ITEMS_MAX))
        return;
    for (const struct json *o = list->child; o && !l->rc; o = o->next)
        read_lookup(l, o);
}

/* -- results and totals ----------------------------------------------------------------------------- */

/* A derived value by its name, UINT32_MAX with a mistake told. */
static uint32_t derived_named(struct pack_loader *l, struct str name, uint32_t line, struct str where)
{
    uint32_t ref;
    if (map_get(&l->pack->names, name, &ref) && ref_kind(ref) == REF_VALUE)
        return ref_index(ref);
    PACK_ERROR(l, line, where, "There is no derived value \"%.*s\".", STR_ARG(name));
    return UINT32_MAX;
}

static uint32_t total_part(struct pack_loader *l, const struct json *o, const char *key, bool needed,
                           struct str where)
{
    struct str name = pack_text(l, o, key, needed, where);
    return name.n ? derived_named(l, name, o->line, where) : UINT32_MAX;
}

static void read_totals(struct pack_loader *l, const struct json *root)
{
    const struct json *list = pack_object(l, root, "totals", false, STR("pack"));
    if (!pack_list_fits(l, list, "totals", PACK_FIELDS_MAX))
        return;
    for (const struct json *o = list->child; o && !l->rc; o = o->next) {
        struct str where = pack_where(l, "totals", o->name, "");
        struct pack_total *t = vec_push(l->a, &l->pack->totals);
        if (!t) {
            l->rc = ERR_NOMEM;
            return;
        }
        pack_keys(l, o, where, "mean weight where zh en");
        t->name = arena_str(l->a, o->name);
        t->line = o->line;
        t->words = pack_words(l, o, where);
        t->mean = total_part(l, o, "mean", true, where);
        t->weight = total_part(l, o, "weight", false, where);
        t->where = total_part(l, o, "where", false, where);
    }
}

void pack_read_results(struct pack_loader *l, const struct json *root)
{
    struct pack *p = l->pack;
    const struct json *list = p->table ? pack_array(l, root, "results", true, STR("pack")) : NULL;
    if (!pack_list_fits(l, list, "results", PACK_FIELDS_MAX))
        return;
    p->results = ARENA_ARRAY(l->a, uint32_t, list->count + 1);
    if (!p->results) {
        l->rc = ERR_NOMEM;
        return;
    }
    for (const struct json *o = list->child; o; o = o->next) {
        if (o->type == JSON_STRING)
            p->results[p->result_count++] = derived_named(l, o->text, o->line, STR("results"));
        else
            PACK_ERROR(l, o->line, STR("results"), "A result is the name of a derived value, as text.");
    }
    read_totals(l, root);
}
