/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon over D-Bus. */

#include "ctl/ctl.h"

/* Connects once; STATUS_NO_DAEMON if there is no bus. */
_must_check_ int bus_open(Ctl *c);

/* Whether the daemon has its name now, without starting it: 1, 0, or negative if there is no bus.
 */
_must_check_ int bus_has_daemon(Ctl *c);

/* Has the daemon started if it does not run. STATUS_NO_DAEMON, said, if that fails. */
_must_check_ int bus_start_daemon(Ctl *c);

/* A call to a method. It does not start the daemon: a mere look shall not. */
_must_check_ int bus_method(Ctl *c, const char *path, const char *interface, const char *member,
                            sd_bus_message **ret);

/* Sends it and waits as long as --timeout= says. Errors were said and come as exit status. */
_must_check_ int bus_call(Ctl *c, sd_bus_message *m, sd_bus_message **ret);

/* The properties of one interface of an object. */
_must_check_ int bus_get_all(Ctl *c, const char *path, const char *interface, json_object **ret);

/* Has the broker send us signals: of the daemon by a match rule, and of its coming and going. */
_must_check_ int bus_watch(Ctl *c, const char *const *rules, size_t n);

/* The next signal. STATUS_TIMED_OUT, not said, at the deadline (CLOCK_MONOTONIC). */
_must_check_ int bus_next(Ctl *c, uint64_t deadline, sd_bus_message **ret);

/* When --timeout= ends what begins now, USEC_INFINITY: never; and what is left of it. */
uint64_t bus_deadline(const Ctl *c);
uint64_t bus_time_left(uint64_t deadline);

/* A D-Bus error to an exit status, from the table of reasons. `error` is a negative errno. */
int bus_error_status(const sd_bus_error *e, int error);

/* Lets a person at the terminal authenticate; a failure leaves things as they are. */
void agent_open(Ctl *c);
void agent_close(Ctl *c);
