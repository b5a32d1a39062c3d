/* Migration 4: who signs in at the centre (accounts.h), and the log of what was done there (audit.h). */
#ifndef DOORSTEP_SERVER_SCHEMA_PEOPLE_H
#define DOORSTEP_SERVER_SCHEMA_PEOPLE_H

/* clang-format off */
#define CSTORE_SCHEMA_PEOPLE \
    "CREATE TABLE account (" \
    "  county INTEGER NOT NULL, person INTEGER NOT NULL, login TEXT," \
    "  salt BLOB NOT NULL, hash BLOB NOT NULL," \
    "  rounds INTEGER NOT NULL, totp BLOB, totp_step INTEGER NOT NULL, changed_ms INTEGER NOT NULL," \
    "  signed_in_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL, PRIMARY KEY (county, person)) STRICT;" \
    "CREATE UNIQUE INDEX account_login ON account (county, login) WHERE login IS NOT NULL;" \
    "CREATE TABLE session (" \
    "  county INTEGER NOT NULL, hash BLOB NOT NULL, person INTEGER NOT NULL, made_ms INTEGER NOT NULL," \
    "  used_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, csrf BLOB NOT NULL," \
    "  PRIMARY KEY (county, hash)) STRICT;" \
    "CREATE INDEX session_person ON session (county, person);" \
    /* name_hash: of a sign-in name or an address, under the county's secret */ \
    /* as handhelds last said: battery 0..3 (under 10, 30, 60 %, more), -1 = not said; what waits */ \
    "CREATE TABLE device_report (" \
    "  county INTEGER NOT NULL, device INTEGER NOT NULL, at_ms INTEGER NOT NULL, battery INTEGER NOT NULL," \
    "  free_mb INTEGER NOT NULL, waiting INTEGER NOT NULL, version TEXT NOT NULL," \
    "  PRIMARY KEY (county, device)) STRICT;" \
    "CREATE TABLE login_try (" \
    "  county INTEGER NOT NULL, name_hash BLOB NOT NULL, failed INTEGER NOT NULL, at_ms INTEGER NOT NULL," \
    "  until_ms INTEGER NOT NULL, PRIMARY KEY (county, name_hash)) STRICT;" \
    "CREATE INDEX login_try_at ON login_try (county, at_ms);" \
    "CREATE TABLE audit (" \
    "  county INTEGER NOT NULL, n INTEGER NOT NULL, at_ms INTEGER NOT NULL, person INTEGER NOT NULL," \
    "  who TEXT NOT NULL, what TEXT NOT NULL, household TEXT NOT NULL, about TEXT NOT NULL," \
    "  hash BLOB NOT NULL, PRIMARY KEY (county, n)) STRICT;" \
    "CREATE INDEX audit_what ON audit (county, what, n);" \
    "CREATE INDEX audit_household ON audit (county, household, n) WHERE household <> '';"
/* clang-format on */

#endif
