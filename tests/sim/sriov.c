/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* VFs come and go: drivers/pci/iov.c. */

#include "sim.h"

#include <err.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* While a driver is bound that can make VFs, its own limit counts. */
unsigned sriov_total(const Device *pf)
{
        return pf->driver && pf->driver->sriov != SRIOV_NONE ? pf->total_vfs : pf->hardware_vfs;
}

static Device *make_vf(Device *pf, unsigned i)
{
        unsigned rid = (pf->bus << 8 | pf->slot << 3 | pf->function) + pf->offset + pf->stride * i;
        Device *vf = calloc(1, sizeof(Device));

        if (!vf)
                errx(1, "out of memory");
        *vf = (Device){ .domain = pf->domain,
                        .bus = rid >> 8,
                        .slot = rid >> 3 & 31,
                        .function = rid & 7,
                        .vendor = pf->vendor,
                        .device = pf->vf_device,
                        .subvendor = pf->subvendor,
                        .subdevice = pf->subdevice,
                        .class = pf->class,
                        .revision = pf->revision,
                        .numa = pf->numa,
                        .boot_vga = -1,
                        .config_size = 4096,
                        .secondary = -1,
                        .pf = pf,
                        .vf_index = i,
                        .autoprobe = true,
                        .group_wanted = -1 };
        snprintf(vf->reset, sizeof(vf->reset), "flr");
        snprintf(vf->name, sizeof(vf->name), "%04x:%02x:%02x.%x", vf->domain, vf->bus, vf->slot,
                 vf->function);
        return vf;
}

/* pci_iov_add_virtfn(): the event comes before the links, which "change" tells of. */
static void add_vf(Device *pf, Device *vf)
{
        char name[32];

        device_register(vf, true);
        snprintf(name, sizeof(name), "virtfn%u", vf->vf_index);
        node_link(pf->node, name, vf->node);
        node_link(vf->node, "physfn", pf->node);
        event_device(vf, "change");
        (void)device_lock(vf);
        if (pf->autoprobe)
                (void)device_attach(vf);
        device_unlock(vf);
}

static void remove_vf(Device *pf, Device *vf)
{
        char name[32];

        snprintf(name, sizeof(name), "virtfn%u", vf->vf_index);
        node_remove_name(pf->node, name);
        node_remove_name(vf->node, "physfn");
        (void)device_remove(vf, true);
}

void sriov_disable(Device *pf)
{
        for (unsigned i = 0; i < pf->num_vfs; i++)
                remove_vf(pf, pf->vfs[i]);
        free(pf->vfs);
        pf->vfs = NULL;
        pf->num_vfs = 0;
}

static int enable(Device *pf, unsigned n)
{
        pf->vfs = calloc(n, sizeof(Device *));
        if (!pf->vfs)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                pf->vfs[i] = make_vf(pf, i);
                if (device_find(pf->vfs[i]->name)) {
                        while (i-- > 0)
                                remove_vf(pf, pf->vfs[i]);
                        return -ENOENT;
                }
                add_vf(pf, pf->vfs[i]);
        }
        event_device(pf, "change");
        pf->num_vfs = n;
        return 0;
}

/* kstrtou16() with base 0: 010 is eight. */
static int parse(const char *text, unsigned *ret)
{
        const char *digits = text[0] == '+' ? text + 1 : text;
        unsigned long value;
        char *end;

        if (digits[0] < '0' || digits[0] > '9')
                return -EINVAL;
        errno = 0;
        value = strtoul(digits, &end, 0);
        if (*end == '\n')
                end++;
        if (*end)
                return -EINVAL;
        if (errno != 0 || value > USHRT_MAX)
                return -ERANGE;
        *ret = (unsigned)value;
        return 0;
}

static int change(Device *pf, unsigned n)
{
        if (n == pf->num_vfs)
                return 0;
        if (!pf->driver || pf->driver->sriov == SRIOV_NONE)
                return -ENOENT;
        if (n == 0) {
                sriov_disable(pf);
                return 0;
        }
        return pf->num_vfs > 0 ? -EBUSY : enable(pf, n);
}

/* In the kernel's order. The rescan lock is taken since 6.12.75, 6.1.192 and 5.10.262. */
int sriov_store(Device *pf, const char *text)
{
        unsigned n;
        int r;

        r = parse(text, &n);
        if (r < 0)
                return r;
        if (n > sriov_total(pf))
                return -ERANGE;
        r = -ENODEV;
        if (device_lock(pf)) {
                rescan_lock();
                r = change(pf, n);
                rescan_unlock();
        }
        device_unlock(pf);
        return r;
}
