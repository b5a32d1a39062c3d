/* How a handheld is, in a few characters that ride along with a request (`r=`), and only when they changed:
 *
 *   battery free "." waiting ["." version]
 *
 * battery 0..3 (under 10, 30, 60 %, more) or '-'; free the whole part of the base-2 logarithm of the free
 * megabytes, one hexadecimal digit ('f' and above are one), or '-'; waiting the frames beyond one and the
 * files that have no receipt, decimal; version of letters, digits and -._, only when it is another one than
 * was told. So coarse, that a handheld in daily use says something about once a day.
 */
#ifndef DOORSTEP_SYNC_DEVICE_REPORT_H
#define DOORSTEP_SYNC_DEVICE_REPORT_H

#include "platform/base/buf.h"

#define DEVICE_REPORT_MAX 120 /* bytes */
#define DEVICE_VERSION_MAX 60

struct device_report {
    int battery;     /* 0..3, -1 = not known */
    int64_t free_mb; /* -1 = not known; read back: the least it can be */
    uint32_t waiting;
    struct str version; /* "" = as before */
};
/* From a battery's percentage; -1 stays -1. */
int device_battery_level(int percent);
void device_report_write(const struct device_report *r, struct buf *out);
/* False when it is none. */
bool device_report_read(struct str text, struct device_report *out);

#endif
