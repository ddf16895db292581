/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/inventory.h"

static int compare_devices(const void *a, const void *b)
{
        return pci_address_compare(&(*(Device *const *)a)->address,
                                   &(*(Device *const *)b)->address);
}

static int compare_by_group(const void *a, const void *b)
{
        const Device *x = *(Device *const *)a, *y = *(Device *const *)b;

        if (x->group != y->group)
                return x->group < y->group ? -1 : 1;
        return pci_address_compare(&x->address, &y->address);
}

/* Fills by_group and groups; both arrays are large enough for all devices. */
static void index_groups(Inventory *inv)
{
        size_t n = 0;

        for (size_t i = 0; i < inv->n_devices; i++)
                if (inv->devices[i]->group >= 0)
                        inv->by_group[n++] = inv->devices[i];
        if (n > 0)
                qsort(inv->by_group, n, sizeof(Device *), compare_by_group);
        for (size_t i = 0; i < n; i++) {
                Group *g = inv->n_groups > 0 ? &inv->groups[inv->n_groups - 1] : NULL;

                if (!g || g->number != inv->by_group[i]->group) {
                        g = &inv->groups[inv->n_groups++];
                        *g = (Group){ inv->by_group[i]->group, &inv->by_group[i], 0 };
                }
                g->n_members++;
        }
}

int inventory_new(Device **devices, size_t n, bool iommu, char **drivers, Inventory **ret)
{
        Inventory *inv = calloc(1, sizeof(Inventory));

        if (!inv)
                return -ENOMEM;
        inv->devices = calloc(n + 1, sizeof(Device *));
        inv->by_group = calloc(n + 1, sizeof(Device *));
        inv->groups = calloc(n + 1, sizeof(Group));
        if (!inv->devices || !inv->by_group || !inv->groups) {
                inventory_free(inv);
                return -ENOMEM;
        }
        memcpy(inv->devices, devices, n * sizeof(Device *));
        inv->n_devices = n;
        inv->iommu = iommu;
        inv->drivers = drivers;
        strv_sort(inv->drivers);
        qsort(inv->devices, n, sizeof(Device *), compare_devices);
        index_groups(inv);
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
        free(inv->groups);
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

bool inventory_has_driver(const Inventory *inv, const char *name)
{
        return strv_contains(inv->drivers, name);
}
