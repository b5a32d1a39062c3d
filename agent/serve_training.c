/* See serve.h. Practising: the real form and the real rules on an invented household, in a store of its own
 * that belongs to no county and is removed when practising ends, and again when serving begins.
 *
 * Always true: that store is never enrolled, so nothing in it is ever cut into a frame; it is not the store
 * that sync, status and export look at; what is answered is never written into the real one.
 */
#include "agent/serve.h"

#include <stdio.h>
#include <unistd.h>

#define DEPTH_MAX 3

static const char *path_below(struct arena *a, const char *dir, const char *name)
{
    struct buf b;
    buf_init(&b, 8192);
    buf_printf(&b, "%s/%s", dir, name);
    const char *path = arena_z(a, buf_str(&b));
    buf_free(&b);
    return path;
}

static void remove_below(const struct seam *seam, struct arena *a, const char *dir, int depth)
{
    struct str *names = NULL;
    uint32_t count = 0;
    if (depth >= DEPTH_MAX || seam->dir_list(seam->self, dir, a, &names, &count))
        return;
    for (uint32_t i = 0; i < count; i++) {
        const char *path = path_below(a, dir, names[i].p);
        if (!path)
            return;
        remove_below(seam, a, path, depth + 1);
        if (unlink(path) != 0)
            (void)rmdir(path);
    }
    (void)rmdir(dir);
}

static const char *folder(const struct serving *g, struct arena *a)
{
    return path_below(a, g->base, "practice");
}

void serve_training_end(struct serving *g)
{
    struct arena a;
    if (g->training)
        visit_close(g);
    store_close(g->training);
    g->training = NULL;
    arena_init(&a, 1u << 20);
    const char *dir = folder(g, &a);
    if (dir)
        remove_below(g->seam, &a, dir, 0);
    arena_free(&a);
}

/* Names come from the centre: nothing of them may lead out of the folder. */
static bool is_file_name(struct str id)
{
    return id.n > 0 && id.p[0] != '.' && str_find(id, STR("/")) < 0;
}

static enum err copy_object(struct serve_call *c, const struct published *p, const char *dir,
                            const char *suffix, const char **path_out)
{
    struct buf bytes;
    char name[256];
    if (!is_file_name(p->id) || p->id.n + strlen(suffix) >= sizeof name)
        return ERR_OK;
    snprintf(name, sizeof name, "%.*s%s", STR_ARG(p->id), suffix);
    const char *path = path_below(c->a, dir, name);
    buf_init(&bytes, WORK_FILE_MAX);
    enum err rc = store_object_get(c->g->store, p->hash, &bytes, c->d);
    if (!rc)
        rc = c->g->seam->file_write(c->g->seam->self, path, buf_str(&bytes), true, c->d);
    buf_free(&bytes);
    if (!rc && path_out)
        *path_out = path;
    return rc;
}

static bool is_pack_for(struct serve_call *c, const struct published *p, struct str form)
{
    struct pack_about about = {0};
    struct buf bytes;
    struct diag quiet = {0};
    bool ours = false;
    buf_init(&bytes, WORK_FILE_MAX);
    enum err rc = store_object_get(c->g->store, p->hash, &bytes, &quiet);
    if (!rc)
        rc = pack_about_read(c->a, buf_str(&bytes), &about, &quiet);
    for (uint32_t i = 0; !rc && i < about.form_id_count; i++)
        ours = ours || str_eq(about.form_ids[i], form);
    buf_free(&bytes);
    return ours;
}

struct practice {
    const char *form, *pack;
};

static enum err copy_all(struct serve_call *c, struct str form, const char *dir, struct practice *out)
{
    struct published *list;
    uint32_t count;
    enum err rc = store_published(c->g->store, c->a, &list, &count, c->d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        const struct published *p = &list[i];
        if (!p->held)
            continue;
        if (str_eq_z(p->kind, "form") && str_eq(p->id, form) && !out->form)
            rc = copy_object(c, p, dir, ".xml", &out->form);
        else if (str_eq_z(p->kind, "list"))
            rc = copy_object(c, p, dir, "", NULL);
        else if (str_eq_z(p->kind, "pack") && !out->pack && is_pack_for(c, p, form))
            rc = copy_object(c, p, dir, ".json", &out->pack);
    }
    if (!rc && !out->form)
        rc = diag_set(c->d, ERR_NOT_FOUND, "this form is not on the device");
    return rc;
}

static enum err begin(struct serve_call *c)
{
    struct practice p = {0};
    struct str form = json_text(c->in, "form");
    const char *dir = folder(c->g, c->a), *store = dir ? path_below(c->a, dir, "store") : NULL;
    serve_training_end(c->g);
    if (!store)
        return diag_set(c->d, ERR_NOMEM, "no memory");
    enum err rc = c->g->seam->dir_make(c->g->seam->self, dir, c->d);
    if (!rc)
        rc = copy_all(c, form, dir, &p);
    if (!rc)
        rc = store_open(store, c->g->seam, c->g->zone, &c->g->training, c->d);
    if (!rc)
        rc = visit_practise(c, p.form, p.pack);
    if (rc)
        serve_training_end(c->g);
    return rc;
}

static enum err end(struct serve_call *c)
{
    serve_training_end(c->g);
    buf_put_z(c->out, "{}");
    return ERR_OK;
}

const struct serve_route serve_training_routes[] = {
    {HTTP_POST, "/api/training/begin", begin},
    {HTTP_POST, "/api/training/end", end},
    {HTTP_GET, NULL, NULL},
};
