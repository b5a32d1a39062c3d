/* Entities: what a finalised interview says about lists of people, places or things that outlive it. The form
 * declares them (<entity dataset create update id ...> in a meta block; bind/@entities:saveto); the session
 * hands them over as deltas, and the host applies them to its own lists.
 *
 * Versions 2022.1 (create), 2023.1 (update), 2024.1 (offline: trunkVersion, branchId) and 2025.1 (entities in
 * groups and repeats, `list#property`) of the specification; a newer year or minor number is refused when the
 * form is loaded.
 */
#ifndef DOORSTEP_FORMS_ENTITIES_H
#define DOORSTEP_FORMS_ENTITIES_H

#include "forms/session.h"

enum entity_op { ENTITY_CREATE, ENTITY_UPDATE, ENTITY_UPSERT };

/* A delta with a fault is told, and must not be applied. */
enum entity_fault {
    ENTITY_FINE,
    ENTITY_BAD_ID,     /* not a version 4 UUID */
    ENTITY_NO_LABEL,   /* a new entity without one */
    ENTITY_NO_DATASET, /* the form does not say which list */
    ENTITY_TWICE,      /* the same entity of the same list stands earlier in this interview */
};

struct entity_property {
    struct str name, value; /* "" clears; what does not apply is not here at all */
};
struct entity_delta {
    struct place place; /* the <entity> element */
    enum entity_op op;
    enum entity_fault fault;
    struct str dataset, id;
    struct str label; /* "" in an update: unchanged */
    struct str base_version, trunk_version, branch_id;
    const struct entity_property *properties; /* in the order of the form */
    uint32_t property_count;
};

/* The deltas of a finalised (or frozen) interview in document order; ERR_STATE before. Texts point into the
 * session, the arrays lie in `a`. */
enum err session_entities(struct session *s, struct arena *a, struct entity_delta **deltas_out,
                          uint32_t *count_out, struct diag *d) MUST_USE;
/* The lists that a form makes or changes entities of, as its author wrote them; one may stand there twice. */
uint32_t form_entity_count(const struct form *f);
struct str form_entity_dataset(const struct form *f, uint32_t i);
/* What is wrong, as a sentence. */
const char *entity_fault_text(enum entity_fault fault);

#endif
