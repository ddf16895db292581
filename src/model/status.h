/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Each device's state and reason, from the plan and from what became of earlier attempts. */

#include "model/plan.h"

typedef enum DeviceState {
        STATE_UNMANAGED,
        STATE_READY,
        STATE_PENDING,
        STATE_WORKING,
        STATE_BLOCKED,
        STATE_FAILED,
        STATE_STUCK,
        STATE_CONTENDED,
        STATE_ABSENT,
        _DEVICE_STATE_MAX,
} DeviceState;

const char *device_state_to_string(DeviceState s);

/*
 * What happened to a device so far in this run of the daemon: the memory behind back-off and
 * contention. Kept by the daemon per device, changed only by the functions below.
 */
typedef struct Track {
        PciAddress address;
        bool working;
        bool overtaken;      /* since that began something else may have been asked for */
        bool occupied;       /* a worker of an earlier daemon is at work there */
        bool attempted;      /* every step went well; the next look shows whether it helped */
        bool replanned;      /* a module brought another driver than its name said */
        bool stuck;          /* a write has not returned; `detail`, if set, says which */
        bool holds_rescan;   /* and it changes a number of VFs */
        Reason failure;      /* of the last attempt; REASON_NONE: it went well */
        int error;           /* the kernel's, an errno above 0; 0: there is none */
        char *detail;        /* its sentence */
        bool told;           /* and that is in the journal */
        unsigned n_failures; /* in a row */
        uint64_t retry_usec; /* CLOCK_MONOTONIC; not before */
        bool was_ready;      /* as declared at the last look */
        unsigned n_drifts;   /* times that another moved it away, in a row */
        uint64_t drift_usec; /* of the last one */
        bool contended;
        unsigned gave_up; /* of a PF: so many VFs could not be made in the place of others */
} Track;

void track_done(Track *t);

/* A failed attempt: doubles the back-off from 1 s up to retry_max. Copies detail. */
void track_failed(Track *t, Reason reason, const char *detail, uint64_t now, uint64_t retry_max);
void track_succeeded(Track *t);

/*
 * A look at the device found it as declared or not, while no work of ours was under way. After an
 * attempt that tells success from failure, whatever the kernel answered to the steps. Otherwise
 * another program moved the device: five such drifts, none more than a minute after the one
 * before, make it contended.
 */
void track_observe(Track *t, bool ready, uint64_t now, uint64_t retry_max);

/* Forgets failures and contention. */
void track_reset(Track *t);

/* Something is under way there, or has not returned. */
bool track_is_closed(const Track *t);

/* An operator asked again, perhaps for something else than what work under way is for. */
void track_ask_again(Track *t);

typedef struct DeviceStatus {
        PciAddress address;
        ssize_t index; /* into Inventory.devices, -1: an absent place */
        DeviceState state;
        Reason reason;
        char *detail;     /* a sentence for people, NULL: the table's */
        bool differs;     /* the plan has a step for it */
        const Unit *unit; /* of the plan, which outlives this; NULL: none */
} DeviceStatus;

typedef struct StatusTable {
        DeviceStatus *statuses; /* all devices and absent places, sorted by address */
        size_t n_statuses;
        uint32_t *by_device; /* indices into statuses, parallel to Inventory.devices */
} StatusTable;

/* May be NULL (offline), and may return NULL. */
typedef const Track *(*find_track_t)(void *userdata, const PciAddress *address);

/*
 * Forgets what was taken from cards that are gone and that no file names any more: the override
 * went with the card. And numbers of VFs that are what they were, and groups that nobody wants
 * moved any more; but nothing of what is not over, or is stuck. Notes which files decide now.
 * Whether anything changed.
 */
bool origin_table_prune(OriginTable *t, const Inventory *inv, const Desired *desired,
                        const Config *config, find_track_t find_track, void *userdata);

_must_check_ int status_compute(const Inventory *inv, const Desired *desired, const Plan *plan,
                                bool disabled, find_track_t find_track, void *userdata,
                                StatusTable **ret);
StatusTable *status_table_free(StatusTable *t);
DEFINE_CLEANUP_FUNC(StatusTable *, status_table_free);

const DeviceStatus *status_find(const StatusTable *t, const PciAddress *address);

/* detail, or the table's sentence; "" for no reason. */
const char *status_sentence(const DeviceStatus *s);
