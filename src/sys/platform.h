/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the host as a whole offers to VFIO: the facts behind `vfioctl doctor`. */

#include "sys/sysroot.h"

typedef enum Answer {
        ANSWER_UNKNOWN,
        ANSWER_NO,
        ANSWER_YES,
} Answer;

typedef enum ModulePresence {
        MODULE_UNKNOWN, /* the kernel's module lists cannot be read */
        MODULE_ABSENT,
        MODULE_INSTALLED, /* on disk, not loaded */
        MODULE_LOADED,    /* or built into the kernel */
} ModulePresence;

typedef struct Platform {
        char **iommus;              /* in use, by name: dmar0, ivhd0, smmu3.0x…, or an address */
        const char *iommu_table;    /* DMAR, IVRS, IORT or VIOT; NULL: the firmware has none */
        Answer interrupt_remapping; /* whether interrupts of devices are isolated */
        Answer unsafe_interrupts;   /* allow_unsafe_interrupts of vfio_iommu_type1 is on */
        Answer noiommu;             /* enable_unsafe_noiommu_mode of vfio is on */
        bool container_node;        /* /dev/vfio/vfio */
        char *cmdline;              /* of the kernel, NULL if it cannot be read */
        char **driverctl;           /* devices for which driverctl has a saved override */
} Platform;

_must_check_ int platform_read(const Sysroot *root, Platform *ret);
void platform_done(Platform *p);

/* `name` with underscores, as in /sys/module. */
ModulePresence platform_module(const Sysroot *root, const char *name);

/* The value of the last `key=` on the kernel command line in `ret` (NULL: not there). */
_must_check_ int platform_switch(const Platform *p, const char *key, char **ret);
