/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The bus side of the daemon: objects, changed properties, replies. */

#include "daemon/job.h"

/*
 * Registers all vtables, the object manager and the limiter on `bus`; slots float with the bus.
 * `ret` is weak and lives as long as `bus`.
 */
_must_check_ int bus_register(sd_bus *bus, Manager *m, Bus **ret);

/*
 * Lets calls go that wait for something, unanswered. They hold the bus: this comes before it is
 * closed.
 */
void bus_drop_calls(Bus *b);

/*
 * After a reconcile: emits InterfacesAdded and InterfacesRemoved, and PropertiesChanged for what
 * differs between two snapshots. `before` may be empty (all NULL) at the first.
 */
void bus_emit_changes(Manager *m, const Snapshot *before, const Snapshot *after);

/* PropertiesChanged of the Manager's State and Counts. */
void bus_emit_manager_changed(Manager *m);

void bus_job_new(Job *j);
void bus_job_changed(Job *j);

/* Answers the waiting caller, if any, and sends PropertiesChanged. */
void bus_job_ended(Job *j);

/* The object leaves the bus: JobRemoved and InterfacesRemoved. */
void bus_job_removed(Job *j);
