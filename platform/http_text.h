/* The text side of HTTP that the centre's routes and the simulated network share: paths and queries of a
 * request. Nothing here knows a socket or a library.
 */
#ifndef DOORSTEP_HTTP_TEXT_H
#define DOORSTEP_HTTP_TEXT_H

#include "platform/seam.h"

struct str http_path(struct str url); /* up to '?' */
/* Percent-decoded; p NULL when absent. */
struct str http_query(struct arena *a, struct str url, const char *name);

#endif
