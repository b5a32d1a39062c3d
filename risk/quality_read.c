/* A table read whole for checks over all of it (quality.h): the rows stay, and what each row's own checks
 * find is told as it is read.
 */
#include "risk/quality.h"

struct reading {
    struct arena *a;
    const struct pack *pack;
    VEC(struct str) values;
    VEC(struct str) keys;
};

static bool push(struct reading *r, struct str text)
{
    struct str *slot = vec_push(r->a, &r->values);
    if (!slot)
        return false;
    *slot = arena_str(r->a, text);
    return slot->p != NULL;
}

static enum err keep_line(struct reading *r, const struct table_line *line,
                          const struct table_judgement *judged, struct diag *d)
{
    struct str *key = vec_push(r->a, &r->keys);
    bool room = key && (*key = arena_str(r->a, line->key)).p;
    for (uint32_t i = 0; room && i < table_input_count(r->pack); i++)
        room = push(r, line->household.values[i]);
    for (uint32_t i = 0; room && i < judged->result_count; i++)
        room = push(r, judged->results[i].text);
    return room ? ERR_OK : diag_set(d, ERR_NOMEM, "there is no memory left for the table");
}

enum err quality_read(const struct quality_reading *q, struct quality_data *out, struct diag *d)
{
    struct reading r = {.a = q->a, .pack = q->pack};
    struct table_file *file = NULL;
    bool more = true;
    enum err rc = table_open(q->a, &q->from, q->pack, q->data, q->map, NULL, 0, q->today, &file, d);
    while (!rc && more) {
        struct arena_mark mark = arena_mark(q->line);
        struct table_line line;
        struct table_judgement judged;
        rc = table_next(file, q->line, &line, &more, d);
        if (!rc && more)
            rc = table_judge(q->line, q->pack, &line.household, &judged, d);
        if (!rc && more)
            rc = keep_line(&r, &line, &judged, d);
        for (uint32_t i = 0; !rc && more && q->tell && i < judged.judgement.count; i++)
            if (judged.judgement.findings[i].state == FINDING_HIT)
                rc = q->tell(q->self, line.key, &judged.judgement.findings[i], d);
        arena_release(q->line, mark);
    }
    table_close(file);
    if (!rc)
        *out = (struct quality_data){r.values.at, r.keys.at, r.keys.count};
    return rc;
}
