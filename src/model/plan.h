/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The difference between what is and what is to be, as steps. A pure function of its inputs.
 *
 * Units are IOMMU groups (or a device without one), and PFs with their VFs where these are to be
 * made or removed. Units run independently. Steps run in phases:
 * all steps of one kind that follow one another have no order among themselves, the next kind
 * begins when all of them are done.
 */

#include "model/desired.h"
#include "model/use.h"

typedef enum StepKind {
        STEP_LOAD_MODULE,  /* argument: module name or modalias */
        STEP_SET_OVERRIDE, /* argument: driver name */
        STEP_CLEAR_OVERRIDE,
        STEP_UNBIND,        /* argument: driver that holds the device */
        STEP_BIND,          /* argument: driver */
        STEP_PROBE,         /* let the kernel choose a driver */
        STEP_NODE_ACCESS,   /* owner, group and mode of the group's VFIO node */
        STEP_SET_AUTOPROBE, /* argument: "0" or "1" */
        STEP_SET_NUMVFS,    /* argument: the number */
        STEP_WAIT_VFS,      /* argument: the number of VFs that must be there */
        STEP_VF_SETTING,    /* argument: the settings in words; failing it does not end the run */
        _STEP_KIND_MAX,
} StepKind;

const char *step_kind_to_string(StepKind k); /* "load-module", … */

typedef struct Step {
        StepKind kind;
        PciAddress address;  /* of the device, or one member for module and node steps */
        char *argument;      /* NULL where the kind has none */
        int group;           /* STEP_NODE_ACCESS */
        Access access;       /* STEP_NODE_ACCESS */
        VfSettings settings; /* STEP_VF_SETTING */
        const char *why;     /* static sentence */
} Step;

typedef struct Refusal {
        Reason reason;
        PciAddress address; /* the device that it is about */
        char *detail;       /* more than the table's sentence, or NULL */
        bool waits;         /* for an event that is to come: pending and not blocked */
} Refusal;

/* Who uses a device is asked again right before the first step that takes one away. */
typedef struct Check {
        PciAddress address;
        HazardSet accept; /* uses of these kinds are not in the way */
        bool goes;        /* it is a VF that goes: any use is vfs-in-use */
} Check;

typedef struct Unit {
        int group;           /* -1: a device without one */
        PciAddress *members; /* endpoints, sorted */
        size_t n_members;
        PciAddress *back; /* members that are given back to what they were */
        size_t n_back;
        bool restore;     /* only gives back: such a unit is never rolled back */
        bool sriov;       /* number of VFs and autoprobe of the PF that is the first member */
        unsigned num_vfs; /* sriov: the number that the PF had when this was planned */
        Step *steps;      /* none if refused */
        size_t n_steps;
        Check *checks;
        size_t n_checks;
        Refusal *refusals;
        size_t n_refusals;
        HazardSet accepted; /* hazards that are there and were accepted */
} Unit;

typedef struct Plan {
        Unit *units; /* those with steps or refusals, by first member */
        size_t n_units;
} Plan;

_must_check_ int plan_compute(const Inventory *inv, const Desired *desired,
                              const DriverChoice *choices, const OriginTable *origins,
                              const UseTable *uses, Plan **ret);

/*
 * Asks for the devices that would be taken from whoever uses them, if nothing spoke against it:
 * those whose driver is to let go of them, and VFs that are to go. Call it before plan_compute().
 */
_must_check_ int plan_ask_uses(const Inventory *inv, const Desired *desired,
                               const DriverChoice *choices, const OriginTable *origins,
                               UseTable *ret);
Plan *plan_free(Plan *p);
DEFINE_CLEANUP_FUNC(Plan *, plan_free);

size_t plan_count_steps(const Plan *p);

/* After a run of the unit that went well: what is put back is owed no more. */
void unit_settle(const Unit *u, OriginTable *origins);

_must_check_ int unit_copy(const Unit *u, Unit *ret);
void unit_done(Unit *u);

/*
 * The steps that take back the first `n_done` steps of a unit, given what each device had before
 * (`before`: driver and override as of its origin entry). In the order that works: unbind from
 * the new driver, put the overrides back, bind the former drivers.
 */
_must_check_ int plan_undo(const Unit *u, const bool *done, const OriginTable *before, Unit *ret);

/* "0000:04:00.0: unbind from e1000", newly allocated; NULL: out of memory. */
char *step_describe(const Step *s);
