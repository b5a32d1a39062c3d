/* Style sheet, script and icon of the centre, as bytes inside the program. Their addresses carry the hash of
 * what they are, so that a browser keeps them for ever and never has an old one.
 */
#ifndef DOORSTEP_SERVER_WEB_H
#define DOORSTEP_SERVER_WEB_H

#include "server/routes.h"

struct web_file {
    const char *name, *type, *url; /* url: "/web/HASH/centre.css" */
    struct str bytes;
};
extern const struct web_file web_files[]; /* made at build time from server/web/ */
extern const uint32_t web_file_count;

struct str web_url(const char *name);                      /* of a file that there is */
enum err web_get(struct call *c, struct diag *d) MUST_USE; /* GET /web/... */

#endif
