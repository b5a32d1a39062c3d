/* Migration 5: what people at the centre work from (work.h). Everything but leases, drafts, mappings and
 * tombstones follows from the records and can be made anew.
 */
#ifndef DOORSTEP_SERVER_SCHEMA_WORK_H
#define DOORSTEP_SERVER_SCHEMA_WORK_H

/* clang-format off */
#define CSTORE_SCHEMA_WORK \
    /* days since 1970, 0 = none; tallies: what this line adds to tally, "what day n" a line */ \
    "CREATE TABLE house_line (" \
    "  county INTEGER NOT NULL, household BLOB NOT NULL, number INTEGER NOT NULL, area TEXT NOT NULL," \
    "  code TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, into_code TEXT NOT NULL," \
    "  level TEXT NOT NULL, person INTEGER NOT NULL, visited INTEGER NOT NULL, due INTEGER NOT NULL," \
    "  clock INTEGER NOT NULL, clock_code TEXT NOT NULL, next INTEGER NOT NULL, leads INTEGER NOT NULL," \
    "  conflicts INTEGER NOT NULL, tallies TEXT NOT NULL, PRIMARY KEY (county, household)) STRICT;" \
    "CREATE INDEX house_line_area ON house_line (county, area, number);" \
    "CREATE INDEX house_line_code ON house_line (county, code, number, area);" \
    "CREATE INDEX house_line_name ON house_line (county, name, number, area);" \
    "CREATE INDEX house_line_next ON house_line (county, next, number, area) WHERE next > 0;" \
    "CREATE INDEX house_line_conflict ON house_line (county, area, number) WHERE conflicts > 0;" \
    /* waits: enum visit_waits; state: enum review_state */ \
    "CREATE TABLE visit_line (" \
    "  county INTEGER NOT NULL, visit BLOB NOT NULL, number INTEGER NOT NULL, root BLOB NOT NULL," \
    "  household BLOB, interview BLOB NOT NULL, area TEXT NOT NULL, code TEXT NOT NULL," \
    "  name TEXT NOT NULL," \
    "  form_id TEXT NOT NULL, level TEXT NOT NULL, person INTEGER NOT NULL, device INTEGER NOT NULL," \
    "  day INTEGER NOT NULL, round INTEGER NOT NULL, waits INTEGER NOT NULL, state INTEGER NOT NULL," \
    "  flags INTEGER NOT NULL, verdict INTEGER NOT NULL, why TEXT NOT NULL, PRIMARY KEY (county," \
    "  visit)) STRICT;" \
    "CREATE INDEX visit_line_root ON visit_line (county, root, number);" \
    "CREATE INDEX visit_line_waits ON visit_line (county, waits, area, number);" \
    "CREATE INDEX visit_line_differs ON visit_line (county, area, number) WHERE verdict = 2;" \
    "CREATE INDEX visit_line_quality ON visit_line (county, area," \
    "  number) WHERE flags >= 8 OR verdict = 3;" \
    "CREATE TABLE lead_line (" \
    "  county INTEGER NOT NULL, lead BLOB NOT NULL, number INTEGER NOT NULL, household BLOB NOT NULL," \
    "  area TEXT NOT NULL, code TEXT NOT NULL, name TEXT NOT NULL, channel TEXT NOT NULL," \
    "  source TEXT NOT NULL," \
    "  state TEXT NOT NULL, opened INTEGER NOT NULL, next INTEGER NOT NULL, clock_code TEXT NOT NULL," \
    "  PRIMARY KEY (county, lead)) STRICT;" \
    "CREATE INDEX lead_line_household ON lead_line (county, household);" \
    "CREATE INDEX lead_line_next ON lead_line (county, next, number, area);" \
    "CREATE TABLE tally (" \
    "  county INTEGER NOT NULL, area TEXT NOT NULL, what TEXT NOT NULL, day INTEGER NOT NULL," \
    "  n INTEGER NOT NULL," \
    "  PRIMARY KEY (county, area, what, day)) STRICT;" \
    "CREATE INDEX tally_what ON tally (county, what, area, day, n);" \
    /* which part of the log is about a household: sequences of frames and of the centre's own changes */ \
    "CREATE TABLE trace (" \
    "  county INTEGER NOT NULL, root BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (county," \
    "  root, seq)) STRICT;" \
    "CREATE TABLE report (" \
    "  county INTEGER NOT NULL, n INTEGER NOT NULL, at_ms INTEGER NOT NULL, settled INTEGER NOT NULL," \
    "  code TEXT NOT NULL, name TEXT NOT NULL, place TEXT NOT NULL, phone TEXT NOT NULL," \
    "  body TEXT NOT NULL," \
    "  sender TEXT NOT NULL, PRIMARY KEY (county, n)) STRICT;" \
    "CREATE INDEX report_sender ON report (county, sender, at_ms);" \
    "CREATE INDEX report_waits ON report (county, n) WHERE settled = 0;" \
    "CREATE TABLE lease (" \
    "  county INTEGER NOT NULL, what TEXT NOT NULL, person INTEGER NOT NULL, name TEXT NOT NULL," \
    "  until_ms INTEGER NOT NULL, PRIMARY KEY (county, what)) STRICT;" \
    /* how the columns of a register are called, by name of the mapping */ \
    "CREATE TABLE mapping (" \
    "  county INTEGER NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, at_ms INTEGER NOT NULL," \
    "  PRIMARY KEY (county, name)) STRICT;" \
    "CREATE TABLE draft (" \
    "  county INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, version TEXT NOT NULL," \
    "  title TEXT NOT NULL," \
    "  hash BLOB NOT NULL, media TEXT NOT NULL, at_ms INTEGER NOT NULL, by_name TEXT NOT NULL," \
    "  PRIMARY KEY (county, kind, id)) STRICT;" \
    /* rows of which nothing is kept any more, and the household that they were below */ \
    "CREATE TABLE gone (" \
    "  county INTEGER NOT NULL, row BLOB NOT NULL, root BLOB NOT NULL, PRIMARY KEY (county, row)) STRICT;" \
    "CREATE TABLE erased (" \
    "  county INTEGER NOT NULL, root BLOB NOT NULL, at_ms INTEGER NOT NULL, by_name TEXT NOT NULL," \
    "  why TEXT NOT NULL, PRIMARY KEY (county, root)) STRICT;"
/* clang-format on */

#endif
