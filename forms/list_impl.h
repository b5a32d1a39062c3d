/* Shared by the readers of lists (CSV, GeoJSON). */
#ifndef DOORSTEP_FORMS_LIST_IMPL_H
#define DOORSTEP_FORMS_LIST_IMPL_H

#include "forms/value.h"

#define LIST_BYTES_MAX                                                                   \
    (256u << 20) /* the largest public list we met, all villages of a country, has 90 MB \
                  */

/* CSV with a known separator and no byte order mark. */
enum err list_read(struct arena *a, struct str csv, char separator, uint32_t index,
                   const struct tree **tree_out, struct diag *d);

#endif
