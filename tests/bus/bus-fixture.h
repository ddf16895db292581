/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A private message bus, the bus side of the daemon with a fake manager behind it, a mock polkit,
 * and clients of several users. All of them live in one event loop, so nothing is a matter of time.
 */

#include "../unit/host-model.h"
#include "basic/names.h"
#include "daemon/bus-internal.h"

#include <glib.h>

/* What a client without rights may be; the tests of such clients need to run as root. */
#define NOBODY 65534
#define ANOTHER 1 /* "daemon": the bus takes only users that exist */

typedef enum MockMode {
        MOCK_DENY,
        MOCK_ALLOW,
        MOCK_CHALLENGE,
        MOCK_GARBAGE, /* answers with another type */
        MOCK_ERROR,
        MOCK_SILENT,        /* never answers */
        MOCK_ONE_DEVICE,    /* yes for `allowed_address`, no for all else */
        MOCK_CHANGE_HOST,   /* yes, and the device's driver changes meanwhile */
        MOCK_HOOK,          /* does as `hook` does, a handler of messages */
        MOCK_REMOVE_DEVICE, /* yes, and 0000:05:00.0 goes away meanwhile */
} MockMode;

/* One CheckAuthorization as it came. */
typedef struct Question {
        char *subject_kind, *subject_name, *action;
        GHashTable *details;
        uint32_t flags;
        char *cancellation_id;
} Question;

struct Manager {
        sd_event *event;
        sd_bus *bus;
        Bus *bus_side;
        Host host;
        Config *config;
        OriginTable origins;
        UseTable uses;
        Inventory *inventory;
        Desired *desired;
        Plan *plan;
        StatusTable *status;
        ManagerState state;
        Job *jobs;
        uint64_t last_job;
        unsigned n_submitted, n_reloaded, n_cancelled;
        bool forgot;
        /* Of the last submission: */
        OperationKind kind;
        PciAddress addresses[HOST_MAX];
        size_t n_addresses;
        TargetKind target;
        unsigned num_vfs;
        HazardSet accept;
        bool persist;
        uint32_t uid;
};

typedef struct Fixture {
        int (*hook)(struct Fixture *f, sd_bus_message *m, const Question *q);
        void *hook_data;
        GPid daemon;
        char *directory, *address;
        sd_event *event;
        Manager manager;
        sd_bus *polkit;
        MockMode mode;
        char *allowed_address;
        GPtrArray *questions;
        unsigned n_cancelled_questions;
        sd_bus *root, *nobody, *other; /* clients; NULL if the test does not run as root */
} Fixture;

void fixture_set_up(Fixture *f, gconstpointer data);
void fixture_tear_down(Fixture *f, gconstpointer data);

/* A connection of that user. */
sd_bus *fixture_connect(Fixture *f, uid_t uid);

/* Gives up the name, as on a host without polkit. */
void fixture_remove_polkit(Fixture *f);

const Question *fixture_question(const Fixture *f, guint i);
const char *question_detail(const Question *q, const char *key);

/* Turns the loop until nothing has happened for 100 ms. */
void fixture_settle(Fixture *f);

/* A call to the daemon that turns the loop until it is answered. NULL: `error` says why. */
sd_bus_message *fixture_call(Fixture *f, sd_bus_message *m, sd_bus_error *error);
sd_bus_message *fixture_new_call(sd_bus *client, const char *path, const char *interface,
                                 const char *member);

/* The same in one, for the Manager; the answer is dropped. Returns the error's name or "". */
const char *fixture_try(Fixture *f, sd_bus *client, const char *member, const char *types, ...);

/* Sends without waiting; the slot gets the answer. */
typedef struct Answer {
        bool arrived;
        sd_bus_message *message;
        sd_bus_slot *slot;
} Answer;
void fixture_send(sd_bus *client, sd_bus_message *m, Answer *answer);

/* Turns the loop until the answer is there. */
void fixture_wait(Fixture *f, Answer *a);
void answer_done(Answer *a);

/* 0000:08:00.0, a PF on igb with 2 of 7 VFs: 0000:08:10.0 and .1. */
void fixture_add_pf(Fixture *f);

/* The kernel has changed: a new snapshot, with signals for what differs. */
void manager_refresh(Manager *m);
void manager_end_job(Job *j, JobState state, Reason reason, const char *detail);
