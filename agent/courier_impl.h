/* What courier_take.c and courier_give.c share: the bundles of a place, looked through once. Private. */
#ifndef DOORSTEP_AGENT_COURIER_IMPL_H
#define DOORSTEP_AGENT_COURIER_IMPL_H

#include "agent/courier.h"
#include "platform/posix/posix_stream.h"

struct device_name {
    uint64_t device;
    uint32_t inc;
};

struct known_device {
    struct device_name name;
    bool certified;
    unsigned char sign_public[P256_PUBLIC_SIZE];
    bool has_done;
    struct done done;         /* the newest */
    uint32_t done_source;     /* which bundle it stands in: what the centre sends belongs together */
    uint64_t manifest_number; /* of its newest wish */
};

/* A frame by the centre for this device. */
struct for_us {
    uint32_t source;
    uint64_t at; /* of its piece */
    enum frame_type type;
    uint32_t epoch;
    uint64_t number;
    bool used;
};

struct object_part {
    unsigned char hash[SHA256_SIZE];
    uint64_t size, offset, at;
    uint32_t source;
};

struct look {
    struct arena arena;
    const struct identity *us;
    struct keyset keys;
    struct str *paths;
    uint32_t path_count;
    VEC(struct known_device) devices;
    VEC(struct for_us) for_us;
    VEC(struct object_part) parts;
    struct done newest; /* of all statements, in the centre's order: what time it is there, at least */
    bool *for_others;   /* by source: the centre's downlink for another device lies in it */
    struct courier_result *result;
};
/* `l` is zeroed; free it on every path. `us` is the store's identity. */
enum err look_open(struct look *l, const struct identity *us, struct courier_result *result,
                   struct diag *d) MUST_USE;
void look_free(struct look *l);
/* Statements, what is for us, where objects lie: of all paths. A bundle that cannot be read is an error. */
enum err look_through(struct look *l, struct diag *d) MUST_USE;
struct known_device *look_device(struct look *l, uint64_t device, uint32_t inc); /* NULL = not known */
bool look_is_us(const struct look *l, const struct piece *p);
/* The centre has it. */
bool look_is_done(struct look *l, const struct frame *f);
/* Signed by a certified device or by the centre. */
bool look_is_signed(struct look *l, const struct piece *p);

/* Pieces met, by their checks. */
struct met {
    struct met_slot {
        unsigned char check[BUNDLE_CHECK_SIZE];
        uint32_t count; /* 0 = free */
    } * slots;
    uint32_t room, count;
};
enum err met_init(struct met *m, struct arena *a, struct diag *d) MUST_USE;
/* How often before; UINT32_MAX when there is no room to remember it. */
uint32_t met_add(struct met *m, const unsigned char check[static BUNDLE_CHECK_SIZE]);
uint32_t met_count(const struct met *m, const unsigned char check[static BUNDLE_CHECK_SIZE]);

/* One bundle open for reading. */
struct open_bundle {
    struct stream_in *in;
    struct bundle_reader reader;
};
enum err bundle_open(struct open_bundle *b, const char *path, struct diag *d) MUST_USE;
void bundle_close(struct open_bundle *b); /* accepts a zeroed one */
/* The piece that stands at that offset; ERR_CORRUPT when none does. It lives as long as `b`. */
enum err bundle_piece_at(struct open_bundle *b, const char *path, uint64_t at, struct piece *out,
                         struct diag *d) MUST_USE;

#endif
