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
        bool assumed; /* settings of VFs that are declared and not known */
};

/* `prefix` NULL: the host itself. `objects`: those of the daemon, by path, or NULL. */
_must_check_ int offline_new(const char *prefix, json_object *objects, Offline **ret);
Offline *offline_free(Offline *o);
DEFINE_CLEANUP_FUNC(Offline *, offline_free);

/* What the daemon's methods of the same purpose return, the lists filled here. */
_must_check_ int offline_devices(const Offline *o, json_object *list);
_must_check_ int offline_groups(const Offline *o, json_object *list);
_must_check_ int offline_plan(const Offline *o, json_object *list);

/* One of model/describe.h, of one device. */
typedef int (*describe_t)(const Snapshot *s, const PciAddress *address, field_handler_t f,
                          void *userdata);
_must_check_ int offline_describe(const Offline *o, describe_t describe, const char *address,
                                  json_object **ret);
