/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/unit.h"

/* The driver that a done step of the unit took the device from, or NULL. */
static const char *undo_driver(const Unit *u, const bool *done, const PciAddress *a)
{
        for (size_t i = 0; i < u->n_steps; i++)
                if (done[i] && u->steps[i].kind == STEP_UNBIND &&
                    pci_address_equal(&u->steps[i].address, a))
                        return u->steps[i].argument;
        return NULL;
}

#define UNDO_WHY "another member failed"

static int undo_bind(const Unit *u, const bool *done, const OriginTable *before, const Step *s,
                     Unit *undo)
{
        if (s->kind != STEP_BIND)
                return 0;
        return unit_add_step(undo, STEP_UNBIND, &s->address, s->argument, UNDO_WHY);
}

static int undo_override(const Unit *u, const bool *done, const OriginTable *before, const Step *s,
                         Unit *undo)
{
        const Origin *o = origin_table_find(before, &s->address);
        bool set = o && !origin_override_comes_late(o, undo_driver(u, done, &s->address));

        if (s->kind != STEP_SET_OVERRIDE && s->kind != STEP_CLEAR_OVERRIDE)
                return 0;
        return unit_restore_override(undo, &s->address, set ? o->override : NULL, UNDO_WHY);
}

static int undo_unbind(const Unit *u, const bool *done, const OriginTable *before, const Step *s,
                       Unit *undo)
{
        if (s->kind != STEP_UNBIND)
                return 0;
        return unit_add_step(undo, STEP_BIND, &s->address, s->argument, UNDO_WHY);
}

static int undo_late_override(const Unit *u, const bool *done, const OriginTable *before,
                              const Step *s, Unit *undo)
{
        const Origin *o = origin_table_find(before, &s->address);

        if (s->kind != STEP_UNBIND || !o || !origin_override_comes_late(o, s->argument))
                return 0;
        return unit_restore_override(undo, &s->address, o->override, UNDO_WHY);
}

static int undo_creation(const Unit *u, const bool *done, const OriginTable *before, const Step *s,
                         Unit *undo)
{
        return s->kind == STEP_SET_NUMVFS && !streq(s->argument, "0")
                       ? unit_add_count(undo, &s->address, 0, UNDO_WHY)
                       : 0;
}

static int undo_removal(const Unit *u, const bool *done, const OriginTable *before, const Step *s,
                        Unit *undo)
{
        const Origin *o = origin_table_find(before, &s->address);

        return s->kind == STEP_SET_NUMVFS && streq(s->argument, "0") && o && o->num_vfs > 0
                       ? unit_add_count(undo, &s->address, o->num_vfs, UNDO_WHY)
                       : 0;
}

static int undo_autoprobe(const Unit *u, const bool *done, const OriginTable *before, const Step *s,
                          Unit *undo)
{
        if (s->kind != STEP_SET_AUTOPROBE)
                return 0;
        return unit_add_step(undo, STEP_SET_AUTOPROBE, &s->address,
                             streq(s->argument, "0") ? "1" : "0", UNDO_WHY);
}

int plan_undo(const Unit *u, const bool *done, const OriginTable *before, Unit *ret)
{
        static int (*const phases[])(const Unit *, const bool *, const OriginTable *, const Step *,
                                     Unit *) = {
                undo_creation,      undo_bind,    undo_override,  undo_unbind,
                undo_late_override, undo_removal, undo_autoprobe,
        };
        _cleanup_(unit_done) Unit undo = { .group = u->group, .restore = true };
        int r = 0;

        for (size_t i = 0; i < u->n_members && r >= 0; i++)
                r = unit_add_member(&undo, &u->members[i]);
        for (size_t p = 0; p < ELEMENTSOF(phases); p++)
                for (size_t i = 0; i < u->n_steps && r >= 0; i++)
                        if (done[i])
                                r = phases[p](u, done, before, &u->steps[i], &undo);
        if (r < 0)
                return r;
        *ret = undo;
        undo = (Unit){ 0 };
        return 0;
}
