/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/scan.h"
#include "basic/io.h"
#include "sys/reader.h"
#include "sys/sysfs.h"

typedef struct DeviceArray {
        Device **items; /* each with a reference */
        size_t n, allocated;
} DeviceArray;

static void device_array_done(DeviceArray *a)
{
        for (size_t i = 0; i < a->n; i++)
                device_unref(a->items[i]);
        free(a->items);
}

/* Takes over the reference, on success. */
static int device_array_add(DeviceArray *a, Device *d)
{
        if (a->n == a->allocated) {
                size_t want = MAX(a->allocated * 2, (size_t)64);
                Device **grown = reallocarray(a->items, want, sizeof(Device *));

                if (!grown)
                        return -ENOMEM;
                a->items = grown;
                a->allocated = want;
        }
        a->items[a->n++] = d;
        return 0;
}

/* Errors that concern the look as a whole. With any other the one device is left out. */
static bool is_fatal(int error)
{
        return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

static int read_into(Reader *reader, const PciAddress *address, DeviceArray *a)
{
        _cleanup_(device_unrefp) Device *d = NULL;
        int r;

        r = reader_read(reader, address, &d);
        if (r < 0)
                return is_fatal(r) ? r : 0;
        r = device_array_add(a, d);
        if (r < 0)
                return r;
        TAKE_PTR(d);
        return 1;
}

/* Adds the facts about the host as a whole and makes the snapshot. */
static int finish(const Sysroot *root, DeviceArray *a, Inventory **ret)
{
        _cleanup_strv_ char **iommus = NULL, **drivers = NULL;
        int r;

        r = list_dir_at(root->sys, SYSFS_IOMMU_CLASS, &iommus);
        if (r < 0 && r != -ENOENT)
                return r;
        r = list_dir_at(root->sys, SYSFS_PCI_DRIVERS, &drivers);
        if (r < 0 && r != -ENOENT)
                return r;
        r = inventory_new(a->items, a->n, strv_length(iommus) > 0, drivers, ret);
        if (r < 0)
                return r;
        TAKE_PTR(drivers);
        a->n = 0;
        return 0;
}

int scan_all(const Sysroot *root, Inventory **ret)
{
        _cleanup_(device_array_done) DeviceArray devices = { 0 };
        _cleanup_(reader_done) Reader reader = READER_NULL;
        _cleanup_strv_ char **names = NULL;
        int r;

        r = reader_open(root, &reader);
        if (r < 0)
                return r;
        r = list_dir_at(reader.devices, ".", &names);
        if (r < 0)
                return r;
        STRV_FOREACH(name, names) {
                PciAddress address;

                if (pci_address_parse(*name, &address) < 0)
                        continue;
                r = read_into(&reader, &address, &devices);
                if (r < 0)
                        return r;
        }
        reader_number_vfs(&reader, devices.items, devices.n);
        return finish(root, &devices, ret);
}

/* What is to be read again: in the order of being found, and sorted to find repeats. */
typedef struct Queue {
        PciAddress *items, *sorted;
        size_t n, allocated;
} Queue;

static void queue_done(Queue *q)
{
        free(q->items);
        free(q->sorted);
}

/* The first entry of `sorted` not below the address. */
static size_t queue_position(const Queue *q, const PciAddress *address)
{
        size_t low = 0, high = q->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (pci_address_compare(&q->sorted[middle], address) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool queue_has(const Queue *q, const PciAddress *address)
{
        size_t i = queue_position(q, address);

        return i < q->n && pci_address_equal(&q->sorted[i], address);
}

static int queue_grow(Queue *q)
{
        size_t want = MAX(q->allocated * 2, (size_t)64);
        PciAddress *grown;

        grown = reallocarray(q->items, want, sizeof(PciAddress));
        if (!grown)
                return -ENOMEM;
        q->items = grown;
        grown = reallocarray(q->sorted, want, sizeof(PciAddress));
        if (!grown)
                return -ENOMEM;
        q->sorted = grown;
        q->allocated = want;
        return 0;
}

static int queue_add(Queue *q, const PciAddress *address)
{
        size_t i = queue_position(q, address);

        if (i < q->n && pci_address_equal(&q->sorted[i], address))
                return 0;
        if (q->n == q->allocated) {
                int r = queue_grow(q);

                if (r < 0)
                        return r;
        }
        memmove(&q->sorted[i + 1], &q->sorted[i], (q->n - i) * sizeof(PciAddress));
        q->sorted[i] = *address;
        q->items[q->n++] = *address;
        return 0;
}

/* The PF of a VF, and the other members of the device's group: an event of one concerns them. */
static int queue_relatives(Queue *q, const Inventory *previous, const Device *d)
{
        const Group *g = inventory_group(previous, d->group);
        int r = 0;

        if (d->is_vf)
                r = queue_add(q, &d->pf);
        for (size_t i = 0; g && i < g->n_members && r >= 0; i++)
                r = queue_add(q, &g->members[i]->address);
        return r;
}

static int read_queued(Reader *reader, const Inventory *previous, Queue *q, DeviceArray *a)
{
        /* The queue grows while it is worked off. */
        for (size_t i = 0; i < q->n; i++) {
                const PciAddress address = q->items[i];
                const Device *before = inventory_find(previous, &address);
                int r = 0;

                if (before)
                        r = queue_relatives(q, previous, before);
                if (r >= 0)
                        r = read_into(reader, &address, a);
                if (r > 0)
                        r = queue_relatives(q, previous, a->items[a->n - 1]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int share_others(const Inventory *previous, const Queue *q, DeviceArray *a)
{
        for (size_t i = 0; i < previous->n_devices; i++) {
                Device *d = previous->devices[i];
                int r;

                if (queue_has(q, &d->address))
                        continue;
                r = device_array_add(a, d);
                if (r < 0)
                        return r;
                device_ref(d);
        }
        return 0;
}

int scan_changed(const Sysroot *root, const Inventory *previous, const PciAddress *changed,
                 size_t n, Inventory **ret)
{
        _cleanup_(device_array_done) DeviceArray devices = { 0 };
        _cleanup_(reader_done) Reader reader = READER_NULL;
        _cleanup_(queue_done) Queue queue = { 0 };
        int r;

        r = reader_open(root, &reader);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = queue_add(&queue, &changed[i]);
        if (r >= 0)
                r = read_queued(&reader, previous, &queue, &devices);
        if (r < 0)
                return r;
        /* Before the shared ones are added: those are immutable. */
        reader_number_vfs(&reader, devices.items, devices.n);
        r = share_others(previous, &queue, &devices);
        if (r < 0)
                return r;
        return finish(root, &devices, ret);
}

int scan_device(const Sysroot *root, const PciAddress *address, Device **ret)
{
        _cleanup_(device_unrefp) Device *d = NULL, *pf = NULL;
        _cleanup_(reader_done) Reader reader = READER_NULL;
        int r;

        r = reader_open(root, &reader);
        if (r < 0)
                return r;
        r = reader_read(&reader, address, &d);
        if (r < 0)
                return r;
        if (d->is_vf) {
                /* Only the PF's links tell the index. */
                r = reader_read(&reader, &d->pf, &pf);
                if (is_fatal(r))
                        return r;
                reader_number_vfs(&reader, &d, 1);
        }
        *ret = TAKE_PTR(d);
        return 0;
}
