/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Asynchronous authorisation: who may do what a message asks for.
 *
 * A handler derives from the message the list of checks it needs and asks polkit_authorize(). The
 * first time that answers "not yet": the caller's uid is asked of the bus, then each check of
 * polkit, one after the other. A "no" is answered at once. After the last "yes" the handler runs
 * again from the top, resolves everything again and derives its checks again; they are allowed
 * only if each of them, with all its details, was approved. Nothing but the counted message and
 * the entry that owns the pending call survives from one run to the next.
 */

#include "basic/strv.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define POLKIT_ACTION_BIND "org.vfiod1.bind"
#define POLKIT_ACTION_RELEASE "org.vfiod1.release"
#define POLKIT_ACTION_SRIOV "org.vfiod1.sriov"
#define POLKIT_ACTION_ACCEPT_HAZARD "org.vfiod1.accept-hazard"
#define POLKIT_ACTION_CONFIGURE "org.vfiod1.configure"

enum {
        POLKIT_CALLERS_MAX = 1024, /* calls whose sender's uid is being asked of the bus */
        POLKIT_PENDING_MAX = 64,   /* calls that wait for polkit */
        POLKIT_PENDING_PER_USER_MAX = 32,
        POLKIT_PENDING_PER_SENDER_MAX = 8,
};

/* For each question: a person may have to find a password. */
#define POLKIT_DEADLINE_USEC (300 * USEC_PER_SEC)

typedef struct PolkitCheck {
        const char *action; /* static */
        char **details;     /* key, value, key, value, … */
} PolkitCheck;

typedef struct CheckList {
        PolkitCheck *checks;
        size_t n_checks;
        bool reading;   /* changes nothing: needs no authorisation */
        bool has_owner; /* this uid may do it without polkit */
        uint32_t owner;
} CheckList;

void check_list_done(CheckList *l);

/* Copies `details`. */
_must_check_ int check_list_add(CheckList *l, const char *action, char *const *details);

typedef struct Polkit Polkit;

/* `bus` is weak. `again` is the handler of all messages that come to polkit_authorize(). */
_must_check_ int polkit_new(sd_bus *bus, uint64_t deadline_usec, sd_bus_message_handler_t again,
                            void *userdata, Polkit **ret);
Polkit *polkit_free(Polkit *p);
DEFINE_CLEANUP_FUNC(Polkit *, polkit_free);

/* Forgets all that is under way, without an answer: the bus is gone or the daemon ends. */
void polkit_drop_all(Polkit *p);

/*
 * 1: allowed, and the caller is `ret_uid`. 0: not yet; the handler returns 1, and the message is
 * answered or the handler called again. Negative: no, with `error` set. The content of `checks`
 * may be taken over.
 */
_must_check_ int polkit_authorize(Polkit *p, sd_bus_message *m, CheckList *checks,
                                  uint32_t *ret_uid, sd_bus_error *error);
