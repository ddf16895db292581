/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Copies of the daemon's settings. */

#include "model/config.h"

_must_check_ int settings_copy(const DaemonSettings *settings, DaemonSettings *ret);
void settings_done(DaemonSettings *settings);
