/* Compression dictionaries: learned from what has arrived, handed out like a form, named in frames by number.
 *
 * Always true: a number, once given, means the same bytes for ever, because whatever was published stays an
 * object here; so a frame that was frozen with an older dictionary is read whenever it comes.
 */
#include "server/parts.h"
#include "sync/batch_zstd.h"

#define DICT_SIZE                                                                            \
    (16u << 10) /* more learns little more from payloads of a few hundred bytes, and travels \
                 */
#define SAMPLES_SIZE_MAX (8u << 20)
#define SAMPLES_MAX 20000
#define SAMPLE_SIZE_MAX \
    (16u << 10) /* of a long payload its beginning: later it has its own past to refer to */
#define BATCHES_PAGE 64

static bool is_dict(const struct published *p, uint64_t *number_out)
{
    return str_eq_z(p->kind, "dictionary") && str_to_u64(p->version, number_out);
}

enum err dict_find(struct cstore *st, struct arena *a, uint16_t id, struct str *bytes_out, struct diag *d)
{
    struct published *list = NULL;
    uint32_t count = 0;
    uint64_t number = 0;
    enum err rc = published_all(st, a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        if (is_dict(&list[i], &number) && number == id)
            return cstore_object(st, a, list[i].hash, NULL, bytes_out, d);
    return rc ? rc : diag_set(d, ERR_NOT_FOUND, "There is no dictionary %u here.", (unsigned)id);
}

static enum err find(void *self, uint16_t id, struct str *bytes_out, struct diag *d)
{
    const struct dicts *x = self;
    struct diag why = {0};
    enum err rc = dict_find(x->st, x->a, id, bytes_out, &why);
    /* What is to be said of a dictionary that is not here, the frame's reader says: its author can mend it.
     */
    return rc && rc != ERR_NOT_FOUND ? diag_set(d, rc, "%s", why.text) : rc;
}

struct frame_dicts dicts_of(struct dicts *x)
{
    return (struct frame_dicts){.self = x, .find = find};
}

enum err dict_number(struct cstore *st, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                     uint16_t *id_out, struct diag *d)
{
    struct published *list = NULL;
    uint32_t count = 0;
    uint64_t number = 0, next = 1;
    enum err rc = published_all(st, a, &list, &count, d);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_dict(&list[i], &number))
            continue;
        bool same = memcmp(list[i].hash, hash, SHA256_SIZE) == 0;
        next = same ? number : number + 1;
        if (same)
            break;
    }
    if (next > UINT16_MAX)
        return diag_set(d, ERR_LIMIT, "All %u numbers for dictionaries are taken.", (unsigned)UINT16_MAX);
    *id_out = (uint16_t)next;
    return ERR_OK;
}

struct samples {
    struct buf all;
    VEC(size_t) sizes;
};

static enum err samples_add(struct desk *k, struct samples *x, const struct device_row *device,
                            struct diag *d)
{
    struct batch_row *list = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    do {
        enum err rc = cstore_payloads(k->st, k->a, device->device, device->inc, after, BATCHES_PAGE, &list,
                                      &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct str sample = str_sub(list[i].payload, 0, SAMPLE_SIZE_MAX);
            after = list[i].batch_seq;
            if (!sample.n || x->sizes.count >= SAMPLES_MAX || x->all.n + sample.n > SAMPLES_SIZE_MAX)
                continue;
            size_t *size = vec_push(k->a, &x->sizes);
            if (!size)
                return ERR_NOMEM;
            *size = sample.n;
            buf_put_str(&x->all, sample);
        }
        if (rc)
            return rc;
    } while (count == BATCHES_PAGE);
    return x->all.failed;
}

enum err dict_train(struct desk *k, struct str *bytes_out, struct diag *d)
{
    struct device_row *devices = NULL;
    struct samples x = {0};
    struct buf dict;
    uint32_t count = 0;
    buf_init(&x.all, SAMPLES_SIZE_MAX);
    buf_init(&dict, DICT_SIZE);
    enum err rc = cstore_devices(k->st, k->a, &devices, &count, d);
    /* Handhelds that were enrolled last speak as those of tomorrow will. */
    for (uint32_t i = count; !rc && i-- > 0;)
        rc = samples_add(k, &x, &devices[i], d);
    if (!rc)
        rc = zstd_train(buf_str(&x.all), x.sizes.at, x.sizes.count, DICT_SIZE, &dict, d);
    if (!rc) {
        *bytes_out = arena_str(k->a, buf_str(&dict));
        rc = bytes_out->p ? ERR_OK : ERR_NOMEM;
    }
    buf_free(&dict);
    buf_free(&x.all);
    return rc ? diag_set(d, rc, "The dictionary could not be learned.") : ERR_OK;
}
