/* Deciding about visits, taking work, handing it out (work.h).
 *
 * Always true: a decision is a row of its own below the visit, by a named person, and stays; it travels to
 * the handhelds like every change, so that a rejected interview comes back with its words whatever arrived in
 * between. A lease belongs to one person at a time; when it ends nobody need do anything.
 */
#include "server/lines.h"
#include "server/work.h"

#define REMARKS_MAX 200
#define PAGE 256

static struct str number_text(struct buf *room, uint64_t n)
{
    buf_init(room, 24);
    buf_put_u64(room, n);
    return buf_str(room);
}

/* ---- may this be decided, by this person, now? ---- */

static enum err visit_find(struct desk *k, const struct work_by *by, uint64_t number, struct visit_line *out,
                           struct diag *d)
{
    struct row_id row;
    enum err rc = cstore_record_of_number(k->st, number, &row, d);
    if (!rc)
        rc = cstore_visit_line(k->st, k->a, row, out, d);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, rc, "There is no visit %llu. List them: doorstepd review queue DIR",
                        (unsigned long long)number);
    if (!rc && !str_starts(out->area, by->area))
        rc = diag_set(d, ERR_DENIED, "Visit %llu is outside your area %.*s.", (unsigned long long)number,
                      STR_ARG(by->area));
    return rc;
}

static enum err barred(struct desk *k, const struct visit_line *l, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    do {
        struct arena_mark mark = arena_mark(k->a);
        enum err rc = cstore_records(k->st, k->a, RECORDS_OF_INTERVIEW, l->interview, 0, after, PAGE, &rows,
                                     &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record r;
            after = rows[i].number;
            rc = rows[i].conflicts ? record_unpack(k->a, rows[i].row, rows[i].packed, &r, d) : ERR_OK;
            if (!rc && rows[i].conflicts && record_disputed(&r, POLICY_REVIEW))
                rc = diag_set(
                    d, ERR_STATE,
                    "An answer in dispute bars the approval of visit %llu. Decide it first: doorstepd "
                    "review conflicts DIR --household %.*s",
                    (unsigned long long)l->number, STR_ARG(l->code));
        }
        arena_release(k->a, mark);
        if (rc)
            return rc;
    } while (count == PAGE);
    return ERR_OK;
}

static enum err in_turn(const struct visit_line *l, enum review_level level, enum review_state state,
                        struct diag *d)
{
    unsigned long long n = l->number;
    if (l->waits == WAITS_REPLACED)
        return diag_set(d, ERR_STATE, "Visit %llu was corrected since; decide about the correction.", n);
    if (l->waits == WAITS_DEVICE && state != REVIEW_HAS_ISSUES)
        return diag_set(
            d, ERR_STATE,
            "Visit %llu was sent back and its correction has not come. Until then nothing more is "
            "decided about it.",
            n);
    if (l->waits == WAITS_NOBODY && (state == REVIEW_APPROVED || level != REVIEW_COUNTY))
        return diag_set(d, ERR_STATE, "Visit %llu is approved by the county.", n);
    if (l->waits <= WAITS_COUNTY && level < l->waits)
        return diag_set(d, ERR_DENIED, "Visit %llu waits for the %s, and you decide for the %s.", n,
                        review_level_name((enum review_level)l->waits), review_level_name(level));
    return ERR_OK;
}

static struct str lease_of_visit(struct arena *a, uint64_t number)
{
    struct buf b;
    buf_init(&b, 40);
    buf_put_z(&b, "visit ");
    buf_put_u64(&b, number);
    struct str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static enum err not_held(struct desk *k, const struct work_by *by, struct str what, int64_t now,
                         struct diag *d)
{
    struct lease_row l;
    enum err rc = cstore_lease(k->st, k->a, what, now, &l, d);
    if (!rc && l.person != by->person)
        return diag_set(d, ERR_EXISTS, "%.*s has taken this piece of work.", STR_ARG(l.name));
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

static enum err level_for(const struct work_by *by, enum review_level *out, struct diag *d)
{
    return review_level_of(by->role, out)
               ? ERR_OK
               : diag_set(d, ERR_DENIED,
                          "Visits are reviewed by cadres, supervisors and the county; your role "
                          "is %s.",
                          role_name(by->role));
}

/* ---- one decision ---- */

static enum err remark_write(struct desk *k, struct cases *c, const struct work_by *by, struct row_id review,
                             const struct review_remark *r, struct str at, int64_t now, struct diag *d)
{
    unsigned char id[ROW_ID_SIZE];
    char hex[2 * ROW_ID_SIZE];
    struct buf field;
    const struct row_birth birth = {.kind = ROW_COMMENT, .parent = review};
    row_id_write(r->row, id);
    hex_write(id, sizeof id, hex);
    const struct case_field fields[] = {{COMMENT_TEXT, r->text},
                                        {COMMENT_PLACE, r->place.n ? r->place : STR_NONE},
                                        {COMMENT_ROW,
                                         row_id_none(r->row) ? STR_NONE : (struct str){hex, sizeof hex}},
                                        {COMMENT_FIELD, r->field ? number_text(&field, r->field) : STR_NONE},
                                        {COMMENT_AT, at}};
    struct case_edit edit = {
        .birth = &birth, .fields = fields, .field_count = 5, .person = by->person, .role = by->role};
    enum err rc = cases_edit(c, k->epoch, now, &edit, d);
    if (r->field)
        buf_free(&field);
    return rc;
}

static enum err review_write(struct desk *k, const struct work_by *by, const struct visit_line *l,
                             enum review_level level, const struct review_act *act, int64_t now,
                             struct diag *d)
{
    struct cases c = {.st = k->st, .a = k->a};
    char at[40];
    struct buf person;
    struct civil when = civil_at(now, zone_utc());
    const struct str at_text = {at, civil_write(&when, at)};
    const struct row_birth birth = {.kind = ROW_REVIEW, .parent = l->row};
    const struct case_field fields[] = {{REVIEW_STATE, str_of(review_state_name(act->state))},
                                        {REVIEW_BY_LEVEL, str_of(review_level_name(level))},
                                        {REVIEW_AT, at_text},
                                        {REVIEW_PERSON, number_text(&person, by->person)},
                                        {REVIEW_NAME, by->name.n ? by->name : STR_NONE},
                                        {REVIEW_COMMENT, act->comment.n ? act->comment : STR_NONE}};
    struct case_edit edit = {
        .birth = &birth, .fields = fields, .field_count = 6, .person = by->person, .role = by->role};
    enum err rc = cases_edit(&c, k->epoch, now, &edit, d);
    for (uint32_t i = 0; !rc && i < act->remark_count; i++)
        rc = remark_write(k, &c, by, edit.row, &act->remarks[i], at_text, now, d);
    buf_free(&person);
    return rc;
}

static enum err act_check(const struct review_act *act, struct diag *d)
{
    if (act->state != REVIEW_HAS_ISSUES && act->state != REVIEW_REJECTED && act->state != REVIEW_APPROVED)
        return diag_set(d, ERR_USAGE, "A visit is approved, rejected, or marked as having issues.");
    if (act->state != REVIEW_APPROVED && act->comment.n == 0 && act->remark_count == 0)
        return diag_set(d, ERR_USAGE,
                        "Say what is to be corrected: a comment on the whole, or on a question.");
    if (act->remark_count > REMARKS_MAX || act->comment.n > CSTORE_TEXT_MAX)
        return diag_set(d, ERR_LIMIT, "At most %d remarks and %d bytes of comment go back with a visit.",
                        REMARKS_MAX, CSTORE_TEXT_MAX);
    for (uint32_t i = 0; i < act->remark_count; i++) {
        if (act->remarks[i].text.n == 0 || act->remarks[i].text.n > CSTORE_TEXT_MAX)
            return diag_set(d, ERR_USAGE, "A remark on a question needs 1 to %d bytes.", CSTORE_TEXT_MAX);
    }
    return ERR_OK;
}

static enum err decide_one(struct desk *k, const struct work_by *by, const struct visit_line *l,
                           const struct review_act *act, int64_t now, struct diag *d)
{
    enum review_level level;
    struct str lease = lease_of_visit(k->a, l->number);
    enum err rc = level_for(by, &level, d);
    if (!rc)
        rc = in_turn(l, level, act->state, d);
    if (!rc && act->state == REVIEW_APPROVED)
        rc = barred(k, l, d);
    if (!rc)
        rc = not_held(k, by, lease, now, d);
    if (!rc)
        rc = review_write(k, by, l, level, act, now, d);
    if (!rc)
        rc = cstore_lease_end(k->st, lease, 0, d);
    if (!rc)
        rc = cstore_audit(k->st, now, by->name, str_of(review_state_name(act->state)), lease, d);
    return rc;
}

enum err review_act(struct desk *k, const struct work_by *by, uint64_t visit, const struct review_act *act,
                    struct diag *d)
{
    struct visit_line line;
    int64_t now = k->seam->wall_ms(k->seam->self);
    enum err rc = act_check(act, d);
    if (!rc)
        rc = cstore_begin(k->st, d);
    if (!rc)
        rc = visit_find(k, by, visit, &line, d);
    if (!rc)
        rc = decide_one(k, by, &line, act, now, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

/* ---- many at once ---- */

static const char *why_not(const struct visit_line *l, enum review_level level)
{
    return l->flags & VISIT_IS_RED     ? "red"
           : l->flags & VISIT_MISMATCH ? "mismatch"
           : l->flags & VISIT_CONFLICT ? "conflict"
           : l->flags & VISIT_UNPROVEN ? "not whole yet"
           : l->waits != level         ? "does not wait for you"
                                       : NULL;
}

enum err review_bulk(struct desk *k, const struct work_by *by, const uint64_t *visits, uint32_t count,
                     uint32_t *approved_out, struct review_exception **out, uint32_t *count_out,
                     struct diag *d)
{
    static const struct review_act approve = {.state = REVIEW_APPROVED};
    VEC(struct review_exception) left = {0};
    uint32_t approved = 0;
    enum review_level level = REVIEW_VILLAGE;
    int64_t now = k->seam->wall_ms(k->seam->self);
    enum err rc = level_for(by, &level, d);
    if (!rc)
        rc = cstore_begin(k->st, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct visit_line line = {.code = STR("")};
        struct diag why = {0};
        rc = visit_find(k, by, visits[i], &line, &why);
        const char *text = rc ? NULL : why_not(&line, level);
        if (!rc && !text)
            rc = decide_one(k, by, &line, &approve, now, &why);
        if (!rc && !text) {
            approved++;
            continue;
        }
        if (rc && rc != ERR_NOT_FOUND && rc != ERR_DENIED && rc != ERR_STATE && rc != ERR_EXISTS) {
            (void)diag_set(d, rc, "%s", why.text);
            break;
        }
        struct review_exception *x = vec_push(k->a, &left);
        rc = x ? ERR_OK : ERR_NOMEM;
        if (x)
            *x = (struct review_exception){visits[i], line.code,
                                           text ? str_of(text) : arena_str(k->a, str_of(why.text))};
    }
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    if (rc)
        return rc;
    *approved_out = approved;
    *out = left.at;
    *count_out = left.count;
    return ERR_OK;
}

/* ---- leases ---- */

enum err work_lease(struct desk *k, const struct work_by *by, struct str lease, int64_t ms, struct diag *d)
{
    int64_t now = k->seam->wall_ms(k->seam->self);
    struct lease_row held = {.name = STR("")};
    const struct lease_row mine = {.what = lease,
                                   .name = by->name,
                                   .person = by->person,
                                   .until_ms = now + ms};
    if (lease.n == 0 || lease.n > 200 || by->person == 0 || ms <= 0)
        return diag_set(d, ERR_USAGE, "Say what is taken, by whom and for how long.");
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = cstore_leases_tidy(k->st, now, d);
    if (!rc)
        rc = cstore_lease_take(k->st, k->a, &mine, now, &held, d);
    if (!rc && held.person != by->person)
        rc = diag_set(d, ERR_EXISTS, "%.*s has taken this piece of work.", STR_ARG(held.name));
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

enum err work_lease_end(struct desk *k, const struct work_by *by, struct str lease, struct diag *d)
{
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = cstore_lease_end(k->st, lease, by->person, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

/* ---- whole areas ---- */

enum err assign_area(struct desk *k, struct str area, uint32_t person, struct str due, uint32_t *changed_out,
                     struct diag *d)
{
    struct line_page p = {.area = area, .limit = PAGE};
    struct lines_basis basis = {0};
    struct person who;
    struct house_line *lines = NULL;
    uint32_t count = 0, changed = 0;
    uint64_t done = 0;
    int64_t now = k->seam->wall_ms(k->seam->self);
    char last[CSTORE_TEXT_MAX];
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = cstore_person(k->st, k->a, person, &who, d);
    if (rc == ERR_NOT_FOUND)
        (void)diag_set(d, rc, "There is no person %u.", person);
    do {
        struct arena_mark mark = arena_mark(k->a);
        if (!rc)
            rc = cstore_house_lines(k->st, k->a, HOUSES_BY_AREA, &p, &lines, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            bool one = false;
            if (!lines[i].status.n)
                rc = assign_row(k, lines[i].row, person, due, now, &basis, &one, d);
            changed += one;
            desk_progress(k, ++done);
        }
        if (!rc && count) { /* the page's texts go */
            struct str at = str_sub(lines[count - 1].area, 0, sizeof last);
            memcpy(last, at.p, at.n);
            p.after_text = (struct str){last, at.n};
            p.after = lines[count - 1].number;
        }
        arena_release(k->a, mark);
    } while (!rc && count == PAGE);
    if (!rc && changed)
        rc = cstore_audit(k->st, now, STR("centre"), STR("assigned area"), area, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    lines_basis_free(&basis);
    if (!rc)
        *changed_out = changed;
    return rc;
}
