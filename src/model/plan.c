/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/plan.h"
#include "model/unit.h"

static const char *const step_kind_names[_STEP_KIND_MAX] = {
        [STEP_LOAD_MODULE] = "load-module",
        [STEP_SET_OVERRIDE] = "set-override",
        [STEP_CLEAR_OVERRIDE] = "clear-override",
        [STEP_UNBIND] = "unbind",
        [STEP_BIND] = "bind",
        [STEP_PROBE] = "probe",
        [STEP_NODE_ACCESS] = "node-access",
};

DEFINE_STRING_TABLE(step_kind, StepKind);

/* What is to become of one member of a unit. */
typedef enum MoveKind {
        MOVE_STAY,
        MOVE_TAKE,      /* to `driver` by override */
        MOVE_DETACH,    /* no driver may have it */
        MOVE_GIVE_BACK, /* to what its origin says */
        MOVE_TO_HOST,   /* to whatever host driver the kernel chooses */
} MoveKind;

typedef struct Move {
        MoveKind kind;
        const Device *device;
        const Target *target;
        const DriverChoice *choice;
        const Origin *origin;
        const char *driver; /* to be bound at the end; NULL: none */
} Move;

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

static Move move_for(const Device *d, const Target *t, const DriverChoice *c, const Origin *o)
{
        Move m = { .device = d, .target = t, .choice = c, .origin = o };

        if (t->kind == TARGET_UNMANAGED) {
                if (!o || !o->taken || t->hold || t->problem != REASON_NONE)
                        return m;
                m.kind = MOVE_GIVE_BACK;
                m.driver = d->driver && !d->driver_is_vfio ? NULL : o->driver;
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
                bool leave = moves[i].kind == MOVE_STAY ||
                             (moves[i].kind == MOVE_GIVE_BACK && !d->driver_is_vfio);

                if (d->driver && !leave && !streq_ptr(d->driver, moves[i].driver))
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

static int add_steps(Unit *u, const Move *moves, size_t n)
{
        static int (*const phases[])(Unit *, const Move *, size_t) = {
                add_modules, add_overrides,      add_unbinds, add_restored_overrides,
                add_binds,   add_late_overrides,
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(phases); i++) {
                r = phases[i](u, moves, n);
                if (r < 0)
                        return r;
        }
        return add_node_access(u, moves, n);
}

/* A hazard that the member's file or request accepts is only noted. */
static int refuse_hazard(Unit *u, const Move *m, Reason reason, const char *detail)
{
        if (m->target->accept & hazard_bit(reason)) {
                u->accepted |= hazard_bit(reason);
                return 0;
        }
        return unit_refuse(u, reason, &m->device->address, detail);
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

static int check_member(Unit *u, const Move *moves, size_t n, const Move *m)
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
        else if (!target_moves_group(m->target) && m->target->kind != TARGET_NONE &&
                 !device_is_system(d))
                r = unit_refuse(u, REASON_GROUP_NOT_VIABLE, &d->address,
                                "it is declared for a host driver, and its group for VFIO");
        if (r >= 0 && member_is_foreign(moves, n, m))
                r = refuse_hazard(u, m, REASON_GROUP_FOREIGN_MEMBER, NULL);
        if (r >= 0 && d->boot_vga && m->kind == MOVE_TAKE)
                r = refuse_hazard(u, m, REASON_BOOT_DISPLAY, NULL);
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

/* Everything that speaks against moving the unit. What is already as declared is not refused. */
static int check_unit(Unit *u, const Inventory *inv, const Move *moves, size_t n)
{
        const Move *taken = NULL;
        bool moves_group = false;
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                moves_group = moves_group || target_moves_group(moves[i].target);
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
        if (!taken)
                return 0;
        /* Without isolation nothing else matters. */
        r = check_isolation(u, inv, taken);
        if (r < 0 || u->n_refusals > 0)
                return r;
        for (size_t i = 0; i < n && r >= 0; i++)
                r = check_member(u, moves, n, &moves[i]);
        /* These only follow from what was refused already. */
        if (r < 0 || u->n_refusals > 0)
                return r;
        r = check_bridges(u, inv);
        return r < 0 ? r : check_drivers(u, moves, n);
}

typedef struct Planner {
        const Inventory *inv;
        const Desired *desired;
        const DriverChoice *choices;
        const OriginTable *origins;
} Planner;

/* One unit from its endpoints; it stays empty if there is nothing to do or to say. */
static int plan_unit(const Planner *p, int group, Device *const *members, size_t n, Unit *ret)
{
        _cleanup_free_ Move *moves = calloc(n, sizeof(Move));
        _cleanup_(unit_done) Unit u = { .group = group };
        bool takes = false;
        int r;

        if (!moves)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                ssize_t k = inventory_index(p->inv, &members[i]->address);

                moves[i] = move_for(members[i], &p->desired->targets[k], &p->choices[k],
                                    origin_table_find_device(p->origins, members[i]));
                takes = takes || (moves[i].kind != MOVE_GIVE_BACK && moves[i].kind != MOVE_STAY);
                r = unit_add_member(&u, &members[i]->address);
                if (r >= 0 && moves[i].kind == MOVE_GIVE_BACK)
                        r = unit_add_back(&u, &members[i]->address);
                if (r < 0)
                        return r;
        }
        u.restore = u.n_back > 0 && !takes;
        r = check_unit(&u, p->inv, moves, n);
        if (r >= 0 && u.n_refusals == 0)
                r = add_steps(&u, moves, n);
        if (r < 0)
                return r;
        *ret = u;
        u = (Unit){ 0 };
        return 0;
}

/* The devices that are planned together with this one, if it is the first of them. */
static size_t collect_members(const Inventory *inv, Device *const *d, Device **members)
{
        const Group *g = inventory_group(inv, (*d)->group);
        size_t n = 0;

        if (!g || device_is_bridge(*d)) {
                members[0] = *d;
                return 1;
        }
        for (size_t i = 0; i < g->n_members; i++)
                if (!device_is_bridge(g->members[i]))
                        members[n++] = g->members[i];
        return members[0] == *d ? n : 0;
}

int plan_compute(const Inventory *inv, const Desired *desired, const DriverChoice *choices,
                 const OriginTable *origins, Plan **ret)
{
        const Planner p = { inv, desired, choices, origins };
        _cleanup_free_ Device **members = calloc(inv->n_devices + 1, sizeof(Device *));
        _cleanup_(plan_freep) Plan *plan = calloc(1, sizeof(Plan));
        int r;

        if (!plan || !members)
                return -ENOMEM;
        for (size_t i = 0; i < inv->n_devices; i++) {
                _cleanup_(unit_done) Unit u = { 0 };
                size_t n = collect_members(inv, &inv->devices[i], members);

                if (n == 0)
                        continue;
                r = plan_unit(&p, inv->devices[i]->group, members, n, &u);
                if (r >= 0 && u.n_steps + u.n_refusals > 0)
                        r = plan_add_unit(plan, &u);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(plan);
        return 0;
}
