/* See posix_netlink.h. The messages themselves are not read: that there were some is reason enough to look,
 * and a queue that overflowed says the same. */
#include "platform/posix/posix_netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum err net_watch_open(int *fd_out, struct diag *d)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                               RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        *fd_out = fd;
        return ERR_OK;
    }
    enum err rc = diag_set(d, ERR_NOT_FOUND, "This system does not tell about its network: %s.",
                           strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

bool net_watch_drain(int fd)
{
    char bytes[8192];
    bool any = false;
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 && !(n < 0 && errno == ENOBUFS))
            return any;
        any = true;
    }
}

static bool leads_beyond(const struct sockaddr *address)
{
    if (!address)
        return false;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return (ntohl(v4.sin_addr.s_addr) >> 16) != 0xA9FE; /* 169.254: nobody gave an address */
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        return !IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr);
    }
    return false;
}

bool net_is_up(void)
{
    struct ifaddrs *list = NULL;
    bool up = false;
    if (getifaddrs(&list) != 0)
        return true; /* not known: a try costs little */
    for (const struct ifaddrs *i = list; i && !up; i = i->ifa_next)
        up = (i->ifa_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING) &&
             !(i->ifa_flags & IFF_LOOPBACK) && leads_beyond(i->ifa_addr);
    freeifaddrs(list);
    return up;
}
