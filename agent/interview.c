/* See interview.h. The walk is the session's; here a stop is shown, a line is read and carried out. What a
 * line does is told to the walk by `enum go`, so that no screen calls another.
 */
#include "agent/leads.h"
#include "agent/interview.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/attach.h"
#include "agent/interview_words.h"
#include "agent/term.h"

#define LINE_BYTES_MAX 65536
#define COLUMNS_MAX 100
#define INDENT 2

struct ui {
    struct work *w;
    bool zh;
    bool colour;
    bool eof;
    uint32_t notes_shown, alerts_shown;
    uint32_t columns, page; /* of the screen; lines that a long list shows at once */
    struct arena scratch;   /* of one stop */
    struct buf noted;       /* the place that is noted in the store */
    struct place first;     /* the first stop there was: the way back to the start */
    struct place asked;     /* the question at hand */
    struct place target;    /* where a jump goes */
    bool has_target;
    char line[LINE_BYTES_MAX];
};

enum go { GO_NEXT, GO_BACK, GO_AGAIN, GO_JUMPED, GO_QUIT };

static const char *word(const struct ui *ui, enum word which)
{
    return interview_word(which, ui->zh);
}

static void style(const struct ui *ui, const char *code)
{
    if (ui->colour)
        printf("\033[%sm", code);
}

static void measure(struct ui *ui)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20 || size.ws_row < 10)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    ui->columns = size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
    ui->page = size.ws_row > 14 ? size.ws_row - 8u : 6u;
}

/* A line without its end. What does not fit, and what is no text, is refused whole: a half answer would be
 * worse than none. */
static struct str read_line(struct ui *ui)
{
    for (;;) {
        fflush(stdout);
        if (!fgets(ui->line, sizeof ui->line, stdin)) {
            ui->eof = true;
            return STR(":quit");
        }
        struct str line = str_of(ui->line);
        bool whole = line.n > 0 && line.p[line.n - 1] == '\n';
        int c = whole || feof(stdin) ? '\n' : getc(stdin);
        if (c == '\n' || c == EOF)
            return str_trim(line);
        while (c != '\n' && c != EOF)
            c = getc(stdin);
        printf("  ! %s\n> ", word(ui, W_TOO_LONG));
    }
}

static bool is_yes(struct str typed)
{
    return typed.n > 0 && (typed.p[0] == 'y' || typed.p[0] == 'Y' || str_eq_z(typed, "是"));
}

static void complain(struct ui *ui, const struct diag *d)
{
    style(ui, "31");
    printf("  ! ");
    term_put_wrapped(stdout, str_of(d->text), INDENT + 2, ui->columns);
    style(ui, "0");
    putchar('\n');
}

/* What the person should know, where it was not said yet. */
static void show_notes(struct ui *ui)
{
    for (; ui->notes_shown < ui->w->notes.count; ui->notes_shown++) {
        printf("  ! ");
        term_put_wrapped(stdout, ui->w->notes.at[ui->notes_shown], INDENT + 2, ui->columns);
        putchar('\n');
    }
}

void interview_alerts(const struct work *w, uint32_t from, bool zh, FILE *to)
{
    for (uint32_t i = from; i < w->alerts.count; i++) {
        fprintf(to, "  !! %s", interview_word(W_URGENT, zh));
        term_put(to, zh ? w->alerts.at[i].zh : w->alerts.at[i].en);
        fputc('\n', to);
    }
}

/* What the rules hold so urgent that it is shown before the person's own judgement. */
static void show_alerts(struct ui *ui)
{
    style(ui, "31");
    interview_alerts(ui->w, ui->alerts_shown, ui->zh, stdout);
    style(ui, "0");
    ui->alerts_shown = ui->w->alerts.count;
}

static bool save(struct ui *ui)
{
    struct diag d = {0};
    if (work_save(ui->w, &d)) {
        style(ui, "31");
        printf("  %s\n", word(ui, W_NOT_SAVED));
        complain(ui, &d);
        printf("  %s\n", ui->zh ? err_action(d.code)->todo_zh : err_action(d.code)->todo_en);
        return false;
    }
    style(ui, "2");
    printf("  ✓ %s\n", word(ui, W_SAVED));
    style(ui, "0");
    show_notes(ui);
    show_alerts(ui);
    return true;
}

/* ---- the road: every stop there is now ---- */

struct road {
    VEC(struct stop) stops;
    uint32_t at;        /* the one at hand */
    uint32_t questions; /* all of them */
    uint32_t before;    /* those before the stop at hand */
};

static bool same_stop(const struct stop *a, const struct stop *b)
{
    return a->kind == b->kind && a->place.key == b->place.key && a->place.node == b->place.node &&
           a->place.frame == b->place.frame && a->repeat == b->repeat;
}

static bool is_question(const struct stop *st)
{
    return st->kind == STOP_QUESTION || st->kind == STOP_FIELD_LIST;
}

static void go_to_start(struct ui *ui)
{
    struct diag quiet = {0};
    struct session *s = ui->w->session;
    (void)!session_jump(s, ui->first, &quiet); /* near the start, where the first stop still applies */
    while (session_stop(s).kind != STOP_START)
        session_prev(s);
}

/* Puts the session's cursor on a stop of the road. The question whether to add an entry has no place of its
 * own: it is reached from the stop before it. */
static void stand_at(struct ui *ui, const struct road *r, uint32_t index)
{
    struct diag quiet = {0};
    struct session *s = ui->w->session;
    uint32_t from = index;
    while (from > 0 &&
           (!is_question(&r->stops.at[from]) || session_jump(s, r->stops.at[from].place, &quiet) != ERR_OK))
        from--;
    if (from == 0) {
        go_to_start(ui);
        session_next(s);
    }
    for (; from < index; from++)
        session_next(s);
}

/* Walks from the start to the end and comes back. */
static void look_along(struct ui *ui, struct road *r)
{
    struct session *s = ui->w->session;
    struct stop here = session_stop(s);
    struct place *in;

    *r = (struct road){0};
    go_to_start(ui);
    for (;;) {
        struct stop st = session_next(s);
        struct stop *slot = vec_push(&ui->scratch, &r->stops);
        if (!slot)
            break;
        *slot = st;
        if (same_stop(&st, &here)) {
            r->at = r->stops.count - 1;
            r->before = r->questions;
        }
        if (is_question(&st))
            r->questions += session_stop_questions(s, &ui->scratch, &in);
        if (st.kind == STOP_END)
            break;
    }
    stand_at(ui, r, r->at);
}

/* ---- showing a question ---- */

static void show_heading(struct ui *ui, struct str group, uint32_t number, uint32_t questions)
{
    char progress[64];
    snprintf(progress, sizeof progress, word(ui, W_PROGRESS), number, questions);
    putchar('\n');
    style(ui, "2");
    printf("── %s", progress);
    if (group.n > 0) {
        printf(" · ");
        term_put(stdout, group);
    }
    printf(" ──\n");
    style(ui, "0");
}

static enum word form_of_answer(const struct question_view *v)
{
    switch (v->type) {
    case FIELD_DATE: return W_DATE;
    case FIELD_TIME: return W_TIME;
    case FIELD_DATETIME: return W_DATETIME;
    case FIELD_GEOPOINT: return W_POINT;
    default: return W_COUNT;
    }
}

static void show_aid(struct ui *ui, const struct question_view *v)
{
    enum word form = v->control == CONTROL_UPLOAD                                      ? W_FILE
                     : v->control == CONTROL_TRIGGER                                   ? W_YES
                     : v->control == CONTROL_SELECT_MANY || v->control == CONTROL_RANK ? W_MANY
                                                                                       : form_of_answer(v);
    style(ui, "2");
    if (v->hint.n > 0) {
        printf("  ");
        term_put_wrapped(stdout, v->hint, INDENT, ui->columns);
        putchar('\n');
    }
    if (form != W_COUNT && !v->readonly)
        printf("  (%s)\n", word(ui, form));
    if (v->control == CONTROL_RANGE)
        printf("  (%.*s – %.*s)\n", STR_ARG(v->range_start), STR_ARG(v->range_end));
    style(ui, "0");
}

static void show_question(struct ui *ui, const struct question_view *v)
{
    style(ui, "1");
    term_put_wrapped(stdout, v->label.n ? v->label : v->ref, 0, ui->columns);
    style(ui, "0");
    if (v->required)
        printf("  * %s", word(ui, W_REQUIRED));
    if (v->readonly)
        printf("  (%s)", word(ui, W_READONLY));
    putchar('\n');
    show_aid(ui, v);
}

/* ---- choices ---- */

struct choices {
    struct choice_view *at;
    uint32_t count;
    struct str search; /* "" = all */
    uint32_t skip;     /* so many of those that match were shown before */
};

static bool takes_choices(const struct question_view *v)
{
    return v->control == CONTROL_SELECT_ONE || v->control == CONTROL_SELECT_MANY ||
           v->control == CONTROL_RANK;
}

static bool matches(const struct choice_view *c, struct str search)
{
    return search.n == 0 || str_find(c->label, search) >= 0 || str_find(c->value, search) >= 0;
}

static void read_choices(struct ui *ui, struct place p, struct choices *out)
{
    uint32_t total = 0;
    struct diag d = {0};
    *out = (struct choices){.search = STR("")};
    if (session_choices(ui->w->session, p, 0, UINT32_MAX, &ui->scratch, &out->at, &out->count, &total, &d)) {
        complain(ui, &d);
        out->count = 0;
    }
}

static void show_choices(struct ui *ui, const struct choices *c)
{
    uint32_t met = 0, shown = 0;
    if (c->search.n > 0) {
        printf("  %s \"", word(ui, W_MATCHES));
        term_put(stdout, c->search);
        printf("\"\n");
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (!matches(&c->at[i], c->search) || met++ < c->skip || shown >= ui->page)
            continue;
        shown++;
        printf("  %s%3u  ", c->at[i].selected ? "●" : "○", i + 1);
        term_put_wrapped(stdout, c->at[i].label, INDENT + 6, ui->columns);
        putchar('\n');
    }
    if (met > c->skip + shown) {
        char more[120];
        snprintf(more, sizeof more, word(ui, W_MORE), met - c->skip - shown);
        printf("  … %s\n", more);
    }
}

/* One typed word: its number in the list, its value, or its whole label. */
static const struct choice_view *choice_named(const struct choices *c, struct str typed)
{
    uint64_t number;
    if (str_to_u64(typed, &number) && number >= 1 && number <= c->count)
        return &c->at[number - 1];
    for (uint32_t i = 0; i < c->count; i++)
        if (str_eq(c->at[i].value, typed) || str_eq(c->at[i].label, typed))
            return &c->at[i];
    return NULL;
}

static void add_value(struct buf *out, struct str value)
{
    if (out->n > 0)
        buf_put_char(out, ' ');
    buf_put_str(out, value);
}

/* "+4 -1": what is chosen already, changed. */
static bool choices_changed(const struct choices *c, struct str typed, struct buf *out)
{
    struct str rest = typed, one;
    for (uint32_t i = 0; i < c->count; i++) {
        bool in = c->at[i].selected;
        for (rest = typed; str_word(&rest, &one);)
            if (choice_named(c, str_sub(one, 1, one.n)) == &c->at[i])
                in = one.p[0] == '+';
        if (in)
            add_value(out, c->at[i].value);
    }
    for (rest = typed; str_word(&rest, &one);)
        if ((one.p[0] != '+' && one.p[0] != '-') || !choice_named(c, str_sub(one, 1, one.n)))
            return false;
    return !out->failed;
}

static bool choices_from(const struct choices *c, struct str typed, bool many, struct buf *out)
{
    struct str one;
    const struct choice_view *whole = choice_named(c, typed);
    if (whole) {
        add_value(out, whole->value);
        return !out->failed;
    }
    if (many && typed.n > 0 && (typed.p[0] == '+' || typed.p[0] == '-'))
        return choices_changed(c, typed, out);
    while (many && str_word(&typed, &one)) {
        while (one.n > 0 && (one.p[one.n - 1] == ',' || one.p[one.n - 1] == ';'))
            one.n--;
        const struct choice_view *choice = choice_named(c, one);
        if (!choice)
            return false;
        add_value(out, choice->value);
    }
    return many && !out->failed;
}

/* What is no choice is part of one's text, or a mistake. True: the list has changed. */
static bool search_choices(struct ui *ui, struct choices *c, struct str typed)
{
    uint64_t number;
    bool any = false;
    if (str_to_u64(typed, &number)) {
        printf("  ! %s\n", word(ui, W_NO_SUCH_CHOICE));
        return false;
    }
    for (uint32_t i = 0; !any && i < c->count; i++)
        any = matches(&c->at[i], typed);
    if (any) {
        c->search = arena_str(&ui->scratch, typed);
        c->skip = 0;
        return true;
    }
    printf("  ! %s \"", word(ui, W_NO_MATCH));
    term_put(stdout, typed);
    printf("\"\n");
    return false;
}

static void show_current(struct ui *ui, const struct question_view *v, const struct choices *c)
{
    bool any = false;
    if (!v->answered && v->value.n == 0)
        return;
    printf("  %s: ", word(ui, W_CURRENT));
    if (v->status == ANSWER_DONT_KNOW || v->status == ANSWER_REFUSED) {
        printf("%s", word(ui, v->status == ANSWER_REFUSED ? W_REFUSED : W_DONT_KNOW));
    } else {
        for (uint32_t i = 0; i < c->count; i++)
            if (c->at[i].selected) {
                printf("%s", any ? " · " : "");
                term_put(stdout, c->at[i].label);
                any = true;
            }
        if (!any)
            term_put_wrapped(stdout, v->value, INDENT + 6, ui->columns);
    }
    putchar('\n');
}

/* ---- answering ---- */

static struct str today_text(struct ui *ui, char out[static 16])
{
    const struct seam *seam = ui->w->o.seam;
    struct civil c = civil_at(seam->wall_ms(seam->self), ui->w->o.zone ? ui->w->o.zone : zone_utc());
    return (struct str){out, civil_write_date(civil_days(c.year, c.month, c.day), out)};
}

static enum go give_answer(struct ui *ui, struct place p, struct str value)
{
    struct diag d = {0};
    enum err rc = session_answer(ui->w->session, p, value, &d);
    if (rc) {
        if (rc == ERR_SYNTAX)
            audit_moment(ui->w->audit, AUDIT_CONSTRAINT_ERROR, &p);
        complain(ui, &d);
        return GO_AGAIN;
    }
    return save(ui) ? GO_NEXT : GO_AGAIN;
}

/* What is typed is the file's path; the answer is the name that it is kept under. */
static enum go take_file(struct ui *ui, struct place p, struct str path)
{
    struct diag d = {0};
    struct str name;
    if (attach_file(ui->w->o.store, ui->w->o.seam, &ui->scratch, path, &name, &d)) {
        complain(ui, &d);
        return GO_AGAIN;
    }
    return give_answer(ui, p, name);
}

static enum go take_answer(struct ui *ui, struct place p, const struct question_view *v, struct str typed)
{
    char today[16];
    if (v->control == CONTROL_UPLOAD)
        return take_file(ui, p, typed);
    if (v->control == CONTROL_TRIGGER)
        return give_answer(ui, p, is_yes(typed) ? STR("OK") : STR(""));
    if (v->type == FIELD_DATE && (str_eq_z(typed, "today") || str_eq_z(typed, "今天")))
        return give_answer(ui, p, today_text(ui, today));
    if (typed.p[0] == '\\' && typed.n > 1 && memchr(":<>?/\\", typed.p[1], 6))
        typed = str_sub(typed, 1, typed.n);
    return give_answer(ui, p, typed);
}

static enum go take_choice(struct ui *ui, struct place p, const struct question_view *v, struct choices *c,
                           struct str typed, bool *list_changed)
{
    struct buf b;
    buf_init(&b, LINE_BYTES_MAX);
    enum go go = GO_AGAIN;
    if (choices_from(c, typed, v->control != CONTROL_SELECT_ONE, &b))
        go = give_answer(ui, p, buf_str(&b));
    else
        *list_changed = search_choices(ui, c, typed);
    buf_free(&b);
    return go;
}

/* ---- lists to jump from ---- */

/* To that very question, also within a screen of several. */
static enum go jump_to(struct ui *ui, struct place p)
{
    struct diag d = {0};
    if (session_jump(ui->w->session, p, &d)) {
        complain(ui, &d);
        return GO_AGAIN;
    }
    ui->target = p;
    ui->has_target = true;
    return GO_JUMPED;
}

struct jump_list {
    VEC(struct place) places;
    VEC(uint32_t) stops; /* of the road */
    uint32_t here;       /* index of the question at hand */
};

static bool list_questions(struct ui *ui, const struct road *r, struct jump_list *out)
{
    struct session *s = ui->w->session;
    *out = (struct jump_list){0};
    for (uint32_t i = 0; i < r->stops.count; i++) {
        struct place *in;
        uint32_t n = 0;
        struct diag quiet = {0};
        if (is_question(&r->stops.at[i]) && !session_jump(s, r->stops.at[i].place, &quiet))
            n = session_stop_questions(s, &ui->scratch, &in);
        if (i == r->at)
            out->here = out->places.count;
        for (uint32_t k = 0; k < n; k++) {
            struct place *p = vec_push(&ui->scratch, &out->places);
            uint32_t *stop = vec_push(&ui->scratch, &out->stops);
            if (!p || !stop)
                return false;
            if (in[k].node == ui->asked.node && in[k].frame == ui->asked.frame)
                out->here = out->places.count - 1;
            *p = in[k];
            *stop = i;
        }
    }
    stand_at(ui, r, r->at);
    return true;
}

static const char *entry_mark(const struct question_view *v)
{
    if (v->answered)
        return v->violated ? "!" : "✓";
    return v->required ? "*" : " ";
}

/* Lines that it took. */
static uint32_t show_entry(struct ui *ui, const struct jump_list *l, uint32_t i, struct str *group)
{
    struct question_view v;
    struct diag d = {0};
    uint32_t lines = 1;
    if (session_view(ui->w->session, l->places.at[i], &ui->scratch, &v, &d))
        return 0;
    if (!str_eq(*group, v.group)) {
        *group = v.group;
        style(ui, "2");
        printf("  ");
        term_put_columns(stdout, v.group, ui->columns - 4, false);
        style(ui, "0");
        putchar('\n');
        lines++;
    }
    printf("%s%4u %s ", i == l->here ? "→" : " ", i + 1, entry_mark(&v));
    term_put_columns(stdout, v.label.n ? v.label : v.ref, ui->columns - 9, false);
    putchar('\n');
    return lines;
}

/* By pages, the one with the question at hand first. */
static enum go jump(struct ui *ui)
{
    struct road r;
    struct jump_list l;
    uint64_t number;

    look_along(ui, &r);
    if (!list_questions(ui, &r, &l) || l.places.count == 0)
        return GO_AGAIN;
    audit_jump(ui->w->audit);
    for (uint32_t from = l.here > ui->page / 2 ? l.here - ui->page / 2 : 0, next = from;; from = next) {
        struct str group = STR_NONE;
        for (uint32_t lines = 0; lines < ui->page && next < l.places.count; next++)
            lines += show_entry(ui, &l, next, &group);
        printf("%s\n> ", word(ui, W_GO_TO));
        struct str typed = read_line(ui);
        if (str_to_u64(typed, &number) && number >= 1 && number <= l.places.count)
            return jump_to(ui, l.places.at[number - 1]);
        if (typed.n > 0 && typed.p[0] != '<')
            return GO_AGAIN;
        if (typed.n > 0)
            next = from > ui->page ? from - ui->page : 0;
        else if (next == l.places.count)
            next = 0;
    }
}

static uint32_t show_violations(struct ui *ui, struct place **places_out)
{
    uint32_t count = session_violations(ui->w->session, &ui->scratch, places_out);
    printf("%s\n", count ? word(ui, W_MISSING) : word(ui, W_NO_ERRORS));
    for (uint32_t i = 0; i < count; i++) {
        struct question_view v;
        struct diag d = {0};
        if (session_view(ui->w->session, (*places_out)[i], &ui->scratch, &v, &d))
            continue;
        printf("  %3u  ", i + 1);
        if (v.group.n) {
            term_put(stdout, v.group);
            printf(" › ");
        }
        term_put(stdout, v.label.n ? v.label : v.ref);
        printf(": ");
        term_put(stdout, v.message.n ? v.message : str_of(word(ui, W_REQUIRED)));
        putchar('\n');
    }
    return count;
}

static enum go go_to_missing(struct ui *ui)
{
    struct place *places;
    uint64_t number;
    uint32_t count = show_violations(ui, &places);
    if (count == 0)
        return GO_AGAIN;
    printf("%s\n> ", word(ui, W_GO_TO_MISSING));
    if (!str_to_u64(read_line(ui), &number) || number < 1 || number > count)
        return GO_AGAIN;
    return jump_to(ui, places[number - 1]);
}

/* ---- commands ---- */

static enum go switch_language(struct ui *ui)
{
    const struct form *f = ui->w->form;
    struct diag d = {0};
    uint64_t number;

    printf("%s\n", word(ui, W_LANGUAGES));
    for (uint32_t i = 0; i < form_language_count(f); i++) {
        printf("  %u  ", i + 1);
        term_put(stdout, form_language(f, i));
        putchar('\n');
    }
    printf("> ");
    if (!str_to_u64(read_line(ui), &number) || number < 1 || number > form_language_count(f))
        return GO_AGAIN;
    if (session_language(ui->w->session, (uint32_t)number - 1, &d))
        complain(ui, &d);
    ui->zh = work_is_chinese(form_language(f, (uint32_t)number - 1));
    return GO_AGAIN;
}

static enum go give_status(struct ui *ui, struct place p, enum answer_status status)
{
    struct diag d = {0};
    if (session_answer_status(ui->w->session, p, status, &d)) {
        complain(ui, &d);
        return GO_AGAIN;
    }
    return save(ui) ? GO_NEXT : GO_AGAIN;
}

static enum go remove_entry(struct ui *ui, struct place p)
{
    struct diag d = {0};
    struct question_view v;
    if (p.key == 0) {
        printf("  ! %s\n", word(ui, W_NO_ENTRY));
        return GO_AGAIN;
    }
    if (!session_view(ui->w->session, p, &ui->scratch, &v, &d)) {
        printf("  ");
        term_put(stdout, v.group);
        putchar('\n');
    }
    printf("  %s\n> ", word(ui, W_REMOVE));
    if (!is_yes(read_line(ui)))
        return GO_AGAIN;
    diag_clear(&d);
    audit_moment(ui->w->audit, AUDIT_DELETE_REPEAT, &p);
    if (session_repeat_remove(ui->w->session, p, &d)) {
        complain(ui, &d);
        return GO_AGAIN;
    }
    return save(ui) ? GO_JUMPED : GO_AGAIN;
}

static enum go on_back(struct ui *ui, struct place p)
{
    (void)ui, (void)p;
    return GO_BACK;
}

static enum go on_next(struct ui *ui, struct place p)
{
    (void)ui, (void)p;
    return GO_NEXT;
}

static enum go on_quit(struct ui *ui, struct place p)
{
    (void)ui, (void)p;
    return GO_QUIT;
}

static enum go on_list(struct ui *ui, struct place p)
{
    (void)p;
    return jump(ui);
}

static enum go on_errors(struct ui *ui, struct place p)
{
    (void)p;
    return go_to_missing(ui);
}

static enum go on_end(struct ui *ui, struct place p)
{
    struct road r;
    (void)p;
    look_along(ui, &r);
    stand_at(ui, &r, r.stops.count - 1);
    return GO_JUMPED;
}

static enum go on_language(struct ui *ui, struct place p)
{
    (void)p;
    return switch_language(ui);
}

static enum go on_help(struct ui *ui, struct place p)
{
    (void)p;
    printf("%s\n", word(ui, W_HELP));
    return GO_AGAIN;
}

static enum go on_dont_know(struct ui *ui, struct place p)
{
    return give_status(ui, p, ANSWER_DONT_KNOW);
}

static enum go on_refused(struct ui *ui, struct place p)
{
    return give_status(ui, p, ANSWER_REFUSED);
}

static enum go on_comment(struct ui *ui, struct place p)
{
    struct diag d = {0};
    printf("  %s\n> ", word(ui, W_COMMENT));
    struct str text = read_line(ui);
    if (ui->eof || text.n == 0)
        return GO_AGAIN;
    if (work_comment(ui->w, p, text, &d))
        complain(ui, &d);
    else
        (void)save(ui);
    return GO_AGAIN;
}

static enum go on_clear(struct ui *ui, struct place p)
{
    enum go go = give_answer(ui, p, STR(""));
    return go == GO_NEXT ? GO_AGAIN : go;
}

static const struct command {
    const char *name, *other;
    bool of_question; /* makes sense only where a question is asked */
    enum go (*run)(struct ui *ui, struct place p);
} commands[] = {
    {"<", ":back", false, on_back},       {">", ":next", false, on_next},
    {"?", ":help", false, on_help},       {":quit", ":q", false, on_quit},
    {":list", ":l", false, on_list},      {":errors", ":e", false, on_errors},
    {":end", NULL, false, on_end},        {":lang", ":language", false, on_language},
    {":dk", NULL, true, on_dont_know},    {":refused", ":rf", true, on_refused},
    {":clear", NULL, true, on_clear},     {":remove", NULL, true, remove_entry},
    {":comment", ":c", true, on_comment},
};

/* What is typed instead of an answer. False: it is an answer. */
static bool command(struct ui *ui, const struct place *question, struct str typed, enum go *go_out)
{
    struct place p = question ? *question : (struct place){0};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct command *c = &commands[i];
        if ((c->of_question && !question) ||
            (!str_eq_z(typed, c->name) && !(c->other && str_eq_z(typed, c->other))))
            continue;
        *go_out = c->run(ui, p);
        return true;
    }
    if (typed.n == 0 || typed.p[0] != ':' || str_eq_z(typed, ":more"))
        return false;
    printf("  ! %s ", word(ui, W_NO_COMMAND));
    term_put(stdout, typed);
    putchar('\n');
    *go_out = on_help(ui, p);
    return true;
}

/* ---- stops ---- */

/* The draft opens here again. Not worth a word when it fails: an answer that fails says so itself. */
static void note_place(struct ui *ui, struct str place)
{
    struct diag quiet = {0};
    if (str_eq(place, buf_str(&ui->noted)) || ui->w->visit.key == 0)
        return;
    if (store_visit_place(ui->w->o.store, &ui->w->visit, place, &quiet))
        return;
    buf_clear(&ui->noted);
    buf_put_str(&ui->noted, place);
}

static enum go ask(struct ui *ui, struct place p, uint32_t number, uint32_t questions)
{
    struct question_view v;
    struct choices choices = {.search = STR("")};
    struct diag d = {0};
    enum go go;

    if (session_view(ui->w->session, p, &ui->scratch, &v, &d)) {
        complain(ui, &d);
        return GO_NEXT;
    }
    ui->asked = p;
    note_place(ui, v.ref);
    show_heading(ui, v.group, number, questions);
    show_question(ui, &v);
    if (takes_choices(&v))
        read_choices(ui, p, &choices);
    for (bool show = true;;) {
        if (show)
            show_choices(ui, &choices);
        show_current(ui, &v, &choices);
        printf("> ");
        struct str typed = read_line(ui);
        if (command(ui, &p, typed, &go))
            return go;
        if (typed.n == 0 || v.readonly)
            return GO_NEXT;
        show = false;
        if (str_eq_z(typed, ":more")) {
            choices.skip += ui->page;
            show = true;
        } else if (takes_choices(&v) && typed.p[0] == '/') {
            choices.skip = 0;
            choices.search = STR("");
            show = typed.n == 1 || search_choices(ui, &choices, str_sub(typed, 1, typed.n));
        } else {
            go = takes_choices(&v) ? take_choice(ui, p, &v, &choices, typed, &show)
                                   : take_answer(ui, p, &v, typed);
            if (go != GO_AGAIN)
                return go;
        }
    }
}

static uint32_t index_of(struct ui *ui, const struct place *places, uint32_t count, struct str ref)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(session_ref(ui->w->session, places[i], &ui->scratch), ref))
            return i;
    return count;
}

static uint32_t place_index(const struct place *places, uint32_t count, struct place p)
{
    uint32_t i = 0;
    while (i < count && (places[i].node != p.node || places[i].frame != p.frame))
        i++;
    return i;
}

/* All questions of one stop; back from the first one leaves it. Begins with the target of a jump, with the
 * last question for who comes back from behind, else with the first. */
static enum go ask_stop(struct ui *ui, bool from_behind)
{
    struct place *places;
    struct road r;
    uint32_t count = session_stop_questions(ui->w->session, &ui->scratch, &places);
    uint32_t i = ui->has_target ? place_index(places, count, ui->target) : from_behind ? count - 1 : 0;

    ui->has_target = false;
    look_along(ui, &r);
    audit_view(ui->w->audit);
    for (i = i < count ? i : 0; i < count;) {
        enum go go = ask(ui, places[i], r.before + i + 1, r.questions);
        if (go == GO_BACK && i > 0) {
            i--;
        } else if (go == GO_NEXT) {
            /* An answer may have shown or hidden neighbours. */
            struct place at = places[i];
            count = session_stop_questions(ui->w->session, &ui->scratch, &places);
            i = place_index(places, count, at) + 1;
            look_along(ui, &r);
        } else if (go != GO_AGAIN || ui->eof) {
            return go;
        }
    }
    return GO_NEXT;
}

/* A place for the prompt of a repeat: its parent's and its path. */
static struct str prompt_place(struct ui *ui, const struct stop *st)
{
    struct buf b;
    buf_init(&b, 8192);
    buf_put_str(&b, session_ref(ui->w->session, st->place, &ui->scratch));
    buf_put_z(&b, " + ");
    buf_put_str(&b, form_repeat(ui->w->form, st->repeat)->path);
    struct str place = arena_str(&ui->scratch, buf_str(&b));
    buf_free(&b);
    return place;
}

static enum go ask_repeat(struct ui *ui, const struct stop *st)
{
    struct session *s = ui->w->session;
    struct diag d = {0};
    struct place added;
    enum go go;

    if (!st->can_add)
        return GO_NEXT;
    note_place(ui, prompt_place(ui, st));
    audit_view(ui->w->audit);
    struct str label = session_repeat_label(s, st, &ui->scratch);
    printf("\n");
    style(ui, "1");
    term_put(stdout, label.n ? label : form_repeat(ui->w->form, st->repeat)->path);
    style(ui, "0");
    if (st->count > 0)
        printf(": %u %s\n> ", st->count, word(ui, W_ADD_MORE));
    else
        printf(": %s\n> ", word(ui, W_ADD));
    struct str typed = read_line(ui);
    if (command(ui, NULL, typed, &go))
        return go;
    if (!is_yes(typed))
        return GO_NEXT;
    if (session_repeat_add(s, st->place, st->repeat, &added, &d) || session_jump(s, added, &d)) {
        complain(ui, &d);
        return GO_AGAIN;
    }
    return save(ui) ? GO_JUMPED : GO_AGAIN;
}

/* ---- the end ---- */

struct tally {
    uint32_t answers, not_answers;
};

static struct tally count_answers(struct ui *ui)
{
    struct road r;
    struct jump_list l;
    struct tally t = {0};
    look_along(ui, &r);
    if (!list_questions(ui, &r, &l))
        return t;
    for (uint32_t i = 0; i < l.places.count; i++) {
        struct question_view v;
        struct diag quiet = {0};
        if (session_view(ui->w->session, l.places.at[i], &ui->scratch, &v, &quiet) || !v.answered)
            continue;
        t.answers++;
        t.not_answers += v.status == ANSWER_DONT_KNOW || v.status == ANSWER_REFUSED;
    }
    return t;
}

static void print_receipt(const struct work *w, const struct work_result *r, struct tally t, bool zh)
{
    printf("\n✓ %s: ", interview_word(W_FINALISED, zh));
    term_put(stdout, form_title(w->form).n ? form_title(w->form) : form_id(w->form));
    if (w->has_household) {
        printf(" · ");
        term_put(stdout, w->household.code);
        putchar(' ');
        term_put(stdout, w->household.name);
    }
    printf("\n  ");
    printf(interview_word(W_ANSWERS, zh), t.answers);
    if (t.not_answers > 0)
        printf(interview_word(W_NOT_ANSWERED, zh), t.not_answers);
    if (r->instance_id.n) {
        printf(" · %s ", interview_word(W_RECORD, zh));
        term_put(stdout, r->instance_id);
    }
    printf("\n  %s\n", interview_word(W_SENT_LATER, zh));
}

static void print_findings(const struct work_result *r, bool zh)
{
    struct buf page;
    struct str rest, line;
    buf_init(&page, 4u << 20);
    if (r->judged)
        judgement_text(&r->judgement, zh ? STR("zh") : STR("en"), &page);
    else
        buf_put_z(&page, interview_word(W_NO_PACK, zh));
    putchar('\n');
    for (rest = buf_str(&page); str_split(&rest, '\n', &line);) {
        term_put(stdout, line);
        putchar('\n');
    }
    buf_free(&page);
}

void interview_result(const struct work *w, const struct work_result *r, uint32_t answers, bool zh)
{
    print_findings(r, zh);
    print_receipt(w, r, (struct tally){.answers = answers}, zh);
}

static struct str own_judgement(struct ui *ui)
{
    if (!ui->w->pack)
        return STR("");
    printf("%s\n> ", word(ui, W_JUDGEMENT));
    struct str own = read_line(ui);
    if (own.n == 0) {
        printf("%s\n> ", word(ui, W_JUDGEMENT_AGAIN));
        own = read_line(ui);
    }
    return arena_str(&ui->scratch, own);
}

/* Some forms want to know why what was sent is corrected. */
static void ask_reason(struct ui *ui)
{
    struct work *w = ui->w;
    if (!w->visit.edit || !form_audit(w->form)->change_reasons || w->o.reason)
        return;
    printf("%s\n> ", word(ui, W_REASON));
    struct str reason = read_line(ui);
    w->o.reason = ui->eof || reason.n == 0 ? NULL : arena_z(&w->arena, reason);
    if (w->o.reason)
        audit_reason(w->audit, str_of(w->o.reason));
}

static struct str lead_line(void *self)
{
    return read_line(self);
}

static bool lead_ended(void *self)
{
    return ((struct ui *)self)->eof;
}

/* The visit is sealed by now: what stands open about the household is told apart from it. */
static void ask_leads(struct ui *ui, const struct work_result *r)
{
    struct diag d = {0};
    const struct lead_asking q = {.w = ui->w,
                                  .zh = ui->zh,
                                  .category = r->judged ? r->judgement.category : STR(""),
                                  .self = ui,
                                  .read_line = lead_line,
                                  .ended = lead_ended};
    if (lead_ask(&q, &d))
        complain(ui, &d);
}

static enum go finish(struct ui *ui)
{
    struct work_result r;
    struct diag d = {0};
    struct tally tally = count_answers(ui);
    struct str own = own_judgement(ui);

    if (!ui->eof)
        ask_reason(ui);
    if (ui->eof || !own.p)
        return GO_QUIT;
    if (work_finish(ui->w, &ui->scratch, own, &r, &d)) {
        complain(ui, &d);
        printf("  %s\n", ui->zh ? err_action(d.code)->todo_zh : err_action(d.code)->todo_en);
        return GO_AGAIN;
    }
    print_findings(&r, ui->zh);
    ask_leads(ui, &r);
    show_notes(ui);
    print_receipt(ui->w, &r, tally, ui->zh);
    return GO_NEXT;
}

static enum go ask_end(struct ui *ui)
{
    struct place *places;
    enum go go;

    note_place(ui, STR("end"));
    audit_view(ui->w->audit);
    putchar('\n');
    uint32_t missing = session_violations(ui->w->session, &ui->scratch, &places);
    if (missing > 0)
        show_violations(ui, &places);
    printf("%s\n> ", word(ui, W_FINISH));
    struct str typed = read_line(ui);
    if (str_eq_z(typed, "q"))
        return GO_QUIT;
    if (str_eq_z(typed, "f") && missing == 0)
        return finish(ui);
    if (str_eq_z(typed, "f"))
        return jump_to(ui, places[0]);
    if (command(ui, NULL, typed, &go))
        return go == GO_NEXT ? GO_AGAIN : go;
    return GO_AGAIN;
}

/* ---- the walk ---- */

static bool is_open(struct ui *ui, struct place p)
{
    struct question_view v;
    struct diag quiet = {0};
    return !session_view(ui->w->session, p, &ui->scratch, &v, &quiet) && !v.answered && !v.readonly &&
           v.control != CONTROL_UPLOAD;
}

/* Where the person stopped; where that does not apply any more, the first question without an answer. */
static void resume(struct ui *ui)
{
    struct session *s = ui->w->session;
    struct str wanted = ui->w->visit.place;
    struct road r;
    uint32_t open = UINT32_MAX;

    look_along(ui, &r);
    for (uint32_t i = 0; i < r.stops.count; i++) {
        const struct stop *st = &r.stops.at[i];
        struct place *in = NULL;
        uint32_t n = 0;
        struct diag quiet = {0};
        if (is_question(st) && !session_jump(s, st->place, &quiet))
            n = session_stop_questions(s, &ui->scratch, &in);
        uint32_t at = index_of(ui, in, n, wanted);
        for (uint32_t k = 0; open == UINT32_MAX && k < n; k++)
            open = is_open(ui, in[k]) ? i : open;
        ui->has_target = at < n;
        if (ui->has_target)
            ui->target = in[at];
        if (ui->has_target || (st->kind == STOP_END && str_eq_z(wanted, "end")) ||
            (st->kind == STOP_REPEAT && str_eq(prompt_place(ui, st), wanted))) {
            stand_at(ui, &r, i);
            return;
        }
    }
    stand_at(ui, &r, open != UINT32_MAX ? open : r.stops.count - 1);
}

static void greet(struct ui *ui)
{
    const struct work *w = ui->w;
    const struct str *warnings;
    uint32_t count = session_warnings(w->session, &warnings);

    style(ui, "1");
    term_put(stdout, form_title(w->form).n ? form_title(w->form) : form_id(w->form));
    style(ui, "0");
    if (w->has_household) {
        printf(" · ");
        term_put(stdout, w->household.code);
        putchar(' ');
        term_put(stdout, w->household.name);
    }
    putchar('\n');
    show_notes(ui);
    show_alerts(ui);
    for (uint32_t i = 0; i < count; i++) {
        printf("  ! ");
        term_put_wrapped(stdout, warnings[i], INDENT + 2, ui->columns);
        putchar('\n');
    }
    if (w->visit.resumed)
        printf("%s\n", word(ui, W_RESUMED));
    else if (w->visit.revisit)
        printf("%s (%s %.*s)\n", word(ui, W_REVISIT), word(ui, W_LAST_VISIT),
               STR_ARG(str_sub(w->visit.prev_ended, 0, 10)));
    printf("%s\n", word(ui, W_KEYS));
}

static void walk(struct ui *ui)
{
    struct session *s = ui->w->session;
    struct stop st = session_next(s);
    bool from_behind = false;

    ui->first = st.place;
    if (ui->w->visit.resumed) {
        resume(ui);
        st = session_stop(s);
    }
    for (;;) {
        struct arena_mark mark = arena_mark(&ui->scratch);
        enum go go = st.kind == STOP_END      ? ask_end(ui)
                     : st.kind == STOP_REPEAT ? ask_repeat(ui, &st)
                     : st.kind == STOP_START  ? GO_NEXT
                                              : ask_stop(ui, from_behind);
        arena_release(&ui->scratch, mark);
        if (go == GO_QUIT || ui->eof) {
            printf("\n%s\n", word(ui, ui->w->visit.key ? W_DRAFT_KEPT : W_NOTHING_BEGUN));
            return;
        }
        if (go == GO_NEXT && st.kind == STOP_END)
            return;
        from_behind = go == GO_BACK;
        st = go == GO_NEXT ? session_next(s) : go == GO_BACK ? session_prev(s) : session_stop(s);
    }
}

void interview_run(struct work *w, bool zh)
{
    struct ui ui = {.w = w, .zh = zh, .colour = isatty(STDOUT_FILENO) != 0};
    arena_init(&ui.scratch, WORK_MEMORY_MAX);
    buf_init(&ui.noted, 65536);
    measure(&ui);
    greet(&ui);
    walk(&ui);
    buf_free(&ui.noted);
    arena_free(&ui.scratch);
}
