/* The log of an interview: what was shown, how long, what changed, who did it, where.
 */
#include "tests/support/forms.h"

#include "forms/audit.h"

static int64_t clock_ms = 1000;

static int64_t clock_now(void *self)
{
    (void)self;
    return clock_ms;
}

static const char *const model = "<instance><d id=\"f\"><a/><g><b/><c/></g><r jr:template=\"\"><x/></r>"
                                 "<orx:meta><orx:instanceID/><orx:audit/></orx:meta></d></instance>"
                                 "<bind nodeset=\"/d/orx:meta/orx:audit\" type=\"binary\"";
static const char *const body =
    "<input ref=\"/d/a\"/><group appearance=\"field-list\"><label>Both</label><input ref=\"/d/g/b\"/>"
    "<input ref=\"/d/g/c\"/></group><group ref=\"/d/r\"><label/><repeat nodeset=\"/d/r\">"
    "<input ref=\"/d/r/x\"/></repeat></group>";

struct logged {
    struct interview v;
    struct audit *audit;
};

static void begin(struct logged *l, const char *attributes)
{
    char text[1024];
    snprintf(text, sizeof(text), "%s %s/>", model, attributes);
    clock_ms = 1000;
    interview_init(&l->v);
    l->v.host.now_ms = clock_now;
    if (interview_form(&l->v, form_text(&l->v.a, text, body)))
        fail_msg("%s", l->v.d.text);
    interview_begin(&l->v);
    assert_int_equal(audit_open(&l->v.a, l->v.s, &l->audit, &l->v.d), ERR_OK);
    assert_non_null(l->audit);
}

static void end(struct logged *l)
{
    audit_close(l->audit);
    interview_close(&l->v);
}

static void show_next(struct logged *l)
{
    session_next(l->v.s);
    clock_ms += 1000;
    audit_view(l->audit);
}

/* The file so far; the rows are taken, as a host does. */
static const char *csv(struct logged *l)
{
    const struct audit_row *rows = NULL;
    uint32_t count = 0;
    struct buf b;
    buf_init(&b, 1u << 16);
    assert_int_equal(audit_rows(l->audit, &rows, &count, &l->v.d), ERR_OK);
    for (uint32_t i = 0; i < count; i++)
        audit_csv_row(form_audit(l->v.form), &rows[i], &b);
    audit_rows_clear(l->audit);
    const char *out = arena_z(&l->v.a, buf_str(&b));
    buf_free(&b);
    return out;
}

static void a_form_without_a_log_has_none(void **state)
{
    struct interview v;
    struct audit *audit = NULL;
    const struct audit_row *rows = NULL;
    uint32_t count = 1;
    (void)state;
    interview_open(&v, "<instance><d id=\"f\"><a/></d></instance>", "<input ref=\"/d/a\"/>");
    assert_int_equal(audit_open(&v.a, v.s, &audit, &v.d), ERR_OK);
    assert_null(audit);
    audit_moment(audit, AUDIT_FORM_START, NULL);
    audit_view(audit);
    assert_int_equal(audit_rows(audit, &rows, &count, &v.d), ERR_OK);
    assert_int_equal(count, 0);
    audit_close(audit);
    interview_close(&v);
}

static void views_have_a_beginning_and_an_end_and_moments_have_not(void **state)
{
    struct logged l;
    (void)state;
    begin(&l, "");
    audit_moment(l.audit, AUDIT_FORM_START, NULL);
    show_next(&l);
    clock_ms += 500;
    audit_view(l.audit); /* the page is drawn again: nothing new */
    audit_moment(l.audit, AUDIT_FORM_SAVE, NULL);
    show_next(&l); /* the two questions on one screen */
    show_next(&l); /* another entry? */
    struct place p = add(&l.v, "/d", "/d/r");
    assert_int_equal(session_jump(l.v.s, p, &l.v.d), ERR_OK);
    audit_view(l.audit);
    show_next(&l); /* and another? */
    show_next(&l); /* the end */
    audit_moment(l.audit, AUDIT_FORM_FINALIZE, NULL);
    audit_moment(l.audit, AUDIT_FORM_EXIT, NULL);
    assert_string_equal(csv(&l), "form start,,1000,\n"
                                 "question,/d/a,2000,3500\n"
                                 "form save,,2500,\n"
                                 "group questions,/d,3500,4500\n"
                                 "add repeat,/d/r[1],4500,4500\n"
                                 "question,/d/r[1]/x,4500,5500\n"
                                 "add repeat,/d/r[2],5500,6500\n"
                                 "end screen,,6500,6500\n"
                                 "form finalize,,6500,\n"
                                 "form exit,,6500,\n");
    end(&l);
}

static void a_row_is_given_out_only_when_it_is_complete(void **state)
{
    struct logged l;
    (void)state;
    begin(&l, "");
    audit_moment(l.audit, AUDIT_FORM_RESUME, NULL);
    show_next(&l);
    struct place p = at(&l.v, "/d/a");
    audit_moment(l.audit, AUDIT_CONSTRAINT_ERROR, &p);
    assert_string_equal(csv(&l), "form resume,,1000,\n");
    assert_string_equal(csv(&l), "");
    clock_ms += 700;
    audit_jump(l.audit); /* the overview */
    assert_string_equal(csv(&l), "question,/d/a,2000,2700\nconstraint error,/d/a,2000,\n");
    clock_ms += 300;
    audit_leave(l.audit);
    assert_string_equal(csv(&l), "jump,/d/a,2700,3000\n");
    end(&l);
}

static void tracked_changes_show_the_old_and_the_new_answer(void **state)
{
    struct logged l;
    struct buf b;
    (void)state;
    begin(&l,
          "odk:track-changes=\"true\" odk:identify-user=\"true\" odk:track-changes-reasons=\"on-form-edit\"");
    buf_init(&b, 200);
    audit_csv_header(form_audit(l.v.form), &b);
    assert_string_equal(b.p, "event,node,start,end,old-value,new-value,user,change-reason\n");
    buf_free(&b);
    answer(&l.v, "/d/a", "one, two");
    audit_user(l.audit, STR("Ama \"A\""));
    audit_reason(l.audit, STR("wrong house"));
    show_next(&l);
    answer(&l.v, "/d/a", "three");
    show_next(&l);
    answer(&l.v, "/d/g/c", "new");
    assert_string_equal(csv(&l), "change reason,,1000,,,,\"Ama \"\"A\"\"\",wrong house\n"
                                 "question,/d/a,2000,3000,\"one, two\",three,\"Ama \"\"A\"\"\",\n");
    audit_leave(l.audit);
    /* of the two questions on the screen only the one that changed has a row */
    assert_string_equal(csv(&l), "group questions,/d,3000,3000,,,\"Ama \"\"A\"\"\",\n"
                                 "question,/d/g/c,3000,3000,,new,\"Ama \"\"A\"\"\",\n");
    end(&l);
}

static void the_most_accurate_position_that_is_not_too_old_is_logged(void **state)
{
    struct logged l;
    (void)state;
    begin(&l,
          "odk:location-priority=\"balanced\" odk:location-min-interval=\"5\" odk:location-max-age=\"10\"");
    assert_true(form_audit(l.v.form)->location);
    assert_int_equal(form_audit(l.v.form)->location_interval_s, 5);
    audit_moment(l.audit, AUDIT_LOCATION_TRACKING_ENABLED, NULL);
    audit_position(l.audit, 6.5, -10.25, 30, 1000);
    audit_position(l.audit, 6.75, -10.5, 12.5, 1500);
    audit_moment(l.audit, AUDIT_FORM_SAVE, NULL);
    audit_position(l.audit, 6.875, -10, 80, 9000);
    clock_ms = 12000; /* only the last one is young enough */
    audit_moment(l.audit, AUDIT_FORM_SAVE, NULL);
    assert_string_equal(csv(&l), "location tracking enabled,,1000,,,,\n"
                                 "form save,,1000,,6.75,-10.5,12.5\n"
                                 "form save,,12000,,6.875,-10,80\n");
    end(&l);
}

static void positions_need_all_three_settings(void **state)
{
    struct logged l;
    (void)state;
    begin(&l, "odk:location-priority=\"balanced\"");
    assert_false(form_audit(l.v.form)->location);
    assert_int_equal(l.v.findings.list.count, 1);
    audit_moment(l.audit, AUDIT_LOCATION_TRACKING_ENABLED, NULL);
    assert_string_equal(csv(&l), "");
    end(&l);
}

static void the_interview_names_the_file_of_its_log(void **state)
{
    struct logged l;
    (void)state;
    begin(&l, "");
    assert_int_equal(audit_attach(l.audit, STR("audit.csv"), &l.v.d), ERR_OK);
    assert_non_null(strstr(xml(&l.v, false), "<orx:audit>audit.csv</orx:audit>"));
    assert_int_equal(session_finalise(l.v.s, &l.v.d), ERR_OK);
    assert_int_equal(audit_attach(l.audit, STR("other.csv"), &l.v.d), ERR_STATE);
    end(&l);
}

static void a_background_recording_is_asked_for_with_its_quality(void **state)
{
    struct interview v;
    struct place *places = NULL;
    (void)state;
    interview_open(
        &v,
        "<instance><d id=\"f\"><sound/><where/></d></instance>"
        "<bind nodeset=\"/d/sound\" type=\"binary\"/><bind nodeset=\"/d/where\" type=\"geopoint\"/>"
        "<odk:recordaudio event=\"odk-instance-load\" ref=\"/d/sound\" "
        "odk:quality=\"voice-only\"/>"
        "<odk:setgeopoint event=\"odk-instance-first-load\" ref=\"/d/where\"/>",
        "");
    assert_int_equal(session_requests(v.s, &v.a, &places), 2);
    uint32_t sound = session_request(v.s, places[0]).kind == REQUEST_RECORDING ? 0 : 1;
    assert_string_equal(text(&v, session_ref(v.s, places[sound], &v.a)), "/d/sound");
    assert_string_equal(text(&v, session_request(v.s, places[sound]).quality), "voice-only");
    assert_int_equal(session_request(v.s, places[1 - sound]).kind, REQUEST_POSITION);
    assert_int_equal(session_requests(v.s, &v.a, &places), 0);
    interview_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_without_a_log_has_none),
        cmocka_unit_test(views_have_a_beginning_and_an_end_and_moments_have_not),
        cmocka_unit_test(a_row_is_given_out_only_when_it_is_complete),
        cmocka_unit_test(tracked_changes_show_the_old_and_the_new_answer),
        cmocka_unit_test(the_most_accurate_position_that_is_not_too_old_is_logged),
        cmocka_unit_test(positions_need_all_three_settings),
        cmocka_unit_test(the_interview_names_the_file_of_its_log),
        cmocka_unit_test(a_background_recording_is_asked_for_with_its_quality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
