/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The same core as the daemon's, run in this process on sysfs and the files. Reads only. */

#include "ctl/ctl.h"
#include "model/config.h"
#include "model/describe.h"
#include "sys/sysroot.h"

struct Offline {
        Sysroot root;
        Config *config;
        Inventory *inventory;
        OriginTable origins;
        RequestTable requests;
        Desired *desired;
        Plan *plan;
        StatusTable *status;
        bool partial; /* something that decides was for others' eyes only: ask the daemon */
};

/* `prefix` NULL: the host itself. */
_must_check_ int offline_new(const char *prefix, Offline **ret);
Offline *offline_free(Offline *o);
DEFINE_CLEANUP_FUNC(Offline *, offline_free);

/* What the daemon's methods of the same purpose return, the lists filled here. */
_must_check_ int offline_devices(const Offline *o, json_object *list);
_must_check_ int offline_groups(const Offline *o, json_object *list);
_must_check_ int offline_plan(const Offline *o, json_object *list);
_must_check_ int offline_explain(const Offline *o, const char *address, json_object **ret);
