/* `doorstep fill`: an interview in the terminal, question by question, or from a script.
 *
 * Every accepted answer is committed before "saved" is printed, so a killed terminal loses nothing: the next
 * `fill` of the same form and household goes on at the first question without an answer. Findings are shown
 * only after the person's own judgement.
 */
#include "agent/cli.h"
#include "agent/work.h"
#include "platform/posix/posix_seam.h"

#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 65536
#define CHOICES_SHOWN 25

enum word {
    W_HELP,
    W_SAVED,
    W_NOT_SAVED,
    W_NO_SUCH_CHOICE,
    W_ADD,
    W_FINISH,
    W_MISSING,
    W_JUDGEMENT,
    W_SENT_LATER,
    W_DRAFT_KEPT,
    W_ANSWERED,
    W_REQUIRED,
    W_READONLY,
    W_CURRENT,
    W_START,
    W_MORE,
    W_RESUMED,
    W_REVISIT,
    W_NO_PACK,
    W_FILE,
    W_YES,
    W_DONT_KNOW,
    W_REFUSED,
    W_LANGUAGES,
    W_JUMP,
    W_NO_ERRORS,
    W_COUNT
};
/* en, zh */
static const char *const words[W_COUNT][2] = {
    [W_HELP] =
        {"Enter: keep and go on   <  back   :list  jump   :errors  what is missing   :lang  language\n"
         ":dk  do not know   :refused  does not want to say   :clear  empty it   :remove  remove this entry  "
         " :quit  leave, the draft stays",
         "回车：保留并继续   <  返回   :list  跳转   :errors  未完成项   :lang  语言\n"
         ":dk  不知道   :refused  不愿回答   :clear  清空   :remove  删除本条   :quit  退出（草稿保留）"},
    [W_SAVED] = {"saved", "已保存"},
    [W_NOT_SAVED] = {"NOT saved", "未保存"},
    [W_NO_SUCH_CHOICE] = {"no such choice: type its number, or /word to search",
                          "没有这个选项：请输入编号，或用 /词 搜索"},
    [W_ADD] = {"add one more? (y/n)", "再添加一条？（y/n）"},
    [W_FINISH] = {"End of the interview. f: finish   <: back   q: leave, the draft stays",
                  "访谈到此结束。f：完成   <：返回   q：退出（草稿保留）"},
    [W_MISSING] = {"Not complete yet:", "尚未完成："},
    [W_JUDGEMENT] = {"Before you see the findings: your own judgement of this household (free text)",
                     "在看到风险线索之前，请写下您自己对这户的判断"},
    [W_SENT_LATER] = {"Finalised. It leaves with the next sync.", "已完成。下次同步时上传。"},
    [W_DRAFT_KEPT] = {"The draft is kept. The same command goes on.", "草稿已保留。用同一命令可继续。"},
    [W_ANSWERED] = {"answers saved", "个答案已保存"},
    [W_REQUIRED] = {"required", "必填"},
    [W_READONLY] = {"for information", "说明"},
    [W_CURRENT] = {"now", "现为"},
    [W_START] = {"beginning", "开头"},
    [W_MORE] = {"more: /word searches", "项未显示：用 /词 搜索"},
    [W_RESUMED] = {"Going on with the draft.", "继续草稿。"},
    [W_REVISIT] = {"A further visit: earlier answers are carried, change what has changed.",
                   "再次走访：已带出上次答案，请只修改有变化的内容。"},
    [W_NO_PACK] = {"No rule pack for this form on the device: nothing was judged.",
                   "设备上没有本表的规则包：未做研判。"},
    [W_FILE] = {"photos and files are not taken in the terminal; Enter goes on",
                "终端中不拍照、不选文件；回车继续"},
    [W_YES] = {"y confirms", "输入 y 确认"},
    [W_DONT_KNOW] = {"does not know", "不知道"},
    [W_REFUSED] = {"refused", "拒答"},
    [W_LANGUAGES] = {"languages:", "语言："},
    [W_JUMP] = {"number of the question:", "问题编号："},
    [W_NO_ERRORS] = {"nothing is missing or contradictory", "没有缺项或矛盾"},
};

struct ui {
    struct work *w;
    bool zh;
    bool colour;
    bool eof;
    char line[LINE_MAX_BYTES]; /* one typed line */
    struct arena scratch;
    uint32_t saved;
};

static const char *word(const struct ui *ui, enum word which)
{
    return words[which][ui->zh];
}

static void style(const struct ui *ui, const char *code)
{
    if (ui->colour)
        printf("\033[%sm", code);
}

/* Labels come from files: control characters must not reach the terminal. */
static void put(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != 0x7f)
            putchar(c);
        else if (c == '\n')
            fputs("\n  ", stdout);
    }
}

static struct str read_line(struct ui *ui)
{
    fflush(stdout);
    if (!fgets(ui->line, sizeof ui->line, stdin)) {
        ui->eof = true;
        return STR(":quit");
    }
    return str_trim(str_of(ui->line));
}

static void complain(struct ui *ui, const struct diag *d)
{
    style(ui, "31");
    printf("  ! ");
    put(str_of(d->text));
    style(ui, "0");
    putchar('\n');
}

static bool save(struct ui *ui)
{
    struct diag d = {0};
    if (work_save(ui->w, &d)) {
        printf("  %s: ", word(ui, W_NOT_SAVED));
        complain(ui, &d);
        return false;
    }
    ui->saved++;
    style(ui, "2");
    printf("  ✓ %s\n", word(ui, W_SAVED));
    style(ui, "0");
    return true;
}

/* ---- one question ---- */

enum go { GO_NEXT, GO_BACK, GO_AGAIN, GO_JUMPED, GO_QUIT };

static void show_head(struct ui *ui, const struct question_view *v)
{
    putchar('\n');
    if (v->group.n > 0) {
        style(ui, "2");
        put(v->group);
        style(ui, "0");
        putchar('\n');
    }
    style(ui, "1");
    put(v->label.n ? v->label : v->ref);
    style(ui, "0");
    if (v->required)
        printf("  * %s", word(ui, W_REQUIRED));
    if (v->readonly)
        printf("  (%s)", word(ui, W_READONLY));
    putchar('\n');
    if (v->hint.n > 0) {
        style(ui, "2");
        printf("  ");
        put(v->hint);
        style(ui, "0");
        putchar('\n');
    }
}

static uint32_t show_choices(struct ui *ui, struct place p, struct str search,
                             struct choice_view **choices_out)
{
    uint32_t count = 0, total = 0, shown = 0;
    struct diag d = {0};
    *choices_out = NULL;
    if (session_choices(ui->w->session, p, 0, UINT32_MAX, &ui->scratch, choices_out, &count, &total, &d)) {
        complain(ui, &d);
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct choice_view *c = &(*choices_out)[i];
        if (search.n > 0 && str_find(c->label, search) < 0 && str_find(c->value, search) < 0)
            continue;
        if (shown++ >= CHOICES_SHOWN)
            continue;
        printf("  %s%2u  ", c->selected ? "●" : "○", i + 1);
        put(c->label.n ? c->label : c->value);
        putchar('\n');
    }
    if (shown > CHOICES_SHOWN)
        printf("  … %u %s\n", shown - CHOICES_SHOWN, word(ui, W_MORE));
    return count;
}

/* "3", "1 4", "female": numbers of the list, else values. */
static bool choices_from(struct str typed, const struct choice_view *choices, uint32_t count, bool many,
                         struct buf *out)
{
    struct str one;
    for (uint32_t taken = 0; str_word(&typed, &one); taken++) {
        uint64_t number;
        struct str value = STR_NONE;
        while (one.n > 0 && (one.p[one.n - 1] == ',' || one.p[one.n - 1] == ';'))
            one.n--;
        if (str_to_u64(one, &number) && number >= 1 && number <= count)
            value = choices[number - 1].value;
        for (uint32_t i = 0; !value.p && i < count; i++)
            if (str_eq(choices[i].value, one))
                value = one;
        if (!value.p || (taken > 0 && !many))
            return false;
        if (taken > 0)
            buf_put_char(out, ' ');
        buf_put_str(out, value);
    }
    return !out->failed;
}

static struct str today_text(struct ui *ui, char out[static 16])
{
    const struct seam *seam = ui->w->o.seam;
    struct civil c = civil_at(seam->wall_ms(seam->self), ui->w->o.zone ? ui->w->o.zone : zone_utc());
    return (struct str){out, civil_write_date(civil_days(c.year, c.month, c.day), out)};
}

static enum go take_answer(struct ui *ui, struct place p, const struct question_view *v, struct str typed,
                           const struct choice_view *choices, uint32_t count)
{
    struct diag d = {0};
    struct buf b;
    char today[16];
    struct str value = typed;

    buf_init(&b, LINE_MAX_BYTES);
    if (v->control == CONTROL_SELECT_ONE || v->control == CONTROL_SELECT_MANY || v->control == CONTROL_RANK) {
        if (!choices_from(typed, choices, count, v->control != CONTROL_SELECT_ONE, &b)) {
            printf("  ! %s\n", word(ui, W_NO_SUCH_CHOICE));
            buf_free(&b);
            return GO_AGAIN;
        }
        value = buf_str(&b);
    } else if (v->control == CONTROL_TRIGGER) {
        value = typed.p[0] == 'y' || typed.p[0] == 'Y' ? STR("OK") : STR("");
    } else if (v->type == FIELD_DATE && (str_eq_z(typed, "today") || str_eq_z(typed, "今天"))) {
        value = today_text(ui, today);
    }
    enum err rc = session_answer(ui->w->session, p, value, &d);
    buf_free(&b);
    if (rc) {
        complain(ui, &d);
        return GO_AGAIN;
    }
    return save(ui) ? GO_NEXT : GO_AGAIN;
}

static void show_violations(struct ui *ui)
{
    struct place *places;
    uint32_t count = session_violations(ui->w->session, &ui->scratch, &places);
    if (count == 0)
        printf("  %s\n", word(ui, W_NO_ERRORS));
    else
        printf("%s\n", word(ui, W_MISSING));
    for (uint32_t i = 0; i < count; i++) {
        struct question_view v;
        struct diag d = {0};
        if (session_view(ui->w->session, places[i], &ui->scratch, &v, &d))
            continue;
        printf("  - ");
        put(v.label.n ? v.label : v.ref);
        printf(": ");
        put(v.message.n ? v.message : str_of(word(ui, W_REQUIRED)));
        putchar('\n');
    }
}

/* Walks the interview to list its questions, then comes back or goes where the person says. */
static enum go jump(struct ui *ui)
{
    struct session *s = ui->w->session;
    struct diag d = {0};
    VEC(struct place) places = {0};
    struct stop back = session_stop(s);

    while (session_stop(s).kind != STOP_START)
        session_prev(s);
    for (struct stop st = session_next(s); st.kind != STOP_END; st = session_next(s)) {
        struct place *in;
        uint32_t n = st.kind == STOP_REPEAT ? 0 : session_stop_questions(s, &ui->scratch, &in);
        for (uint32_t i = 0; i < n; i++) {
            struct question_view v;
            struct place *slot = vec_push(&ui->scratch, &places);
            if (!slot || session_view(s, in[i], &ui->scratch, &v, &d))
                break;
            *slot = in[i];
            printf("  %3u %s ", places.count, v.violated ? "!" : v.answered ? "✓" : " ");
            put(v.label.n ? v.label : v.ref);
            putchar('\n');
        }
    }
    printf("%s ", word(ui, W_JUMP));
    uint64_t number;
    if (str_to_u64(read_line(ui), &number) && number >= 1 && number <= places.count)
        return session_jump(s, places.at[number - 1], &d) ? GO_AGAIN : GO_JUMPED;
    if (back.kind == STOP_QUESTION || back.kind == STOP_FIELD_LIST)
        (void)!session_jump(s, back.place, &d);
    return GO_JUMPED;
}

static enum go switch_language(struct ui *ui)
{
    const struct form *f = ui->w->form;
    struct diag d = {0};
    uint64_t number;

    printf("%s\n", word(ui, W_LANGUAGES));
    for (uint32_t i = 0; i < form_language_count(f); i++) {
        printf("  %u  ", i + 1);
        put(form_language(f, i));
        putchar('\n');
    }
    if (str_to_u64(read_line(ui), &number) && number >= 1 && number <= form_language_count(f)) {
        if (session_language(ui->w->session, (uint32_t)number - 1, &d))
            complain(ui, &d);
        ui->zh = str_find(form_language(f, (uint32_t)number - 1), STR("zh")) >= 0;
    }
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
    if (session_repeat_remove(ui->w->session, p, &d)) {
        complain(ui, &d);
        return GO_AGAIN;
    }
    return save(ui) ? GO_JUMPED : GO_AGAIN;
}

/* What is typed instead of an answer. GO_AGAIN with *handled false: it is an answer. */
static enum go command(struct ui *ui, struct place p, struct str typed, bool *handled)
{
    struct diag d = {0};
    *handled = true;
    if (str_eq_z(typed, "<"))
        return GO_BACK;
    if (str_eq_z(typed, ">"))
        return GO_NEXT;
    if (str_eq_z(typed, ":quit") || str_eq_z(typed, ":q"))
        return GO_QUIT;
    if (str_eq_z(typed, ":list"))
        return jump(ui);
    if (str_eq_z(typed, ":lang"))
        return switch_language(ui);
    if (str_eq_z(typed, ":dk"))
        return give_status(ui, p, ANSWER_DONT_KNOW);
    if (str_eq_z(typed, ":refused"))
        return give_status(ui, p, ANSWER_REFUSED);
    if (str_eq_z(typed, ":remove"))
        return remove_entry(ui, p);
    if (str_eq_z(typed, ":errors")) {
        show_violations(ui);
        return GO_AGAIN;
    }
    if (str_eq_z(typed, ":clear")) {
        if (session_answer(ui->w->session, p, STR(""), &d)) {
            complain(ui, &d);
            return GO_AGAIN;
        }
        save(ui);
        return GO_AGAIN;
    }
    if (str_eq_z(typed, "?") || (typed.n > 0 && typed.p[0] == ':')) {
        printf("%s\n", word(ui, W_HELP));
        return GO_AGAIN;
    }
    *handled = false;
    return GO_AGAIN;
}

static void show_current(struct ui *ui, const struct question_view *v, const struct choice_view *choices,
                         uint32_t count)
{
    struct str value = v->value;
    if (v->status == ANSWER_DONT_KNOW)
        value = str_of(word(ui, W_DONT_KNOW));
    else if (v->status == ANSWER_REFUSED)
        value = str_of(word(ui, W_REFUSED));
    else if (v->control == CONTROL_SELECT_ONE)
        for (uint32_t i = 0; i < count; i++)
            if (choices[i].selected && choices[i].label.n)
                value = choices[i].label;
    if (value.n == 0)
        return;
    printf("  %s: ", word(ui, W_CURRENT));
    put(value);
    putchar('\n');
}

static enum go ask(struct ui *ui, struct place p)
{
    struct question_view v;
    struct choice_view *choices = NULL;
    struct str search = STR_NONE;
    struct diag d = {0};
    uint32_t count = 0;

    if (session_view(ui->w->session, p, &ui->scratch, &v, &d)) {
        complain(ui, &d);
        return GO_NEXT;
    }
    show_head(ui, &v);
    for (;;) {
        bool handled;
        if (v.control == CONTROL_SELECT_ONE || v.control == CONTROL_SELECT_MANY || v.control == CONTROL_RANK)
            count = show_choices(ui, p, search, &choices);
        if (v.control == CONTROL_UPLOAD)
            printf("  %s\n", word(ui, W_FILE));
        if (v.control == CONTROL_TRIGGER)
            printf("  %s\n", word(ui, W_YES));
        show_current(ui, &v, choices, count);
        printf("> ");
        struct str typed = read_line(ui);
        enum go go = command(ui, p, typed, &handled);
        if (handled)
            return go;
        if (typed.n == 0 || v.readonly || v.control == CONTROL_UPLOAD)
            return GO_NEXT;
        if (typed.p[0] == '/' && choices) {
            search = arena_str(&ui->scratch, str_sub(typed, 1, typed.n - 1));
            continue;
        }
        return take_answer(ui, p, &v, typed, choices, count);
    }
}

/* ---- the walk ---- */

static enum go ask_repeat(struct ui *ui, const struct stop *st)
{
    struct diag d = {0};
    struct place added;
    bool handled;

    if (!st->can_add)
        return GO_NEXT;
    struct str path = form_repeat(ui->w->form, st->repeat)->path;
    printf("\n");
    style(ui, "1");
    put(path);
    style(ui, "0");
    printf(" (%u): %s\n> ", st->count, word(ui, W_ADD));
    struct str typed = read_line(ui);
    enum go go = command(ui, st->place, typed, &handled);
    if (handled)
        return go;
    if (typed.n == 0 || (typed.p[0] != 'y' && typed.p[0] != 'Y'))
        return GO_NEXT;
    if (session_repeat_add(ui->w->session, st->place, st->repeat, &added, &d) ||
        session_jump(ui->w->session, added, &d)) {
        complain(ui, &d);
        return GO_AGAIN;
    }
    return save(ui) ? GO_JUMPED : GO_AGAIN;
}

/* All questions of one stop; back from the first one leaves it. */
static enum go ask_stop(struct ui *ui, const struct stop *st)
{
    struct place *places;
    uint32_t i = 0;
    uint32_t count = session_stop_questions(ui->w->session, &ui->scratch, &places);

    while (i < count) {
        enum go go = ask(ui, places[i]);
        if (go == GO_BACK && i > 0)
            i--;
        else if (go == GO_NEXT) {
            /* An answer may have shown or hidden neighbours. */
            struct place at = places[i];
            count = session_stop_questions(ui->w->session, &ui->scratch, &places);
            for (i = 0; i < count && (places[i].node != at.node || places[i].frame != at.frame); i++) {
            }
            i++;
        } else if (go != GO_AGAIN) {
            return go;
        }
    }
    (void)st;
    return GO_NEXT;
}

static void print_result(struct ui *ui, const struct work_result *r)
{
    struct buf page;
    buf_init(&page, 1u << 20);
    if (r->judged)
        judgement_text(&r->judgement, ui->zh ? STR("zh") : STR("en"), &page);
    else
        buf_put_z(&page, word(ui, W_NO_PACK));
    printf("\n");
    fwrite(page.p, 1, page.n, stdout);
    printf("\n%s\n", word(ui, W_SENT_LATER));
    buf_free(&page);
}

static enum go finish(struct ui *ui)
{
    struct place *places;
    struct work_result r;
    struct diag d = {0};

    printf("\n");
    if (session_violations(ui->w->session, &ui->scratch, &places) > 0)
        show_violations(ui);
    printf("%s\n> ", word(ui, W_FINISH));
    struct str typed = read_line(ui);
    if (str_eq_z(typed, "<"))
        return GO_BACK;
    if (typed.n == 0 || typed.p[0] == 'q' || typed.p[0] == ':')
        return GO_QUIT;
    if (typed.p[0] != 'f')
        return GO_AGAIN;
    if (session_violations(ui->w->session, &ui->scratch, &places) > 0)
        return session_jump(ui->w->session, places[0], &d) ? GO_AGAIN : GO_JUMPED;
    printf("%s\n> ", word(ui, W_JUDGEMENT));
    struct str own = arena_str(&ui->scratch, read_line(ui));
    if (ui->eof)
        return GO_QUIT;
    if (work_finish(ui->w, &ui->scratch, own, &r, &d)) {
        complain(ui, &d);
        return GO_AGAIN;
    }
    print_result(ui, &r);
    return GO_NEXT;
}

/* After a kill or a pause: on to the first question that has no answer. */
static struct stop first_open(struct ui *ui)
{
    struct session *s = ui->w->session;
    struct stop st = session_next(s);
    while (st.kind != STOP_END) {
        struct place *places;
        uint32_t n = st.kind == STOP_REPEAT ? 0 : session_stop_questions(s, &ui->scratch, &places);
        for (uint32_t i = 0; i < n; i++) {
            struct question_view v;
            struct diag d = {0};
            if (!session_view(s, places[i], &ui->scratch, &v, &d) && !v.answered && !v.readonly &&
                v.control != CONTROL_UPLOAD)
                return st;
        }
        st = session_next(s);
    }
    return st;
}

static void interview(struct ui *ui)
{
    struct session *s = ui->w->session;
    bool resumed = ui->w->visit.resumed;

    printf("%s\n%s\n",
           resumed                ? word(ui, W_RESUMED)
           : ui->w->visit.revisit ? word(ui, W_REVISIT)
                                  : "",
           word(ui, W_HELP));
    struct stop st = resumed ? first_open(ui) : session_next(s);
    for (;;) {
        struct arena_mark mark = arena_mark(&ui->scratch);
        enum go go = st.kind == STOP_END      ? finish(ui)
                     : st.kind == STOP_REPEAT ? ask_repeat(ui, &st)
                     : st.kind == STOP_START  ? GO_NEXT
                                              : ask_stop(ui, &st);
        arena_release(&ui->scratch, mark);
        if (go == GO_QUIT || ui->eof) {
            printf("\n%s\n", word(ui, W_DRAFT_KEPT));
            return;
        }
        if (go == GO_NEXT && st.kind == STOP_END)
            return;
        if (go == GO_NEXT)
            st = session_next(s);
        else if (go == GO_BACK)
            st = session_prev(s);
        else
            st = session_stop(s);
    }
}

/* ---- scripts ---- */

struct script {
    struct work *w;
    const char *file;
    uint32_t line;
    uint32_t answers;
    struct str judgement;
    struct arena *a;
};

/* \n, \t and \\ in a value. */
static struct str unescape(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    size_t n = 0;
    if (!p)
        return STR_NONE;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n) {
            i++;
            p[n++] = s.p[i] == 'n' ? '\n' : s.p[i] == 't' ? '\t' : s.p[i];
        } else {
            p[n++] = s.p[i];
        }
    }
    return (struct str){p, n};
}

/* "/hh/member[2]/visit" -> its parent "/hh/member[2]" and the repeat "/hh/member/visit". */
static enum err script_add(struct script *sc, struct str ref, struct diag *d)
{
    struct buf path;
    struct place parent, added;
    size_t slash = ref.n;

    while (slash > 0 && ref.p[slash - 1] != '/')
        slash--;
    if (slash < 2)
        return diag_set(d, ERR_USAGE, "@add wants the path of a repeat, such as /household/member");
    enum err rc = session_place(sc->w->session, str_sub(ref, 0, slash - 1), &parent, d);
    if (rc)
        return rc;
    buf_init(&path, 4096);
    for (size_t i = 0, depth = 0; i < ref.n; i++) {
        depth += ref.p[i] == '[';
        if (depth == 0)
            buf_put_char(&path, ref.p[i]);
        depth -= ref.p[i] == ']' && depth > 0;
    }
    rc = ERR_NOT_FOUND;
    for (uint32_t i = 0; i < form_repeat_count(sc->w->form); i++)
        if (str_eq(form_repeat(sc->w->form, i)->path, buf_str(&path)))
            rc = session_repeat_add(sc->w->session, parent, i, &added, d);
    buf_free(&path);
    return rc == ERR_NOT_FOUND ? diag_set(d, rc, "the form has no repeat %.*s", STR_ARG(ref)) : rc;
}

static enum err script_status(struct script *sc, struct str ref, struct str what, struct diag *d)
{
    struct place p;
    enum answer_status status = str_eq_z(what, "refused")     ? ANSWER_REFUSED
                                : str_eq_z(what, "dont_know") ? ANSWER_DONT_KNOW
                                                              : ANSWER_NONE;
    if (status == ANSWER_NONE)
        return diag_set(d, ERR_USAGE, "@status takes refused or dont_know, not %.*s", STR_ARG(what));
    enum err rc = session_place(sc->w->session, ref, &p, d);
    return rc ? rc : session_answer_status(sc->w->session, p, status, d);
}

static enum err script_command(struct script *sc, struct str name, struct str rest, struct diag *d)
{
    struct str first = STR_NONE;
    struct place p;

    if (str_eq_z(name, "@add"))
        return script_add(sc, str_trim(rest), d);
    if (str_eq_z(name, "@judgement")) {
        sc->judgement = unescape(sc->a, rest);
        return ERR_OK;
    }
    if (str_eq_z(name, "@remove")) {
        enum err rc = session_place(sc->w->session, str_trim(rest), &p, d);
        return rc ? rc : session_repeat_remove(sc->w->session, p, d);
    }
    if (str_eq_z(name, "@status")) {
        str_split(&rest, '\t', &first);
        return script_status(sc, str_trim(first), str_trim(rest), d);
    }
    if (str_eq_z(name, "@language")) {
        for (uint32_t i = 0; i < form_language_count(sc->w->form); i++)
            if (str_eq(form_language(sc->w->form, i), str_trim(rest)))
                return session_language(sc->w->session, i, d);
        return diag_set(d, ERR_NOT_FOUND, "the form has no language %.*s", STR_ARG(rest));
    }
    return diag_set(d, ERR_USAGE,
                    "no command %.*s: @add, @remove, @status, @language and @judgement are known",
                    STR_ARG(name));
}

static enum err script_line(struct script *sc, struct str line, struct diag *d)
{
    struct str ref = STR_NONE;
    struct place p;

    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (str_trim(line).n == 0 || line.p[0] == '#')
        return ERR_OK;
    str_split(&line, '\t', &ref);
    if (ref.p[0] == '@')
        return script_command(sc, ref, line, d);
    enum err rc = session_place(sc->w->session, str_trim(ref), &p, d);
    if (!rc)
        rc = session_answer(sc->w->session, p, unescape(sc->a, line), d);
    sc->answers += !rc;
    return rc;
}

static enum err run_script(struct script *sc, struct str text, struct diag *d)
{
    struct str line;
    while (str_split(&text, '\n', &line)) {
        struct diag at = {0};
        sc->line++;
        enum err rc = script_line(sc, line, &at);
        if (!rc)
            rc = work_save(sc->w, &at);
        if (rc)
            return diag_set(d, at.code ? at.code : rc, "%s, line %u: %s", sc->file, sc->line, at.text);
    }
    return ERR_OK;
}

static void script_json(const struct script *sc, const struct work_result *r, bool finished)
{
    struct buf b;
    buf_init(&b, 16u << 20);
    buf_printf(&b, "{\"answers\":%u,\"finalised\":%s", sc->answers, finished ? "true" : "false");
    if (finished) {
        buf_put_z(&b, ",\"instance_id\":");
        buf_put_json(&b, r->instance_id);
        buf_printf(&b, ",\"xml_bytes\":%zu,\"judgement\":", r->xml_size);
        if (r->judged)
            judgement_json(&r->judgement, &b);
        else
            buf_put_z(&b, "null");
    }
    buf_put_z(&b, "}\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static void list_violations(struct work *w, struct arena *a)
{
    struct place *places;
    uint32_t count = session_violations(w->session, a, &places);
    for (uint32_t i = 0; i < count; i++) {
        struct question_view v;
        struct diag d = {0};
        if (!session_view(w->session, places[i], a, &v, &d))
            fprintf(stderr, "  %.*s: %.*s\n", STR_ARG(v.ref),
                    STR_ARG(v.message.n ? v.message : STR("required")));
    }
}

static int scripted(struct work *w, const char *file, bool draft, bool json, bool zh)
{
    struct diag d = {0};
    struct buf text = {0};
    struct arena a;
    struct work_result r = {0};
    struct script sc = {.w = w, .file = file, .a = &a};

    arena_init(&a, WORK_MEMORY_MAX);
    enum err rc = work_file(w->o.seam, file, &text, &d);
    if (!rc)
        rc = run_script(&sc, buf_str(&text), &d);
    if (!rc && !draft) {
        rc = work_finish(w, &a, sc.judgement, &r, &d);
        if (rc == ERR_STATE)
            list_violations(w, &a);
    }
    if (json)
        script_json(&sc, &r, !rc && !draft);
    else if (!rc && !draft) {
        struct ui ui = {.w = w, .zh = zh};
        printf("%u %s", sc.answers, word(&ui, W_ANSWERED));
        print_result(&ui, &r);
    }
    int code = rc ? cli_fail("fill", rc, &d) : 0;
    buf_free(&text);
    arena_free(&a);
    return code;
}

/* ---- the command ---- */

static int run_fill(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *answers = NULL, *household = NULL, *pack = NULL, *language = NULL, *type = NULL,
               *draft = NULL, *fresh = NULL, *json = NULL, *lang = NULL, *tz = NULL, *args[1];
    const struct cli_option options[] = {
        {"--household", "CODE", "the household that is visited", &household},
        {"--answers", "FILE", "take the answers from a script: REF<TAB>VALUE lines", &answers},
        {"--draft", NULL, "with --answers: leave the interview a draft", &draft},
        {"--new", NULL, "begin a new interview although a draft is there", &fresh},
        {"--language", "NAME", "language of the questions", &language},
        {"--lang", "zh|en", "language of this program's own words", &lang},
        {"--type", "TEXT", "kind of visit", &type},
        {"--pack", "FILE", "rule pack from a file instead of the published one", &pack},
        {"--tz", "ZONE", "time zone, as Asia/Shanghai", &tz},
        {"--json", NULL, "with --answers: the result as JSON", &json},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n, code;
    struct diag d = {0};
    struct arena a;
    struct store *store = NULL;
    struct work w = {0};
    struct work_options o = {.seam = seam, .pack = pack};
    const char *dir;

    code = cli_parse(&command_fill, options, (int)(sizeof options / sizeof *options), argc, argv, args, 1, 1,
                     &n);
    if (code >= 0)
        return code;
    arena_init(&a, 1u << 20);
    enum err rc = cli_data_dir(&a, data, &dir, &d);
    if (!rc)
        rc = posix_zone_load(&a, tz, &o.zone, &d);
    if (!rc)
        rc = store_open(dir, seam, &store, &d);
    o.store = store;
    o.form = args[0];
    o.pack = pack;
    o.household = household;
    o.type = type;
    o.language = language;
    o.fresh = fresh != NULL;
    if (!rc)
        rc = work_open(&w, &o, &d);
    if (rc) {
        code = cli_fail("fill", rc, &d);
    } else {
        bool zh = lang ? cli_chinese(lang) : str_find(w.start.language, STR("zh")) >= 0;
        if (answers) {
            code = scripted(&w, answers, draft != NULL, json != NULL, zh);
        } else {
            struct ui ui = {.w = &w, .zh = zh, .colour = isatty(STDOUT_FILENO) != 0};
            arena_init(&ui.scratch, WORK_MEMORY_MAX);
            interview(&ui);
            arena_free(&ui.scratch);
            code = 0;
        }
    }
    work_close(&w);
    store_close(store);
    arena_free(&a);
    return code;
}

const struct cli_command command_fill = {
    .name = "fill",
    .arguments = "FORM [--household CODE] [--answers FILE]",
    .summary = "hold an interview, in the terminal or from a script",
    .example = "doorstep fill monitoring --household 5303-0042",
    .run = run_fill,
};
