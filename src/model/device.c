/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/device.h"

Device *device_new(const PciAddress *address)
{
        Device *d = calloc(1, sizeof(Device));

        if (!d)
                return NULL;
        d->n_ref = 1;
        d->address = *address;
        d->group = d->numa_node = d->vf_index = -1;
        return d;
}

Device *device_ref(Device *d)
{
        d->n_ref++;
        return d;
}

Device *device_unref(Device *d)
{
        if (!d || --d->n_ref > 0)
                return NULL;
        free(d->driver);
        free(d->modalias);
        free(d->reset_methods);
        free(d->slot);
        free(d->topology);
        strv_free(d->netdevs);
        free(d);
        return NULL;
}

bool device_equal(const Device *a, const Device *b)
{
        return pci_address_equal(&a->address, &b->address) && a->vendor == b->vendor &&
               a->device == b->device && a->subvendor == b->subvendor &&
               a->subdevice == b->subdevice && a->class == b->class && a->revision == b->revision &&
               streq_ptr(a->driver, b->driver) && a->driver_is_vfio == b->driver_is_vfio &&
               a->group == b->group && a->group_is_noiommu == b->group_is_noiommu &&
               a->numa_node == b->numa_node && a->boot_vga == b->boot_vga &&
               streq_ptr(a->modalias, b->modalias) &&
               streq_ptr(a->reset_methods, b->reset_methods) && streq_ptr(a->slot, b->slot) &&
               streq_ptr(a->topology, b->topology) && a->is_vf == b->is_vf &&
               (!a->is_vf || pci_address_equal(&a->pf, &b->pf)) && a->vf_index == b->vf_index &&
               a->total_vfs == b->total_vfs && a->num_vfs == b->num_vfs &&
               strv_equal(a->netdevs, b->netdevs) && a->has_mac == b->has_mac &&
               memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 && a->has_serial == b->has_serial &&
               a->serial == b->serial && a->has_node == b->has_node && a->node_uid == b->node_uid &&
               a->node_gid == b->node_gid && a->node_mode == b->node_mode;
}

bool device_is_bridge(const Device *d)
{
        return d->class >> 16 == 0x06;
}

bool device_is_system(const Device *d)
{
        /* PCI-SIG class codes: memory and CXL 05, system peripherals 08, SMBus 0c05, IPMI 0c07. */
        return device_is_bridge(d) || d->class >> 16 == 0x05 || d->class >> 16 == 0x08 ||
               d->class >> 8 == 0x0c05 || d->class >> 8 == 0x0c07;
}

int identity_from_device(const Device *d, Identity *ret)
{
        char *topology = NULL;

        if (d->topology) {
                topology = strdup(d->topology);
                if (!topology)
                        return -ENOMEM;
        }
        *ret = (Identity){
                .vendor = d->vendor,
                .device = d->device,
                .subvendor = d->subvendor,
                .subdevice = d->subdevice,
                .has_serial = d->has_serial,
                .serial = d->serial,
                .topology = topology,
        };
        return 0;
}

void identity_done(Identity *i)
{
        free(i->topology);
        *i = (Identity){ 0 };
}

bool identity_matches(const Identity *i, const Device *d)
{
        return i->vendor == d->vendor && i->device == d->device && i->subvendor == d->subvendor &&
               i->subdevice == d->subdevice && streq_ptr(i->topology, d->topology) &&
               (!i->has_serial || !d->has_serial || i->serial == d->serial);
}
