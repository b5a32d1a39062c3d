/* From the XML of an XForm to the model: the order of the parts, the primary instance (schema, frame classes,
 * blueprints of new frames), the secondary instances and the binds. Controls, actions and texts are in
 * xform_body.c and xform_text.c, dependencies in graph.c. All findings are collected; only memory and caps
 * end the work early.
 */
#include "forms/model.h"
#include "forms/xml_doc.h"

/* --- findings --- */

void load_nomem(struct loader *l)
{
    if (!l->rc)
        l->rc = ERR_NOMEM;
}

static void push_finding(struct loader *l, enum finding_severity severity, uint32_t line, uint32_t column,
                         struct str node, struct str text)
{
    struct form_finding *f = vec_push(l->a, &l->findings->list);
    if (!f) {
        load_nomem(l);
        return;
    }
    *f = (struct form_finding){severity, line, column, node, arena_str(l->a, text)};
    if (!f->text.p)
        load_nomem(l);
}

void load_finding(struct loader *l, enum finding_severity severity, uint32_t line, uint32_t column,
                  uint32_t node, const char *format, ...)
{
    struct diag one = {0};
    va_list args;
    va_start(args, format);
    struct buf text;
    buf_init(&text, DIAG_TEXT_MAX * 4);
    buf_vprintf(&text, format, args);
    va_end(args);
    if (severity == FINDING_ERROR) {
        l->findings->error_count++;
        diag_set_at(&one, ERR_SYNTAX, line, column, "%.*s", STR_ARG(buf_str(&text)));
        if (l->first && l->first->text[0] == 0)
            *l->first = one;
    }
    if (l->findings->list.count < FORM_FINDINGS_MAX)
        push_finding(l, severity, line, column, form_node_path(l->form, node, l->a), buf_str(&text));
    else if (l->findings->list.count == FORM_FINDINGS_MAX)
        push_finding(l, severity, 0, 0, STR(""), STR("There are more findings; these are the first ones."));
    buf_free(&text);
}

struct str load_str(struct loader *l, struct str s)
{
    struct str kept = arena_str(l->a, s);
    if (!kept.p)
        load_nomem(l);
    return kept;
}

/* --- expressions and paths in attributes --- */

const struct expr *load_expr(struct loader *l, uint32_t element, uint32_t context, struct str text,
                             const char *what, bool nodes)
{
    const struct xml_node *e = xml_at(l->doc, element);
    struct expr_scope scope = form_scope(l->form, context);
    struct diag d = {0};
    const struct expr *x = NULL;
    scope.nodes = nodes;
    struct str kept = arena_str(l->a, str_trim(text));
    if (!kept.p) {
        load_nomem(l);
        return NULL;
    }
    enum err rc = expr_compile(l->a, &scope, kept, &x, &d);
    if (rc == ERR_NOMEM) {
        load_nomem(l);
        return NULL;
    }
    if (rc || d.text[0]) {
        struct str shown = kept.n > 160 ? str_sub(kept, 0, utf8_offset(kept, 120)) : kept;
        load_finding(l, rc ? FINDING_ERROR : FINDING_WARNING, e->line, e->column, context,
                     "%s: %s (column %u of: %.*s%s)", what, d.text, d.column ? d.column : 1, STR_ARG(shown),
                     shown.n < kept.n ? " ..." : "");
    }
    if (!rc)
        load_named_files(l, x);
    return rc ? NULL : x;
}

/* A plain path only: predicates have no place in a ref. */
bool load_step(struct str *rest, struct path_step *step)
{
    struct str token;
    if (!str_split(rest, '/', &token))
        return false;
    token = str_trim(token);
    *step = (struct path_step){.kind = STEP_CHILD};
    if (str_eq_z(token, "."))
        step->kind = STEP_SELF;
    else if (str_eq_z(token, ".."))
        step->kind = STEP_PARENT;
    else if (str_starts(token, STR("@")))
        step->kind = STEP_ATTRIBUTE;
    ptrdiff_t colon = str_find(token, STR(":"));
    size_t from = colon >= 0 ? (size_t)colon + 1 : step->kind == STEP_ATTRIBUTE;
    step->local = step->kind == STEP_CHILD || step->kind == STEP_ATTRIBUTE ? str_sub(token, from, token.n)
                                                                           : STR("");
    return true;
}

uint32_t load_path(struct loader *l, uint32_t context, struct str path)
{
    const struct form *f = l->form;
    struct str rest = str_trim(path);
    bool absolute = str_starts(rest, STR("/"));
    uint32_t at = absolute ? NONE : context;
    struct path_step step;
    if (str_starts(rest, STR("current()/")))
        rest = str_sub(rest, 10, rest.n);
    if (rest.n == 0)
        return NONE;
    if (absolute)
        rest = str_sub(rest, 1, rest.n);
    while (load_step(&rest, &step)) {
        if (step.kind == STEP_SELF)
            continue;
        if (step.kind == STEP_PARENT)
            at = at == NONE ? NONE : f->nodes.at[at].parent;
        else if (at == NONE)
            at = absolute && f->nodes.at[0].local == form_local(f, step.local) ? 0 : NONE;
        else
            at = form_child(f, at, form_local(f, step.local), step.kind == STEP_ATTRIBUTE);
        if (at == NONE)
            return NONE;
    }
    return at;
}

/* --- binds --- */

static const struct {
    const char *name;
    enum cast cast;
    enum field_type type;
} bind_types[] = {
    {"string", CAST_STRING, FIELD_STRING},
    {"int", CAST_INT, FIELD_INT},
    {"integer", CAST_INT, FIELD_INT},
    {"long", CAST_INT, FIELD_INT},
    {"decimal", CAST_DECIMAL, FIELD_DECIMAL},
    {"double", CAST_DECIMAL, FIELD_DECIMAL},
    {"float", CAST_DECIMAL, FIELD_DECIMAL},
    {"boolean", CAST_BOOLEAN, FIELD_BOOLEAN},
    {"date", CAST_DATE, FIELD_DATE},
    {"time", CAST_STRING, FIELD_TIME},
    {"dateTime", CAST_DATETIME, FIELD_DATETIME},
    {"geopoint", CAST_STRING, FIELD_GEOPOINT},
    {"geotrace", CAST_STRING, FIELD_GEOTRACE},
    {"geoshape", CAST_STRING, FIELD_GEOSHAPE},
    {"binary", CAST_STRING, FIELD_BINARY},
    {"barcode", CAST_STRING, FIELD_BARCODE},
    {"select", CAST_STRING, FIELD_SELECT_MANY},
    {"select1", CAST_STRING, FIELD_SELECT_ONE},
    {"rank", CAST_STRING, FIELD_RANK},
    {"intent", CAST_STRING, FIELD_STRING},
};

static void bind_type(struct loader *l, struct schema_node *n, struct str type)
{
    ptrdiff_t colon = str_find(type, STR(":"));
    struct str local = colon >= 0 ? str_sub(type, (size_t)colon + 1, type.n) : type;
    (void)l;
    for (size_t i = 0; i < sizeof(bind_types) / sizeof(*bind_types); i++) {
        if (str_eq_z(local, bind_types[i].name)) {
            n->cast = bind_types[i].cast;
            n->type = bind_types[i].type;
            return;
        }
    }
}

static const struct {
    const char *attribute, *uri;
    enum prop_kind kind;
} bind_expressions[] = {
    {"relevant", "", PROP_RELEVANT}, {"calculate", "", PROP_CALCULATE}, {"required", "", PROP_REQUIRED},
    {"readonly", "", PROP_READONLY}, {"constraint", "", PROP_VALID},
};

static void bind_expression(struct loader *l, struct bind *b, uint32_t element, size_t i)
{
    enum prop_kind kind = bind_expressions[i].kind;
    struct str text = xml_attr(l->doc, element, bind_expressions[i].uri, bind_expressions[i].attribute);
    struct value constant;
    if (!str_trim(text).n)
        return;
    const struct expr *x = load_expr(l, element, b->node, text, bind_expressions[i].attribute, false);
    b->expr[kind] = x;
    b->always[kind] = false;
    if (!x || kind == PROP_CALCULATE || !expr_constant(x, &constant) || constant.type != VALUE_BOOL)
        return;
    /* A constant needs no place in the graph; only "never relevant" is a state that must be entered once. */
    b->always[kind] = constant.boolean;
    if (kind != PROP_RELEVANT || constant.boolean)
        b->expr[kind] = kind == PROP_VALID && !constant.boolean ? x : NULL;
}

static void bind_preload(struct bind *b, struct str preload, struct str params)
{
    if (str_eq_z(preload, "uid"))
        b->preload = PRELOAD_UID;
    else if (str_eq_z(preload, "timestamp"))
        b->preload = str_eq_z(params, "end") ? PRELOAD_END : PRELOAD_START;
    else if (str_eq_z(preload, "date"))
        b->preload = PRELOAD_TODAY;
    else if (str_eq_z(preload, "property"))
        b->preload = PRELOAD_PROPERTY;
}

static struct bind *bind_of(struct loader *l, uint32_t node, uint32_t element)
{
    struct form *f = l->form;
    if (f->nodes.at[node].bind != NONE)
        return &f->binds.at[f->nodes.at[node].bind];
    struct bind *b = vec_push(l->a, &f->binds);
    if (!b) {
        load_nomem(l);
        return NULL;
    }
    *b = (struct bind){.node = node,
                       .line = xml_at(l->doc, element)->line,
                       .column = xml_at(l->doc, element)->column,
                       .constraint_message = {.text = NONE},
                       .required_message = {.text = NONE}};
    f->nodes.at[node].bind = f->binds.count - 1;
    return b;
}

static void load_bind(struct loader *l, uint32_t element)
{
    const struct xml_doc *doc = l->doc;
    const struct xml_node *e = xml_at(doc, element);
    struct str path = xml_attr(doc, element, "", "nodeset");
    if (!path.p)
        path = xml_attr(doc, element, "", "ref");
    uint32_t node = load_path(l, 0, path);
    if (node == NONE) {
        load_finding(l, FINDING_WARNING, e->line, e->column, NONE,
                     "A bind names %.*s, which is not in the primary instance. The bind has no effect.",
                     STR_ARG(path));
        return;
    }
    struct bind *b = bind_of(l, node, element);
    if (!b)
        return;
    struct str id = xml_attr(doc, element, "", "id");
    if (id.n && map_put(&l->bind_ids, id, node) != ERR_OK)
        load_nomem(l);
    struct str type = xml_attr(doc, element, "", "type");
    if (type.n)
        bind_type(l, &l->form->nodes.at[node], str_trim(type));
    for (size_t i = 0; i < sizeof(bind_expressions) / sizeof(*bind_expressions); i++)
        bind_expression(l, b, element, i);
    struct str message = xml_attr(doc, element, NS_JAVAROSA, "constraintMsg");
    if (message.p)
        b->constraint_message = load_message(l, element, node, message);
    message = xml_attr(doc, element, NS_JAVAROSA, "requiredMsg");
    if (message.p)
        b->required_message = load_message(l, element, node, message);
    struct str params = xml_attr(doc, element, NS_JAVAROSA, "preloadParams");
    bind_preload(b, xml_attr(doc, element, NS_JAVAROSA, "preload"), params);
    b->preload_name = load_str(l, params.p ? params : STR(""));
    uint32_t *slot = b->preload == PRELOAD_NONE ? NULL : vec_push(l->a, &l->form->preloads);
    if (slot)
        *slot = l->form->nodes.at[node].bind;
    else if (b->preload != PRELOAD_NONE)
        load_nomem(l);
    b->fresh = str_eq_z(xml_attr(doc, element, FORM_NS_DOORSTEP, "fresh"), "true()");
    load_extras(l, element, node);
}

void load_binds(struct loader *l)
{
    const struct xml_doc *doc = l->doc;
    for (uint32_t c = xml_element(doc, xml_at(doc, l->model)->first_child); c != XML_NONE && !l->rc;
         c = xml_element(doc, xml_at(doc, c)->next))
        if (xml_is(doc, c, NULL, "bind"))
            load_bind(l, c);
}

/* --- the whole --- */

static bool skip_instance(const struct xml_doc *doc, uint32_t element)
{
    if (!xml_is(doc, element, NULL, "instance"))
        return false;
    uint32_t parent = xml_at(doc, element)->parent;
    return parent != XML_NONE && xml_is(doc, parent, NULL, "model") &&
           xml_find_child(doc, parent, NULL, "instance") != element;
}

static bool find_parts(struct loader *l)
{
    const struct xml_doc *doc = l->doc;
    uint32_t head = xml_is(doc, 0, NULL, "html") ? xml_find_child(doc, 0, NULL, "head") : XML_NONE;
    if (head == XML_NONE) {
        load_finding(l, FINDING_ERROR, xml_at(doc, 0)->line, xml_at(doc, 0)->column, NONE,
                     "This is not an XForm: it should begin with <h:html> and have a <h:head>.");
        return false;
    }
    l->model = xml_find_child(doc, head, NULL, "model");
    l->body = xml_find_child(doc, 0, NULL, "body");
    if (l->model == XML_NONE) {
        load_finding(l, FINDING_ERROR, xml_at(doc, head)->line, xml_at(doc, head)->column, NONE,
                     "The head has no <model>.");
        return false;
    }
    for (uint32_t c = xml_element(doc, xml_at(doc, l->model)->next); c != XML_NONE;
         c = xml_element(doc, xml_at(doc, c)->next)) {
        if (xml_is(doc, c, NULL, "model"))
            load_finding(l, FINDING_WARNING, xml_at(doc, c)->line, xml_at(doc, c)->column, NONE,
                         "There is more than one <model>; only the first one counts.");
    }
    if (l->body == XML_NONE)
        load_finding(l, FINDING_WARNING, 0, 0, NONE, "The form has no <h:body>: nothing will be asked.");
    uint32_t title = xml_find_child(doc, head, NULL, "title");
    l->form->title = load_str(l, title == XML_NONE ? STR("") : str_trim(xml_text(doc, title, l->scratch)));
    return true;
}

static void copy_prefixes(struct loader *l)
{
    for (uint32_t i = 0; i < l->doc->prefixes.room; i++) {
        const struct map_slot *s = &l->doc->prefixes.slots[i];
        struct str *uri = s->key.p ? vec_push(l->a, &l->form->uris) : NULL;
        if (!s->key.p)
            continue;
        if (!uri || map_put(&l->form->prefixes, load_str(l, s->key), l->form->uris.count - 1) != ERR_OK) {
            load_nomem(l);
            return;
        }
        *uri = load_str(l, l->doc->uris.at[s->value]);
    }
}

/* How large the tables of a form get can be told from its elements; growing them step by step leaves as much
 * behind again. A wrong guess costs only that. */
static void make_room(struct loader *l)
{
    static const char *const shown[] = {"input", "select1", "select", "upload", "trigger",
                                        "range", "rank",    "group",  "repeat"};
    struct form *f = l->form;
    uint32_t *times = ARENA_ARRAY(l->scratch, uint32_t, l->doc->names.count + 1);
    uint32_t binds = 0, controls = 1, items = 0;
    for (uint32_t i = 0; times && i < l->doc->nodes.count; i++)
        if (l->doc->nodes.at[i].name != XML_NONE)
            times[l->doc->nodes.at[i].name]++;
    for (uint32_t i = 0; times && i < l->doc->names.count; i++) {
        struct str local = l->doc->names.at[i].local;
        if (str_eq_z(local, "bind"))
            binds += times[i];
        if (str_eq_z(local, "item"))
            items += times[i];
        for (size_t k = 0; k < sizeof(shown) / sizeof(*shown); k++)
            if (str_eq_z(local, shown[k]))
                controls += times[i];
    }
    if (!times || !vec_reserve(l->a, &f->nodes, binds + binds / 8 + 8) ||
        !vec_reserve(l->a, &f->binds, binds) || !vec_reserve(l->a, &f->controls, controls) ||
        !vec_reserve(l->a, &f->choices, items) || !vec_reserve(l->a, &f->segments, controls + items))
        load_nomem(l);
}

static void load_all(struct loader *l)
{
    if (!find_parts(l) || l->rc)
        return;
    make_room(l);
    copy_prefixes(l);
    load_instances(l);
    if (l->rc || l->form->nodes.count == 0)
        return;
    load_texts(l);
    load_binds(l);
    load_body(l);
    if (!l->rc)
        load_text_values(l);
    if (!l->rc)
        load_fields(l);
    if (!l->rc)
        load_submission(l);
    if (!l->rc)
        load_audit(l);
    if (!l->rc)
        load_entities(l);
    if (!l->rc)
        load_graph(l);
}

static struct form *form_new(struct arena *a)
{
    struct form *f = ARENA_NEW(a, struct form);
    if (!f)
        return NULL;
    map_init(&f->locals, a);
    map_init(&f->text_ids, a);
    map_init(&f->resource_ids, a);
    map_init(&f->field_paths, a);
    map_init(&f->prefixes, a);
    return f;
}

/* Where a construct that holds no attributes ends: a comment, character data, an instruction. 0 = none here.
 */
static size_t opaque_end(struct str xml, size_t at)
{
    static const char *const marks[][2] = {{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}};
    struct str rest = str_sub(xml, at, xml.n - at);
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        if (!str_starts(rest, str_of(marks[i][0])))
            continue;
        ptrdiff_t end = str_find(rest, str_of(marks[i][1]));
        return end < 0 ? xml.n : at + (size_t)end + strlen(marks[i][1]);
    }
    return 0;
}

/* Forms written by hand say relevant="a < 3", which XML forbids and other engines' readers let pass. Gives
 * the text with each such sign as an entity; false when there is none. */
static bool loosen(struct str xml, struct arena *a, struct str *out)
{
    struct buf b;
    char quote = 0;
    bool tag = false, any = false;
    buf_init(&b, FORM_BYTES_MAX + (1u << 20));
    for (size_t i = 0; i < xml.n; i++) {
        size_t end = tag ? 0 : opaque_end(xml, i);
        if (end) {
            buf_put_str(&b, str_sub(xml, i, end - i));
            i = end - 1;
            continue;
        }
        char c = xml.p[i];
        if (quote && c == '<') {
            buf_put_z(&b, "&lt;");
            any = true;
            continue;
        }
        if (tag && (c == '"' || c == '\''))
            quote = quote == 0 ? c : quote == c ? '\0' : quote;
        else if (!quote)
            tag = c == '<' || (tag && c != '>');
        buf_put_char(&b, c);
    }
    *out = arena_str(a, buf_str(&b));
    any = any && !b.failed && out->p;
    buf_free(&b);
    return any;
}

static enum err read_document(struct loader *l, struct str xml, const struct xml_caps *caps)
{
    struct diag again = {0};
    struct str loose;
    enum err rc = xml_doc_read(l->scratch, xml, caps, l->doc, l->first);
    if (rc != ERR_SYNTAX || !loosen(xml, l->scratch, &loose) ||
        xml_doc_read(l->scratch, loose, caps, l->doc, &again))
        return rc;
    load_finding(
        l, FINDING_WARNING, l->first->line, l->first->column, NONE,
        "A \"<\" inside an attribute is to be written as &lt; or other programs will not read this form.");
    diag_clear(l->first);
    return ERR_OK;
}

enum err form_load(struct arena *a, struct str xml, const struct form **form_out,
                   struct form_findings *findings, struct diag *d)
{
    struct arena scratch;
    struct xml_doc doc;
    struct diag first = {0};
    struct xml_caps caps = {.depth_max = FORM_DEPTH_MAX,
                            .nodes_max = 4u * FORM_NODES_MAX,
                            .skip = skip_instance};
    *findings = (struct form_findings){0};
    if (xml.n > FORM_BYTES_MAX)
        return diag_set(d, ERR_LIMIT,
                        "The form is larger than %u MB. Put its lists into files beside it (CSV or XML).",
                        FORM_BYTES_MAX >> 20);
    arena_init(&scratch, FORM_MEMORY_MAX);
    struct loader l = {
        .a = a, .scratch = &scratch, .doc = &doc, .findings = findings, .first = &first, .form = form_new(a)};
    map_init(&l.bind_ids, &scratch);
    enum err rc = l.form ? read_document(&l, xml, &caps) : ERR_NOMEM;
    if (rc == ERR_SYNTAX) {
        struct diag told = first;
        load_finding(&l, FINDING_ERROR, told.line, told.column, NONE, "%s", told.text);
    }
    if (!rc) {
        load_all(&l);
        rc = l.rc ? l.rc : findings->error_count ? ERR_SYNTAX : ERR_OK;
    }
    if (rc == ERR_NOMEM)
        diag_set(&first, ERR_NOMEM, "The form needs more memory than there is.");
    if (rc && d && d->text[0] == 0)
        *d = first;
    if (!rc)
        *form_out = l.form;
    arena_free(&scratch);
    return rc;
}
