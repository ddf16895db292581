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

void host_add_sriov(HostDevice *d, unsigned total_vfs, const char *vf_native, bool leaves_vfs)
{
        d->total_vfs = total_vfs;
        d->vf_native = vf_native;
        d->leaves_vfs = leaves_vfs;
        d->autoprobe = true;
}

static void remove_vfs(Host *h, HostDevice *pf)
{
        const PciAddress address = pf->address;
        size_t n = 0;

        pf->num_vfs = 0;
        for (size_t i = 0; i < h->n; i++)
                if (!h->devices[i].is_vf || !pci_address_equal(&h->devices[i].pf, &address))
                        h->devices[n++] = h->devices[i];
        h->n = n;
}

static void bind_driver(HostDevice *d, const char *driver)
{
        g_strlcpy(d->driver, driver, sizeof(d->driver));
        d->host_saw_it = d->host_saw_it || !streq(driver, "vfio-pci");
}

static int set_numvfs(Host *h, HostDevice *pf, unsigned n)
{
        if (n == pf->num_vfs)
                return 0;
        if (n > pf->total_vfs)
                return -ERANGE;
        if (!pf->driver[0] || streq(pf->driver, "vfio-pci"))
                return -ENOENT;
        if (n > 0 && pf->num_vfs > 0)
                return -EBUSY;
        if (n == 0) {
                remove_vfs(h, pf);
                return 0;
        }
        pf->num_vfs = n;
        for (unsigned i = 0; i < n; i++) {
                HostDevice *vf = &h->devices[h->n++];

                *vf = (HostDevice){ .address = pf->address,
                                    .vendor = pf->vendor,
                                    .device = (uint16_t)(pf->device + 1),
                                    .class = pf->class,
                                    .group = 1000 + pf->address.bus * 64 + (int)i,
                                    .native = pf->vf_native,
                                    .is_vf = true,
                                    .pf = pf->address,
                                    .vf_index = (int)i };
                vf->address.device = (uint8_t)(0x10 + i / 8);
                vf->address.function = (uint8_t)(i % 8);
                if (pf->autoprobe && vf->native)
                        bind_driver(vf, vf->native);
        }
        return 0;
}

static bool may_probe(Host *h, const HostDevice *d)
{
        return !d->is_vf || host_find(h, &d->pf)->autoprobe;
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
                if (d->num_vfs > 0 && !d->leaves_vfs)
                        remove_vfs(h, d);
                return 0;
        case STEP_BIND:
                if (!driver_matches(d, s->argument))
                        return -ENODEV;
                if (d->driver[0])
                        return -EBUSY;
                bind_driver(d, s->argument);
                return 0;
        case STEP_PROBE:
                if (!d->driver[0] && !d->override[0] && d->native && may_probe(h, d))
                        bind_driver(d, d->native);
                return 0;
        case STEP_SET_AUTOPROBE:
                d->autoprobe = streq(s->argument, "1");
                return 0;
        case STEP_SET_NUMVFS:
                return set_numvfs(h, d, (unsigned)atoi(s->argument));
        case STEP_WAIT_VFS:
                return d->num_vfs == (unsigned)atoi(s->argument) ? 0 : -ENOSPC;
        case STEP_VF_SETTING:
                for (VfSetting i = 0; i < _VF_SETTING_MAX; i++)
                        if (vf_settings_has(&s->settings, i))
                                vf_settings_put(&d->settings, i, s->settings.values[i]);
                return 0;
        default:
                return 0;
        }
}

bool host_equal(const Host *a, const Host *b)
{
        for (size_t i = 0; i < a->n; i++) {
                const HostDevice *d = &a->devices[i];
                const HostDevice *e = host_find((Host *)b, &d->address);

                if (!e || !streq(d->driver, e->driver) || !streq(d->override, e->override) ||
                    d->num_vfs != e->num_vfs || d->autoprobe != e->autoprobe)
                        return false;
        }
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
                devices[i]->total_vfs = d->total_vfs;
                devices[i]->num_vfs = d->num_vfs;
                devices[i]->autoprobe = d->total_vfs > 0 ? d->autoprobe : -1;
                devices[i]->is_vf = d->is_vf;
                devices[i]->pf = d->pf;
                devices[i]->vf_index = d->is_vf ? d->vf_index : -1;
                devices[i]->vf_report = VF_REPORT_THERE;
                devices[i]->vf_settings = d->settings;
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

/* The number of VFs and autoprobe are owed from their first change on. */
static void record_pf(const Device *d, const Step *s, OriginTable *origins)
{
        Origin *known = origin_table_find(origins, &d->address);
        Origin o = { .address = d->address };

        if (!known) {
                g_assert_cmpint(identity_from_device(d, &o.identity), ==, 0);
                g_assert_cmpint(origin_table_put(origins, &o), ==, 0);
                known = origin_table_find(origins, &d->address);
        }
        if (s->kind == STEP_SET_AUTOPROBE) {
                known->autoprobe_off = true;
        } else if (!known->counted) {
                known->counted = true;
                known->num_vfs = d->num_vfs;
        }
}

void host_record(const Host *h, const Unit *u, OriginTable *origins)
{
        Inventory *inv = host_inventory(h);

        for (size_t i = 0; i < u->n_steps && !u->restore; i++) {
                const Device *d = inventory_find(inv, &u->steps[i].address);
                const HostDevice *hd = host_find((Host *)h, &d->address);
                const Origin *known = origin_table_find_device(origins, d);
                Origin o = { .address = d->address, .taken = true };

                if (u->steps[i].kind == STEP_SET_AUTOPROBE || u->steps[i].kind == STEP_SET_NUMVFS) {
                        record_pf(d, &u->steps[i], origins);
                        continue;
                }
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

void world_forget(World *w)
{
        status_table_free(w->status);
        plan_free(w->plan);
        if (w->inv)
                driver_choices_free(w->choices, w->inv->n_devices);
        desired_free(w->desired);
        inventory_free(w->inv);
        w->status = NULL;
        w->plan = NULL;
        w->choices = NULL;
        w->desired = NULL;
        w->inv = NULL;
}

void world_done(World *w)
{
        world_forget(w);
        config_free(w->config);
        request_table_done(&w->requests);
        origin_table_done(&w->origins);
        use_table_done(&w->uses);
}

void world_plan(World *w)
{
        world_forget(w);
        w->inv = host_inventory(&w->host);
        g_assert_cmpint(desired_compute(w->config, &w->requests, &w->origins, w->inv, &w->desired),
                        ==, 0);
        w->choices = host_choices(w->inv, w->desired, &w->origins);
        g_assert_cmpint(
                plan_compute(w->inv, w->desired, w->choices, &w->origins, &w->uses, &w->plan), ==,
                0);
        g_assert_cmpint(status_compute(w->inv, w->desired, w->plan, false, NULL, NULL, &w->status),
                        ==, 0);
}

/* All units, as the daemon would carry them out when nothing goes wrong. */
void world_run(World *w)
{
        for (size_t i = 0; i < w->plan->n_units; i++) {
                const Unit *u = &w->plan->units[i];

                host_record(&w->host, u, &w->origins);
                for (size_t k = 0; k < u->n_steps; k++)
                        g_assert_cmpint(host_step(&w->host, &u->steps[k]), ==, 0);
                unit_settle(u, &w->origins);
        }
}

/* The group behind a PCIe-PCI bridge, a two-function NIC, an NVMe drive and the host bridge. */
void world_init(World *w)
{
        *w = (World){ .config = config_new() };
        w->host.iommu = true;
        host_add(&w->host, "0000:00:00.0", "8086:29c0", 0x060000, 0, NULL);
        host_add(&w->host, "0000:04:00.0", "1b36:000e", 0x060400, 13, NULL);
        host_add(&w->host, "0000:05:01.0", "8086:100e", 0x020000, 13, "e1000");
        host_add(&w->host, "0000:05:02.0", "1234:11e8", 0x00ff00, 13, NULL);
        host_add(&w->host, "0000:05:03.0", "1b36:0005", 0x00ff00, 13, NULL);
        host_add(&w->host, "0000:06:00.0", "8086:10d3", 0x020000, 14, "e1000e");
        host_add(&w->host, "0000:06:00.1", "8086:10d3", 0x020000, 14, "e1000e");
        host_add(&w->host, "0000:07:00.0", "1b36:0010", 0x010802, 15, "nvme");
}

void world_rule(World *w, MatchKey key, const char *pattern, TargetKind target)
{
        char *name = g_strdup_printf("%02zu-rule.conf", w->config->n_rules);

        g_assert_cmpint(config_add_rule(w->config, make_rule(name, key, pattern, target)), ==, 0);
        g_free(name);
}

DeviceStatus world_status(const World *w, const char *address)
{
        const DeviceStatus *s;
        PciAddress a;

        g_assert_cmpint(pci_address_parse(address, &a), ==, 0);
        s = status_find(w->status, &a);
        g_assert_nonnull(s);
        return *s;
}

const char *world_driver(World *w, const char *address)
{
        PciAddress a;

        g_assert_cmpint(pci_address_parse(address, &a), ==, 0);
        return host_find(&w->host, &a)->driver;
}
