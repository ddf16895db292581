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

bool origin_table_knows(const OriginTable *t, const Device *d, bool vfio)
{
        for (size_t i = 0; i < t->n_origins; i++) {
                const Origin *o = &t->origins[i];

                if ((!vfio || (o->intended && driver_name_is_vfio(o->intended))) &&
                    identity_matches(&o->identity, d))
                        return true;
        }
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
