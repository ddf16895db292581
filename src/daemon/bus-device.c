/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.vfiod1.Device: one object per device and per place that a file names. */

#include "daemon/bus-internal.h"

static int describe_path(const Snapshot *s, const char *path, field_handler_t f, void *userdata)
{
        PciAddress a;
        int r;

        r = bus_device_from_path(path, &a);
        if (r < 0)
                return r;
        return describe_device(s, &a, f, userdata);
}

static int property_get(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return bus_append_property(userdata, path, property, describe_path, reply);
}

int bus_device_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                    void **ret_found, sd_bus_error *error)
{
        const Bus *b = userdata;
        Snapshot s = manager_snapshot(b->manager);
        PciAddress a;

        if (!s.status || bus_device_from_path(path, &a) < 0 || !status_find(s.status, &a))
                return 0;
        *ret_found = userdata;
        return 1;
}

int bus_device_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                         sd_bus_error *error)
{
        const Bus *b = userdata;
        Snapshot s = manager_snapshot(b->manager);
        size_t n = s.status ? s.status->n_statuses : 0;
        _cleanup_strv_ char **nodes = calloc(n + 1, sizeof(char *));
        int r;

        if (!nodes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = bus_device_path(&s.status->statuses[i].address, &nodes[i]);
                if (r < 0)
                        return r;
        }
        *ret_nodes = TAKE_PTR(nodes);
        return 0;
}

#define CONST(name, signature) \
        SD_BUS_PROPERTY(name, signature, property_get, 0, SD_BUS_VTABLE_PROPERTY_CONST)
#define STATE(name, signature) \
        SD_BUS_PROPERTY(name, signature, property_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

/*
 * What a card is stays constant for as long as its object lives. Another card at the same address,
 * put in between two looks, is another object: bus-changes.c lets the first one go.
 */
/* clang-format off */
const sd_bus_vtable bus_device_vtable[] = {
        SD_BUS_VTABLE_START(0),
        CONST("Address", "s"),
        CONST("Id", "s"),
        CONST("Class", "s"),
        STATE("Driver", "s"),
        STATE("State", "s"),
        STATE("Reason", "s"),
        STATE("Sentence", "s"),
        STATE("Remedy", "s"),
        STATE("Group", "i"),
        STATE("NUMANode", "i"),
        STATE("PF", "s"),
        STATE("VF", "i"),
        STATE("NumVFs", "u"),
        STATE("TotalVFs", "u"),
        STATE("VFIONode", "s"),
        STATE("Rule", "s"),
        STATE("Target", "s"),
        CONST("SubsystemId", "s"),
        CONST("Revision", "u"),
        STATE("HostDriver", "s"),
        STATE("ResetMethods", "as"),
        STATE("BootVGA", "b"),
        STATE("Slot", "s"),
        STATE("Path", "s"),
        STATE("Topology", "s"),
        STATE("NetworkInterfaces", "as"),
        STATE("MACAddress", "s"),
        STATE("SerialNumber", "s"),
        STATE("Taken", "b"),
        SD_BUS_VTABLE_END,
};
/* clang-format on */
