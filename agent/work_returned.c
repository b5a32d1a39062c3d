/* A correction begins with what the centre said about the visit (returned.h). */
#include "agent/returned.h"
#include "agent/work_impl.h"

enum err returned_notes(struct work *w, struct diag *d)
{
    struct returned *list = NULL;
    uint32_t count = 0;
    enum err rc = w->visit.edit ? store_returned(w->o.store, &w->arena, &list, &count, d) : ERR_OK;
    for (uint32_t i = 0; !rc && i < count; i++) {
        const struct returned *x = &list[i];
        bool meant = w->sent.key ? x->visit == w->sent.key
                                 : w->has_household && x->household == w->household.key &&
                                       str_eq(x->form, form_id(w->form));
        if (!meant)
            continue;
        work_note(w, "sent back by %.*s on %.*s%s%.*s", STR_ARG(x->by), STR_ARG(str_sub(x->at, 0, 10)),
                  x->comment.n ? ": " : "", STR_ARG(x->comment));
        for (uint32_t k = 0; k < x->remarks.count; k++)
            work_note(w, "%.*s: %.*s", STR_ARG(x->remarks.at[k].place), STR_ARG(x->remarks.at[k].text));
    }
    return rc;
}
