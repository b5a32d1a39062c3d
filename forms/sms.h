/* The interview as one short message, for places with a telephone network and nothing else. The form marks
 * what goes in (odk:tag on a question's element) and how it is set (odk:prefix and odk:delimiter on the root,
 * a space when it has none): PREFIX d TAG d VALUE d TAG d VALUE ... A backslash or delimiter inside a value
 * has a backslash before it. What does not apply or is empty is left out. As JavaRosa writes it.
 */
#ifndef DOORSTEP_FORMS_SMS_H
#define DOORSTEP_FORMS_SMS_H

#include "forms/session.h"

/* ERR_NOT_FOUND when the form has no tags; ERR_LIMIT beyond the buf's maximum. */
enum err session_sms(struct session *s, struct buf *out, struct diag *d) MUST_USE;

#endif
