/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A snapshot of the host: all PCI functions and the facts that concern all of them. */

#include "model/device.h"

typedef struct Group {
        int number;
        Device **members;        /* into Inventory.by_group, sorted by address */
        const uint32_t *indices; /* the same as indices into Inventory.devices */
        size_t n_members;
} Group;

typedef struct Inventory {
        Device **devices; /* sorted by address; each holds a reference */
        size_t n_devices;
        Device **by_group; /* the same devices that have a group, by group and address */
        uint32_t *group_indices;
        Group *groups; /* sorted by number */
        size_t n_groups;
        Group **group_of; /* parallel to devices; NULL: it has none */
        uint32_t *vfs;    /* indices of VFs, by the addresses of PF and VF */
        size_t n_vfs;
        bool iommu;     /* an IOMMU is in use: /sys/class/iommu is not empty */
        char **drivers; /* names of the registered PCI drivers, sorted */
} Inventory;

/* For qsort() of arrays of pointers to devices: by address. */
int device_compare(const void *a, const void *b);

/*
 * Takes the references in `devices` (in any order; the array itself stays the caller's) and
 * indexes them. `drivers` is taken over. On failure nothing is taken.
 */
_must_check_ int inventory_new(Device **devices, size_t n, bool iommu, char **drivers,
                               Inventory **ret);
Inventory *inventory_free(Inventory *inv);
DEFINE_CLEANUP_FUNC(Inventory *, inventory_free);

/* NULL if there is none. */
Device *inventory_find(const Inventory *inv, const PciAddress *address);
const Group *inventory_group(const Inventory *inv, int number);

/* Index into devices, or -1. */
ssize_t inventory_index(const Inventory *inv, const PciAddress *address);

/* Indices into devices of the VFs of a PF, by address. */
const uint32_t *inventory_vfs(const Inventory *inv, const PciAddress *pf, size_t *ret_n);

/* Whether a PCI driver of that name is registered. */
bool inventory_has_driver(const Inventory *inv, const char *name);
