/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files that make up the planner share: moves of devices, and units of PFs. */

#include "model/plan.h"

/* The inputs of one planning, and what is known while it goes on. */
typedef struct Planner {
        const Inventory *inv;
        const Desired *desired;
        const DriverChoice *choices;
        const OriginTable *origins;
        const UseTable *uses;
        bool *doomed; /* parallel to inv->devices: VFs whose PF gets another number of them */
        const Origin **origin_of; /* parallel to inv->devices */
        const Origin **cards;     /* the entries of `origins` by their cards, if that counts */
} Planner;

/* What is to become of one member of a unit. */
typedef enum MoveKind {
        MOVE_STAY,
        MOVE_TAKE,      /* to `driver` by override */
        MOVE_DETACH,    /* no driver may have it */
        MOVE_GIVE_BACK, /* to what its origin says */
        MOVE_TO_HOST,   /* to whatever host driver the kernel chooses */
} MoveKind;

typedef struct Move {
        MoveKind kind;
        const Device *device;
        const Target *target;
        const DriverChoice *choice;
        const Origin *origin;
        const char *driver; /* to be bound at the end; NULL: none */
} Move;

/* Of the device with this index in the inventory. */
Move planner_move(const Planner *p, size_t index);

/* The driver that has a device lets go of it. */
bool move_unbinds(const Move *m);

/* The steps of a unit that nothing speaks against, phase by phase. */
_must_check_ int planner_add_steps(const Planner *p, Unit *u, const Move *moves, size_t n);

/* A hazard that the device's file or request accepts is only noted. */
_must_check_ int planner_refuse_hazard(Unit *u, const Target *t, const PciAddress *address,
                                       Reason reason, const char *detail);

/* vfs-in-use, for each use of a VF of the PF. */
_must_check_ int planner_refuse_used_vfs(const Planner *p, Unit *u, const Device *pf,
                                         const Target *t);

/* A check of each VF of a PF that is about to lose them. */
_must_check_ int planner_add_vf_checks(const Planner *p, Unit *u, const Device *pf,
                                       const Target *t);

/* Sets `doomed`. */
void planner_mark_doomed(Planner *p);

/* The number of VFs and the autoprobe of the PF with this index; `u` stays empty if they are right.
 */
_must_check_ int planner_plan_pf(const Planner *p, size_t index, Unit *u);

/* What the PF of a VF has not set yet, as a set and as steps. */
VfSettings planner_missing_settings(const Move *m);
_must_check_ int planner_add_vf_settings(Unit *u, const Move *moves, size_t n);

/* Whether the VF has settings, and what its PF has set is not known yet. */
bool planner_waits_for_report(const Target *t, const Device *vf);
