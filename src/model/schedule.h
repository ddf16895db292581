/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether a unit may begin now. A unit closes more than its members: a PF is closed to its VFs
 * while it is worked on, and they to it, and a change of a number of VFs that does not return is
 * closed to all such changes, for the kernel has one lock for them.
 */

#include "model/status.h"

/*
 * What keeps the unit back for longer than a while: a write that has not returned, else another
 * program that moves a member. NULL: nothing.
 */
const Track *schedule_obstacle(const Unit *u, const Inventory *inv, find_track_t find_track,
                               void *userdata);

/*
 * When it may begin, CLOCK_MONOTONIC; 0: at once; USEC_INFINITY: not before something happens that
 * is looked at anyway.
 */
uint64_t schedule_due(const Unit *u, const Inventory *inv, find_track_t find_track, void *userdata);
