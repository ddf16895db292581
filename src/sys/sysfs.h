/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names of sysfs, here and nowhere else. Paths are relative to /sys (Sysroot.sys). */

#include "model/address.h"

#define SYSFS_PCI_DEVICES "bus/pci/devices"
#define SYSFS_PCI_DRIVERS "bus/pci/drivers"
#define SYSFS_PCI_SLOTS "bus/pci/slots"
#define SYSFS_PCI_PROBE "bus/pci/drivers_probe"
#define SYSFS_IOMMU_CLASS "class/iommu"
#define SYSFS_IOMMU_GROUPS "kernel/iommu_groups"
#define SYSFS_MODULES "module"

enum { SYSFS_PATH_SIZE = 256 };

/* Each writes a path into `buffer`; -ENAMETOOLONG or -EINVAL if the name can be no sysfs name. */
_must_check_ int sysfs_device_path(const PciAddress *a, const char *attribute,
                                   char buffer[static SYSFS_PATH_SIZE]);
_must_check_ int sysfs_driver_path(const char *driver, const char *attribute,
                                   char buffer[static SYSFS_PATH_SIZE]);

/* Whether this can be a driver's or module's name: 1 to 63 of [A-Za-z0-9_.+-], no leading dot. */
bool sysfs_name_is_valid(const char *name);
