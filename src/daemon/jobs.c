/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Operations of clients: recorded as requests, carried out by a look, watched to their end. */

#include "basic/log.h"
#include "basic/names.h"
#include "daemon/bus.h"
#include "daemon/manager-internal.h"

#define LINGER_USEC (10 * USEC_PER_SEC)
enum { JOBS_MAX = 1024 }; /* those that linger included */

static const char *const job_state_names[_JOB_STATE_MAX] = {
        [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running",     [JOB_DONE] = "done",
        [JOB_FAILED] = "failed", [JOB_CANCELLED] = "cancelled", [JOB_TIMEOUT] = "timeout",
};

DEFINE_TO_STRING(job_state, JobState);

static const char *const operation_kind_names[] = {
        [OPERATION_BIND] = "bind",
        [OPERATION_RELEASE] = "release",
        [OPERATION_SRIOV] = "sriov",
        [OPERATION_APPLY] = "apply",
};

DEFINE_TO_STRING(operation_kind, OperationKind);

Job *manager_jobs(const Manager *m)
{
        return m->jobs;
}

Job *manager_find_job(const Manager *m, uint64_t id)
{
        for (Job *j = m->jobs; j; j = j->next)
                if (j->id == id)
                        return j;
        return NULL;
}

bool job_is_over(const Job *j)
{
        return j->state >= JOB_DONE;
}

static void job_free(Job *j)
{
        for (Job **p = &j->manager->jobs; *p; p = &(*p)->next)
                if (*p == j) {
                        *p = j->next;
                        break;
                }
        sd_event_source_disable_unref(j->linger);
        sd_bus_message_unref(j->message);
        free(j->addresses);
        request_change_done(&j->change);
        free(j->detail);
        free(j);
}

void jobs_free_all(Manager *m)
{
        while (m->jobs)
                job_free(m->jobs);
}

static int on_linger(sd_event_source *s, uint64_t usec, void *userdata)
{
        Job *j = userdata;

        bus_job_removed(j);
        job_free(j);
        return 0;
}

static void job_end(Job *j, JobState state, Reason reason, const char *detail)
{
        Manager *m = j->manager;
        int r;

        j->state = state;
        j->reason = reason;
        j->detail = detail ? strdup(detail) : NULL;
        bus_job_ended(j);
        r = sd_event_add_time_relative(m->event, &j->linger, CLOCK_MONOTONIC, LINGER_USEC, 0,
                                       on_linger, j);
        if (r < 0)
                log_warning_errno(r, "Failed to let a job linger: %m");
}

/* Whether it puts requests into the table. */
static bool job_requests(const Job *j)
{
        return j->kind == OPERATION_BIND || j->kind == OPERATION_SRIOV;
}

static unsigned job_parts(const Job *j)
{
        switch (j->kind) {
        case OPERATION_BIND:
                return REQUEST_DRIVER;
        case OPERATION_SRIOV:
                return REQUEST_COUNT;
        default:
                return REQUEST_DRIVER | REQUEST_COUNT;
        }
}

/* What it asked for of one device. Later jobs that go on never saw it. */
static void take_back(Job *j, const PciAddress *a)
{
        Manager *m = j->manager;
        unsigned parts = job_parts(j);
        int r = 0;

        for (Job *later = m->jobs; later != j && r >= 0; later = later->next)
                if (!job_is_over(later) && job_concerns(later, a)) {
                        r = request_table_take_back(&later->change.before, a, parts, &j->change);
                        parts &= ~job_parts(later);
                }
        if (r >= 0)
                r = request_table_take_back(&m->requests, a, parts, &j->change);
        if (r < 0)
                log_full(LOG_ERR, r, &(LogFields){ .device = PCI_ADDRESS_STR(a) },
                         "Failed to take back what was asked for it, it stays: %m");
        m->requests_dirty = true;
        manager_look_at(m, a);
}

/* What was asked for in vain is asked for no more; what was asked for before or since stays. */
static void drop_requests(Job *j)
{
        for (size_t i = 0; i < j->n_addresses && job_requests(j); i++) {
                const DeviceStatus *s = status_find(j->manager->status, &j->addresses[i]);

                if (!s || s->state != STATE_READY)
                        take_back(j, &j->addresses[i]);
        }
}

int job_cancel(Job *j)
{
        const RequestTable *both[] = { &j->change.before, &j->change.after };

        if (job_is_over(j))
                return -EALREADY;
        if (j->state != JOB_QUEUED)
                return -EBUSY;
        job_end(j, JOB_CANCELLED, REASON_NONE, NULL);
        for (size_t i = 0; i < ELEMENTSOF(both); i++)
                for (size_t k = 0; k < both[i]->n_requests; k++)
                        take_back(j, &both[i]->requests[k].address);
        return 0;
}

/* Of pending devices only those that wait for a driver wait for nothing that vfiod does. */
static bool is_busy(const DeviceStatus *s)
{
        return s->state == STATE_WORKING ||
               (s->state == STATE_PENDING && s->reason == REASON_WAITING);
}

/* The device that says most about the job: one at work, else the first that is not as asked. */
static const DeviceStatus *job_find_status(const Job *j, bool *ret_busy)
{
        const StatusTable *t = j->manager->status;
        const DeviceStatus *bad = NULL;

        for (size_t i = 0; i < t->n_statuses; i++) {
                const DeviceStatus *s = &t->statuses[i];

                if (!job_concerns(j, &s->address))
                        continue;
                if (is_busy(s)) {
                        *ret_busy = true;
                        return s;
                }
                if (!bad && s->state != STATE_READY && s->state != STATE_UNMANAGED)
                        bad = s;
        }
        *ret_busy = false;
        return bad;
}

/* A device asked for that is not there any more has no status at all. */
static bool job_lost_device(const Job *j)
{
        for (size_t i = 0; i < j->n_addresses; i++)
                if (!inventory_find(j->manager->inventory, &j->addresses[i]))
                        return job_requests(j);
        return false;
}

static void job_update(Job *j)
{
        const DeviceStatus *s;
        bool busy;

        s = job_find_status(j, &busy);
        if (busy) {
                if (s->state == STATE_WORKING && j->state == JOB_QUEUED) {
                        j->state = JOB_RUNNING;
                        bus_job_changed(j);
                }
                return;
        }
        if (s) {
                job_end(j, s->state == STATE_STUCK ? JOB_TIMEOUT : JOB_FAILED, s->reason,
                        s->detail);
                if (s->state != STATE_STUCK)
                        drop_requests(j);
        } else if (job_lost_device(j)) {
                job_end(j, JOB_FAILED, REASON_DEVICE_GONE, NULL);
                drop_requests(j);
        } else {
                job_end(j, JOB_DONE, REASON_NONE, NULL);
        }
}

static bool any_releases(const Manager *m)
{
        for (const Job *j = m->jobs; j; j = j->next)
                if (j->kind == OPERATION_RELEASE && !job_is_over(j))
                        return true;
        return false;
}

/*
 * Requests to release what no file wants are there only for the hazards that they accept, and end
 * with the release, also if that was an earlier daemon's.
 */
static void forget_releases(Manager *m)
{
        for (size_t i = m->requests.n_requests; i > 0; i--) {
                const Request *q = &m->requests.requests[i - 1];
                ssize_t k = inventory_index(m->inventory, &q->address);

                if (!q->release || q->accept == 0 || k < 0 || m->desired->targets[k].rule ||
                    is_busy(&m->status->statuses[m->status->by_device[k]]))
                        continue;
                request_table_remove(&m->requests, &q->address);
                m->requests_dirty = true;
        }
}

void manager_update_jobs(Manager *m)
{
        for (Job *j = m->jobs, *next; j; j = next) {
                next = j->next;
                if (!job_is_over(j))
                        job_update(j);
        }
        if (!any_releases(m))
                forget_releases(m);
}

static bool driver_is_allowed(const Manager *m, const Operation *op)
{
        return op->kind != OPERATION_BIND || op->target != TARGET_DRIVER ||
               strv_contains(m->config->daemon.allowed_drivers, op->driver) ||
               driver_name_is_vfio(op->driver);
}

static int check_pf(const Manager *m, const PciAddress *address, sd_bus_error *error)
{
        ssize_t i = inventory_index(m->inventory, address);
        const Target *t = i < 0 ? NULL : &m->desired->targets[i];
        bool moves = t && t->problem == REASON_NONE && !target_keeps_vfs(t->kind, t->driver);
        const ReasonRow *row =
                reason_row(moves ? REASON_SRIOV_DRIVER_MISSING : REASON_SRIOV_UNSUPPORTED);

        if (i < 0 || (m->inventory->devices[i]->total_vfs > 0 && !moves))
                return 0;
        return sd_bus_error_setf(error, row->dbus_error, "%s: refused: %s: %s (%s)",
                                 PCI_ADDRESS_STR(address), row->id, row->sentence, row->remedy);
}

int manager_preview(Manager *m, const Operation *op, Desired **ret_desired, Plan **ret_plan,
                    sd_bus_error *error)
{
        _cleanup_(request_table_done) RequestTable requests = { 0 };
        int r;

        if (!m->inventory)
                return sd_bus_error_set(error, VFIOD_ERROR("DeviceBusy"),
                                        "vfiod has not looked at the devices yet, try again");
        if (!driver_is_allowed(m, op))
                return sd_bus_error_setf(error, VFIOD_ERROR("DriverNotAllowed"),
                                         "Driver '%s' is not allowed (add it to AllowedDrivers= in "
                                         "vfiod.conf)",
                                         op->driver);
        r = op->kind == OPERATION_SRIOV ? check_pf(m, &op->addresses[0], error) : 0;
        if (r >= 0)
                r = request_table_copy(&m->requests, &requests);
        if (r >= 0)
                r = operation_request(op, m, &requests);
        if (r < 0)
                return r;
        return manager_compute(m, m->inventory, &requests, ret_desired, ret_plan);
}

/* The oldest of those that are over makes room. */
static int check_jobs(const Manager *m, uint32_t uid, sd_bus_error *error)
{
        unsigned n = 0, n_user = 0;
        Job *over = NULL;

        for (Job *j = m->jobs; j; j = j->next) {
                n++;
                n_user += j->uid == uid && !job_is_over(j);
                over = job_is_over(j) ? j : over;
        }
        if ((uid != 0 && n_user >= m->config->daemon.max_jobs_per_user) || (n >= JOBS_MAX && !over))
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "There are %u jobs, %u of user %u (wait for one to end, "
                                         "or see MaxJobsPerUser=)",
                                         n, n_user, uid);
        return n >= JOBS_MAX ? on_linger(over->linger, 0, over) : 0;
}

static int check_submission(const Manager *m, const Operation *op, sd_bus_error *error)
{
        if (m->config->disabled)
                return sd_bus_error_set(error, VFIOD_ERROR("Disabled"),
                                        "vfiod=off is on the kernel command line: boot without it");
        return check_jobs(m, op->uid, error);
}

/* At its place, once. */
static int add_address(Job *j, const PciAddress *a)
{
        size_t i = j->n_addresses;

        while (i > 0 && pci_address_compare(&j->addresses[i - 1], a) > 0)
                i--;
        if (i > 0 && pci_address_equal(&j->addresses[i - 1], a))
                return 0;
        if (!INSERT(j->addresses, j->n_addresses, i))
                return -ENOMEM;
        j->addresses[i] = *a;
        return 0;
}

/* An apply is about all devices that now differ from what the files say. */
static int collect_differing(Manager *m, const RequestTable *requests, Job *j)
{
        _cleanup_(desired_freep) Desired *desired = NULL;
        _cleanup_(plan_freep) Plan *plan = NULL;
        int r;

        r = manager_compute(m, m->inventory, requests, &desired, &plan);
        for (size_t i = 0; r >= 0 && i < plan->n_units; i++)
                for (size_t k = 0; r >= 0 && k < plan->units[i].n_members; k++)
                        r = add_address(j, &plan->units[i].members[k]);
        return r;
}

static int collect_addresses(Manager *m, const Operation *op, const RequestTable *requests, Job *j)
{
        int r = 0;

        if (op->kind == OPERATION_APPLY)
                return collect_differing(m, requests, j);
        for (size_t i = 0; r >= 0 && i < op->n_addresses; i++)
                r = add_address(j, &op->addresses[i]);
        return r;
}

static int job_new(Manager *m, const Operation *op, const RequestTable *requests, Job **ret)
{
        Job *j = calloc(1, sizeof(Job));
        struct timespec now;
        int r;

        if (!j)
                return -ENOMEM;
        j->manager = m;
        j->kind = op->kind;
        j->uid = op->uid;
        r = collect_addresses(m, op, requests, j);
        if (r < 0) {
                free(j->addresses);
                free(j);
                return r;
        }
        clock_gettime(CLOCK_REALTIME, &now);
        j->started_usec = (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
        j->id = ++m->last_job;
        j->next = m->jobs;
        m->jobs = j;
        *ret = j;
        return 0;
}

/* The operator asked again: no back-off, no contention, for the device and its group. */
static void reset_tracks(Manager *m, const Job *j)
{
        for (size_t i = 0; i < m->inventory->n_devices; i++) {
                const Device *d = m->inventory->devices[i];
                const Group *g = inventory_group(m->inventory, d->group);
                Track *t;

                if (!job_concerns(j, &d->address))
                        continue;
                t = manager_track(m, &d->address);
                if (t)
                        track_ask_again(t);
                for (size_t k = 0; g && k < g->n_members; k++) {
                        t = manager_track(m, &g->members[k]->address);
                        if (t)
                                track_ask_again(t);
                }
        }
}

/* The requests as the operation leaves them, and what it changes. */
static int change_requests(Manager *m, const Operation *op, RequestTable *ret, RequestChange *c)
{
        int r;

        r = request_table_copy(&m->requests, ret);
        if (r >= 0 && !(op->persist && op->kind != OPERATION_RELEASE))
                r = operation_request(op, m, ret);
        if (r >= 0)
                r = request_table_subtract(&m->requests, ret, &c->before);
        return r < 0 ? r : request_table_subtract(ret, &m->requests, &c->after);
}

static int persist(Manager *m, const Operation *op, sd_bus_error *error)
{
        if (!op->persist)
                return 0;
        return op->kind == OPERATION_RELEASE ? persist_release(m, op, error)
                                             : persist_write(m, op, error);
}

int manager_submit(Manager *m, const Operation *op, Job **ret, sd_bus_error *error)
{
        _cleanup_(request_table_done) RequestTable requests = { 0 };
        _cleanup_(request_change_done) RequestChange change = { 0 };
        RequestTable before;
        Job *j;
        int r;

        r = check_submission(m, op, error);
        if (r >= 0)
                r = persist(m, op, error);
        if (r >= 0)
                r = change_requests(m, op, &requests, &change);
        if (r >= 0)
                r = manager_schedule_look(m, 0);
        if (r >= 0)
                r = job_new(m, op, &requests, &j);
        if (r < 0)
                return r;
        before = m->requests;
        m->requests = requests;
        requests = before;
        m->requests_dirty = true;
        j->change = change;
        change = (RequestChange){ 0 };
        reset_tracks(m, j);
        for (size_t i = 0; i < j->n_addresses; i++)
                manager_look_at(m, &j->addresses[i]);
        bus_job_new(j);
        *ret = j;
        return 0;
}
