/* Shared by the readers of lists (CSV, GeoJSON, XML). */
#ifndef DOORSTEP_FORMS_LIST_IMPL_H
#define DOORSTEP_FORMS_LIST_IMPL_H

#include "forms/list.h"

#define LIST_BYTES_MAX                                                                   \
    (256u << 20) /* the largest public list we met, all villages of a country, has 90 MB \
                  */
#define LIST_ROW_BYTES_MAX (1u << 20) /* texts of one row, while it is imported */
#define LIST_WINDOW (64u << 10)       /* of a list that is imported; its first line is looked at as far */

/* CSV with a known separator and no byte order mark; `only` not NULL: the rows of that list_name. */
enum err list_read(struct arena *a, struct str csv, char separator, struct str only, uint32_t index,
                   const struct tree **tree_out, struct diag *d);
enum err geojson_csv(struct str text, struct buf *csv, struct diag *d);
enum err list_import_xml(const struct list_bytes *xml, const struct list_sink *sink, struct diag *d);
enum err list_too_large(size_t n, struct diag *d); /* ERR_LIMIT */
enum err list_irregular(struct diag *d);           /* ERR_STATE */

#endif
