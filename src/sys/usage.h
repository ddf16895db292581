/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether devices are in use: programs with their VFIO nodes open, network interfaces that are up
 * or in another network namespace, block devices that are mounted, swapped to or held. Reads
 * /proc and plain attributes only, nothing that takes a device lock.
 */

#include "model/inventory.h"
#include "model/use.h"
#include "sys/sysroot.h"

/* Adds the uses of the devices that are asked about. None costs nothing. */
_must_check_ int usage_read(const Sysroot *root, const Inventory *inv, UseTable *t);
