/* Whether there is a network, and being told when that changes: rtnetlink on Linux. Where a system does not
 * let us listen (Android, other kernels) net_watch_open says ERR_NOT_FOUND, and the caller tries now and
 * then.
 */
#ifndef DOORSTEP_POSIX_NETLINK_H
#define DOORSTEP_POSIX_NETLINK_H

#include "platform/base/err.h"

/* A descriptor that becomes readable when links, addresses or routes change. */
enum err net_watch_open(int *fd_out, struct diag *d) MUST_USE;
/* Reads what was told; true when there was anything. */
bool net_watch_drain(int fd);
/* An interface that runs, is not the loopback, and has an address that leads beyond its own cable. */
bool net_is_up(void);

#endif
