/* An interview held in memory and turned into the changes that a handheld would send: for tests that need
 * visits whose XML the centre must rebuild byte by byte.
 */
#ifndef TESTS_SUPPORT_INTERVIEW_H
#define TESTS_SUPPORT_INTERVIEW_H

#include "tests/support/centre.h"

/* A household with members; one question is relevant only for grown-ups, one is a position, some lie in a
 * group. */
static const char survey_form[] =
    "<h:html xmlns=\"http://www.w3.org/2002/xforms\" xmlns:h=\"http://www.w3.org/1999/xhtml\""
    " xmlns:jr=\"http://openrosa.org/javarosa\" xmlns:orx=\"http://openrosa.org/xforms\">"
    "<h:head><h:title>Survey</h:title><model>"
    "<instance><survey xmlns=\"http://example.org/s\" id=\"survey\" version=\"1\">"
    "<name/><money><wage/><gift/></money><where/>"
    "<member jr:template=\"\"><who/><age/><work/></member>"
    "<orx:meta><orx:instanceID/></orx:meta></survey></instance>"
    "<bind nodeset=\"/survey/name\" type=\"string\" required=\"true()\"/>"
    "<bind nodeset=\"/survey/money/wage\" type=\"int\"/>"
    "<bind nodeset=\"/survey/money/gift\" type=\"decimal\"/>"
    "<bind nodeset=\"/survey/where\" type=\"geopoint\"/>"
    "<bind nodeset=\"/survey/member/who\" type=\"string\"/>"
    "<bind nodeset=\"/survey/member/age\" type=\"int\"/>"
    "<bind nodeset=\"/survey/member/work\" type=\"string\" relevant=\"../age &gt;= 16\"/>"
    "<bind nodeset=\"/survey/orx:meta/orx:instanceID\" type=\"string\" readonly=\"true()\" "
    "jr:preload=\"uid\"/>"
    "</model></h:head><h:body>"
    "<input ref=\"/survey/name\"><label>Name</label></input>"
    "<group ref=\"/survey/money\"><label>Money</label>"
    "<input ref=\"/survey/money/wage\"><label>Wage</label></input>"
    "<input ref=\"/survey/money/gift\"><label>Gift</label></input></group>"
    "<input ref=\"/survey/where\"><label>Where</label></input>"
    "<group ref=\"/survey/member\"><label>Member</label><repeat nodeset=\"/survey/member\">"
    "<input ref=\"/survey/member/who\"><label>Who</label></input>"
    "<input ref=\"/survey/member/age\"><label>Age</label></input>"
    "<input ref=\"/survey/member/work\"><label>Work</label></input></repeat></group>"
    "</h:body></h:html>";

#define KEYS_MAX 64

struct interview {
    const struct form *form;
    struct fieldmap map; /* of the first version published */
    struct str xml;      /* of the form */
    unsigned char hash[SHA256_SIZE];
    struct session_host host;
    struct session *session;
    struct row_id household, interview, visit;
    struct row_id rows[KEYS_MAX]; /* by session key */
    struct str xml_out;           /* after the finish */
    struct change changes[400];
    uint32_t count;
};

static inline int64_t interview_now(void *self)
{
    struct world *w = self;
    return w->seam->wall_ms(w->seam->self);
}

static inline enum err interview_random(void *self, void *out, size_t n)
{
    struct world *w = self;
    return w->seam->random(w->seam->self, out, n);
}

static inline void form_publish_text(struct world *w, const char *text)
{
    struct buf lines;
    struct publish_result p;
    buf_init(&lines, 1u << 20);
    struct desk k = desk_begin(w, &lines);
    enum err rc = publish(&k, STR("form"), STR(""), STR("f.xml"), str_of(text), &p, &w->d);
    if (rc)
        print_message("%.*s", STR_ARG(buf_str(&lines)));
    OK(rc);
    desk_end(&k);
    buf_free(&lines);
}

static inline void put(struct interview *v, struct change c)
{
    assert_true(v->count < 400);
    v->changes[v->count++] = c;
}

static inline void interview_form(struct world *w, struct interview *v, const char *text)
{
    struct form_findings findings = {0};
    v->xml = str_of(text);
    OK(form_load(&w->a, v->xml, &v->form, &findings, &w->d));
    OK(sha256(v->xml, v->hash));
    OK(fieldmap_read(&w->a, STR(""), form_policies(&w->a, v->form), form_field_count(v->form),
                     form_repeat_count(v->form), &v->map, &w->d));
}

static inline void interview_begin(struct world *w, struct interview *v, struct handheld *h, const char *text,
                                   struct row_id household)
{
    memset(v, 0, sizeof *v);
    interview_form(w, v, text);
    v->host = (struct session_host){.self = w, .now_ms = interview_now, .random = interview_random};
    const struct session_options o = {.form = v->form, .host = &v->host, .row_key_next = 1};
    OK(session_open(&w->a, &o, &v->session, &w->d));
    v->household = household;
    v->interview = row_new(h);
    v->visit = row_new(h);
    v->rows[0] = v->interview;
    put(v, birth_of(w, h, v->interview, &(struct row_birth){.kind = ROW_INTERVIEW, .parent = household}));
    put(v, birth_of(w, h, v->visit, &(struct row_birth){.kind = ROW_VISIT, .parent = v->interview}));
}

static inline void answer(struct world *w, struct interview *v, const char *ref, const char *value)
{
    struct place p;
    OK(session_place(v->session, str_of(ref), &p, &w->d));
    OK(session_answer(v->session, p, str_of(value), &w->d));
}

static inline void refuse(struct world *w, struct interview *v, const char *ref, enum answer_status status)
{
    struct place p;
    OK(session_place(v->session, str_of(ref), &p, &w->d));
    OK(session_answer_status(v->session, p, status, &w->d));
}

static inline void member_add(struct world *w, struct interview *v)
{
    struct place root = {0}, added;
    OK(session_place(v->session, STR("/survey/name"), &root, &w->d));
    OK(session_place(v->session, STR("/survey"), &root, &w->d));
    OK(session_repeat_add(v->session, root, 0, &added, &w->d));
}

/* What the session says has changed, as changes of rows. */
static inline void interview_collect(struct world *w, struct interview *v, struct handheld *h)
{
    const struct session_change *list = NULL;
    uint32_t n = session_changes(v->session, &list);
    for (uint32_t i = 0; i < n; i++) {
        const struct session_change *s = &list[i];
        assert_true(s->key < KEYS_MAX);
        if (s->op == SESSION_ROW_ADD) {
            v->rows[s->key] = row_new(h);
            const struct row_birth birth = {.kind = ROW_REPEAT,
                                            .parent = v->rows[s->parent_key],
                                            .number = s->repeat + 1,
                                            .order = s->order};
            put(v, birth_of(w, h, v->rows[s->key], &birth));
        } else if (s->op == SESSION_ROW_REMOVE) {
            put(v, change_of(w, h, v->rows[s->key], 0, CHANGE_ROW_DELETE, STR("")));
        } else {
            struct change c = change_of(w, h, v->rows[s->key], v->map.field_stable[s->field],
                                        s->op == SESSION_SET ? CHANGE_SET : CHANGE_CLEAR,
                                        s->value.n ? arena_str(&w->a, s->value) : STR(""));
            c.status = (uint8_t)s->status;
            put(v, c);
        }
    }
    session_changes_clear(v->session);
}

static inline struct str hex_text(struct world *w, const unsigned char hash[static SHA256_SIZE])
{
    char text[2 * SHA256_SIZE];
    hex_write(hash, SHA256_SIZE, text);
    return arena_str(&w->a, (struct str){text, sizeof text});
}

static inline void interview_finish(struct world *w, struct interview *v, struct handheld *h)
{
    struct buf xml;
    unsigned char hash[SHA256_SIZE];
    struct place id;
    bool relevant = false;
    OK(session_finalise(v->session, &w->d));
    interview_collect(w, v, h);
    buf_init(&xml, 1u << 20);
    OK(session_xml(v->session, false, &xml, &w->d));
    v->xml_out = arena_str(&w->a, buf_str(&xml));
    buf_free(&xml);
    OK(sha256(v->xml_out, hash));
    char *check = arena_alloc(&w->a, VISIT_CHECK_SIZE);
    visit_check_write(hash, check);
    OK(session_place(v->session, STR("/survey/meta/instanceID"), &id, &w->d));
    struct str instance = arena_str(&w->a, session_value(v->session, id, &relevant));
    put(v, change_of(w, h, v->visit, VISIT_FORM, CHANGE_SET, hex_text(w, v->hash)));
    put(v, change_of(w, h, v->visit, VISIT_STARTED, CHANGE_SET, STR("2026-11-07T10:00:00.000+08:00")));
    put(v, change_of(w, h, v->visit, VISIT_INSTANCE, CHANGE_SET, instance));
    put(v, change_of(w, h, v->visit, VISIT_XML_HASH, CHANGE_SET, (struct str){check, VISIT_CHECK_SIZE}));
    put(v, change_of(w, h, v->visit, 0, CHANGE_FINALISE, STR("")));
    session_close(v->session);
    v->session = NULL;
}

/* A whole visit: a name, a wage, two members of whom one is a child. */
static inline void survey_visit(struct world *w, struct interview *v, struct handheld *h,
                                struct row_id household, const char *name)
{
    interview_begin(w, v, h, survey_form, household);
    answer(w, v, "/survey/name", name);
    answer(w, v, "/survey/money/wage", "1200");
    answer(w, v, "/survey/where", "30.5 104.25 410 8");
    member_add(w, v);
    answer(w, v, "/survey/member[1]/who", "Li, \"the elder\"");
    answer(w, v, "/survey/member[1]/age", "44");
    answer(w, v, "/survey/member[1]/work", "farmer\nand driver");
    member_add(w, v);
    answer(w, v, "/survey/member[2]/who", "小丽");
    answer(w, v, "/survey/member[2]/age", "9");
    interview_collect(w, v, h);
}

static inline struct row_id household_new(struct world *w, struct interview *v, struct handheld *h,
                                          const char *code, const char *area)
{
    struct row_id row = row_new(h);
    put(v, birth_of(w, h, row, &(struct row_birth){.kind = ROW_HOUSEHOLD}));
    put(v, change_of(w, h, row, HOUSEHOLD_CODE, CHANGE_SET, str_of(code)));
    put(v, change_of(w, h, row, HOUSEHOLD_AREA, CHANGE_SET, str_of(area)));
    return row;
}

#endif
