/* What a frame is, in the order in which one may believe it: shape, author, signature; from there on it is
 * authentic, and whatever else is wrong with it is kept for a person to look at. */
#include "sync/ingest.h"

static void settle(struct ingest *out, enum ingest_verdict verdict, enum err cause)
{
    bool out_of_memory = cause == ERR_NOMEM;
    out->verdict = out_of_memory ? INGEST_REFUSE : verdict;
    out->cause = cause;
}

/* False: refused. */
static bool authentic(struct str bytes, const struct ingest_author *author, struct ingest *out,
                      struct diag *d)
{
    size_t size;
    enum err rc = frame_parse(bytes, &out->frame, &size, d);
    if (!rc && size != bytes.n)
        rc = diag_set(d, ERR_CORRUPT, "One frame was expected; %zu bytes follow it.", bytes.n - size);
    if (!rc && out->frame.type != FRAME_UP)
        rc = diag_set(d, ERR_USAGE, "A frame of type %u does not go to the centre.",
                      (unsigned)out->frame.type);
    if (!rc && (!author->known || !out->frame.device))
        rc = diag_set(d, ERR_DENIED,
                      "The handheld %016llx, incarnation %u, is not known here; it must enrol first.",
                      (unsigned long long)out->frame.device, (unsigned)out->frame.inc);
    if (!rc)
        rc = frame_verify(&out->frame, author->sign_public, d);
    if (rc)
        settle(out, INGEST_REFUSE, rc);
    return !rc;
}

/* Whoever sends as this incarnation is not the one, or not the only one, who sent what is stored. */
static enum err chain_check(const struct ingest_author *author, const struct frame *f, struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    if (author->prev_known && memcmp(f->prev, author->prev, sizeof(f->prev)) != 0)
        return diag_set(
            d, ERR_EXISTS,
            "Frame %llu does not follow frame %llu that is stored here: a copy of the handheld, or "
            "a restored one, has sent too. It takes another incarnation.",
            (unsigned long long)f->batch_seq, (unsigned long long)(f->batch_seq - 1));
    enum err rc = author->next_known ? sha256(f->bytes, hash) : ERR_OK;
    if (!rc && author->next_known && memcmp(hash, author->next, sizeof(author->next)) != 0)
        return diag_set(
            d, ERR_EXISTS,
            "Frame %llu that is stored here does not follow this frame %llu: a copy of the handheld, "
            "or a restored one, has sent too. It takes another incarnation.",
            (unsigned long long)f->batch_seq + 1, (unsigned long long)f->batch_seq);
    return rc;
}

/* False: authentic, but set apart. */
static bool in_place(const struct ingest_author *author, struct ingest *out, struct diag *d)
{
    const struct frame *f = &out->frame;
    enum err rc = ERR_OK;
    if (author->revoked)
        rc = author->revoked == ERR_EXISTS
                 ? diag_set(
                       d, ERR_EXISTS,
                       "This incarnation of the handheld is over. What still comes of it is kept apart, and "
                       "a supervisor may release it.")
                 : diag_set(d, ERR_DENIED,
                            "This handheld was revoked. What it sent is kept apart, and a supervisor may "
                            "release it.");
    else if (!f->batch_seq)
        rc = diag_set(d, ERR_CORRUPT, "The frame has no number; they count from 1.");
    else
        rc = chain_check(author, f, d);
    if (!rc && f->raw_size > INGEST_RAW_MAX)
        rc = diag_set(d, ERR_LIMIT,
                      "The frame holds %u bytes of changes; more than %u could not be passed on to others.",
                      (unsigned)f->raw_size, (unsigned)INGEST_RAW_MAX);
    if (!rc && f->schema != BATCH_SCHEMA_CHANGES)
        rc = diag_set(d, ERR_VERSION, "The payload has schema %u; this centre knows %u. Update the centre.",
                      (unsigned)f->schema, (unsigned)BATCH_SCHEMA_CHANGES);
    if (rc)
        settle(out, INGEST_QUARANTINE, rc);
    return !rc;
}

static enum err open_payload(struct arena *a, const struct ingest_author *author,
                             const struct key_pair_x25519 *county, struct ingest *out, struct diag *d)
{
    struct buf plain;
    buf_init(&plain, out->frame.raw_size);
    enum err rc = frame_open_with(&out->frame, county, author->dicts, &plain, d);
    if (!rc) {
        out->payload = arena_str(a, buf_str(&plain));
        rc = out->payload.p ? ERR_OK : diag_set(d, ERR_NOMEM, "Not enough memory to open a frame.");
    }
    if (plain.p)
        crypto_wipe(plain.p, plain.room);
    buf_free(&plain);
    return rc;
}

static enum err read_changes(struct arena *a, const struct batch_rows *rows, struct ingest *out,
                             struct diag *d)
{
    out->head = (struct batch_head){.device = out->frame.device, .inc = out->frame.inc};
    enum err rc = batch_read(a, out->payload, rows, &out->head, &out->changes, &out->change_count, d);
    if (rc)
        return rc;
    out->hlc_effective = ARENA_ARRAY(a, int64_t, out->change_count);
    if (!out->hlc_effective)
        return diag_set(d, ERR_NOMEM, "Not enough memory to read a frame.");
    for (uint32_t i = 0; i < out->change_count; i++)
        out->hlc_effective[i] = hlc_effective(out->changes[i].hlc, out->head.anchor_ms, out->head.elapsed_ms);
    return ERR_OK;
}

void ingest_frame(struct arena *a, struct str bytes, const struct ingest_author *author,
                  const struct key_pair_x25519 *county, const struct batch_rows *rows, struct ingest *out,
                  struct diag *d)
{
    *out = (struct ingest){.verdict = INGEST_ACCEPT};
    if (!authentic(bytes, author, out, d))
        return;
    bool placed = in_place(author, out, d);
    /* Opened even when it is set apart, so that it can be released after its key is gone. */
    enum err rc = open_payload(a, author, county, out, placed ? d : NULL);
    if (placed && !rc)
        rc = read_changes(a, rows, out, d);
    if (placed && rc)
        settle(out, INGEST_QUARANTINE, rc);
}

void ingest_again(struct arena *a, struct str bytes, struct str payload, const struct ingest_author *author,
                  const struct batch_rows *rows, struct ingest *out, struct diag *d)
{
    *out = (struct ingest){.verdict = INGEST_ACCEPT};
    if (!authentic(bytes, author, out, d))
        return;
    out->payload = payload;
    if (!in_place(author, out, d))
        return;
    enum err rc = read_changes(a, rows, out, d);
    if (rc)
        settle(out, INGEST_QUARANTINE, rc);
}
