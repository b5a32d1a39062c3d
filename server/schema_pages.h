/* Migration 6: what the screens need beyond work.h. */
#ifndef DOORSTEP_SERVER_SCHEMA_PAGES_H
#define DOORSTEP_SERVER_SCHEMA_PAGES_H

/* clang-format off */
#define CSTORE_SCHEMA_PAGES \
    "CREATE INDEX house_line_level ON house_line (county, level, area, number);" \
    /* where households are, millionths of a degree; area and severity beside it: a map reads one index;
       grid: the cell of a coarse grid (store_pages.c) */ \
    "CREATE TABLE house_place (" \
    "  county INTEGER NOT NULL, household BLOB NOT NULL, area TEXT NOT NULL, latitude INTEGER NOT NULL," \
    "  longitude INTEGER NOT NULL, level TEXT NOT NULL, grid INTEGER NOT NULL," \
    "  PRIMARY KEY (county, household)) STRICT;" \
    "CREATE INDEX house_place_area ON house_place (county, area, longitude, latitude, level);" \
    "CREATE INDEX house_place_at ON house_place (county, longitude, latitude, level);" \
    "CREATE INDEX house_place_grid ON house_place (county, grid, level);" \
    "CREATE INDEX house_place_high ON house_place (county, latitude);" \
    /* an uploaded file between two steps of an import */ \
    "CREATE TABLE parked (" \
    "  county INTEGER NOT NULL, id TEXT NOT NULL, person INTEGER NOT NULL, at_ms INTEGER NOT NULL," \
    "  name TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (county, id)) STRICT;"
/* clang-format on */

#endif
