/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Devices and drivers find each other: drivers/base/dd.c, drivers/base/bus.c,
 * drivers/pci/pci-driver.c. */

#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool id_matches(const Id *id, const Device *d)
{
        return (id->vendor == UINT32_MAX || id->vendor == d->vendor) &&
               (id->device == UINT32_MAX || id->device == d->device) &&
               (id->subvendor == UINT32_MAX || id->subvendor == d->subvendor) &&
               (id->subdevice == UINT32_MAX || id->subdevice == d->subdevice) &&
               ((id->class ^ d->class) & id->mask) == 0;
}

static bool any_matches(const Id *ids, const Device *d)
{
        for (; ids; ids = ids->next)
                if (id_matches(ids, d))
                        return true;
        return false;
}

/* pci_match_device(): an override matches by name alone, and excludes all others. */
bool driver_matches(const Driver *drv, const Device *d)
{
        if (d->override)
                return strcmp(d->override, drv->name) == 0;
        return any_matches(drv->dynamic, d) || any_matches(drv->ids, d);
}

/* pci_device_can_probe() */
static bool can_probe(const Device *d)
{
        return !d->pf || d->pf->autoprobe || d->override;
}

static int probe_vfio(const Device *d)
{
        if (d->secondary >= 0 || !d->group)
                return -EINVAL;
        return d->num_vfs > 0 ? -EBUSY : 0;
}

static int probe(const Driver *drv, const Device *d)
{
        if (!can_probe(d))
                return -ENODEV;
        sim_sleep(drv->probe_msec);
        if (drv->probe_error)
                return -drv->probe_error;
        return drv->vfio ? probe_vfio(d) : 0;
}

static void add_links(Driver *drv, Device *d)
{
        d->linked = true;
        node_link(d->node, "driver", drv->node);
        node_link(drv->node, d->name, d->node);
}

static void remove_links(Device *d)
{
        if (!d->linked)
                return;
        d->linked = false;
        node_remove_name(d->node, "driver");
        node_remove_name(d->driver->node, d->name);
}

/*
 * really_probe(), with the device's lock. 1: the probe failed with *error. Negative: something
 * before the probe did. A driver that manages no DMA is refused by a group that is in use (6.x;
 * before, the kernel lets it in and ends with a BUG: not simulated).
 */
static int really_probe(Driver *drv, Device *d, int *error)
{
        int r;

        if (!drv->managed && sim.kernel > KERNEL_5_10 && d->group && d->group->openers > 0)
                return -EBUSY;
        d->driver = drv;
        add_links(drv, d);
        r = probe(drv, d);
        if (r < 0) {
                remove_links(d);
                d->driver = NULL;
                *error = r;
                return 1;
        }
        d->bound = true;
        log_bound(d->name, drv->name);
        if (drv->vfio)
                vfio_add(d);
        parts_add(d);
        event_device(d, "bind");
        return 0;
}

/* Goes on with the next driver where a probe failed, as __device_attach_driver(). 1: bound. */
int device_attach(Device *d)
{
        if (!d->registered)
                return -ENODEV;
        if (d->driver)
                return 1;
        for (Driver *drv = sim.drivers; drv; drv = drv->next) {
                int error = 0, r;

                if (!driver_matches(drv, d))
                        continue;
                r = really_probe(drv, d, &error);
                if (r <= 0)
                        return r < 0 ? r : 1;
        }
        return 0;
}

/*
 * __device_release_driver(), with the device's lock: first the links go, and the device waits for
 * whoever has it open; the event comes when it is free.
 */
void device_detach(Device *d)
{
        Driver *drv = d->driver;

        if (!drv)
                return;
        remove_links(d);
        if (d->num_vfs > 0 && (drv->sriov == SRIOV_REMOVES || drv->vfio))
                sriov_disable(d);
        if (drv->vfio)
                vfio_remove(d);
        else
                sim_sleep(drv->remove_msec);
        parts_remove(d);
        d->driver = NULL;
        d->bound = false;
        if (d->registered)
                event_device(d, "unbind");
}

static Device *find(const char *text)
{
        char name[NAME_SIZE];
        size_t n = strlen(text);

        if (n > 0 && text[n - 1] == '\n')
                n--;
        if (n == 0 || n >= sizeof(name))
                return NULL;
        memcpy(name, text, n);
        name[n] = 0;
        return device_find(name);
}

/* Before 5.14 a device with a driver fails a check ahead of all, and the probe's errno is lost. */
int driver_bind(Driver *drv, const char *name)
{
        Device *d = find(name);
        int error = 0, r = -ENODEV;
        bool old = sim.kernel <= KERNEL_5_10;

        if (!d || (old && d->driver) || !driver_matches(drv, d))
                return -ENODEV;
        if (device_lock(d)) {
                if (d->driver)
                        r = old ? -ENODEV : -EBUSY;
                else
                        r = really_probe(drv, d, &error);
        }
        device_unlock(d);
        if (r == 0)
                return 0;
        return old ? -ENODEV : r > 0 ? error : r;
}

int driver_unbind(Driver *drv, const char *name)
{
        Device *d = find(name);

        if (!d || d->driver != drv)
                return -ENODEV;
        (void)device_lock(d);
        if (d->driver == drv)
                device_detach(d);
        device_unlock(d);
        return 0;
}

int bus_probe(const char *name)
{
        Device *d = find(name);
        int r = 0;

        if (!d)
                return -ENODEV;
        if (d->driver)
                return 0;
        if (device_lock(d))
                r = device_attach(d);
        device_unlock(d);
        return r < 0 ? -EINVAL : 0;
}

static int parse_id(const char *text, Id *ret)
{
        unsigned v[6] = { 0, 0, UINT32_MAX, UINT32_MAX, 0, 0 };
        unsigned long data = 0;
        int n;

        n = sscanf(text, "%x %x %x %x %x %x %lx", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &data);
        if (n < 2)
                return -EINVAL;
        *ret = (Id){ v[0], v[1], v[2], v[3], v[4], v[5], NULL };
        return n;
}

/* driver_attach(): every device that matches and has no driver; it waits for each one's lock. */
static void attach_all(Driver *drv)
{
        for (Device *d = sim.devices; d; d = d->next) {
                int error = 0;

                if (!d->registered || !driver_matches(drv, d))
                        continue;
                if (device_lock(d) && !d->driver)
                        (void)really_probe(drv, d, &error);
                device_unlock(d);
        }
}

int driver_new_id(Driver *drv, const char *text)
{
        Id id, *copy;
        int r;

        r = parse_id(text, &id);
        if (r < 0)
                return r;
        if (r < 7) {
                const Device fake = { .vendor = id.vendor,
                                      .device = id.device,
                                      .subvendor = id.subvendor,
                                      .subdevice = id.subdevice,
                                      .class = id.class };

                /* 5.10 looks at the static ids only. */
                if (any_matches(drv->ids, &fake) ||
                    (sim.kernel > KERNEL_5_10 && any_matches(drv->dynamic, &fake)))
                        return -EEXIST;
        }
        copy = malloc(sizeof(Id));
        if (!copy)
                return -ENOMEM;
        *copy = id;
        copy->next = drv->dynamic;
        drv->dynamic = copy;
        attach_all(drv);
        return 0;
}

int driver_remove_id(Driver *drv, const char *text)
{
        Id id;
        int r;

        r = parse_id(text, &id);
        if (r < 0)
                return r;
        for (Id **p = &drv->dynamic; *p; p = &(*p)->next) {
                Id *i = *p;

                if (i->vendor != id.vendor || i->device != id.device ||
                    (id.subvendor != UINT32_MAX && i->subvendor != id.subvendor) ||
                    (id.subdevice != UINT32_MAX && i->subdevice != id.subdevice) ||
                    ((i->class ^ id.class) & id.mask) != 0)
                        continue;
                *p = i->next;
                free(i);
                return 0;
        }
        return -ENODEV;
}
