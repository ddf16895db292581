/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.vfiod1.Group: one object per IOMMU group. */

#include "basic/names.h"
#include "daemon/bus-internal.h"

static const Group *find_group(const Snapshot *s, const char *path)
{
        uint64_t number;

        if (!s->inventory || bus_number_from_path(VFIOD_GROUP_PREFIX, path, &number) < 0 ||
            number > INT32_MAX)
                return NULL;
        return inventory_group(s->inventory, (int)number);
}

static int describe_path(const Snapshot *s, const char *path, field_handler_t f, void *userdata)
{
        const Group *g = find_group(s, path);

        return g ? describe_group(s, g->number, f, userdata) : -ENOENT;
}

static int property_get(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return bus_append_property(userdata, path, property, describe_path, reply);
}

int bus_group_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                   void **ret_found, sd_bus_error *error)
{
        const Bus *b = userdata;
        Snapshot s = manager_snapshot(b->manager);

        if (!find_group(&s, path))
                return 0;
        *ret_found = userdata;
        return 1;
}

int bus_group_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                        sd_bus_error *error)
{
        const Bus *b = userdata;
        Snapshot s = manager_snapshot(b->manager);
        size_t n = s.inventory ? s.inventory->n_groups : 0;
        _cleanup_strv_ char **nodes = calloc(n + 1, sizeof(char *));
        int r;

        if (!nodes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = bus_number_path(VFIOD_GROUP_PREFIX, (uint64_t)s.inventory->groups[i].number,
                                    &nodes[i]);
                if (r < 0)
                        return r;
        }
        *ret_nodes = TAKE_PTR(nodes);
        return 0;
}

#define STATE(name, signature) \
        SD_BUS_PROPERTY(name, signature, property_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

/* clang-format off */
const sd_bus_vtable bus_group_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Number", "i", property_get, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        STATE("Members", "as"),
        STATE("Bridges", "as"),
        STATE("State", "s"),
        STATE("Reason", "s"),
        STATE("VFIONode", "s"),
        STATE("NodeUID", "u"),
        STATE("NodeGID", "u"),
        STATE("NodeMode", "u"),
        SD_BUS_VTABLE_END,
};
/* clang-format on */
