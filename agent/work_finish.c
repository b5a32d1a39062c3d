/* Finishing: the session is closed, judged, and kept with everything that belongs to the visit: its findings,
 * its log, what it says about entities, and the bytes of its submission. Everything goes in one transaction
 * of the store; until then the draft is as it was.
 */
#include "agent/attach.h"
#include "agent/work_impl.h"
#include "risk/dept.h"

#include "platform/crypto_odk.h"

#define AUDIT_FILE STR("audit.csv")
#define FILES_MAX 4

struct finishing {
    struct work *w;
    struct arena *a;
    struct buf xml, log;
    struct visit_file files[FILES_MAX];
    struct buf sealed[FILES_MAX];
    uint32_t sealed_count;
    struct visit_finish f;
    struct work_result r;
};

static struct str instance_id(struct work *w, struct arena *a)
{
    for (uint32_t i = 0; i < form_field_count(w->form); i++) {
        const struct form_field *f = form_field(w->form, i);
        struct place p;
        struct diag quiet = {0};
        if (str_ends(f->path, STR("/meta/instanceID")) && !session_place(w->session, f->path, &p, &quiet)) {
            bool relevant;
            return arena_str(a, session_value(w->session, p, &relevant));
        }
    }
    return STR_NONE;
}

/* A form that looks back finds this interview next time. */
static enum err keep_last_saved(struct work *w, struct arena *a, struct str xml, struct diag *d)
{
    for (uint32_t i = 0; i < form_resource_count(w->form); i++)
        if (str_eq(form_resource(w->form, i), LIST_LAST_SAVED))
            return store_last_saved_put(w->o.store, a, form_id(w->form), xml, d);
    return ERR_OK;
}

/* A finish that failed later, on a full card, is tried again. */
static enum err close_session(struct finishing *x, struct diag *d)
{
    struct work *w = x->w;
    const struct audit_settings *wanted = form_audit(w->form);
    if (w->finalised)
        return ERR_OK;
    if (wanted->change_reasons && w->visit.edit && !(w->o.reason && w->o.reason[0]))
        return diag_set(d, ERR_USAGE,
                        "this form wants to know why what was sent is corrected: --reason TEXT");
    enum err rc = audit_attach(w->audit, AUDIT_FILE, d);
    if (!rc)
        rc = session_finalise(w->session, d);
    if (rc) {
        audit_moment(w->audit, AUDIT_FINALIZE_ERROR, NULL);
        return rc;
    }
    audit_moment(w->audit, AUDIT_FORM_FINALIZE, NULL);
    audit_moment(w->audit, AUDIT_FORM_EXIT, NULL);
    w->finalised = true;
    return ERR_OK;
}

static enum err whole_log(struct finishing *x, struct diag *d)
{
    struct work *w = x->w;
    if (!w->audit)
        return ERR_OK;
    audit_csv_header(form_audit(w->form), &x->log);
    enum err rc = store_visit_log(w->o.store, &w->visit, &x->log, d);
    buf_put_str(&x->log, work_log_text(w));
    x->f.log = buf_str(&x->log);
    return !rc && x->log.failed ? diag_set(d, x->log.failed, "the log of the interview is too large") : rc;
}

static enum err say_entities(struct finishing *x, struct diag *d)
{
    struct entity_delta *deltas = NULL;
    uint32_t count = 0;
    enum err rc = session_entities(x->w->session, x->a, &deltas, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        x->r.entities += deltas[i].fault == ENTITY_FINE;
        if (deltas[i].fault != ENTITY_FINE)
            work_note(x->w, "%s: %s", arena_z(x->a, session_ref(x->w->session, deltas[i].place, x->a)),
                      entity_fault_text(deltas[i].fault));
    }
    x->f.entities = deltas;
    x->f.entity_count = rc ? 0 : count;
    return rc;
}

static struct buf *next_file(struct finishing *x, struct str name)
{
    CHECK(x->f.file_count < FILES_MAX);
    struct buf *b = &x->sealed[x->sealed_count++];
    buf_init(b, WORK_FILE_MAX);
    x->files[x->f.file_count++].name = name;
    return b;
}

static enum err seal_files(struct finishing *x, struct diag *d)
{
    static const struct encrypt_crypto crypto = {crypto_random, odk_rsa_oaep_sha256, odk_aes256_cfb, odk_md5};
    const struct encrypt_record record = {.form_id = form_id(x->w->form),
                                          .form_version = form_version(x->w->form),
                                          .instance_id = x->r.instance_id,
                                          .public_key = form_submission(x->w->form)->public_key};
    struct encrypt *e = NULL;
    enum err rc = encrypt_begin(x->a, &crypto, &record, &e, d);
    if (!rc && x->log.n)
        rc = encrypt_file(e, AUDIT_FILE, buf_str(&x->log), next_file(x, STR("audit.csv.enc")), d);
    if (!rc) {
        struct buf *manifest = next_file(x, STR("submission.xml"));
        struct buf *cipher = next_file(x, STR("submission.xml.enc"));
        rc = encrypt_submission(e, buf_str(&x->xml), cipher, manifest, d);
    }
    encrypt_end(e);
    for (uint32_t i = 0; i < x->f.file_count; i++)
        x->files[i].bytes = buf_str(&x->sealed[i]);
    return rc;
}

/* What the visit is to an ODK server, byte for byte the same however often it is asked for. A key that cannot
 * be used keeps nobody from finishing; nothing goes out in the clear instead. */
static enum err make_files(struct finishing *x, struct diag *d)
{
    struct diag why = {0};
    x->f.files = x->files;
    if (form_submission(x->w->form)->public_key.n == 0) {
        x->files[0] = (struct visit_file){STR("submission.xml"), buf_str(&x->xml)};
        x->f.file_count = 1;
        return ERR_OK;
    }
    enum err rc = seal_files(x, &why);
    if (rc == ERR_NOMEM)
        return diag_set(d, rc, "%s", why.text);
    if (rc) {
        x->f.file_count = 0;
        work_note(x->w, "this visit cannot be exported to ODK, because it cannot be encrypted: %s", why.text);
    }
    return ERR_OK;
}

/* Photos that the answers name travel with the visit. */
static enum err link_files(struct finishing *x, struct diag *d)
{
    if (x->w->visit.key == 0)
        return ERR_OK;
    return attach_link(x->w->o.store, x->w->visit.key, buf_str(&x->xml), d);
}

/* So that the centre can judge again by the same values, whatever departments send later. */
static enum err mark_departments(struct finishing *x, struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    const struct judge_input *basis = &x->w->basis;
    if (!x->r.judged || !basis->dept.n)
        return ERR_OK;
    enum err rc = sha256(basis->dept, hash);
    if (rc)
        return diag_set(d, rc, "the departments' values cannot be marked");
    x->f.dept_mark = dept_mark(x->a, basis->dept_as_of, hash);
    return x->f.dept_mark.p ? ERR_OK : diag_set(d, ERR_NOMEM, "no memory to finish");
}

static enum err keep(struct finishing *x, struct diag *d)
{
    x->f.instance_id = x->r.instance_id;
    x->f.judged = x->r.judged;
    x->f.findings = x->r.judged ? &x->r.judgement : NULL;
    x->f.change_count = session_changes(x->w->session, &x->f.changes);
    x->f.comments = x->w->comments.at;
    x->f.comment_count = x->w->comments.count;
    memcpy(x->f.pack_hash, x->w->pack_hash, SHA256_SIZE);
    enum err rc = mark_departments(x, d);
    if (!rc)
        rc = link_files(x, d);
    if (!rc)
        rc = store_visit_finalise(x->w->o.store, &x->w->visit, &x->f, d);
    if (rc)
        return rc;
    session_changes_clear(x->w->session);
    work_log_saved(x->w);
    x->w->comments.count = 0;
    return link_files(x, d); /* of a visit that is saved only now */
}

enum err work_finish(struct work *w, struct arena *a, struct str own_judgement, struct work_result *out,
                     struct diag *d)
{
    struct finishing x = {.w = w, .a = a, .f = {.judgement = own_judgement}};

    buf_init(&x.xml, WORK_FILE_MAX);
    buf_init(&x.log, 1u << 20);
    enum err rc = close_session(&x, d);
    if (!rc)
        rc = session_xml(w->session, false, &x.xml, d);
    if (!rc)
        rc = sha256(buf_str(&x.xml), x.f.xml_hash);
    if (!rc && w->pack) {
        struct diag why = {0};
        rc = work_judge(w, a, &x.r.judgement, &why);
        x.r.judged = !rc;
        x.f.ended_ms = w->judged_ms;
        if (rc == ERR_NOMEM)
            (void)diag_set(d, rc, "%s", why.text);
        else if (rc) { /* a fault of the pack keeps nobody from finishing */
            work_note(w, "this visit was not judged: %s", why.text);
            rc = ERR_OK;
        }
    }
    x.r.instance_id = rc ? STR_NONE : instance_id(w, a);
    x.r.xml_size = x.xml.n;
    if (!rc)
        rc = say_entities(&x, d);
    if (!rc)
        rc = whole_log(&x, d);
    if (!rc)
        rc = make_files(&x, d);
    if (!rc)
        rc = keep_last_saved(w, a, buf_str(&x.xml), d);
    if (!rc)
        rc = keep(&x, d);
    buf_free(&x.xml);
    buf_free(&x.log);
    for (uint32_t i = 0; i < x.sealed_count; i++)
        buf_free(&x.sealed[i]);
    if (!rc)
        *out = x.r;
    return rc;
}
