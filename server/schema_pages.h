/* Migration 6: what the screens need beyond work.h. */
#ifndef DOORSTEP_SERVER_SCHEMA_PAGES_H
#define DOORSTEP_SERVER_SCHEMA_PAGES_H

/* clang-format off */
#define CSTORE_SCHEMA_PAGES \
    "CREATE INDEX house_line_level ON house_line (county, level, area, number);" \
    /* where households are, millionths of a degree; from their newest visit with a position */ \
    "CREATE TABLE house_place (" \
    "  county INTEGER NOT NULL, household BLOB NOT NULL, latitude INTEGER NOT NULL," \
    "  longitude INTEGER NOT NULL, PRIMARY KEY (county, household)) STRICT;" \
    "CREATE INDEX house_place_at ON house_place (county, longitude, latitude);" \
    /* an uploaded file between two steps of an import */ \
    "CREATE TABLE parked (" \
    "  county INTEGER NOT NULL, id TEXT NOT NULL, person INTEGER NOT NULL, at_ms INTEGER NOT NULL," \
    "  name TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (county, id)) STRICT;"
/* clang-format on */

#endif
