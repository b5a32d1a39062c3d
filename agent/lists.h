/* Which lists a form is held with: those beside its file, those the centre published, and for entity lists
 * what visits have said since. Large lists are imported into a database beside the public one, at download
 * where possible. Entity lists hold people: what visits said of them never leaves the sealed store, so such a
 * list is read into memory at every opening.
 */
#ifndef DOORSTEP_AGENT_LISTS_H
#define DOORSTEP_AGENT_LISTS_H

#include "agent/list_store.h"
#include "agent/store.h"

struct lists {
    struct store *store;
    const struct seam *seam;
    const struct form *form;
    const char *beside;             /* the form's file; NULL = a published form */
    struct str own_name, own_bytes; /* a list inside that file (external_choices of a workbook), "" = none */
    struct arena *a;
    void *self;
    void (*note)(void *self, struct str text);      /* a sentence for the person; may be NULL */
    void (*importing)(void *self, struct str list); /* before a list is imported; may be NULL */
    /* private */
    struct list_store *kept;
    struct db_blob *object; /* the list that is being imported, */
    size_t object_size;
    struct buf file; /* or the file that is */
    uint64_t told;   /* name that `importing` was last called with; XML is read twice */
    VEC(struct buf) read;
};

/* The public fields are set. Without a database for them, all lists are read into memory, which is noted. */
enum err lists_open(struct lists *l, struct diag *d) MUST_USE;
void lists_close(struct lists *l); /* accepts a zeroed struct */
/* For session_host.lists, NULL = none. */
const struct list_host *lists_host(const struct lists *l);
/* For session_host.resource. */
enum err lists_read(struct lists *l, struct str uri, struct str *bytes_out, struct diag *d) MUST_USE;

/* Imports what the published forms that are here want, so that opening them costs nothing. What cannot be
 * imported now is tried again when a form is opened. */
struct lists_watch {
    void *self;
    void (*importing)(void *self, struct str list);
};
void lists_prepare(struct store *s, const struct seam *seam, const struct lists_watch *watch);

#define LIST_LAST_SAVED STR("jr://instance/last-saved")

#endif
