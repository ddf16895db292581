/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon: owns everything, and is what the bus objects talk to. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "model/describe.h"

typedef struct Manager Manager;
typedef struct Job Job;
typedef struct Bus Bus;

/*
 * Looks, saves and the bus take turns, so that no flood of calls keeps devices waiting. What
 * workers have answered goes first.
 */
enum { MANAGER_PRIORITY = SD_EVENT_PRIORITY_NORMAL + 20 };

typedef enum ManagerState {
        MANAGER_STARTING,
        MANAGER_READY,
        MANAGER_DEGRADED,
        MANAGER_DISABLED,
        _MANAGER_STATE_MAX,
} ManagerState;

const char *manager_state_to_string(ManagerState s);

typedef enum OperationKind {
        OPERATION_BIND,
        OPERATION_RELEASE,
        OPERATION_SRIOV, /* one address, of a PF */
        OPERATION_APPLY, /* forget back-off, contention and release requests; no addresses */
} OperationKind;

const char *operation_kind_to_string(OperationKind k);

/* What a client asks for. The caller owns all of it. */
typedef struct Operation {
        OperationKind kind;
        const PciAddress *addresses;
        size_t n_addresses;
        TargetKind target; /* bind */
        const char *driver;
        unsigned num_vfs; /* sriov */
        HazardSet accept;
        bool persist;
        uint32_t uid;
} Operation;

/* For describe_*(). Weak: valid until the next turn of the event loop. */
Snapshot manager_snapshot(const Manager *m);
ManagerState manager_state(const Manager *m);
const Config *manager_config(const Manager *m);
Bus *manager_bus(const Manager *m); /* NULL if there is none */
sd_event *manager_event(const Manager *m);

/* Devices by state. */
unsigned manager_count(const Manager *m, DeviceState s);

/*
 * What an operation would do: plan and the units of its devices, without any change. For
 * OPERATION_APPLY: of all. `ret_desired` must outlive `ret_plan`. `error` is filled with an
 * org.vfiod1.Error.* on what cannot be asked for.
 */
_must_check_ int manager_preview(Manager *m, const Operation *op, Desired **ret_desired,
                                 Plan **ret_plan, sd_bus_error *error);

/*
 * Records the requests and starts the work; the job is weak and ends by bus_job_ended().
 * `error` is filled with an org.vfiod1.Error.* on failure. The caller has checked authorisation,
 * and has just had a preview of it.
 */
_must_check_ int manager_submit(Manager *m, const Operation *op, Job **ret, sd_bus_error *error);

/* Reads the files again and reconciles. forget: drops all requests of this boot. */
_must_check_ int manager_reload(Manager *m, bool forget);
