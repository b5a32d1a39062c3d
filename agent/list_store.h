/* Large choice lists on the handheld: a plain SQLite file beside the sealed store, because the lists are
 * public and their pages are then not deciphered at every look. Each list is imported once, named by the hash
 * of its bytes; what a form asks of it gets indexes. Losing the file loses nothing: the lists come again from
 * the objects they were made of.
 */
#ifndef DOORSTEP_AGENT_LIST_STORE_H
#define DOORSTEP_AGENT_LIST_STORE_H

#include "forms/list.h"
#include "platform/seam.h"

#define LIST_HASH_SIZE 32

/* Where lists come from. */
struct list_source {
    void *self;
    /* A name for the bytes behind a uri that changes when they do; ERR_NOT_FOUND when there are none. */
    enum err (*hash)(void *self, struct str uri, unsigned char hash_out[LIST_HASH_SIZE], struct diag *d);
    /* Its bytes from `at` on, at most `room`; *n_out 0 = there are no more. Of one list at a time, from the
     * start on and for XML twice; `at` 0 begins. */
    enum err (*read)(void *self, struct str uri, size_t at, char *out, size_t room, size_t *n_out,
                     struct diag *d);
};

struct list_store;

/* `source` is copied. One store per thread. */
enum err list_store_open(const char *path, const char *vfs, const struct list_source *source,
                         struct list_store **store_out, struct diag *d) MUST_USE;
void list_store_close(struct list_store *s); /* accepts NULL */
/* For session_host.lists and form_lists_prepare; lives as long as the store. */
const struct list_host *list_store_host(struct list_store *s);

#endif
