/* See web.h. */
#include "server/web.h"

struct str web_url(const char *name)
{
    for (uint32_t i = 0; i < web_file_count; i++)
        if (strcmp(web_files[i].name, name) == 0)
            return str_of(web_files[i].url);
    check_failed(name, __FILE__, __LINE__);
}

enum err web_get(struct call *c, struct diag *d)
{
    for (uint32_t i = 0; i < web_file_count; i++) {
        const struct web_file *f = &web_files[i];
        if (!str_eq_z(http_path(c->request->url), f->url))
            continue;
        reply_header(c->reply, "Content-Type", str_of(f->type));
        reply_header(c->reply, "Cache-Control", STR("public, max-age=31536000, immutable"));
        reply_header(c->reply, "X-Content-Type-Options", STR("nosniff"));
        buf_put_str(&c->reply->body, f->bytes);
        return ERR_OK;
    }
    return diag_set(d, ERR_NOT_FOUND, "The centre has no such file.");
}
