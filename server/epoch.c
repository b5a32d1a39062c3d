/* Epochs: what holds after the database was set back to a backup.
 *
 * Server sequences are only comparable within one lineage of the database. An epoch names a lineage, and
 * every start of the centre begins one: nothing in a database that was put back says that it was, but nobody
 * can put one back under a program that runs. The base of an epoch is how far handhelds had been told when it
 * began: whoever knows more than that knows it from a history that is lost. So a handheld whose cursor is not
 * beyond the base goes on as if nothing had happened, and every other one learns what is lost, whether
 * anybody said that a backup was put back or not. Handhelds keep what they sent for the retention time and
 * send again what the centre has lost; what they say to have seen beyond the base is cut to it.
 *
 * Epochs are seconds since 2024 at least, so that those of a lost history are lower; the marker, a small file
 * beside the database, says what the last one was where the clock went wrong.
 */
#include "server/parts.h"

#define MARKER_EVERY_MS (60LL * 1000)
#define MARKER_FORM "%u %llu %u %llu\n"

uint32_t epoch_of_time(int64_t now_ms)
{
    int64_t seconds = now_ms / 1000 - WIRE_EPOCH_S;
    return seconds < 1 ? 1 : seconds > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)seconds;
}

uint32_t epoch_after(uint32_t newest, int64_t now_ms)
{
    uint32_t of_time = epoch_of_time(now_ms);
    return of_time > newest ? of_time : newest + 1;
}

/* low: the lowest base of the epochs that began because a backup was put back, low_epoch the last of them: a
 * database from before that does not know it. */
struct marker {
    uint32_t epoch;
    uint64_t seq;
    uint32_t low_epoch;
    uint64_t low;
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
    struct str rest, word;
    uint64_t n[4] = {0};
    buf_init(&text, 256);
    bool good = !marker_path(&path, dir) && !seam->file_read(seam->self, path.p, &text, &quiet);
    rest = str_trim(buf_str(&text));
    for (int i = 0; good && i < 4; i++)
        good = str_split(&rest, ' ', &word) && str_to_u64(word, &n[i]);
    good = good && n[0] <= UINT32_MAX && n[2] <= UINT32_MAX;
    if (good)
        *out = (struct marker){(uint32_t)n[0], n[1], (uint32_t)n[2], n[3]};
    buf_free(&text);
    buf_free(&path);
    return good;
}

/* `low` NULL: what the marker said of it stays. */
static enum err marker_write(const struct seam *seam, const char *dir, struct cstore *st,
                             const struct marker *low)
{
    struct counters now;
    struct marker before = {0};
    struct buf path, text;
    struct diag quiet = {0};
    if (!low && marker_read(seam, dir, &before))
        low = &before;
    buf_init(&text, 256);
    enum err rc = marker_path(&path, dir);
    if (!rc)
        rc = cstore_county(st, NULL, NULL, NULL, &now, &quiet);
    if (!rc) {
        buf_printf(&text, MARKER_FORM, now.epoch, (unsigned long long)now.server_seq,
                   low ? low->low_epoch : 0, (unsigned long long)(low ? low->low : 0));
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
        (void)marker_write(s->seam, s->dir, st, NULL); /* a full disk: the next one will do */
}

/* ---- a new epoch ---- */

static enum err begin_epoch(struct cstore *st, struct marker *m, bool set_back, int64_t now_ms,
                            const char *why, struct diag *d)
{
    const struct counters *now = cstore_counters(st);
    uint32_t before = now->epoch, last = m->epoch > before ? m->epoch : before;
    uint64_t base = 0;
    enum err rc = cstore_told(st, &base, d);
    if (m->low_epoch > before && m->low < base)
        base = m->low;
    if (!rc)
        rc = cstore_epoch_begin(st, epoch_after(last, now_ms), base, now_ms, str_of(why), d);
    if (!rc && set_back) {
        m->low = m->low_epoch && m->low < base ? m->low : base;
        m->low_epoch = now->epoch;
    }
    return rc;
}

static bool is_behind(const struct marker *m, const struct counters *now)
{
    return m->epoch > now->epoch || (m->epoch == now->epoch && m->seq > now->server_seq);
}

/* `set_back`: somebody says so; else the marker may. */
static enum err epoch_begin(const struct seam *seam, const char *dir, struct cstore *st, bool set_back,
                            struct diag *d)
{
    struct marker m = {0};
    int64_t now_ms = seam->wall_ms(seam->self);
    const char *why = set_back ? "a backup was put back" : "the centre was started";
    bool marked = marker_read(seam, dir, &m);
    enum err rc = cstore_begin(st, d);
    if (!rc && !set_back && marked && is_behind(&m, cstore_counters(st))) {
        why = "the database is behind its marker";
        set_back = true;
    }
    if (!rc)
        rc = begin_epoch(st, &m, set_back, now_ms, why, d);
    if (!rc && set_back)
        rc = cstore_audit(st, now_ms, STR("centre"), STR("set-back"), str_of(why), d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    if (!rc)
        (void)marker_write(seam, dir, st, &m);
    return rc;
}

enum err centre_set_back(const struct seam *seam, const char *dir, struct cstore *st, struct diag *d)
{
    return epoch_begin(seam, dir, st, true, d);
}

enum err centre_epoch_begin(const struct seam *seam, const char *dir, struct cstore *st, struct diag *d)
{
    return epoch_begin(seam, dir, st, false, d);
}

/* ---- what is told ---- */

enum err srv_telling(struct server *s, struct cstore *st, uint64_t seq, struct diag *d)
{
    uint64_t told = 0;
    enum err rc = cstore_told(st, &told, d);
    if (rc || told >= seq)
        return rc;
    pthread_mutex_lock(&s->write_turn);
    rc = cstore_begin(st, d);
    if (!rc)
        rc = cstore_told_put(st, seq, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    pthread_mutex_unlock(&s->write_turn);
    return rc;
}
