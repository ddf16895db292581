/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon over D-Bus. */

#include "ctl/ctl.h"

/* Whether the daemon has its name now, without starting it: 1, 0, or negative if there is no bus.
 */
_must_check_ int bus_has_daemon(Ctl *c);

/* For verbs that change something: has the daemon started if it does not run. */
_must_check_ int bus_start_daemon(Ctl *c);

/* A call to a method. It does not start the daemon: a mere look shall not. */
_must_check_ int bus_new_call(Ctl *c, const char *path, const char *interface, const char *member,
                              sd_bus_message **ret);

/*
 * Sends it and waits until the deadline; *ret is the list of what the method returns. Errors were
 * said and come as exit status.
 */
_must_check_ int bus_call(Ctl *c, sd_bus_message *m, json_object **ret);

/* Both, for a method that returns one value; arguments as sd-bus's. */
_must_check_ int bus_ask(Ctl *c, json_object **ret, const char *path, const char *interface,
                         const char *member, const char *types, ...);

/* Of a device's object, to be freed. */
char *bus_device_path(const char *address);

/* All objects: { path: { interface: { property: value } } }. */
_must_check_ int bus_get_objects(Ctl *c, json_object **ret);

/* All properties of an object. */
_must_check_ int bus_get_all(Ctl *c, const char *path, const char *interface, json_object **ret);

/* STATUS_NO_DAEMON, said. */
int bus_no_daemon(void);

/*
 * Has the broker send us the daemon's signals, and when it comes or goes. `match` is "path" (of
 * the manager's object alone) or "path_namespace" (of all).
 */
_must_check_ int bus_watch(Ctl *c, const char *match);

/* The next signal: { path, member, body: [ … ] }. STATUS_TIMED_OUT, not said, at the deadline. */
_must_check_ int bus_next(Ctl *c, json_object **ret);

/* Lets a person at the terminal authenticate; a failure leaves things as they are. */
void agent_open(const Ctl *c);

/* What a message carries, as a list. */
_must_check_ int bus_message_to_json(sd_bus_message *m, json_object **ret);
