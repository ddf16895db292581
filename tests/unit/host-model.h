/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A kernel of a few lines: what override, unbind and bind do, and snapshots of it. */

#include "model/plan.h"
#include "model/status.h"

#include <glib.h>

enum { HOST_MAX = 128 };

typedef struct HostDevice {
        PciAddress address;
        uint16_t vendor, device;
        uint32_t class;
        int group;
        const char *native; /* the host driver that matches it, or NULL */
        char driver[32];    /* "" for none */
        char override[32];  /* "" for unset */
        unsigned total_vfs; /* of a PF */
        unsigned num_vfs;
        bool autoprobe, leaves_vfs; /* leaves_vfs: its driver does so when it is unbound */
        const char *vf_native;      /* the host driver of its VFs */
        bool is_vf;
        PciAddress pf;
        int vf_index;
        VfSettings settings;
        bool host_saw_it; /* some host driver was bound to this VF */
} HostDevice;

typedef struct Host {
        HostDevice devices[HOST_MAX];
        size_t n;
        bool iommu;
} Host;

HostDevice *host_add(Host *h, const char *address, const char *id, uint32_t class, int group,
                     const char *native);
/* Makes a PF of it. */
void host_add_sriov(HostDevice *d, unsigned total_vfs, const char *vf_native, bool leaves_vfs);
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

typedef struct World {
        Host host;
        Config *config;
        RequestTable requests;
        OriginTable origins;
        UseTable uses;
        Inventory *inv;
        Desired *desired;
        DriverChoice *choices;
        Plan *plan;
        StatusTable *status;
} World;

/* The group behind a PCIe-PCI bridge, a two-function NIC, an NVMe drive and the host bridge. */
void world_init(World *w);
void world_done(World *w);
void world_forget(World *w); /* what was computed */
void world_plan(World *w);

/* All units, as the daemon would carry them out when nothing goes wrong. */
void world_run(World *w);
void world_rule(World *w, MatchKey key, const char *pattern, TargetKind target);
DeviceStatus world_status(const World *w, const char *address);
const char *world_driver(World *w, const char *address);
