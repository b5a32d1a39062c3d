/* Signed JSON: a text with a signature over its exact bytes, so that nobody needs a canonical form. Private
 * to sync/wire*.
 */
#ifndef DOORSTEP_SYNC_WIRE_JSON_H
#define DOORSTEP_SYNC_WIRE_JSON_H

#include "platform/base/json.h"
#include "sync/wire.h"

struct signed_json {
    struct str bytes; /* what was signed */
    const struct json *body;
    unsigned char signature[SIGNATURE_SIZE];
};
enum err signed_json_write(struct str body, const struct key_pair_p256 *key, struct buf *out,
                           struct diag *d) MUST_USE;
/* Shape only: the caller knows whose signature it must be. */
enum err signed_json_read(struct arena *a, struct str text, struct signed_json *out, struct diag *d) MUST_USE;

/* Members of one object, the first opens it; the caller closes it. */
void json_member(struct buf *b, const char *name);
void json_member_text(struct buf *b, const char *name, struct str value);
void json_member_i64(struct buf *b, const char *name, int64_t value);
void json_member_hex(struct buf *b, const char *name, const void *bytes, size_t n);
bool json_u32(const struct json *object, const char *name, uint32_t *out);

#endif
