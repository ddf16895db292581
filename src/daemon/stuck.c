/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writes that do not return, also those of an earlier daemon. */

#include "daemon/manager-internal.h"
#include "sys/usage.h"

#include <stdio.h>

void manager_on_hold(const PciAddress *address, PoolHold hold, void *userdata)
{
        WorkerVerb verb = _WORKER_VERB_MAX;
        Manager *m = userdata;
        Track *t = manager_track(m, address);
        pid_t pid = pool_find_stuck(m->pool, address, &verb);

        if (t) {
                t->occupied = hold == POOL_BUSY;
                t->stuck = pid > 0 && worker_verb_locks(verb);
                t->holds_rescan = t->stuck && verb == WORKER_SET_NUMVFS;
                track_reset(t);
        }
        /* What a write did that has returned is seen by looking. */
        if (hold == POOL_FREE) {
                manager_doubt_vfs(m, address, /* anew= */ false);
                manager_forget_serial(m, address);
        }
        manager_look_at(m, address);
}

/* The device and its VFs: a write on a PF may wait for one of them to be let go. */
static int list_devices(const Inventory *inv, const PciAddress *address, UseTable *ret)
{
        int r = use_table_ask(ret, address);
        size_t n;
        const uint32_t *vfs = inventory_vfs(inv, address, &n);

        for (size_t i = 0; i < n && r >= 0; i++)
                r = use_table_ask(ret, &inv->devices[vfs[i]]->address);
        return r;
}

/* "the step unbind has not returned from the kernel (worker 123): qemu (4321) has … open" */
static char *make_sentence(const Manager *m, const Inventory *inv, const PciAddress *address)
{
        _cleanup_(use_table_done) UseTable uses = { 0 };
        WorkerVerb verb = _WORKER_VERB_MAX;
        pid_t pid = pool_find_stuck(m->pool, address, &verb);
        const char *by = NULL;
        char *text = NULL;

        if (list_devices(inv, address, &uses) >= 0 && usage_read(&m->root, inv, &uses) >= 0 &&
            uses.n_uses > 0)
                by = uses.uses[0].by;
        if (asprintf(&text, "%s%s has not returned from the kernel (worker %d)%s%s",
                     verb < _WORKER_VERB_MAX ? "the step " : "a write",
                     verb < _WORKER_VERB_MAX ? worker_verb_to_string(verb) : "", pid,
                     by ? ": " : "", strempty(by)) < 0)
                return NULL;
        return text;
}

void manager_explain_stuck(Manager *m, const Inventory *inv)
{
        for (size_t i = 0; i < m->n_tracks; i++) {
                Track *t = &m->tracks[i];

                if (t->stuck && !t->detail)
                        t->detail = make_sentence(m, inv, &t->address);
        }
}
