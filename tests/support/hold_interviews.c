/* hold_interviews walk FORM SEED [LIST_DIR]: holds one interview with a questionnaire to its end, answering
 * whatever is asked, and makes the submission; prints how much was asked. Exit 1 when the end is not reached,
 * something still stands open after going back, or the submission does not hold every answer given; 3 when
 * the form itself lets nobody pass with these answers (a note that must be answered).
 *
 * hold_interviews migrate OLD NEW SEED: an interview with the older questionnaire becomes a draft, which goes
 * over to the newer one; prints what a person has to look at. Exit 1 when an answer is neither in the draft
 * nor set aside, when something is set aside that nobody is told of, when the outcome cannot be carried to
 * the end, or when going back to the older questionnaire does not give back every answer.
 */
#include <stdio.h>
#include <stdlib.h>

#include "forms/limits.h"
#include "forms/migrate.h"
#include "forms/xlsform.h"
#include "platform/crypto.h"
#include "platform/posix/posix_seam.h"
#include "tests/support/auto_answers.h"

struct holder {
    struct arena a;
    struct seam seam;
    struct session_host host;
    struct auto_answers by_itself;
    const char *list_dir;
    struct diag d;
    uint32_t wrong, chance;
    bool barred;
};

/* Rows and cells as a store keeps them. */
struct draft {
    VEC(struct saved_row) rows;
    VEC(struct saved_cell) cells;
};

static void complain(struct holder *h, const char *what, struct str detail)
{
    h->wrong++;
    if (h->wrong <= 20)
        printf("  wrong: %s%s%.*s\n", what, detail.n ? ": " : "", STR_ARG(detail));
}

static int64_t now_ms(void *self)
{
    (void)self;
    return 1795420800000; /* 2026-11-23 */
}

static enum err some_random(void *self, void *out, size_t n)
{
    struct holder *h = self;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)out)[i] = (unsigned char)(h->chance += 11);
    return ERR_OK;
}

static enum err digest(void *self, struct str algorithm, struct str data, unsigned char out[64],
                       size_t *n_out)
{
    (void)self;
    return digest_named(algorithm, data, out, n_out);
}

static enum err file(struct holder *h, const char *path, struct str *out, struct diag *d)
{
    struct buf b;
    buf_init(&b, FORM_BYTES_MAX);
    enum err rc = h->seam.file_read(h->seam.self, path, &b, d);
    if (!rc)
        *out = arena_str(&h->a, buf_str(&b));
    buf_free(&b);
    return rc ? rc : out->p ? ERR_OK : ERR_NOMEM;
}

static enum err resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct holder *h = self;
    struct buf path;
    size_t slash = uri.n;
    while (slash > 0 && uri.p[slash - 1] != '/')
        slash--;
    buf_init(&path, 4096);
    buf_printf(&path, "%s/%.*s", h->list_dir ? h->list_dir : ".", (int)(uri.n - slash), uri.p + slash);
    enum err rc = file(h, path.p, bytes_out, d);
    buf_free(&path);
    return rc;
}

/* What the two versions have in common is their name; theirs is that of their files. */
static const struct form *load(struct holder *h, const char *path)
{
    struct form_findings findings = {0};
    const struct xlsform_options o = {.form_id = STR("questionnaire")};
    const struct form *form = NULL;
    struct str bytes;
    struct buf xml;
    buf_init(&xml, FORM_BYTES_MAX);
    enum err rc = file(h, path, &bytes, &h->d);
    if (!rc)
        rc = xlsform_convert(&h->a, str_of(path), bytes, &o, &xml, NULL, NULL, &findings, &h->d);
    struct str kept = rc ? STR("") : arena_str(&h->a, buf_str(&xml));
    if (!rc)
        rc = form_load(&h->a, kept, &form, &findings, &h->d);
    buf_free(&xml);
    if (rc)
        complain(h, path, str_of(h->d.text));
    return rc ? NULL : form;
}

static struct session *begin(struct holder *h, const struct form *form, const struct saved_interview *saved,
                             uint64_t row_key_next)
{
    struct session_options o = {.form = form,
                                .host = &h->host,
                                .row_key_next = row_key_next,
                                .language = form_language_default(form)};
    struct session *s = NULL;
    if (saved) {
        o.resume = true;
        o.rows = saved->rows;
        o.row_count = saved->row_count;
        o.cells = saved->cells;
        o.cell_count = saved->cell_count;
    }
    if (session_open(&h->a, &o, &s, &h->d))
        complain(h, "does not open", str_of(h->d.text));
    return s;
}

/* Ends the interview; false when something still stands open. */
static bool finish(struct holder *h, struct session *s)
{
    struct place *left;
    uint32_t count = session_violations(s, &h->a, &left);
    for (uint32_t i = 0; i < count; i++) {
        struct question_view v;
        struct diag d = {0};
        if (session_view(s, left[i], &h->a, &v, &d))
            continue;
        if (v.readonly && v.required) {
            printf("  the form lets nobody pass: %.*s\n", STR_ARG(v.ref));
            h->barred = true;
        } else {
            complain(h, arena_z(&h->a, v.ref), v.message);
        }
    }
    if (count == 0 && session_finalise(s, &h->d))
        complain(h, "the interview cannot be finished", str_of(h->d.text));
    return count == 0 && !h->wrong;
}

static void walk(struct holder *h, struct session *s)
{
    h->by_itself.session = s;
    if (!auto_walk(&h->by_itself))
        complain(h, "the end of the form is not reached", STR(""));
}

/* --- one interview --- */

/* Every answer that applies is an element's text in the submission. */
static void compare_submission(struct holder *h, const struct form *form, struct session *s, struct str xml)
{
    struct saved_interview sent;
    struct diag d = {0};
    uint32_t found = 0, given = 0;
    if (submission_read(&h->a, form, xml, 1, &sent, &d)) {
        complain(h, "the submission cannot be read", str_of(d.text));
        return;
    }
    for (uint32_t i = 0; i < h->by_itself.lines.count; i++) {
        const struct auto_line *l = &h->by_itself.lines.at[i];
        bool relevant = false;
        struct str value = l->add.p ? STR("") : session_value(s, l->place, &relevant);
        if (!relevant || !value.n)
            continue;
        given++;
        for (uint32_t k = 0; k < sent.cell_count; k++)
            if (sent.cells[k].field == l->place.field && str_eq(sent.cells[k].value, value)) {
                found++;
                break;
            }
    }
    if (given != found || given == 0)
        complain(h, "answers are missing in the submission", STR(""));
}

static void walk_form(struct holder *h, const char *path)
{
    const struct form *form = load(h, path);
    struct session *s = form ? begin(h, form, NULL, 1) : NULL;
    struct buf xml;
    uint32_t added = 0;
    buf_init(&xml, 64u << 20);
    if (s) {
        walk(h, s);
        auto_go_back(&h->by_itself, true);
        for (uint32_t i = 0; i < h->by_itself.lines.count; i++)
            added += h->by_itself.lines.at[i].add.p != NULL;
        bool finished = finish(h, s);
        if (finished && session_xml(s, false, &xml, &h->d))
            complain(h, "no submission", str_of(h->d.text));
        if (finished)
            compare_submission(h, form, s, buf_str(&xml));
        printf(
            "%s: %u questions walked, %u answered, %u refused, %u entries added, submission of %zu bytes\n",
            path, h->by_itself.shown, h->by_itself.lines.count - added, h->by_itself.refused, added, xml.n);
    }
    session_close(s);
    buf_free(&xml);
}

/* --- a newer version --- */

static struct saved_interview saved_of(struct draft *d)
{
    return (struct saved_interview){.rows = d->rows.at,
                                    .row_count = d->rows.count,
                                    .cells = d->cells.at,
                                    .cell_count = d->cells.count};
}

static void keep(struct holder *h, struct session *s, struct draft *out)
{
    const struct session_change *list;
    uint32_t n = session_changes(s, &list);
    for (uint32_t i = 0; i < n; i++) {
        const struct session_change *c = &list[i];
        if (c->op == SESSION_ROW_ADD) {
            struct saved_row *r = vec_push(&h->a, &out->rows);
            if (r)
                *r = (struct saved_row){c->key, c->parent_key, c->repeat, c->order};
        } else if (c->op == SESSION_SET) {
            struct saved_cell *cell = vec_push(&h->a, &out->cells);
            if (cell)
                *cell = (struct saved_cell){c->key, c->field, arena_str(&h->a, c->value), c->status};
        } else {
            complain(h, "a first walk takes nothing back", STR(""));
        }
    }
}

static bool in_plan(const struct migration_plan *p, const struct form *from, const struct saved_cell *c,
                    bool *aside_out)
{
    struct str path = form_field(from, c->field)->path;
    *aside_out = false;
    for (uint32_t i = 0; i < p->after.cell_count; i++)
        if (p->after.cells[i].key == c->key && str_eq(p->after.cells[i].value, c->value))
            return true;
    for (uint32_t i = 0; i < p->aside_count; i++)
        if (p->aside[i].key == c->key && str_eq(p->aside[i].path, path) &&
            str_eq(p->aside[i].value, c->value)) {
            *aside_out = true;
            return true;
        }
    return false;
}

static bool told(const struct migration_plan *p, uint64_t key, struct str path, struct str value)
{
    for (uint32_t i = 0; i < p->item_count; i++) {
        const struct migration_item *item = &p->items[i];
        bool kind = item->kind == MIGRATE_GONE || item->kind == MIGRATE_MISFIT;
        if ((kind && item->key == key && str_eq(item->from, path) && str_eq(item->value, value)) ||
            (item->kind == MIGRATE_ENTRY_GONE && item->key == key && key != 0))
            return true;
    }
    return false;
}

static void print_plan(const struct migration_plan *p)
{
    static const char *const names[] = {"moved",           "type changed",      "came back",
                                        "set aside: gone", "set aside: misfit", "entry gone",
                                        "no such choice",  "not allowed",       "must be answered"};
    uint32_t count[sizeof names / sizeof *names] = {0};
    for (uint32_t i = 0; i < p->item_count; i++)
        count[p->items[i].kind]++;
    printf("  %u findings, %u to look at:", p->item_count, p->attention);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (count[k])
            printf(" %s %u;", names[k], count[k]);
    printf("\n");
    for (uint32_t i = 0, shown = 0; i < p->item_count && shown < 6; i++)
        if (p->items[i].kind >= MIGRATE_GONE) {
            const struct migration_item *item = &p->items[i];
            struct str place = item->to.n ? item->to : item->from;
            printf("  %.*s = \"%.*s\": %.*s\n", STR_ARG(place), STR_ARG(item->value), STR_ARG(item->text));
            shown++;
        }
}

static bool plan(struct holder *h, const struct form *from, const struct form *to,
                 const struct saved_interview *saved, const struct set_aside *aside, uint32_t aside_count,
                 uint64_t row_key_next, struct migration_plan *out)
{
    const struct migration_draft draft = {.from = from,
                                          .to = to,
                                          .host = &h->host,
                                          .saved = *saved,
                                          .aside = aside,
                                          .aside_count = aside_count,
                                          .row_key_next = row_key_next};
    if (migration_plan(&h->a, &draft, out, &h->d)) {
        complain(h, "no plan", str_of(h->d.text));
        return false;
    }
    return true;
}

/* Nothing lost, and nothing put away in silence. */
static void check_plan(struct holder *h, const struct form *from, const struct saved_interview *saved,
                       const struct migration_plan *p)
{
    uint32_t attention = 0;
    for (uint32_t i = 0; i < saved->cell_count; i++) {
        const struct saved_cell *c = &saved->cells[i];
        const struct form_field *f = form_field(from, c->field);
        bool aside;
        if (!c->value.n)
            continue;
        if (!in_plan(p, from, c, &aside))
            complain(h, "lost", f->path);
        else if (aside && !f->calculated && !told(p, c->key, f->path, c->value))
            complain(h, "set aside in silence", f->path);
    }
    for (uint32_t i = 0; i < p->item_count; i++) {
        attention += p->items[i].kind >= MIGRATE_GONE;
        if (!p->items[i].text.n)
            complain(h, "a finding without a sentence", p->items[i].from);
    }
    if (attention != p->attention)
        complain(h, "what needs a look is counted wrong", STR(""));
}

/* Every answer is back in its place. */
static void check_return(struct holder *h, const struct form *form, const struct saved_interview *saved,
                         const struct migration_plan *back)
{
    for (uint32_t i = 0; i < saved->cell_count; i++) {
        const struct saved_cell *c = &saved->cells[i];
        bool found = !c->value.n || form_field(form, c->field)->calculated;
        for (uint32_t k = 0; k < back->after.cell_count && !found; k++)
            found = back->after.cells[k].key == c->key && back->after.cells[k].field == c->field &&
                    str_eq(back->after.cells[k].value, c->value);
        if (!found)
            complain(h, "did not come back", form_field(form, c->field)->path);
    }
}

static void migrate(struct holder *h, const char *old_path, const char *new_path)
{
    const struct form *old = load(h, old_path), *new = old ? load(h, new_path) : NULL;
    struct session *s = new ? begin(h, old, NULL, 1) : NULL;
    struct draft kept = {0};
    struct migration_plan there = {0}, back = {0};
    if (!s)
        return;
    walk(h, s);
    keep(h, s, &kept);
    session_close(s);
    struct saved_interview saved = saved_of(&kept);
    printf("%s -> %s: draft of %u answers in %u entries\n", old_path, new_path, saved.cell_count,
           saved.row_count);
    if (!plan(h, old, new, &saved, NULL, 0, 100000, &there))
        return;
    print_plan(&there);
    check_plan(h, old, &saved, &there);
    s = begin(h, new, &there.after, there.row_key_next);
    if (s) {
        walk(h, s);
        auto_go_back(&h->by_itself, true);
        finish(h, s);
    }
    session_close(s);
    if (!plan(h, new, old, &there.after, there.aside, there.aside_count, there.row_key_next, &back))
        return;
    check_return(h, old, &saved, &back);
    printf("  %u kept, %u set aside; %s\n", there.after.cell_count, there.aside_count,
           h->wrong ? "not as it must be" : "all there again on the way back");
}

int main(int argc, char **argv)
{
    static struct holder h;
    bool walking = argc >= 4 && strcmp(argv[1], "walk") == 0;
    bool migrating = argc == 5 && strcmp(argv[1], "migrate") == 0;
    if (!walking && !migrating) {
        fprintf(stderr, "hold_interviews walk FORM SEED [LIST_DIR] | migrate OLD NEW SEED\n");
        return 2;
    }
    arena_init(&h.a, 2048u << 20);
    h.host = (struct session_host){
        .self = &h, .now_ms = now_ms, .random = some_random, .digest = digest, .resource = resource};
    h.by_itself.arena = &h.a;
    h.by_itself.random = strtoull(argv[migrating ? 4 : 3], NULL, 10);
    h.by_itself.first = h.by_itself.random == 0;
    h.list_dir = walking && argc > 4 ? argv[4] : NULL;
    if (posix_seam_open(NULL, &h.seam, &h.d) || crypto_init(&h.d)) {
        fprintf(stderr, "hold_interviews: %s\n", h.d.text);
        return 1;
    }
    if (walking)
        walk_form(&h, argv[2]);
    else
        migrate(&h, argv[2], argv[3]);
    arena_free(&h.a);
    posix_seam_close(&h.seam);
    return h.wrong ? 1 : h.barred && walking ? 3 : 0;
}
