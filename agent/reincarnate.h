/* Asking the centre for another incarnation of this device, once the one it had is over: a copy of it has
 * sent too, or its data were put back from a backup. What the centre has of us is asked first, so that only
 * what it lacks is cut anew.
 */
#ifndef DOORSTEP_AGENT_REINCARNATE_H
#define DOORSTEP_AGENT_REINCARNATE_H

#include "agent/store.h"

/* ERR_DENIED: a person shut this device out; it needs a new enrolment code. `ca` as in http_request. */
enum err reincarnate(struct store *s, const struct seam *seam, struct str ca, struct diag *d) MUST_USE;

#endif
