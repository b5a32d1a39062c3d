/* The handheld's screens: pages and a JSON interface on loopback (docs/SCREENS-API.md), for one browser on
 * the same machine.
 *
 * Always true: nothing but the pages themselves is given out without a session; a request that another site,
 * or another name for this address, could have made is refused before anything is looked at; one thread, the
 * server's, touches the store and the interview that is open; syncing happens in a process of its own, so
 * that no answer waits for the network. A reply that says "saved" is sent after the commit.
 */
#ifndef DOORSTEP_AGENT_SERVE_H
#define DOORSTEP_AGENT_SERVE_H

#include <pthread.h>
#include <sys/types.h>

#include "agent/deliver.h"
#include "agent/work.h"
#include "platform/base/json.h"
#include "platform/http_serve.h"

#define SERVE_BODY_MAX (12u << 20) /* one file of an upload question */
#define SERVE_SESSIONS 4
#define SERVE_TOKEN 32   /* hexadecimal digits */
#define SERVE_CHOICES 40 /* that travel with a question; longer lists are searched */
#define SERVE_SENT 512

/* ---- syncing beside it (serve_sync.c) ---- */
struct serve_sync {
    pthread_mutex_t lock; /* of what follows */
    pid_t child;          /* 0 = none */
    bool link_known, link, running, ran;
    bool again;      /* start it anew at once: this device was enrolled */
    char result[16]; /* of the last run: the name of its error, "ok" */
    int64_t ran_ms;
    struct str last; /* JSON of the last progress or result, in `texts` */
    struct buf texts;
};
struct serving;
/* Runs until SIGTERM or SIGINT. Called on the main thread. */
enum err serve_sync_run(struct serving *g, struct diag *d) MUST_USE;
void serve_sync_ask(struct serving *g);
void serve_sync_anew(struct serving *g);
void serve_sync_folder(struct serving *g, const char *dir); /* another person's store */

/* ---- the interview that is open (serve_visit.c) ---- */
struct serve_sent {
    uint64_t ref, json;
};
struct serve_visit {
    struct work w;
    bool open;
    struct buf household, form; /* what it was opened with */
    struct place first;         /* the first stop: the way back to the start */
    struct buf noted;           /* the place that is noted in the store */
    uint32_t alerts_told, notes_told;
    /* What the page shows: hashes of each question's reference and JSON, so that only changes travel. */
    struct serve_sent sent[SERVE_SENT];
    uint32_t sent_count;
};

struct serving {
    struct store *store;
    const struct seam *seam;
    const struct zone *zone;
    const char *base;                   /* the data folder */
    const char *card;                   /* a folder that counts as a memory card; NULL = none */
    char data[4096];                    /* of the person who uses it now: the data folder, or DATA/people/N */
    char person[8];                     /* "" or N */
    bool locked;                        /* the PIN comes first */
    bool pin_tried;                     /* since this process began */
    int64_t pin_not_before, touched_ms; /* in time that the device was up */
    uint16_t port;
    bool no_sync;
    char link[SERVE_TOKEN + 1]; /* "" = used */
    char sessions[SERVE_SESSIONS][SERVE_TOKEN + 1];
    uint32_t session_next;
    struct serve_sync sync;
    struct serve_visit visit;
    struct store *training; /* NULL = nobody practises (serve_training.c) */
};

/* One request to the JSON interface. */
struct serve_call {
    struct serving *g;
    const struct http_request *request;
    struct http_reply *reply;
    struct arena *a;
    const struct json *in; /* the body; NULL = none */
    struct buf *out;
    struct diag *d;
};
struct serve_route {
    enum http_method method;
    const char *path;
    enum err (*run)(struct serve_call *c);
};
extern const struct serve_route serve_today_routes[], serve_visit_routes[], serve_finish_routes[],
    serve_lead_routes[], serve_device_routes[], serve_training_routes[];

/* A new session, for whoever made this request. */
enum err serve_session_begin(struct serve_call *c) MUST_USE;
/* Closes what is open and forgets all sessions. */
void serve_lock(struct serving *g);
/* The practice store is closed and removed. */
void serve_training_end(struct serving *g);
bool serve_has_pin(const struct serving *g);

/* ---- writing JSON (serve_json.c): a comma goes before what is not the first ---- */
void js_open(struct buf *b, const char *name, char bracket); /* name NULL: in an array, or the whole */
void js_str(struct buf *b, const char *name, struct str value);
void js_z(struct buf *b, const char *name, const char *value);
void js_i64(struct buf *b, const char *name, int64_t value);
void js_bool(struct buf *b, const char *name, bool value);
void js_raw(struct buf *b, const char *name, struct str json); /* "" = null */

struct str serve_query(const struct serve_call *c, const char *name); /* "" = absent */
int64_t serve_today(const struct serving *g);                         /* civil day */

/* ---- pages of the interview (serve_page.c) ---- */
/* All of the page at hand; from now on only what changes is told. */
enum err page_write(struct serve_call *c, struct str focus) MUST_USE;
/* What changed of it: "changed", and "order" when questions came or went. */
enum err page_changes(struct serve_call *c) MUST_USE;
/* One search in the choices of a question. */
enum err page_choices(struct serve_call *c, struct place p, struct str search, uint32_t skip) MUST_USE;

/* The way through the interview (serve_road.c). */
struct road {
    VEC(struct stop) stops;
    uint32_t at;                /* the one at hand */
    uint32_t questions, before; /* all of them; those before the stop at hand */
    uint32_t answered;
};
enum err road_look(struct serve_call *c, struct road *r) MUST_USE;
void road_stand(struct serve_call *c, const struct road *r, uint32_t index);
bool road_is_question(const struct stop *st);
/* "/survey + /survey/member": the question whether there is one more. */
struct str road_prompt(struct serve_call *c, const struct stop *st);
/* To a reference, a prompt, "end" or "start"; *found_out false: it does not apply. */
enum err road_find(struct serve_call *c, struct str place, bool *found_out) MUST_USE;

enum err visit_needed(struct serve_call *c) MUST_USE; /* ERR_STATE when no interview is open */
void visit_close(struct serving *g);
/* Opens an interview with files in the practice store; writes the reply. */
enum err visit_practise(struct serve_call *c, const char *form, const char *pack) MUST_USE;
/* Urgent findings and notes that were not told yet. */
void visit_news(struct serve_call *c);

/* Files of agent/web, built in. */
struct serve_file {
    const char *name, *type;
    const unsigned char *bytes;
    size_t size;
};
extern const struct serve_file serve_files[];
extern const size_t serve_file_count;

#endif
