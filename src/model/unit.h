/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Building and taking apart the units of a plan. */

#include "model/plan.h"

/* Each copies what it is given. */
_must_check_ int unit_add_member(Unit *u, const PciAddress *address);
_must_check_ int unit_add_back(Unit *u, const PciAddress *address);
_must_check_ int unit_add_step(Unit *u, StepKind kind, const PciAddress *address,
                               const char *argument, const char *why);

/* override NULL: unset. */
_must_check_ int unit_restore_override(Unit *u, const PciAddress *address, const char *override,
                                       const char *why);

/* The number of VFs of a PF, and the wait for them. */
_must_check_ int unit_add_count(Unit *u, const PciAddress *pf, unsigned n, const char *why);
_must_check_ int unit_add_vf_setting(Unit *u, const PciAddress *vf, const VfSettings *settings);

_must_check_ int unit_add_check(Unit *u, const PciAddress *address, HazardSet accept, bool goes);
_must_check_ int unit_add_node_access(Unit *u, const PciAddress *address, const Access *access);
_must_check_ int unit_refuse(Unit *u, Reason reason, const PciAddress *address, const char *detail);

/* What speaks against the unit only until an event comes. */
_must_check_ int unit_refuse_waiting(Unit *u, Reason reason, const PciAddress *address);

/* Takes over the content of `u` and zeroes it, on success. */
_must_check_ int plan_add_unit(Plan *p, Unit *u);

/* The last step of that kind for the device, or NULL. */
const Step *unit_find_step(const Unit *u, StepKind kind, const PciAddress *a);
