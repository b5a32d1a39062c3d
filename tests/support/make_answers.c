/* make_answers FORM.xml SEED [LIST_DIR]: holds an interview with seeded answers and prints it as a script for
 * `doorstep fill --answers`.
 *
 * Walks the form as a person would: every relevant question that can be answered gets one, repeats that may
 * grow get two instances. A question whose constraint refuses every candidate is left open when it may be.
 * What a later answer made irrelevant again is left out of the script, so that the script says what the
 * submission must hold. Exit 1 when the interview could not be completed.
 */
#include "forms/session.h"
#include "platform/posix/posix_seam.h"
#include "tests/support/auto_answers.h"

#include <stdio.h>
#include <stdlib.h>

struct maker {
    struct arena form_arena, arena;
    struct seam seam;
    const struct form *form;
    struct session *session;
    struct auto_answers by_itself;
    const char *list_dir;
};

static int64_t now_ms(void *self)
{
    (void)self;
    return 1795420800000; /* 2026-11-23 */
}

static enum err some_random(void *self, void *out, size_t n)
{
    struct maker *m = self;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)out)[i] = (unsigned char)auto_draw(&m->by_itself, 256);
    return ERR_OK;
}

static enum err resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct maker *m = self;
    struct buf path, *bytes = arena_alloc(&m->arena, sizeof *bytes);
    size_t slash = uri.n;

    while (slash > 0 && uri.p[slash - 1] != '/')
        slash--;
    buf_init(&path, 4096);
    buf_printf(&path, "%s/%.*s", m->list_dir ? m->list_dir : ".", (int)(uri.n - slash), uri.p + slash);
    buf_init(bytes, 256u << 20);
    enum err rc = m->seam.file_read(m->seam.self, path.p, bytes, d);
    buf_free(&path);
    if (!rc)
        *bytes_out = buf_str(bytes);
    return rc;
}

static void print_script(struct maker *m)
{
    for (uint32_t i = 0; i < m->by_itself.lines.count; i++) {
        const struct auto_line *l = &m->by_itself.lines.at[i];
        bool relevant = false;
        if (l->add.p) {
            printf("@add\t%.*s\n", STR_ARG(l->add));
            continue;
        }
        struct str value = session_value(m->session, l->place, &relevant);
        if (relevant)
            printf("%.*s\t%.*s\n", STR_ARG(session_ref(m->session, l->place, &m->arena)), STR_ARG(value));
    }
}

static int finish(struct maker *m)
{
    struct place *left;
    struct diag d = {0};
    uint32_t count = session_violations(m->session, &m->arena, &left);

    for (uint32_t i = 0; i < count; i++) {
        struct question_view v;
        if (!session_view(m->session, left[i], &m->arena, &v, &d))
            fprintf(stderr, "still open: %.*s: %.*s\n", STR_ARG(v.ref), STR_ARG(v.message));
    }
    return count > 0;
}

int main(int argc, char **argv)
{
    struct maker m = {0};
    struct diag d = {0};
    struct buf xml;
    struct form_findings findings = {0};
    struct session_host host = {.self = &m, .now_ms = now_ms, .random = some_random, .resource = resource};
    struct session_options so = {.host = &host, .row_key_next = 1};

    if (argc < 3) {
        fprintf(stderr, "make_answers FORM.xml SEED [LIST_DIR]\n");
        return 2;
    }
    m.by_itself.random = strtoull(argv[2], NULL, 10);
    m.by_itself.arena = &m.arena;
    m.list_dir = argc > 3 ? argv[3] : NULL;
    arena_init(&m.form_arena, 512u << 20);
    arena_init(&m.arena, 1024u << 20);
    buf_init(&xml, 256u << 20);
    enum err rc = posix_seam_open(NULL, &m.seam, &d);
    if (!rc)
        rc = m.seam.file_read(m.seam.self, argv[1], &xml, &d);
    if (!rc)
        rc = form_load(&m.form_arena, buf_str(&xml), &m.form, &findings, &d);
    so.form = m.form;
    if (!rc)
        rc = session_open(&m.form_arena, &so, &m.session, &d);
    if (rc) {
        fprintf(stderr, "make_answers: %s\n", d.text);
        return 1;
    }
    printf("# made from seed %s\n", argv[2]);
    m.by_itself.session = m.session;
    auto_walk(&m.by_itself);
    print_script(&m);
    int code = finish(&m);
    session_close(m.session);
    buf_free(&xml);
    arena_free(&m.arena);
    arena_free(&m.form_arena);
    posix_seam_close(&m.seam);
    return code;
}
