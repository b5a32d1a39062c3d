/* See posix_state.h. Linux tells of batteries under /sys; elsewhere nothing is told. */
#include "platform/posix/posix_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "platform/base/str.h"

#define POWER "/sys/class/power_supply"

static int number_in(const char *supply, const char *name)
{
    char path[400], text[16] = {0};
    int n = snprintf(path, sizeof path, POWER "/%s/%s", supply, name);
    int fd = n > 0 && (size_t)n < sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    struct str digits = str_trim((struct str){text, got > 0 ? (size_t)got : 0});
    uint64_t v = 0;
    return str_to_u64(digits, &v) && v <= 1000 ? (int)v : -1;
}

int posix_battery_percent(void)
{
    int least = -1;
    DIR *folder = opendir(POWER);
    if (!folder)
        return -1;
    for (struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        int percent = e->d_name[0] == '.' ? -1 : number_in(e->d_name, "capacity");
        if (percent >= 0 && percent <= 100 && (least < 0 || percent < least))
            least = percent;
    }
    closedir(folder);
    return least;
}

int64_t posix_free_mb(const char *folder)
{
    struct statvfs now;
    if (statvfs(folder, &now) != 0)
        return -1;
    return (int64_t)((uint64_t)now.f_bavail * now.f_frsize >> 20);
}
