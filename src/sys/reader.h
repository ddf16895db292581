/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One look at PCI functions: what is read per device, and what is read once for all of them. */

#include "model/device.h"
#include "sys/sysroot.h"

typedef struct SlotEntry {
        PciAddress address; /* function 0; device 0 if any_device */
        bool any_device;    /* the slot is a whole bus */
        char *name;
} SlotEntry;

/* Whether a driver is a VFIO one; asked once per driver and look. */
typedef struct DriverEntry {
        char *name;
        bool is_vfio;
} DriverEntry;

/* A virtfnN link of a PF: only there the index of a VF is told. */
typedef struct VfLink {
        PciAddress vf, pf;
        int index;
} VfLink;

typedef struct Reader {
        const Sysroot *root;
        int devices; /* SYSFS_PCI_DEVICES */
        SlotEntry *slots;
        size_t n_slots;
        DriverEntry *drivers;
        size_t n_drivers;
        VfLink *links;
        size_t n_links, n_links_allocated;
} Reader;

#define READER_NULL ((Reader){ .devices = -EBADF })

_must_check_ int reader_open(const Sysroot *root, Reader *ret);
void reader_done(Reader *reader);

/* -ENODEV: it is not there, or vanished while it was read. vf_index is filled in later. */
_must_check_ int reader_read(Reader *reader, const PciAddress *address, Device **ret);

/* Gives the VFs among `devices` their index, from the PFs that were read before. */
void reader_number_vfs(Reader *reader, Device **devices, size_t n);
