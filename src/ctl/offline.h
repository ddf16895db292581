/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The same core as the daemon's, run in this process on sysfs and the files. Reads only. */

#include "ctl/ctl.h"
#include "model/config.h"
#include "model/describe.h"
#include "sys/sysroot.h"

/* `prefix` NULL: the host itself. */
_must_check_ int offline_new(const char *prefix, Offline **ret);
Offline *offline_free(Offline *o);
DEFINE_CLEANUP_FUNC(Offline *, offline_free);

const Sysroot *offline_root(const Offline *o);
const Config *offline_config(const Offline *o);

/* Whether something that decides was for others' eyes only: the daemon knows better then. */
bool offline_is_partial(const Offline *o);
Snapshot offline_snapshot(const Offline *o);

/* The lists and dictionaries that the daemon's methods of the same purpose return. */
_must_check_ int offline_devices(const Offline *o, json_object **ret);
_must_check_ int offline_groups(const Offline *o, json_object **ret);
_must_check_ int offline_plan(const Offline *o, json_object **ret);
_must_check_ int offline_explain(const Offline *o, const char *address, json_object **ret);
