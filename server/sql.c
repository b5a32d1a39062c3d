/* Closing what server/sql.h opened: statements that are still in use are given back first. Always true: a
 * closed one may be closed again. */
#include "server/sql.h"

void sql_close(struct sql *s)
{
    for (int i = 0; i < STMT_MAX; i++)
        stmt_done(&s->in_use[i]);
    if (s->db)
        s->ops->close(s->db);
    s->db = NULL;
}
