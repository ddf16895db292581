/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who uses a device right before it is taken away. The plan asked already; since then somebody may
 * have come, and some uses show only to those who may wait for an answer.
 */

#include "sys/reader.h"
#include "sys/usage.h"
#include "worker/steps.h"

#include <stdio.h>

static int read_uses(const Sysroot *root, const PciAddress *a, UseTable *ret)
{
        _cleanup_(reader_done) Reader reader = READER_NULL;
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        _cleanup_(device_unrefp) Device *d = NULL;
        int r;

        r = reader_open(root, &reader);
        if (r >= 0)
                r = reader_read(&reader, a, &d);
        if (r >= 0)
                r = inventory_new(&d, 1, true, NULL, &inv);
        if (r < 0)
                return r == -ENOMEM ? r : -ENODEV;
        TAKE_PTR(d);
        r = use_table_ask(ret, a);
        return r < 0 ? r : usage_read(root, inv, ret);
}

int step_check_use(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_(use_table_done) UseTable uses = { 0 };
        int r;

        r = read_uses(root, &q->address, &uses);
        for (size_t i = 0; i < uses.n_uses && r >= 0; i++) {
                if (q->accept & hazard_bit(uses.uses[i].hazard))
                        continue;
                p->hazard = uses.uses[i].hazard;
                snprintf(p->text, sizeof(p->text), "%s", uses.uses[i].by);
                return -EBUSY;
        }
        return r;
}
