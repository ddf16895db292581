/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Journal entries: one when a device's state changes for someone to know, none while all is well.
 */

#include "basic/log.h"
#include "daemon/manager-internal.h"
#include "daemon/messages.h"

/* What comes of each attempt anew is told of the first, until it is something else. */
static void report_problem(Manager *m, const DeviceStatus *s, const LogFields *f)
{
        const Track *known = manager_find_track(m, &s->address);
        Track *t = known && known->failure == s->reason ? manager_track(m, &s->address) : NULL;

        if (t && t->told)
                return;
        if (t)
                t->told = true;
        log_full(LOG_WARNING, t ? t->error : 0, f, "%s: %s: %s (%s)",
                 device_state_to_string(s->state), reason_to_string(s->reason), status_sentence(s),
                 reason_row(s->reason)->remedy);
}

static const char *const message_ids[_DEVICE_STATE_MAX] = {
        [STATE_UNMANAGED] = VFIOD_MESSAGE_RELEASED, [STATE_READY] = VFIOD_MESSAGE_BOUND,
        [STATE_BLOCKED] = VFIOD_MESSAGE_BLOCKED,    [STATE_FAILED] = VFIOD_MESSAGE_FAILED,
        [STATE_STUCK] = VFIOD_MESSAGE_STUCK,        [STATE_CONTENDED] = VFIOD_MESSAGE_CONTENDED,
        [STATE_ABSENT] = VFIOD_MESSAGE_BLOCKED,
};

/* `quiet`: a VF of which its PF speaks; there may be hundreds. */
static void report_change(Manager *m, const DeviceStatus *was, const DeviceStatus *is,
                          const Device *d, bool quiet)
{
        const LogFields f = { .message_id = message_ids[is->state],
                              .device = PCI_ADDRESS_STR(&is->address),
                              .driver = d ? d->driver : NULL,
                              .reason = reason_to_string(is->reason) };

        switch (is->state) {
        case STATE_BLOCKED:
        case STATE_FAILED:
        case STATE_STUCK:
        case STATE_CONTENDED:
        case STATE_ABSENT:
                report_problem(m, is, &f);
                break;
        case STATE_READY:
                if (!was)
                        break;
                log_full(quiet ? LOG_DEBUG : LOG_INFO, 0, &f, "ready on %s.",
                         d && d->driver ? d->driver : "no driver");
                break;
        case STATE_UNMANAGED:
                if (!was || (was->state != STATE_READY && was->state != STATE_WORKING))
                        break;
                log_full(LOG_INFO, 0, &f, "not managed any more, on %s.",
                         d && d->driver ? d->driver : "no driver");
                break;
        default:
                break;
        }
}

/* What vfiod itself does to the number of VFs is reported when it is done. */
static void report_vfs(const DeviceStatus *was, const Device *before, const Device *after)
{
        if (was && was->state != STATE_WORKING && was->state != STATE_UNMANAGED && before &&
            after && before->num_vfs != after->num_vfs)
                log_full(LOG_INFO, 0, &(LogFields){ .device = PCI_ADDRESS_STR(&after->address) },
                         "has %u VFs now, had %u: its driver or another program changed that.",
                         after->num_vfs, before->num_vfs);
}

static bool follows_pf(const Snapshot *s, const DeviceStatus *is)
{
        const Target *t = is->index >= 0 ? &s->desired->targets[is->index] : NULL;

        return t && t->pf_rule && t->rule == t->pf_rule && !t->requested;
}

static const Device *device_of(const Snapshot *s, const DeviceStatus *status)
{
        return status && status->index >= 0 ? s->inventory->devices[status->index] : NULL;
}

void report_changes(Manager *m, const Snapshot *before, const Snapshot *after)
{
        size_t n = before->status ? before->status->n_statuses : 0, k = 0;

        for (size_t i = 0; i < after->status->n_statuses; i++) {
                const DeviceStatus *is = &after->status->statuses[i], *was;
                const Device *d = device_of(after, is);

                for (; k < n; k++)
                        if (pci_address_compare(&before->status->statuses[k].address,
                                                &is->address) >= 0)
                                break;
                was = k < n ? &before->status->statuses[k] : NULL;
                if (was && !pci_address_equal(&was->address, &is->address))
                        was = NULL;
                report_vfs(was, device_of(before, was), d);
                if (!was || was->state != is->state || was->reason != is->reason)
                        report_change(m, was, is, d, follows_pf(after, is));
        }
}

void report_diagnostics(const Config *c)
{
        for (size_t i = 0; i < c->n_diagnostics; i++) {
                const Diagnostic *d = &c->diagnostics[i];

                log_full(d->error ? LOG_ERR : LOG_WARNING, 0,
                         &(LogFields){ .message_id = d->error ? VFIOD_MESSAGE_CONFIG_ERROR : NULL },
                         "%s:%u:%u: %s", d->path, d->line, d->column, d->message);
        }
}
