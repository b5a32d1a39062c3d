/* What a screen shows of one household, in the checker's own terms, and the ways to read it: from an open
 * session, and from the XML of a submission. Tails are zero, so that memcmp compares.
 */
#ifndef DOORSTEP_TESTS_SIM_SCREEN_H
#define DOORSTEP_TESTS_SIM_SCREEN_H

#include "platform/base/str.h"
#include "tests/sim/history.h"

struct session;

#define FIELDS 6
#define MEMBERS_ADD_MAX 5 /* nobody adds a further one; several people at once may have made more */
#define MEMBERS_MAX 24

extern const char sim_form_xml[];

struct on_screen {
    char f[FIELDS][TEXT_MAX];
    char m[MEMBERS_MAX][2][TEXT_MAX]; /* name, age */
    uint32_t members;
};

void screen_of_session(struct session *s, struct on_screen *out);
void screen_of_xml(struct str xml, struct on_screen *out);
/* The place of a member by its name; MEMBERS_MAX when it is not there. */
uint32_t screen_member(const struct on_screen *s, const char *name);
/* The text that stands in a field: "f0" ... of the household (member ""), "name", "age" of a member; NULL
 * when there is no such member. */
char *screen_text(struct on_screen *s, const char *member, const char *field);

#endif
