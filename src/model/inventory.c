/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/inventory.h"

int device_compare(const void *a, const void *b)
{
        return pci_address_compare(&(*(Device *const *)a)->address,
                                   &(*(Device *const *)b)->address);
}

/* A device and what it is sorted by, before its address. */
typedef struct Entry {
        uint64_t key;
        uint32_t index;
} Entry;

/* By key, byte by byte from the lowest; those of one key stay in their order. */
static void sort_entries(Entry *entries, Entry *spare, size_t n)
{
        uint64_t highest = 0;
        bool sorted = true;

        for (size_t i = 0; i < n; i++) {
                sorted = sorted && entries[i].key >= highest;
                highest = MAX(highest, entries[i].key);
        }
        for (unsigned shift = 0; !sorted && shift < 64 && highest >> shift > 0; shift += 8) {
                size_t ends[257] = { 0 };

                for (size_t i = 0; i < n; i++)
                        ends[(entries[i].key >> shift & 0xff) + 1]++;
                for (size_t i = 1; i < ELEMENTSOF(ends); i++)
                        ends[i] += ends[i - 1];
                for (size_t i = 0; i < n; i++)
                        spare[ends[entries[i].key >> shift & 0xff]++] = entries[i];
                memcpy(entries, spare, n * sizeof(Entry));
        }
}

/* Fills by_group and groups; all arrays are large enough for all devices. */
static void index_groups(Inventory *inv, Entry *entries, Entry *spare)
{
        size_t n = 0;

        for (size_t i = 0; i < inv->n_devices; i++)
                if (inv->devices[i]->group >= 0)
                        entries[n++] = (Entry){ (uint64_t)inv->devices[i]->group, (uint32_t)i };
        sort_entries(entries, spare, n);
        for (size_t i = 0; i < n; i++) {
                Group *g = inv->n_groups > 0 ? &inv->groups[inv->n_groups - 1] : NULL;
                uint32_t index = entries[i].index;

                inv->group_indices[i] = index;
                inv->by_group[i] = inv->devices[index];
                if (!g || g->number != inv->by_group[i]->group) {
                        g = &inv->groups[inv->n_groups++];
                        *g = (Group){ inv->by_group[i]->group, &inv->by_group[i],
                                      &inv->group_indices[i], 0 };
                }
                g->n_members++;
                inv->group_of[index] = g;
        }
}

static void index_vfs(Inventory *inv, Entry *entries, Entry *spare)
{
        size_t n = 0;

        for (size_t i = 0; i < inv->n_devices; i++)
                if (inv->devices[i]->is_vf)
                        entries[n++] =
                                (Entry){ pci_address_key(&inv->devices[i]->pf), (uint32_t)i };
        sort_entries(entries, spare, n);
        for (size_t i = 0; i < n; i++)
                inv->vfs[i] = entries[i].index;
        inv->n_vfs = n;
}

static bool is_sorted(Device *const *devices, size_t n)
{
        for (size_t i = 1; i < n; i++)
                if (device_compare(&devices[i - 1], &devices[i]) > 0)
                        return false;
        return true;
}

int inventory_new(Device **devices, size_t n, bool iommu, char **drivers, Inventory **ret)
{
        _cleanup_free_ Entry *entries = calloc(2 * n + 1, sizeof(Entry));
        Inventory *inv = calloc(1, sizeof(Inventory));

        if (!inv)
                return -ENOMEM;
        inv->devices = calloc(n + 1, sizeof(Device *));
        inv->by_group = calloc(n + 1, sizeof(Device *));
        inv->group_indices = calloc(n + 1, sizeof(uint32_t));
        inv->groups = calloc(n + 1, sizeof(Group));
        inv->group_of = calloc(n + 1, sizeof(Group *));
        inv->vfs = calloc(n + 1, sizeof(uint32_t));
        if (!entries || !inv->devices || !inv->by_group || !inv->group_indices || !inv->groups ||
            !inv->group_of || !inv->vfs) {
                inventory_free(inv);
                return -ENOMEM;
        }
        if (n > 0)
                memcpy(inv->devices, devices, n * sizeof(Device *));
        inv->n_devices = n;
        inv->iommu = iommu;
        inv->drivers = drivers;
        strv_sort(inv->drivers);
        if (!is_sorted(inv->devices, n))
                qsort(inv->devices, n, sizeof(Device *), device_compare);
        index_groups(inv, entries, entries + n);
        index_vfs(inv, entries, entries + n);
        *ret = inv;
        return 0;
}

Inventory *inventory_free(Inventory *inv)
{
        if (!inv)
                return NULL;
        for (size_t i = 0; i < inv->n_devices; i++)
                device_unref(inv->devices[i]);
        free(inv->devices);
        free(inv->by_group);
        free(inv->group_indices);
        free(inv->groups);
        free(inv->group_of);
        free(inv->vfs);
        strv_free(inv->drivers);
        free(inv);
        return NULL;
}

ssize_t inventory_index(const Inventory *inv, const PciAddress *address)
{
        size_t low = 0, high = inv ? inv->n_devices : 0;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int c = pci_address_compare(&inv->devices[middle]->address, address);

                if (c == 0)
                        return (ssize_t)middle;
                if (c < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return -1;
}

Device *inventory_find(const Inventory *inv, const PciAddress *address)
{
        ssize_t i = inventory_index(inv, address);

        return i < 0 ? NULL : inv->devices[i];
}

const Group *inventory_group(const Inventory *inv, int number)
{
        size_t low = 0, high = inv && number >= 0 ? inv->n_groups : 0;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (inv->groups[middle].number == number)
                        return &inv->groups[middle];
                if (inv->groups[middle].number < number)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

/* The first VF whose PF is not below the address. */
static size_t vf_position(const Inventory *inv, uint64_t key)
{
        size_t low = 0, high = inv->n_vfs;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (pci_address_key(&inv->devices[inv->vfs[middle]]->pf) < key)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

const uint32_t *inventory_vfs(const Inventory *inv, const PciAddress *pf, size_t *ret_n)
{
        uint64_t key = pci_address_key(pf);
        size_t begin = vf_position(inv, key);

        *ret_n = vf_position(inv, key + 1) - begin;
        return &inv->vfs[begin];
}

bool inventory_has_driver(const Inventory *inv, const char *name)
{
        return strv_contains(inv->drivers, name);
}
