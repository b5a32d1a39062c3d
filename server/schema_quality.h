/* Migration 7: what checks over all data have flagged (quality.h).
 */
#ifndef DOORSTEP_SERVER_SCHEMA_QUALITY_H
#define DOORSTEP_SERVER_SCHEMA_QUALITY_H

/* clang-format off */
#define CSTORE_SCHEMA_QUALITY \
    /* flag: first half of SHA-256 of what it is about; state: enum quality_state; area "": of nobody */ \
    "CREATE TABLE quality_flag (" \
    "  county INTEGER NOT NULL, flag BLOB NOT NULL, n INTEGER NOT NULL, form_id TEXT NOT NULL," \
    "  pack TEXT NOT NULL, check_id TEXT NOT NULL, severity INTEGER NOT NULL, visit BLOB," \
    "  code TEXT NOT NULL, area TEXT NOT NULL, subject TEXT NOT NULL, value TEXT NOT NULL," \
    "  text_zh TEXT NOT NULL, text_en TEXT NOT NULL, state INTEGER NOT NULL, reason TEXT NOT NULL," \
    "  by_name TEXT NOT NULL, decided_ms INTEGER NOT NULL, first_ms INTEGER NOT NULL," \
    "  last_ms INTEGER NOT NULL, PRIMARY KEY (county, flag)) STRICT;" \
    "CREATE INDEX quality_flag_n ON quality_flag (county, n);" \
    "CREATE INDEX quality_flag_open ON quality_flag (county, state, severity, n);"
/* clang-format on */

#endif
