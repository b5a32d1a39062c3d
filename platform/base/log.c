/* Names of log events: the only text a log line ever carries. */
#include "platform/base/log.h"

static const char *const names[LOG_EVENT_COUNT] = {
    [LOG_START] = "start",
    [LOG_STOP] = "stop",
    [LOG_DB_OPENED] = "db-opened",
    [LOG_DB_MIGRATED] = "db-migrated",
    [LOG_ENROLLED] = "enrolled",
    [LOG_FRAME_FROZEN] = "frame-frozen",
    [LOG_FRAME_SENT] = "frame-sent",
    [LOG_FRAME_ACKED] = "frame-acked",
    [LOG_FRAME_STORED] = "frame-stored",
    [LOG_FRAME_DUPLICATE] = "frame-duplicate",
    [LOG_FRAME_QUARANTINED] = "frame-quarantined",
    [LOG_SYNC_DONE] = "sync-done",
    [LOG_SYNC_FAILED] = "sync-failed",
    [LOG_REQUEST] = "request",
    [LOG_DEVICE_REVOKED] = "device-revoked",
    [LOG_PUBLISHED] = "published",
};

const char *log_event_name(enum log_event e)
{
    return (unsigned)e < LOG_EVENT_COUNT && names[e] ? names[e] : "unknown";
}
