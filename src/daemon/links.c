/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What `ip link` changes of a VF gives no event of udev, but a message of rtnetlink about the
 * interface of its PF. All that is taken from it is which interface that is.
 */

#include "basic/log.h"
#include "daemon/manager-internal.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

enum {
        LINK_BATCH = 64,             /* messages in one turn of the event loop */
        LINK_MESSAGE_MAX = 16 * 1024 /* what is longer is cut, and only its beginning counts */
};

static void take_message(Manager *m, const struct nlmsghdr *h, size_t size)
{
        const struct ifinfomsg *link = NLMSG_DATA(h);

        if (size >= NLMSG_LENGTH(sizeof(*link)) && h->nlmsg_type == RTM_NEWLINK &&
            link->ifi_index > 0)
                manager_doubt_link(m, (uint32_t)link->ifi_index);
}

static int on_links(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        union {
                struct nlmsghdr header;
                char bytes[LINK_MESSAGE_MAX];
        } buffer;

        for (int i = 0; i < LINK_BATCH; i++) {
                ssize_t n = recv(fd, &buffer, sizeof(buffer), MSG_DONTWAIT);

                if (n >= (ssize_t)sizeof(buffer.header))
                        take_message(userdata, &buffer.header, (size_t)n);
                else if (n < 0 && errno == ENOBUFS) /* messages were lost */
                        manager_doubt_link(userdata, 0);
                else if (n < 0 && errno != EINTR)
                        return 0;
        }
        return 0;
}

static int open_links(Manager *m)
{
        const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
        _cleanup_close_ int fd =
                socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
        int r;

        if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        r = sd_event_add_io(m->event, &m->links, fd, EPOLLIN, on_links, m);
        if (r < 0)
                return r;
        r = sd_event_source_set_io_fd_own(m->links, true);
        if (r < 0)
                return r;
        TAKE_FD(fd);
        return sd_event_source_set_priority(m->links, MANAGER_PRIORITY);
}

void manager_watch_links(Manager *m, bool wanted)
{
        int r = 0;

        if (!wanted)
                m->links = sd_event_source_disable_unref(m->links);
        else if (!m->links)
                r = open_links(m);
        if (r < 0)
                log_warning_errno(r, "Failed to listen to network interfaces, ignoring: %m");
}
