/* See disputes.h. The form is compiled for its words only. */
#include "agent/disputes.h"

/* The form of an interview's row, compiled; NULL when it is not here. */
static const struct form *form_for(struct dispute_names *n, const struct contested *c, struct fieldmap *map)
{
    for (uint32_t i = 0; i < n->count; i++) {
        const struct published *p = &n->list[i];
        unsigned char hash[SHA256_SIZE];
        const struct form *form = NULL;
        struct form_findings findings = {0};
        struct buf xml;
        if (!p->held || !str_eq_z(p->kind, "form") || sha256(p->id, hash) ||
            memcmp(hash, c->form, sizeof c->form) != 0)
            continue;
        buf_init(&xml, 64u << 20);
        enum err rc = store_object_get(n->s, p->hash, &xml, NULL);
        struct str bytes = rc ? STR_NONE : arena_str(n->a, buf_str(&xml));
        buf_free(&xml);
        if (!rc && bytes.p)
            rc = form_load(n->a, bytes, &form, &findings, NULL);
        if (!rc && form)
            rc = fieldmap_read(n->a, p->fieldmap, form_policies(n->a, form), form_field_count(form),
                               form_repeat_count(form), map, NULL);
        if (!rc && form)
            return form;
    }
    return NULL;
}

struct str dispute_name(struct dispute_names *n, const struct contested *c)
{
    static const char *const household[] = {"",        "code",     "area",     "name",
                                            "address", "category", "position", "phone"};
    struct fieldmap map;
    struct buf b;
    if (c->field == 0)
        return STR("(removed)");
    if (c->kind == ROW_HOUSEHOLD && c->field < sizeof household / sizeof *household)
        return str_of(household[c->field]);
    const struct form *form = c->kind == ROW_INTERVIEW || c->kind == ROW_REPEAT ? form_for(n, c, &map) : NULL;
    uint32_t local = form ? fieldmap_local(&map, c->field) : FIELDMAP_NONE;
    if (local != FIELDMAP_NONE)
        return form_field(form, local)->label.n ? form_field(form, local)->label
                                                : form_field(form, local)->path;
    buf_init(&b, 32);
    buf_put_u64(&b, c->field);
    struct str text = arena_str(n->a, buf_str(&b));
    buf_free(&b);
    return text;
}
