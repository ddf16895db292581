/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Loading modules, as modprobe does. */

#include "sys/sysroot.h"

/*
 * A module by name, or those that a "pci:" or "vfio_pci:" alias leads to. `ret_driver`: the PCI
 * driver that it registered, NULL if none. -EINVAL: neither name nor such an alias. -ENOENT: there
 * is no such module. -EPERM: all that the alias leads to are blacklisted. -ENOSYS: below --root=.
 */
_must_check_ int load_module(const Sysroot *root, const char *argument, char **ret_driver);
