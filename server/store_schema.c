/* The schema of the centre's database, as migrations: each is applied once, whole. A migration that was
 * released is never edited; a change is a new one behind it. The key of every table begins with the county,
 * so that PostgreSQL's partitions need no other schema.
 */
#include "server/schema_pages.h"
#include "server/schema_people.h"
#include "server/schema_quality.h"
#include "server/schema_work.h"
#include "server/store_impl.h"

/* clang-format off */
const struct sql_migration cstore_migrations[] = {
    {1,
     "CREATE TABLE county ("
     "  county INTEGER PRIMARY KEY, name TEXT NOT NULL, epoch INTEGER NOT NULL,"
     "  server_seq INTEGER NOT NULL, row_number INTEGER NOT NULL, person INTEGER NOT NULL,"
     "  own_row INTEGER NOT NULL, hlc INTEGER NOT NULL, line TEXT NOT NULL) STRICT;"
     /* base: the last server sequence that this epoch has in common with the one before it */
     "CREATE TABLE epoch ("
     "  county INTEGER NOT NULL, epoch INTEGER NOT NULL, base INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
     "  why TEXT NOT NULL, PRIMARY KEY (county, epoch)) STRICT, WITHOUT ROWID;"
     "CREATE TABLE person ("
     "  county INTEGER NOT NULL, person INTEGER NOT NULL, role INTEGER NOT NULL, name TEXT NOT NULL,"
     "  area TEXT NOT NULL, added_ms INTEGER NOT NULL, PRIMARY KEY (county, person)) STRICT, WITHOUT ROWID;"
     "CREATE TABLE enrol ("
     "  county INTEGER NOT NULL, hash BLOB NOT NULL, person INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
     "  device INTEGER NOT NULL, PRIMARY KEY (county, hash)) STRICT, WITHOUT ROWID;"
     "CREATE TABLE device ("
     "  county INTEGER NOT NULL, device INTEGER NOT NULL, inc INTEGER NOT NULL, person INTEGER NOT NULL,"
     "  sign_public BLOB NOT NULL, seal_public BLOB NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL,"
     "  enrolled_ms INTEGER NOT NULL, contact_ms INTEGER NOT NULL, revoked_ms INTEGER NOT NULL,"
     "  contiguous INTEGER NOT NULL, revoked_why INTEGER NOT NULL, cursor INTEGER NOT NULL,"
     "  PRIMARY KEY (county, device, inc)) STRICT, WITHOUT ROWID;"
     /* copy: 0 = the ledger, 1.. = further frames under the same number. epoch: of the receipt. as_inc: the
        incarnation whose changes they became, 0 = the author's own. */
     "CREATE TABLE batch ("
     "  county INTEGER NOT NULL, device INTEGER NOT NULL, inc INTEGER NOT NULL, bseq INTEGER NOT NULL,"
     "  copy INTEGER NOT NULL, batch_id BLOB NOT NULL, hash BLOB NOT NULL, status INTEGER NOT NULL,"
     "  reason TEXT NOT NULL, cause INTEGER NOT NULL, server_seq INTEGER NOT NULL,"
     "  change_count INTEGER NOT NULL, received_ms INTEGER NOT NULL, again INTEGER NOT NULL DEFAULT 0,"
     "  epoch INTEGER NOT NULL, came_epoch INTEGER NOT NULL, as_inc INTEGER NOT NULL,"
     "  receipt BLOB NOT NULL, frame BLOB NOT NULL,"
     "  payload BLOB NOT NULL, PRIMARY KEY (county, device, inc, bseq, copy)) STRICT;"
     "CREATE INDEX batch_apart ON batch (county, received_ms) WHERE status = 3;"
     "CREATE INDEX batch_applied ON batch (county, server_seq) WHERE server_seq > 0;"
     "CREATE TABLE recut ("
     "  county INTEGER NOT NULL, device INTEGER NOT NULL, batch_id BLOB NOT NULL, as_inc INTEGER NOT NULL,"
     "  PRIMARY KEY (county, device, batch_id)) STRICT, WITHOUT ROWID;"
     /* what the centre itself changed, as payloads of its own: with the ledger it is the whole log */
     "CREATE TABLE own ("
     "  county INTEGER NOT NULL, seq INTEGER NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (county, seq))"
     "  STRICT, WITHOUT ROWID;"},
    {2,
     "CREATE TABLE record ("
     "  county INTEGER NOT NULL, row BLOB NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL,"
     "  parent BLOB, household BLOB, interview BLOB, area TEXT, code TEXT, last_seq INTEGER NOT NULL,"
     "  conflicts INTEGER NOT NULL, deleted_seq INTEGER NOT NULL,"
     "  packed BLOB NOT NULL, PRIMARY KEY (county, row)) STRICT;"
     "CREATE INDEX record_conflict ON record (county, number) WHERE conflicts > 0;"
     "CREATE INDEX record_tombstone ON record (county, deleted_seq) WHERE deleted_seq > 0;"
     "CREATE UNIQUE INDEX record_number ON record (county, number);"
     "CREATE INDEX record_kind ON record (county, kind, number);"
     "CREATE INDEX record_code ON record (county, kind, code, number) WHERE code IS NOT NULL;"
     "CREATE INDEX record_parent ON record (county, parent, number) WHERE parent IS NOT NULL;"
     "CREATE INDEX record_household ON record (county, household, number) WHERE household IS NOT NULL;"
     "CREATE INDEX record_interview ON record (county, interview, number) WHERE interview IS NOT NULL;"
     "CREATE TABLE touch ("
     "  county INTEGER NOT NULL, seq INTEGER NOT NULL, row BLOB NOT NULL, from_seq INTEGER NOT NULL,"
     "  author INTEGER NOT NULL, scope TEXT NOT NULL, PRIMARY KEY (county, seq, row)) STRICT, WITHOUT ROWID;"
     "CREATE INDEX touch_row ON touch (county, row, seq);"
     "CREATE INDEX touch_scope ON touch (county, scope, seq, row, from_seq);"
     "CREATE INDEX touch_author ON touch (county, author, seq, row, from_seq) WHERE author <> 0;"
     "CREATE TABLE object ("
     "  county INTEGER NOT NULL, hash BLOB NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL,"
     "  added_ms INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (county, hash)) STRICT;"
     "CREATE TABLE form ("
     "  county INTEGER NOT NULL, hash BLOB NOT NULL, id TEXT NOT NULL, version TEXT NOT NULL,"
     "  title TEXT NOT NULL, fieldmap TEXT NOT NULL, published_ms INTEGER NOT NULL, n INTEGER NOT NULL,"
     "  PRIMARY KEY (county, hash)) STRICT, WITHOUT ROWID;"
     "CREATE UNIQUE INDEX form_n ON form (county, id, n);"
     "CREATE TABLE field ("
     "  county INTEGER NOT NULL, form_id TEXT NOT NULL, is_repeat INTEGER NOT NULL, path TEXT NOT NULL,"
     "  type INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (county, form_id, is_repeat, path, type))"
     "  STRICT, WITHOUT ROWID;"
     "CREATE UNIQUE INDEX field_number ON field (county, form_id, is_repeat, number);"
     "CREATE TABLE submission ("
     "  county INTEGER NOT NULL, visit BLOB NOT NULL, form BLOB NOT NULL,"
     "  form_id TEXT NOT NULL, instance_id TEXT NOT NULL, xml_matches INTEGER NOT NULL,"
     "  statuses TEXT NOT NULL,"
     "  device INTEGER NOT NULL, inc INTEGER NOT NULL, person INTEGER NOT NULL, final_seq INTEGER NOT NULL,"
     "  seen INTEGER NOT NULL, capped INTEGER NOT NULL, received_ms INTEGER NOT NULL, xml BLOB NOT NULL,"
     "  PRIMARY KEY (county, visit)) STRICT;"
     "CREATE INDEX submission_form ON submission (county, form_id, received_ms, visit);"
     "CREATE INDEX submission_open ON submission (county, visit) WHERE xml_matches = 0;"
     /* findings judged again: verdict 1 the same, 2 differ, 3 cannot be compared, 4 still on their way */
     "CREATE TABLE judged ("
     "  county INTEGER NOT NULL, visit BLOB NOT NULL, verdict INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
     "  why TEXT NOT NULL, said TEXT NOT NULL, found TEXT NOT NULL, PRIMARY KEY (county, visit))"
     "  STRICT, WITHOUT ROWID;"},
    {3,
     "CREATE INDEX batch_by_id ON batch (county, batch_id);"
     "CREATE TABLE upload ("
     "  county INTEGER NOT NULL, device INTEGER NOT NULL, inc INTEGER NOT NULL, id BLOB NOT NULL,"
     "  total INTEGER NOT NULL, have INTEGER NOT NULL, touched_ms INTEGER NOT NULL,"
     "  PRIMARY KEY (county, device, inc, id)) STRICT, WITHOUT ROWID;"
     "CREATE INDEX upload_touched ON upload (county, touched_ms, id);"
     "CREATE TABLE upload_piece ("
     "  county INTEGER NOT NULL, device INTEGER NOT NULL, inc INTEGER NOT NULL, id BLOB NOT NULL,"
     "  at INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (county, device, inc, id, at)) STRICT;"
     "CREATE TABLE attachment ("
     "  county INTEGER NOT NULL, hash BLOB NOT NULL, size INTEGER NOT NULL, added_ms INTEGER NOT NULL,"
     "  PRIMARY KEY (county, hash)) STRICT, WITHOUT ROWID;"
     /* device 0: the file is whole; else who is sending it */
     "CREATE TABLE attachment_piece ("
     "  county INTEGER NOT NULL, hash BLOB NOT NULL, device INTEGER NOT NULL, inc INTEGER NOT NULL,"
     "  at INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (county, hash, device, inc, at)) STRICT;"
     "CREATE INDEX attachment_begun ON attachment_piece (county, device, hash) WHERE device <> 0;"
     "CREATE TABLE attachment_link ("
     "  county INTEGER NOT NULL, visit BLOB NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL,"
     "  size INTEGER NOT NULL, added_ms INTEGER NOT NULL, PRIMARY KEY (county, visit, name))"
     "  STRICT, WITHOUT ROWID;"
     "CREATE INDEX attachment_link_hash ON attachment_link (county, hash);"
     /* ids of the object frames that were taken */
     "CREATE TABLE part ("
     "  county INTEGER NOT NULL, id BLOB NOT NULL, device INTEGER NOT NULL, inc INTEGER NOT NULL,"
     "  received_ms INTEGER NOT NULL, PRIMARY KEY (county, id)) STRICT, WITHOUT ROWID;"
     /* bytes NULL: not worth it */
     "CREATE TABLE patch ("
     "  county INTEGER NOT NULL, from_hash BLOB NOT NULL, to_hash BLOB NOT NULL, bytes BLOB,"
     "  PRIMARY KEY (county, from_hash, to_hash)) STRICT;"},
    {4, CSTORE_SCHEMA_PEOPLE},
    {5, CSTORE_SCHEMA_WORK},
    {6, CSTORE_SCHEMA_PAGES},
    {7, CSTORE_SCHEMA_QUALITY},
    /* seq: the newest place in the centre's order that a handheld may have been told of */
    {8, "CREATE TABLE told (county INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT;"
     /* inc goes on where from_inc was: what that one changed up to upto is its own */
     "CREATE TABLE heir ("
     "  county INTEGER NOT NULL, device INTEGER NOT NULL, inc INTEGER NOT NULL, from_inc INTEGER NOT NULL,"
     "  upto INTEGER NOT NULL, PRIMARY KEY (county, device, inc, from_inc)) STRICT, WITHOUT ROWID;"
     /* finished visits that copies of a handheld hold, and the incarnation under which each of them counts */
     "CREATE TABLE claim ("
     "  county INTEGER NOT NULL, device INTEGER NOT NULL, counter INTEGER NOT NULL, seq INTEGER NOT NULL,"
     "  proof INTEGER NOT NULL, inc INTEGER NOT NULL, PRIMARY KEY (county, device, counter, seq, proof))"
     "  STRICT, WITHOUT ROWID;"},
};
/* clang-format on */

const uint32_t cstore_migration_count = sizeof cstore_migrations / sizeof cstore_migrations[0];
