/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which driver serves a device: module aliases, ranking of VFIO variants, names of drivers. */

#include "model/desired.h"
#include "sys/sysroot.h"

#include <time.h>

/* What modules.alias says of the kinds of device asked for so far: the file is large. */
typedef struct AliasCache {
        struct timespec since; /* the file's time of change */
        struct Wanted *wanted;
        size_t n_wanted;
} AliasCache;

void alias_cache_done(AliasCache *c);

/*
 * For each device whose target needs a driver that it does not have: the driver, the module to
 * load first if it is not registered, or the reason why there is none. The array is as long as
 * inv->n_devices and is freed with driver_choices_free().
 *
 * TARGET_VFIO: of the `vfio_pci:` aliases that match the device's modalias the one with the
 * fewest wildcards. TARGET_DRIVER: that driver, by its module of the same name if needed.
 * TARGET_HOST of a device without a host driver, and devices in `origins` to be given back: the
 * origin's driver, by the device's own modalias if it is not registered. TARGET_HOST without such
 * an origin: the driver of the module that a `pci:` alias leads to, likewise; none if none does.
 */
_must_check_ int driver_choices_resolve(const Sysroot *root, AliasCache *cache,
                                        const Inventory *inv, const Desired *desired,
                                        const OriginTable *origins, DriverChoice **ret);

/* The driver that a loaded module registered for PCI, by /sys/module/M/drivers. -ENOENT: none. */
_must_check_ int driver_of_module(const Sysroot *root, const char *module, char **ret);
