/* HTTP as a client, over libcurl: one request, one reply, blocking. The only place that includes curl.
 *
 * Always true: only http and https; no redirect is followed, no proxy is taken from the environment, no file
 * of the user's (netrc, cookies) is read; a reply is whole or the call fails. One connection is kept open for
 * the next request. Not for several threads at once. */
#ifndef DOORSTEP_POSIX_HTTP_CURL_H
#define DOORSTEP_POSIX_HTTP_CURL_H

#include "platform/seam.h"

struct http_curl;

/* ca_file: PEM file with the only authorities trusted; NULL = the system's. */
enum err http_curl_open(const char *ca_file, struct http_curl **curl_out, struct diag *d) MUST_USE;
void http_curl_close(struct http_curl *c); /* accepts NULL */

/* See seam.h. bytes_up and bytes_down count heads and bodies as HTTP, without TLS and TCP. */
enum err http_curl_exchange(struct http_curl *c, const struct http_request *request, struct arena *a,
                            struct http_reply *reply_out, struct diag *d) MUST_USE;

#endif
