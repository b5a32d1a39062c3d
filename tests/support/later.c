/* A library to preload: the clocks of a process are LATER_S seconds ahead, and LATER_EACH_S seconds more
 * after each of the first LATER_TIMES times (0 = always) that it synced a file, as if a person had thought
 * about the next question. For measuring what days of visits cost, in the minutes that a test has.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *t);
int fdatasync(int fd);

#define SHOWN __attribute__((visibility("default")))

static atomic_uint synced;

static int64_t setting(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : 0;
}

SHOWN int fdatasync(int fd)
{
    int64_t times = setting("LATER_TIMES");
    if (times == 0 || atomic_load(&synced) < times)
        atomic_fetch_add(&synced, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

SHOWN int clock_gettime(clockid_t clock, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, t);
    if (!rc)
        t->tv_sec += (time_t)(setting("LATER_S") + setting("LATER_EACH_S") * atomic_load(&synced));
    return rc;
}
