/* The log: an event is a number, its fields are integers, ids and error codes. There is no way to put
 * an answer, a name or a key into a log line, because there is no text field for one.
 */
#ifndef DOORSTEP_BASE_LOG_H
#define DOORSTEP_BASE_LOG_H

#include <stdint.h>

#include "platform/base/err.h"

enum log_event {
    LOG_START,
    LOG_STOP,
    LOG_DB_OPENED,
    LOG_DB_MIGRATED,
    LOG_ENROLLED,
    LOG_FRAME_FROZEN,
    LOG_FRAME_SENT,
    LOG_FRAME_ACKED,
    LOG_FRAME_STORED,
    LOG_FRAME_DUPLICATE,
    LOG_FRAME_QUARANTINED,
    LOG_SYNC_DONE,
    LOG_SYNC_FAILED,
    LOG_REQUEST,
    LOG_DEVICE_REVOKED,
    LOG_PUBLISHED,
    LOG_EVENT_COUNT
};

const char *log_event_name(enum log_event e); /* "frame-stored" */

#endif
