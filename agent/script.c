/* See script.h. */
#include "agent/script.h"

/* \n, \t and \\ in a value. */
static struct str unescape(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; p && i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n) {
            i++;
            p[n++] = s.p[i] == 'n' ? '\n' : s.p[i] == 't' ? '\t' : s.p[i];
        } else {
            p[n++] = s.p[i];
        }
    }
    return p ? (struct str){p, n} : STR_NONE;
}

/* "/hh/member[2]/visit" names the repeat "/hh/member/visit" under "/hh/member[2]". */
static enum err add_row(struct script *s, struct str ref, struct diag *d)
{
    struct buf path;
    struct place parent, added;
    size_t slash = ref.n;
    while (slash > 0 && ref.p[slash - 1] != '/')
        slash--;
    if (slash < 2)
        return diag_set(d, ERR_USAGE, "@add wants the path of a repeat, such as /household/member");
    enum err rc = session_place(s->session, str_sub(ref, 0, slash - 1), &parent, d);
    if (rc)
        return rc;
    buf_init(&path, 1u << 16);
    for (size_t i = 0, depth = 0; i < ref.n; i++) {
        depth += ref.p[i] == '[';
        if (depth == 0)
            buf_put_char(&path, ref.p[i]);
        depth -= ref.p[i] == ']' && depth > 0;
    }
    rc = ERR_NOT_FOUND;
    for (uint32_t i = 0; i < form_repeat_count(s->form); i++)
        if (str_eq(form_repeat(s->form, i)->path, buf_str(&path)))
            rc = session_repeat_add(s->session, parent, i, &added, d);
    buf_free(&path);
    return rc == ERR_NOT_FOUND ? diag_set(d, rc, "the form has no repeat %.*s", STR_ARG(ref)) : rc;
}

static enum err remove_row(struct script *s, struct str ref, struct diag *d)
{
    struct place p;
    enum err rc = session_place(s->session, ref, &p, d);
    return rc ? rc : session_repeat_remove(s->session, p, d);
}

static enum err give_status(struct script *s, struct str rest, struct diag *d)
{
    struct place p;
    struct str ref = STR("");
    str_split(&rest, '\t', &ref);
    struct str what = str_trim(rest);
    enum answer_status status = str_eq_z(what, "refused")     ? ANSWER_REFUSED
                                : str_eq_z(what, "dont_know") ? ANSWER_DONT_KNOW
                                                              : ANSWER_NONE;
    if (status == ANSWER_NONE)
        return diag_set(d, ERR_USAGE, "@status takes refused or dont_know, not \"%.*s\"", STR_ARG(what));
    enum err rc = session_place(s->session, str_trim(ref), &p, d);
    return rc ? rc : session_answer_status(s->session, p, status, d);
}

static enum err take_judgement(struct script *s, struct str text, struct diag *d)
{
    (void)d;
    s->judgement = unescape(s->a, text);
    return s->judgement.p ? ERR_OK : ERR_NOMEM;
}

static enum err make_comment(struct script *s, struct str rest, struct diag *d)
{
    struct place p;
    struct str ref = STR("");
    if (!s->comment)
        return diag_set(d, ERR_USAGE, "comments are made in an interview only");
    str_split(&rest, '\t', &ref);
    struct str text = unescape(s->a, rest.p ? rest : STR(""));
    enum err rc = text.p ? session_place(s->session, str_trim(ref), &p, d) : ERR_NOMEM;
    return rc ? rc : s->comment(s->self, p, text, d);
}

static enum err answer(struct script *s, struct place p, struct str value, struct diag *d)
{
    if (s->before_answer)
        s->before_answer(s->self, p);
    return session_answer(s->session, p, value, d);
}

/* The answer to an upload question: a file of this machine. */
static enum err attach_file(struct script *s, struct str rest, struct diag *d)
{
    struct place p;
    struct question_view v;
    struct str ref = STR(""), name = STR("");
    if (!s->attach)
        return diag_set(d, ERR_USAGE, "files are attached in an interview only");
    str_split(&rest, '\t', &ref);
    enum err rc = session_place(s->session, str_trim(ref), &p, d);
    if (!rc)
        rc = session_view(s->session, p, s->a, &v, d);
    if (!rc && v.control != CONTROL_UPLOAD)
        rc = diag_set(d, ERR_USAGE, "%.*s is no question that takes a file", STR_ARG(ref));
    if (!rc)
        rc = s->attach(s->self, str_trim(rest.p ? rest : STR("")), s->a, &name, d);
    if (!rc)
        rc = answer(s, p, name, d);
    s->answers += !rc;
    return rc;
}

static enum err take_position(struct script *s, struct str text, struct diag *d)
{
    struct str position = s->position ? arena_str(s->a, str_trim(text)) : STR_NONE;
    if (!position.p)
        return diag_set(d, ERR_USAGE, "a position is given in an interview only");
    return s->position(s->self, position, d);
}

static enum err switch_language(struct script *s, struct str name, struct diag *d)
{
    for (uint32_t i = 0; i < form_language_count(s->form); i++)
        if (str_eq(form_language(s->form, i), str_trim(name)))
            return session_language(s->session, i, d);
    return diag_set(d, ERR_NOT_FOUND, "the form has no language \"%.*s\"", STR_ARG(name));
}

static const struct {
    const char *name;
    enum err (*run)(struct script *s, struct str rest, struct diag *d);
} commands[] = {
    {"@add", add_row},
    {"@remove", remove_row},
    {"@status", give_status},
    {"@language", switch_language},
    {"@judgement", take_judgement},
    {"@comment", make_comment},
    {"@position", take_position},
    {"@attach", attach_file},
};

static enum err run_command(struct script *s, struct str name, struct str rest, struct diag *d)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (str_eq_z(name, commands[i].name))
            return commands[i].run(s, rest, d);
    return diag_set(d, ERR_USAGE,
                    "no command %.*s: @add, @remove, @status, @language, @judgement, @comment, @position "
                    "and @attach are known",
                    STR_ARG(name));
}

static enum err run_line(struct script *s, struct str line, struct diag *d)
{
    struct str ref = STR("");
    struct place p;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (str_trim(line).n == 0 || line.p[0] == '#')
        return ERR_OK;
    str_split(&line, '\t', &ref);
    if (ref.n > 0 && ref.p[0] == '@')
        return run_command(s, ref, line.p ? line : STR(""), d);
    struct str value = unescape(s->a, line);
    enum err rc = value.p ? session_place(s->session, str_trim(ref), &p, d) : ERR_NOMEM;
    if (!rc)
        rc = answer(s, p, value, d);
    s->answers += !rc;
    return rc;
}

enum err script_run(struct script *s, struct str text, struct diag *d)
{
    struct str line;
    while (str_split(&text, '\n', &line)) {
        struct diag at = {0};
        s->line++;
        enum err rc = run_line(s, line, &at);
        if (!rc && s->after_line)
            rc = s->after_line(s->self, &at);
        if (rc)
            return diag_set(d, at.code ? at.code : rc, "%s, line %u: %s", s->file, s->line,
                            at.text[0] ? at.text : "there is no memory left");
    }
    return ERR_OK;
}
