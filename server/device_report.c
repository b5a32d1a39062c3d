/* The store: how handhelds are. Always true: it is what they said, not what is known of them; nothing depends
 * on it. */
#include "server/device_report.h"

#include "server/store_impl.h"

enum err cstore_device_report_put(struct cstore *s, const struct device_report_row *row, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc =
        statement(s,
                  "INSERT INTO device_report (county, device, at_ms, battery, free_mb, waiting, version)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (county, device) DO UPDATE"
                  " SET at_ms = excluded.at_ms, battery = excluded.battery, free_mb = excluded.free_mb,"
                  " waiting = excluded.waiting, version = CASE WHEN excluded.version = ''"
                  " THEN device_report.version ELSE excluded.version END",
                  &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, row->device);
    bind_i64(q, 3, row->at_ms);
    bind_i64(q, 4, row->report.battery);
    bind_i64(q, 5, row->report.free_mb);
    bind_i64(q, 6, row->report.waiting);
    bind_text(q, 7, none_as_empty(row->report.version));
    return stmt_run(q, d);
}

enum err cstore_device_report(struct cstore *s, struct arena *a, uint64_t device,
                              struct device_report_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    struct device_report_row r = {.device = device};
    enum err rc = statement(s,
                            "SELECT at_ms, battery, free_mb, waiting, version FROM device_report"
                            " WHERE county = ?1 AND device = ?2",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_NOT_FOUND, "This handheld has said nothing about itself.");
    if (!rc) {
        r.at_ms = col_i64(q, 0);
        r.report.battery = (int)col_i64(q, 1);
        r.report.free_mb = col_i64(q, 2);
        r.report.waiting = (uint32_t)col_i64(q, 3);
        rc = keep(a, col_text(q, 4), &r.report.version) ? no_memory(d) : ERR_OK;
    }
    stmt_done(q);
    if (!rc)
        *out = r;
    return rc;
}
