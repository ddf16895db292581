/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/origin.h"

bool origin_override_comes_late(const Origin *o, const char *driver)
{
        return o->override && driver && !streq(o->override, driver);
}

const char *origin_former_driver(const Origin *known, const Device *d)
{
        if (known && (known->taken || !d->driver))
                return known->driver;
        return d->driver;
}

void origin_done(Origin *o)
{
        identity_done(&o->identity);
        free(o->driver);
        free(o->override);
        free(o->intended);
        free(o->rule);
        *o = (Origin){ 0 };
}

void origin_table_done(OriginTable *t)
{
        for (size_t i = 0; i < t->n_origins; i++)
                origin_done(&t->origins[i]);
        free(t->origins);
        *t = (OriginTable){ 0 };
}

/* The first entry not below the address. */
static size_t origin_position(const OriginTable *t, const PciAddress *address)
{
        return pci_address_position(t->origins, t->n_origins, sizeof(Origin), address);
}

Origin *origin_table_find(const OriginTable *t, const PciAddress *address)
{
        size_t i = t ? origin_position(t, address) : 0;

        return t && i < t->n_origins && pci_address_equal(&t->origins[i].address, address)
                       ? &t->origins[i]
                       : NULL;
}

const Origin *origin_table_find_device(const OriginTable *t, const Device *d)
{
        const Origin *o = origin_table_find(t, &d->address);

        return o && identity_matches(&o->identity, d) ? o : NULL;
}

int origin_table_join(const OriginTable *t, const Inventory *inv, const Origin ***ret)
{
        const Origin **joined = calloc(inv->n_devices + 1, sizeof(Origin *));
        size_t k = 0;

        if (!joined)
                return -ENOMEM;
        for (size_t i = 0; t && i < inv->n_devices && k < t->n_origins; i++) {
                const Device *d = inv->devices[i];

                while (k < t->n_origins &&
                       pci_address_compare(&t->origins[k].address, &d->address) < 0)
                        k++;
                if (k < t->n_origins && pci_address_equal(&t->origins[k].address, &d->address) &&
                    identity_matches(&t->origins[k].identity, d))
                        joined[i] = &t->origins[k];
        }
        *ret = joined;
        return 0;
}

bool driver_name_is_vfio(const char *name)
{
        return endswith(name, "vfio-pci") || endswith(name, "vfio_pci");
}

/* All but the serial number, which need not be known. */
static int compare_identities(const Identity *a, const Identity *b)
{
        uint64_t x = (uint64_t)a->vendor << 48 | (uint64_t)a->device << 32 |
                     (uint64_t)a->subvendor << 16 | a->subdevice;
        uint64_t y = (uint64_t)b->vendor << 48 | (uint64_t)b->device << 32 |
                     (uint64_t)b->subvendor << 16 | b->subdevice;

        return x != y ? (x < y ? -1 : 1) : strcmp(strempty(a->topology), strempty(b->topology));
}

static int compare_origins(const void *a, const void *b)
{
        return compare_identities(&(*(const Origin *const *)a)->identity,
                                  &(*(const Origin *const *)b)->identity);
}

int origin_table_sort(const OriginTable *t, const Origin ***ret)
{
        const Origin **sorted = calloc(t->n_origins + 1, sizeof(Origin *));

        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_origins; i++)
                sorted[i] = &t->origins[i];
        qsort(sorted, t->n_origins, sizeof(Origin *), compare_origins);
        *ret = sorted;
        return 0;
}

bool origins_know(const Origin *const *sorted, size_t n, const Device *d, bool vfio)
{
        const Identity card = { .vendor = d->vendor,
                                .device = d->device,
                                .subvendor = d->subvendor,
                                .subdevice = d->subdevice,
                                .topology = d->topology };
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (compare_identities(&sorted[middle]->identity, &card) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < n && compare_identities(&sorted[low]->identity, &card) == 0; low++)
                if ((!vfio ||
                     (sorted[low]->intended && driver_name_is_vfio(sorted[low]->intended))) &&
                    identity_matches(&sorted[low]->identity, d))
                        return true;
        return false;
}

int origin_table_put(OriginTable *t, Origin *o)
{
        Origin *found = origin_table_find(t, &o->address);
        size_t i = origin_position(t, &o->address);

        o->stamp = t->last_stamp + 1;
        if (found)
                origin_done(found);
        else if (!INSERT(t->origins, t->n_origins, i))
                return -ENOMEM;
        t->origins[i] = *o;
        t->last_stamp++;
        *o = (Origin){ 0 };
        return 0;
}

void origin_table_remove(OriginTable *t, const PciAddress *address)
{
        Origin *o = origin_table_find(t, address);
        size_t i;

        if (!o)
                return;
        i = (size_t)(o - t->origins);
        origin_done(o);
        t->n_origins--;
        memmove(o, o + 1, (t->n_origins - i) * sizeof(Origin));
}

void origin_table_forget_taken(OriginTable *t, const PciAddress *address)
{
        Origin *o = origin_table_find(t, address);

        if (!origin_owes_vfs(o)) {
                origin_table_remove(t, address);
                return;
        }
        o->taken = o->implied = false;
        free(TAKE_PTR(o->override));
        free(TAKE_PTR(o->intended));
}

void origin_table_forget_counted(OriginTable *t, const PciAddress *address)
{
        Origin *o = origin_table_find(t, address);

        if (!o || !o->taken) {
                origin_table_remove(t, address);
                return;
        }
        o->counted = o->autoprobe_off = false;
        o->num_vfs = 0;
}
