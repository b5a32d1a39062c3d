/* The lists of a case, and how long their choices take.
 *
 * Choices are asked as a screen asks: the question is known, the filter follows the answers around it.
 */
#include "bench/bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/buf.h"

#define CHOICES_SHOWN 100u
#define CACHE ".doorstep-cache"
#define PATH_ROOM 4096

static struct str file_name(struct str uri)
{
    struct str name = uri;
    for (size_t i = 0; i < uri.n; i++)
        if (uri.p[i] == '/')
            name = str_sub(uri, i + 1, uri.n);
    return name;
}

/* A file is the same as long as its name, size and time are: reading a large one only to know its hash would
 * cost more than everything else. */
static enum err list_hash(void *self, struct str uri, unsigned char out[LIST_HASH_SIZE], struct diag *d)
{
    const struct bench_lists *l = self;
    char path[PATH_ROOM];
    struct stat st;
    struct str name = file_name(uri);
    snprintf(path, sizeof(path), "%s/%.*s", l->case_dir, STR_ARG(name));
    if (stat(path, &st) != 0)
        return diag_set(d, ERR_NOT_FOUND, "There is no %s.", path);
    const uint64_t parts[4] = {str_hash(name), (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
                               (uint64_t)st.st_mtim.tv_nsec};
    memcpy(out, parts, LIST_HASH_SIZE);
    return ERR_OK;
}

static enum err list_piece(void *self, struct str uri, size_t at, char *out, size_t room, size_t *n_out,
                           struct diag *d)
{
    const struct bench_lists *l = self;
    char path[PATH_ROOM];
    struct str name = file_name(uri);
    snprintf(path, sizeof(path), "%s/%.*s", l->case_dir, STR_ARG(name));
    FILE *f = fopen(path, "rb");
    if (!f)
        return diag_set(d, ERR_NOT_FOUND, "There is no %s.", path);
    bool bad = fseek(f, (long)at, SEEK_SET) != 0;
    *n_out = bad ? 0 : fread(out, 1, room, f);
    bad = bad || ferror(f);
    fclose(f);
    return bad ? diag_set(d, ERR_IO, "%s cannot be read.", path) : ERR_OK;
}

static enum err open_store(struct bench_lists *l, struct diag *d)
{
    char path[PATH_ROOM];
    const struct list_source source = {l, list_hash, list_piece};
    snprintf(path, sizeof(path), "%s/" CACHE "/lists.db", l->case_dir);
    return list_store_open(path, NULL, &source, &l->store, d);
}

static void empty_cache(const char *case_dir)
{
    static const char *const names[] = {"lists.db", "lists.db-wal", "lists.db-shm"};
    char path[PATH_ROOM];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/" CACHE "/%s", case_dir, names[i]);
        (void)unlink(path);
    }
    snprintf(path, sizeof(path), "%s/" CACHE, case_dir);
    (void)mkdir(path, 0755);
}

static enum err import_all(struct bench_lists *l, const struct form *form, const struct report *r,
                           struct diag *d)
{
    double before = wall_ms();
    enum err rc = open_store(l, d);
    if (!rc)
        rc = form_lists_prepare(form, list_store_host(l->store), d);
    list_store_close(l->store);
    l->store = NULL;
    if (!rc) {
        report_number(r, "import_ms", wall_ms() - before);
        report_number(r, "import_rss_mb", rss_peak_mb());
    }
    return rc;
}

static enum err import_form(struct bench_lists *l, struct str xml, const struct report *r, struct diag *d)
{
    struct arena a;
    const struct form *form = NULL;
    struct form_findings findings = {0};
    arena_init(&a, (size_t)1 << 30);
    enum err rc = form_load(&a, xml, &form, &findings, d);
    if (!rc && form_resource_count(form)) {
        empty_cache(l->case_dir);
        rc = import_all(l, form, r, d);
    }
    arena_free(&a);
    return rc;
}

/* The import has a process of its own, so that the first open after it is one in a fresh process. */
enum err bench_lists_prepare(struct bench_lists *l, const char *case_dir, struct str xml,
                             const struct report *r, struct diag *d)
{
    int status = 0;
    char path[PATH_ROOM];
    l->case_dir = case_dir;
    arena_init(&l->arena, (size_t)1 << 30);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return diag_set(d, ERR_IO, "The import cannot get a process of its own.");
    if (child == 0) {
        enum err rc = import_form(l, xml, r, d);
        if (rc)
            fprintf(stderr, "doorstep-bench: %s\n", d->text);
        fflush(NULL);
        _exit(rc ? 1 : 0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        return diag_set(d, ERR_IO, "The lists were not imported.");
    snprintf(path, sizeof(path), "%s/" CACHE "/lists.db", case_dir);
    return access(path, F_OK) == 0 ? open_store(l, d) : ERR_OK;
}

static enum err resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct bench_lists *l = self;
    return read_file(&l->arena, l->case_dir, file_name(uri), bytes_out, d);
}

void bench_lists_host(struct bench_lists *l, struct session_host *host)
{
    host->self = l;
    host->resource = resource;
    host->lists = l->store ? list_store_host(l->store) : NULL;
}

void bench_lists_free(struct bench_lists *l)
{
    list_store_close(l->store);
    arena_free(&l->arena);
}

static enum err time_choices(struct session *s, const char *ref, double *ms_out, uint32_t *total_out,
                             struct diag *d)
{
    struct arena a;
    struct place p;
    struct choice_view *choices;
    uint32_t count;
    arena_init(&a, (size_t)1 << 30);
    enum err rc = session_place(s, str_of(ref), &p, d);
    double before = wall_ms();
    if (!rc)
        rc = session_choices(s, p, 0, CHOICES_SHOWN, &a, &choices, &count, total_out, d);
    *ms_out = wall_ms() - before;
    arena_free(&a);
    return rc;
}

enum err bench_lists_choices(const struct form *form, const struct session_host *host, struct str script,
                             const struct report *r, struct diag *d)
{
    struct arena a;
    struct session *s = NULL;
    struct str rest = script, ref, value;
    double eq = 1e300, and3 = 1e300, ms;
    uint32_t line = 0, total = 0, seen = 0;
    arena_init(&a, (size_t)1 << 20);
    enum err rc = session_open(&a, &(struct session_options){.form = form, .host = host}, &s, d);
    while (!rc && script_line(&rest, &ref, &value)) {
        struct place p;
        rc = session_place(s, ref, &p, d);
        if (!rc)
            rc = session_answer(s, p, value, d);
        if (rc || ++line % 4 != 3)
            continue;
        rc = time_choices(s, "/data/village_a", &ms, &total, d);
        if (line == 3)
            report_number(r, "choices_first_ms", ms);
        eq = ms < eq ? ms : eq;
        seen += total;
        if (!rc)
            rc = time_choices(s, "/data/village_b", &ms, &total, d);
        and3 = ms < and3 ? ms : and3;
        seen += total;
    }
    if (!rc) {
        report_number(r, "choices_eq_ms_best", eq);
        report_number(r, "choices_and3_ms_best", and3);
        report_number(r, "check_choices_seen", seen);
    }
    session_close(s);
    arena_free(&a);
    return rc;
}
