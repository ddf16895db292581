/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where facts come from: the daemon if it runs, else sysfs and the files. */

#include "ctl/ctl.h"

/* Has c->offline filled: the core in this process, also while the daemon runs (offline_new()). */
_must_check_ int source_local(Ctl *c, json_object *objects);

typedef enum SelectMode {
        SELECT_ALL,
        SELECT_ENDPOINTS, /* groups and globs leave bridges and the platform out */
} SelectMode;

/*
 * The devices that the words name, in order of address and each once: an address in long or short
 * form, a glob, a netdev, `group:N` or `PF/vfN`; without words all. STATUS_NO_DEVICE, said, if a
 * word names none.
 */
_must_check_ int source_devices(Ctl *c, char **words, SelectMode mode, json_object **ret);

/* The device that the word names, which is a PF. */
_must_check_ int source_pf(Ctl *c, const char *word, json_object **ret);

/* Adds what a PF or VF has as such, in a member of its own. */
_must_check_ int source_add_sriov(Ctl *c, json_object *device);

_must_check_ int source_groups(Ctl *c, json_object **ret);
_must_check_ int source_explain(Ctl *c, const char *address, json_object **ret);

/*
 * What a reload would do: the plan of the files as they are now, and not as the daemon last read
 * them. Only where not all can be read here it is the daemon's own plan, and that is said.
 */
_must_check_ int source_plan(Ctl *c, json_object **ret);
