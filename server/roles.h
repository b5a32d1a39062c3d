/* What each role may do: one table, and the rule that an area's people act in their area.
 */
#ifndef DOORSTEP_SERVER_ROLES_H
#define DOORSTEP_SERVER_ROLES_H

#include "server/store.h"

enum act {
    ACT_NONE = 0,
    ACT_SEE_TOTALS,     /* counts by area, without anyone's name */
    ACT_SEE_HOUSEHOLDS, /* names, answers, findings */
    ACT_SEE_ID_NUMBERS, /* whole: each look is in the audit log */
    ACT_REPORT_LEAD,    /* by telephone, by patrol, by a department's screening */
    ACT_STEP_LEAD,      /* what verification found, closing it */
    ACT_ASSIGN,         /* households and areas to people */
    ACT_RESOLVE,        /* a conflict, a doubtful duplicate */
    ACT_REVIEW_VILLAGE,
    ACT_REVIEW_TOWNSHIP,
    ACT_REVIEW_COUNTY,
    ACT_REMOVE_RISK,
    ACT_CHANGE_HOUSEHOLDS, /* add, split, merge, move */
    ACT_IMPORT_HOUSEHOLDS,
    ACT_IMPORT_DEPARTMENTS,
    ACT_EXPORT, /* with names */
    ACT_EXPORT_PUBLIC,
    ACT_ERASE,   /* requests of people about their data */
    ACT_RELEASE, /* what stands apart */
    ACT_PUBLISH,
    ACT_SEE_DEVICES,
    ACT_MANAGE_DEVICES, /* enrol, revoke, erase a lost one */
    ACT_SEE_PEOPLE,
    ACT_MANAGE_PEOPLE,
    ACT_SEE_AUDIT,
    ACT_COUNT
};

const char *act_name(enum act act); /* "see-households"; "" for ACT_NONE */

/* Whether this person may do it to something in `area` ("" = the county as a whole). A person's own area is a
 * prefix of the codes that belong to it; "" is the whole county. Some acts concern nothing that lies in an
 * area, such as publishing: they need no area. */
bool may(const struct person *p, enum act act, struct str area);
/* Whether there is any area in which this role may: for menus, and for routes before they know the area. */
bool may_anywhere(uint8_t role, enum act act);

#endif
