/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the operations of clients mean as requests. */

#include "daemon/manager-internal.h"

/* The driver of a PF and the number of its VFs are asked for apart: each leaves the other alone. */
static int request_one(RequestTable *t, const Device *d, const Operation *op)
{
        const Request *known = request_table_find(t, &d->address);
        Request r = { 0 };

        if (known && !known->release && known->vendor == d->vendor && known->device == d->device)
                r = *known;
        r.address = d->address;
        r.vendor = d->vendor;
        r.device = d->device;
        if (op->kind == OPERATION_BIND) {
                r.accept = op->accept | (r.counts ? r.accept : 0);
                r.target = op->target;
                r.driver = (char *)op->driver;
        } else {
                r.accept = op->accept | (r.target != TARGET_UNMANAGED ? r.accept : 0);
                r.counts = true;
                r.num_vfs = op->num_vfs == VF_COUNT_MAX ? d->total_vfs : op->num_vfs;
        }
        return request_table_put(t, &r);
}

static int request_all(RequestTable *t, const Inventory *inv, const Operation *op)
{
        int r = 0;

        for (size_t i = 0; i < op->n_addresses && r >= 0; i++) {
                const Device *d = inventory_find(inv, &op->addresses[i]);

                r = d ? request_one(t, d, op) : -ENODEV;
        }
        return r;
}

/*
 * What a file wants is kept away by a request; what only a request wanted just ends. Hazards that
 * are accepted need a request too, until the job is over.
 */
static int release_one(RequestTable *t, const Manager *m, const Device *d, HazardSet accept)
{
        ssize_t i = inventory_index(m->inventory, &d->address);

        if (!m->desired->targets[i].rule && !m->desired->targets[i].hold && accept == 0) {
                request_table_remove(t, &d->address);
                return 0;
        }
        return request_table_put(t, &(Request){ .address = d->address,
                                                .vendor = d->vendor,
                                                .device = d->device,
                                                .release = true,
                                                .accept = accept });
}

/* An IOMMU group goes back as it came: whole. */
static int request_release(RequestTable *t, const Manager *m, const Operation *op)
{
        for (size_t i = 0; i < op->n_addresses; i++) {
                Device *d = inventory_find(m->inventory, &op->addresses[i]);
                const Group *g = d ? inventory_group(m->inventory, d->group) : NULL;
                int r = 0;

                if (!d)
                        return -ENODEV;
                if (!g)
                        r = release_one(t, m, d, op->accept);
                for (size_t k = 0; g && k < g->n_members && r >= 0; k++)
                        if (!device_is_bridge(g->members[k]))
                                r = release_one(t, m, g->members[k], op->accept);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Everything as the files say: nothing stays released. */
static void drop_releases(RequestTable *t)
{
        for (size_t i = t->n_requests; i > 0; i--)
                if (t->requests[i - 1].release)
                        request_table_remove(t, &t->requests[i - 1].address);
}

int operation_request(const Operation *op, const Manager *m, RequestTable *t)
{
        switch (op->kind) {
        case OPERATION_BIND:
        case OPERATION_SRIOV:
                return request_all(t, m->inventory, op);
        case OPERATION_RELEASE:
                return request_release(t, m, op);
        case OPERATION_APPLY:
                drop_releases(t);
                return 0;
        }
        return -EINVAL;
}
