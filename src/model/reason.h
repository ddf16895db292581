/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why a device is not as declared: one table of stable ids, sentences, remedies and answers. */

#include "basic/macro.h"

typedef enum Reason {
        REASON_NONE,
        /* Hazards that a file or a call may accept by name. */
        REASON_MOUNTED_FILESYSTEM,
        REASON_SWAP,
        REASON_BLOCK_HOLDER,
        REASON_NETWORK_ROUTE,
        REASON_NETWORK_ADDRESS,
        REASON_BOOT_DISPLAY,
        REASON_GROUP_FOREIGN_MEMBER,
        REASON_GROUP_CHANGED,
        REASON_VFS_IN_USE,
        REASON_VFS_EXIST,
        REASON_DEVICE_IN_USE,
        REASON_NO_RESET,
        _REASON_ACCEPTABLE_MAX, /* one past the last acceptable hazard */
        /* Refusals that nothing accepts. */
        REASON_BRIDGE = _REASON_ACCEPTABLE_MAX,
        REASON_NO_IOMMU_GROUP,
        REASON_ID_MISMATCH,
        REASON_EXPECT_MISMATCH,
        /* Other reasons. */
        REASON_MODULE_MISSING,
        REASON_MODULE_BLOCKED,
        REASON_DRIVER_REJECTED,
        REASON_IOMMU_OFF,
        REASON_GROUP_NOT_VIABLE,
        REASON_SRIOV_UNSUPPORTED,
        REASON_SRIOV_DRIVER_MISSING,
        REASON_SRIOV_TOO_MANY,
        REASON_SRIOV_NO_RESOURCES,
        REASON_VF_SETTING_REJECTED,
        REASON_WRITE_TIMEOUT,
        REASON_DEVICE_GONE,
        REASON_CONTENDED,
        REASON_WAITING,
        REASON_WORKING,
        REASON_DISABLED,
        REASON_ABSENT,
        _REASON_MAX,
} Reason;

typedef struct ReasonRow {
        const char *id;
        const char *sentence;   /* what it means, no full stop */
        const char *remedy;     /* what to do, no full stop */
        const char *dbus_error; /* full error name */
} ReasonRow;

/* Never NULL for a valid reason. */
const ReasonRow *reason_row(Reason r);
const char *reason_to_string(Reason r); /* "" for REASON_NONE */

/* -EINVAL if there is none. */
int reason_from_string(const char *s);

static inline bool reason_is_acceptable(Reason r)
{
        return r > REASON_NONE && r < _REASON_ACCEPTABLE_MAX;
}

/* Sets of acceptable hazards. */
typedef uint32_t HazardSet;

static inline HazardSet hazard_bit(Reason r)
{
        return UINT32_C(1) << r;
}

/* Comma or space separated names; `ret_bad` (may be NULL) gets the first unknown word, to be freed.
 */
_must_check_ int hazard_set_parse(const char *s, HazardSet *ret, char **ret_bad);
