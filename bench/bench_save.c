/* doorstep-bench-save DIR [COUNT]: what it costs until the screen may say "saved". In DIR, which lies on the
 * disk in question, four things are done COUNT times (default 2,000) in turn, so that all of them meet the
 * same disk: 4 KiB as the WAL writes them (a page of 4,096 bytes behind a head of 24) go into a file of the
 * WAL's size that was written through before, and fdatasync; the same with as many pages as an answer takes;
 * an answer is saved by store_visit_save into a database without a key; and into a sealed one, as handhelds
 * have it. Beside the times: how often a saved answer syncs and how many writes it makes, counted in the VFS.
 *
 * The database without a key is the sealed one exported: tables and code are the same.
 */
#include "agent/store_impl.h"
#include "agent/work.h"
#include "bench/bench.h"
#include "platform/posix/posix_seam.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_MAX 100000
#define QUESTIONS 40
#define PAGE 4120
#define PAGES_MAX 64
#define FILE_PAGES 1018 /* 4 MiB, where a WAL begins anew */

enum what { BARE, BARE_SAME, PLAIN, SEALED, WHATS };

static const char *const names[WHATS] = {"bare_4k", "bare_same_bytes", "answer_plain", "answer_sealed"};

struct counter {
    uint64_t syncs, writes;
    uint64_t one; /* saves that synced once */
};

struct handheld {
    struct store *store;
    struct work w;
    struct counter ops;
};

struct bench_save {
    struct arena a;
    struct seam seam;
    const char *dir;
    const char *form;
    struct counter now;
    uint32_t count;
    double *us[WHATS];
    struct handheld at[2]; /* plain, sealed */
    int bare;
    uint32_t bare_page;
    uint32_t same_pages; /* of one answer, headers aside */
};

static enum err count_operation(void *self, const char *operation, const char *path)
{
    struct bench_save *b = self;
    (void)path;
    b->now.syncs += strcmp(operation, "sync") == 0;
    b->now.writes += strcmp(operation, "write") == 0;
    return ERR_OK;
}

static const char *in_dir(struct bench_save *b, const char *name)
{
    size_t n = strlen(b->dir) + strlen(name) + 2;
    char *p = arena_alloc(&b->a, n);
    if (p)
        snprintf(p, n, "%s/%s", b->dir, name);
    return p ? p : "";
}

/* ---- the disk alone ---- */

static enum err bare_open(struct bench_save *b, struct diag *d)
{
    static const char zeros[PAGE];
    const char *path = in_dir(b, "bare");
    b->bare = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = b->bare >= 0;
    for (uint32_t i = 0; ok && i < FILE_PAGES; i++)
        ok = write(b->bare, zeros, PAGE) == PAGE;
    if (!ok || fsync(b->bare))
        return diag_set(d, ERR_IO, "%s cannot be written", path);
    return ERR_OK;
}

static enum err bare_write(struct bench_save *b, uint32_t pages, struct diag *d)
{
    char page[PAGE];
    memset(page, (int)(b->bare_page & 0xff), sizeof page);
    for (uint32_t i = 0; i < pages; i++) {
        off_t at = (off_t)(b->bare_page++ % FILE_PAGES) * PAGE;
        if (pwrite(b->bare, page, sizeof page, at) != PAGE)
            return diag_set(d, ERR_IO, "%s/bare cannot be written", b->dir);
    }
    return fdatasync(b->bare) ? diag_set(d, ERR_IO, "%s/bare cannot be synced", b->dir) : ERR_OK;
}

/* ---- an interview ---- */

static enum err write_form(struct bench_save *b, struct diag *d)
{
    struct buf x;
    buf_init(&x, 1u << 20);
    buf_put_z(&x, "<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml'>"
                  "<h:head><h:title>Save</h:title><model><instance><data id='save' version='1'>");
    for (int i = 0; i < QUESTIONS; i++)
        buf_printf(&x, "<q%d/>", i);
    buf_put_z(&x, "</data></instance></model></h:head><h:body>");
    for (int i = 0; i < QUESTIONS; i++)
        buf_printf(&x, "<input ref='/data/q%d'><label>Question %d</label></input>", i, i);
    buf_put_z(&x, "</h:body></h:html>");
    b->form = in_dir(b, "form.xml");
    enum err rc = x.failed ? diag_set(d, x.failed, "no memory for a form")
                           : b->seam.file_write(b->seam.self, b->form, buf_str(&x), false, d);
    buf_free(&x);
    return rc;
}

static enum err unseal(struct bench_save *b, struct handheld *h, const char *dir, struct diag *d)
{
    char path[4096], sql[4300];
    snprintf(path, sizeof path, "%s/plain.db", dir);
    snprintf(sql, sizeof sql,
             "ATTACH DATABASE '%s' AS plain KEY ''; SELECT sqlcipher_export('plain'); DETACH plain", path);
    const struct db_options o = {.path = path, .vfs = b->seam.vfs};
    enum err rc = db_exec(h->store->db, sql, d);
    if (rc)
        return rc;
    db_close(h->store->db);
    h->store->db = NULL;
    return db_open(&o, &h->store->db, d);
}

static enum err handheld_open(struct bench_save *b, enum what what, struct diag *d)
{
    struct handheld *h = &b->at[what - PLAIN];
    const char *dir = in_dir(b, names[what]);
    enum err rc = store_open(dir, &b->seam, NULL, &h->store, d);
    if (!rc && what == PLAIN)
        rc = unseal(b, h, dir, d);
    const struct work_options o = {.store = h->store, .seam = &b->seam, .form = b->form, .fresh = true};
    return rc ? rc : work_open(&h->w, &o, d);
}

/* One answer after the other, each a little longer than a number and never the one that is there. */
static enum err say(struct handheld *h, uint32_t n, struct diag *d)
{
    char ref[32], value[64];
    struct place p;
    snprintf(ref, sizeof ref, "/data/q%u", n % QUESTIONS);
    snprintf(value, sizeof value, "what was said, the %u. time", n);
    enum err rc = session_place(h->w.session, str_of(ref), &p, d);
    return rc ? rc : session_answer(h->w.session, p, str_of(value), d);
}

static enum err save(struct bench_save *b, struct handheld *h, double *us_out, struct diag *d)
{
    const struct session_change *changes;
    uint32_t count = session_changes(h->w.session, &changes);
    const struct counter before = b->now;
    double from = wall_ms();
    enum err rc = store_visit_save(h->store, &h->w.visit, changes, count, NULL, d);
    *us_out = (wall_ms() - from) * 1000;
    h->ops.syncs += b->now.syncs - before.syncs;
    h->ops.writes += b->now.writes - before.writes;
    h->ops.one += b->now.syncs == before.syncs + 1;
    session_changes_clear(h->w.session);
    return rc;
}

static enum err one_round(struct bench_save *b, uint32_t n, double us[WHATS], struct diag *d)
{
    enum err rc = ERR_OK;
    for (int what = BARE; !rc && what <= BARE_SAME; what++) {
        double from = wall_ms();
        rc = bare_write(b, what == BARE ? 1 : b->same_pages, d);
        us[what] = (wall_ms() - from) * 1000;
    }
    for (int i = 0; !rc && i < 2; i++) {
        rc = say(&b->at[i], n, d);
        if (!rc)
            rc = save(b, &b->at[i], &us[PLAIN + i], d);
    }
    return rc;
}

static enum err rounds(struct bench_save *b, struct diag *d)
{
    double us[WHATS];
    enum err rc = ERR_OK;
    b->same_pages = 1;
    for (uint32_t n = 0; !rc && n < QUESTIONS;
         n++) { /* the visit begins, the tables grow their first pages */
        for (int i = 0; i < 2; i++)
            b->at[i].ops = (struct counter){0};
        rc = one_round(b, n, us, d);
        /* of every page its head and its body are written */
        b->same_pages = b->at[0].ops.writes / 2 < PAGES_MAX ? (uint32_t)b->at[0].ops.writes / 2 : PAGES_MAX;
    }
    for (int i = 0; i < 2; i++)
        b->at[i].ops = (struct counter){0};
    for (uint32_t n = 0; !rc && n < b->count; n++) {
        rc = one_round(b, QUESTIONS + n, us, d);
        for (int what = 0; what < WHATS; what++)
            b->us[what][n] = us[what];
    }
    return rc;
}

/* ---- what came out ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void tell(struct bench_save *b)
{
    const struct report r = {"save"};
    char name[64];
    double median[WHATS];
    for (int what = 0; what < WHATS; what++) {
        qsort(b->us[what], b->count, sizeof *b->us[what], ascending);
        median[what] = b->us[what][b->count / 2];
        snprintf(name, sizeof name, "%s_us_median", names[what]);
        report_number(&r, name, median[what]);
        snprintf(name, sizeof name, "%s_us_p99", names[what]);
        report_number(&r, name, b->us[what][(uint64_t)b->count * 99 / 100]);
    }
    report_number(&r, "plain_times_bare_4k", median[PLAIN] / median[BARE]);
    report_number(&r, "plain_times_bare_same_bytes", median[PLAIN] / median[BARE_SAME]);
    report_number(&r, "sealed_times_bare_4k", median[SEALED] / median[BARE]);
    report_number(&r, "pages_an_answer", b->same_pages);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s_syncs_each", names[PLAIN + i]);
        report_number(&r, name, (double)b->at[i].ops.syncs / b->count);
        snprintf(name, sizeof name, "%s_synced_once", names[PLAIN + i]);
        report_number(&r, name, (double)b->at[i].ops.one / b->count);
        snprintf(name, sizeof name, "%s_writes_each", names[PLAIN + i]);
        report_number(&r, name, (double)b->at[i].ops.writes / b->count);
    }
}

static enum err bench_save(struct bench_save *b, struct diag *d)
{
    const struct db_fault hook = {b, count_operation};
    enum err rc = crypto_init(d);
    if (!rc)
        rc = posix_seam_open(NULL, &b->seam, d);
    if (!rc)
        rc = db_vfs_register(&hook);
    b->seam.vfs = "doorstep";
    for (int what = 0; !rc && what < WHATS; what++) {
        b->us[what] = ARENA_ARRAY(&b->a, double, b->count);
        if (!b->us[what])
            rc = diag_set(d, ERR_NOMEM, "no memory for the figures");
    }
    if (!rc)
        rc = b->seam.dir_make(b->seam.self, b->dir, d);
    if (!rc)
        rc = write_form(b, d);
    if (!rc)
        rc = bare_open(b, d);
    if (!rc)
        rc = handheld_open(b, PLAIN, d);
    if (!rc)
        rc = handheld_open(b, SEALED, d);
    if (!rc)
        rc = rounds(b, d);
    if (!rc)
        tell(b);
    for (int i = 0; i < 2; i++) {
        work_close(&b->at[i].w);
        store_close(b->at[i].store);
    }
    if (b->bare >= 0)
        close(b->bare);
    posix_seam_close(&b->seam);
    return rc;
}

int main(int argc, char **argv)
{
    static struct bench_save b;
    struct diag d = {0};
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    if (argc < 2 || argc > 3 || count == 0 || count > COUNT_MAX) {
        fprintf(stderr, "usage: doorstep-bench-save DIR [COUNT]   (DIR: new, on the disk in question)\n");
        return 2;
    }
    b.dir = argv[1];
    b.count = (uint32_t)count;
    b.bare = -1;
    arena_init(&b.a, 64u << 20);
    enum err rc = bench_save(&b, &d);
    if (rc)
        fprintf(stderr, "doorstep-bench-save: %s\n", d.text);
    arena_free(&b.a);
    return rc ? 1 : 0;
}
