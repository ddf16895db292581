/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/planner.h"
#include "model/unit.h"

static const char *const step_kind_names[_STEP_KIND_MAX] = {
        [STEP_LOAD_MODULE] = "load-module",
        [STEP_SET_OVERRIDE] = "set-override",
        [STEP_CLEAR_OVERRIDE] = "clear-override",
        [STEP_UNBIND] = "unbind",
        [STEP_BIND] = "bind",
        [STEP_PROBE] = "probe",
        [STEP_NODE_ACCESS] = "node-access",
        [STEP_SET_AUTOPROBE] = "set-autoprobe",
        [STEP_SET_NUMVFS] = "set-numvfs",
        [STEP_WAIT_VFS] = "wait-vfs",
        [STEP_VF_SETTING] = "vf-setting",
};

DEFINE_TO_STRING(step_kind, StepKind);

int planner_refuse_hazard(Unit *u, const Target *t, const PciAddress *address, Reason reason,
                          const char *detail)
{
        if (t->accept & hazard_bit(reason)) {
                u->accepted |= hazard_bit(reason);
                return 0;
        }
        return unit_refuse(u, reason, address, detail);
}

static bool member_is_foreign(const Move *moves, size_t n, const Move *m)
{
        if (!m->target->implied)
                return false;
        for (size_t i = 0; i < n; i++)
                if (moves[i].target->rule && moves[i].target->matched &&
                    !moves[i].target->requested &&
                    moves[i].target->rule->group_policy == GROUP_STRICT)
                        return true;
        return false;
}

/*
 * Whether the group was moved before, and this is a member that it did not have then. A file or
 * request that names the member itself approves it. To have been anything else before, such as a
 * PF with VFs or without a driver, is not to have been moved with the group.
 */
static bool member_is_new(const Planner *p, const Move *moves, size_t n, const Move *m)
{
        if (!m->target->implied || m->kind != MOVE_TAKE ||
            origins_know(p->cards, p->origins->n_origins, m->device, /* vfio= */ false))
                return false;
        for (size_t i = 0; i < n; i++)
                if (target_moves_group(moves[i].target) && moves[i].target->matched &&
                    origins_know(p->cards, p->origins->n_origins, moves[i].device,
                                 /* vfio= */ true))
                        return true;
        return false;
}

/* It is to be on VFIO with its group, or stays there for a file in error. */
static bool move_is_for_vfio(const Move *m)
{
        return target_moves_group(m->target) || (m->target->hold && m->device->driver_is_vfio);
}

/* The kernel lets no one use a group that is half on VFIO. */
static int check_declared_host(Unit *u, const Move *m)
{
        if (target_moves_group(m->target) || m->target->hold || m->target->kind == TARGET_NONE ||
            m->target->problem != REASON_NONE || device_is_system(m->device))
                return 0;
        return unit_refuse(u, REASON_GROUP_NOT_VIABLE, &m->device->address,
                           "it is declared for a host driver, and its group for VFIO");
}

static int check_member(const Planner *p, Unit *u, const Move *moves, size_t n, const Move *m)
{
        const Device *d = m->device;
        int r = 0;

        if (m->target->problem != REASON_NONE)
                r = unit_refuse(u, m->target->problem, &d->address, NULL);
        else if (device_is_system(d) && m->target->matched)
                r = unit_refuse(u, REASON_BRIDGE, &d->address, NULL);
        else if (device_is_system(d) && d->driver && !d->driver_is_vfio)
                r = unit_refuse(u, REASON_GROUP_NOT_VIABLE, &d->address,
                                "it is a part of the platform and has a host driver");
        else
                r = check_declared_host(u, m);
        if (r >= 0 && member_is_foreign(moves, n, m))
                r = planner_refuse_hazard(u, m->target, &d->address, REASON_GROUP_FOREIGN_MEMBER,
                                          NULL);
        if (r >= 0 && member_is_new(p, moves, n, m))
                r = planner_refuse_hazard(u, m->target, &d->address, REASON_GROUP_CHANGED, NULL);
        return r;
}

/* Since kernel 5.19 a bridge whose driver does not set driver_managed_dma spoils its group. */
static int check_bridges(Unit *u, const Inventory *inv)
{
        const Group *g = inventory_group(inv, u->group);
        int r = 0;

        for (size_t i = 0; g && i < g->n_members && r >= 0; i++) {
                const Device *d = g->members[i];

                if (device_is_bridge(d) && d->driver && !d->driver_is_vfio &&
                    !streq(d->driver, "pcieport"))
                        r = unit_refuse(u, REASON_GROUP_NOT_VIABLE, &d->address,
                                        "this bridge has a driver that does DMA of its own");
        }
        return r;
}

static int check_isolation(Unit *u, const Inventory *inv, const Move *m)
{
        if (!inv->iommu)
                return unit_refuse(u, REASON_IOMMU_OFF, &m->device->address, NULL);
        if (u->group < 0 || m->device->group_is_noiommu)
                return unit_refuse(u, REASON_NO_IOMMU_GROUP, &m->device->address, NULL);
        return 0;
}

static int check_drivers(Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                if (moves[i].kind == MOVE_TAKE && !moves[i].driver)
                        r = unit_refuse(u,
                                        moves[i].choice->reason == REASON_NONE
                                                ? REASON_MODULE_MISSING
                                                : moves[i].choice->reason,
                                        &moves[i].device->address, NULL);
        return r;
}

/* No driver lets go of a PF with VFs, whatever it is moved for. */
static int check_vfs(const Planner *p, Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                const Device *d = moves[i].device;

                if (d->num_vfs == 0 || !move_unbinds(&moves[i]))
                        continue;
                r = planner_refuse_hazard(u, moves[i].target, &d->address, REASON_VFS_EXIST, NULL);
                if (r >= 0)
                        r = planner_refuse_used_vfs(p, u, d, moves[i].target);
        }
        return r;
}

/* The firmware's display, wherever it is to go. */
static int check_display(const Planner *p, Unit *u, const Move *m)
{
        const Device *d = m->device;

        if (!d->boot_vga || d->driver_is_vfio || (m->kind != MOVE_TAKE && m->kind != MOVE_DETACH) ||
            use_table_find(p->uses, &d->address, REASON_BOOT_DISPLAY))
                return 0;
        return planner_refuse_hazard(u, m->target, &d->address, REASON_BOOT_DISPLAY, NULL);
}

/* Who would lose the device. What has let go of it already needs no asking. */
static int check_uses(const Planner *p, Unit *u, const Move *moves, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                const PciAddress *a = &moves[i].device->address;
                size_t k = use_table_position(p->uses, a);

                r = check_display(p, u, &moves[i]);
                for (; k < p->uses->n_uses && r >= 0 && move_unbinds(&moves[i]); k++) {
                        const Use *use = &p->uses->uses[k];

                        if (!pci_address_equal(&use->address, a))
                                break;
                        if (use->hazard != REASON_VFS_IN_USE)
                                r = planner_refuse_hazard(u, moves[i].target, a, use->hazard,
                                                          use->by);
                }
        }
        return r;
}

bool planner_waits_for_report(const Target *t, const Device *vf)
{
        return t->pf_rule && vf->vf_report == VF_REPORT_PENDING &&
               rule_vf_settings(t->pf_rule, (unsigned)vf->vf_index).set != 0;
}

/* A VF is not moved before it is known what its PF has set for it. */
static int check_reports(Unit *u, const Move *moves, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (planner_waits_for_report(moves[i].target, moves[i].device))
                        return unit_refuse_waiting(u, REASON_WAITING, &moves[i].device->address);
        return 0;
}

/* Everything that speaks against moving the unit. What is already as declared is not refused. */
static int check_unit(const Planner *p, Unit *u, const Move *moves, size_t n)
{
        const Move *taken = NULL;
        bool moves_group = false;
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                moves_group = moves_group || move_is_for_vfio(&moves[i]);
                if (!taken && moves[i].kind == MOVE_TAKE && target_moves_group(moves[i].target))
                        taken = &moves[i];
        }
        if (!moves_group) {
                for (size_t i = 0; i < n && r >= 0; i++)
                        if (moves[i].target->problem != REASON_NONE)
                                r = unit_refuse(u, moves[i].target->problem,
                                                &moves[i].device->address, NULL);
                        else if (device_is_system(moves[i].device) && moves[i].target->matched)
                                r = unit_refuse(u, REASON_BRIDGE, &moves[i].device->address, NULL);
                return r < 0 || u->n_refusals > 0 ? r : check_drivers(u, moves, n);
        }
        /* What is on VFIO already is refused only if a member that goes to the host spoils it. */
        for (size_t i = 0; i < n && !taken && r >= 0; i++)
                r = check_declared_host(u, &moves[i]);
        if (!taken)
                return r;
        /* Without isolation nothing else matters. */
        r = check_isolation(u, p->inv, taken);
        if (r < 0 || u->n_refusals > 0)
                return r;
        for (size_t i = 0; i < n && r >= 0; i++)
                r = check_member(p, u, moves, n, &moves[i]);
        /* These only follow from what was refused already. */
        if (r < 0 || u->n_refusals > 0)
                return r;
        r = check_bridges(u, p->inv);
        return r < 0 ? r : check_drivers(u, moves, n);
}

/* One unit from its endpoints; it stays empty if there is nothing to do or to say. */
static int plan_unit(const Planner *p, int group, const Move *moves, size_t n, Unit *ret)
{
        _cleanup_(unit_done) Unit u = { .group = group };
        bool takes = false;
        int r;

        for (size_t i = 0; i < n; i++) {
                takes = takes || (moves[i].kind != MOVE_GIVE_BACK && moves[i].kind != MOVE_STAY);
                r = unit_add_member(&u, &moves[i].device->address);
                if (r >= 0 && moves[i].kind == MOVE_GIVE_BACK)
                        r = unit_add_back(&u, &moves[i].device->address);
                if (r < 0)
                        return r;
        }
        u.restore = u.n_back > 0 && !takes;
        r = check_unit(p, &u, moves, n);
        if (r >= 0 && u.n_refusals == 0)
                r = check_vfs(p, &u, moves, n);
        if (r >= 0)
                r = check_uses(p, &u, moves, n);
        if (r >= 0 && u.n_refusals == 0)
                r = check_reports(&u, moves, n);
        if (r >= 0 && u.n_refusals == 0)
                r = planner_add_steps(p, &u, moves, n);
        if (r < 0)
                return r;
        *ret = u;
        u = (Unit){ 0 };
        return 0;
}

/* Whether there is surely nothing to be done or to be said: so it is with most units. */
static bool moves_are_idle(const Move *moves, size_t n)
{
        bool vfio = false, host = false;

        for (size_t i = 0; i < n; i++) {
                const Target *t = moves[i].target;

                if (moves[i].kind != MOVE_STAY || t->problem != REASON_NONE || t->access ||
                    (t->matched && device_is_system(moves[i].device)) ||
                    planner_waits_for_report(t, moves[i].device) ||
                    planner_missing_settings(&moves[i]).set != 0)
                        return false;
                vfio = vfio || move_is_for_vfio(&moves[i]);
                host = host || (!target_moves_group(t) && t->kind != TARGET_NONE &&
                                t->kind != TARGET_UNMANAGED);
        }
        return !vfio || !host; /* both would spoil the group */
}

/*
 * Moves of the devices that are planned together with this one, if it is the first of them. None
 * if one of them is to go with a PF of another group; those of a PF of this group go with it.
 */
static size_t collect_moves(const Planner *p, size_t index, Move *moves)
{
        const Device *d = p->inv->devices[index];
        const Group *g = p->inv->group_of[index];
        size_t n = 0;

        if (!g || device_is_bridge(d)) {
                moves[0] = planner_move(p, index);
                return p->doomed[index] ? 0 : 1;
        }
        for (size_t i = 0; i < g->n_members; i++) {
                const Device *m = g->members[i], *pf;

                if (p->doomed[g->indices[i]]) {
                        pf = inventory_find(p->inv, &m->pf);
                        if (!pf || pf->group != d->group)
                                return 0;
                } else if (!device_is_bridge(m)) {
                        if (n == 0 && m != d)
                                return 0;
                        moves[n++] = planner_move(p, g->indices[i]);
                }
        }
        return n;
}

static int add_pf_unit(const Planner *p, size_t index, Plan *plan)
{
        _cleanup_(unit_done) Unit u = { 0 };
        int r;

        r = planner_plan_pf(p, index, &u);
        return r >= 0 && u.n_steps + u.n_refusals > 0 ? plan_add_unit(plan, &u) : r;
}

static int add_group_unit(const Planner *p, int group, const Move *moves, size_t n, Plan *plan)
{
        _cleanup_(unit_done) Unit u = { 0 };
        int r;

        r = plan_unit(p, group, moves, n, &u);
        return r >= 0 && u.n_steps + u.n_refusals > 0 ? plan_add_unit(plan, &u) : r;
}

/* The units that begin with this device: of the PF that it is, and of its group. */
static int plan_device(const Planner *p, size_t index, Move *moves, Plan *plan)
{
        size_t n = collect_moves(p, index, moves);
        int r = 0;

        if (p->desired->targets[index].num_vfs >= 0 || p->origin_of[index])
                r = add_pf_unit(p, index, plan);
        if (r < 0 || moves_are_idle(moves, n))
                return r;
        return add_group_unit(p, p->inv->devices[index]->group, moves, n, plan);
}

static void planner_done(Planner *p)
{
        free(p->doomed);
        free(p->origin_of);
        free(p->cards);
}

/* Takes the inputs that `p` has. */
static int planner_start(Planner *p)
{
        p->doomed = calloc(p->inv->n_devices + 1, sizeof(bool));
        if (!p->doomed || origin_table_join(p->origins, p->inv, &p->origin_of) < 0)
                return -ENOMEM;
        planner_mark_doomed(p);
        return 0;
}

/* Whether a device is to follow its group: then it counts which cards were seen before. */
static bool group_grows(const Planner *p)
{
        for (size_t i = 0; i < p->inv->n_devices; i++)
                if (p->desired->targets[i].implied && !p->inv->devices[i]->driver_is_vfio)
                        return true;
        return false;
}

int plan_compute(const Inventory *inv, const Desired *desired, const DriverChoice *choices,
                 const OriginTable *origins, const UseTable *uses, Plan **ret)
{
        _cleanup_(planner_done)
                Planner p = { inv, desired, choices, origins, uses, NULL, NULL, NULL };
        _cleanup_free_ Move *moves = calloc(inv->n_devices + 1, sizeof(Move));
        _cleanup_(plan_freep) Plan *plan = calloc(1, sizeof(Plan));
        int r;

        if (!plan || !moves)
                return -ENOMEM;
        r = planner_start(&p);
        if (r >= 0 && group_grows(&p))
                r = origin_table_sort(origins, &p.cards);
        for (size_t i = 0; i < inv->n_devices && r >= 0; i++)
                r = plan_device(&p, i, moves, plan);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(plan);
        return 0;
}

int plan_ask_uses(const Inventory *inv, const Desired *desired, const DriverChoice *choices,
                  const OriginTable *origins, UseTable *ret)
{
        _cleanup_(planner_done)
                Planner p = { inv, desired, choices, origins, NULL, NULL, NULL, NULL };
        _cleanup_(use_table_done) UseTable uses = { 0 };
        int r;

        r = planner_start(&p);
        for (size_t i = 0; i < inv->n_devices && r >= 0; i++) {
                const Move m = planner_move(&p, i);

                if (p.doomed[i] || move_unbinds(&m))
                        r = use_table_ask(&uses, &inv->devices[i]->address);
        }
        if (r < 0)
                return r;
        *ret = uses;
        uses = (UseTable){ 0 };
        return 0;
}
