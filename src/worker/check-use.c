/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who uses a device right before it is taken away. The plan asked already; since then somebody may
 * have come, and some uses show only to those who may wait for an answer.
 */

#include "basic/io.h"
#include "sys/holders.h"
#include "sys/reader.h"
#include "sys/sysfs.h"
#include "sys/usage.h"
#include "worker/steps.h"

#include <fcntl.h>
#include <stdio.h>

/* Another worker may have the node open for the same reason, and for a moment. */
enum { NODE_TRIES = 5, NODE_PAUSE_USEC = 1000, NODE_SIZE = 300 };

static int read_device(const Sysroot *root, const PciAddress *a, Inventory **ret)
{
        _cleanup_(reader_done) Reader reader = READER_NULL;
        _cleanup_(device_unrefp) Device *d = NULL;
        int r = reader_open(root, &reader);

        if (r >= 0)
                r = reader_read(&reader, a, &d);
        if (r >= 0)
                r = inventory_new(&d, 1, true, NULL, ret);
        if (r < 0)
                return r == -ENOMEM ? r : -ENODEV;
        TAKE_PTR(d);
        return 0;
}

static const Use *find_hazard(const UseTable *uses, HazardSet accept)
{
        for (size_t i = 0; i < uses->n_uses; i++)
                if (!(accept & hazard_bit(uses->uses[i].hazard)))
                        return &uses->uses[i];
        return NULL;
}

static int try_node(const Sysroot *root, const char *path)
{
        int fd = -1;

        for (int i = 0; i < NODE_TRIES && fd < 0; i++) {
                if (i > 0)
                        usleep(NODE_PAUSE_USEC);
                fd = openat(root->root, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
                if (fd < 0 && errno != EBUSY)
                        return -errno;
        }
        if (fd < 0)
                return -EBUSY;
        close(fd);
        return 0;
}

/*
 * A group's node opens for one at a time, and is not free before its devices are closed (kernel:
 * drivers/vfio/group.c). To try it costs less than to look at every process.
 */
static int check_node(const Sysroot *root, const Inventory *inv, UseTable *uses)
{
        const Device *d = inv->devices[0];
        const char *node = DEVICE_NODE(d);
        int tried = try_node(root, node + 1), r = 0;

        /* A kernel may have only the nodes of devices, which open for many. */
        if (tried == -ENOENT && !exists_at(root->sys, SYSFS_DEVICE_PATH(&d->address, "vfio-dev")))
                return 0;
        if (tried < 0)
                r = usage_read_nodes(root, inv, uses);
        if (r < 0 || tried != -EBUSY)
                return r;
        return use_table_add(uses, &d->address, REASON_DEVICE_IN_USE,
                             "a program has %s open, or a device of it", node);
}

static int add_block_holder(const Sysroot *root, const PciAddress *a, const char *name,
                            UseTable *uses)
{
        _cleanup_strv_ char **holders = NULL;
        _cleanup_free_ char *list = NULL;
        char node[NODE_SIZE];
        int r;

        snprintf(node, sizeof(node), "/dev/%s", name);
        r = holders_of_node(root, node, &holders);
        list = strv_join(holders, ", ");
        if (r == -ENOMEM || !list)
                return -ENOMEM;
        return use_table_add(uses, a, REASON_BLOCK_HOLDER, "%s is held exclusively%s%s", node,
                             *list ? ", opened by " : "", list);
}

/* Mounted, swapped to, a part of something, or a program's own: the kernel then lets no other
 * have it exclusively. Where the tables told what it is, this is no news. */
static int check_blocks(const Sysroot *root, const Inventory *inv, UseTable *uses)
{
        const PciAddress *a = &inv->devices[0]->address;
        _cleanup_strv_ char **names = NULL;
        char path[NODE_SIZE];
        int r;

        if (inv->devices[0]->driver_is_vfio || use_table_find(uses, a, REASON_MOUNTED_FILESYSTEM) ||
            use_table_find(uses, a, REASON_SWAP) || use_table_find(uses, a, REASON_BLOCK_HOLDER))
                return 0;
        r = usage_blocks(root, a, &names);
        for (char **name = names; name && *name && r >= 0; name++) {
                _cleanup_close_ int fd = -EBADF;

                snprintf(path, sizeof(path), "dev/%s", *name);
                fd = openat(root->root, path,
                            O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
                if (fd < 0 && errno == EBUSY)
                        r = add_block_holder(root, a, *name, uses);
        }
        return r;
}

int step_check_use(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        _cleanup_(use_table_done) UseTable uses = { 0 };
        const Use *use;
        int r = read_device(root, &q->address, &inv);

        if (r >= 0)
                r = use_table_ask(&uses, &q->address);
        if (r >= 0)
                r = usage_read_host(root, inv, &uses);
        if (r >= 0 && !find_hazard(&uses, q->accept))
                r = check_node(root, inv, &uses);
        if (r >= 0 && !find_hazard(&uses, q->accept))
                r = check_blocks(root, inv, &uses);
        if (r >= 0 && !find_hazard(&uses, q->accept))
                r = check_net(root, inv->devices[0], &uses);
        if (r < 0)
                return r;
        use = find_hazard(&uses, q->accept);
        if (!use)
                return 0;
        p->hazard = use->hazard;
        snprintf(p->text, sizeof(p->text), "%s", use->by);
        return -EBUSY;
}
