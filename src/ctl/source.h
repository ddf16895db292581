/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where facts come from: the daemon if it runs, else sysfs and the files. */

#include "ctl/ctl.h"

/* Decides once, and says on stderr if the daemon is not there. Sets c->offline if so. */
_must_check_ int source_open(Ctl *c);

/* The core in this process, also while the daemon runs. Weak. */
_must_check_ int source_local(Ctl *c, Offline **ret);

_must_check_ int source_devices(Ctl *c, json_object **ret);
_must_check_ int source_groups(Ctl *c, json_object **ret);

/*
 * What a reload would do: the plan of the files as they are now, and not as the daemon last read
 * them. Only where not all can be read here it is the daemon's own plan, and that is said.
 */
_must_check_ int source_plan(Ctl *c, json_object **ret);
_must_check_ int source_explain(Ctl *c, const char *address, json_object **ret);

typedef enum ResolveMode {
        RESOLVE_ALL,
        RESOLVE_ENDPOINTS, /* groups and globs leave bridges out */
} ResolveMode;

/*
 * The devices of `devices` that the words name, in order of address and each once: an address in
 * long or short form, a glob, a netdev, `group:N` or `PF/vfN`. STATUS_NO_DEVICE, said, if a word
 * names none.
 */
_must_check_ int resolve_words(json_object *devices, char **words, ResolveMode mode,
                               json_object **ret);
