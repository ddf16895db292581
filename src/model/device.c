/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/device.h"

#include <stdio.h>

Device *device_new(const PciAddress *address)
{
        Device *d = calloc(1, sizeof(Device));

        if (!d)
                return NULL;
        d->n_ref = 1;
        d->address = *address;
        d->group = d->numa_node = d->vf_index = d->autoprobe = -1;
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

bool device_is_bridge(const Device *d)
{
        return d->class >> 16 == 0x06;
}

bool device_is_system(const Device *d)
{
        /*
         * PCI-SIG class codes: RAM 0500, CXL 0502, system peripherals 08, SMBus 0c05, IPMI 0c07.
         * Accelerators that call themselves "other memory controller", 0580, are none of these.
         */
        return device_is_bridge(d) || d->class >> 8 == 0x0500 || d->class >> 8 == 0x0502 ||
               d->class >> 16 == 0x08 || d->class >> 8 == 0x0c05 || d->class >> 8 == 0x0c07;
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

const char *device_node(const Device *d, char buffer[static DEVICE_NODE_SIZE])
{
        snprintf(buffer, DEVICE_NODE_SIZE, "/dev/vfio/%s%d", d->group_is_noiommu ? "noiommu-" : "",
                 d->group);
        return buffer;
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
