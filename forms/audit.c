/* The log in the making: rows in order of their beginning, of which the last few may belong to the view that
 * is open (a screen of several questions has one row for itself and one for each question whose answer
 * changed). Texts lie in one of two arenas; a clear moves what is still open to the other one.
 */
#include "forms/audit.h"

#include "forms/instance.h"
#include "forms/xml_doc.h"

#define AUDIT_MEMORY_MAX (8u << 20) /* rows are taken every few seconds; this is days */
#define POSITIONS_KEPT 16

/* clang-format off */
static const char *const event_names[AUDIT_EVENTS] = {
    [AUDIT_QUESTION]                         = "question",
    [AUDIT_GROUP]                            = "group questions",
    [AUDIT_ADD_REPEAT]                       = "add repeat",
    [AUDIT_END]                              = "end screen",
    [AUDIT_JUMP]                             = "jump",
    [AUDIT_FORM_START]                       = "form start",
    [AUDIT_FORM_RESUME]                      = "form resume",
    [AUDIT_FORM_EXIT]                        = "form exit",
    [AUDIT_FORM_SAVE]                        = "form save",
    [AUDIT_FORM_FINALIZE]                    = "form finalize",
    [AUDIT_DELETE_REPEAT]                    = "delete repeat",
    [AUDIT_SAVE_ERROR]                       = "save error",
    [AUDIT_FINALIZE_ERROR]                   = "finalize error",
    [AUDIT_CONSTRAINT_ERROR]                 = "constraint error",
    [AUDIT_CHANGE_REASON]                    = "change reason",
    [AUDIT_BACKGROUND_AUDIO_ENABLED]         = "background audio enabled",
    [AUDIT_BACKGROUND_AUDIO_DISABLED]        = "background audio disabled",
    [AUDIT_LOCATION_TRACKING_ENABLED]        = "location tracking enabled",
    [AUDIT_LOCATION_TRACKING_DISABLED]       = "location tracking disabled",
    [AUDIT_LOCATION_PERMISSIONS_GRANTED]     = "location permissions granted",
    [AUDIT_LOCATION_PERMISSIONS_NOT_GRANTED] = "location permissions not granted",
    [AUDIT_LOCATION_PROVIDERS_ENABLED]       = "location providers enabled",
    [AUDIT_LOCATION_PROVIDERS_DISABLED]      = "location providers disabled",
};
/* clang-format on */

struct position {
    double latitude, longitude, accuracy_m;
    int64_t at_ms;
    bool there;
};

struct view_row {
    uint32_t row; /* in rows; NONE = a question of a screen, which gets its row only if it changed */
    struct place place;
    bool question;
    struct str old_value;
};

struct audit {
    struct session *s;
    struct arena texts[2];
    uint32_t current; /* of texts */
    struct str user;
    char user_text[256];
    VEC(struct audit_row) rows;
    uint32_t open_from; /* first row that still lasts, = rows.count when none */
    bool view_open;
    enum audit_event view_event;
    struct place view_place;
    uint32_t view_count; /* ADD_REPEAT: entries there were */
    VEC(struct view_row) view;
    struct position positions[POSITIONS_KEPT];
    uint32_t position_next;
    bool nomem;
};

/* --- what the form wants --- */

static bool seconds(struct str text, uint32_t *out)
{
    uint64_t v;
    if (!str_to_u64(str_trim(text), &v) || v > 86400u * 365)
        return false;
    *out = (uint32_t)v;
    return true;
}

static uint32_t audit_node(const struct form *f)
{
    return form_child_z(f, form_child_z(f, 0, "meta", false), "audit", false);
}

void load_audit(struct loader *l)
{
    const struct form *f = l->form;
    uint32_t node = audit_node(f);
    struct audit_settings *out = &l->form->audit;
    out->location_priority = STR("");
    if (node == NONE)
        return;
    struct str priority = form_extra(f, node, NS_ODK, "location-priority"),
               interval = form_extra(f, node, NS_ODK, "location-min-interval"),
               age = form_extra(f, node, NS_ODK, "location-max-age");
    out->on = true;
    out->track_changes = str_eq_z(form_extra(f, node, NS_ODK, "track-changes"), "true");
    out->identify_user = str_eq_z(form_extra(f, node, NS_ODK, "identify-user"), "true");
    out->change_reasons = str_eq_z(form_extra(f, node, NS_ODK, "track-changes-reasons"), "on-form-edit");
    if (!priority.n && !interval.n && !age.n)
        return;
    out->location = priority.n && seconds(interval, &out->location_interval_s) &&
                    seconds(age, &out->location_age_s);
    out->location_priority = out->location ? priority : STR("");
    if (!out->location)
        load_finding(l, FINDING_WARNING, f->nodes.at[node].line, f->nodes.at[node].column, node,
                     "Positions are logged only when odk:location-priority, odk:location-min-interval and "
                     "odk:location-max-age (in seconds) are all given.");
}

const struct audit_settings *form_audit(const struct form *f)
{
    return &f->audit;
}

/* --- opening --- */

enum err audit_open(struct arena *a, struct session *s, struct audit **audit_out, struct diag *d)
{
    *audit_out = NULL;
    if (!s->form->audit.on)
        return ERR_OK;
    struct audit *audit = ARENA_NEW(a, struct audit);
    if (!audit)
        return diag_set(d, ERR_NOMEM, "There is no memory for the interview's log.");
    audit->s = s;
    audit->user = STR("");
    arena_init(&audit->texts[0], AUDIT_MEMORY_MAX);
    arena_init(&audit->texts[1], AUDIT_MEMORY_MAX);
    *audit_out = audit;
    return ERR_OK;
}

void audit_close(struct audit *audit)
{
    if (!audit)
        return;
    arena_free(&audit->texts[0]);
    arena_free(&audit->texts[1]);
}

static struct arena *texts(struct audit *audit)
{
    return &audit->texts[audit->current];
}

static struct str keep(struct audit *audit, struct str s)
{
    struct str kept = arena_str(texts(audit), s);
    if (!kept.p)
        audit->nomem = true;
    return kept.p ? kept : STR("");
}

void audit_user(struct audit *audit, struct str user)
{
    if (!audit)
        return;
    size_t n = user.n < sizeof(audit->user_text) ? user.n : sizeof(audit->user_text);
    memcpy(audit->user_text, user.p ? user.p : "", n);
    audit->user = (struct str){audit->user_text, n};
}

/* --- positions --- */

void audit_position(struct audit *audit, double latitude, double longitude, double accuracy_m, int64_t at_ms)
{
    if (!audit || !audit->s->form->audit.location)
        return;
    audit->positions[audit->position_next++ % POSITIONS_KEPT] = (struct position){latitude, longitude,
                                                                                  accuracy_m, at_ms, true};
}

static struct str number(struct audit *audit, double v)
{
    char text[NUM_TEXT_MAX];
    return keep(audit, (struct str){text, num_write(v, text)});
}

static void put_position(struct audit *audit, struct audit_row *row, int64_t now_ms)
{
    const struct position *best = NULL;
    int64_t age_ms = 1000 * (int64_t)audit->s->form->audit.location_age_s;
    for (uint32_t i = 0; i < POSITIONS_KEPT; i++) {
        const struct position *p = &audit->positions[i];
        if (p->there && now_ms - p->at_ms <= age_ms && (!best || p->accuracy_m < best->accuracy_m))
            best = p;
    }
    if (!best || row->latitude.n)
        return;
    row->latitude = number(audit, best->latitude);
    row->longitude = number(audit, best->longitude);
    row->accuracy = number(audit, best->accuracy_m);
}

/* --- rows --- */

static int64_t now(const struct audit *audit)
{
    return audit->s->host->now_ms(audit->s->host->self);
}

static struct audit_row *add_row_at(struct audit *audit, enum audit_event event, struct str node,
                                    int64_t start_ms)
{
    struct audit_row *row = vec_push(texts(audit), &audit->rows);
    if (!row) {
        audit->nomem = true;
        return NULL;
    }
    *row = (struct audit_row){.event = event,
                              .node = node,
                              .start_ms = start_ms,
                              .latitude = STR(""),
                              .longitude = STR(""),
                              .accuracy = STR(""),
                              .old_value = STR(""),
                              .new_value = STR(""),
                              .user = keep(audit, audit->user),
                              .reason = STR("")};
    put_position(audit, row, start_ms);
    return row;
}

/* A group without a path of its own is named by the nearest one around it. */
static struct str node_of(struct audit *audit, struct place p)
{
    struct session *s = audit->s;
    uint32_t control = p.node & PLACE_CONTROL ? place_control(s, p) : NONE;
    while (control != NONE && control != 0 && s->form->controls.at[control].node == NONE)
        control = s->form->controls.at[control].parent;
    if (p.node & PLACE_CONTROL)
        p.node = control == NONE || control == 0 ? 0 : s->form->controls.at[control].node;
    struct str ref = session_ref(s, p, texts(audit));
    return ref.p ? ref : STR("");
}

static struct str value_at(const struct audit *audit, struct place p)
{
    return session_value(audit->s, p, NULL);
}

static void end_question(struct audit *audit, struct view_row *v, int64_t start_ms)
{
    const struct audit_settings *settings = &audit->s->form->audit;
    struct str value = value_at(audit, v->place);
    bool changed = settings->track_changes && !str_eq(v->old_value, value);
    if (v->row == NONE && changed) {
        add_row_at(audit, AUDIT_QUESTION, node_of(audit, v->place), start_ms);
        v->row = audit->nomem ? NONE : audit->rows.count - 1;
    }
    if (v->row == NONE || !changed)
        return;
    audit->rows.at[v->row].old_value = v->old_value;
    audit->rows.at[v->row].new_value = keep(audit, value);
}

void audit_leave(struct audit *audit)
{
    if (!audit || !audit->view_open)
        return;
    int64_t end_ms = now(audit), start_ms = end_ms;
    uint32_t first = audit->view.at[0].row;
    if (first != NONE)
        start_ms = audit->rows.at[first].start_ms;
    for (uint32_t i = 0; i < audit->view.count; i++) {
        struct view_row *v = &audit->view.at[i];
        if (v->question)
            end_question(audit, v, start_ms);
        if (v->row == NONE)
            continue;
        audit->rows.at[v->row].end_ms = end_ms;
        put_position(audit, &audit->rows.at[v->row], end_ms);
    }
    audit->view_open = false;
    audit->view.count = 0;
    audit->open_from = audit->rows.count;
}

static struct view_row *add_view_row(struct audit *audit, struct place p, bool question)
{
    struct view_row *v = vec_push(&audit->s->arena, &audit->view);
    if (!v) {
        audit->nomem = true;
        return NULL;
    }
    *v = (struct view_row){NONE, p, question, STR("")};
    if (question && audit->s->form->audit.track_changes)
        v->old_value = keep(audit, value_at(audit, p));
    return v;
}

static void open_view(struct audit *audit, enum audit_event event, struct place p, uint32_t count,
                      struct str node)
{
    audit_leave(audit);
    audit->open_from = audit->rows.count;
    struct view_row *v = add_view_row(audit, p, event == AUDIT_QUESTION);
    if (!v || !add_row_at(audit, event, node, now(audit))) {
        audit->view.count = 0;
        return;
    }
    v->row = audit->rows.count - 1;
    audit->view_open = true;
    audit->view_event = event;
    audit->view_place = p;
    audit->view_count = count;
}

static bool same_view(const struct audit *audit, enum audit_event event, struct place p, uint32_t count)
{
    return audit->view_open && audit->view_event == event && audit->view_place.key == p.key &&
           audit->view_place.node == p.node && audit->view_count == count;
}

/* The entry that would be added: "/hh/member[3]" when there are two. */
static struct str next_entry(struct audit *audit, const struct stop *stop)
{
    const struct form *f = audit->s->form;
    struct buf b;
    buf_init(&b, 1u << 16);
    buf_put_str(&b, session_ref(audit->s, stop->place, texts(audit)));
    buf_put_char(&b, '/');
    buf_put_str(&b, f->names.at[f->nodes.at[f->classes.at[stop->repeat + 1].node].name].local);
    buf_put_char(&b, '[');
    buf_put_u64(&b, stop->count + 1u);
    buf_put_char(&b, ']');
    struct str out = keep(audit, buf_str(&b));
    buf_free(&b);
    return out;
}

static void open_screen(struct audit *audit, struct stop stop)
{
    struct place *questions = NULL;
    struct arena_mark mark = arena_mark(&audit->s->scratch);
    open_view(audit, AUDIT_GROUP, stop.place, 0, node_of(audit, stop.place));
    uint32_t count = audit->view_open ? session_stop_questions(audit->s, &audit->s->scratch, &questions) : 0;
    for (uint32_t i = 0; i < count; i++)
        add_view_row(audit, questions[i], true);
    arena_release(&audit->s->scratch, mark);
}

void audit_view(struct audit *audit)
{
    static const enum audit_event events[] = {[STOP_QUESTION] = AUDIT_QUESTION,
                                              [STOP_FIELD_LIST] = AUDIT_GROUP,
                                              [STOP_REPEAT] = AUDIT_ADD_REPEAT,
                                              [STOP_END] = AUDIT_END};
    if (!audit)
        return;
    struct stop stop = session_stop(audit->s);
    if (stop.kind == STOP_START) {
        audit_leave(audit);
        return;
    }
    enum audit_event event = events[stop.kind];
    if (same_view(audit, event, stop.place, stop.count))
        return;
    switch (stop.kind) {
    case STOP_QUESTION: open_view(audit, event, stop.place, 0, node_of(audit, stop.place)); break;
    case STOP_FIELD_LIST: open_screen(audit, stop); break;
    case STOP_REPEAT: open_view(audit, event, stop.place, stop.count, next_entry(audit, &stop)); break;
    case STOP_START:
    case STOP_END: open_view(audit, event, stop.place, 0, STR("")); break;
    }
}

void audit_jump(struct audit *audit)
{
    if (!audit)
        return;
    struct stop stop = session_stop(audit->s);
    bool somewhere = stop.kind == STOP_QUESTION || stop.kind == STOP_FIELD_LIST;
    if (!same_view(audit, AUDIT_JUMP, stop.place, 0))
        open_view(audit, AUDIT_JUMP, stop.place, 0, somewhere ? node_of(audit, stop.place) : STR(""));
}

void audit_moment(struct audit *audit, enum audit_event event, const struct place *at)
{
    if (!audit || event <= AUDIT_JUMP || event >= AUDIT_EVENTS)
        return;
    if (event >= AUDIT_LOCATION_TRACKING_ENABLED && !audit->s->form->audit.location)
        return;
    if (event == AUDIT_FORM_EXIT)
        audit_leave(audit);
    add_row_at(audit, event, at ? node_of(audit, *at) : STR(""), now(audit));
    if (!audit->view_open)
        audit->open_from = audit->rows.count;
}

void audit_reason(struct audit *audit, struct str reason)
{
    if (!audit)
        return;
    struct str kept = keep(audit, reason);
    struct audit_row *row = add_row_at(audit, AUDIT_CHANGE_REASON, STR(""), now(audit));
    if (row)
        row->reason = kept;
    if (!audit->view_open)
        audit->open_from = audit->rows.count;
}

/* --- handing over --- */

enum err audit_rows(struct audit *audit, const struct audit_row **rows_out, uint32_t *count_out,
                    struct diag *d)
{
    if (!audit) {
        *count_out = 0;
        return ERR_OK;
    }
    if (audit->nomem)
        return diag_set(d, ERR_NOMEM, "The interview's log was not taken in time; some rows are lost.");
    *rows_out = audit->rows.at;
    *count_out = audit->open_from;
    return ERR_OK;
}

void audit_rows_clear(struct audit *audit)
{
    if (!audit)
        return;
    struct arena *old = texts(audit);
    uint32_t from = audit->open_from, count = audit->rows.count - from;
    const struct audit_row *open = count ? &audit->rows.at[from] : NULL;
    audit->nomem = false;
    audit->current ^= 1;
    audit->rows.at = NULL;
    audit->rows.count = audit->rows.room = 0;
    audit->open_from = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct audit_row *row = vec_push(texts(audit), &audit->rows);
        if (!row) {
            audit->nomem = true;
            break;
        }
        *row = open[i];
        struct str *const kept[] = {&row->node,      &row->latitude,  &row->longitude, &row->accuracy,
                                    &row->old_value, &row->new_value, &row->user,      &row->reason};
        for (size_t k = 0; k < sizeof(kept) / sizeof(*kept); k++)
            *kept[k] = keep(audit, *kept[k]);
    }
    for (uint32_t i = 0; i < audit->view.count; i++) {
        audit->view.at[i].old_value = keep(audit, audit->view.at[i].old_value);
        if (audit->view.at[i].row != NONE)
            audit->view.at[i].row -= from;
    }
    arena_free(old);
    arena_init(old, AUDIT_MEMORY_MAX);
}

enum err audit_attach(struct audit *audit, struct str file_name, struct diag *d)
{
    if (!audit)
        return ERR_OK;
    enum err rc = session_ready(audit->s, d);
    return rc ? rc
              : cell_set(audit->s, audit->s->frames.at[0], audit_node(audit->s->form), file_name,
                         file_name.n ? ANSWER_GIVEN : ANSWER_NONE);
}

void audit_csv_header(const struct audit_settings *settings, struct buf *out)
{
    buf_put_z(out, "event,node,start,end");
    if (settings->location)
        buf_put_z(out, ",latitude,longitude,accuracy");
    if (settings->track_changes)
        buf_put_z(out, ",old-value,new-value");
    if (settings->identify_user)
        buf_put_z(out, ",user");
    if (settings->change_reasons)
        buf_put_z(out, ",change-reason");
    buf_put_char(out, '\n');
}

static void put_column(struct buf *out, struct str text)
{
    buf_put_char(out, ',');
    buf_put_csv(out, text);
}

void audit_csv_row(const struct audit_settings *settings, const struct audit_row *row, struct buf *out)
{
    buf_put_z(out, audit_event_name(row->event));
    put_column(out, row->node);
    buf_put_char(out, ',');
    buf_put_i64(out, row->start_ms);
    buf_put_char(out, ',');
    if (row->end_ms)
        buf_put_i64(out, row->end_ms);
    if (settings->location) {
        put_column(out, row->latitude);
        put_column(out, row->longitude);
        put_column(out, row->accuracy);
    }
    if (settings->track_changes) {
        put_column(out, row->old_value);
        put_column(out, row->new_value);
    }
    if (settings->identify_user)
        put_column(out, row->user);
    if (settings->change_reasons)
        put_column(out, row->reason);
    buf_put_char(out, '\n');
}

const char *audit_event_name(enum audit_event event)
{
    return event < AUDIT_EVENTS ? event_names[event] : "";
}
