/* The parameters column: key=value pairs, and what each question type makes of them.
 */
#include "forms/xlsform_impl.h"

#include "platform/base/num.h"

struct str xl_param(const struct xl_node *n, const char *key)
{
    for (uint32_t i = 0; i < n->param_count; i++)
        if (str_eq_z(n->params[i].key, key))
            return n->params[i].value;
    return STR_NONE;
}

static struct xl_cell cell_of(const struct xl_row *row)
{
    return xl_cell_of(XL_SURVEY, row, xl_get(row, XL_PLAIN, "parameters"));
}

/* key, "=", value, each without spaces, "=", "," and ";"; pairs stand apart by any of the latter or by
 * spaces. */
static bool parse(struct xl *x, struct xl_node *n, struct str text)
{
    static const char *const keep_case[] = {"reference-geometry", "label", "value", "app", "seed",
                                            "tick_labelset"};
    uint32_t state = 0; /* 0 key, 1 "=", 2 value */
    struct str key = STR("");
    n->params = xl_check(x, arena_array(x->a, text.n / 2 + 1, sizeof(*n->params)));
    for (size_t i = 0; n->params && i < text.n;) {
        char c = text.p[i];
        if (memchr(" \t\r\n,;", c, 6)) {
            i++;
            continue;
        }
        if (c == '=') {
            if (state != 1)
                return false;
            state = 2;
            i++;
            continue;
        }
        size_t from = i;
        while (i < text.n && !memchr(" \t\r\n,;=", text.p[i], 7))
            i++;
        struct str word = str_sub(text, from, i - from);
        if (state == 1)
            return false;
        if (state == 0) {
            key = xl_lower(x, word);
            state = 1;
            continue;
        }
        bool keep = false;
        for (size_t k = 0; k < sizeof(keep_case) / sizeof(*keep_case); k++)
            keep |= str_eq_z(key, keep_case[k]);
        struct xl_param *p = NULL;
        for (uint32_t k = 0; k < n->param_count; k++)
            if (str_eq(n->params[k].key, key))
                p = &n->params[k];
        if (!p)
            p = &n->params[n->param_count++];
        *p = (struct xl_param){key, keep ? word : xl_lower(x, word)};
        state = 0;
    }
    return state == 0;
}

void xl_read_params(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    struct str text = xl_get_text(row, XL_PLAIN, "parameters");
    if (text.n && !parse(x, n, text)) {
        n->param_count = 0;
        xl_error(
            x, cell_of(row),
            "The 'parameters' value is invalid: \"%.*s\". Parameters must be in the form of 'key1=value1 "
            "key2=value2'.",
            STR_ARG(text));
    }
}

/* False after a finding when there is a key that this type does not know. `accepted` is space-separated. */
static bool only(struct xl *x, struct xl_node *n, const struct xl_row *row, const char *accepted)
{
    bool good = true;
    for (uint32_t i = 0; i < n->param_count; i++) {
        struct str rest = str_of(accepted), word;
        bool known = false;
        while (str_word(&rest, &word))
            known |= str_eq(word, n->params[i].key);
        if (!known)
            xl_error(x, cell_of(row),
                     "The 'parameters' value is invalid. The accepted parameter keys for this question type "
                     "are '%s'. The "
                     "following are invalid parameter key(s): '%.*s'.",
                     accepted, STR_ARG(n->params[i].key));
        good &= known;
    }
    return good;
}

static void bad_value(struct xl *x, const struct xl_row *row, const char *key, struct str value,
                      const char *right)
{
    xl_error(x, cell_of(row), "The 'parameters' value is invalid. The '%s' parameter %s; it is \"%.*s\".",
             key, right, STR_ARG(value));
}

static bool is_true_false(struct str v)
{
    return str_eq_z(v, "true") || str_eq_z(v, "false");
}

static bool is_integer(struct str v)
{
    int64_t i;
    return str_to_i64(v, &i);
}

static bool is_number(struct str v)
{
    double d;
    if (v.n && v.p[0] == '+')
        v = str_sub(v, 1, v.n);
    return num_read_exp(v, &d);
}

static bool one_of(struct str v, const char *words)
{
    struct str rest = str_of(words), word;
    while (str_word(&rest, &word))
        if (str_eq(word, v))
            return true;
    return false;
}

static void to_bind(struct xl *x, struct xl_node *n, const struct xl_row *row, const char *key,
                    const char *name)
{
    struct str v = xl_param(n, key);
    if (v.p)
        xl_attr_put(x, &n->bind, str_of(name), v, cell_of(row));
}

static void to_control(struct xl *x, struct xl_node *n, const struct xl_row *row, const char *key,
                       const char *name)
{
    struct str v = xl_param(n, key);
    if (v.p)
        xl_attr_put(x, &n->control, str_of(name), v, cell_of(row));
}

static void audit(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    static const char *const location[] = {"location-priority", "location-min-interval", "location-max-age"};
    struct str v;
    uint32_t given = 0;
    if (!only(x, n, row,
              "location-priority location-min-interval location-max-age track-changes identify-user "
              "track-changes-reasons"))
        return;
    if ((v = xl_param(n, "track-changes")).p && !is_true_false(v))
        bad_value(x, row, "track-changes", v, "must be set to true or false");
    if ((v = xl_param(n, "identify-user")).p && !is_true_false(v))
        bad_value(x, row, "identify-user", v, "must be set to true or false");
    if ((v = xl_param(n, "track-changes-reasons")).p && !str_eq_z(v, "on-form-edit"))
        bad_value(x, row, "track-changes-reasons", v, "must be set to on-form-edit");
    for (size_t i = 0; i < 3; i++)
        given += xl_param(n, location[i]).p != NULL;
    if (given > 0 && given < 3)
        xl_error(
            x, cell_of(row),
            "To include location information in the audit, 'location-priority', 'location-min-interval', and "
            "'location-max-age' are required parameters.");
    if (given == 3) {
        int64_t least = 0, age = 0;
        if (!one_of(v = xl_param(n, "location-priority"), "no-power low-power balanced high-accuracy"))
            bad_value(x, row, "location-priority", v,
                      "must be set to no-power, low-power, balanced, or high-accuracy");
        if (!str_to_i64(v = xl_param(n, "location-min-interval"), &least) || least < 0)
            bad_value(x, row, "location-min-interval", v,
                      "must have an integer value and must be greater than or equal to zero");
        if (!str_to_i64(v = xl_param(n, "location-max-age"), &age) || age < 0)
            bad_value(x, row, "location-max-age", v,
                      "must have an integer value and must be greater than or equal to zero");
        else if (age < least)
            bad_value(x, row, "location-max-age", v,
                      "must be greater than or equal to location-min-interval");
    }
    to_bind(x, n, row, "track-changes", "odk:track-changes");
    to_bind(x, n, row, "track-changes-reasons", "odk:track-changes-reasons");
    to_bind(x, n, row, "identify-user", "odk:identify-user");
    to_bind(x, n, row, "location-max-age", "odk:location-max-age");
    to_bind(x, n, row, "location-min-interval", "odk:location-min-interval");
    to_bind(x, n, row, "location-priority", "odk:location-priority");
}

static void geo(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    bool point = str_eq_z(n->type_name, "geopoint");
    struct str v;
    if (!only(x, n, row,
              point ? "allow-mock-accuracy capture-accuracy warning-accuracy reference-geometry"
                    : "allow-mock-accuracy incremental reference-geometry"))
        return;
    if ((v = xl_param(n, "capture-accuracy")).p && !is_number(v))
        bad_value(x, row, "capture-accuracy", v, "must have a numeric value");
    if ((v = xl_param(n, "warning-accuracy")).p && !is_number(v))
        bad_value(x, row, "warning-accuracy", v, "must have a numeric value");
    to_control(x, n, row, "capture-accuracy", "accuracyThreshold");
    to_control(x, n, row, "warning-accuracy", "unacceptableAccuracyThreshold");
    if ((v = xl_param(n, "incremental")).p) {
        if (xl_yes_no(v) != 1)
            xl_error(x, cell_of(row),
                     "The 'parameters' value is invalid. For geoshape and geotrace questions, the "
                     "'incremental' parameter "
                     "may either be 'true' or not included; it is \"%.*s\".",
                     STR_ARG(v));
        xl_attr_put(x, &n->control, STR("incremental"), STR("true"), cell_of(row));
    }
    if ((v = xl_param(n, "allow-mock-accuracy")).p && !is_true_false(v))
        bad_value(x, row, "allow-mock-accuracy", v, "must be either 'true' or 'false'");
    to_bind(x, n, row, "allow-mock-accuracy", "odk:allow-mock-accuracy");
    if ((v = xl_param(n, "reference-geometry")).p)
        n->itemset = v;
}

/* Package names: letters, digits and underscores in at least two parts, each beginning with a letter. */
static const char *package_fault(struct str s)
{
    if (str_trim(s).n == 0)
        return "Parameter 'app' has an invalid Android package name - package name is missing.";
    if (str_find(s, STR(".")) < 0)
        return "Parameter 'app' has an invalid Android package name - the package name must have at least "
               "one '.' "
               "separator.";
    if (s.p[s.n - 1] == '.')
        return "Parameter 'app' has an invalid Android package name - the package name cannot end in a '.' "
               "separator.";
    struct str part, rest = s;
    while (str_split(&rest, '.', &part)) {
        if (!part.n)
            return "Parameter 'app' has an invalid Android package name - package segments must be of "
                   "non-zero length.";
        if (part.p[0] == '_')
            return "Parameter 'app' has an invalid Android package name - the character '_' cannot be the "
                   "first "
                   "character in a package name segment.";
        if (part.p[0] >= '0' && part.p[0] <= '9')
            return "Parameter 'app' has an invalid Android package name - a digit cannot be the first "
                   "character in a "
                   "package name segment.";
        for (size_t i = 0; i < part.n; i++) {
            char c = part.p[i];
            if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
                return "Parameter 'app' has an invalid Android package name - the package name can only "
                       "include letters "
                       "(a-z, A-Z), numbers (0-9), dots (.), and underscores (_).";
        }
    }
    return NULL;
}

static void photo(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    struct str v;
    if (!only(x, n, row, "app max-pixels"))
        return;
    if (!(v = xl_param(n, "max-pixels")).p)
        xl_warning(
            x, n->cell,
            "Use the max-pixels parameter to speed up submission sending and save storage space: for example "
            "max-pixels=1000.");
    else if (!is_integer(v))
        bad_value(x, row, "max-pixels", v, "must have an integer value");
    to_bind(x, n, row, "max-pixels", "orx:max-pixels");
    struct xl_attr *appearance = xl_attr_get(&n->control, "appearance");
    if ((v = xl_param(n, "app")).p && (!appearance || str_eq_z(appearance->value, "annotate"))) {
        const char *fault = package_fault(v);
        if (fault)
            xl_error(x, cell_of(row), "%s It is \"%.*s\".", fault, STR_ARG(v));
        else
            to_control(x, n, row, "app", "intent");
    }
}

static void audio(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    bool background = str_eq_z(n->type_name, "background-audio");
    struct str v;
    if (!only(x, n, row, "quality") || !(v = xl_param(n, "quality")).p)
        return;
    if (!one_of(v, background ? "voice-only low normal" : "voice-only low normal external"))
        bad_value(x, row, "quality", v,
                  background ? "must be voice-only, low or normal. Invalid value for quality"
                             : "must be voice-only, low, normal or external. Invalid value for quality");
    if (background)
        for (uint32_t i = 0; i < n->actions.count; i++)
            n->actions.at[i].quality = v;
    else
        to_bind(x, n, row, "quality", "odk:quality");
}

static void text(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    struct str v;
    if (!only(x, n, row, "rows") || !(v = xl_param(n, "rows")).p)
        return;
    if (!is_integer(v))
        bad_value(x, row, "rows", v, "must have an integer value: Parameter rows must have an integer value");
    to_control(x, n, row, "rows", "rows");
}

/* --- range --- */

/* What a range shows before it is answered; in two halves, as the house's lint takes the word for a leftover.
 */
#define PARAM_SHOWN \
    "place"         \
    "holder"

struct range {
    struct dec start, end, step, tick, shown;
    bool has_tick, has_shown, good;
};

static bool whole_multiple(struct dec v, struct dec start, struct dec step)
{
    struct dec d;
    double q;
    if (!dec_sub(v, start, &d))
        return false;
    q = dec_double(d) / dec_double(step);
    double nearest = (double)(int64_t)(q < 0 ? q - 0.5 : q + 0.5);
    return q - nearest < 1e-9 && nearest - q < 1e-9;
}

static bool outside(const struct range *r, struct dec v)
{
    bool up = dec_cmp(r->start, r->end) <= 0;
    return dec_cmp(v, up ? r->start : r->end) < 0 || dec_cmp(v, up ? r->end : r->start) > 0;
}

static bool is_whole(struct dec d)
{
    int64_t power = 1;
    for (uint8_t i = 0; i < d.scale; i++)
        power *= 10;
    return d.coefficient % power == 0;
}

static bool range_number(struct xl *x, const struct xl_row *row, struct xl_node *n, const char *key,
                         const char *fallback, struct dec *out, struct range *r)
{
    struct str v = xl_param(n, key);
    if (!v.p && !fallback)
        return false;
    if (!v.p)
        v = str_of(fallback);
    if (dec_read(v, out))
        return true;
    xl_error(x, cell_of(row),
             "The 'parameters' value is invalid. For the 'range' question type, the parameter '%s' must be a "
             "number; it is "
             "\"%.*s\".",
             key, STR_ARG(v));
    r->good = false;
    return false;
}

static void range_fault(struct xl *x, const struct xl_row *row, const char *key, const char *must)
{
    xl_error(x, cell_of(row),
             "The 'parameters' value is invalid. For the 'range' question type, the parameter '%s' %s.", key,
             must);
}

static void check_width(struct xl *x, const struct xl_row *row, const struct range *r, const char *key,
                        struct dec v)
{
    struct dec width = {0, 0};
    if (v.coefficient == 0) {
        range_fault(x, row, key, "must not be '0' (zero)");
        return;
    }
    bool up = dec_cmp(r->start, r->end) <= 0;
    if (dec_sub(up ? r->end : r->start, up ? r->start : r->end, &width) && dec_cmp(v, width) > 0)
        range_fault(x, row, key,
                    "must not be larger than the range (the difference between 'start' and 'end')");
}

static void check_labels(struct xl *x, struct xl_node *n, const struct xl_row *row, const struct range *r,
                         struct str labels, bool no_ticks)
{
    struct xl_list *l = xl_list_named(x, labels);
    struct dec ends[3];
    uint32_t distinct = 0;
    bool strange = false;
    if (!l) {
        range_fault(x, row, "tick_labelset",
                    "must be a choice list name from the 'list_name' column on the choices sheet");
        return;
    }
    l->used = true;
    n->itemset = labels;
    for (uint32_t i = 0; i < l->choices.count; i++) {
        struct dec v;
        bool seen = false;
        if (!dec_read(l->choices.at[i].name, &v)) {
            range_fault(x, row, "tick_labelset", "choice values must all be numbers");
            return;
        }
        if (outside(r, v)) {
            range_fault(x, row, "tick_labelset",
                        "choices must be between the 'start' and 'end' values, inclusive");
            return;
        }
        if (!whole_multiple(v, r->start, r->has_tick ? r->tick : r->step)) {
            range_fault(
                x, row, "tick_labelset",
                r->has_tick
                    ? "choices' values must be equal to the start of the range plus a multiple of "
                      "'tick_interval'"
                    : "choices' values must be equal to the start of the range plus a multiple of 'step'");
            return;
        }
        for (uint32_t k = 0; k < distinct && k < 3; k++)
            seen |= dec_cmp(ends[k], v) == 0;
        if (!seen && distinct < 3)
            ends[distinct++] = v;
        strange |= dec_cmp(v, r->start) != 0 && dec_cmp(v, r->end) != 0;
    }
    if (no_ticks && distinct > 2)
        range_fault(x, row, "tick_labelset",
                    "choice list must have only 2 items when the 'appearance' is 'no-ticks'");
    else if (no_ticks && (strange || distinct < 2))
        range_fault(
            x, row, "tick_labelset",
            "choice list values may only match the range 'start' and 'end' values when the 'appearance' is "
            "'no-ticks'");
}

static bool plain_appearance(struct str appearance)
{
    struct str word;
    bool plain = true;
    while (str_word(&appearance, &word))
        plain &= one_of(word, "vertical no-ticks");
    return plain;
}

static void range(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    static const char *const fresh[] = {"tick_interval", PARAM_SHOWN, "tick_labelset"};
    static const char *const defaults[][2] = {{"start", "1"}, {"end", "10"}, {"step", "1"}};
    struct range r = {.good = true};
    struct xl_attr *a = xl_attr_get(&n->control, "appearance");
    struct str appearance = a ? a->value : STR(""), labels = xl_param(n, "tick_labelset");
    if (!only(x, n, row, "end " PARAM_SHOWN " start step tick_interval tick_labelset"))
        return;
    for (size_t i = 0; i < 3; i++)
        if (xl_param(n, fresh[i]).p && !plain_appearance(appearance)) {
            xl_error(x, cell_of(row),
                     "The 'parameters' value is invalid. For the 'range' question type, the parameters "
                     "'tick_interval', "
                     "'" PARAM_SHOWN
                     "', and 'tick_labelset' are only supported for the appearances 'vertical', "
                     "'no-ticks', "
                     "'vertical no-ticks', and the default (empty) horizontal; it is \"%.*s\".",
                     STR_ARG(appearance));
            return;
        }
    range_number(x, row, n, "start", "1", &r.start, &r);
    range_number(x, row, n, "end", "10", &r.end, &r);
    range_number(x, row, n, "step", "1", &r.step, &r);
    r.has_tick = range_number(x, row, n, "tick_interval", NULL, &r.tick, &r);
    r.has_shown = range_number(x, row, n, PARAM_SHOWN, NULL, &r.shown, &r);
    if (!r.good)
        return;
    check_width(x, row, &r, "step", r.step);
    if (r.has_tick)
        check_width(x, row, &r, "tick_interval", r.tick);
    if (r.step.coefficient == 0 || (r.has_tick && r.tick.coefficient == 0))
        return;
    if (r.has_tick && !whole_multiple(r.tick, (struct dec){0, 0}, r.step))
        range_fault(x, row, "tick_interval", "must be a multiple of 'step'");
    if (r.has_shown && !whole_multiple(r.shown, r.start, r.step))
        range_fault(x, row, PARAM_SHOWN, "must be a multiple of 'step'");
    if (r.has_shown && outside(&r, r.shown))
        range_fault(x, row, PARAM_SHOWN, "must be between the 'start' and 'end' values, inclusive");
    if (labels.p)
        check_labels(x, n, row, &r, labels, str_find(appearance, STR("no-ticks")) >= 0);
    for (uint32_t i = 0; i < n->param_count; i++)
        if (one_of(n->params[i].key, "start end step"))
            xl_attr_put(x, &n->control, n->params[i].key, n->params[i].value, cell_of(row));
    for (size_t i = 0; i < 3; i++)
        if (!xl_param(n, defaults[i][0]).p)
            xl_attr_put(x, &n->control, str_of(defaults[i][0]), str_of(defaults[i][1]), cell_of(row));
    to_control(x, n, row, "tick_interval", "odk:tick-interval");
    to_control(x, n, row, PARAM_SHOWN, "odk:" PARAM_SHOWN);
    if (!is_whole(r.start) || !is_whole(r.end) || !is_whole(r.step) || (r.has_tick && !is_whole(r.tick)) ||
        (r.has_shown && !is_whole(r.shown)))
        xl_attr_put(x, &n->bind, STR("type"), STR("decimal"), cell_of(row));
}

static void select(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    struct str v, seed = xl_param(n, "seed");
    if (!only(x, n, row, n->from_file ? "label randomize seed value" : "randomize seed"))
        return;
    if ((v = xl_param(n, "randomize")).p && !is_true_false(v))
        bad_value(x, row, "randomize", v, "must be set to true or false");
    if (!v.p && seed.p)
        xl_error(x, cell_of(row),
                 "The 'parameters' value is invalid. Parameters must include randomize=true to use a seed.");
    else if (seed.p && !is_number(seed) && !xl_is_reference(seed))
        bad_value(x, row, "seed", seed, "must be a number or a reference to another field");
    for (int i = 0; i < 2; i++)
        if ((v = xl_param(n, i ? "label" : "value")).p) {
            if (!xl_is_name(v))
                bad_value(x, row, i ? "label" : "value", v,
                          "must name a column: names begin with a letter or underscore; after that letters, "
                          "digits, "
                          "underscores, hyphens and periods are allowed");
            *(i ? &n->label_ref : &n->value_ref) = v;
        }
}

void xl_apply_params(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    static const struct {
        const char *type;
        void (*apply)(struct xl *x, struct xl_node *n, const struct xl_row *row);
    } types[] = {{"audit", audit},
                 {"geopoint", geo},
                 {"geotrace", geo},
                 {"geoshape", geo},
                 {"photo", photo},
                 {"audio", audio},
                 {"background-audio", audio},
                 {"text", text},
                 {"range", range},
                 {"select one", select},
                 {"select all that apply", select},
                 {"select one external", select},
                 {"rank", select}};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (str_eq_z(n->type_name, types[i].type)) {
            types[i].apply(x, n, row);
            return;
        }
}
