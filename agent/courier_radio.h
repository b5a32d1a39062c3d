/* Carried things by radio: what this handheld carries for others goes to the centre, and what the centre has
 * for them is carried from then on. Its own frames go with deliver().
 */
#ifndef DOORSTEP_AGENT_COURIER_RADIO_H
#define DOORSTEP_AGENT_COURIER_RADIO_H

#include "agent/courier.h"

/* A link that breaks ends it; what was answered counts. ERR_NET then, and *result_out is filled in. */
enum err courier_radio(struct store *s, const struct seam *seam, const struct courier_options *o,
                       struct courier_result *result_out, struct diag *d) MUST_USE;

#endif
