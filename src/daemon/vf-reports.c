/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What network PFs say of the settings of their VFs. Asking takes locks of the kernel, so workers
 * do it, and only after something happened to the PF, to one of its VFs or to its interface.
 */

#include "basic/log.h"
#include "daemon/manager-internal.h"

/* What was rejected is tried again after a link message, but no storm of these makes one of tries.
 */
#define RETRY_USEC (500 * USEC_PER_MSEC)

typedef struct VfEntry {
        PciAddress address;
        bool fresh; /* nothing is known to have happened to it since the PF was asked */
        VfReport report;
        VfSettings settings;
} VfEntry;

struct PfReport {
        PciAddress address;
        uint32_t ifindex; /* of its network interface, 0: not known */
        bool asked;       /* a worker is at it */
        bool stale;       /* is to be asked (again) */
        VfEntry *vfs;
        unsigned n_vfs;
};

static int compare_reports(const void *a, const void *b)
{
        return pci_address_compare(&((const PfReport *)a)->address,
                                   &((const PfReport *)b)->address);
}

static PfReport *find_report(const Manager *m, const PciAddress *pf)
{
        const PfReport key = { .address = *pf };

        return m->n_pf_reports > 0 ? bsearch(&key, m->pf_reports, m->n_pf_reports, sizeof(PfReport),
                                             compare_reports)
                                   : NULL;
}

void vf_reports_free_all(Manager *m)
{
        for (size_t i = 0; i < m->n_pf_reports; i++)
                free(m->pf_reports[i].vfs);
        free(TAKE_PTR(m->pf_reports));
        m->n_pf_reports = 0;
}

static bool settings_equal(const VfSettings *a, const VfSettings *b)
{
        return a->set == b->set && memcmp(a->values, b->values, sizeof(a->values)) == 0;
}

/* A device is shared between snapshots: to show something else it has to be read again. */
static void set_report(Manager *m, VfEntry *vf, VfReport report, const VfSettings *settings)
{
        if (vf->report == report && settings_equal(&vf->settings, settings))
                return;
        vf->report = report;
        vf->settings = *settings;
        manager_look_at(m, &vf->address);
}

static void forget_vf(Manager *m, VfEntry *vf)
{
        vf->fresh = false;
        set_report(m, vf, VF_REPORT_PENDING, &(VfSettings){ 0 });
}

void manager_doubt_vfs(Manager *m, const PciAddress *address, bool anew)
{
        const Device *d = inventory_find(m->inventory, address);
        PfReport *pf = find_report(m, d && d->is_vf ? &d->pf : address);

        if (!pf)
                return;
        pf->stale = true;
        for (unsigned i = 0; i < pf->n_vfs && anew; i++)
                if (!d || !d->is_vf || pci_address_equal(&pf->vfs[i].address, address))
                        forget_vf(m, &pf->vfs[i]);
}

void manager_doubt_all_vfs(Manager *m)
{
        for (size_t i = 0; i < m->n_pf_reports; i++)
                manager_doubt_vfs(m, &m->pf_reports[i].address, /* anew= */ true);
}

void manager_doubt_link(Manager *m, uint32_t ifindex)
{
        for (size_t i = 0; i < m->n_pf_reports; i++) {
                PfReport *pf = &m->pf_reports[i];

                if (ifindex > 0 && pf->ifindex != ifindex)
                        continue;
                pf->stale = true;
                for (unsigned k = 0; k < pf->n_vfs; k++) {
                        const PciAddress *vf = &pf->vfs[k].address;
                        const Track *t = manager_find_track(m, vf);

                        if (t && t->failure == REASON_VF_SETTING_REJECTED)
                                manager_track(m, vf)->retry_usec =
                                        MIN(t->retry_usec, manager_now(m) + RETRY_USEC);
                }
                manager_look_at(m, &pf->address);
        }
}

static void on_reported(const WorkerRequest *q, PoolOutcome outcome, const WorkerReply *reply,
                        void *userdata);

/* From this VF on: one reply holds only some of them. */
static void ask(Manager *m, PfReport *pf, unsigned first)
{
        const WorkerRequest q = { .verb = WORKER_REPORT_VFS,
                                  .address = pf->address,
                                  .first = first };
        int r;

        for (unsigned i = first; i < pf->n_vfs && first == 0; i++)
                pf->vfs[i].fresh = true;
        pf->stale = first == 0 ? false : pf->stale;
        r = pool_submit(m->pool, &q, m->config->daemon.write_timeout_usec, on_reported, m);
        pf->asked = r >= 0;
        if (r < 0)
                log_full(LOG_WARNING, r, &(LogFields){ .device = PCI_ADDRESS_STR(&pf->address) },
                         "Failed to ask for the settings of its VFs, going on without: %m");
}

static void on_reported(const WorkerRequest *q, PoolOutcome outcome, const WorkerReply *reply,
                        void *userdata)
{
        bool there = outcome == POOL_REPLIED && reply->error == 0 && reply->n_vfs > 0;
        Manager *m = userdata;
        PfReport *pf = find_report(m, &q->address);
        unsigned end;
        int r;

        if (!pf || !pf->asked)
                return;
        pf->ifindex = outcome == POOL_REPLIED ? reply->ifindex : 0;
        end = there ? MIN(pf->n_vfs, q->first + reply->n_vfs) : pf->n_vfs;
        for (unsigned i = q->first; i < end; i++)
                if (pf->vfs[i].fresh)
                        set_report(m, &pf->vfs[i], there ? VF_REPORT_THERE : VF_REPORT_UNAVAILABLE,
                                   there ? &reply->vfs[i - q->first] : &(VfSettings){ 0 });
        pf->asked = false;
        if (end < pf->n_vfs && !pf->stale)
                ask(m, pf, end);
        /* Nobody was asked if no worker can be started. */
        pf->stale = pf->stale || outcome == POOL_NO_WORKER;
        r = manager_schedule_look(m, outcome == POOL_NO_WORKER ? ASK_AGAIN_USEC : 0);
        if (r < 0)
                log_error_errno(r, "Failed to schedule a look at the devices: %m");
}

/* Other network functions, drives and graphics have no such settings. */
static bool has_settings(const Device *pf)
{
        return pf->total_vfs > 0 && pf->num_vfs > 0 && pf->class >> 16 == 0x02;
}

/* What is known of the PF goes over into `ret`, unless it has got other VFs. */
static int carry_over(Manager *m, const Device *pf, PfReport *ret)
{
        PfReport *known = find_report(m, &pf->address);

        if (known && known->n_vfs == pf->num_vfs) {
                *ret = *known;
                known->vfs = NULL;
                return 0;
        }
        /* An answer that is still to come is about other VFs, and none of these takes it. */
        *ret = (PfReport){ .address = pf->address, .stale = true, .asked = known && known->asked };
        ret->vfs = calloc(pf->num_vfs, sizeof(VfEntry));
        if (!ret->vfs)
                return -ENOMEM;
        ret->n_vfs = pf->num_vfs;
        return 0;
}

/* One entry for each PF of the inventory that has VFs. */
static int update_reports(Manager *m, const Inventory *inv)
{
        PfReport *reports;
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < inv->n_devices; i++)
                n += has_settings(inv->devices[i]);
        reports = calloc(n + 1, sizeof(PfReport));
        if (!reports)
                return -ENOMEM;
        n = 0;
        for (size_t i = 0; i < inv->n_devices && r >= 0; i++)
                if (has_settings(inv->devices[i]))
                        r = carry_over(m, inv->devices[i], &reports[n++]);
        vf_reports_free_all(m);
        m->pf_reports = reports;
        m->n_pf_reports = n;
        return r;
}

static void apply(Manager *m, Device *d)
{
        PfReport *pf = find_report(m, &d->pf);
        VfEntry nothing = { .report = pf ? VF_REPORT_PENDING : VF_REPORT_UNAVAILABLE };
        VfEntry *vf = &nothing;

        if (pf && d->vf_index >= 0 && (unsigned)d->vf_index < pf->n_vfs)
                vf = &pf->vfs[d->vf_index];
        vf->address = d->address;
        if (d->vf_report == vf->report && settings_equal(&d->vf_settings, &vf->settings))
                return;
        if (d->n_ref > 1) {
                manager_look_at(m, &d->address);
                return;
        }
        d->vf_report = vf->report;
        d->vf_settings = vf->settings;
}

void manager_apply_vf_reports(Manager *m, Inventory *inv)
{
        int r = update_reports(m, inv);

        if (r < 0)
                log_error_errno(r, "Failed to remember what PFs say of their VFs: %m");
        for (size_t i = 0; i < inv->n_devices; i++)
                if (inv->devices[i]->is_vf)
                        apply(m, inv->devices[i]);
        manager_watch_links(m, m->n_pf_reports > 0);
        for (size_t i = 0; i < m->n_pf_reports; i++) {
                PfReport *pf = &m->pf_reports[i];

                if (pf->stale && !pf->asked && pool_find_stuck(m->pool, &pf->address, NULL) == 0)
                        ask(m, pf, 0);
        }
}
