/* Epochs: what holds after the database was set back to a backup.
 *
 * Server sequences are only comparable within one lineage of the database. An epoch names a lineage; a new
 * one begins when a backup was put back, and records the last sequence that it has in common with the one
 * before (its base). Handhelds keep what they sent for the retention time and send again what the centre has
 * lost; what they say to have seen beyond the base is cut to it.
 *
 * That a backup was put back is known in three ways: somebody says so (doorstepd restore); the marker, a
 * small file beside the database, is ahead of it; or a handheld has seen what this database never told.
 */
#include "server/parts.h"

#define MARKER_EVERY_MS (60LL * 1000)
#define SET_BACK_EVERY_MS (3600LL * 1000)
#define MARKER_FORM "%u %llu %llu\n"

uint32_t epoch_of_time(int64_t now_ms)
{
    int64_t minutes = (now_ms / 1000 - WIRE_EPOCH_S) / 60;
    return minutes < 1 ? 1 : minutes > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)minutes;
}

uint32_t epoch_after(uint32_t newest, int64_t now_ms)
{
    uint32_t of_time = epoch_of_time(now_ms);
    return of_time > newest ? of_time : newest + 1;
}

struct marker {
    uint32_t epoch;
    uint64_t seq, base;
};

static enum err marker_path(struct buf *b, const char *dir)
{
    buf_init(b, 4096);
    buf_put_z(b, dir);
    buf_put_z(b, "/marker");
    return b->failed;
}

/* A marker that is not there, or cannot be read, says nothing. */
static bool marker_read(const struct seam *seam, const char *dir, struct marker *out)
{
    struct buf path, text;
    struct diag quiet = {0};
    struct str rest, word[3] = {STR_NONE, STR_NONE, STR_NONE};
    uint64_t n[3] = {0};
    buf_init(&text, 256);
    bool good = !marker_path(&path, dir) && !seam->file_read(seam->self, path.p, &text, &quiet);
    rest = str_trim(buf_str(&text));
    for (int i = 0; good && i < 3; i++)
        good = str_split(&rest, ' ', &word[i]) && str_to_u64(word[i], &n[i]);
    good = good && n[0] <= UINT32_MAX;
    if (good)
        *out = (struct marker){(uint32_t)n[0], n[1], n[2]};
    buf_free(&text);
    buf_free(&path);
    return good;
}

static enum err marker_write(const struct seam *seam, const char *dir, struct cstore *st)
{
    struct counters now;
    struct buf path, text;
    struct diag quiet = {0};
    uint64_t base = UINT64_MAX;
    buf_init(&text, 256);
    enum err rc = marker_path(&path, dir);
    if (!rc)
        rc = cstore_county(st, NULL, NULL, NULL, &now, &quiet);
    if (!rc)
        rc = cstore_epoch_base(st, 0, EPOCH_TODAY, &base, &quiet);
    if (!rc) {
        buf_printf(&text, MARKER_FORM, now.epoch, (unsigned long long)now.server_seq,
                   (unsigned long long)base);
        rc = seam->file_write(seam->self, path.p, buf_str(&text), false, &quiet);
    }
    buf_free(&text);
    buf_free(&path);
    return rc;
}

void centre_mark(struct server *s, struct cstore *st, bool now)
{
    int64_t at = s->seam->mono_ms(s->seam->self);
    pthread_mutex_lock(&s->lock);
    bool due = now || at - s->marked_ms >= MARKER_EVERY_MS;
    if (due)
        s->marked_ms = at;
    pthread_mutex_unlock(&s->lock);
    if (due)
        (void)marker_write(s->seam, s->dir, st); /* a full disk: the next one will do */
}

/* ---- a new epoch ---- */

static enum err begin_epoch(struct cstore *st, uint32_t newest, uint64_t base, int64_t now_ms,
                            const char *why, struct diag *d)
{
    const struct counters *now = cstore_counters(st);
    uint32_t last = newest > now->epoch ? newest : now->epoch;
    if (base > now->server_seq)
        base = now->server_seq;
    enum err rc = cstore_epoch_begin(st, epoch_after(last, now_ms), base, now_ms, str_of(why), d);
    return rc ? rc : cstore_audit(st, now_ms, STR("centre"), STR("set-back"), str_of(why), d);
}

enum err srv_set_back(struct server *s, struct cstore *st, uint32_t epoch, struct diag *d)
{
    int64_t now_ms = srv_now_ms(s);
    if (s->set_back_ms && now_ms - s->set_back_ms < SET_BACK_EVERY_MS)
        return ERR_OK;
    uint64_t base = epoch == cstore_counters(st)->epoch ? s->opened_seq : 0;
    s->set_back_ms = now_ms;
    return begin_epoch(st, epoch, base, now_ms, "a handheld has seen what this database never told", d);
}

static bool proves(const struct server *s, const struct counters *now, uint32_t epoch, uint64_t cursor)
{
    if (epoch == now->epoch)
        return cursor > now->server_seq;
    return epoch > now->epoch && epoch <= epoch_of_time(srv_now_ms(s));
}

enum err srv_epoch_hear(struct server *s, struct cstore *st, uint32_t epoch, uint64_t cursor, struct diag *d)
{
    struct counters now;
    enum err rc = cstore_county(st, NULL, NULL, NULL, &now, d);
    if (rc || !proves(s, &now, epoch, cursor))
        return rc;
    pthread_mutex_lock(&s->write_turn);
    rc = cstore_begin(st, d);
    if (!rc && proves(s, cstore_counters(st), epoch, cursor))
        rc = srv_set_back(s, st, epoch, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    pthread_mutex_unlock(&s->write_turn);
    return rc;
}

static enum err set_back_now(const struct seam *seam, struct cstore *st, const struct marker *m,
                             const char *why, struct diag *d)
{
    enum err rc = cstore_begin(st, d);
    if (rc)
        return rc;
    const struct counters *now = cstore_counters(st);
    /* A marker of a later epoch knows how far this lineage and that one agree. */
    uint64_t base = m && m->epoch > now->epoch && m->base < now->server_seq ? m->base : now->server_seq;
    rc = begin_epoch(st, m ? m->epoch : 0, base, seam->wall_ms(seam->self), why, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    return rc;
}

enum err centre_set_back(const struct seam *seam, const char *dir, struct cstore *st, struct diag *d)
{
    struct marker m;
    bool marked = marker_read(seam, dir, &m);
    enum err rc = set_back_now(seam, st, marked ? &m : NULL, "a backup was put back", d);
    if (!rc)
        (void)marker_write(seam, dir, st);
    return rc;
}

enum err centre_marker_look(const struct seam *seam, const char *dir, struct cstore *st, struct diag *d)
{
    struct marker m;
    struct counters now;
    if (!marker_read(seam, dir, &m))
        return ERR_OK;
    enum err rc = cstore_county(st, NULL, NULL, NULL, &now, d);
    if (rc || m.epoch < now.epoch || (m.epoch == now.epoch && m.seq <= now.server_seq))
        return rc;
    rc = set_back_now(seam, st, &m, "the database is behind its marker", d);
    if (!rc)
        (void)marker_write(seam, dir, st);
    return rc;
}
