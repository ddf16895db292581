/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Looks at the kernel. Only plain links and attributes that take no device lock: `uevent`,
 * `driver_override` and `sriov_numvfs` can block for ever (kernel before 6.12: device_lock in
 * uevent_show() and driver_override_show(); sriov_numvfs_show() in all) and are not read here.
 */

#include "model/inventory.h"
#include "sys/sysroot.h"

/* A full look. */
_must_check_ int scan_all(const Sysroot *root, Inventory **ret);

/*
 * A new snapshot in which only `changed` (sorted or not, repeats allowed) are read again; all
 * other devices are shared with `previous`. Devices that are gone are left out. PFs of changed
 * VFs, new VFs of changed PFs, and members of changed devices' groups, are read again too.
 */
_must_check_ int scan_changed(const Sysroot *root, const Inventory *previous,
                              const PciAddress *changed, size_t n, Inventory **ret);
