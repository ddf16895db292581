/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "host-model.h"

#include <stdio.h>

HostDevice *host_add(Host *h, const char *address, const char *id, uint32_t class, int group,
                     const char *native)
{
        HostDevice *d = &h->devices[h->n++];

        *d = (HostDevice){ .class = class, .group = group, .native = native };
        g_assert_cmpint(pci_address_parse(address, &d->address), ==, 0);
        g_assert_cmpint(sscanf(id, "%4hx:%4hx", &d->vendor, &d->device), ==, 2);
        if (native)
                g_strlcpy(d->driver, native, sizeof(d->driver));
        return d;
}

HostDevice *host_find(Host *h, const PciAddress *a)
{
        for (size_t i = 0; i < h->n; i++)
                if (pci_address_equal(&h->devices[i].address, a))
                        return &h->devices[i];
        return NULL;
}

static bool driver_matches(const HostDevice *d, const char *driver)
{
        if (d->override[0])
                return streq(d->override, driver);
        return d->native && streq(d->native, driver);
}

int host_step(Host *h, const Step *s)
{
        HostDevice *d = host_find(h, &s->address);

        if (!d)
                return -ENODEV;
        switch (s->kind) {
        case STEP_SET_OVERRIDE:
                g_strlcpy(d->override, s->argument, sizeof(d->override));
                return 0;
        case STEP_CLEAR_OVERRIDE:
                d->override[0] = 0;
                return 0;
        case STEP_UNBIND:
                if (!streq(d->driver, s->argument))
                        return -ENODEV;
                d->driver[0] = 0;
                return 0;
        case STEP_BIND:
                if (!driver_matches(d, s->argument))
                        return -ENODEV;
                if (d->driver[0])
                        return -EBUSY;
                g_strlcpy(d->driver, s->argument, sizeof(d->driver));
                return 0;
        case STEP_PROBE:
                if (!d->driver[0] && !d->override[0] && d->native)
                        g_strlcpy(d->driver, d->native, sizeof(d->driver));
                return 0;
        default:
                return 0;
        }
}

bool host_equal(const Host *a, const Host *b)
{
        for (size_t i = 0; i < a->n; i++)
                if (!streq(a->devices[i].driver, b->devices[i].driver) ||
                    !streq(a->devices[i].override, b->devices[i].override))
                        return false;
        return a->n == b->n;
}

Inventory *host_inventory(const Host *h)
{
        Device *devices[HOST_MAX];
        Inventory *inv;

        for (size_t i = 0; i < h->n; i++) {
                const HostDevice *d = &h->devices[i];

                devices[i] = device_new(&d->address);
                devices[i]->vendor = d->vendor;
                devices[i]->device = d->device;
                devices[i]->class = d->class;
                devices[i]->group = d->group;
                devices[i]->driver = d->driver[0] ? strdup(d->driver) : NULL;
                devices[i]->driver_is_vfio = streq(d->driver, "vfio-pci");
        }
        g_assert_cmpint(inventory_new(devices, h->n, h->iommu, NULL, &inv), ==, 0);
        return inv;
}

DriverChoice *host_choices(const Inventory *inv, const Desired *desired, const OriginTable *origins)
{
        DriverChoice *choices = g_new0(DriverChoice, inv->n_devices + 1);

        for (size_t i = 0; i < inv->n_devices; i++) {
                const Target *t = &desired->targets[i];
                const Origin *o = origin_table_find_device(origins, inv->devices[i]);

                if (t->kind == TARGET_VFIO)
                        choices[i].driver = strdup("vfio-pci");
                else if (t->kind == TARGET_DRIVER)
                        choices[i].driver = strdup(t->driver);
                else if (t->kind == TARGET_HOST && o && o->driver)
                        choices[i].driver = strdup(o->driver);
        }
        return choices;
}

void host_record(const Host *h, const Unit *u, OriginTable *origins)
{
        Inventory *inv = host_inventory(h);

        for (size_t i = 0; i < u->n_steps && !u->restore; i++) {
                const Device *d = inventory_find(inv, &u->steps[i].address);
                const HostDevice *hd = host_find((Host *)h, &d->address);
                const Origin *known = origin_table_find_device(origins, d);
                Origin o = { .address = d->address, .taken = true };

                if (u->steps[i].kind != STEP_SET_OVERRIDE || (known && known->taken))
                        continue;
                o.driver = d->driver ? strdup(d->driver) : NULL;
                o.override = hd->override[0] ? strdup(hd->override) : NULL;
                o.intended = strdup(u->steps[i].argument);
                g_assert_cmpint(identity_from_device(d, &o.identity), ==, 0);
                g_assert_cmpint(origin_table_put(origins, &o), ==, 0);
        }
        inventory_free(inv);
}

Rule *make_rule(const char *name, MatchKey key, const char *pattern, TargetKind target)
{
        Rule *r = rule_new(name, name);

        r->target = target;
        g_assert_cmpint(strv_extend(&r->match.patterns[key], pattern), ==, 0);
        return r;
}
