/* Scenario cases: one form and one ordered list of operations and expectations, run through the public
 * session. Every difference is first held against docs/forms-decisions.tsv; a case counts as decided when all
 * of its differences are. Expectations that the references made up from their own internals ("raw") are not
 * asserted here, and a case ends where it pokes those internals or feeds in a document that was not recorded.
 */
#include "tests/cases/cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forms/session.h"
#include "platform/crypto.h"

#define SESSIONS_MAX 16
#define NOW_MS INT64_C(1795437711000)

struct run {
    struct arena *a;
    const struct form *form;
    struct session *sessions[SESSIONS_MAX];
    struct session_host host;
    const struct json *resources;
    uint64_t chance;
    bool load_failed;
    enum err answered; /* of the last answer */
    uint32_t asserted, decided;
    bool javarosa;
    struct report *report;
    struct str form_xml, last_answer;
    bool wants_error;     /* a raw expectation says that the form should have been refused */
    bool raw;             /* something raw was passed over */
    const char *left_out; /* why the rest of the case is not compared */
    struct str here;      /* where the interview stands, as the references say it; NONE = unknown */
    bool entered;         /* the session's stop is the one that the next "next" leads to */
    uint32_t question;    /* inside a field list */
    char why[1200];       /* first failure */
    struct diag d;
};

/* What happened is held against the decisions; without one it is the case's failure. The subject that a
 * decision matches is "WHAT REF", the last answer, and the form. */
static void differs(struct run *r, const struct json *step, struct str got, struct str expected,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));
static void differs(struct run *r, const struct json *step, struct str got, struct str expected,
                    const char *format, ...)
{
    va_list args;
    struct buf b;
    struct str what = json_text(step, "expect");
    if (r->why[0])
        return;
    buf_init(&b, 64u << 20);
    buf_put_str(&b, what.p ? what : json_text(step, "op"));
    buf_put_char(&b, ' ');
    buf_put_str(&b, json_text(step, "ref"));
    buf_put_z(&b, "\nanswer ");
    buf_put_str(&b, r->last_answer);
    buf_put_char(&b, '\n');
    buf_put_str(&b, r->form_xml);
    bool known = decided(r->report, r->a, "scenario", buf_str(&b), got, expected);
    buf_free(&b);
    r->decided += known;
    if (known)
        return;
    va_start(args, format);
    vsnprintf(r->why, sizeof(r->why), format, args);
    va_end(args);
}

static void fail(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct run *r, const char *format, ...)
{
    va_list args;
    if (r->why[0])
        return;
    va_start(args, format);
    vsnprintf(r->why, sizeof(r->why), format, args);
    va_end(args);
}

/* --- the host --- */

static int64_t host_now(void *self)
{
    struct run *r = self;
    return NOW_MS + (int64_t)r->chance; /* moves, so that two readings differ */
}

static enum err host_random(void *self, void *out, size_t n)
{
    struct run *r = self;
    uint64_t state = 42 + r->chance++;
    unsigned char *p = out;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        p[i] = (unsigned char)(state >> 56);
    }
    return ERR_OK;
}

static enum err host_digest(void *self, struct str algorithm, struct str data, unsigned char out[64],
                            size_t *n_out)
{
    (void)self;
    return digest_named(algorithm, data, out, n_out);
}

static enum err host_resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct run *r = self;
    for (uint32_t i = 0; r->resources && i < r->resources->count; i++) {
        const struct json *one = json_at(r->resources, i);
        if (!str_eq(json_text(one, "url"), uri))
            continue;
        *bytes_out = json_text(one, "text");
        if (bytes_out->p)
            return ERR_OK;
        r->left_out = "raw expectations"; /* what the test put there was not recorded */
    }
    return diag_set(d, ERR_NOT_FOUND, "not among the case's resources");
}

static struct str host_property(void *self, struct str name)
{
    (void)self;
    (void)name;
    return STR("");
}

/* --- sessions --- */

static uint32_t sid_of(const struct json *step, const char *key)
{
    int64_t sid = 1;
    json_i64(step, key, &sid);
    return sid >= 0 && sid < SESSIONS_MAX ? (uint32_t)sid : 0;
}

static void open_session(struct run *r, uint32_t sid, struct str xml, bool edit)
{
    struct session_options o = {.form = r->form,
                                .host = &r->host,
                                .row_key_next = 1,
                                .language = form_language_default(r->form)};
    struct saved_interview saved = {0};
    diag_clear(&r->d);
    if (r->sessions[sid])
        session_close(r->sessions[sid]);
    r->sessions[sid] = NULL;
    if (xml.p) {
        if (submission_read(r->a, r->form, xml, 1, &saved, &r->d)) {
            fail(r, "reopening: %s", r->d.text);
            return;
        }
        o.resume = true;
        o.revisit = edit;
        o.rows = saved.rows;
        o.row_count = saved.row_count;
        o.cells = saved.cells;
        o.cell_count = saved.cell_count;
    }
    if (session_open(r->a, &o, &r->sessions[sid], &r->d))
        fail(r, "opening: %s", r->d.text);
}

static struct str xml_of(struct run *r, uint32_t sid, bool draft)
{
    struct buf b;
    buf_init(&b, 64u << 20);
    if (session_xml(r->sessions[sid], draft, &b, &r->d))
        fail(r, "serialising: %s", r->d.text);
    struct str out = arena_str(r->a, buf_str(&b));
    buf_free(&b);
    return out;
}

static void do_init(struct run *r, struct str form_xml, const struct json *step)
{
    struct str own = json_text(step, "form_xml"), wanted = json_text(step, "expect_error");
    struct form_findings findings;
    const struct json *edit = json_get(json_get(step, "options"), "editInstance");
    if (json_get(step, "resources"))
        r->resources = json_get(step, "resources");
    diag_clear(&r->d);
    r->load_failed = false;
    r->form_xml = own.p ? own : form_xml;
    if (form_load(r->a, r->form_xml, &r->form, &findings, &r->d)) {
        r->load_failed = true;
        r->asserted += r->wants_error;
        if (!json_get(step, "expect_error") && !r->wants_error)
            differs(r, step, str_of(r->d.text), STR(""), "load: %s", r->d.text);
        return;
    }
    open_session(r, sid_of(step, "sid"), edit ? edit->text : STR_NONE, false);
    if (json_get(step, "expect_error"))
        differs(r, step, STR("loads"), wanted, "the form should have been refused: %.*s", STR_ARG(wanted));
}

/* --- places --- */

static struct str generic_path(struct run *r, struct str path);
static struct str joined(struct run *r, struct str a, struct str b);

/* "/data/rep[3]/x": makes the entries that the path names, as the recorded harness does. */
static void make_entries(struct run *r, struct session *s, struct str ref)
{
    for (size_t i = 1; i <= ref.n; i++) {
        struct str upto = str_sub(ref, 0, i);
        struct place p, parent, added;
        if ((i < ref.n && ref.p[i] != '/') || upto.p[i - 1] != ']')
            continue;
        size_t slash = i;
        while (slash > 1 && upto.p[slash - 1] != '/')
            slash--;
        struct str path = generic_path(r, upto);
        uint32_t repeat = 0;
        while (repeat < form_repeat_count(r->form) && !str_eq(form_repeat(r->form, repeat)->path, path))
            repeat++;
        for (int guard = 0; guard < 200; guard++) {
            struct diag d = {0};
            if (session_place(s, upto, &p, &d) == ERR_OK ||
                session_place(s, str_sub(upto, 0, slash - 1), &parent, &d) ||
                session_repeat_add(s, parent, repeat, &added, &d))
                break;
        }
    }
}

static bool find(struct run *r, const struct json *step, struct place *out)
{
    struct session *s = r->sessions[sid_of(step, "sid")];
    diag_clear(&r->d);
    if (!s)
        return false;
    struct str ref = arena_str(r->a, json_text(step, "ref"));
    for (char *p = (char *)(uintptr_t)ref.p; p && (p = strstr(p, "[0]")) != NULL;)
        p[1] = '1'; /* some recordings count from 0 */
    return session_place(s, ref, out, &r->d) == ERR_OK;
}

/* --- values --- */

static struct str joined(struct run *r, struct str a, struct str b)
{
    struct buf all;
    buf_init(&all, 1u << 20);
    buf_put_str(&all, a);
    buf_put_char(&all, ' ');
    buf_put_str(&all, b);
    struct str out = arena_str(r->a, buf_str(&all));
    buf_free(&all);
    return out;
}

static struct str number_text(struct run *r, double number)
{
    char text[NUM_TEXT_MAX];
    return arena_str(r->a, (struct str){text, num_write(number, text)});
}

static struct str text_of(struct run *r, const struct json *v);

/* "15" as "15.0": how web-forms writes the altitude and the accuracy of a position. */
static struct str with_fraction(struct run *r, struct str number)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%.*s.0", STR_ARG(number));
    return arena_str(r->a, (struct str){text, (size_t)n});
}

static bool given(const struct json *v, const char *member)
{
    const struct json *part = json_get(v, member);
    return part && part->type != JSON_NULL;
}

/* Values that a reference holds as objects: a position, a file (its name), a choice, an expected answer. */
static struct str object_text(struct run *r, const struct json *v)
{
    static const char *const members[] = {"s", "blob", "value", "text"};
    if (json_get(v, "latitude")) {
        static const char *const parts[] = {"latitude", "longitude", "altitude", "accuracy"};
        struct str text = STR(""), part;
        for (uint32_t last = 4; last-- > 0 && !text.n;)
            for (uint32_t i = 0; i <= last && given(v, parts[last]); i++) {
                part = text_of(r, json_get(v, parts[i]));
                if (i > 1 && part.n && str_find(part, STR(".")) < 0)
                    part = with_fraction(r, part);
                text = i ? joined(r, text, part.n ? part : STR("0.0")) : part;
            }
        return text;
    }
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
        if (json_get(v, members[i]))
            return text_of(r, json_get(v, members[i]));
    return STR("");
}

static struct str text_of(struct run *r, const struct json *v)
{
    if (!v || v->type == JSON_NULL)
        return STR("");
    if (v->type == JSON_STRING)
        return v->text;
    if (v->type == JSON_BOOL)
        return v->boolean ? STR("true") : STR("false");
    if (v->type == JSON_NUMBER)
        return number_text(r, v->number);
    if (v->type == JSON_OBJECT)
        return object_text(r, v);
    struct buf b;
    buf_init(&b, 1u << 20);
    for (uint32_t i = 0; i < v->count; i++) {
        if (i)
            buf_put_char(&b, ' ');
        buf_put_str(&b, text_of(r, json_at(v, i)));
    }
    struct str out = arena_str(r->a, buf_str(&b));
    buf_free(&b);
    return out;
}

static bool same_number(struct str a, struct str b)
{
    double x, y;
    return num_read(a, &x) && num_read(b, &y) && fabs(x - y) <= 1e-9 * fmax(1, fabs(x));
}

/* Two spellings of one moment are the same. */
static bool same_moment(struct str a, struct str b)
{
    struct civil x, y;
    if (!civil_read(a, &x) || !civil_read(b, &y) || !x.has_date || !y.has_date || x.has_time != y.has_time)
        return false;
    return civil_instant_ms(&x, zone_utc()) == civil_instant_ms(&y, zone_utc());
}

static bool same_text(struct str a, struct str b)
{
    return str_eq(a, b) || same_number(a, b) || same_moment(a, b);
}

/* Distances and areas: the references differ by four in a million, and their tests allow for it. */
static bool about_the_same(struct run *r, struct str a, struct str b)
{
    double x = strtod(arena_z(r->a, a), NULL), y = strtod(arena_z(r->a, b), NULL);
    return a.n && b.n && fabs(x - y) <= fmax(0.5, 1e-5 * fabs(y));
}

static bool same_words(struct str a, struct str b)
{
    struct str rest = a, word, other, rest_b;
    uint32_t count = 0;
    for (; str_word(&rest, &word); count++) {
        bool found = false;
        for (rest_b = b; str_word(&rest_b, &other) && !found;)
            found = str_eq(word, other);
        if (!found)
            return false;
    }
    while (str_word(&b, &other))
        count--;
    return count == 0;
}

/* How a test compared the value: by "cmp". A number of metres that a test only read is compared as the
 * tests that assert one do. */
static bool same_value(struct run *r, const struct json *step, struct str have, struct str want)
{
    struct str cmp = json_text(step, "cmp");
    double number;
    bool geo = str_find(r->form_xml, STR("distance(")) >= 0 || str_find(r->form_xml, STR("area(")) >= 0;
    if (str_eq_z(cmp, "approx") ||
        (json_bool(step, "queried") && geo && num_read(have, &number) && number > 100))
        return about_the_same(r, have, want);
    if (str_eq_z(cmp, "starts_with"))
        return str_starts(have, want);
    if (str_eq_z(cmp, "display_text"))
        return same_words(have, want);
    if (str_eq_z(cmp, "boolean") && str_eq_z(want, "1"))
        return str_eq_z(have, "OK") || str_eq_z(have, "true") || str_eq_z(have, "1");
    if (str_eq_z(cmp, "boolean") && str_eq_z(want, "0"))
        return have.n == 0 || str_eq_z(have, "false") || str_eq_z(have, "0");
    return same_text(have, want);
}

static void expect_same(struct run *r, const struct json *step, struct str have, struct str want)
{
    struct str ref = json_text(step, "ref");
    bool differ = json_bool(step, "not");
    if (same_value(r, step, have, want) == differ)
        differs(r, step, have, want, "%.*s of %.*s: \"%.*s\" instead of %s\"%.*s\"",
                STR_ARG(json_text(step, "expect")), STR_ARG(ref), STR_ARG(have),
                differ ? "anything but " : "", STR_ARG(want));
}

static void expect_text(struct run *r, const struct json *step, struct str have)
{
    expect_same(r, step, have, text_of(r, json_get(step, "value")));
}

static void expect_bool(struct run *r, const struct json *step, const char *what, bool have, bool want)
{
    if (json_bool(step, "not"))
        want = !want;
    if (have != want)
        differs(r, step, have ? STR("true") : STR("false"), want ? STR("true") : STR("false"),
                "%s of %.*s is %s", what, STR_ARG(json_text(step, "ref")), have ? "true" : "false");
}

static void expect_value(struct run *r, const struct json *step)
{
    struct place p;
    bool relevant = false;
    struct str have = STR("");
    if (find(r, step, &p))
        have = session_value(r->sessions[sid_of(step, "sid")], p, &relevant);
    if (!relevant && !r->javarosa)
        have = STR(""); /* web-forms shows what expressions see */
    expect_text(r, step, have);
}

static bool view_of(struct run *r, const struct json *step, struct question_view *v)
{
    struct place p;
    if (!find(r, step, &p)) {
        fail(r, "%.*s: %s", STR_ARG(json_text(step, "ref")), r->d.text);
        return false;
    }
    if (session_view(r->sessions[sid_of(step, "sid")], p, r->a, v, &r->d)) {
        fail(r, "view: %s", r->d.text);
        return false;
    }
    return true;
}

static void expect_view(struct run *r, const struct json *step)
{
    struct str what = json_text(step, "expect");
    const struct json *value = json_get(step, "value");
    bool want = value && value->boolean;
    struct place p;
    struct question_view v = {0};
    if (str_eq_z(what, "relevant") && !find(r, step, &p)) {
        expect_bool(r, step, "relevant", false, want);
        return;
    }
    if (!view_of(r, step, &v))
        return;
    bool empty_message = v.required && v.value.n == 0;
    if (str_eq_z(what, "relevant"))
        expect_bool(r, step, "relevant", v.relevant, want);
    else if (str_eq_z(what, "required"))
        expect_bool(r, step, "required", v.required, want);
    else if (str_eq_z(what, "readonly"))
        expect_bool(r, step, "readonly", v.readonly, want);
    else if (str_eq_z(what, "label"))
        expect_text(r, step, v.label);
    else if (str_eq_z(what, "hint"))
        expect_text(r, step, v.hint);
    else if (str_eq_z(what, "constraint_message"))
        expect_text(r, step, v.violated && !empty_message ? v.message : STR(""));
    else if (str_eq_z(what, "required_message"))
        expect_text(r, step, v.violated && empty_message ? v.message : STR(""));
    else if (str_eq_z(what, "validity_message"))
        expect_text(r, step, v.violated ? v.message : STR(""));
    else if (str_eq_z(what, "appearance"))
        expect_bool(r, step, "appearance", str_find(v.appearance, text_of(r, value)) >= 0, true);
    else if (str_eq_z(what, "appearances"))
        expect_text(r, step, v.appearance);
    else if (str_eq_z(what, "validity"))
        expect_text(r, step,
                    !v.violated     ? STR("OK")
                    : empty_message ? STR("REQUIRED_BUT_EMPTY")
                                    : STR("CONSTRAINT_VIOLATED"));
}

/* One of several truths about a node, the recording does not tell which. */
static void expect_flag(struct run *r, const struct json *step)
{
    const struct json *candidates = json_get(step, "candidates");
    bool want = json_get(step, "value")->boolean, any = false;
    struct question_view v = {0};
    struct place p;
    if (find(r, step, &p) && session_view(r->sessions[sid_of(step, "sid")], p, r->a, &v, &r->d))
        fail(r, "view: %s", r->d.text);
    for (uint32_t i = 0; i < candidates->count; i++) {
        struct str name = text_of(r, json_at(candidates, i));
        bool have = str_eq_z(name, "relevant")   ? v.relevant
                    : str_eq_z(name, "required") ? v.required
                                                 : v.readonly;
        any |= have == want;
    }
    expect_bool(r, step, "none of the candidates", any, true);
}

static void expect_node(struct run *r, const struct json *step)
{
    struct question_view v = {0};
    struct place p;
    const struct json *relevant = json_get(step, "relevant");
    if (relevant && !relevant->boolean && !find(r, step, &p))
        return;
    if (!view_of(r, step, &v))
        return;
    if (relevant)
        expect_bool(r, step, "relevant", v.relevant, relevant->boolean);
    if (json_get(step, "required"))
        expect_bool(r, step, "required", v.required, json_bool(step, "required"));
    if (json_get(step, "readonly"))
        expect_bool(r, step, "readonly", v.readonly, json_bool(step, "readonly"));
}

static void expect_count(struct run *r, const struct json *step)
{
    struct session *s = r->sessions[sid_of(step, "sid")];
    struct str ref = json_text(step, "ref");
    int64_t want = 0;
    uint32_t have = 0;
    struct place p;
    char one[600];
    for (;; have++) {
        struct diag d = {0};
        snprintf(one, sizeof(one), "%.*s[%u]", STR_ARG(ref), have + 1);
        if (session_place(s, str_of(one), &p, &d))
            break;
        bool relevant;
        session_value(s, p, &relevant);
        if (!relevant || have > 5000)
            break;
    }
    json_i64(step, "value", &want);
    if ((have == (uint64_t)want) == json_bool(step, "not"))
        differs(r, step, number_text(r, have), number_text(r, (double)want), "%.*s has %u entries, not %lld",
                STR_ARG(ref), have, (long long)want);
}

/* --- choices --- */

static struct choice_view *choices_of(struct run *r, const struct json *step, uint32_t *count)
{
    struct place p;
    struct choice_view *list = NULL;
    uint32_t total = 0;
    *count = 0;
    if (!find(r, step, &p) ||
        session_choices(r->sessions[sid_of(step, "sid")], p, 0, 10000, r->a, &list, count, &total, &r->d))
        fail(r, "choices of %.*s: %s", STR_ARG(json_text(step, "ref")), r->d.text);
    return list;
}

static bool has_choice(const struct choice_view *list, uint32_t count, struct str value, struct str label)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(list[i].value, value) && (!label.n || str_eq(list[i].label, label)))
            return true;
    return false;
}

static void expect_choices(struct run *r, const struct json *step)
{
    struct str what = json_text(step, "expect");
    const struct json *value = json_get(step, "value");
    uint32_t count = 0;
    struct choice_view *list = choices_of(r, step, &count);
    int64_t want = 0;
    if (str_eq_z(what, "choices")) {
        if (value->count != count)
            differs(r, step, number_text(r, count), number_text(r, value->count),
                    "%.*s has %u choices, not %u", STR_ARG(json_text(step, "ref")), count, value->count);
        for (uint32_t i = 0; i < value->count && i < count; i++) {
            struct str v = text_of(r, json_at(json_at(value, i), 0)),
                       l = text_of(r, json_at(json_at(value, i), 1));
            if (!str_eq(list[i].value, v) || (l.n && !str_eq(list[i].label, l)))
                fail(r, "choice %u of %.*s is \"%.*s\" (%.*s), not \"%.*s\" (%.*s)", i + 1,
                     STR_ARG(json_text(step, "ref")), STR_ARG(list[i].value), STR_ARG(list[i].label),
                     STR_ARG(v), STR_ARG(l));
        }
    } else if (str_eq_z(what, "choice_count")) {
        json_i64(step, "value", &want);
        if (want != count)
            differs(r, step, number_text(r, count), number_text(r, (double)want),
                    "%.*s has %u choices, not %lld", STR_ARG(json_text(step, "ref")), count, (long long)want);
    } else if (str_eq_z(what, "choice_item")) {
        if (!has_choice(list, count, text_of(r, value), STR("")))
            differs(r, step, STR(""), text_of(r, value), "%.*s lacks the choice \"%.*s\"",
                    STR_ARG(json_text(step, "ref")), STR_ARG(text_of(r, value)));
    } else if (str_eq_z(what, "choices_empty")) {
        expect_bool(r, step, "choices_empty", count == 0, value->boolean);
    } else if (str_eq_z(what, "choices_contain")) {
        for (uint32_t i = 0; i < value->count; i++) {
            const struct json *c = json_at(value, i);
            if (!has_choice(list, count, text_of(r, json_get(c, "value")),
                            text_of(r, json_get(c, "labelOrId"))))
                fail(r, "%.*s lacks the choice \"%.*s\"", STR_ARG(json_text(step, "ref")),
                     STR_ARG(text_of(r, json_get(c, "value"))));
        }
    } else {
        bool selected = str_eq_z(what, "selected_labels");
        uint32_t at = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (selected && !list[i].selected)
                continue;
            if (!str_eq(list[i].label, text_of(r, json_at(value, at))))
                fail(r, "label \"%.*s\"", STR_ARG(list[i].label));
            at++;
        }
        if (at != value->count)
            fail(r, "%u labels, not %u", at, value->count);
    }
}

/* --- XML --- */

/* Attributes sorted, layout and declaration left out, <x></x> as <x/>: what makes two spellings the same. */
static struct str canonical(struct run *r, struct str xml)
{
    struct buf b;
    buf_init(&b, 8u << 20);
    size_t i = 0;
    while (i < xml.n) {
        if (xml.p[i] != '<') {
            size_t end = i;
            while (end < xml.n && xml.p[end] != '<')
                end++;
            struct str text = str_sub(xml, i, end - i);
            if (str_trim(text).n)
                buf_put_str(&b, str_trim(text));
            i = end;
            continue;
        }
        size_t end = i;
        while (end < xml.n && xml.p[end] != '>')
            end++;
        struct str tag = str_sub(xml, i, end + 1 - i);
        i = end + 1;
        if (str_starts(tag, STR("<?")))
            continue;
        bool empty = str_ends(tag, STR("/>"));
        struct str name, rest = str_sub(tag, 1, tag.n - (empty ? 3 : 2)), attrs[64];
        uint32_t count = 0;
        str_word(&rest, &name);
        rest = str_trim(rest);
        while (rest.n && count < 64) {
            size_t quote = 0;
            while (quote < rest.n && rest.p[quote] != '"' && rest.p[quote] != '\'')
                quote++;
            size_t close = quote + 1;
            while (close < rest.n && rest.p[close] != rest.p[quote])
                close++;
            attrs[count++] = str_trim(str_sub(rest, 0, close + 1));
            rest = str_trim(str_sub(rest, close + 1, rest.n));
        }
        for (uint32_t k = 1; k < count; k++)
            for (uint32_t j = k; j > 0 && str_cmp(attrs[j], attrs[j - 1]) < 0; j--) {
                struct str swap = attrs[j];
                attrs[j] = attrs[j - 1];
                attrs[j - 1] = swap;
            }
        buf_put_char(&b, '<');
        buf_put_str(&b, name);
        for (uint32_t k = 0; k < count; k++) {
            if (str_starts(attrs[k], STR("xmlns:")))
                continue; /* which unused prefixes are declared is a matter of taste */
            buf_put_char(&b, ' ');
            buf_put_str(&b, attrs[k]);
        }
        buf_put_char(&b, '>');
        if (empty) {
            buf_put_z(&b, "</");
            buf_put_str(&b, name);
            buf_put_char(&b, '>');
        }
    }
    struct str out = arena_str(r->a, buf_str(&b));
    buf_free(&b);
    return out;
}

static void expect_xml(struct run *r, const struct json *step)
{
    struct str have = canonical(r, xml_of(r, sid_of(step, "sid"), false));
    struct str want = canonical(r, json_text(step, "value"));
    if (!str_eq(have, want))
        differs(r, step, have, want, "XML is %.*s, not %.*s", (int)(have.n < 500 ? have.n : 500), have.p,
                (int)(want.n < 500 ? want.n : 500), want.p);
}

static void expect_attribute(struct run *r, const struct json *step)
{
    struct session *s = r->sessions[sid_of(step, "sid")];
    char ref[600];
    struct place p;
    bool relevant;
    struct diag d = {0};
    snprintf(ref, sizeof(ref), "%.*s/@%.*s", STR_ARG(json_text(step, "ref")),
             STR_ARG(json_text(step, "name")));
    if (session_place(s, str_of(ref), &p, &d))
        fail(r, "%s", d.text);
    else
        expect_text(r, step, session_value(s, p, &relevant));
}

static void expect_outcome(struct run *r, const struct json *step)
{
    struct session *s = r->sessions[sid_of(step, "sid")];
    struct place *list = NULL;
    const struct json *value = json_get(step, "value");
    uint32_t count = session_violations(s, r->a, &list);
    if (value->type == JSON_OBJECT) {
        struct str failed = json_text(value, "failed");
        struct place p;
        struct diag d = {0};
        if ((count > 0) != (failed.n > 0))
            fail(r, "%u violations, expected first %.*s", count, STR_ARG(failed));
        else if (count &&
                 (session_place(s, failed, &p, &d) || p.node != list[0].node || p.key != list[0].key)) {
            struct str first = session_ref(s, list[0], r->a);
            fail(r, "first violation is %.*s, not %.*s", STR_ARG(first), STR_ARG(failed));
        }
        return;
    }
    struct question_view v;
    struct str want = text_of(r, value);
    bool fine = want.n == 0 || str_eq_z(want, "ANSWER_OK");
    if (fine || count == 0) {
        if (fine != (count == 0))
            differs(r, step, number_text(r, count), want, "%u violations; expected %.*s", count,
                    STR_ARG(want));
        return;
    }
    if (session_view(s, list[0], r->a, &v, &r->d))
        fail(r, "%s", r->d.text);
    else if (want.n && want.p[0] == '/'                     ? !str_starts(v.ref, want) && !str_eq(v.ref, want)
             : str_eq_z(want, "ANSWER_REQUIRED_BUT_EMPTY")  ? v.value.n != 0
             : str_eq_z(want, "ANSWER_CONSTRAINT_VIOLATED") ? v.value.n == 0
                                                            : !str_eq(v.message, want))
        fail(r, "first violation is %.*s (%.*s), not %.*s", STR_ARG(v.ref), STR_ARG(v.message),
             STR_ARG(want));
}

static void expect_status(struct run *r, const struct json *step)
{
    struct place *list = NULL;
    uint32_t count = session_violations(r->sessions[sid_of(step, "sid")], r->a, &list);
    bool ready = str_eq_z(json_text(step, "value"), "toBeReadyForSubmission");
    if ((count == 0) != ready)
        differs(r, step, number_text(r, count), json_text(step, "value"), "%u violations", count);
}

static void expect_can_create(struct run *r, const struct json *step)
{
    struct session *s = r->sessions[sid_of(step, "sid")];
    struct str ref = json_text(step, "ref");
    bool can = false;
    while (session_prev(s).kind != STOP_START)
        continue;
    for (struct stop at = session_next(s); at.kind != STOP_END; at = session_next(s))
        if (at.kind == STOP_REPEAT && str_eq(form_repeat(r->form, at.repeat)->path, ref))
            can = at.can_add;
    expect_bool(r, step, "can_create_repeat", can, json_get(step, "value")->boolean);
}

/* --- steps --- */

static void do_answer(struct run *r, const struct json *step)
{
    struct session *s = r->sessions[sid_of(step, "sid")];
    struct str ref = json_text(step, "ref"), value = text_of(r, json_get(step, "value"));
    struct str result = json_text(step, "expect_result");
    struct place p;
    if (!s || !ref.p)
        return;
    make_entries(r, s, ref);
    diag_clear(&r->d);
    r->last_answer = joined(r, ref, value);
    if (session_place(s, ref, &p, &r->d)) {
        if (!json_get(step, "expect_error"))
            differs(r, step, str_of(r->d.text), result, "answer: %s", r->d.text);
        return;
    }
    struct diag nowhere = {0};
    struct place *list = NULL;
    r->entered = false;
    r->question = 0;
    r->here = session_jump(s, p, &nowhere) ? STR_NONE : ref;
    for (uint32_t i = 0, count = session_stop_questions(s, r->a, &list); i < count; i++)
        if (list[i].key == p.key && list[i].node == p.node)
            r->question = i;
    r->answered = result.p ? session_answer(s, p, value, &r->d) : session_answer_forced(s, p, value, &r->d);
    if (str_eq_z(result, "CONSTRAINT_VIOLATED") && r->answered == ERR_OK)
        differs(r, step, STR("taken"), result, "answer \"%.*s\" to %.*s was taken in spite of its constraint",
                STR_ARG(value), STR_ARG(ref));
    if (str_eq_z(result, "OK") && r->answered != ERR_OK)
        differs(r, step, str_of(r->d.text), result, "answer \"%.*s\" to %.*s was refused: %s", STR_ARG(value),
                STR_ARG(ref), r->d.text);
}

/* Steps of a path without their positions. */
static struct str generic_path(struct run *r, struct str path)
{
    char *out = arena_alloc(r->a, path.n + 1);
    size_t n = 0;
    uint32_t depth = 0;
    for (size_t i = 0; out && i < path.n; i++) {
        depth += path.p[i] == '[';
        if (!depth)
            out[n++] = path.p[i];
        depth -= path.p[i] == ']';
    }
    return (struct str){out, n};
}

/* The JavaRosa recording counts entries around a new one from 2. */
static struct str positions_less_one(struct run *r, struct str path)
{
    char *out = arena_alloc(r->a, path.n + 1);
    if (!out)
        return path;
    memcpy(out, path.p, path.n);
    for (size_t i = 1; i < path.n; i++)
        if (out[i - 1] == '[' && out[i] > '1' && out[i] <= '9' && out[i + 1] == ']')
            out[i]--;
    return (struct str){out, path.n};
}

static void do_create(struct run *r, const struct json *step)
{
    struct session *s = r->sessions[sid_of(step, "sid")];
    struct str ref = json_text(step, "ref");
    if (!s || !ref.p)
        return;
    if (ref.n && ref.p[ref.n - 1] == ']') { /* names the entry to be made */
        while (ref.n > 1 && ref.p[ref.n - 1] != '[')
            ref.n--;
        ref.n--;
    }
    size_t last = ref.n;
    while (last > 0 && ref.p[last - 1] != '/')
        last--;
    struct str parent = str_sub(ref, 0, last > 0 ? last - 1 : 0), path = generic_path(r, ref);
    if (r->javarosa)
        parent = positions_less_one(r, parent);
    uint32_t repeat = 0;
    while (repeat < form_repeat_count(r->form) && !str_eq(form_repeat(r->form, repeat)->path, path))
        repeat++;
    struct place at, added;
    diag_clear(&r->d);
    make_entries(r, s, parent);
    if (session_place(s, parent, &at, &r->d) || session_repeat_add(s, at, repeat, &added, &r->d)) {
        if (!str_eq_z(json_text(step, "op"), "create_repeat_if_explicit"))
            differs(r, step, str_of(r->d.text), STR(""), "create %.*s: %s", STR_ARG(ref), r->d.text);
        return;
    }
    r->here = session_ref(s, added, r->a);
    r->entered = session_jump(s, added, &r->d) == ERR_OK;
    r->question = 0;
}

/* --- walking --- */

/* The reference's positions are finer than our stops: it also stands on groups, on entries of repeats, and on
 * each question of a field list. Those without a stop of ours are only passed. */
static struct str next_question(struct run *r, struct session *s)
{
    struct place *list = NULL;
    struct stop at = session_stop(s);
    bool stay = r->entered ||
                (at.kind == STOP_FIELD_LIST && r->question + 1 < session_stop_questions(s, r->a, &list));
    r->question = stay && !r->entered ? r->question + 1 : 0;
    r->entered = false;
    if (!stay)
        at = session_next(s);
    if (at.kind == STOP_END)
        return STR("END_OF_FORM");
    if (at.kind == STOP_REPEAT) {
        struct str parent = session_ref(s, at.place, r->a), path = form_repeat(r->form, at.repeat)->path;
        size_t slash = path.n;
        while (slash > 0 && path.p[slash - 1] != '/')
            slash--;
        char *out = arena_alloc(r->a, parent.n + path.n + 16);
        int n = snprintf(out, parent.n + path.n + 16, "%.*s/%.*s[%u]", STR_ARG(parent),
                         STR_ARG(str_sub(path, slash, path.n)), at.count + 1);
        return (struct str){out, (size_t)n};
    }
    uint32_t count = session_stop_questions(s, r->a, &list);
    return r->question < count ? session_ref(s, list[r->question], r->a) : STR_NONE;
}

static bool same_place(struct run *r, struct str a, struct str b)
{
    return str_eq(a, b) || str_eq(generic_path(r, a), generic_path(r, b));
}

static void do_next(struct run *r, const struct json *step)
{
    struct session *s = r->sessions[sid_of(step, "sid")];
    const struct json *position = json_get(step, "position");
    struct str kind = position ? text_of(r, json_at(position, 0)) : json_text(step, "event");
    struct str want = text_of(r, json_get(step, "expect_ref"));
    bool question = str_eq_z(kind, "QUESTION") || str_eq_z(kind, "Question");
    bool end = str_eq_z(kind, "END_OF_FORM") || str_eq_z(kind, "End of Form");
    bool prompt = str_eq_z(kind, "PROMPT_NEW_REPEAT") || str_eq_z(kind, "Prompt new Repeat");
    if (!s)
        return;
    if (!question && !end && !prompt) { /* a group or an entry: it is there, and its questions come next */
        struct place p;
        struct diag nowhere = {0};
        r->here = session_place(s, want, &p, &nowhere) ? STR_NONE : session_ref(s, p, r->a);
        if (r->here.p && str_eq_z(kind, "REPEAT"))
            r->entered = session_jump(s, p, &nowhere) == ERR_OK;
        return;
    }
    r->here = next_question(r, s);
    if (end)
        want = STR("END_OF_FORM");
    r->asserted++;
    if (!same_place(r, r->here, want))
        differs(r, step, r->here, want, "next leads to %.*s, not to %.*s", STR_ARG(r->here), STR_ARG(want));
}

static void do_beginning(struct run *r, const struct json *step)
{
    struct session *s = r->sessions[sid_of(step, "sid")];
    while (s && session_prev(s).kind != STOP_START)
        continue;
    r->entered = false;
    r->question = 0;
}

static void expect_position(struct run *r, const struct json *step)
{
    struct str have = r->here;
    if (str_eq_z(json_text(step, "expect"), "position_atTheEndOfForm"))
        expect_bool(r, step, "the end of the form", str_eq_z(have, "END_OF_FORM"),
                    json_get(step, "value")->boolean);
    else
        expect_text(r, step, have);
}

static void do_remove(struct run *r, const struct json *step)
{
    struct place p;
    if (!find(r, step, &p) || session_repeat_remove(r->sessions[sid_of(step, "sid")], p, &r->d))
        differs(r, step, str_of(r->d.text), STR(""), "remove %.*s: %s", STR_ARG(json_text(step, "ref")),
                r->d.text);
}

static void do_language(struct run *r, const struct json *step)
{
    struct session *s = r->sessions[sid_of(step, "sid")];
    struct str name = json_text(step, "value");
    for (uint32_t i = 0; i < form_language_count(r->form); i++)
        if (str_eq(form_language(r->form, i), name) && session_language(s, i, &r->d))
            fail(r, "language: %s", r->d.text);
}

static bool run_op(struct run *r, struct str form_xml, const struct json *step)
{
    struct str op = json_text(step, "op");
    uint32_t sid = sid_of(step, "sid"), other = sid_of(step, "new_sid");
    if (str_eq_z(op, "init"))
        do_init(r, form_xml, step);
    else if (str_eq_z(op, "answer"))
        do_answer(r, step);
    else if (str_eq_z(op, "next"))
        do_next(r, step);
    else if (str_eq_z(op, "jump_to_beginning"))
        do_beginning(r, step);
    else if (str_eq_z(op, "create_repeat") || str_eq_z(op, "create_repeat_if_explicit"))
        do_create(r, step);
    else if (str_eq_z(op, "remove_repeat"))
        do_remove(r, step);
    else if (str_eq_z(op, "set_language"))
        do_language(r, step);
    else if (str_eq_z(op, "new_instance") && r->form)
        open_session(r, json_get(step, "new_sid") ? other : sid, STR_NONE, false);
    else if ((str_eq_z(op, "serialize_restore") || str_eq_z(op, "edit_instance")) && r->sessions[sid])
        open_session(r, other, xml_of(r, sid, str_eq_z(op, "serialize_restore")),
                     str_eq_z(op, "edit_instance"));
    else if (str_eq_z(op, "serialize_form") && json_get(step, "new_sid") && r->sessions[sid])
        open_session(r, other, xml_of(r, sid, true), false);
    else if (str_eq_z(op, "finalize") && r->sessions[sid] && session_finalise(r->sessions[sid], &r->d))
        fail(r, "finalise: %s", r->d.text);
    else if (str_eq_z(op, "direct_node_mutation"))
        r->left_out = "direct_node_mutation";
    return !r->left_out && !r->load_failed;
}

static const struct {
    const char *name;
    void (*check)(struct run *r, const struct json *step);
} expectations[] = {
    {"value", expect_value},
    {"relevant", expect_view},
    {"required", expect_view},
    {"readonly", expect_view},
    {"label", expect_view},
    {"hint", expect_view},
    {"constraint_message", expect_view},
    {"required_message", expect_view},
    {"validity_message", expect_view},
    {"validity", expect_view},
    {"appearance", expect_view},
    {"appearances", expect_view},
    {"node", expect_node},
    {"count", expect_count},
    {"choices", expect_choices},
    {"choice_count", expect_choices},
    {"choices_contain", expect_choices},
    {"choices_empty", expect_choices},
    {"option_labels", expect_choices},
    {"selected_labels", expect_choices},
    {"submission_xml", expect_xml},
    {"instance_xml", expect_xml},
    {"attribute", expect_attribute},
    {"validation_outcome", expect_outcome},
    {"submission_status", expect_status},
    {"can_create_repeat", expect_can_create},
    {"position_ref", expect_position},
    {"position_atTheEndOfForm", expect_position},
    {"choice_item", expect_choices},
    {"raw_bool_of_node", expect_flag},
};

/* Made from the reference's own objects: how many pieces a label is rendered in, what class an object has. */
static bool counts_the_same(const struct json *step, const struct json *other)
{
    return other && str_eq_z(json_text(step, "expect"), "choice_count") &&
           str_eq_z(json_text(other, "expect"), "choice_count") &&
           str_eq(json_text(other, "ref"), json_text(step, "ref"));
}

static bool is_raw(const struct json *step, const struct json *before)
{
    struct str what = json_text(step, "expect");
    const struct json *value = json_get(step, "value");
    if (before && str_eq_z(json_text(before, "assert"), "toEqualUploadedAnswer") && str_eq_z(what, "value"))
        return true; /* what is in the file, not its name */
    if (counts_the_same(step, before) || counts_the_same(step, step->next))
        return true; /* of the properties of a choice: two counts with nothing between */
    return str_eq_z(what, "raw") ||
           ((str_eq_z(what, "label") || str_eq_z(what, "hint")) && value && value->type == JSON_NUMBER);
}

static bool wants_error(const struct json *script)
{
    for (uint32_t i = 0; script && i < script->count; i++) {
        const struct json *step = json_at(script, i), *expected = json_at(json_get(step, "expected"), 0);
        if (str_eq_z(json_text(step, "assert"), "toBeInstanceOf") && expected &&
            str_eq_z(json_text(expected, "fn"), "Error") && !json_bool(step, "not"))
            return true;
    }
    return false;
}

/* A document that the test wrote itself and that was not recorded is what the interview goes on with. */
static bool is_unrecorded_input(const struct json *step)
{
    const struct json *expected = json_at(json_get(step, "expected"), 0);
    return expected && str_eq_z(json_text(expected, "fn"), "FabricatedInstanceFile");
}

static void expect_error(struct run *r, const struct json *step, const struct json *before)
{
    struct str message = json_text(step, "message");
    if (before && json_get(before, "ref_engine_pass") && !json_bool(before, "ref_engine_pass"))
        return; /* the complaint of the raw expectation before it */
    r->asserted++;
    if (!r->load_failed && r->answered == ERR_OK)
        differs(r, step, STR("no error"), message, "an error was expected: %.*s", STR_ARG(message));
}

static void run_expectation(struct run *r, const struct json *step, const struct json *before)
{
    struct str what = json_text(step, "expect");
    if (!json_bool(step, "asserted") && !json_bool(step, "queried"))
        return;
    if (is_raw(step, before)) {
        r->raw = true;
        if (is_unrecorded_input(step))
            r->left_out = "raw expectations";
        return;
    }
    if (str_eq_z(what, "error")) {
        expect_error(r, step, before);
        return;
    }
    for (size_t i = 0; i < sizeof(expectations) / sizeof(*expectations); i++) {
        if (!str_eq_z(what, expectations[i].name))
            continue;
        r->asserted++;
        if (r->sessions[sid_of(step, "sid")])
            expectations[i].check(r, step);
        else
            fail(r, "there is no interview");
        return;
    }
    fail(r, "the expectation \"%.*s\" is not known", STR_ARG(what));
}

/* Values that no two runs share: identifiers and the time of day. */
static bool volatile_alike(struct str have, struct str want)
{
    struct civil a, b;
    if (str_starts(want, STR("uuid:")) || want.n == 36)
        return have.n == want.n;
    return civil_read(have, &a) && civil_read(want, &b) && a.has_date == b.has_date;
}

/* With --state: what the reference showed of each node after the step. Nodes that only a reference adds
 * (a meta block) are passed over. */
static void expect_state(struct run *r, const struct json *step)
{
    const struct json *nodes = json_get(step, "nodes");
    struct session *s = r->sessions[sid_of(step, "sid")];
    for (const struct json *n = s && nodes ? nodes->child : NULL; n && !r->why[0]; n = n->next) {
        struct str ref = json_text(n, "ref"), value = text_of(r, json_get(n, "value"));
        bool relevant = json_bool(n, "relevant");
        struct place p;
        struct question_view v;
        struct diag d = {0};
        if (str_find(ref, STR("meta")) >= 0 || session_place(s, ref, &p, &d) ||
            session_view(s, p, r->a, &v, &d))
            continue;
        const char *what = v.relevant != relevant ? "relevant" : NULL;
        if (!what && relevant && v.required != json_bool(n, "required"))
            what = "required";
        if (!what && relevant && v.readonly != json_bool(n, "readonly"))
            what = "readonly";
        if (!what && relevant && json_get(n, "value") && !same_text(v.value, value) &&
            !volatile_alike(v.value, value))
            what = "value";
        if (what)
            differs(r, n, v.value, value, "state: %s of %.*s: \"%.*s\", recorded \"%.*s\"", what,
                    STR_ARG(ref), STR_ARG(v.value), STR_ARG(value));
        r->asserted++;
    }
}

static const struct json *recorded_instance_id(const struct json *state)
{
    const struct json *nodes = json_get(state, "nodes");
    for (const struct json *n = nodes ? nodes->child : NULL; n; n = n->next)
        if (str_ends(json_text(n, "ref"), STR("/meta/instanceID")))
            return n;
    return NULL;
}

/* What is written of an interview and read back has the instanceID that the interview had. Where the
 * recording shows one before and none behind, the test read back another document, and that is not recorded.
 */
static bool restores_another(const struct json *script, uint32_t at)
{
    const struct json *step = json_at(script, at), *behind = json_at(script, at + 1), *had = NULL;
    if (!str_eq_z(json_text(step, "op"), "serialize_restore") &&
        !str_eq_z(json_text(step, "op"), "edit_instance"))
        return false;
    for (uint32_t i = 0; i < at; i++) {
        const struct json *state = json_at(script, i), *id = NULL;
        if (str_eq_z(json_text(state, "expect"), "state") && sid_of(state, "sid") == sid_of(step, "sid"))
            id = recorded_instance_id(state);
        had = id ? id : had;
    }
    const struct json *has = behind && json_bool(behind, "full") ? recorded_instance_id(behind) : NULL;
    return had && has && (json_get(had, "value_re") || json_text(had, "value").n) && json_get(has, "value") &&
           json_text(has, "value").n == 0;
}

static void run_script(struct run *r, const struct json *c)
{
    const struct json *script = json_get(c, "script"), *before = NULL;
    r->wants_error = wants_error(script);
    for (uint32_t i = 0; script && i < script->count && !r->why[0] && !r->left_out; i++) {
        const struct json *step = json_at(script, i);
        if (str_eq_z(json_text(step, "expect"), "state")) {
            if (r->report->state)
                expect_state(r, step);
            continue;
        }
        if (!json_get(step, "op")) {
            run_expectation(r, step, before);
        } else {
            r->asserted += json_get(step, "expect_error") || json_text(step, "expect_result").p;
            if (restores_another(script, i)) {
                r->left_out = "raw expectations"; /* the document it restores is not recorded */
                return;
            }
            if (!run_op(r, json_text(c, "form_xml"), step))
                return;
        }
        before = step;
    }
}

void case_scenario(struct report *report, struct arena *a, const struct json *c)
{
    struct run r = {.a = a, .report = report, .form_xml = json_text(c, "form_xml"), .last_answer = STR("")};
    const struct zone *zone = NULL;
    r.javarosa = str_starts(json_text(c, "id"), STR("jr:"));
    if (zone_fixed(a, CASES_OFFSET_MIN, &zone))
        return;
    r.host = (struct session_host){.self = &r,
                                   .now_ms = host_now,
                                   .zone = zone,
                                   .random = host_random,
                                   .digest = host_digest,
                                   .property = host_property,
                                   .resource = host_resource};
    run_script(&r, c);
    for (uint32_t i = 0; i < SESSIONS_MAX; i++)
        session_close(r.sessions[i]);
    if (r.why[0])
        report_case(report, CASE_FAILED, json_text(c, "id"), r.why);
    else if (!r.asserted && !r.decided)
        report_skip(report, r.left_out ? r.left_out : r.raw ? "raw expectations" : "nothing asserted");
    else
        report_case(report, r.decided ? CASE_DECIDED : CASE_PASSED, json_text(c, "id"), "");
}
