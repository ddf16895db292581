/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/scan.h"
#include "basic/io.h"
#include "sys/reader.h"
#include "sys/sysfs.h"

enum { CHANGED_MAX = 256 }; /* with more a full look costs less */

/* What becomes the snapshot. */
typedef struct Look {
        Reader reader;
        Device **devices; /* each with a reference */
        size_t n_devices;
        PciAddress *again; /* to be read again; in the order of being found */
        size_t n_again;
        int group; /* the last whose members were put there: of a large one they all ask for that */
} Look;

#define LOOK_NULL ((Look){ .reader = READER_NULL, .group = -1 })

static void look_done(Look *l)
{
        for (size_t i = 0; i < l->n_devices; i++)
                device_unref(l->devices[i]);
        free(l->devices);
        free(l->again);
        reader_done(&l->reader);
}

/* A device that vanished is left out: NULL. Other errors concern the look as a whole. */
static int read_device(Look *l, const PciAddress *address, Device **ret)
{
        Device *d = NULL;
        int r = reader_read(&l->reader, address, &d);

        if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return r;
        *ret = d;
        if (!d)
                return 0;
        if (!GROW(l->devices, l->n_devices)) {
                device_unref(d);
                return -ENOMEM;
        }
        l->devices[l->n_devices++] = d;
        return 0;
}

/*
 * Only the links of a PF tell how many VFs it has and which is which. They are there from 0 on
 * without gaps. Devices that `previous` shares are immutable: their numbers are known already.
 */
static void number_vfs(const Reader *reader, const Inventory *inv)
{
        for (size_t i = 0; i < inv->n_devices; i++) {
                Device *pf = inv->devices[i];
                PciAddress address;

                if (pf->total_vfs == 0 || pf->n_ref > 1)
                        continue;
                while (reader_find_vf(reader, &pf->address, pf->num_vfs, &address)) {
                        Device *vf = inventory_find(inv, &address);

                        if (vf && vf->n_ref == 1)
                                vf->vf_index = (int)pf->num_vfs;
                        pf->num_vfs++;
                }
        }
}

/* Adds the facts about the host as a whole and makes the snapshot. */
static int finish(Look *l, Inventory **ret)
{
        _cleanup_strv_ char **iommus = NULL, **drivers = NULL;
        const Sysroot *root = l->reader.root;
        Inventory *inv;
        int r = list_dir_at(root->sys, SYSFS_IOMMU_CLASS, &iommus);

        if (r < 0 && r != -ENOENT)
                return r;
        r = list_dir_at(root->sys, SYSFS_PCI_DRIVERS, &drivers);
        if (r < 0 && r != -ENOENT)
                return r;
        r = inventory_new(l->devices, l->n_devices, iommus && iommus[0], drivers, &inv);
        if (r < 0)
                return r;
        TAKE_PTR(drivers);
        l->n_devices = 0;
        number_vfs(&l->reader, inv);
        *ret = inv;
        return 0;
}

int scan_all(const Sysroot *root, Inventory **ret)
{
        _cleanup_(look_done) Look look = LOOK_NULL;
        _cleanup_strv_ char **names = NULL;
        int r = reader_open(root, &look.reader);

        if (r >= 0)
                r = list_dir_at(look.reader.devices, ".", &names);
        if (r < 0)
                return r;
        STRV_FOREACH(name, names) {
                PciAddress address;
                Device *d;

                if (pci_address_parse(*name, &address) < 0)
                        continue;
                r = read_device(&look, &address, &d);
                if (r < 0)
                        return r;
        }
        return finish(&look, ret);
}

static int read_again(Look *l, const PciAddress *address)
{
        for (size_t i = 0; i < l->n_again; i++)
                if (pci_address_equal(&l->again[i], address))
                        return 0;
        if (!GROW(l->again, l->n_again))
                return -ENOMEM;
        l->again[l->n_again++] = *address;
        return 0;
}

/* VFs that are new, or were seen before they had their links to and from the PF. */
static int read_new_vfs(Look *l, const Inventory *previous, const Device *pf)
{
        PciAddress address;
        int r = 0;

        for (unsigned n = 0; r >= 0 && reader_find_vf(&l->reader, &pf->address, n, &address); n++) {
                const Device *vf = inventory_find(previous, &address);

                if (!vf || !vf->is_vf || vf->vf_index != (int)n)
                        r = read_again(l, &address);
        }
        return r;
}

/* The PF of a VF, and the other members of the device's group: an event of one concerns them. */
static int read_relatives(Look *l, const Inventory *previous, const Device *d)
{
        const Group *g = d ? inventory_group(previous, d->group) : NULL;
        int r = 0;

        if (d && d->total_vfs > 0)
                r = read_new_vfs(l, previous, d);
        if (r < 0)
                return r;
        if (d && d->is_vf)
                r = read_again(l, &d->pf);
        if (!g || g->number == l->group)
                return r;
        l->group = g->number;
        for (size_t i = 0; i < g->n_members && r >= 0; i++)
                r = read_again(l, &g->members[i]->address);
        return r;
}

static int read_changed(Look *l, const Inventory *previous)
{
        /* The list grows while it is worked off. */
        for (size_t i = 0; i < l->n_again; i++) {
                const PciAddress address = l->again[i];
                Device *d;
                int r = read_device(l, &address, &d);

                if (r >= 0)
                        r = read_relatives(l, previous, d);
                if (r >= 0)
                        r = read_relatives(l, previous, inventory_find(previous, &address));
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Merges what was read with what is shared, by address, so that nothing is left to be sorted. */
static int add_unchanged(Look *l, const Inventory *previous)
{
        Device **all = calloc(l->n_devices + previous->n_devices + 1, sizeof(Device *));
        size_t n = 0, k = 0, a = 0;

        if (!all)
                return -ENOMEM;
        if (l->n_again > 0)
                qsort(l->again, l->n_again, sizeof(PciAddress), pci_address_compare_void);
        if (l->n_devices > 0)
                qsort(l->devices, l->n_devices, sizeof(Device *), device_compare);
        for (size_t i = 0; i < previous->n_devices; i++) {
                Device *d = previous->devices[i];

                while (a < l->n_again && pci_address_compare(&l->again[a], &d->address) < 0)
                        a++;
                if (a < l->n_again && pci_address_equal(&l->again[a], &d->address))
                        continue;
                while (k < l->n_devices && device_compare(&l->devices[k], &d) < 0)
                        all[n++] = l->devices[k++];
                all[n++] = device_ref(d);
        }
        while (k < l->n_devices)
                all[n++] = l->devices[k++];
        free(l->devices);
        l->devices = all;
        l->n_devices = n;
        return 0;
}

int scan_changed(const Sysroot *root, const Inventory *previous, const PciAddress *changed,
                 size_t n, Inventory **ret)
{
        _cleanup_(look_done) Look look = LOOK_NULL;
        int r;

        if (n > CHANGED_MAX)
                return scan_all(root, ret);
        r = reader_open(root, &look.reader);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = read_again(&look, &changed[i]);
        if (r >= 0)
                r = read_changed(&look, previous);
        if (r >= 0)
                r = add_unchanged(&look, previous);
        return r < 0 ? r : finish(&look, ret);
}
