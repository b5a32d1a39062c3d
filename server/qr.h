/* QR codes as SVG: enrolment tokens and second factors, on a screen or on paper.
 */
#ifndef DOORSTEP_SERVER_QR_H
#define DOORSTEP_SERVER_QR_H

#include "platform/base/buf.h"

#define QR_TEXT_MAX 1000

/* An <svg> element of its own, black on white with the quiet zone that readers need, as wide as its
 * surroundings allow. `title` is what a screen reader says. ERR_LIMIT: more than QR_TEXT_MAX bytes. */
enum err qr_svg(struct str text, struct str title, struct buf *out, struct diag *d) MUST_USE;

#endif
