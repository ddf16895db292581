/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The sections and keys of device files and settings files, and how their values are read. */

#include "config/report.h"

enum { CONFIG_VALUES_MAX = 4096 }; /* in one list key */

/*
 * One text's sections and assignments into a rule or the daemon's settings. What is wrong becomes
 * diagnostics and is counted in `source`; negative errno only for out of memory and the like.
 * `on_section` (may be NULL) hears of each known section.
 */
typedef void (*on_section_t)(void *userdata, const IniEvent *event);

_must_check_ int keys_read_rule(Source *source, const char *text, size_t size, Rule *rule,
                                on_section_t on_section, void *userdata);
_must_check_ int keys_read_settings(Source *source, const char *text, size_t size,
                                    DaemonSettings *settings);
