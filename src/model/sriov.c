/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Units of PFs. VFs are made while sriov_drivers_autoprobe is 0, so that no driver sees them
 * before they are as declared; each is then moved by the unit of its own IOMMU group, and at last
 * autoprobe is put back. Another number of VFs goes through 0: the kernel takes no other way.
 */

#include "model/planner.h"
#include "model/unit.h"

#include <stdio.h>

#define AUTOPROBE_WHY "as it was before vfiod"

/* How many VFs the PF is to have; -1: whatever it has. */
static int wanted_vfs(const Target *t, const Origin *o)
{
        if (t->hold || t->problem != REASON_NONE || target_moves_group(t) || t->kind == TARGET_NONE)
                return -1;
        if (t->num_vfs >= 0)
                return t->num_vfs;
        return o && o->counted ? (int)o->num_vfs : -1;
}

static bool is_vf_of(const Device *d, const Device *pf)
{
        return d->is_vf && pci_address_equal(&d->pf, &pf->address);
}

/* What becomes of the VFs of a PF. */
typedef enum Fate {
        FATE_STAY,
        FATE_REPLACED, /* by another number of VFs */
        FATE_LEFT,     /* the PF's driver is to let go of it */
} Fate;

static Fate fate_of_vfs(const Planner *p, size_t index)
{
        const Device *pf = p->inv->devices[index];
        const Move m = planner_move(p, index);
        int wanted = wanted_vfs(m.target, m.origin);

        if (pf->num_vfs == 0)
                return FATE_STAY;
        if (move_unbinds(&m))
                return m.target->accept & hazard_bit(REASON_VFS_EXIST) ? FATE_LEFT : FATE_STAY;
        if (wanted < 0 || (unsigned)wanted == pf->num_vfs || (unsigned)wanted > pf->total_vfs ||
            !pf->driver || pf->driver_is_vfio || m.target->gave_up != REASON_NONE)
                return FATE_STAY;
        return FATE_REPLACED;
}

void planner_mark_doomed(Planner *p)
{
        for (size_t i = 0; i < p->inv->n_devices; i++) {
                const Device *pf = p->inv->devices[i];
                const uint32_t *vfs;
                size_t n;

                if (pf->total_vfs == 0 || fate_of_vfs(p, i) == FATE_STAY)
                        continue;
                vfs = inventory_vfs(p->inv, &pf->address, &n);
                for (size_t k = 0; k < n; k++)
                        p->doomed[vfs[k]] = true;
        }
}

int planner_refuse_used_vfs(const Planner *p, Unit *u, const Device *pf, const Target *t)
{
        int r = 0;

        for (size_t i = 0; i < p->uses->n_uses && r >= 0; i++) {
                const Use *use = &p->uses->uses[i];
                const Device *vf = inventory_find(p->inv, &use->address);
                _cleanup_free_ char *detail = NULL;

                if (!vf || !is_vf_of(vf, pf))
                        continue;
                if (asprintf(&detail, "its VF %d (%s) is in use: %s", vf->vf_index,
                             PCI_ADDRESS_STR(&vf->address), use->by) < 0)
                        return -ENOMEM;
                r = planner_refuse_hazard(u, t, &pf->address, REASON_VFS_IN_USE, detail);
        }
        return r;
}

/* Who uses them shows again right before they go. */
int planner_add_vf_checks(const Planner *p, Unit *u, const Device *pf, const Target *t)
{
        size_t n;
        const uint32_t *vfs = inventory_vfs(p->inv, &pf->address, &n);
        int r = 0;

        if (t->accept & hazard_bit(REASON_VFS_IN_USE))
                return 0;
        for (size_t i = 0; i < n && r >= 0; i++)
                r = unit_add_check(u, &p->inv->devices[vfs[i]]->address, 0, /* goes= */ true);
        return r;
}

/* Another number than the PF has. */
static int add_change(const Planner *p, Unit *u, const Move *m, unsigned wanted)
{
        const char *why = u->restore ? "as it was before vfiod" : "as declared";
        const Device *pf = m->device;
        const Origin *o = m->origin;
        int r;

        r = planner_add_vf_checks(p, u, pf, m->target);
        if (r >= 0 && !u->restore && wanted > 0 && pf->autoprobe > 0)
                r = unit_add_step(u, STEP_SET_AUTOPROBE, &pf->address, "0",
                                  "no driver may take a VF before it is as declared");
        if (r >= 0 && pf->num_vfs > 0)
                r = unit_add_count(u, &pf->address, 0,
                                   wanted > 0 ? "the kernel changes their number only through 0"
                                              : why);
        if (r >= 0 && u->restore && o->autoprobe_off)
                r = unit_add_step(u, STEP_SET_AUTOPROBE, &pf->address, "1", AUTOPROBE_WHY);
        if (r >= 0 && wanted > 0)
                r = unit_add_count(u, &pf->address, wanted, why);
        return r;
}

/* Whether no driver would now take a VF that is not to have it, or not yet. */
static bool vfs_are_settled(const Planner *p, const Device *pf)
{
        size_t n;
        const uint32_t *vfs = inventory_vfs(p->inv, &pf->address, &n);

        for (size_t i = 0; i < n; i++) {
                const Target *t = &p->desired->targets[vfs[i]];

                if (t->kind == TARGET_NONE || t->hold || t->problem != REASON_NONE ||
                    planner_move(p, vfs[i]).kind != MOVE_STAY ||
                    planner_waits_for_report(t, p->inv->devices[vfs[i]]))
                        return false;
        }
        return true;
}

/* A VF that gets the driver that it would have had without vfiod. */
static bool vf_is_probed(const Planner *p, size_t index)
{
        TargetKind kind = p->desired->targets[index].kind;

        return !p->inv->devices[index]->driver && (kind == TARGET_UNMANAGED || kind == TARGET_HOST);
}

/* These have no driver yet, so here too their settings come first. */
static int add_autoprobe(const Planner *p, Unit *u, const Device *pf)
{
        size_t n;
        const uint32_t *vfs = inventory_vfs(p->inv, &pf->address, &n);
        int r = 0;

        u->restore = true;
        for (size_t i = 0; i < n && r >= 0; i++) {
                const Move m = planner_move(p, vfs[i]);

                if (!vf_is_probed(p, vfs[i]))
                        continue;
                r = unit_add_member(u, &m.device->address);
                if (r >= 0)
                        r = planner_add_vf_settings(u, &m, 1);
        }
        if (r >= 0)
                r = unit_add_step(u, STEP_SET_AUTOPROBE, &pf->address, "1", AUTOPROBE_WHY);
        for (size_t i = 0; i < n && r >= 0; i++)
                if (vf_is_probed(p, vfs[i]))
                        r = unit_add_step(u, STEP_PROBE, &p->inv->devices[vfs[i]]->address, NULL,
                                          "the kernel chooses its driver");
        return r;
}

static int refuse_count(Unit *u, const Device *pf, const Target *t, int wanted)
{
        _cleanup_free_ char *detail = NULL;

        if (pf->total_vfs == 0)
                return wanted > 0 ? unit_refuse(u, REASON_SRIOV_UNSUPPORTED, &pf->address, NULL)
                                  : 0;
        if (wanted == 0 && pf->num_vfs == 0)
                return 0;
        if (!pf->driver || pf->driver_is_vfio)
                return unit_refuse_waiting(u, REASON_SRIOV_DRIVER_MISSING, &pf->address);
        if (t->gave_up != REASON_NONE && pf->num_vfs > 0 && (unsigned)wanted != pf->num_vfs) {
                if (asprintf(&detail,
                             "it could not get %d VFs, and has %u as before: 'vfioctl apply' tries "
                             "once more",
                             wanted, pf->num_vfs) < 0)
                        return -ENOMEM;
                return unit_refuse(u, t->gave_up, &pf->address, detail);
        }
        if ((unsigned)wanted <= pf->total_vfs)
                return 0;
        if (asprintf(&detail, "it is to have %d VFs, and can have %u", wanted, pf->total_vfs) < 0)
                return -ENOMEM;
        return unit_refuse(u, REASON_SRIOV_TOO_MANY, &pf->address, detail);
}

static int add_vf_members(const Planner *p, Unit *u, const Device *pf)
{
        size_t n;
        const uint32_t *vfs = inventory_vfs(p->inv, &pf->address, &n);
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = unit_add_member(u, &p->inv->devices[vfs[i]]->address);
        return r;
}

int planner_plan_pf(const Planner *p, size_t index, Unit *u)
{
        const Device *pf = p->inv->devices[index];
        const Move m = planner_move(p, index);
        int wanted = wanted_vfs(m.target, m.origin), r;
        bool off = m.origin && m.origin->autoprobe_off;

        /* The unit of its own group goes first. */
        if ((wanted < 0 && !off) || m.kind != MOVE_STAY || m.target->hold ||
            m.target->problem != REASON_NONE)
                return 0;
        u->sriov = true;
        u->group = pf->group;
        u->num_vfs = pf->num_vfs;
        u->restore = m.target->num_vfs < 0;
        r = unit_add_member(u, &pf->address);
        /* Those that it has after a number that failed are not left half made. */
        if (off && pf->num_vfs > 0 && m.target->gave_up != REASON_NONE && vfs_are_settled(p, pf))
                wanted = (int)pf->num_vfs;
        if (r >= 0 && wanted >= 0)
                r = refuse_count(u, pf, m.target, wanted);
        if (r < 0 || u->n_refusals > 0)
                return r;
        if (wanted < 0 || (unsigned)wanted == pf->num_vfs)
                return off && vfs_are_settled(p, pf) ? add_autoprobe(p, u, pf) : 0;
        r = add_vf_members(p, u, pf);
        if (r >= 0)
                r = planner_refuse_used_vfs(p, u, pf, m.target);
        return r < 0 || u->n_refusals > 0 ? r : add_change(p, u, &m, (unsigned)wanted);
}
