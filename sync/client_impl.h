/* The state of a sync run, shared by what decides (client.c) and what judges replies (client_reply.c).
 * Private.
 */
#ifndef DOORSTEP_SYNC_CLIENT_IMPL_H
#define DOORSTEP_SYNC_CLIENT_IMPL_H

#include "sync/client.h"
#include "sync/pace.h"

/* What the run is at. Each says what it wants in sync_next() and what it makes of a reply. */
enum phase {
    PHASE_ASK,    /* which receipts does the centre have for us? */
    PHASE_FRAME,  /* is there a frame to send? */
    PHASE_SEND,   /* send it whole */
    PHASE_OFFSET, /* how much of it does the centre have? */
    PHASE_PUT,    /* send its next piece */
    PHASE_COMMIT, /* all of it is there: ask for the receipt that got lost */
    PHASE_DOWN,   /* what is new for us? */
    PHASE_WANTED, /* is there an object to fetch? */
    PHASE_OBJECT, /* fetch a piece of it */
    PHASE_PART,   /* is there a part of an attachment to send? */
    PHASE_DONE
};

/* What a step given out is waiting for. */
enum expect { EXPECT_NOTHING, EXPECT_FRAME, EXPECT_REPLY, EXPECT_WANTED, EXPECT_DONE };

#define SYNC_PIECE_BEGIN (64u << 10)
#define SYNC_PIECE_MIN (8u << 10)
#define SYNC_PIECE_MAX (1u << 20)
#define SYNC_TOKEN_MAX 1024
#define SYNC_REFUSED_MAX 64
#define FRAME_REPLY_MAX (256u << 10)

struct sync_client {
    struct sync_config config;
    struct buf token; /* "Bearer ..." */
    uint64_t cursor;
    uint32_t epoch;

    enum phase phase;
    enum expect expect;
    struct step step;  /* the one given out */
    struct arena work; /* of one reply */

    /* sending */
    struct str frame; /* the caller's; p NULL = none under way */
    struct frame head;
    bool receipted;  /* the frame under way has its receipt */
    bool parts;      /* it is one of an attachment: STEP_PART */
    uint64_t offset; /* PHASE_PUT: what the centre has of it */
    uint64_t offset_best;
    uint32_t set_backs; /* how often the centre had less than before */
    struct pace pace;
    uint64_t frames_refused[SYNC_REFUSED_MAX];
    uint32_t frames_refused_count;
    uint64_t ask_after; /* PHASE_ASK: receipts of frames after this one */
    enum phase after_ask;
    bool report_rides;        /* in the request under way */
    bool caught_up;           /* the downlink need not be asked for */
    bool verified;            /* something that the centre signed has come in this run */
    bool behind, behind_told; /* the centre counts in an earlier epoch than we know: it is told so, once */
    bool renewed;             /* this request went out a second time, with a new token */

    /* the reply being worked off */
    struct buf reply;
    size_t reply_at;
    bool got_down; /* it held a downlink frame */

    /* fetching */
    unsigned char hash[SHA256_SIZE];
    uint64_t object_size; /* 0 = not known */
    struct buf object;
    uint64_t object_kept; /* what the caller has of it */
    struct str base;      /* the caller's earlier version; p NULL = none, or not to be used */
    unsigned char base_hash[SHA256_SIZE];
    bool patching;       /* `object` holds a patch against `base` */
    uint64_t patch_size; /* 0 = not known */
    uint32_t piece;
    uint32_t hash_failures;
    unsigned char refused[SYNC_REFUSED_MAX][SHA256_SIZE];
    uint32_t refused_count;

    /* trouble */
    uint32_t failures; /* in a row */
    int64_t wait_ms;
    uint64_t random_state;
    bool wait_due, stopped;
    bool portal, budget; /* as in struct step */
    enum err cause;
    struct diag why;
    enum err passed_over; /* why the last refused frame or object was */
    struct diag passed_over_why;

    struct buf path, range; /* texts of the request given out */
    struct sync_totals totals;
};

/* One more failure: wait, or stop when there were too many. The sentence goes before. */
void client_fail(struct sync_client *c, enum err cause);
void client_stop(struct sync_client *c, enum err cause);
void client_progress(struct sync_client *c);
void client_pass_over(struct sync_client *c, enum err cause);
/* Forgets the object under way, and never asks for it again in this run. */
void client_refuse_object(struct sync_client *c, enum err cause);

/* A reply that begins with no frame of the centre: what it is, and what follows from it. */
void reply_not_ours(struct sync_client *c, const struct sync_reply *reply);
/* A piece of an object. */
void reply_object(struct sync_client *c, const struct sync_reply *reply);

/* Uploading in pieces (client_upload.c). */
void upload_begin(struct sync_client *c);
void upload_request(struct sync_client *c);
/* The link broke, or the reply was nothing of ours: ask anew what arrived. */
void upload_again(struct sync_client *c);
/* A reply without a frame in one of the phases of an upload; false when it says nothing about it. */
bool upload_reply(struct sync_client *c, const struct sync_reply *reply);
/* The frame under way is not taken in this run. */
bool client_refuse_frame(struct sync_client *c, int status);
bool client_afford(struct sync_client *c, uint64_t bytes);
uint64_t client_bytes_left(const struct sync_client *c);
void client_request(struct sync_client *c, const char *method, uint32_t reply_max);
/* To the path: the centre may send what is new after it along with the receipt. */
void client_put_cursor(struct sync_client *c, char before);
static inline bool phase_sends(enum phase p)
{
    return p == PHASE_SEND || p == PHASE_OFFSET || p == PHASE_PUT || p == PHASE_COMMIT;
}
/* The next frame in the reply as a step for the caller; false when there is none left or it failed. */
bool reply_take(struct sync_client *c);
/* The reply is worked off: what next? */
void reply_end(struct sync_client *c);

#endif
