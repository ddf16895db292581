/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A kernel of a few lines: what override, unbind and bind do, and snapshots of it. */

#include "model/plan.h"

#include <glib.h>

enum { HOST_MAX = 64 };

typedef struct HostDevice {
        PciAddress address;
        uint16_t vendor, device;
        uint32_t class;
        int group;
        const char *native; /* the host driver that matches it, or NULL */
        char driver[32];    /* "" for none */
        char override[32];  /* "" for unset */
} HostDevice;

typedef struct Host {
        HostDevice devices[HOST_MAX];
        size_t n;
        bool iommu;
} Host;

HostDevice *host_add(Host *h, const char *address, const char *id, uint32_t class, int group,
                     const char *native);
HostDevice *host_find(Host *h, const PciAddress *a);

/* What the kernel would answer: 0 or a negative errno. */
int host_step(Host *h, const Step *s);

/* Drivers and overrides alike. */
bool host_equal(const Host *a, const Host *b);

Inventory *host_inventory(const Host *h);

/* vfio-pci for everyone, host drivers as named. */
DriverChoice *host_choices(const Inventory *inv, const Desired *desired,
                           const OriginTable *origins);

/* What the daemon writes down before a unit begins. */
void host_record(const Host *h, const Unit *u, OriginTable *origins);

Rule *make_rule(const char *name, MatchKey key, const char *pattern, TargetKind target);
