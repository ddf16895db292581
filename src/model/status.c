/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/status.h"
#include "model/schedule.h"

#include <stdio.h>

static const char *const device_state_names[_DEVICE_STATE_MAX] = {
        [STATE_UNMANAGED] = "unmanaged", [STATE_READY] = "ready",
        [STATE_PENDING] = "pending",     [STATE_WORKING] = "working",
        [STATE_BLOCKED] = "blocked",     [STATE_FAILED] = "failed",
        [STATE_STUCK] = "stuck",         [STATE_CONTENDED] = "contended",
        [STATE_ABSENT] = "absent",
};

DEFINE_TO_STRING(device_state, DeviceState);

enum {
        DRIFT_LIMIT = 5,
        BACKOFF_SHIFT_MAX = 16,
};

#define DRIFT_WINDOW_USEC (60 * USEC_PER_SEC)

void track_done(Track *t)
{
        free(t->detail);
        *t = (Track){ 0 };
}

void track_failed(Track *t, Reason reason, const char *detail, uint64_t now, uint64_t retry_max)
{
        char *copy = detail ? strdup(detail) : NULL;
        uint64_t delay = USEC_PER_SEC << MIN(t->n_failures, (unsigned)BACKOFF_SHIFT_MAX);

        t->told = t->told && t->failure == reason && streq_ptr(t->detail, detail);
        free(t->detail);
        t->detail = copy;
        t->failure = reason;
        t->error = 0;
        t->retry_usec = now + MIN(delay, retry_max);
        t->n_failures++;
}

void track_succeeded(Track *t)
{
        t->failure = REASON_NONE;
        t->told = false;
        t->replanned = false;
        t->n_failures = 0;
        t->retry_usec = 0;
        free(TAKE_PTR(t->detail));
}

static void track_drift(Track *t, uint64_t now)
{
        t->n_drifts = now - t->drift_usec <= DRIFT_WINDOW_USEC ? t->n_drifts + 1 : 1;
        t->drift_usec = now;
        if (t->n_drifts >= DRIFT_LIMIT)
                t->contended = true;
}

void track_observe(Track *t, bool ready, uint64_t now, uint64_t retry_max)
{
        if (ready)
                track_succeeded(t);
        else if (t->attempted)
                track_failed(t, REASON_DRIVER_REJECTED,
                             "the kernel took every step, and yet it is not as declared", now,
                             retry_max);
        else if (t->was_ready)
                track_drift(t, now);
        t->attempted = false;
        t->was_ready = ready;
}

void track_reset(Track *t)
{
        track_succeeded(t);
        t->attempted = false;
        t->contended = false;
        t->gave_up = 0;
        t->was_ready = false;
        t->n_drifts = 0;
}

bool track_is_closed(const Track *t)
{
        return t->working || t->occupied || t->stuck;
}

void track_ask_again(Track *t)
{
        track_reset(t);
        t->overtaken = t->working;
}

static const Refusal *refusal_for(const Unit *u, const PciAddress *a)
{
        for (size_t i = 0; i < u->n_refusals; i++)
                if (pci_address_equal(&u->refusals[i].address, a))
                        return &u->refusals[i];
        return u->n_refusals > 0 ? &u->refusals[0] : NULL;
}

static bool has_step(const Unit *u, const PciAddress *a)
{
        for (size_t i = 0; i < u->n_steps; i++)
                if (pci_address_equal(&u->steps[i].address, a))
                        return true;
        return false;
}

static bool goes_back(const Unit *u, const PciAddress *a)
{
        for (size_t i = 0; i < u->n_back; i++)
                if (pci_address_equal(&u->back[i], a))
                        return true;
        return false;
}

static char *copy_detail(const char *s)
{
        return s ? strdup(s) : NULL;
}

/*
 * A refusal that is about another member names that member, and what was given up says why: `t` is
 * what is known of the device that is refused, or NULL.
 */
static void set_refused(DeviceStatus *s, const Refusal *f, const Track *t)
{
        const char *sentence = f->detail ? f->detail : reason_row(f->reason)->sentence;
        _cleanup_free_ char *both = NULL;

        s->state = f->waits ? STATE_PENDING : STATE_BLOCKED;
        s->reason = f->reason;
        if (t && t->gave_up > 0 && t->failure == f->reason && t->detail &&
            asprintf(&both, "%s; %s", sentence, t->detail) >= 0)
                sentence = both;
        if (!pci_address_equal(&f->address, &s->address)) {
                if (asprintf(&s->detail, "%s: %s", PCI_ADDRESS_STR(&f->address), sentence) < 0)
                        s->detail = NULL;
        } else if (both || f->detail) {
                s->detail = strdup(sentence);
        }
}

/* What is stuck or contended, there or on a device that shares its fate. */
static void set_obstructed(DeviceStatus *s, const Track *obstacle)
{
        const char *sentence;

        s->state = obstacle->stuck ? STATE_STUCK : STATE_CONTENDED;
        s->reason = obstacle->stuck ? REASON_WRITE_TIMEOUT : REASON_CONTENDED;
        sentence = obstacle->detail ? obstacle->detail : reason_row(s->reason)->sentence;
        if (pci_address_equal(&obstacle->address, &s->address))
                s->detail = copy_detail(obstacle->detail);
        else if (asprintf(&s->detail, "%s: %s", PCI_ADDRESS_STR(&obstacle->address), sentence) < 0)
                s->detail = NULL;
}

static void set_unfinished(DeviceStatus *s, const Track *t, const Track *obstacle)
{
        if (obstacle) {
                set_obstructed(s, obstacle);
        } else if (t && t->failure != REASON_NONE) {
                s->state = reason_is_acceptable(t->failure) ? STATE_BLOCKED : STATE_FAILED;
                s->reason = t->failure;
                s->detail = copy_detail(t->detail);
        } else {
                s->state = STATE_PENDING;
                s->reason = REASON_WAITING;
        }
}

/* A VF that goes when its PF gets another number of them stands where its PF stands. */
static void set_doomed(DeviceStatus *s, const Unit *u, const Track *pf, const Track *obstacle)
{
        const char *sentence = "work on it comes first";

        if (obstacle && u->n_refusals == 0) {
                set_obstructed(s, obstacle);
                return;
        }
        s->state = STATE_PENDING;
        s->reason = REASON_WAITING;
        if (u->n_refusals > 0) {
                set_refused(s, refusal_for(u, &u->members[0]), pf);
                return;
        }
        if (pf && pf->failure != REASON_NONE) {
                s->state = STATE_FAILED;
                s->reason = pf->failure;
                sentence = pf->detail ? pf->detail : reason_row(pf->failure)->sentence;
        }
        if (asprintf(&s->detail, "%s: %s", PCI_ADDRESS_STR(&u->members[0]), sentence) < 0)
                s->detail = NULL;
}

/* `of_first`: what is known of the unit's first member. */
static void device_status(const Target *target, const Unit *u, const Track *t,
                          const Track *obstacle, const Track *of_first, bool disabled,
                          DeviceStatus *s)
{
        bool of_pf = u && u->sriov, pf = of_pf && pci_address_equal(&u->members[0], &s->address);
        bool managed = target_is_managed(target) || pf;

        s->differs = u && has_step(u, &s->address);
        if (t && t->stuck) {
                set_obstructed(s, t);
        } else if (t && (t->working || t->occupied)) {
                s->state = STATE_WORKING;
                s->reason = REASON_WORKING;
                if (t->failure != REASON_NONE &&
                    asprintf(&s->detail, "it is tried again after: %s",
                             t->detail ? t->detail : reason_row(t->failure)->sentence) < 0)
                        s->detail = NULL;
        } else if (disabled && (managed || s->differs)) {
                s->state = STATE_BLOCKED;
                s->reason = REASON_DISABLED;
        } else if (of_pf && !pf && managed) {
                set_doomed(s, u, of_first, obstacle);
        } else if (u && u->n_refusals > 0 && (managed || goes_back(u, &s->address))) {
                if (obstacle && obstacle->stuck)
                        set_obstructed(s, obstacle);
                else
                        set_refused(s, refusal_for(u, &s->address), t);
        } else if (s->differs) {
                set_unfinished(s, t, obstacle);
        } else {
                s->state = managed ? STATE_READY : STATE_UNMANAGED;
        }
}

/* A device's unit, and what keeps that back. */
typedef struct Stand {
        const Unit *unit;
        const Track *obstacle;
} Stand;

/* By the device's index in the inventory. */
static Stand *index_units(const Inventory *inv, const Plan *plan, find_track_t find_track,
                          void *userdata)
{
        Stand *stands = calloc(inv->n_devices + 1, sizeof(Stand));

        for (size_t i = 0; stands && i < plan->n_units; i++) {
                const Unit *u = &plan->units[i];
                const Stand stand = { u, schedule_obstacle(u, inv, find_track, userdata) };

                for (size_t k = 0; k < u->n_members; k++) {
                        ssize_t n = inventory_index(inv, &u->members[k]);

                        if (n >= 0)
                                stands[n] = stand;
                }
        }
        return stands;
}

static int compare_statuses(const void *a, const void *b)
{
        return pci_address_compare(&((const DeviceStatus *)a)->address,
                                   &((const DeviceStatus *)b)->address);
}

static void add_device(const Inventory *inv, size_t index, const Target *target, const Stand *stand,
                       bool disabled, find_track_t find_track, void *userdata, StatusTable *t)
{
        const PciAddress *a = &inv->devices[index]->address;
        DeviceStatus *s = &t->statuses[t->n_statuses];
        const Unit *unit = stand->unit;
        const Track *first = find_track && unit ? find_track(userdata, &unit->members[0]) : NULL;

        *s = (DeviceStatus){ .address = *a, .index = (ssize_t)index, .unit = unit };
        t->by_device[index] = (uint32_t)t->n_statuses++;
        device_status(target, unit, find_track ? find_track(userdata, a) : NULL, stand->obstacle,
                      first, disabled, s);
}

int status_compute(const Inventory *inv, const Desired *desired, const Plan *plan, bool disabled,
                   find_track_t find_track, void *userdata, StatusTable **ret)
{
        _cleanup_(status_table_freep) StatusTable *t = calloc(1, sizeof(StatusTable));
        _cleanup_free_ Stand *stands = index_units(inv, plan, find_track, userdata);
        size_t k = 0;

        if (!t || !stands)
                return -ENOMEM;
        t->statuses = calloc(inv->n_devices + desired->n_absent + 1, sizeof(DeviceStatus));
        t->by_device = calloc(inv->n_devices + 1, sizeof(uint32_t));
        if (!t->statuses || !t->by_device)
                return -ENOMEM;
        for (size_t i = 0; i <= inv->n_devices; i++) {
                for (; k < desired->n_absent &&
                       (i == inv->n_devices || pci_address_compare(&desired->absent[k].address,
                                                                   &inv->devices[i]->address) < 0);
                     k++)
                        t->statuses[t->n_statuses++] =
                                (DeviceStatus){ .address = desired->absent[k].address,
                                                .index = -1,
                                                .state = STATE_ABSENT,
                                                .reason = REASON_ABSENT };
                if (i < inv->n_devices)
                        add_device(inv, i, &desired->targets[i], &stands[i], disabled, find_track,
                                   userdata, t);
        }
        *ret = TAKE_PTR(t);
        return 0;
}

StatusTable *status_table_free(StatusTable *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_statuses; i++)
                free(t->statuses[i].detail);
        free(t->statuses);
        free(t->by_device);
        free(t);
        return NULL;
}

const DeviceStatus *status_find(const StatusTable *t, const PciAddress *address)
{
        const DeviceStatus key = { .address = *address };

        return t && t->n_statuses > 0 ? bsearch(&key, t->statuses, t->n_statuses,
                                                sizeof(DeviceStatus), compare_statuses)
                                      : NULL;
}

const char *status_sentence(const DeviceStatus *s)
{
        return s->detail ? s->detail : reason_row(s->reason)->sentence;
}
