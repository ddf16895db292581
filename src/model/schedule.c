/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/schedule.h"
#include "model/unit.h"

typedef struct View {
        const Inventory *inv;
        find_track_t find_track;
        void *userdata;
} View;

typedef bool (*test_t)(const Track *t);

static const Track *look_up(const View *v, const PciAddress *a, test_t test)
{
        const Track *t = v->find_track ? v->find_track(v->userdata, a) : NULL;

        return t && test(t) ? t : NULL;
}

static bool is_working(const Track *t)
{
        return t->working || t->occupied;
}

static bool is_stuck(const Track *t)
{
        return t->stuck;
}

static bool is_contended(const Track *t)
{
        return t->contended;
}

static bool holds_rescan(const Track *t)
{
        return t->stuck && t->holds_rescan;
}

/* VFs go, or come, with the number of VFs of their PF, and go when its driver goes. */
static bool changes_vfs(const Unit *u, const PciAddress *pf)
{
        return unit_find_step(u, STEP_SET_NUMVFS, pf) || unit_find_step(u, STEP_UNBIND, pf);
}

static const Track *find_vf(const View *v, const PciAddress *pf, test_t test)
{
        const Track *found = NULL;
        size_t n;
        const uint32_t *vfs = inventory_vfs(v->inv, pf, &n);

        for (size_t i = 0; i < n && !found; i++)
                found = look_up(v, &v->inv->devices[vfs[i]]->address, test);
        return found;
}

/* A device for which this holds, among all that the unit and what is under way there share. */
static const Track *find_in_domain(const Unit *u, const View *v, test_t test)
{
        const Track *found = NULL;

        for (size_t i = 0; i < u->n_members && !found; i++) {
                const Device *d = inventory_find(v->inv, &u->members[i]);

                found = look_up(v, &u->members[i], test);
                if (!found && d && d->is_vf)
                        found = look_up(v, &d->pf, test);
                if (!found && d && d->total_vfs > 0 && changes_vfs(u, &d->address))
                        found = find_vf(v, &d->address, test);
        }
        return found;
}

/* Of an sriov unit the PF is the first member. */
static const Track *find_rescan(const Unit *u, const View *v)
{
        const Track *found = NULL;

        if (!u->sriov || !unit_find_step(u, STEP_SET_NUMVFS, &u->members[0]))
                return NULL;
        for (size_t i = 0; i < v->inv->n_devices && !found; i++)
                if (v->inv->devices[i]->total_vfs > 0)
                        found = look_up(v, &v->inv->devices[i]->address, holds_rescan);
        return found;
}

const Track *schedule_obstacle(const Unit *u, const Inventory *inv, find_track_t find_track,
                               void *userdata)
{
        const View v = { inv, find_track, userdata };
        const Track *found;

        if (!find_track)
                return NULL;
        found = find_in_domain(u, &v, is_stuck);
        if (!found)
                found = find_rescan(u, &v);
        for (size_t i = 0; i < u->n_members && !found; i++)
                found = look_up(&v, &u->members[i], is_contended);
        return found;
}

uint64_t schedule_due(const Unit *u, const Inventory *inv, find_track_t find_track, void *userdata)
{
        const View v = { inv, find_track, userdata };
        uint64_t due = 0;

        if (u->n_steps == 0 || u->n_refusals > 0 || find_in_domain(u, &v, is_working) ||
            schedule_obstacle(u, inv, find_track, userdata))
                return USEC_INFINITY;
        for (size_t i = 0; i < u->n_members; i++) {
                const Track *t = find_track ? find_track(userdata, &u->members[i]) : NULL;

                due = MAX(due, t ? t->retry_usec : 0);
        }
        return due;
}
