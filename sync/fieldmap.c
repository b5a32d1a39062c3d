/* See fieldmap.h. Reading checks that no number appears twice; the inverse tables are as long as the largest
 * stable number of a policy, which is capped.
 */
#include "sync/fieldmap.h"

static bool take_number(struct str *run, uint32_t *out)
{
    uint32_t v = 0;
    size_t digits = 0;
    while (run->n > 0 && run->p[0] >= '0' && run->p[0] <= '9' && digits < 8) {
        v = v * 10 + (uint32_t)(run->p[0] - '0');
        run->p++;
        run->n--;
        digits++;
    }
    if (digits == 0 || v == 0 || v > FIELDMAP_STABLE_MAX)
        return false;
    *out = v;
    return true;
}

static bool take_runs(struct str text, uint32_t *stable, uint32_t count)
{
    uint32_t done = 0;
    struct str run;
    while (text.n > 0 && str_split(&text, ',', &run)) {
        uint32_t from, to;
        if (!take_number(&run, &from))
            return false;
        to = from;
        if (run.n > 0) {
            if (run.p[0] != '-')
                return false;
            run = str_sub(run, 1, run.n - 1);
            if (!take_number(&run, &to) || run.n > 0 || to < from)
                return false;
        }
        if (to - from >= count - done)
            return false;
        for (uint32_t v = from; v <= to; v++)
            stable[done++] = v;
    }
    return done == count;
}

/* The inverse of the numbers base, base + 1 ...; those outside are another table's. */
static enum err invert(struct arena *a, const uint32_t *stable, uint32_t count, uint32_t base, uint32_t span,
                       uint32_t **local_out, uint32_t *local_count_out)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        if (stable[i] >= base && stable[i] - base < span && stable[i] - base >= size)
            size = stable[i] - base + 1;

    uint32_t *local = ARENA_ARRAY(a, uint32_t, (size_t)size + 1);
    if (!local)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < size; i++)
        local[i] = FIELDMAP_NONE;
    for (uint32_t i = 0; i < count; i++) {
        if (stable[i] < base || stable[i] - base >= span)
            continue;
        if (local[stable[i] - base] != FIELDMAP_NONE)
            return ERR_CORRUPT;
        local[stable[i] - base] = i;
    }
    *local_out = local;
    *local_count_out = size;
    return ERR_OK;
}

/* The numbers of a first version, one after the other. */
struct first {
    uint32_t given[FIELD_POLICIES];
};

static uint32_t first_number(struct first *f, uint32_t policy)
{
    CHECK(policy < FIELD_POLICIES);
    return policy * FIELD_POLICY_NUMBERS + ++f->given[policy];
}

static bool read_side(struct str text, bool is_first, const unsigned char *policies, uint32_t *stable,
                      uint32_t count)
{
    struct first first = {{0}};
    if (!is_first)
        return take_runs(text, stable, count);
    for (uint32_t i = 0; i < count; i++)
        stable[i] = first_number(&first, policies ? policies[i] : POLICY_KEEP); /* repeats have none */
    return true;
}

enum err fieldmap_read(struct arena *a, struct str text, const unsigned char *policies, uint32_t fields,
                       uint32_t repeats, struct fieldmap *out, struct diag *d)
{
    struct fieldmap m = {.field_count = fields, .repeat_count = repeats};
    struct str rest = text;
    struct str field_text = STR_NONE;
    bool is_first = text.n == 0;

    m.field_stable = ARENA_ARRAY(a, uint32_t, (size_t)fields + 1);
    m.repeat_stable = ARENA_ARRAY(a, uint32_t, (size_t)repeats + 1);
    if (!m.field_stable || !m.repeat_stable || !policies)
        return diag_set(d, ERR_NOMEM, "no memory for a field map of %u fields", fields);
    str_split(&rest, ';', &field_text);
    if (!read_side(field_text, is_first, policies, m.field_stable, fields) ||
        !read_side(rest, is_first, NULL, m.repeat_stable, repeats))
        return diag_set(d, ERR_CORRUPT,
                        "the field map does not fit the form (%u fields, %u repeats): publish the form again",
                        fields, repeats);

    enum err rc = invert(a, m.repeat_stable, repeats, 0, FIELDMAP_STABLE_MAX + 1, &m.repeat_local,
                         &m.repeat_local_count);
    for (uint32_t p = 0; !rc && p < FIELD_POLICIES; p++)
        rc = invert(a, m.field_stable, fields, p * FIELD_POLICY_NUMBERS, FIELD_POLICY_NUMBERS,
                    &m.field_local[p], &m.field_local_count[p]);
    if (rc)
        return diag_set(d, rc, "the field map names a field twice: publish the form again");
    *out = m;
    return ERR_OK;
}

/* A number says its policy, so that the numbers alone tell whether they are those of a first version. */
static bool is_first_version(const uint32_t *stable, uint32_t count)
{
    struct first first = {{0}};
    for (uint32_t i = 0; i < count; i++)
        if (stable[i] != first_number(&first, stable[i] / FIELD_POLICY_NUMBERS))
            return false;
    return true;
}

static void write_runs(const uint32_t *stable, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i;
        while (end + 1 < count && stable[end + 1] == stable[end] + 1)
            end++;
        if (i > 0)
            buf_put_char(out, ',');
        buf_put_u64(out, stable[i]);
        if (end > i) {
            buf_put_char(out, '-');
            buf_put_u64(out, stable[end]);
        }
        i = end + 1;
    }
}

void fieldmap_write(const uint32_t *fields, uint32_t field_count, const uint32_t *repeats,
                    uint32_t repeat_count, struct buf *out)
{
    if (is_first_version(fields, field_count) && is_first_version(repeats, repeat_count))
        return;
    write_runs(fields, field_count, out);
    buf_put_char(out, ';');
    write_runs(repeats, repeat_count, out);
}
