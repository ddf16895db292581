/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads that may block or wake the device. Only for the worker and for vfioctl itself. */

#include "model/address.h"
#include "sys/sysroot.h"

/* driver_override in `ret`, NULL: unset. */
_must_check_ int inspect_override(const Sysroot *root, const PciAddress *a, char **ret);

/* PCIe device serial number, extended capability 0003h; only root can read that far. */
_must_check_ int inspect_serial(const Sysroot *root, const PciAddress *a, bool *ret_has,
                                uint64_t *ret);
