/* Beside the answers: the log of the interview where the form wants one, comments, and what the form asks of
 * the device. Log and comments are saved in the transaction of the answer before or behind them; the log
 * alone is never a reason to write.
 */
#include "agent/work_impl.h"

#include "platform/base/num.h"

#define LOG_BYTES_MAX (256u << 10) /* of one visit: some thousand rows */

/* ---- the log ---- */

enum err work_log_open(struct work *w, struct diag *d)
{
    const struct audit_settings *wanted = form_audit(w->form);
    struct str user = store_identity(w->o.store)->by.person_name;

    buf_init(&w->log_text, LOG_BYTES_MAX);
    enum err rc = audit_open(&w->arena, w->session, &w->audit, d);
    if (rc || !w->audit)
        return rc;
    if (wanted->identify_user && user.n)
        audit_user(w->audit, user);
    if (wanted->change_reasons && w->visit.edit && w->o.reason)
        audit_reason(w->audit, str_of(w->o.reason));
    audit_moment(w->audit, w->visit.resumed ? AUDIT_FORM_RESUME : AUDIT_FORM_START, NULL);
    return ERR_OK;
}

struct str work_log_text(struct work *w)
{
    const struct audit_settings *wanted = form_audit(w->form);
    const struct audit_row *rows;
    uint32_t count = 0;
    struct diag d = {0};

    buf_clear(&w->log_text);
    if (!w->audit || w->log_full)
        return STR("");
    if (audit_rows(w->audit, &rows, &count, &d))
        work_note(w, "part of the log of this interview is lost: %s", d.text);
    for (uint32_t i = 0; i < count; i++)
        audit_csv_row(wanted, &rows[i], &w->log_text);
    if (w->log_text.failed || w->visit.log_bytes + w->log_text.n > LOG_BYTES_MAX) {
        w->log_full = true;
        buf_clear(&w->log_text);
        work_note(w, "the log of this interview is full and ends here; the answers are not affected");
    }
    return w->log_text.n ? buf_str(&w->log_text) : STR("");
}

void work_log_saved(struct work *w)
{
    audit_rows_clear(w->audit);
}

void work_log_leave(struct work *w)
{
    struct diag quiet = {0};
    if (!w->audit || w->visit.key == 0)
        return;
    audit_moment(w->audit, AUDIT_FORM_EXIT, NULL);
    const struct visit_beside beside = {.log = work_log_text(w)};
    /* The answers are saved; a log that lacks its last rows is no reason to keep anybody. */
    (void)!store_visit_save(w->o.store, &w->visit, NULL, 0, &beside, &quiet);
}

/* ---- comments ---- */

enum err work_comment(struct work *w, struct place p, struct str text, struct diag *d)
{
    if (p.field == UINT32_MAX)
        return diag_set(d, ERR_USAGE, "a comment is made on a question");
    if (text.n == 0 || text.n > 4000)
        return diag_set(d, ERR_LIMIT, "a comment has 1 to 4000 bytes");
    struct str kept = arena_str(&w->arena, text), place = session_ref(w->session, p, &w->arena);
    struct visit_comment *slot = kept.p && place.p ? vec_push(&w->arena, &w->comments) : NULL;
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for the comment");
    *slot = (struct visit_comment){.key = p.key, .field = p.field, .place = place, .text = kept};
    return ERR_OK;
}

/* ---- what the form asks of the device ---- */

enum err work_position(struct work *w, struct str position, struct diag *d)
{
    double n[4] = {0};
    struct str rest = position, word;
    uint32_t count = 0;
    while (count < 4 && str_word(&rest, &word))
        if (!num_read(word, &n[count++]))
            count = 9;
    if (count < 2 || count > 4 || str_trim(rest).n || n[0] < -90 || n[0] > 90 || n[1] < -180 || n[1] > 180)
        return diag_set(
            d, ERR_SYNTAX,
            "a position is LATITUDE LONGITUDE [ALTITUDE [ACCURACY]], such as \"32.1 110.8 410 5\"");
    w->o.position = arena_z(&w->arena, position);
    if (!w->o.position)
        return diag_set(d, ERR_NOMEM, "no memory for the position");
    audit_position(w->audit, n[0], n[1], n[3], w->o.seam->wall_ms(w->o.seam->self));
    return ERR_OK;
}

static bool note_once(const struct work *w, struct str beginning)
{
    for (uint32_t i = 0; i < w->notes.count; i++)
        if (str_starts(w->notes.at[i], beginning))
            return false;
    return true;
}

static void cannot(struct work *w, enum request_kind kind)
{
    static const char *const why[] = {
        [REQUEST_POSITION] = "this form asks where the device is, which it cannot tell: --position gives it",
        [REQUEST_RECORDING] = "this form asks for a sound recording, which this device does not make",
    };
    if (note_once(w, str_of(why[kind])))
        work_note(w, "%s", why[kind]);
}

enum err work_requests(struct work *w, struct diag *d)
{
    struct place *places;
    struct str position = w->o.position ? str_of(w->o.position) : STR_NONE;
    uint32_t count = session_requests(w->session, &w->arena, &places);
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < count; i++) {
        enum request_kind kind = session_request(w->session, places[i]).kind;
        if (kind == REQUEST_POSITION && position.p)
            rc = session_answer(w->session, places[i], position, d);
        else
            cannot(w, kind);
    }
    return rc;
}
