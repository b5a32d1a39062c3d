/* How this machine is: what its battery has left, and its card.
 */
#ifndef DOORSTEP_POSIX_STATE_H
#define DOORSTEP_POSIX_STATE_H

#include <stdint.h>

/* -1 = there is none, or nothing tells. */
int posix_battery_percent(void);
int64_t posix_free_mb(const char *folder);

#endif
