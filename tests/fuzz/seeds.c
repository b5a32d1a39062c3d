/* Writes the seeds of the sync targets into tests/fuzz/corpus. Run by hand when a format changes:
 *     ninja -C build/dev fuzz_seeds && build/dev/tests/fuzz_seeds tests/fuzz/corpus
 * Everything is a function of fixed keys and times, so that running it again changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "sync/courier.h"
#include "sync/wire.h"

#define NOW_MS INT64_C(1795442945000)
#define ROOM (1u << 20)

static const unsigned char seed[32] = {1};
static struct key_pair_x25519 seal;
static struct key_pair_p256 sign;
static const char *corpus;

static void save(const char *target, const char *name, struct str bytes)
{
    char path[1000];
    snprintf(path, sizeof(path), "%s/%s", corpus, target);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s", corpus, target, name);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes.p, 1, bytes.n, f) == bytes.n);
    CHECK(fclose(f) == 0);
}

static bool number_of(void *self, struct row_id id, uint64_t *out)
{
    (void)self;
    *out = id.counter;
    return id.device == 5 && id.inc == 1;
}

static const struct batch_rows rows = {.number_of = number_of};

static uint32_t make_changes(struct change *c, struct down_author *authors, struct buf *birth)
{
    static const char *const values[] = {"3",
                                         "12600",
                                         "-7",
                                         "3.50",
                                         "31.23 121.47 10 5",
                                         "2026-11-20",
                                         "1951-02-03",
                                         "2026-11-23T14:02:11.000+08:00",
                                         "14:30",
                                         "uuid:0f8fad5b-d9cb-469f-a165-70867728950e",
                                         "9f86d081884c7d659a2feaa0c55ad015",
                                         "yes",
                                         "007",
                                         "住房漏雨",
                                         "住房漏雨",
                                         "a b c",
                                         ""};
    struct row_birth b = {.kind = ROW_REPEAT, .parent = {5, 1, 9}, .number = 2, .order = 65536};
    CHECK(row_birth_write(birth, &b) == ERR_OK);
    uint32_t n = 0;
    c[n++] = (struct change){.row = {7, 1, 4}, .op = CHANGE_ROW_CREATE, .value = buf_str(birth)};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        c[n++] = (struct change){.row = i % 3 ? (struct row_id){5, 1, 9} : (struct row_id){7, 1, 4},
                                 .field = (uint32_t)i + 1,
                                 .status = i % 5 == 0,
                                 .value = str_of(values[i])};
    c[n++] = (struct change){.row = {9, 2, 1}, .op = CHANGE_ROW_DELETE};
    c[n++] = (struct change){.row = {7, 1, 5}, .op = CHANGE_FINALISE};
    for (uint32_t i = 0; i < n; i++) {
        c[i].seq = 100 + i * 2;
        c[i].person = 41;
        c[i].hlc = hlc_next(0, NOW_MS - 100000 + (int64_t)i * 3000, 0);
        c[i].seen = 8000 + i / 4;
        authors[i] = (struct down_author){i % 2 ? 7 : 0, 1, c[i].seq, c[i].hlc, 9000 + i, 50 + i / 3};
    }
    return n;
}

static void save_payload(const char *name, char which, struct str payload)
{
    struct buf b;
    buf_init(&b, ROOM);
    buf_put_char(&b, which);
    buf_put_str(&b, payload);
    save("payload", name, buf_str(&b));
    buf_free(&b);
}

static void save_frame_as(const char *name, struct str payload, enum frame_type type, uint16_t dict_id)
{
    const struct frame_dict dict = {
        dict_id, STR("household of Hetang village, Qinghe town; monitored: unstable; income 1200")};
    struct frame_seal how = {.type = type,
                             .dict = &dict,
                             .device = 7,
                             .inc = 1,
                             .batch_seq = 3,
                             .schema = BATCH_SCHEMA_CHANGES,
                             .recipient = type == FRAME_RECEIPT ? NULL : seal.public,
                             .author = &sign,
                             .ephemeral_seed = seed};
    struct buf frame;
    buf_init(&frame, ROOM);
    CHECK(frame_make(&how, payload, &frame, NULL) == ERR_OK);
    save("frame", name, buf_str(&frame));
    buf_free(&frame);
}

static void save_frame(const char *name, struct str payload)
{
    save_frame_as(name, payload, FRAME_UP, 0);
}

static void make_batches(void)
{
    struct batch_head up = {.device = 7,
                            .inc = 1,
                            .epoch = 4,
                            .now_ms = NOW_MS,
                            .anchor_ms = NOW_MS - 7200000,
                            .elapsed_ms = 7200000};
    struct batch_head down = {
        .epoch = 4, .now_ms = NOW_MS, .cursor_from = 8000, .cursor = 9100, .caught_up = true};
    struct change changes[40];
    struct down_author authors[40];
    struct buf birth, payload;
    buf_init(&birth, 100);
    buf_init(&payload, ROOM);
    uint32_t n = make_changes(changes, authors, &birth);
    CHECK(batch_write(&up, &rows, changes, n, &payload, NULL) == ERR_OK);
    save_payload("up", 0, buf_str(&payload));
    save_frame("up", buf_str(&payload));
    const struct str told = STR("Qinghe town, household of Hetang village; monitored: unstable; income 900");
    save_frame_as("dictionary", told, FRAME_UP, 1);
    save_frame_as("dictionary_unknown", told, FRAME_UP, 2);
    save_frame_as("signed_only", STR("stored"), FRAME_RECEIPT, 0);
    buf_clear(&payload);
    CHECK(batch_write(&up, NULL, &changes[3], 1, &payload, NULL) == ERR_OK);
    save_payload("up-one-field", 0, buf_str(&payload));
    save_frame("up-one-field", buf_str(&payload));
    buf_clear(&payload);
    CHECK(down_write(&down, changes, authors, n, &payload, NULL) == ERR_OK);
    save_payload("down", 1, buf_str(&payload));
    buf_clear(&payload);
    CHECK(down_write(&down, NULL, NULL, 0, &payload, NULL) == ERR_OK);
    save_payload("down-nothing-new", 1, buf_str(&payload));
    static const char zeros[500];
    save_frame("compressed", (struct str){zeros, sizeof(zeros)});
    buf_free(&birth);
    buf_free(&payload);
}

static void make_receipts(void)
{
    struct receipt_item items[2] = {
        {.batch_seq = 41, .batch_id = {1}, .status = RECEIPT_STORED, .server_seq = 8130, .reason = STR("")},
        {.batch_seq = 44,
         .batch_id = {2},
         .status = RECEIPT_QUARANTINED,
         .cause = ERR_STATE,
         .reason = STR("why")}};
    struct receipt r = {.epoch = 4,
                        .device = 7,
                        .inc = 1,
                        .contiguous = 41,
                        .cursor = 8130,
                        .server_time_ms = NOW_MS,
                        .token = STR(""),
                        .items = items,
                        .item_count = 1};
    struct buf payload;
    buf_init(&payload, ROOM);
    CHECK(receipt_write(&r, &payload) == ERR_OK);
    save("receipt", "usual", buf_str(&payload));
    r.token = STR("v1.token");
    r.token_until_ms = NOW_MS + 86400000;
    r.clock_off_ms = 86400000;
    r.caught_up = true;
    r.cursor_from = 8000;
    r.refused = ERR_DENIED;
    r.item_count = 2;
    buf_clear(&payload);
    CHECK(receipt_write(&r, &payload) == ERR_OK);
    save("receipt", "everything", buf_str(&payload));
    buf_free(&payload);
}

static void make_enrolments(void)
{
    struct enrol_code code = {.url = STR("http://127.0.0.1:8080"), .token60 = 12345678901234567};
    struct keyset keys = {.county = STR("云山县"), .epoch = 4, .issued_ms = NOW_MS};
    struct enrol_request request = {.token60 = 5,
                                    .model = STR("A5"),
                                    .version = STR("0.1"),
                                    .now_ms = NOW_MS};
    struct enrol_reply reply = {.device = 7,
                                .inc = 1,
                                .person = 41,
                                .role = 1,
                                .person_name = STR("李明"),
                                .county = STR("云山县"),
                                .area = STR("33"),
                                .epoch = 4,
                                .server_time_ms = NOW_MS,
                                .token = STR("v1.token"),
                                .token_until_ms = NOW_MS,
                                .certificate = STR("c")};
    char token[ENROL_TOKEN_TEXT];
    struct buf b;
    buf_init(&b, ROOM);
    CHECK(enrol_code_write(&code, &b) == ERR_OK);
    save("enrol", "code", buf_str(&b));
    enrol_token_write(code.token60, token);
    save("enrol", "token", str_of(token));
    memcpy(keys.root_public, sign.public, sizeof(keys.root_public));
    memcpy(keys.sign_public, sign.public, sizeof(keys.sign_public));
    buf_clear(&b);
    CHECK(keyset_write(&keys, &sign, &b, NULL) == ERR_OK);
    save("enrol", "keyset", buf_str(&b));
    memcpy(request.sign_public, sign.public, sizeof(request.sign_public));
    buf_clear(&b);
    CHECK(enrol_request_write(&request, seal.public, seed, &b, NULL) == ERR_OK);
    save("enrol", "request", buf_str(&b));
    buf_clear(&b);
    CHECK(enrol_reply_write(&reply, &sign, seal.public, seed, &b, NULL) == ERR_OK);
    save("enrol", "reply", buf_str(&b));
    buf_free(&b);
}

static enum err write_bundle(void *self, struct str bytes, struct diag *d)
{
    (void)d;
    buf_put_str(self, bytes);
    return ERR_OK;
}

static void make_bundle(void)
{
    const struct done done = {.epoch = 4, .cursor = 9, .ms = NOW_MS, .device = 7, .inc = 1, .contiguous = 2};
    struct frame_seal how = {.type = FRAME_UP,
                             .device = 7,
                             .inc = 1,
                             .batch_seq = 3,
                             .schema = BATCH_SCHEMA_CHANGES,
                             .recipient = seal.public,
                             .author = &sign,
                             .ephemeral_seed = seed};
    struct piece p = {.device = 7, .inc = 1};
    struct bundle_writer w;
    struct buf out, bytes;
    unsigned char hash[SHA256_SIZE];
    size_t size;

    buf_init(&out, ROOM);
    buf_init(&bytes, ROOM);
    CHECK(bundle_begin(&w, (struct bundle_sink){&out, write_bundle}, NULL) == ERR_OK);
    p.kind = PIECE_CERTIFICATE;
    p.bytes = STR("doorstep-cert/1 7 1 00 00 1795442945000 00");
    CHECK(bundle_put(&w, &p, NULL) == ERR_OK);
    CHECK(frame_make(&how, STR("sealed"), &bytes, NULL) == ERR_OK);
    p.kind = PIECE_FRAME;
    p.bytes = buf_str(&bytes);
    CHECK(frame_parse(p.bytes, &p.frame, &size, NULL) == ERR_OK && bundle_put(&w, &p, NULL) == ERR_OK);
    buf_clear(&bytes);
    CHECK(done_write(&done, &sign, &bytes) == ERR_OK);
    p.kind = PIECE_DONE;
    p.bytes = buf_str(&bytes);
    CHECK(bundle_put(&w, &p, NULL) == ERR_OK);
    CHECK(sha256(STR("a list"), hash) == ERR_OK);
    CHECK(bundle_put_object(&w, hash, STR("a list"), NULL) == ERR_OK && bundle_end(&w, NULL) == ERR_OK);
    bundle_writer_free(&w);
    save("bundle", "usual", buf_str(&out));
    out.n = out.n * 2 / 3;
    save("bundle", "cut", buf_str(&out));
    buf_free(&bytes);
    buf_free(&out);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    corpus = argv[1];
    CHECK(crypto_init(NULL) == ERR_OK && x25519_make(seed, &seal) == ERR_OK &&
          p256_make(seed, &sign) == ERR_OK);
    make_batches();
    make_receipts();
    make_enrolments();
    make_bundle();
    return 0;
}
