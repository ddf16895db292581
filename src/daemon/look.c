/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The heart of the daemon: take a snapshot, compute what is to be done, begin what can be begun,
 * tell what changed. Events, timers, reloads and requests all end here and mean the same.
 */

#include "basic/log.h"
#include "daemon/bus.h"
#include "daemon/manager-internal.h"
#include "model/unit.h"
#include "sys/scan.h"
#include "sys/usage.h"

#include <malloc.h>
#include <systemd/sd-daemon.h>

/* Events that come within this time share one look. */
#define DEBOUNCE_USEC (30 * USEC_PER_MSEC)

/* Looks that events cause are so many times their own length apart. */
enum { LOOK_SHARE = 5 };

/* More devices than that are looked at by one full look. */
enum { LOOK_MAX = 256 };

/*
 * What a look at more than that, work and the signals after them had lies scattered. A while later
 * it goes back to the kernel, and not at once: the next look would only have to ask for it again.
 */
enum { LOOK_MANY = 16 };
#define TIDY_USEC USEC_PER_SEC

static int on_tidy(sd_event_source *s, uint64_t usec, void *userdata)
{
        (void)malloc_trim(0);
        return 0;
}

static int on_look(sd_event_source *s, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        bool many = m->look_all || m->n_look > LOOK_MANY, worked = m->work;
        uint64_t begin = now_usec();
        int r = manager_look(m);

        m->next_look = now_usec() + LOOK_SHARE * (now_usec() - begin);
        if (r >= 0 && (many || worked))
                r = manager_arm(m, &m->tidy_timer, TIDY_USEC, on_tidy);
        if (r < 0) {
                log_error_errno(r, "Failed to look at the devices, trying again: %m");
                m->look_all = true;
                return manager_schedule_look(m, USEC_PER_SEC);
        }
        return 0;
}

int manager_schedule_look(Manager *m, uint64_t delay)
{
        return manager_arm(m, &m->look_timer, delay, on_look);
}

static void schedule(Manager *m)
{
        uint64_t now = now_usec(), due = MAX(now + DEBOUNCE_USEC, m->next_look);
        int r = manager_schedule_look(m, due - now);

        if (r < 0)
                log_error_errno(r, "Failed to schedule a look at the devices: %m");
}

void manager_look_at_all(Manager *m)
{
        m->look_all = true;
        schedule(m);
}

void manager_look_at(Manager *m, const PciAddress *address)
{
        PciAddress *grown;

        schedule(m);
        for (size_t i = 0; i < m->n_look; i++)
                if (pci_address_equal(&m->look[i], address))
                        return;
        grown = m->look_all || m->n_look == LOOK_MAX
                        ? NULL
                        : reallocarray(m->look, m->n_look + 1, sizeof(PciAddress));
        if (!grown) {
                m->look_all = true;
                return;
        }
        m->look = grown;
        m->look[m->n_look++] = *address;
}

void manager_look_at_group(Manager *m, int group)
{
        const Group *g = inventory_group(m->inventory, group);

        if (g)
                manager_look_at(m, &g->members[0]->address);
}

/* VFs that had to go for a number that failed are not made to go for it again and again. */
static void note_given_up(const Manager *m, const Inventory *inv, Desired *desired)
{
        for (size_t i = 0; i < m->n_tracks; i++) {
                const Track *t = &m->tracks[i];
                ssize_t k = t->gave_up > 0 ? inventory_index(inv, &t->address) : -1;

                if (k >= 0 && desired->targets[k].num_vfs == (int)t->gave_up)
                        desired->targets[k].gave_up = t->failure;
        }
}

/* Nothing begins where work is under way, so nobody is asked for there. */
static void leave_out_working(Manager *m, const Inventory *inv, UseTable *uses)
{
        size_t n = 0;

        for (size_t i = 0; i < uses->n_asked; i++) {
                const Device *d = inventory_find(inv, &uses->asked[i]);
                const Track *own = manager_find_track(m, &uses->asked[i]);
                const Track *pf = d && d->is_vf ? manager_find_track(m, &d->pf) : NULL;

                if (!(own && track_is_closed(own)) && !(pf && track_is_closed(pf)))
                        uses->asked[n++] = uses->asked[i];
        }
        uses->n_asked = n;
}

int manager_compute(Manager *m, const Inventory *inv, const RequestTable *requests,
                    Desired **ret_desired, Plan **ret_plan)
{
        _cleanup_(desired_freep) Desired *desired = NULL;
        _cleanup_(use_table_done) UseTable uses = { 0 };
        DriverChoice *choices = NULL;
        Plan *plan = NULL;
        int r;

        r = desired_update(m->config, requests, &m->origins, inv,
                           &(Known){ m->inventory, m->desired }, &desired);
        if (r >= 0 && requests == &m->requests)
                note_given_up(m, inv, desired);
        if (r >= 0)
                r = driver_choices_resolve(&m->root, &m->aliases, inv, desired, &m->origins,
                                           &choices);
        if (r >= 0)
                r = plan_ask_uses(inv, desired, choices, &m->origins, &uses);
        if (r >= 0) {
                leave_out_working(m, inv, &uses);
                r = usage_read(&m->root, inv, &uses);
        }
        if (r >= 0)
                r = plan_compute(inv, desired, choices, &m->origins, &uses, &plan);
        driver_choices_free(choices, inv->n_devices);
        if (r < 0)
                return r;
        *ret_desired = TAKE_PTR(desired);
        *ret_plan = plan;
        return 0;
}

static int take_inventory(Manager *m, Inventory **ret)
{
        int r;

        if (m->look_all || !m->inventory)
                r = scan_all(&m->root, ret);
        else
                r = scan_changed(&m->root, m->inventory, m->look, m->n_look, ret);
        if (r < 0)
                return r;
        m->look_all = false;
        m->n_look = 0;
        return 0;
}

/*
 * Whether the look says how an attempt ended, or that another program was there. Not while an
 * event or an answer is waited for, and not of a PF that has its VFs and only waits for them with
 * its autoprobe.
 */
static bool is_telling(const DeviceStatus *s)
{
        const Unit *u = s->unit;

        if (s->state == STATE_READY || s->state == STATE_UNMANAGED)
                return true;
        if ((s->state != STATE_PENDING && s->state != STATE_FAILED) || !s->differs)
                return false;
        return !u || !u->sriov || unit_find_step(u, STEP_SET_NUMVFS, &u->members[0]);
}

/* What the look says of earlier attempts, and of what other programs did. Whether that changes any
 * status. */
static bool observe(Manager *m)
{
        uint64_t now = manager_now(m);
        bool changed = false;

        for (size_t i = 0; i < m->status->n_statuses; i++) {
                const DeviceStatus *s = &m->status->statuses[i];
                bool ready = s->state == STATE_READY, contended;
                unsigned n_failures;
                Track *t;

                if (!is_telling(s) || (!ready && !manager_find_track(m, &s->address)))
                        continue;
                t = manager_track(m, &s->address);
                if (!t)
                        continue;
                n_failures = t->n_failures;
                contended = t->contended;
                if (s->state == STATE_UNMANAGED)
                        track_reset(t);
                else
                        track_observe(t, ready, now, m->config->daemon.retry_max_usec);
                changed = changed || t->n_failures != n_failures || t->contended != contended;
        }
        return changed;
}

static int refresh_status(Manager *m)
{
        StatusTable *status;
        int r;

        r = status_compute(m->inventory, m->desired, m->plan, m->config->disabled,
                           manager_find_track, m, &status);
        if (r < 0)
                return r;
        status_table_free(m->status);
        m->status = status;
        return 0;
}

static void update_manager_state(Manager *m)
{
        unsigned counts[_DEVICE_STATE_MAX] = { 0 }, unsettled, wrong;
        ManagerState state;
        bool changed;

        for (size_t i = 0; i < m->status->n_statuses; i++)
                counts[m->status->statuses[i].state]++;
        unsettled = counts[STATE_PENDING] + counts[STATE_WORKING];
        wrong = counts[STATE_BLOCKED] + counts[STATE_FAILED] + counts[STATE_STUCK] +
                counts[STATE_CONTENDED] + counts[STATE_ABSENT];
        if (unsettled == 0)
                manager_set_settled(m, /* late= */ false);
        if (m->config->disabled)
                state = MANAGER_DISABLED;
        else if (!m->settled)
                state = MANAGER_STARTING;
        else if (wrong > 0 || config_has_errors(m->config) ||
                 (unsettled > 0 && m->state == MANAGER_DEGRADED))
                state = MANAGER_DEGRADED; /* one that is tried again is not yet right again */
        else
                state = MANAGER_READY;
        changed = state != m->state || memcmp(counts, m->counts, sizeof(counts)) != 0;
        memcpy(m->counts, counts, sizeof(counts));
        m->state = state;
        if (!changed)
                return;
        (void)sd_notifyf(false, "STATUS=%s: %u ready, %u pending or working, %u not as declared",
                         manager_state_to_string(state), counts[STATE_READY], unsettled, wrong);
        bus_emit_manager_changed(m);
}

/* No event tells when a program lets go of a VF or of a VFIO node. */
#define POLL_USEC (5 * USEC_PER_SEC)

static bool waits_for_programs(const Manager *m)
{
        for (size_t i = 0; i < m->plan->n_units && !m->config->disabled; i++)
                for (size_t k = 0; k < m->plan->units[i].n_refusals; k++) {
                        Reason reason = m->plan->units[i].refusals[k].reason;

                        if (reason == REASON_VFS_IN_USE || reason == REASON_DEVICE_IN_USE)
                                return true;
                }
        return false;
}

static int arm_retry(Manager *m)
{
        uint64_t next = manager_next_retry(m);
        int r;

        if (waits_for_programs(m))
                next = MIN(next, manager_now(m) + POLL_USEC);
        if (next == USEC_INFINITY)
                return sd_event_source_set_enabled(m->retry_timer, SD_EVENT_OFF);
        r = sd_event_source_set_time(m->retry_timer, next);
        return r < 0 ? r : sd_event_source_set_enabled(m->retry_timer, SD_EVENT_ONESHOT);
}

/* What is given back need not be on disk at once: to give it back once more does no harm. */
#define SAVE_LATER_USEC (50 * USEC_PER_MSEC)

static int save_later(Manager *m)
{
        if (m->requests_dirty)
                return manager_save_in(m, 0);
        return m->origins_dirty ? manager_save_in(m, SAVE_LATER_USEC) : 0;
}

/* What the look replaces; kept until everyone was told what changed. */
typedef struct Previous {
        Inventory *inventory;
        Desired *desired;
        Plan *plan;
        StatusTable *status;
} Previous;

static void previous_done(Previous *p)
{
        status_table_free(p->status);
        plan_free(p->plan);
        desired_free(p->desired);
        inventory_free(p->inventory);
}

int manager_look(Manager *m)
{
        _cleanup_(previous_done) Previous before = { 0 };
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_(desired_freep) Desired *desired = NULL;
        _cleanup_(plan_freep) Plan *plan = NULL;
        StatusTable *status;
        Snapshot was, is;
        bool changed;
        int r;

        r = take_inventory(m, &inventory);
        if (r < 0)
                return r;
        /* Without the serial numbers that files ask for, nothing can be decided yet. */
        if (!manager_apply_serials(m, inventory))
                return 0;
        manager_apply_vf_reports(m, inventory);
        r = manager_compute(m, inventory, &m->requests, &desired, &plan);
        if (r < 0)
                return r;
        manager_explain_stuck(m, inventory);
        r = status_compute(inventory, desired, plan, m->config->disabled, manager_find_track, m,
                           &status);
        if (r < 0)
                return r;
        before = (Previous){ m->inventory, m->desired, m->plan, m->status };
        m->inventory = TAKE_PTR(inventory);
        m->desired = TAKE_PTR(desired);
        m->plan = TAKE_PTR(plan);
        m->status = status;

        m->origins_dirty = origin_table_prune(&m->origins, m->inventory, m->desired, m->config,
                                              manager_find_track, m) ||
                           m->origins_dirty;
        changed = observe(m);
        changed = manager_start_work(m) || changed;
        r = changed ? refresh_status(m) : 0;
        if (r < 0)
                return r;
        was = (Snapshot){ before.inventory, before.desired, before.plan, before.status,
                          &m->origins };
        is = manager_snapshot(m);
        report_changes(m, &was, &is);
        bus_emit_changes(m, &was, &is);
        update_manager_state(m);
        manager_update_jobs(m);
        r = save_later(m);
        return r < 0 ? r : arm_retry(m);
}
