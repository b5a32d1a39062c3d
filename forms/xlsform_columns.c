/* From sheets to rows with named columns: headers lose their spelling variants, cells their typographic
 * quotes and doubled spaces. Column names nobody knows stay as they are: on the choices sheet they are the
 * author's own.
 */
#include "forms/xlsform_impl.h"

struct alias {
    const char *header;
    enum xl_group group;
    const char *key;
};

/* Spellings of the survey sheet, in lower case with underscores. */
static const struct alias survey_aliases[] = {
    {"readonly", XL_BIND, "readonly"},
    {"read_only", XL_BIND, "readonly"},
    {"relevant", XL_BIND, "relevant"},
    {"relevance", XL_BIND, "relevant"},
    {"required", XL_BIND, "required"},
    {"constraint", XL_BIND, "constraint"},
    {"constraining_message", XL_BIND, "jr:constraintMsg"},
    {"constraint_message", XL_BIND, "jr:constraintMsg"},
    {"calculation", XL_BIND, "calculate"},
    {"calculate", XL_BIND, "calculate"},
    {"noapperrorstring", XL_BIND, "jr:noAppErrorString"},
    {"no_app_error_string", XL_BIND, "jr:noAppErrorString"},
    {"requiredmsg", XL_BIND, "jr:requiredMsg"},
    {"required_message", XL_BIND, "jr:requiredMsg"},
    {"save_to", XL_BIND, "entities:saveto"},
    {"compact_tag", XL_INSTANCE, "odk:tag"},
    {"appearance", XL_CONTROL, "appearance"},
    {"count", XL_CONTROL, "jr:count"},
    {"repeat_count", XL_CONTROL, "jr:count"},
    {"jr:count", XL_CONTROL, "jr:count"},
    {"autoplay", XL_CONTROL, "autoplay"},
    {"rows", XL_CONTROL, "rows"},
    {"image", XL_MEDIA, "image"},
    {"big-image", XL_MEDIA, "big-image"},
    {"audio", XL_MEDIA, "audio"},
    {"video", XL_MEDIA, "video"},
    {"caption", XL_PLAIN, "label"},
    {"command", XL_PLAIN, "type"},
    {"tag", XL_PLAIN, "name"},
    {"value", XL_PLAIN, "name"},
    {NULL, XL_PLAIN, NULL},
};
static const struct alias list_aliases[] = {
    {"caption", XL_PLAIN, "label"},       {"value", XL_PLAIN, "name"},  {"list_name", XL_PLAIN, "list_name"},
    {"image", XL_MEDIA, "image"},         {"audio", XL_MEDIA, "audio"}, {"video", XL_MEDIA, "video"},
    {"big-image", XL_MEDIA, "big-image"}, {NULL, XL_PLAIN, NULL},
};
static const struct alias settings_aliases[] = {
    {"form_title", XL_PLAIN, "title"},
    {"set_form_title", XL_PLAIN, "title"},
    {"form_id", XL_PLAIN, "id_string"},
    {"set_form_id", XL_PLAIN, "id_string"},
    {NULL, XL_PLAIN, NULL},
};
static const struct alias entity_aliases[] = {{"list_name", XL_PLAIN, "dataset"}, {NULL, XL_PLAIN, NULL}};
static const struct {
    const char *word;
    enum xl_group group;
} group_words[] = {{"bind", XL_BIND},         {"control", XL_CONTROL}, {"body", XL_CONTROL},
                   {"instance", XL_INSTANCE}, {"media", XL_MEDIA},     {"attribute", XL_ATTRIBUTE}};

/* Words that are column names as they stand; others keep the author's spelling. */
static const char *const survey_words[] = {"type",          "name",      "label",      "hint",
                                           "guidance_hint", "default",   "parameters", "trigger",
                                           "choice_filter", "list_name", "disabled",   "intent",
                                           "query",         "action",    "sms_field",  "sms_option",
                                           "children",      "itemset",   NULL};
static const char *const list_words[] = {"name", "label", "list_name", "sms_option", NULL};
static const char *const entity_words[] = {"dataset", "entity_id", "create_if", "update_if",
                                           "label",   "repeat",    NULL};
static const char *const settings_words[] = {"name",
                                             "title",
                                             "id_string",
                                             "version",
                                             "default_language",
                                             "style",
                                             "submission_url",
                                             "public_key",
                                             "auto_send",
                                             "auto_delete",
                                             "namespaces",
                                             "instance_name",
                                             "instance_xmlns",
                                             "prefix",
                                             "delimiter",
                                             "instance_id",
                                             "client_editable",
                                             "allow_choice_duplicates",
                                             "omit_instanceid",
                                             "clean_text_values",
                                             "sms_keyword",
                                             "sms_separator",
                                             "sms_allow_media",
                                             "sms_date_format",
                                             "sms_datetime_format",
                                             "sms_response",
                                             "flat",
                                             "add_none_option",
                                             NULL};

static const struct {
    const char *name;
    const struct alias *aliases;
    const char *const *words;
} sheets[XL_SHEETS] = {
    [XL_SURVEY] = {"survey", survey_aliases, survey_words},
    [XL_CHOICES] = {"choices", list_aliases, list_words},
    [XL_SETTINGS] = {"settings", settings_aliases, settings_words},
    [XL_EXTERNAL] = {"external_choices", list_aliases, list_words},
    [XL_ENTITIES] = {"entities", entity_aliases, entity_words},
    [XL_OSM] = {"osm", list_aliases, list_words},
};

/* Runs of one kind of space become one; typographic quotes become plain. */
static struct str cleaned(struct xl *x, struct str s, bool spaces)
{
    static const struct {
        char from[4], to;
    } quotes[] = {{"\u2018", '\''}, {"\u2019", '\''}, {"\u201c", '"'}, {"\u201d", '"'}};
    bool plain = !spaces || str_trim(s).n == s.n;
    for (size_t i = 0; plain && i + 1 < s.n; i++)
        plain = !(s.p[i] == '\xe2' && s.p[i + 1] == '\x80') &&
                !(spaces && s.p[i] == ' ' && s.p[i + 1] == ' ');
    if (plain)
        return s;
    if (spaces)
        s = str_trim(s);
    char *out = xl_check(x, arena_alloc(x->a, s.n + 1));
    size_t n = 0;
    for (size_t i = 0; out && i < s.n; i++) {
        size_t q = 0;
        while (q < 4 && !str_starts(str_sub(s, i, 3), str_of(quotes[q].from)))
            q++;
        if (q < 4) {
            out[n++] = quotes[q].to;
            i += 2;
        } else if (!(spaces && s.p[i] == ' ' && n > 0 && out[n - 1] == ' ')) {
            out[n++] = s.p[i];
        }
    }
    return out ? (struct str){out, n} : s;
}

/* Lower case, words joined by one underscore. */
static struct str snake(struct xl *x, struct str s)
{
    char *out = xl_check(x, arena_alloc(x->a, s.n + 1));
    size_t n = 0;
    s = str_trim(s);
    for (size_t i = 0; out && i < s.n; i++) {
        bool space = memchr(" \t\r\n", s.p[i], 4) != NULL;
        char c = space ? '_' : s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
        if (!(space && memchr(" \t\r\n", s.p[i - 1], 4)))
            out[n++] = c;
    }
    return out ? (struct str){out, n} : s;
}

static bool is_word(const char *const *words, struct str s)
{
    for (; *words; words++)
        if (str_eq_z(s, *words))
            return true;
    return false;
}

/* Splits at "::" where the sheet uses that, else at ":", with jr:count and the like kept together. */
static uint32_t split_header(struct str header, bool twice, struct str token[3])
{
    uint32_t n = 0;
    struct str rest = header;
    struct str mark = twice ? STR("::") : STR(":");
    while (n < 3) {
        ptrdiff_t at = n < 2 ? str_find(rest, mark) : -1;
        if (at >= 0 && !twice && str_eq_z(str_trim(str_sub(rest, 0, (size_t)at)), "jr")) {
            ptrdiff_t next = str_find(str_sub(rest, (size_t)at + 1, rest.n), mark);
            at = next < 0 ? -1 : at + 1 + next;
        }
        token[n++] = str_trim(at < 0 ? rest : str_sub(rest, 0, (size_t)at));
        if (at < 0)
            break;
        rest = str_sub(rest, (size_t)at + mark.n, rest.n);
    }
    return n;
}

static void name_column(struct xl *x, enum xl_sheet sheet, struct xl_column *c, bool twice)
{
    struct str low = snake(x, c->header), token[3] = {STR(""), STR(""), STR("")};
    c->group = XL_PLAIN;
    c->language = STR("");
    const struct alias *alias = sheets[sheet].aliases;
    if (is_word(sheets[sheet].words, low)) {
        bool hidden = false;
        for (const struct alias *i = alias; i->header; i++)
            hidden |= str_eq_z(low, i->header);
        if (!hidden) {
            c->key = low;
            return;
        }
    }
    uint32_t n = split_header(c->header, twice || str_find(c->header, STR("::")) >= 0, token);
    struct str first = snake(x, token[0]);
    for (; alias->header; alias++)
        if (str_eq_z(first, alias->header)) {
            c->group = alias->group;
            c->key = str_of(alias->key);
            c->language = n > 1 ? token[1] : STR("");
            return;
        }
    for (size_t i = 0; i < sizeof(group_words) / sizeof(*group_words); i++)
        if (n > 1 && str_eq_z(first, group_words[i].word)) {
            c->group = group_words[i].group;
            c->key = token[1];
            c->language = n > 2 ? token[2] : STR("");
            return;
        }
    bool known = is_word(sheets[sheet].words, first);
    c->key = known ? first : c->header;
    c->language = known && n > 1 ? token[1] : STR("");
}

static void check_header(struct xl *x, enum xl_sheet sheet, const struct xl_column *c)
{
    const struct xl_table *t = &x->tables[sheet];
    struct xl_cell cell = {sheet, 1, c->column};
    for (uint32_t i = 0; i < t->columns.count; i++) {
        const struct xl_column *o = &t->columns.at[i];
        if (o == c || o->group != c->group || !str_eq(o->key, c->key) || !str_eq(o->language, c->language))
            continue;
        if (sheet == XL_SETTINGS && str_eq_z(c->key, "id_string"))
            xl_warning(
                x, cell,
                "The form_id and id_string column headers are both specified in the settings sheet provided; "
                "form_id is taken. Remove the other.");
        else if (str_eq(o->header, c->header))
            xl_error(x, cell, "Duplicate column header: \"%.*s\". Rename or remove one of the two columns.",
                     STR_ARG(c->header));
        else
            xl_error(x, cell,
                     "\"%.*s\" and \"%.*s\" are two names for the same column; rename or remove one of them.",
                     STR_ARG(o->header), STR_ARG(c->header));
        return;
    }
}

static void read_header(struct xl *x, enum xl_sheet sheet, const struct sheet *s)
{
    struct xl_table *t = &x->tables[sheet];
    const struct sheet_row *r = &s->rows.at[0];
    bool twice = false;
    for (uint32_t i = 0; i < r->count; i++)
        twice |= str_find(s->cells.at[r->first + i].text, STR("::")) >= 0;
    for (uint32_t i = 0; i < r->count && !x->rc; i++) {
        const struct sheet_cell *cell = &s->cells.at[r->first + i];
        struct xl_column *c = xl_push(x, &t->columns);
        if (!c)
            return;
        c->header = cleaned(x, cell->text, true);
        c->column = cell->column;
        name_column(x, sheet, c, twice);
    }
    for (uint32_t i = 0; i < t->columns.count; i++) {
        for (uint32_t j = 0; j < i; j++)
            if (str_eq(t->columns.at[i].key, t->columns.at[j].key) &&
                t->columns.at[i].group == t->columns.at[j].group &&
                str_eq(t->columns.at[i].language, t->columns.at[j].language)) {
                check_header(x, sheet, &t->columns.at[i]);
                break;
            }
    }
}

/* Columns whose text is never an expression or label: what looks like a broken reference in them is left
 * alone. */
static bool checks_references(enum xl_sheet sheet, const struct xl_column *c)
{
    if (sheet != XL_SURVEY && sheet != XL_ENTITIES && c->group == XL_PLAIN && !str_eq_z(c->key, "label"))
        return false; /* columns of the author's own */
    static const char *const never[] = {"type", "name", "list_name", "dataset"};
    for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
        if (c->group == XL_PLAIN && str_eq_z(c->key, never[i]))
            return false;
    return true;
}

static bool well_formed(struct str value)
{
    size_t start, end;
    struct str name;
    bool last_saved;
    for (size_t from = 0; xl_find_reference(value, from, &start, &end, &name, &last_saved); from = end)
        if (!name.n)
            return false;
    return true;
}

/* A translator's slip: in another language of the same text the references are whole. */
static bool whole_elsewhere(const struct xl_row *row, const struct xl_column *c)
{
    for (uint32_t i = 0; c->language.n && i < row->count; i++) {
        const struct xl_column *o = row->props[i].column;
        if (o != c && o->group == c->group && str_eq(o->key, c->key) &&
            xl_has_reference(row->props[i].value) && well_formed(row->props[i].value))
            return true;
    }
    return false;
}

static void check_references(struct xl *x, enum xl_sheet sheet, const struct xl_row *row,
                             const struct xl_prop *p)
{
    struct xl_cell cell = xl_cell_of(sheet, row, p);
    const struct xl_column *c = p->column;
    struct str value = p->value;
    size_t start, end;
    struct str name;
    bool last_saved;
    for (size_t from = 0; xl_find_reference(value, from, &start, &end, &name, &last_saved); from = end)
        if (!name.n && checks_references(cell.sheet, c)) {
            bool slip = whole_elsewhere(row, c);
            (slip ? xl_warning : xl_error)(
                x, cell,
                "The '%.*s' value is invalid: \"%.*s\" is not a reference. Write ${name} with a name of the "
                "survey sheet, without spaces inside.",
                STR_ARG(c->header), STR_ARG(str_sub(value, start, end - start)));
            return;
        }
}

/* Of form_id and its old name the first counts; the other keeps a name that nobody asks for. */
static void drop_old_id(struct xl_table *t)
{
    const struct xl_column *new = NULL;
    for (uint32_t i = 0; i < t->columns.count; i++)
        if (str_eq_z(t->columns.at[i].key, "id_string") &&
            !str_eq_nocase(t->columns.at[i].header, STR("id_string")))
            new = &t->columns.at[i];
    for (uint32_t i = 0; new &&i < t->columns.count; i++)
        if (&t->columns.at[i] != new &&str_eq_z(t->columns.at[i].key, "id_string"))
            t->columns.at[i].key = STR("(old id_string)");
}

static void read_rows(struct xl *x, enum xl_sheet sheet, const struct sheet *s)
{
    struct xl_table *t = &x->tables[sheet];
    bool spaces = sheet == XL_SURVEY;
    for (uint32_t i = 1; i < s->rows.count && !x->rc; i++) {
        const struct sheet_row *r = &s->rows.at[i];
        struct xl_row *row = xl_push(x, &t->rows);
        struct xl_prop *props = xl_check(x, arena_array(x->a, r->count, sizeof(*props)));
        if (!row || !props)
            return;
        *row = (struct xl_row){r->number, 0, props};
        uint32_t c = 0;
        for (uint32_t k = 0; k < r->count; k++) {
            const struct sheet_cell *cell = &s->cells.at[r->first + k];
            while (c < t->columns.count && t->columns.at[c].column < cell->column)
                c++;
            if (c == t->columns.count || t->columns.at[c].column != cell->column)
                continue; /* no header: a note beside the table */
            struct str v = x->clean_text || sheet == XL_SETTINGS ? cleaned(x, cell->text, spaces)
                                                                 : cell->text;
            props[row->count++] = (struct xl_prop){&t->columns.at[c], v};
        }
        for (uint32_t k = 0; k < row->count; k++)
            if (str_find(props[k].value, STR("${")) >= 0)
                check_references(x, sheet, row, &props[k]);
    }
}

/* Sheets with a name like the wanted one, "" when there is none. */
static struct str similar_sheets(struct xl *x, enum xl_sheet wanted)
{
    struct str found = STR("");
    for (uint32_t i = 0; i < x->book.sheets.count; i++) {
        struct str name = xl_lower(x, x->book.sheets.at[i].name);
        bool other = false;
        for (uint32_t k = 0; k < XL_SHEETS; k++)
            other |= str_eq_z(name, sheets[k].name);
        if (other || str_starts(name, STR("_")) || xl_distance(name, str_of(sheets[wanted].name)) > 2)
            continue;
        found = xl_concat(x, found, found.n ? STR(", '") : STR("'"),
                          xl_concat(x, x->book.sheets.at[i].name, STR("'"), STR("")));
    }
    return found;
}

static void missing_sheet(struct xl *x, enum xl_sheet sheet)
{
    struct str similar = similar_sheets(x, sheet);
    struct xl_cell cell = {sheet, 0, NOWHERE};
    x->tables[sheet].name = similar; /* for those who miss it later */
    if (sheet == XL_SURVEY && similar.n)
        xl_error(x, cell,
                 "You must have a sheet named 'survey'. When looking for a sheet named 'survey', the "
                 "following sheets "
                 "with similar names were found: %.*s. Rename it.",
                 STR_ARG(similar));
    else if (sheet == XL_SURVEY)
        xl_error(x, cell, "You must have a sheet named 'survey': it holds the questions.");
    else if (similar.n && sheet != XL_OSM && sheet != XL_EXTERNAL && sheet != XL_CHOICES)
        xl_warning(
            x, cell,
            "When looking for a sheet named '%s', the following sheets with similar names were found: %.*s. "
            "Rename it, or put an underscore before the name of a sheet that is not part of the form.",
            sheets[sheet].name, STR_ARG(similar));
}

static const struct sheet *sheet_of(struct xl *x, enum xl_sheet sheet)
{
    for (uint32_t i = 0; i < x->book.sheets.count; i++)
        if (str_eq_nocase(str_trim(x->book.sheets.at[i].name), str_of(sheets[sheet].name)))
            return &x->book.sheets.at[i];
    return NULL;
}

static void read_table(struct xl *x, enum xl_sheet sheet)
{
    const struct sheet *s = sheet_of(x, sheet);
    if (!s || (s->rows.count == 0 && sheet != XL_SURVEY)) {
        missing_sheet(x, sheet);
        return;
    }
    x->tables[sheet].present = true;
    x->tables[sheet].name = s->name;
    if (s->rows.count == 0) {
        xl_error(x, (struct xl_cell){sheet, 0, NOWHERE},
                 "The sheet is empty; its first row must name the columns.");
        return;
    }
    read_header(x, sheet, s);
    if (sheet == XL_SETTINGS) {
        x->clean_text = true;
        drop_old_id(&x->tables[sheet]);
        read_rows(x, sheet, s);
        const struct xl_row *row = x->tables[sheet].rows.count ? x->tables[sheet].rows.at : NULL;
        struct str clean = row ? xl_get_text(row, XL_PLAIN, "clean_text_values") : STR("");
        x->clean_text = xl_yes_no(clean) != 0;
        struct str language = row ? xl_get_text(row, XL_PLAIN, "default_language") : STR("");
        if (language.n)
            x->default_language = language;
    } else {
        read_rows(x, sheet, s);
    }
}

static void require_column(struct xl *x, enum xl_sheet sheet, const char *key, const char *why)
{
    const struct xl_table *t = &x->tables[sheet];
    if (t->present && t->columns.count && (sheet == XL_SURVEY || t->rows.count) &&
        !xl_has_column(t, XL_PLAIN, key))
        xl_error(x, (struct xl_cell){sheet, 1, NOWHERE},
                 "One or more required column headers were not found: '%s'. %s", key, why);
}

void xl_read_tables(struct xl *x)
{
    static const enum xl_sheet order[] = {XL_SETTINGS, XL_SURVEY,   XL_CHOICES,
                                          XL_EXTERNAL, XL_ENTITIES, XL_OSM};
    x->clean_text = true;
    x->default_language = STR("default");
    for (size_t i = 0; i < sizeof(order) / sizeof(*order) && !x->rc; i++)
        read_table(x, order[i]);
    require_column(x, XL_SURVEY, "type", "The first row of the survey sheet must name its columns.");
    require_column(x, XL_CHOICES, "name", "Every choice needs a name.");
}

const struct xl_prop *xl_get(const struct xl_row *row, enum xl_group group, const char *key)
{
    for (uint32_t i = 0; i < row->count; i++)
        if (row->props[i].column->group == group && str_eq_z(row->props[i].column->key, key))
            return &row->props[i];
    return NULL;
}

struct str xl_get_text(const struct xl_row *row, enum xl_group group, const char *key)
{
    const struct xl_prop *p = xl_get(row, group, key);
    return p ? p->value : STR("");
}

bool xl_has_column(const struct xl_table *t, enum xl_group group, const char *key)
{
    for (uint32_t i = 0; i < t->columns.count; i++)
        if (t->columns.at[i].group == group && str_eq_z(t->columns.at[i].key, key))
            return true;
    return false;
}

/* A column without a language speaks the default one, unless a column of that language stands beside it. */
struct xl_text xl_get_translated(struct xl *x, enum xl_sheet sheet, const struct xl_row *row,
                                 enum xl_group group, const char *key)
{
    struct xl_text t = {0};
    const struct xl_prop *own = NULL;
    bool has_default = false;
    for (uint32_t i = 0; i < row->count; i++) {
        const struct xl_column *c = row->props[i].column;
        if (c->group != group || !str_eq_z(c->key, key))
            continue;
        if (c->language.n)
            t.translated = true;
        else
            own = &row->props[i];
        has_default |= str_eq(c->language, x->default_language);
    }
    for (uint32_t i = 0; i < row->count; i++) {
        const struct xl_prop *p = &row->props[i];
        if (p->column->group != group || !str_eq_z(p->column->key, key) || (p == own && has_default))
            continue;
        struct xl_value *v = xl_push(x, &t.at);
        if (v)
            *v = (struct xl_value){p == own ? x->default_language : p->column->language, p->value,
                                   xl_cell_of(sheet, row, p)};
    }
    return t;
}

struct xl_attr *xl_attr_get(struct xl_attrs *attrs, const char *name)
{
    for (uint32_t i = 0; i < attrs->at.count; i++)
        if (str_eq_z(attrs->at.at[i].name, name))
            return &attrs->at.at[i];
    return NULL;
}

void xl_attr_put(struct xl *x, struct xl_attrs *attrs, struct str name, struct str value, struct xl_cell cell)
{
    struct xl_attr *a = NULL;
    for (uint32_t i = 0; i < attrs->at.count; i++)
        if (str_eq(attrs->at.at[i].name, name))
            a = &attrs->at.at[i];
    if (!a)
        a = xl_push(x, &attrs->at);
    if (a)
        *a = (struct xl_attr){name, value, NULL, cell};
}

/* --- languages that lack a column others have --- */

#define LANGUAGES_SEEN 64
struct seen {
    struct str language[LANGUAGES_SEEN];
    uint32_t languages;
    struct str column[16];
    uint32_t columns;
    bool has[LANGUAGES_SEEN][16];
};

static uint32_t slot(struct str *at, uint32_t *count, uint32_t room, struct str wanted)
{
    uint32_t i = 0;
    while (i < *count && !str_eq(at[i], wanted))
        i++;
    if (i == *count && i < room)
        at[(*count)++] = wanted;
    return i < room ? i : room - 1;
}

static bool translatable(enum xl_sheet sheet, const struct xl_column *c, struct str *name_out)
{
    static const char *const messages[][2] = {{"jr:constraintMsg", "constraint_message"},
                                              {"jr:requiredMsg", "required_message"}};
    *name_out = c->key;
    if (c->group == XL_MEDIA)
        return true;
    if (c->group == XL_PLAIN)
        return str_eq_z(c->key, "label") ||
               (sheet == XL_SURVEY && (str_eq_z(c->key, "hint") || str_eq_z(c->key, "guidance_hint")));
    for (size_t i = 0; c->group == XL_BIND && sheet == XL_SURVEY && i < 2; i++)
        if (str_eq_z(c->key, messages[i][0])) {
            *name_out = str_of(messages[i][1]);
            return true;
        }
    return false;
}

static void sort_names(struct str *at, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t j = i; j > 0 && str_cmp(at[j - 1], at[j]) > 0; j--) {
            struct str t = at[j];
            at[j] = at[j - 1];
            at[j - 1] = t;
        }
}

static bool check_sheet_translations(struct xl *x, enum xl_sheet sheet)
{
    const struct xl_table *t = &x->tables[sheet];
    struct seen s = {0};
    for (uint32_t i = 0; i < t->columns.count; i++) {
        struct str name;
        if (!translatable(sheet, &t->columns.at[i], &name))
            continue;
        struct str language = t->columns.at[i].language.n ? t->columns.at[i].language : STR("default");
        uint32_t l = slot(s.language, &s.languages, LANGUAGES_SEEN, language);
        uint32_t c = slot(s.column, &s.columns, 16, name);
        s.has[l][c] = true;
    }
    bool only_default = s.languages == 0 || (s.languages == 1 && str_eq_z(s.language[0], "default"));
    for (uint32_t l = 0; l < s.languages && !only_default; l++) {
        struct str missing[16], list = STR("");
        uint32_t n = 0;
        for (uint32_t c = 0; c < s.columns; c++)
            if (!s.has[l][c])
                missing[n++] = s.column[c];
        sort_names(missing, n);
        for (uint32_t i = 0; i < n; i++)
            list = xl_concat(x, list, i ? STR(", ") : STR(""), missing[i]);
        if (n)
            xl_warning(x, (struct xl_cell){sheet, 1, NOWHERE}, "Language '%.*s' is missing the %s %s%.*s%s.",
                       STR_ARG(s.language[l]), sheets[sheet].name, n > 1 ? "columns " : "", STR_ARG(list),
                       n > 1 ? "" : " column");
    }
    return !only_default;
}

/* ISO 639: two letters, and the three letters of the same language, which are no code where two exist. */
static const char language_codes[] =
    "aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul bibis "
    "bmbam bnben bobod brbre bsbos cacat ceche chcha cocos crcre csces cuchu cvchv cycym dadan dedeu "
    "dvdiv dzdzo eeewe elell eneng eoepo esspa etest eueus fafas ffful fifin fjfij fofao frfra fyfry "
    "gagle gdgla glglg gngrn guguj gvglv hahau heheb hihin hohmo hrhrv hthat huhun hyhye hzher iaina "
    "idind ieile igibo iiiii ikipk ioido isisl itita iuiku jajpn jvjav kakat kgkon kikik kjkua kkkaz "
    "klkal kmkhm knkan kokor krkau kskas kukur kvkom kwcor kykir lalat lbltz lglug lilim lnlin lolao "
    "ltlit lulub lvlav mgmlg mhmah mimri mkmkd mlmal mnmon mrmar msmsa mtmlt mymya nanau nbnob ndnde "
    "nenep ngndo nlnld nnnno nonor nrnbl nvnav nynya ococi ojoji omorm orori ososs papan pipli plpol "
    "pspus ptpor quque rmroh rnrun roron rurus rwkin sasan scsrd sdsnd sesme sgsag sisin skslk slslv "
    "smsmo snsna sosom sqsqi srsrp ssssw stsot susun svswe swswa tatam tetel tgtgk ththa titir tktuk "
    "tltgl tntsn toton trtur tstso tttat twtwi tytah uguig ukukr ururd uzuzb veven vivie vovol wawln "
    "wowol xhxho yiyid yoyor zazha zhzho zuzul ";

static bool known_code(struct str c)
{
    if (c.n < 2 || c.n > 3)
        return false;
    for (const char *p = language_codes; *p; p += 6)
        if (c.n == 2 ? memcmp(p, c.p, 2) == 0 : memcmp(p + 2, c.p, 3) == 0)
            return c.n == 2;
    return c.n == 3 && c.p[0] >= 'a' && c.p[0] <= 'z';
}

/* "French (fr)" is; "French" and "Bosnian (bos)" are not. */
static bool has_code(struct str language)
{
    size_t open = language.n;
    if (language.n < 4 || language.p[language.n - 1] != ')')
        return false;
    while (open > 0 && language.p[open - 1] != '(')
        open--;
    struct str code = str_sub(language, open, language.n - 1 - open);
    ptrdiff_t hyphen = str_find(code, STR("-"));
    return open > 0 && known_code(hyphen > 0 ? str_sub(code, 0, (size_t)hyphen) : code);
}

void xl_check_languages(struct xl *x)
{
    struct str bad = STR("");
    for (uint32_t i = 0; i < x->languages.count; i++)
        if (!str_eq_z(x->languages.at[i], "default") && !has_code(x->languages.at[i]))
            bad = xl_concat(x, bad, bad.n ? STR(", ") : STR(""), x->languages.at[i]);
    if (bad.n)
        xl_warning(x, (struct xl_cell){XL_SURVEY, 1, NOWHERE},
                   "The following language declarations do not contain valid machine-readable codes: %.*s. "
                   "Write the code "
                   "in brackets, as in French (fr).",
                   STR_ARG(bad));
}

void xl_check_translations(struct xl *x)
{
    bool survey = check_sheet_translations(x, XL_SURVEY), choices = check_sheet_translations(x, XL_CHOICES);
    if (x->or_other && (survey || choices))
        xl_warning(
            x, (struct xl_cell){XL_SURVEY, 0, NOWHERE},
            "This form uses or_other and translations, which is not recommended. An untranslated input "
            "question "
            "label and choice label is generated for 'other'. Write the choice and the question yourself.");
}
