/* People of the centre and of the field: who they are, what they may do, when they last signed in; adding
 * one, another password, ending somebody's work. */
#include "server/accounts.h"
#include "server/screens.h"

#define PEOPLE_SHOWN 200

struct people {
    struct page p;
    struct str wrong, said;
};

static void role_options(struct page *p, struct option out[static 7])
{
    for (int r = ROLE_ENUMERATOR; r <= ROLE_ADMIN; r++)
        out[r - ROLE_ENUMERATOR] = (struct option){str_of(role_name((uint8_t)r)),
                                                   word_of(p, role_word((uint8_t)r))};
}

static void acts_draw(struct people *x, const struct person_line *l)
{
    struct page *p = &x->p;
    struct str number = page_u64(p, l->person.person);
    if (!screen_can(p->c, ACT_MANAGE_PEOPLE, l->person.area.p ? l->person.area : STR("")) ||
        l->account.ended_ms)
        return;
    pg_open(p, "details", NO_CLASS);
    pg_leaf_word(p, "summary", NO_CLASS, W_CHANGE);
    if (l->account.login.n) {
        pg_post_begin(p, STR("/people"), "row-of");
        pg_hidden(p, "person", number);
        pg_field(p, &(struct field){.name = "password",
                                    .type = "password",
                                    .label = W_PASSWORD_NEW,
                                    .autocomplete = "new-password"});
        pg_button_key(p, W_PASSWORD_RESET, NULL, "act", "password", NULL);
        pg_close(p);
    }
    pg_post_begin(p, STR("/people"), "row-of");
    pg_hidden(p, "person", number);
    struct option to[PEOPLE_SHOWN + 1];
    struct option *others = NULL;
    uint32_t count = 0, n = 0;
    to[n++] = (struct option){STR(""), word_of(p, W_END_STAYS)};
    if (!people_options(p, &others, &count, NULL))
        for (uint32_t i = 0; i < count && n <= PEOPLE_SHOWN; i++)
            if (!str_eq(others[i].value, number))
                to[n++] = others[i];
    pg_select(p, &(struct field){.name = "to", .label = W_END_WORK_TO}, to, n);
    pg_button_key(p, W_PERSON_END, "danger", "act", "end", NULL);
    pg_close(p);
    pg_close(p);
}

static void person_row(struct people *x, const struct person_line *l)
{
    struct page *p = &x->p;
    pg_row(p);
    pg_cell(p, l->person.name);
    pg_cell(p, l->account.login.n ? l->account.login : STR("—"));
    pg_cell_word(p, role_word(l->person.role));
    pg_cell(p, l->person.area.n ? l->person.area : word_of(p, W_WHOLE_COUNTY));
    if (l->account.ended_ms) {
        pg_cell_word(p, W_PERSON_ENDED);
    } else {
        pg_open(p, "td", "when");
        if (l->account.signed_in_ms)
            pg_time(p, l->account.signed_in_ms);
        else
            pg_word(p, W_NEVER);
        pg_close(p);
    }
    pg_cell_word(p, l->account.has_totp ? W_YES : W_NO);
    pg_cell_number(p, l->devices);
    pg_open(p, "td", NO_CLASS);
    acts_draw(x, l);
    pg_close(p);
    pg_close(p);
}

static void add_form(struct people *x)
{
    struct page *p = &x->p;
    struct option roles[7];
    if (!screen_can(p->c, ACT_MANAGE_PEOPLE, STR_NONE))
        return;
    role_options(p, roles);
    pg_leaf_word(p, "h2", NO_CLASS, W_PERSON_ADD);
    pg_post_begin(p, STR("/people"), NULL);
    pg_hidden(p, "act", STR("add"));
    pg_field(p, &(struct field){
                    .name = "name", .label = W_PERSON, .required = true, .value = posted(p->c, "name")});
    pg_field(p, &(struct field){
                    .name = "login", .label = W_ACCOUNT, .required = true, .value = posted(p->c, "login")});
    pg_select(p, &(struct field){.name = "role", .label = W_ROLE, .value = STR("supervisor")}, roles, 7);
    pg_field(p, &(struct field){.name = "area", .label = W_ENROL_AREA, .value = posted(p->c, "area")});
    pg_field(p, &(struct field){.name = "password",
                                .type = "password",
                                .label = W_PASSWORD_NEW,
                                .required = true,
                                .autocomplete = "new-password"});
    pg_button(p, W_PERSON_ADD_DO, "main", NULL);
    pg_close(p);
}

static enum err people_draw(struct people *x, struct diag *d)
{
    static const struct column columns[] = {{W_PERSON, NULL, false},       {W_ACCOUNT, NULL, false},
                                            {W_ROLE, NULL, false},         {W_AREA, NULL, false},
                                            {W_LAST_SIGN_IN, NULL, false}, {W_SECOND_FACTOR, NULL, false},
                                            {W_DEVICES, NULL, true},       {W_CHANGE, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns,
                            .count = 8,
                            .caption = word_of(p, W_PEOPLE),
                            .caption_hidden = true};
    struct person_line *list = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    if (!str_to_u64(page_query(p, "after"), &after) || after > UINT32_MAX)
        after = 0;
    enum err rc = cstore_people(p->c->st, p->a, (uint32_t)after, PAGE_ROWS + 1, &list, &count, d);
    if (rc)
        return rc;
    pg_begin(p, NAV_PEOPLE, word_of(p, W_PEOPLE));
    pg_done(p);
    if (x->said.n)
        pg_note(p, "good", x->said);
    if (x->wrong.n)
        pg_note(p, "bad", x->wrong);
    uint32_t shown = count < PAGE_ROWS ? count : PAGE_ROWS;
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < shown; i++)
        if (screen_can(p->c, ACT_SEE_PEOPLE, list[i].person.area.p ? list[i].person.area : STR("")))
            person_row(x, &list[i]);
    pg_table_end(p);
    if (count > shown)
        pg_next(p, page_url(p, "/people", STR(""),
                            ATTRS({"after", page_u64(p, list[shown - 1].person.person)})));
    add_form(x);
    pg_end(p);
    return ERR_OK;
}

enum err screen_people(struct call *c, struct diag *d)
{
    struct people x = {0};
    page_init(&x.p, c);
    enum err rc = screen_may(c, ACT_SEE_PEOPLE, STR_NONE, d);
    return rc ? rc : people_draw(&x, d);
}

/* Open work goes over to somebody before the person leaves, when one was chosen. */
static enum err work_hand_over(struct people *x, uint32_t from, uint32_t to, struct diag *d)
{
    struct page *p = &x->p;
    struct work_ask q = screen_ask(p);
    struct work_household *list = NULL;
    struct desk k;
    struct person who;
    uint32_t count = 0;
    struct str after = STR("");
    enum err rc = cstore_person(p->c->st, p->a, from, &who, d);
    if (!rc)
        rc = screen_desk(p, NULL, &k, d);
    do {
        if (!rc)
            rc = work_search(&q, STR(""), after, WORK_PAGE_MAX, &list, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            bool changed = false;
            after = list[i].key;
            if (str_eq(list[i].person, who.name))
                rc = assign_household(&k, list[i].code, to, STR(""), &changed, d);
        }
    } while (!rc && count == WORK_PAGE_MAX);
    return rc;
}

static enum err act(struct people *x, struct diag *d)
{
    struct call *c = x->p.c;
    struct str what = posted(c, "act");
    uint64_t person = 0, to = 0;
    struct person made;
    if (str_eq_z(what, "add")) {
        const struct person_new q = {.name = str_trim(posted(c, "name")),
                                     .login = posted(c, "login"),
                                     .password = posted(c, "password"),
                                     .area = str_trim(posted(c, "area")),
                                     .role = role_of(posted(c, "role"))};
        return account_add(c->st, c->server->seam, c->person.name, &q, &made, d);
    }
    if (!str_to_u64(posted(c, "person"), &person) || person > UINT32_MAX)
        return diag_set(d, ERR_USAGE, "The form names no person.");
    if (str_eq_z(what, "password"))
        return account_set_password(c->st, c->server->seam, c->person.name, (uint32_t)person,
                                    posted(c, "password"), NULL, d);
    if (!str_eq_z(what, "end"))
        return diag_set(d, ERR_USAGE, "The form names no act.");
    enum err rc = ERR_OK;
    if (str_to_u64(posted(c, "to"), &to) && to && to <= UINT32_MAX)
        rc = work_hand_over(x, (uint32_t)person, (uint32_t)to, d);
    return rc ? rc : account_end(c->st, c->server->seam, c->person.name, (uint32_t)person, d);
}

enum err screen_people_post(struct call *c, struct diag *d)
{
    struct people x = {0};
    page_init(&x.p, c);
    enum err rc = screen_may(c, ACT_MANAGE_PEOPLE, STR_NONE, d);
    if (rc)
        return rc;
    screen_lock(c);
    rc = act(&x, d);
    screen_unlock(c);
    if (!rc)
        return page_go(c, STR("/people?done=done"), d);
    if (rc != ERR_USAGE && rc != ERR_EXISTS && rc != ERR_STATE && rc != ERR_NOT_FOUND)
        return rc;
    x.wrong = arena_str(c->a, str_of(d->text));
    diag_clear(d);
    c->reply->status = 409;
    return people_draw(&x, d);
}
