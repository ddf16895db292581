/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Serial numbers stand in extended configuration space. Reading it wakes a sleeping device, so
 * workers do it, once per device, and only if some file has SerialNumber=.
 */

#include "basic/log.h"
#include "daemon/manager-internal.h"
#include "exec/step-error.h"

static size_t serial_position(const Manager *m, const PciAddress *address)
{
        return pci_address_position(m->serials, m->n_serials, sizeof(Serial), address);
}

static Serial *serial_find(const Manager *m, const PciAddress *address)
{
        size_t i = serial_position(m, address);

        return i < m->n_serials && pci_address_equal(&m->serials[i].address, address)
                       ? &m->serials[i]
                       : NULL;
}

static Serial *serial_add(Manager *m, const PciAddress *address)
{
        size_t i = serial_position(m, address);

        if (!INSERT(m->serials, m->n_serials, i))
                return NULL;
        m->serials[i] = (Serial){ .address = *address };
        return &m->serials[i];
}

void manager_forget_serial(Manager *m, const PciAddress *address)
{
        Serial *s = serial_find(m, address);

        if (s && s->known)
                memmove(s, s + 1, (size_t)(&m->serials[m->n_serials--] - (s + 1)) * sizeof(Serial));
}

void manager_forget_serials(Manager *m, const Inventory *inv)
{
        size_t n = 0;

        for (size_t i = 0; i < m->n_serials; i++)
                if (!m->serials[i].known || inventory_find(inv, &m->serials[i].address))
                        m->serials[n++] = m->serials[i];
        m->n_serials = n;
}

/* Nobody has read it, and the next one may. A worker that dies of it once more is of no use. */
static bool is_worth_another_try(const Serial *s, PoolOutcome outcome, const WorkerReply *reply)
{
        if (outcome == POOL_REPLIED)
                return reply->not_begun;
        return outcome == POOL_NO_WORKER || (outcome == POOL_DIED && !s->told);
}

/* A card without its number would be another one: given back, or never taken. */
static void ask_again(Manager *m, Serial *s, PoolOutcome outcome, const WorkerReply *reply)
{
        _cleanup_free_ char *why = step_loss_sentence(WORKER_INSPECT, outcome, reply);
        int r;

        if (!s->told)
                log_full(LOG_WARNING, 0, &(LogFields){ .device = PCI_ADDRESS_STR(&s->address) },
                         "Failed to ask for its serial number, trying again: %s", strempty(why));
        s->told = true;
        s->asked = false;
        m->look_all = true;
        r = manager_schedule_look(m, ASK_AGAIN_USEC);
        if (r < 0)
                log_error_errno(r, "Failed to schedule a look at the devices: %m");
}

static void on_inspected(const WorkerRequest *q, PoolOutcome outcome, const WorkerReply *reply,
                         void *userdata)
{
        Manager *m = userdata;
        Serial *s = serial_find(m, &q->address);

        if (s && is_worth_another_try(s, outcome, reply)) {
                ask_again(m, s, outcome, reply);
                return;
        }
        if (s) {
                s->known = true;
                s->has = outcome == POOL_REPLIED && reply->error == 0 && reply->has_serial;
                s->value = s->has ? reply->serial : 0;
        }
        manager_look_at_all(m);
}

static bool serial_ask(Manager *m, const PciAddress *address)
{
        const WorkerRequest q = { .verb = WORKER_INSPECT, .address = *address };
        int r;

        r = pool_submit(m->pool, &q, m->config->daemon.write_timeout_usec, on_inspected, m);
        if (r < 0)
                log_full(LOG_WARNING, r, &(LogFields){ .device = PCI_ADDRESS_STR(address) },
                         "Failed to ask for its serial number, going on without: %m");
        return r >= 0;
}

bool manager_apply_serials(Manager *m, Inventory *inv)
{
        bool complete = true;

        manager_forget_serials(m, inv);
        if (!config_uses_serial(m->config))
                return true;
        for (size_t i = 0; i < inv->n_devices; i++) {
                Device *d = inv->devices[i];
                Serial *s = serial_find(m, &d->address);
                const Track *t = manager_find_track(m, &d->address);

                /* Whoever is at work there may be so for ever; when he is not, it is asked for. */
                if (t && t->occupied && !s)
                        continue;
                if (!s)
                        s = serial_add(m, &d->address);
                if (!s)
                        continue;
                if (!s->asked) {
                        s->asked = true;
                        s->known = !serial_ask(m, &d->address);
                }
                complete = complete && s->known;
                /* A device shared with the last snapshot carries the same value already. */
                d->has_serial = s->has;
                d->serial = s->value;
        }
        if (!complete)
                m->look_all = true;
        return complete;
}
