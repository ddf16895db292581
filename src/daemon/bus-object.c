/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.vfiod1.Device, one object per device and per place that a file names, which is also
 * org.vfiod1.PhysicalFunction or VirtualFunction if it is one; and org.vfiod1.Group, one per IOMMU
 * group: how they are found, and what they show.
 *
 * Both kinds are lists in a snapshot, sorted by a key that also gives the object's path.
 */

#include "basic/names.h"
#include "daemon/bus-internal.h"

/* Devices -------------------------------------------------------------------------------------- */

static PciAddress unpack_address(uint64_t key)
{
        return (PciAddress){ .domain = (uint32_t)(key >> 24),
                             .bus = (uint8_t)(key >> 16),
                             .device = (uint8_t)(key >> 8),
                             .function = (uint8_t)key };
}

static size_t device_count(const Snapshot *s)
{
        return s->status ? s->status->n_statuses : 0;
}

static uint64_t device_key(const Snapshot *s, size_t i)
{
        return pci_address_key(&s->status->statuses[i].address);
}

static int device_make_path(uint64_t key, char **ret)
{
        PciAddress a = unpack_address(key);

        return bus_device_path(&a, ret);
}

/* Short addresses and capital letters name the device in calls, but are no object. */
static int device_read_path(const char *path, uint64_t *ret)
{
        _cleanup_free_ char *id = NULL, *again = NULL;
        const char *word = NULL;
        PciAddress a;
        int r;

        r = sd_bus_path_decode(path, VFIOD_DEVICE_PREFIX, &id);
        if (r > 0)
                word = startswith(id, VFIOD_DEVICE_ID_PREFIX);
        if (!word || pci_address_parse(word, &a) < 0)
                return -EINVAL;
        r = bus_device_path(&a, &again);
        if (r < 0)
                return r;
        if (!streq(path, again))
                return -EINVAL;
        *ret = pci_address_key(&a);
        return 0;
}

static int device_describe(const Snapshot *s, uint64_t key, field_handler_t f, void *userdata)
{
        PciAddress a = unpack_address(key);

        return s->status ? describe_device(s, &a, f, userdata) : -ENOENT;
}

static int pf_describe(const Snapshot *s, uint64_t key, field_handler_t f, void *userdata)
{
        PciAddress a = unpack_address(key);

        return describe_pf(s, &a, f, userdata);
}

static int vf_describe(const Snapshot *s, uint64_t key, field_handler_t f, void *userdata)
{
        PciAddress a = unpack_address(key);

        return describe_vf(s, &a, f, userdata);
}

static bool status_equal(const DeviceStatus *a, const DeviceStatus *b)
{
        return a->state == b->state && a->reason == b->reason && streq_ptr(a->detail, b->detail);
}

static bool device_is_same(const Snapshot *before, size_t b, const Snapshot *after, size_t a)
{
        const DeviceStatus *was = &before->status->statuses[b], *is = &after->status->statuses[a];
        ssize_t old = was->index, new = is->index;

        if (!status_equal(was, is))
                return false;
        /* Absent places have no device and no target: their state is all they have. */
        if (old < 0 || new < 0)
                return old < 0 && new < 0;
        return before->inventory->devices[old] == after->inventory->devices[new] &&
               target_equal(&before->desired->targets[old], &after->desired->targets[new]);
}

/* Groups --------------------------------------------------------------------------------------- */

static size_t group_count(const Snapshot *s)
{
        return s->inventory && s->status ? s->inventory->n_groups : 0;
}

static uint64_t group_key(const Snapshot *s, size_t i)
{
        return (uint64_t)s->inventory->groups[i].number;
}

static int group_make_path(uint64_t key, char **ret)
{
        return bus_number_path(VFIOD_GROUP_PREFIX, key, ret);
}

static int group_read_path(const char *path, uint64_t *ret)
{
        return bus_number_from_path(VFIOD_GROUP_PREFIX, path, ret);
}

static int group_describe(const Snapshot *s, uint64_t key, field_handler_t f, void *userdata)
{
        return group_count(s) > 0 && key <= INT32_MAX ? describe_group(s, (int)key, f, userdata)
                                                      : -ENOENT;
}

static const DeviceStatus *status_of(const Snapshot *s, uint32_t device)
{
        return &s->status->statuses[s->status->by_device[device]];
}

static bool group_is_same(const Snapshot *before, size_t b, const Snapshot *after, size_t a)
{
        const Group *old = &before->inventory->groups[b], *new = &after->inventory->groups[a];

        if (old->n_members != new->n_members)
                return false;
        for (size_t i = 0; i < new->n_members; i++) {
                if (old->members[i] != new->members[i] ||
                    !status_equal(status_of(before, old->indices[i]),
                                  status_of(after, new->indices[i])))
                        return false;
        }
        return true;
}

/* Both ------------------------------------------------------------------------------------------
 */

static int enumerate(const Bus *b, const ObjectKind *k, char ***ret_nodes)
{
        Snapshot s = manager_snapshot(b->manager);
        size_t n = k->count(&s);
        _cleanup_strv_ char **nodes = calloc(n + 1, sizeof(char *));
        int r;

        if (!nodes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = k->make_path(k->key(&s, i), &nodes[i]);
                if (r < 0)
                        return r;
        }
        *ret_nodes = TAKE_PTR(nodes);
        return 0;
}

static int device_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                            sd_bus_error *error)
{
        return enumerate(userdata, &bus_object_kinds[KIND_DEVICE], ret_nodes);
}

static int group_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                           sd_bus_error *error)
{
        return enumerate(userdata, &bus_object_kinds[KIND_GROUP], ret_nodes);
}

const ObjectKind bus_object_kinds[_KIND_MAX] = {
        [KIND_DEVICE] = { VFIOD_DEVICE_PREFIX,
                          { { VFIOD_DEVICE_INTERFACE, bus_device_vtable, device_describe },
                            { VFIOD_PF_INTERFACE, bus_pf_vtable, pf_describe },
                            { VFIOD_VF_INTERFACE, bus_vf_vtable, vf_describe } },
                          device_count,
                          device_key,
                          device_make_path,
                          device_read_path,
                          device_enumerate,
                          device_is_same },
        [KIND_GROUP] = { VFIOD_GROUP_PREFIX,
                         { { VFIOD_GROUP_INTERFACE, bus_group_vtable, group_describe } },
                         group_count,
                         group_key,
                         group_make_path,
                         group_read_path,
                         group_enumerate,
                         group_is_same },
};

static const ObjectInterface *find_interface(const ObjectKind *k, const char *name)
{
        for (const ObjectInterface *i = k->interfaces; i->name; i++)
                if (streq(i->name, name))
                        return i;
        return NULL;
}

/* The answer is the Bus itself, which then has the object's fields for property_get(). */
static int find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                void **ret_found, sd_bus_error *error)
{
        Bus *b = userdata;
        Snapshot s = manager_snapshot(b->manager);

        description_done(&b->found);
        for (size_t n = 0; n < ELEMENTSOF(bus_object_kinds); n++) {
                const ObjectInterface *i = find_interface(&bus_object_kinds[n], interface);
                uint64_t key;

                if (!i || bus_object_kinds[n].read_path(path, &key) < 0 ||
                    i->describe(&s, key, description_keep_field, &b->found) < 0)
                        continue;
                *ret_found = b;
                return 1;
        }
        return 0;
}

int bus_register_objects(Bus *b)
{
        int r = 0;

        for (size_t n = 0; r >= 0 && n < ELEMENTSOF(bus_object_kinds); n++) {
                const ObjectKind *k = &bus_object_kinds[n];

                for (const ObjectInterface *i = k->interfaces; r >= 0 && i->name; i++)
                        r = sd_bus_add_fallback_vtable(b->bus, NULL, k->prefix, i->name, i->vtable,
                                                       find, b);
                if (r >= 0)
                        r = sd_bus_add_node_enumerator(b->bus, NULL, k->prefix, k->enumerate, b);
        }
        return r;
}

/* An interface in the answer to GetManagedObjects: opened by its first field, if it has any. */
typedef struct InterfaceWriter {
        sd_bus_message *message;
        const char *name;
        bool open;
} InterfaceWriter;

static int write_field(const Field *f, void *userdata)
{
        InterfaceWriter *w = userdata;
        int r = w->open ? 0 : bus_open_interface(w->message, w->name);

        w->open = true;
        return r < 0 ? r : bus_append_field(f, w->message);
}

static int append_object(sd_bus_message *m, const Snapshot *s, const ObjectKind *k, uint64_t key)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = k->make_path(key, &path);
        if (r >= 0)
                r = bus_open_object(m, path);
        for (const ObjectInterface *i = k->interfaces; r >= 0 && i->name; i++) {
                InterfaceWriter w = { .message = m, .name = i->name };

                r = i->describe(s, key, write_field, &w);
                if (w.open && r >= 0)
                        r = bus_close_entry(m);
                else if (!w.open && r == -ENOENT)
                        r = 0;
        }
        return r < 0 ? r : bus_close_entry(m);
}

int bus_append_objects(const Bus *b, sd_bus_message *m)
{
        Snapshot s = manager_snapshot(b->manager);
        int r = 0;

        for (size_t n = 0; n < ELEMENTSOF(bus_object_kinds); n++) {
                const ObjectKind *k = &bus_object_kinds[n];

                for (size_t i = 0; r >= 0 && i < k->count(&s); i++)
                        r = append_object(m, &s, k, k->key(&s, i));
        }
        return r;
}

static int property_get(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Bus *b = userdata;

        /* Who asks for all of them does so in their order. */
        for (size_t n = b->found.n_fields; n > 0; n--) {
                const Field *f = &b->found.fields[b->found.next++ % b->found.n_fields];

                if (streq(f->name, property))
                        return bus_append_value(reply, f);
        }
        return -ENODATA;
}

/*
 * What a card is stays constant for as long as its object lives. Another card at the same address,
 * put in between two looks, is another object: the first one is let go, see bus-signals.c.
 */
/* clang-format off */
const sd_bus_vtable bus_device_vtable[] = {
        SD_BUS_VTABLE_START(0),
        CONSTANT("Address", "s"),
        CONSTANT("Id", "s"),
        CONSTANT("Class", "s"),
        CHANGING("Driver", "s"),
        CHANGING("State", "s"),
        CHANGING("Reason", "s"),
        CHANGING("Sentence", "s"),
        CHANGING("Remedy", "s"),
        CHANGING("Group", "i"),
        CHANGING("NUMANode", "i"),
        CHANGING("PF", "s"),
        CHANGING("VF", "i"),
        CHANGING("NumVFs", "u"),
        CHANGING("TotalVFs", "u"),
        CHANGING("VFIONode", "s"),
        CHANGING("Rule", "s"),
        CHANGING("Target", "s"),
        CONSTANT("SubsystemId", "s"),
        CONSTANT("Revision", "u"),
        CHANGING("HostDriver", "s"),
        CHANGING("ResetMethods", "as"),
        CHANGING("BootVGA", "b"),
        CHANGING("Slot", "s"),
        CHANGING("Path", "s"),
        CHANGING("Topology", "s"),
        CHANGING("NetworkInterfaces", "as"),
        CHANGING("MACAddress", "s"),
        CHANGING("SerialNumber", "s"),
        CHANGING("Taken", "b"),
        SD_BUS_VTABLE_END,
};

const sd_bus_vtable bus_pf_vtable[] = {
        SD_BUS_VTABLE_START(0),
        CHANGING("TotalVFs", "u"),
        CHANGING("NumVFs", "u"),
        CHANGING("DriversAutoprobe", "b"),
        CHANGING("DeclaredVFs", "i"),
        CHANGING("VirtualFunctions", "as"),
        SD_BUS_VTABLE_END,
};

const sd_bus_vtable bus_vf_vtable[] = {
        SD_BUS_VTABLE_START(0),
        CHANGING("PhysicalFunction", "s"),
        CHANGING("Index", "i"),
        CHANGING("MACAddress", "s"),
        CHANGING("VLAN", "i"),
        CHANGING("VLANQoS", "i"),
        CHANGING("Trust", "s"),
        CHANGING("SpoofCheck", "s"),
        CHANGING("LinkState", "s"),
        CHANGING("MaxTxRate", "i"),
        CHANGING("MinTxRate", "i"),
        SD_BUS_VTABLE_END,
};

const sd_bus_vtable bus_group_vtable[] = {
        SD_BUS_VTABLE_START(0),
        CONSTANT("Number", "i"),
        CHANGING("Members", "as"),
        CHANGING("Bridges", "as"),
        CHANGING("State", "s"),
        CHANGING("Reason", "s"),
        CHANGING("VFIONode", "s"),
        CHANGING("NodeUID", "u"),
        CHANGING("NodeGID", "u"),
        CHANGING("NodeMode", "u"),
        SD_BUS_VTABLE_END,
};

const sd_bus_vtable bus_job_vtable[] = {
        SD_BUS_VTABLE_START(0),
        JOB_METHODS(VTABLE_READ, VTABLE_WRITE)
        CONSTANT("Id", "t"),
        CONSTANT("Kind", "s"),
        CHANGING("State", "s"),
        CONSTANT("Devices", "as"),
        CONSTANT("RequesterUID", "u"),
        CONSTANT("Started", "t"),
        CHANGING("Reason", "s"),
        CHANGING("Sentence", "s"),
        SD_BUS_VTABLE_END,
};
/* clang-format on */
