/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For each device: what it is to be, and who said so. */

#include "model/config.h"
#include "model/inventory.h"
#include "model/origin.h"
#include "model/request.h"

typedef struct Target {
        TargetKind kind;
        const char *driver;   /* if TARGET_DRIVER; belongs to rule or request */
        const Rule *rule;     /* or NULL; Desired holds a reference */
        bool requested;       /* by a request, not by a file */
        bool implied;         /* only because its IOMMU group moves as a whole */
        bool matched;         /* a file or request names the device itself */
        bool hold;            /* it, or its group, is of a file now in error: leave it */
        HazardSet accept;     /* for members: of the file or request that moves the group */
        const Access *access; /* or NULL */
        const Rule *pf_rule;  /* of a VF: the file whose sections give its settings, or NULL */
        int num_vfs;          /* of a PF: so many VFs, -1: says nothing of them */
        Reason gave_up;       /* of a PF: why that number is not tried again by itself */
        Reason problem;       /* id-mismatch, expect-mismatch: not to be touched */
} Target;

/* A place that a file names and that holds no device now. */
typedef struct Absent {
        PciAddress address;
        const Rule *rule;
} Absent;

/* Which rules a device matches, before anything else is looked at. */
typedef struct Found {
        const Rule *rule;  /* the first; NULL: none */
        const Rule *guard; /* the first that names its place, but another card */
        uint64_t expected; /* bit per rule with Expect=, as far as there are bits */
        uint64_t stamp;    /* of its origin, 0: none */
} Found;

typedef struct Desired {
        Target *targets; /* parallel to Inventory.devices */
        Found *found;    /* the same */
        size_t n_targets;
        Absent *absent; /* sorted by address, each place once */
        size_t n_absent;
        Rule **rules; /* what the targets point to lives as long as they do */
        size_t n_rules;
        RequestTable requests;
} Desired;

_must_check_ int desired_compute(const Config *config, const RequestTable *requests,
                                 const OriginTable *origins, const Inventory *inv, Desired **ret);

/* An earlier result and its inventory. Both NULL: there is none. */
typedef struct Known {
        const Inventory *inv;
        const Desired *desired;
} Known;

/*
 * The same result at less cost: devices that the inventories share are not matched again with
 * files that did not change.
 */
_must_check_ int desired_update(const Config *config, const RequestTable *requests,
                                const OriginTable *origins, const Inventory *inv,
                                const Known *known, Desired **ret);
Desired *desired_free(Desired *d);
DEFINE_CLEANUP_FUNC(Desired *, desired_free);

/*
 * Which driver and module would serve a target, found by src/sys/ for each device whose target
 * asks for it. Parallel to Inventory.devices; a zeroed entry is a device that needs none.
 */
typedef struct DriverChoice {
        char *driver;  /* NULL: none found */
        char *module;  /* to be loaded first; NULL: the driver is there */
        Reason reason; /* module-missing; whether it is blocked shows when it is loaded */
} DriverChoice;

void driver_choices_free(DriverChoice *choices, size_t n);

/* Whether they say the same, of files that did not change. */
bool target_equal(const Target *a, const Target *b);

/* Whether a file or request says anything about the device. */
bool target_is_managed(const Target *t);

/* Whether the target moves its whole IOMMU group to VFIO drivers. */
bool target_moves_group(const Target *t);

/* Whether a PF with this target is left to a driver of the host, which makes its VFs. */
bool target_keeps_vfs(TargetKind kind, const char *driver);
