/* From handheld to handheld: one serves its bundle over HTTP on a local network, the other fetches and takes
 * it. Neither trusts the other: what is served is sealed and signed, what is fetched is judged like a card.
 */
#ifndef DOORSTEP_AGENT_COURIER_LOCAL_H
#define DOORSTEP_AGENT_COURIER_LOCAL_H

#include "agent/courier.h"

/* Packs what this device would give, and answers on address:port until SIGTERM or SIGINT. `ready` is told the
 * port once it answers. */
struct courier_serve {
    const char *address; /* numeric */
    uint16_t port;       /* 0 = any */
    void *self;
    void (*ready)(void *self, uint16_t port, const struct courier_result *packed);
};
enum err courier_serve(struct store *s, const struct seam *seam, const struct courier_options *o,
                       const struct courier_serve *how, struct diag *d) MUST_USE;

/* Fetches from "10.0.0.7:9000" or "http://..." and takes. A connection that breaks costs what did not come.
 */
enum err courier_take_from(struct store *s, const struct seam *seam, const char *address,
                           const struct courier_options *o, struct courier_result *result_out,
                           struct diag *d) MUST_USE;

#endif
