/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names of sysfs, here and nowhere else. Paths are relative to /sys (Sysroot.sys). */

#include "model/address.h"

#define SYSFS_PCI_DEVICES "bus/pci/devices"
#define SYSFS_PCI_DRIVERS "bus/pci/drivers"
#define SYSFS_PCI_SLOTS "bus/pci/slots"
#define SYSFS_PCI_PROBE "bus/pci/drivers_probe"
#define SYSFS_BLOCK_CLASS "class/block"
#define SYSFS_NET_CLASS "class/net"
#define SYSFS_GRAPHICS_CLASS "class/graphics"
#define SYSFS_VTCONSOLE_CLASS "class/vtconsole"
#define SYSFS_BTRFS "fs/btrfs"
#define SYSFS_IOMMU_CLASS "class/iommu"
#define SYSFS_ACPI "firmware/acpi"
#define SYSFS_MODULES "module"

enum { SYSFS_PATH_SIZE = 512 }; /* a folder and an attribute of ours, and a file name between */

/* "folder/name/attribute". The name comes from a directory or was checked. Returns buffer. */
const char *sysfs_path(const char *folder, const char *name, const char *attribute,
                       char buffer[static SYSFS_PATH_SIZE]);

/* Valid until the end of the enclosing block. */
#define SYSFS_PATH(folder, name, attribute) \
        sysfs_path(folder, name, attribute, (char[SYSFS_PATH_SIZE]){ 0 })
#define SYSFS_DEVICE_PATH(address, attribute) \
        SYSFS_PATH(SYSFS_PCI_DEVICES, PCI_ADDRESS_STR(address), attribute)

/*
 * Whether this can be a driver or an override of the kernel's: it ends up in a path. Unlike names
 * in our files it may have spaces, as "budget dvb" does (kernel: drivers/media/pci/ttpci).
 */
bool sysfs_name_is_valid(const char *s);

/* "0x8086", "7", or fallback where the attribute is absent or says something else. */
uint64_t sysfs_read_number(int dirfd, const char *path, uint64_t max, uint64_t fallback);

/*
 * The directory of a function's network interfaces in this namespace. It is there and empty when
 * they were moved to another one. Those of a virtio card are below its virtio device.
 */
_must_check_ int sysfs_open_net(int device, const char *driver);
