/* many_frames FILE COUNT: a bundle of that many frames, each well-formed, by a device of its own that nobody
 * knows, with a signature that is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/courier.h"

#define PLAIN 8

static enum err write_file(void *self, struct str bytes, struct diag *d)
{
    return fwrite(bytes.p, 1, bytes.n, self) == bytes.n ? ERR_OK
                                                        : diag_set(d, ERR_IO, "the file cannot be written");
}

static void put_number(unsigned char *at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(v >> 8 * i);
}

static enum err put_frame(struct bundle_writer *w, uint64_t n, struct diag *d)
{
    unsigned char at[84 + PLAIN + 16 + 64] = "DSB1";
    struct piece p = {.kind = PIECE_FRAME, .device = n, .inc = 1, .bytes = {(const char *)at, sizeof at}};
    size_t size;
    at[4] = at[5] = at[6] = 1;
    put_number(at + 8, n, 8);
    put_number(at + 16, 1, 4);
    put_number(at + 20, 1, 8);
    put_number(at + 34, 1, 2);
    put_number(at + 36, PLAIN, 4);
    put_number(at + 40, PLAIN + 16, 4);
    put_number(at + 100, n * UINT64_C(0x9e3779b97f4a7c15), 8);
    enum err rc = frame_parse(p.bytes, &p.frame, &size, d);
    return rc ? rc : bundle_put(w, &p, d);
}

int main(int argc, char **argv)
{
    uint64_t count = 0;
    struct diag d = {0};
    struct bundle_writer w = {0};
    if (argc != 3 || !str_to_u64(str_of(argv[2]), &count)) {
        fprintf(stderr, "usage: many_frames FILE COUNT\n");
        return 2;
    }
    FILE *f = fopen(argv[1], "wb");
    enum err rc = f ? crypto_init(&d) : diag_set(&d, ERR_IO, "%s cannot be written", argv[1]);
    if (!rc)
        rc = bundle_begin(&w, (struct bundle_sink){f, write_file}, &d);
    for (uint64_t n = 1; !rc && n <= count; n++)
        rc = put_frame(&w, n, &d);
    if (!rc)
        rc = bundle_end(&w, &d);
    bundle_writer_free(&w);
    if (f && fclose(f) && !rc)
        rc = diag_set(&d, ERR_IO, "%s cannot be written", argv[1]);
    if (rc)
        fprintf(stderr, "many_frames: %s\n", d.text);
    return rc != ERR_OK;
}
