/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a rule's [Match] holds for a device. */

#include "model/config.h"
#include "model/device.h"
#include "model/origin.h"

typedef enum MatchResult {
        MATCH_NO,
        MATCH_YES,
        MATCH_GUARD_FAILED, /* the place (Address, Slot, Path, PhysicalFunction and VirtualFunction)
                               is named and right, but another card sits there */
} MatchResult;

/* `origin` (may be NULL) tells the host driver and MAC address of a device already taken. */
MatchResult match_device(const Match *m, const Device *d, const Origin *origin);

/* The text that a key is compared with, perhaps in `buffer`; NULL if the device has none. */
enum { MATCH_VALUE_SIZE = 32 };
const char *match_value(MatchKey key, const Device *d, const Origin *origin,
                        char buffer[static MATCH_VALUE_SIZE]);
