/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Units under way: beginning them, writing down what was there before, taking in the result. */

#include "basic/log.h"
#include "daemon/manager-internal.h"
#include "model/schedule.h"
#include "model/unit.h"

struct Work {
        Manager *manager;
        Run *run;
        Origin *before; /* what the run replaced in the table of origins, to be put back if it is
                           rolled back. Stamp 0: there was no entry */
        size_t n_before, n_moved; /* the first of them are moved, the others only approved */
        bool recorded;            /* what was there before is in the table of origins */
        bool waiting;             /* for that table to be on disk */
        bool saving;              /* it is on its way there */
        bool over;
        struct Work *next;
};

static Work *work_free(Work *w)
{
        if (!w)
                return NULL;
        run_free(w->run);
        for (size_t i = 0; i < w->n_before; i++)
                origin_done(&w->before[i]);
        free(w->before);
        free(w);
        return NULL;
}

void work_free_all(Manager *m)
{
        while (m->work) {
                Work *next = m->work->next;

                work_free(m->work);
                m->work = next;
        }
}

/* Runs are freed here and not in their own callback. */
static void collect_garbage(Manager *m)
{
        for (Work **p = &m->work; *p;) {
                Work *w = *p;

                if (!w->over) {
                        p = &w->next;
                        continue;
                }
                *p = w->next;
                work_free(w);
        }
}

static int copy_string(const char *s, char **ret)
{
        if (!s)
                return 0;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

/* The driver that the unit takes the device for; NULL: it does not take it. */
static const char *intended_driver(const Unit *u, const PciAddress *a)
{
        const Step *s = unit_find_step(u, STEP_SET_OVERRIDE, a);

        if (!s)
                return unit_find_step(u, STEP_CLEAR_OVERRIDE, a) ? "" : NULL;
        return streq(s->argument, "none") ? "" : s->argument;
}

/* What was there before the device was taken. */
static int fill_taken(const Device *d, const Origin *known, const Origin *inspected,
                      const char *intended, Origin *o)
{
        bool was = known && known->taken;
        int r;

        o->taken = was || intended;
        r = copy_string(origin_former_driver(known, d), &o->driver);
        if (r >= 0 && o->taken)
                r = copy_string(was ? known->override : inspected->override, &o->override);
        if (r >= 0)
                r = copy_string(intended ? intended : known ? known->intended : NULL, &o->intended);
        return r;
}

/* How many VFs the PF had before vfiod changed that, and whether drivers took them. */
static void fill_counted(const Unit *u, const Origin *known, const Origin *inspected, Origin *o)
{
        const Step *autoprobe = unit_find_step(u, STEP_SET_AUTOPROBE, &o->address);
        bool was = known && known->counted;

        o->counted = was || unit_find_step(u, STEP_SET_NUMVFS, &o->address);
        if (o->counted)
                o->num_vfs = was ? known->num_vfs : inspected->num_vfs;
        o->autoprobe_off =
                (known && known->autoprobe_off) || (autoprobe && streq(autoprobe->argument, "0"));
}

static int make_origin(const Manager *m, const Device *d, const Origin *known,
                       const Origin *inspected, const Unit *u, Origin *ret)
{
        _cleanup_(origin_done) Origin o = { .address = d->address };
        const Target *t = &m->desired->targets[inventory_index(m->inventory, &d->address)];
        const uint8_t *mac = d->has_mac ? d->mac : known && known->has_mac ? known->mac : NULL;
        const char *intended = intended_driver(u, &d->address);
        int r;

        if (mac) {
                memcpy(o.mac, mac, sizeof(o.mac));
                o.has_mac = true;
        }
        r = identity_from_device(d, &o.identity);
        if (r >= 0)
                r = fill_taken(d, known, inspected, intended, &o);
        if (r >= 0)
                r = copy_string(t->rule && !t->requested ? t->rule->name : NULL, &o.rule);
        o.implied = intended ? t->implied : known && known->implied;
        fill_counted(u, known, inspected, &o);
        if (r < 0)
                return r;
        *ret = o;
        o = (Origin){ 0 };
        return 0;
}

/* Takes over the content of `o`, and keeps the entry that it replaces. */
static int put_origin(Work *w, Origin *o)
{
        OriginTable *t = &w->manager->origins;
        Origin *found = origin_table_find(t, &o->address);

        if (!GROW(w->before, w->n_before))
                return -ENOMEM;
        w->before[w->n_before++] = found ? *found : (Origin){ .address = o->address };
        if (found)
                *found = (Origin){ .address = o->address };
        return origin_table_put(t, o);
}

/* Units that begin together share one save. The last of them is not to be waited for too long. */
#define SAVE_TOGETHER_USEC (200 * USEC_PER_MSEC)

static bool others_will_record(const Manager *m)
{
        for (const Work *w = m->work; w; w = w->next)
                if (!w->over && !w->recorded && !run_unit(w->run)->restore)
                        return true;
        return false;
}

void manager_note_save(Manager *m)
{
        for (Work *w = m->work; w; w = w->next)
                w->saving = w->waiting;
}

/* While the disk took its time another card may have come to the place of one. */
static bool cards_are_there(const Work *w)
{
        const Manager *m = w->manager;

        for (size_t i = 0; i < w->n_moved; i++) {
                const Device *d = inventory_find(m->inventory, &w->before[i].address);

                if (!d || !origin_table_find_device(&m->origins, d))
                        return false;
        }
        return true;
}

void manager_resume_work(Manager *m, int error)
{
        for (Work *w = m->work; w; w = w->next)
                if (w->waiting && (w->saving || error < 0)) {
                        w->waiting = false;
                        run_resume(w->run, error < 0 || cards_are_there(w) ? error : -ENODEV);
                }
}

/* The group is approved with the members that it has: one that comes later shows. */
static int approve_members(Work *w, const Unit *u)
{
        const Manager *m = w->manager;
        int r = 0;

        for (size_t i = 0; i < u->n_members && !u->sriov && r >= 0; i++) {
                const Device *d = inventory_find(m->inventory, &u->members[i]);
                _cleanup_(origin_done) Origin o = { .address = u->members[i] };

                if (!d || origin_table_find_device(&m->origins, d))
                        continue;
                r = identity_from_device(d, &o.identity);
                if (r >= 0 && d->driver_is_vfio)
                        r = copy_string(d->driver, &o.intended);
                if (r >= 0)
                        r = put_origin(w, &o);
        }
        return r;
}

/* On disk before the first write into the kernel. */
static int on_record(Run *run, const OriginTable *before, void *userdata)
{
        Work *w = userdata;
        Manager *m = w->manager;
        int r;

        for (size_t i = 0; i < before->n_origins; i++) {
                _cleanup_(origin_done) Origin o = { 0 };
                const Origin *inspected = &before->origins[i], *known;
                const Device *d = inventory_find(m->inventory, &inspected->address);

                if (!d)
                        return -ENODEV;
                known = origin_table_find_device(&m->origins, d);
                r = make_origin(m, d, known, inspected, run_unit(run), &o);
                if (r >= 0)
                        r = put_origin(w, &o);
                if (r < 0)
                        return r;
        }
        w->n_moved = w->n_before;
        r = approve_members(w, run_unit(run));
        if (r < 0)
                return r;
        m->origins_dirty = true;
        w->recorded = w->waiting = true;
        r = manager_save_in(m, others_will_record(m) ? SAVE_TOGETHER_USEC : 0);
        if (r < 0)
                w->waiting = false;
        return r < 0 ? r : 1;
}

static void restore_origins(Work *w)
{
        OriginTable *t = &w->manager->origins;

        for (size_t i = 0; i < w->n_before; i++) {
                const PciAddress address = w->before[i].address;

                if (w->before[i].stamp == 0 || origin_table_put(t, &w->before[i]) < 0)
                        origin_table_remove(t, &address);
                w->manager->origins_dirty = true;
        }
}

static void take_in_failure(Manager *m, Track *t, const RunResult *result)
{
        bool culprit = pci_address_equal(&t->address, &result->address);
        _cleanup_free_ char *about = NULL;
        const char *detail;

        if (!culprit && asprintf(&about, "%s: %s", PCI_ADDRESS_STR(&result->address),
                                 strempty(result->detail)) < 0)
                about = NULL;
        detail = culprit ? result->detail : about;
        /* What is stuck is explained by the next look. */
        track_failed(t, result->reason, t->stuck ? NULL : detail, manager_now(m),
                     m->config->daemon.retry_max_usec);
        t->error = result->error;
}

/* A number of VFs for which others had to go is not tried again by itself. */
static void give_up(Track *pf, const Unit *u)
{
        const Step *s = unit_find_step(u, STEP_SET_NUMVFS, &u->members[0]);

        if (u->sriov && s && u->num_vfs > 0 && pf)
                pf->gave_up = (unsigned)strtoul(s->argument, NULL, 10);
}

/* Steps whose failure did not end the run: only their device is not as declared. */
static void take_in_notes(Manager *m, const RunResult *result)
{
        for (size_t i = 0; i < result->n_notes; i++) {
                const RunNote *n = &result->notes[i];
                Track *t = manager_track(m, &n->address);

                if (!t)
                        continue;
                t->attempted = false;
                track_failed(t, n->reason, n->detail, manager_now(m),
                             m->config->daemon.retry_max_usec);
                t->error = n->error;
        }
}

/* Whether it helped, the next look shows; here only what went wrong is known. */
static void take_in_result(Manager *m, const Unit *u, const RunResult *result)
{
        for (size_t i = 0; i < u->n_members; i++) {
                Track *t = manager_track(m, &u->members[i]);

                if (!t)
                        continue;
                if (u->sriov && i > 0) {
                        track_reset(t); /* a VF that is gone, or has its life before it */
                        continue;
                }
                t->working = false;
                if (!result->ok || (result->replan && t->replanned))
                        take_in_failure(m, t, result);
                else if (result->replan)
                        t->replanned = true;
                else
                        t->attempted = !t->overtaken;
        }
        if (!result->ok && result->counted && !result->stuck)
                give_up(manager_track(m, &u->members[0]), u);
        take_in_notes(m, result);
}

/* What the unit may have changed of VFs and their settings is to be read and asked for anew. */
static void doubt_changed(Manager *m, const Unit *u)
{
        for (size_t i = 0; i < u->n_steps; i++)
                if (u->steps[i].kind == STEP_SET_NUMVFS || u->steps[i].kind == STEP_VF_SETTING)
                        manager_doubt_vfs(m, &u->steps[i].address, /* anew= */ true);
        for (size_t i = 0; i < u->n_members; i++)
                manager_look_at(m, &u->members[i]);
}

static void report_vfs(const Unit *u)
{
        const PciAddress *pf = &u->members[0];
        const Step *s = unit_find_step(u, STEP_SET_NUMVFS, pf);

        if (u->sriov && s)
                log_full(LOG_INFO, 0, &(LogFields){ .device = PCI_ADDRESS_STR(pf) },
                         "has %s VFs now, had %u.", s->argument, u->num_vfs);
}

static bool any_works(const Manager *m)
{
        for (const Work *w = m->work; w; w = w->next)
                if (!w->over)
                        return true;
        return false;
}

static void on_done(Run *run, const RunResult *result, void *userdata)
{
        Work *w = userdata;
        Manager *m = w->manager;
        const Unit *u = run_unit(run);
        int r;

        w->over = true;
        take_in_result(m, u, result);
        if (result->ok && !result->replan) {
                unit_settle(u, &m->origins);
                m->origins_dirty = m->origins_dirty || u->n_back > 0 || u->sriov;
                report_vfs(u);
        } else if (!result->begun || result->replan || result->rolled_back) {
                restore_origins(w);
        }
        doubt_changed(m, u);
        /* Of many units that end in a row, not each is worth a look of its own. */
        r = any_works(m) ? 0 : manager_schedule_look(m, 0);
        if (r < 0)
                log_error_errno(r, "Failed to schedule a look at the devices: %m");
}

static int begin(Manager *m, const Unit *u)
{
        static const RunHooks hooks = { on_record, on_done };
        Work *w = calloc(1, sizeof(Work));
        int r;

        if (!w)
                return -ENOMEM;
        w->manager = m;
        r = run_new(m->pool, u, m->config->daemon.write_timeout_usec, &hooks, w, &w->run);
        if (r < 0) {
                work_free(w);
                return r;
        }
        w->next = m->work;
        m->work = w;
        /* VFs are not worked on when their PF is: they only wait for it. */
        for (size_t i = 0; i < (u->sriov ? 1 : u->n_members); i++) {
                Track *t = manager_track(m, &u->members[i]);

                if (t) {
                        t->working = true;
                        t->overtaken = false;
                }
        }
        return 0;
}

bool manager_start_work(Manager *m)
{
        uint64_t now = manager_now(m);
        bool begun = false;

        collect_garbage(m);
        if (m->config->disabled)
                return false;
        for (size_t i = 0; i < m->plan->n_units; i++) {
                const Unit *u = &m->plan->units[i];
                int r;

                if (schedule_due(u, m->inventory, manager_find_track, m) > now)
                        continue;
                r = begin(m, u);
                if (r < 0)
                        log_full(LOG_ERR, r,
                                 &(LogFields){ .device = PCI_ADDRESS_STR(&u->members[0]) },
                                 "Failed to begin work on it: %m");
                begun = begun || r >= 0;
        }
        return begun;
}

uint64_t manager_next_retry(const Manager *m)
{
        uint64_t next = USEC_INFINITY, now = manager_now(m);

        for (size_t i = 0; i < m->plan->n_units && !m->config->disabled; i++) {
                uint64_t due = schedule_due(&m->plan->units[i], m->inventory, manager_find_track,
                                            (void *)m);

                if (due > now)
                        next = MIN(next, due);
        }
        return next;
}
