/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is to become of each device of a unit, and the steps that lead there. */

#include "model/planner.h"
#include "model/unit.h"

static bool target_is_met(const Device *d, const Target *t, const DriverChoice *c)
{
        switch (t->kind) {
        case TARGET_VFIO:
                return d->driver_is_vfio;
        case TARGET_DRIVER:
                return streq_ptr(d->driver, t->driver);
        case TARGET_NONE:
                return !d->driver;
        case TARGET_HOST:
                return d->driver ? !d->driver_is_vfio : !c->driver;
        default:
                return true;
        }
}

Move planner_move(const Planner *p, size_t index)
{
        const Device *d = p->inv->devices[index];
        const Target *t = &p->desired->targets[index];
        const DriverChoice *c = &p->choices[index];
        const Origin *o = p->origin_of[index];
        Move m = { .device = d, .target = t, .choice = c, .origin = o };

        if (t->kind == TARGET_UNMANAGED) {
                if (!o || !o->taken || t->hold || t->problem != REASON_NONE)
                        return m;
                m.kind = MOVE_GIVE_BACK;
                /* A VF that vfiod made had no driver before: it gets the host's. */
                if (!d->driver || d->driver_is_vfio)
                        m.driver = o->driver ? o->driver : c->driver;
                return m;
        }
        if (t->problem != REASON_NONE || target_is_met(d, t, c))
                return m;
        switch (t->kind) {
        case TARGET_VFIO:
        case TARGET_DRIVER:
                m.kind = MOVE_TAKE;
                m.driver = c->driver;
                break;
        case TARGET_NONE:
                m.kind = MOVE_DETACH;
                break;
        default:
                m.kind = MOVE_TO_HOST;
                m.driver = c->driver;
        }
        return m;
}

bool move_unbinds(const Move *m)
{
        const Device *d = m->device;
        bool leave = m->kind == MOVE_STAY || (m->kind == MOVE_GIVE_BACK && !d->driver_is_vfio);

        return d->driver && !leave && !streq_ptr(d->driver, m->driver);
}

VfSettings planner_missing_settings(const Move *m)
{
        const Rule *rule = m->target->pf_rule;
        VfSettings wanted = { 0 };

        if (!rule)
                return wanted;
        wanted = rule_vf_settings(rule, (unsigned)m->device->vf_index);
        return vf_settings_missing(&wanted, &m->device->vf_settings);
}

/* Before the VF is bound: its new driver must not see other ones. */
int planner_add_vf_settings(Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                const VfSettings missing = planner_missing_settings(&moves[i]);

                if (missing.set != 0)
                        r = unit_add_vf_setting(u, &moves[i].device->address, &missing);
        }
        return r;
}

/* A PF takes its VFs with it, or leaves them behind for nobody. */
static int add_removals(const Planner *p, Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                const Device *pf = moves[i].device;

                if (pf->num_vfs == 0 || !move_unbinds(&moves[i]))
                        continue;
                r = planner_add_vf_checks(p, u, pf, moves[i].target);
                if (r >= 0)
                        r = unit_add_count(u, &pf->address, 0,
                                           "its driver cannot let go of it with VFs");
        }
        return r;
}

/* A network interface that is only up counts for a VF that goes, and for nothing else. */
static int add_checks(Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                if (move_unbinds(&moves[i]))
                        r = unit_add_check(u, &moves[i].device->address,
                                           moves[i].target->accept | hazard_bit(REASON_VFS_IN_USE),
                                           /* goes= */ false);
        return r;
}

static bool module_is_planned(const Unit *u, const char *module)
{
        for (size_t i = 0; i < u->n_steps; i++)
                if (u->steps[i].kind == STEP_LOAD_MODULE && streq(u->steps[i].argument, module))
                        return true;
        return false;
}

static int add_modules(Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                const char *module = moves[i].choice->module;

                if (moves[i].kind != MOVE_STAY && moves[i].driver && module &&
                    !module_is_planned(u, module))
                        r = unit_add_step(u, STEP_LOAD_MODULE, &moves[i].device->address, module,
                                          "its driver is not loaded");
        }
        return r;
}

static int add_overrides(Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                const PciAddress *a = &moves[i].device->address;

                if (moves[i].kind == MOVE_TAKE)
                        r = unit_add_step(u, STEP_SET_OVERRIDE, a, moves[i].driver,
                                          moves[i].target->implied
                                                  ? "its IOMMU group moves as a whole"
                                                  : "no other driver may take it");
                else if (moves[i].kind == MOVE_DETACH)
                        r = unit_add_step(u, STEP_SET_OVERRIDE, a, "none", "no driver may take it");
        }
        return r;
}

static int add_unbinds(Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                const Device *d = moves[i].device;

                if (move_unbinds(&moves[i]))
                        r = unit_add_step(u, STEP_UNBIND, &d->address, d->driver,
                                          d->driver_is_vfio ? "it goes back to the host"
                                                            : "its driver must let go of it");
        }
        return r;
}

static int add_restored_overrides(Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                const Move *m = &moves[i];
                bool set = m->kind == MOVE_GIVE_BACK &&
                           !origin_override_comes_late(m->origin, m->driver);

                if (m->kind == MOVE_GIVE_BACK || m->kind == MOVE_TO_HOST)
                        r = unit_restore_override(u, &m->device->address,
                                                  set ? m->origin->override : NULL,
                                                  "as it was before vfiod");
        }
        return r;
}

static int add_late_overrides(Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                if (moves[i].kind == MOVE_GIVE_BACK &&
                    origin_override_comes_late(moves[i].origin, moves[i].driver))
                        r = unit_restore_override(u, &moves[i].device->address,
                                                  moves[i].origin->override,
                                                  "as it was before vfiod");
        return r;
}

static int add_binds(Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                const Device *d = moves[i].device;

                if (moves[i].driver)
                        r = unit_add_step(u, STEP_BIND, &d->address, moves[i].driver,
                                          moves[i].kind == MOVE_TAKE ? "as declared"
                                                                     : "as it was before vfiod");
                else if (moves[i].kind == MOVE_TO_HOST)
                        r = unit_add_step(u, STEP_PROBE, &d->address, NULL,
                                          "the kernel chooses its host driver");
        }
        return r;
}

static bool access_differs(const Access *a, const Device *d)
{
        return (a->has_uid && a->uid != d->node_uid) || (a->has_gid && a->gid != d->node_gid) ||
               (a->has_mode && a->mode != d->node_mode);
}

/* The node is made anew when the group's first member is bound, and then belongs to root. */
static int add_node_access(Unit *u, const Move *moves, size_t n)
{
        const Access *access = NULL;
        const Device *node = NULL;

        for (size_t i = 0; i < n; i++) {
                if (!access && target_moves_group(moves[i].target))
                        access = moves[i].target->access;
                if (moves[i].device->has_node)
                        node = moves[i].device;
        }
        if (!access || (node ? !access_differs(access, node) : u->n_steps == 0))
                return 0;
        return unit_add_node_access(u, &moves[0].device->address, access);
}

int planner_add_steps(const Planner *p, Unit *u, const Move *moves, size_t n)
{
        static int (*const phases[])(Unit *, const Move *, size_t) = {
                planner_add_vf_settings, add_modules, add_overrides,      add_checks, add_unbinds,
                add_restored_overrides,  add_binds,   add_late_overrides,
        };
        int r;

        r = add_removals(p, u, moves, n);
        for (size_t i = 0; i < ELEMENTSOF(phases) && r >= 0; i++)
                r = phases[i](u, moves, n);
        return r < 0 ? r : add_node_access(u, moves, n);
}
