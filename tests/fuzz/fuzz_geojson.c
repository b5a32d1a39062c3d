/* Fuzz target: lists from GeoJSON, and XML lists as the list store imports them. Whatever the bytes are,
 * there is a list or a sentence; every row handed over has its columns. */
#include "forms/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rows {
    uint32_t columns, count;
    size_t bytes;
};

static enum err shape(void *self, const struct list_shape *s, struct diag *d)
{
    struct rows *r = self;
    (void)d;
    CHECK(s->column_count > 0 && s->root.n > 0 && s->item.n > 0);
    r->columns = s->column_count;
    return ERR_OK;
}

static enum err row(void *self, const struct str *cells, struct diag *d)
{
    struct rows *r = self;
    (void)d;
    for (uint32_t i = 0; i < r->columns; i++)
        for (size_t k = 0; k < cells[i].n; k++)
            r->bytes += (unsigned char)cells[i].p[k] != 0;
    r->count++;
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct diag d = {0};
    const struct tree *t = NULL;
    const struct str bytes = {(const char *)data, size};
    bool xml = size && data[0] == '<';
    struct str uri = xml ? STR("jr://file/x.xml") : STR("jr://file/x.geojson");
    struct rows rows = {0};
    const struct list_bytes source = list_bytes_of(&bytes);

    arena_init(&a, 64u << 20);
    enum err rc = list_import(uri, &source, &(struct list_sink){&rows, shape, row}, &d);
    CHECK((rc == ERR_OK) == (d.text[0] == '\0'));
    diag_clear(&d);
    enum err read = list_from_uri(&a, uri, bytes, 0, &t, &d);
    CHECK((read == ERR_OK) == (t != NULL));
    CHECK(read == ERR_OK || rc != ERR_OK);
    arena_free(&a);
    return 0;
}
