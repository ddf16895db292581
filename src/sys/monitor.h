/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* udev's events, each of which only says: look again. */

#include "model/address.h"

typedef struct udev_monitor Monitor;

/* Listens to devices that carry the udev tag "vfiod" (subsystems pci and vfio). */
_must_check_ int monitor_new(Monitor **ret);
Monitor *monitor_free(Monitor *m);
DEFINE_CLEANUP_FUNC(Monitor *, monitor_free);

/* For the event loop; becomes readable. */
int monitor_fd(const Monitor *m);

typedef enum MonitorEvent {
        MONITOR_NOTHING, /* the queue is empty */
        MONITOR_DEVICE,  /* look at this device again */
        MONITOR_GROUP,   /* the VFIO node of this IOMMU group came, went or changed */
        MONITOR_LOST,    /* events were lost, or cannot be told: look at everything again */
} MonitorEvent;

/*
 * Takes one event without blocking. `ret_added`: the kernel device is a new one (add, remove).
 * `ret_bound`: a driver has taken it.
 */
MonitorEvent monitor_receive(Monitor *m, PciAddress *ret_address, int *ret_group, bool *ret_added,
                             bool *ret_bound);

/* The pure half: what an event on the device `name` of a subsystem is about. Never NOTHING. */
MonitorEvent monitor_classify(const char *subsystem, const char *name, PciAddress *ret_address,
                              int *ret_group);
