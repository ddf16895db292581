/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether devices are in use: programs with their VFIO nodes open; disks beneath them that are
 * mounted, swapped to or held; network interfaces with routes or addresses; the console. Reads
 * /proc and plain attributes only, nothing that takes a lock of devices, network or console.
 */

#include "basic/strv.h"
#include "model/inventory.h"
#include "model/use.h"
#include "sys/sysroot.h"

/* Adds the uses of the devices that are asked about. None costs nothing. */
_must_check_ int usage_read(const Sysroot *root, const Inventory *inv, UseTable *t);

/* The two halves of it: programs with VFIO nodes open, which takes a look at every process; and
 * what the host has on a device with a driver of its own. */
_must_check_ int usage_read_nodes(const Sysroot *root, const Inventory *inv, UseTable *t);
_must_check_ int usage_read_host(const Sysroot *root, const Inventory *inv, UseTable *t);

/* Names of the disks and partitions that go with a function: "nvme0n1", "nvme0n1p1". */
_must_check_ int usage_blocks(const Sysroot *root, const PciAddress *address, char ***ret);

/* Names of a function's network interfaces and of all that are stacked on them: "eth0", "br0". */
_must_check_ int usage_interfaces(const Sysroot *root, const Device *d, char ***ret);

/* "PID NAME" for each process with this node open, which may be any in /dev. */
_must_check_ int holders_of_node(const Sysroot *root, const char *node, char ***ret);
