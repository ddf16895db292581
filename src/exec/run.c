/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "exec/run.h"
#include "basic/strv.h"
#include "exec/step-error.h"
#include "model/unit.h"

#include <stdio.h>

struct Run {
        Pool *pool;
        Unit unit;
        Unit undo;
        const Unit *current; /* &unit, or &undo while rolling back */
        bool *done;          /* parallel to current->steps */
        size_t next;         /* first step of the phase after this one */
        size_t outstanding;
        unsigned n_asked; /* who uses the devices: first of all, and right before one is taken */
        bool inspected;   /* what some device has now is known */
        bool prepared;    /* what is written comes next */
        OriginTable before;
        uint64_t timeout_usec;
        RunHooks hooks;
        void *userdata;
        RunResult result;
};

static void run_phase(Run *run);
static void run_prepare(Run *run);

Run *run_free(Run *run)
{
        if (!run)
                return NULL;
        unit_done(&run->unit);
        unit_done(&run->undo);
        origin_table_done(&run->before);
        free(run->done);
        free(run->result.detail);
        for (size_t i = 0; i < run->result.n_notes; i++)
                free(run->result.notes[i].detail);
        free(run->result.notes);
        free(run);
        return NULL;
}

const Unit *run_unit(const Run *run)
{
        return &run->unit;
}

static void run_end(Run *run)
{
        run->hooks.done(run, &run->result, run->userdata);
}

/* Keeps the first failure: the later ones mostly follow from it. */
static void run_fail(Run *run, Reason reason, const PciAddress *address, char *detail)
{
        if (!run->result.ok) {
                free(detail);
                return;
        }
        run->result.ok = false;
        run->result.reason = reason;
        run->result.address = *address;
        run->result.detail = detail;
}

/* Takes over `detail`. */
static int run_note(Run *run, Reason reason, const PciAddress *address, int error, char *detail)
{
        if (!GROW(run->result.notes, run->result.n_notes)) {
                free(detail);
                return -ENOMEM;
        }
        run->result.notes[run->result.n_notes++] = (RunNote){ *address, reason, error, detail };
        return 0;
}

/* Whether there is an answer of the kernel. Without one the run has failed. */
static bool was_done(Run *run, const WorkerRequest *q, PoolOutcome outcome,
                     const WorkerReply *reply)
{
        bool stuck = outcome == POOL_TIMED_OUT || outcome == POOL_CLOSED;

        if (outcome == POOL_REPLIED && !reply->not_begun)
                return true;
        run->result.stuck = run->result.stuck || stuck;
        run_fail(run, stuck ? REASON_WRITE_TIMEOUT : REASON_DRIVER_REJECTED, &q->address,
                 step_loss_sentence((WorkerVerb)q->verb, outcome, reply));
        return false;
}

static bool binds_driver(const Unit *u, const char *driver)
{
        for (size_t i = 0; i < u->n_steps; i++)
                if (u->steps[i].kind == STEP_BIND && streq(u->steps[i].argument, driver))
                        return true;
        return false;
}

/* What comes after the module was planned for a driver that it does not have. */
static void run_replan(Run *run, const Step *s, const char *driver)
{
        char *detail;

        run->result.replan = true;
        run->result.reason = REASON_DRIVER_REJECTED;
        run->result.address = s->address;
        if (asprintf(&detail,
                     "the module '%s' brings the driver '%s' and not the one declared: declare "
                     "that one",
                     s->argument, driver) >= 0) {
                free(run->result.detail);
                run->result.detail = detail;
        }
}

static void step_ended(Run *run, size_t i, const WorkerRequest *q, PoolOutcome outcome,
                       const WorkerReply *reply)
{
        const Step *s = &run->current->steps[i];

        if (!was_done(run, q, outcome, reply)) {
                /* It may have happened, and taking it back does no harm if not. */
                run->done[i] = outcome == POOL_DIED && run->current == &run->unit;
                return;
        }
        if (reply->error != 0 && s->kind == STEP_VF_SETTING &&
            run_note(run, REASON_VF_SETTING_REJECTED, &s->address, reply->error,
                     step_sentence(s, reply)) >= 0)
                return;
        /* Whether a driver takes a VF that nobody declared is the kernel's affair. */
        if (reply->error != 0 && !(s->kind == STEP_PROBE && run->unit.sriov)) {
                if (run->result.ok)
                        run->result.error = reply->error;
                run_fail(run, step_reason(s, reply->error), &s->address, step_sentence(s, reply));
                return;
        }
        run->done[i] = true;
        if (s->kind == STEP_LOAD_MODULE && !startswith(s->argument, "pci:") && reply->text[0] &&
            !binds_driver(run->current, reply->text))
                run_replan(run, s, reply->text);
}

/* Within a phase a device has one step, so address and argument tell which one it was. */
static ssize_t find_step(const Run *run, const WorkerRequest *q)
{
        for (size_t i = 0; i < run->next; i++) {
                const Step *s = &run->current->steps[i];

                if (!run->done[i] && pci_address_equal(&s->address, &q->address) &&
                    streq(strempty(s->argument), q->argument))
                        return (ssize_t)i;
        }
        return -1;
}

static void on_step(const WorkerRequest *q, PoolOutcome outcome, const WorkerReply *reply,
                    void *userdata)
{
        Run *run = userdata;
        ssize_t i = find_step(run, q);

        run->outstanding--;
        if (i >= 0)
                step_ended(run, (size_t)i, q, outcome, reply);
        if (run->outstanding == 0)
                run_phase(run);
}

static void step_to_request(const Step *s, WorkerRequest *ret)
{
        static const WorkerVerb verbs[_STEP_KIND_MAX] = {
                [STEP_LOAD_MODULE] = WORKER_LOAD_MODULE,
                [STEP_SET_OVERRIDE] = WORKER_SET_OVERRIDE,
                [STEP_CLEAR_OVERRIDE] = WORKER_CLEAR_OVERRIDE,
                [STEP_UNBIND] = WORKER_UNBIND,
                [STEP_BIND] = WORKER_BIND,
                [STEP_PROBE] = WORKER_PROBE,
                [STEP_NODE_ACCESS] = WORKER_NODE_ACCESS,
                [STEP_SET_AUTOPROBE] = WORKER_SET_AUTOPROBE,
                [STEP_SET_NUMVFS] = WORKER_SET_NUMVFS,
                [STEP_WAIT_VFS] = WORKER_WAIT_VFS,
                [STEP_VF_SETTING] = WORKER_VF_SETTING,
        };

        *ret = (WorkerRequest){
                .verb = verbs[s->kind],
                .address = s->address,
                .group = s->group,
                .uid = s->access.has_uid ? s->access.uid : UINT32_MAX,
                .gid = s->access.has_gid ? s->access.gid : UINT32_MAX,
                .mode = s->access.has_mode ? s->access.mode : UINT32_MAX,
                .settings = s->settings,
        };
        snprintf(ret->argument, sizeof(ret->argument), "%s", strempty(s->argument));
}

static int submit_phase(Run *run)
{
        const Unit *u = run->current;
        size_t first = run->next;
        StepKind kind = u->steps[first].kind;
        int r = 0;

        run->result.begun = true;
        run->result.counted = run->result.counted || kind == STEP_SET_NUMVFS;
        for (; run->next < u->n_steps && u->steps[run->next].kind == kind && r >= 0; run->next++) {
                WorkerRequest q;

                step_to_request(&u->steps[run->next], &q);
                r = pool_submit(run->pool, &q, run->timeout_usec, on_step, run);
                if (r >= 0)
                        run->outstanding++;
        }
        if (r < 0)
                run_fail(run, REASON_DRIVER_REJECTED, &u->steps[run->next - 1].address,
                         strdup("out of memory"));
        return r;
}

static const Check *find_check(const Unit *u, const PciAddress *a)
{
        for (size_t i = 0; i < u->n_checks; i++)
                if (pci_address_equal(&u->checks[i].address, a))
                        return &u->checks[i];
        return NULL;
}

static void on_checked(const WorkerRequest *q, PoolOutcome outcome, const WorkerReply *reply,
                       void *userdata)
{
        Run *run = userdata;
        const Check *c = find_check(&run->unit, &q->address);

        run->outstanding--;
        if (!was_done(run, q, outcome, reply)) {
                /* Nobody loses a device of whose uses nothing is known. */
        } else if (reply->hazard != REASON_NONE) {
                run_fail(run, c && c->goes ? REASON_VFS_IN_USE : (Reason)reply->hazard, &q->address,
                         strdup(reply->text));
        } else if (reply->error == ENODEV) {
                run_fail(run, REASON_DEVICE_GONE, &q->address, NULL);
        } else if (reply->error != 0) {
                run_fail(run, REASON_DRIVER_REJECTED, &q->address,
                         strdup("who uses it cannot be found out, so it is left as it is"));
        }
        if (run->outstanding == 0)
                run_prepare(run);
}

/* Nothing is recorded of what only goes back: if it begins with the unbind, it is asked once. */
static bool will_ask_again(const Run *run)
{
        return run->n_asked == 0 && !run->unit.restore;
}

/* All of them before any is taken: nobody loses a device for a move that is refused. */
static int submit_checks(Run *run)
{
        const Unit *u = &run->unit;
        int r = 0;

        for (size_t i = 0; i < u->n_checks && r >= 0; i++) {
                const WorkerRequest q = { .verb = WORKER_CHECK_USE,
                                          .address = u->checks[i].address,
                                          .accept = u->checks[i].accept,
                                          .planned = will_ask_again(run) };

                r = pool_submit(run->pool, &q, run->timeout_usec, on_checked, run);
                if (r >= 0)
                        run->outstanding++;
        }
        run->n_asked++;
        if (r < 0)
                run_fail(run, REASON_DRIVER_REJECTED, &u->members[0], strdup("out of memory"));
        return r;
}

static bool checks_are_due(const Run *run)
{
        StepKind next = run->current->steps[run->next].kind;
        bool waited = run->result.begun || !run->unit.restore;

        return waited && run->n_asked < 2 && run->unit.n_checks > 0 && run->current == &run->unit &&
               (next == STEP_UNBIND || next == STEP_SET_NUMVFS);
}

/* Turns round: the undo unit becomes the current one. */
static bool begin_rollback(Run *run)
{
        Unit undo;

        if (plan_undo(&run->unit, run->done, &run->before, &undo) < 0)
                return false;
        run->undo = undo;
        run->current = &run->undo;
        run->next = 0;
        free(run->done);
        run->done = calloc(undo.n_steps + 1, sizeof(bool));
        return run->done;
}

/* VFs that were made again while no driver took them are not yet as they were. */
static bool is_rolled_back(const Run *run)
{
        const Unit *u = &run->undo;
        const Step *count = unit_find_step(u, STEP_SET_NUMVFS, &u->members[0]);

        for (size_t i = 0; i < u->n_steps; i++)
                if (!run->done[i])
                        return false;
        return !count || streq(count->argument, "0") ||
               !unit_find_step(u, STEP_SET_AUTOPROBE, &u->members[0]);
}

/* Called when nothing is outstanding: the next phase, the way back, or the end. */
static void run_phase(Run *run)
{
        bool forward = run->current == &run->unit;

        if (forward && !run->result.ok && !run->result.stuck && !run->unit.restore) {
                if (!begin_rollback(run)) {
                        run_end(run);
                        return;
                }
                forward = false;
        }
        if (run->result.stuck || run->result.replan || (forward && !run->result.ok) ||
            run->next >= run->current->n_steps) {
                run->result.rolled_back = !forward && is_rolled_back(run);
                run_end(run);
                return;
        }
        if ((checks_are_due(run) ? submit_checks(run) : submit_phase(run)) < 0 &&
            run->outstanding == 0)
                run_phase(run);
}

/* VFs may be coming or going at this very moment: what was planned for would be wrong. */
static void check_count(Run *run, const PciAddress *pf, unsigned num_vfs)
{
        if (!run->unit.sriov || num_vfs == run->unit.num_vfs)
                return;
        run->result.replan = true;
        run->result.reason = REASON_WAITING;
        run->result.address = *pf;
        free(run->result.detail);
        run->result.detail = strdup("another program is changing its number of VFs");
}

static void on_inspected(const WorkerRequest *q, PoolOutcome outcome, const WorkerReply *reply,
                         void *userdata)
{
        _cleanup_(origin_done) Origin o = {
                .address = q->address,
                .num_vfs = outcome == POOL_REPLIED ? reply->num_vfs : 0,
        };
        Run *run = userdata;
        int r = 0;

        run->outstanding--;
        if (!was_done(run, q, outcome, reply)) {
                /* So it is not known what to give back. */
        } else if (reply->error == 0) {
                check_count(run, &q->address, reply->num_vfs);
                if (reply->text[0]) {
                        o.override = strdup(reply->text);
                        r = o.override ? 0 : -ENOMEM;
                }
                if (r >= 0)
                        r = origin_table_put(&run->before, &o);
                if (r < 0)
                        run_fail(run, REASON_DRIVER_REJECTED, &q->address, strdup("out of memory"));
        } else {
                run_fail(run, REASON_DEVICE_GONE, &q->address,
                         strdup("its driver_override cannot be read"));
        }
        if (run->outstanding == 0)
                run_prepare(run);
}

/*
 * What each device has is known, nobody uses one, and both are recorded: only then is anything
 * written. So what is refused here leaves no trace, however often the move is tried.
 */
static void run_prepare(Run *run)
{
        bool goes_on = run->result.ok && !run->result.replan;
        int r = 0;

        if (run->prepared) {
                run_phase(run);
                return;
        }
        if (goes_on && run->n_asked == 0) {
                goes_on = submit_checks(run) >= 0;
                if (run->outstanding > 0)
                        return;
        }
        run->prepared = true;
        if (goes_on && run->inspected && !run->unit.restore)
                r = run->hooks.record(run, &run->before, run->userdata);
        if (r <= 0)
                run_resume(run, r);
}

void run_resume(Run *run, int error)
{
        if (error == -ENODEV)
                run_fail(run, REASON_DEVICE_GONE, &run->unit.members[0], NULL);
        else if (error < 0)
                run_fail(run, REASON_DRIVER_REJECTED, &run->unit.members[0],
                         strdup("what was there before cannot be written to "
                                "/var/lib/vfiod/state, so nothing was begun: see journalctl -u "
                                "vfiod"));
        if (run->result.ok)
                run_phase(run);
        else
                run_end(run);
}

static int submit_inspection(Run *run, const PciAddress *address)
{
        const WorkerRequest q = { .verb = WORKER_INSPECT, .address = *address };
        int r;

        r = pool_submit(run->pool, &q, run->timeout_usec, on_inspected, run);
        if (r < 0)
                return r;
        run->inspected = true;
        run->outstanding++;
        return 0;
}

/* Asks what each device has before it is taken, or its VFs are made or removed. */
static int submit_inspections(Run *run)
{
        const Unit *u = &run->unit;
        int r = 0;

        if (u->sriov)
                r = submit_inspection(run, &u->members[0]);
        for (size_t i = 0; i < u->n_steps && r >= 0 && !u->restore && !u->sriov; i++)
                if (u->steps[i].kind == STEP_SET_OVERRIDE ||
                    u->steps[i].kind == STEP_CLEAR_OVERRIDE)
                        r = submit_inspection(run, &u->steps[i].address);
        return run->outstanding > 0 ? 0 : r;
}

int run_new(Pool *pool, const Unit *unit, uint64_t timeout_usec, const RunHooks *hooks,
            void *userdata, Run **ret)
{
        _cleanup_(run_freep) Run *run = calloc(1, sizeof(Run));
        int r;

        if (!run)
                return -ENOMEM;
        run->pool = pool;
        run->timeout_usec = timeout_usec;
        run->hooks = *hooks;
        run->userdata = userdata;
        run->current = &run->unit;
        run->result.ok = true;
        run->done = calloc(unit->n_steps + 1, sizeof(bool));
        if (!run->done)
                return -ENOMEM;
        r = unit_copy(unit, &run->unit);
        if (r >= 0)
                r = submit_inspections(run);
        if (r >= 0 && run->outstanding == 0)
                r = submit_checks(run);
        if (r >= 0 && run->outstanding == 0) {
                run->prepared = true;
                r = submit_phase(run);
        }
        if (r < 0 && run->outstanding == 0)
                return r;
        *ret = TAKE_PTR(run);
        return 0;
}
