/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/monitor.h"
#include "basic/parse.h"

#include <libudev.h>
#include <limits.h>

/* As much as udevd itself asks for. Only counts what is queued; nothing is set aside. */
enum { RECEIVE_BUFFER_SIZE = 128 * 1024 * 1024 };

#define MONITOR_TAG "vfiod"

Monitor *monitor_free(Monitor *m)
{
        return udev_monitor_unref(m);
}

static int start(Monitor *m)
{
        int r = udev_monitor_filter_add_match_subsystem_devtype(m, "pci", NULL);

        if (r >= 0)
                r = udev_monitor_filter_add_match_subsystem_devtype(m, "vfio", NULL);
        if (r >= 0)
                r = udev_monitor_filter_add_match_tag(m, MONITOR_TAG);
        if (r < 0)
                return r;
        /* Without the right to a large buffer an overrun is only likelier: MONITOR_LOST. */
        (void)udev_monitor_set_receive_buffer_size(m, RECEIVE_BUFFER_SIZE);
        return udev_monitor_enable_receiving(m);
}

int monitor_new(Monitor **ret)
{
        _cleanup_(monitor_freep) Monitor *m = NULL;
        int r;

        errno = ENOMEM;
        m = udev_monitor_new_from_netlink(/* udev= */ NULL, "udev");
        if (!m)
                return -errno;
        r = start(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int monitor_fd(const Monitor *m)
{
        return udev_monitor_get_fd((Monitor *)m);
}

MonitorEvent monitor_classify(const char *subsystem, const char *name, PciAddress *ret_address,
                              int *ret_group)
{
        const char *number = startswith(name, "noiommu-") ?: name; /* as in no-IOMMU mode */
        unsigned group;

        if (streq(subsystem, "pci") && pci_address_parse(name, ret_address) >= 0)
                return MONITOR_DEVICE;
        if (!streq(subsystem, "vfio") || parse_unsigned(number, 10, INT_MAX, &group) < 0)
                return MONITOR_LOST;
        *ret_group = (int)group;
        return MONITOR_GROUP;
}

MonitorEvent monitor_receive(Monitor *m, PciAddress *ret_address, int *ret_group, bool *ret_added,
                             bool *ret_bound)
{
        struct udev_device *d;
        MonitorEvent event;
        const char *action;

        errno = 0;
        d = udev_monitor_receive_device(m);
        if (!d)
                return errno == 0 || errno == EAGAIN || errno == EINTR ? MONITOR_NOTHING
                                                                       : MONITOR_LOST;
        /* All that is asked here came with the message: nothing is read from sysfs. */
        action = strempty(udev_device_get_action(d));
        *ret_added = streq(action, "add") || streq(action, "remove");
        *ret_bound = streq(action, "bind");
        event = monitor_classify(strempty(udev_device_get_subsystem(d)),
                                 strempty(udev_device_get_sysname(d)), ret_address, ret_group);
        udev_device_unref(d);
        return event;
}
