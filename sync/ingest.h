/* The centre's half, also pure: what an arriving frame is, before any store is touched.
 */
#ifndef DOORSTEP_SYNC_INGEST_H
#define DOORSTEP_SYNC_INGEST_H

#include "sync/wire.h"

/* What is told to others carries more beside each change (its author, its full row id); a frame of changes
 * must leave room for that, because one transaction's changes go down in one frame. */
#define INGEST_RAW_MAX (FRAME_RAW_MAX / 2)

/* What the centre knows of the author, and of this frame's predecessor. */
struct ingest_author {
    bool known;
    enum err
        revoked; /* ERR_OK: in use; ERR_DENIED: a person shut it out; ERR_EXISTS: this incarnation is over */
    unsigned char sign_public[P256_PUBLIC_SIZE];
    const struct frame_dicts *dicts; /* all that the centre ever published; NULL = none */
    bool prev_known;                 /* the hash of batch_seq - 1 is known */
    unsigned char prev[8];
    bool next_known; /* batch_seq + 1 came first, and says this of its predecessor */
    unsigned char next[8];
};

enum ingest_verdict {
    INGEST_ACCEPT,     /* apply the changes */
    INGEST_QUARANTINE, /* authentic, but not to be applied: keep, receipt as quarantined, alarm */
    INGEST_REFUSE      /* not authentic: keep nothing, answer with the cause */
};

struct ingest {
    enum ingest_verdict verdict;
    enum err cause; /* of QUARANTINE and REFUSE; the sentence is in the diag */
    struct frame frame;
    struct batch_head head;
    struct change *changes;
    uint32_t change_count;
    int64_t *hlc_effective; /* per change */
    struct str payload;     /* opened bytes, kept beside the frame */
};

/* Never fails: whatever the bytes are, there is a verdict. Everything lives in `a`; texts may point into
 * `bytes`. A lack of memory is a REFUSE with ERR_NOMEM: nobody is at fault, the frame may come again. */
void ingest_frame(struct arena *a, struct str bytes, const struct ingest_author *author,
                  const struct key_pair_x25519 *county, const struct batch_rows *rows, struct ingest *out,
                  struct diag *d);
/* The same for a frame of the archive whose payload was opened when it came (the key it was sealed for may be
 * gone): the frame is parsed and verified, `payload` is taken for what it says. */
void ingest_again(struct arena *a, struct str bytes, struct str payload, const struct ingest_author *author,
                  const struct batch_rows *rows, struct ingest *out, struct diag *d);

#endif
