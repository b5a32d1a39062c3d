/* Scenario cases: one form and one ordered list of operations and expectations, run through the public
 * session. What a case calls a navigation event is only followed as far as it moves the interview.
 * Expectations that the references themselves made up from internals ("raw") are not asserted here.
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
#define OFFSET_MIN (-7 * 60)

struct run {
    struct arena *a;
    const struct form *form;
    struct session *sessions[SESSIONS_MAX];
    struct session_host host;
    const struct json *resources;
    uint64_t chance;
    bool load_failed;
    enum err answered; /* of the last answer */
    uint32_t asserted;
    bool javarosa;
    char why[1200]; /* first failure */
    struct diag d;
};

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
        if (str_eq(json_text(one, "url"), uri)) {
            *bytes_out = json_text(one, "text");
            return ERR_OK;
        }
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
    struct str own = json_text(step, "form_xml");
    struct form_findings findings;
    const struct json *edit = json_get(json_get(step, "options"), "editInstance");
    if (json_get(step, "resources"))
        r->resources = json_get(step, "resources");
    diag_clear(&r->d);
    r->load_failed = false;
    if (form_load(r->a, own.p ? own : form_xml, &r->form, &findings, &r->d)) {
        r->load_failed = true;
        if (!json_get(step, "expect_error"))
            fail(r, "load: %s", r->d.text);
        return;
    }
    open_session(r, sid_of(step, "sid"), edit ? edit->text : STR_NONE, false);
    if (json_get(step, "expect_error"))
        fail(r, "the form should have been refused: %.*s", STR_ARG(json_text(step, "expect_error")));
}

/* --- places --- */

static struct str generic_path(struct run *r, struct str path);

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

static struct str text_of(struct run *r, const struct json *v)
{
    char text[NUM_TEXT_MAX];
    if (!v || v->type == JSON_NULL)
        return STR("");
    if (v->type == JSON_STRING)
        return v->text;
    if (v->type == JSON_BOOL)
        return v->boolean ? STR("true") : STR("false");
    if (v->type == JSON_NUMBER) {
        size_t n = num_write(v->number, text);
        return arena_str(r->a, (struct str){text, n});
    }
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

static void expect_text(struct run *r, const struct json *step, struct str have)
{
    const struct json *v = json_get(step, "value");
    struct str want = text_of(r, v), ref = json_text(step, "ref");
    bool same = same_text(have, want);
    bool differs = json_bool(step, "not");
    if (same == differs)
        fail(r, "%.*s of %.*s: \"%.*s\" instead of %s\"%.*s\"", STR_ARG(json_text(step, "expect")),
             STR_ARG(ref), STR_ARG(have), differs ? "anything but " : "", STR_ARG(want));
}

static void expect_bool(struct run *r, const struct json *step, const char *what, bool have, bool want)
{
    if (json_bool(step, "not"))
        want = !want;
    if (have != want)
        fail(r, "%s of %.*s is %s", what, STR_ARG(json_text(step, "ref")), have ? "true" : "false");
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
        fail(r, "%.*s has %u entries, not %lld", STR_ARG(ref), have, (long long)want);
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
            fail(r, "%.*s has %u choices, not %u", STR_ARG(json_text(step, "ref")), count, value->count);
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
            fail(r, "%.*s has %u choices, not %lld", STR_ARG(json_text(step, "ref")), count, (long long)want);
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
        fail(r, "XML is %.*s, not %.*s", (int)(have.n < 500 ? have.n : 500), have.p,
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
    if (count == 0) {
        fail(r, "no violations; expected %.*s", STR_ARG(text_of(r, value)));
        return;
    }
    struct question_view v;
    struct str want = text_of(r, value);
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
        fail(r, "%u violations", count);
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
    if (session_place(s, ref, &p, &r->d)) {
        if (!json_get(step, "expect_error"))
            fail(r, "answer: %s", r->d.text);
        return;
    }
    r->answered = result.p ? session_answer(s, p, value, &r->d) : session_answer_forced(s, p, value, &r->d);
    if (str_eq_z(result, "CONSTRAINT_VIOLATED") && r->answered == ERR_OK)
        fail(r, "answer \"%.*s\" to %.*s was taken in spite of its constraint", STR_ARG(value), STR_ARG(ref));
    if (str_eq_z(result, "OK") && r->answered != ERR_OK)
        fail(r, "answer \"%.*s\" to %.*s was refused: %s", STR_ARG(value), STR_ARG(ref), r->d.text);
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
            fail(r, "create %.*s: %s", STR_ARG(ref), r->d.text);
    }
}

static void do_remove(struct run *r, const struct json *step)
{
    struct place p;
    if (!find(r, step, &p) || session_repeat_remove(r->sessions[sid_of(step, "sid")], p, &r->d))
        fail(r, "remove %.*s: %s", STR_ARG(json_text(step, "ref")), r->d.text);
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
        return false;
    return true;
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
};

static void run_expectation(struct run *r, const struct json *step)
{
    struct str what = json_text(step, "expect");
    if (!json_bool(step, "asserted") && !json_bool(step, "queried"))
        return;
    if (str_eq_z(what, "error")) {
        r->asserted++;
        if (!r->load_failed && r->answered == ERR_OK)
            fail(r, "an error was expected: %.*s", STR_ARG(json_text(step, "message")));
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
}

void case_scenario(struct report *report, struct arena *a, const struct json *c)
{
    struct run r = {.a = a};
    const struct zone *zone = NULL;
    const struct json *script = json_get(c, "script");
    r.javarosa = str_starts(json_text(c, "id"), STR("jr:"));
    if (zone_fixed(a, OFFSET_MIN, &zone))
        return;
    r.host = (struct session_host){.self = &r,
                                   .now_ms = host_now,
                                   .zone = zone,
                                   .random = host_random,
                                   .digest = host_digest,
                                   .property = host_property,
                                   .resource = host_resource};
    for (uint32_t i = 0; script && i < script->count && !r.why[0]; i++) {
        const struct json *step = json_at(script, i);
        if (json_get(step, "op")) {
            r.asserted += json_get(step, "expect_error") || json_text(step, "expect_result").p;
            if (!run_op(&r, json_text(c, "form_xml"), step))
                break;
        } else {
            run_expectation(&r, step);
        }
    }
    for (uint32_t i = 0; i < SESSIONS_MAX; i++)
        session_close(r.sessions[i]);
    if (r.why[0])
        report_case(report, CASE_FAILED, json_text(c, "id"), r.why);
    else if (!r.asserted)
        report_skip(report, "nothing asserted");
    else
        report_case(report, CASE_PASSED, json_text(c, "id"), "");
}
