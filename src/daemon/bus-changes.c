/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a reconcile changed, as signals. Getters read the manager's snapshot, which is `after` by
 * now, so that only the names of what differs are to be found. A device that both snapshots share,
 * with the same state and target, is not described at all: a look at one device costs one.
 */

#include "basic/names.h"
#include "daemon/bus-internal.h"

enum { FIELDS_MAX = 64 };

/* Fields by the hash of their values. The names are literals. */
typedef struct FieldHashes {
        const char *names[FIELDS_MAX];
        uint64_t hashes[FIELDS_MAX];
        size_t n;
} FieldHashes;

/* FNV-1a, 64 bits. */
static uint64_t hash_bytes(uint64_t h, const void *data, size_t size)
{
        const uint8_t *p = data;

        for (size_t i = 0; i < size; i++)
                h = (h ^ p[i]) * UINT64_C(0x100000001b3);
        return h;
}

static uint64_t hash_text(uint64_t h, const char *s)
{
        return hash_bytes(h, strempty(s), strlen(strempty(s)) + 1);
}

static int hash_field(const Field *f, void *userdata)
{
        uint64_t h = UINT64_C(0xcbf29ce484222325);
        FieldHashes *all = userdata;

        if (all->n == FIELDS_MAX)
                return -EOVERFLOW;
        switch (f->type) {
        case FIELD_STRING:
                h = hash_text(h, f->string);
                break;
        case FIELD_BOOL:
                h = hash_bytes(h, &f->boolean, sizeof(f->boolean));
                break;
        case FIELD_INT:
                h = hash_bytes(h, &f->integer, sizeof(f->integer));
                break;
        case FIELD_UINT:
                h = hash_bytes(h, &f->uinteger, sizeof(f->uinteger));
                break;
        case FIELD_STRV:
                for (char *const *s = f->strv; s && *s; s++)
                        h = hash_text(h, *s);
                break;
        }
        all->names[all->n] = f->name;
        all->hashes[all->n++] = h;
        return 0;
}

static const sd_bus_vtable *find_property(const sd_bus_vtable *vtable, const char *name)
{
        for (const sd_bus_vtable *v = vtable; v->type != _SD_BUS_VTABLE_END; v++)
                if (v->type == _SD_BUS_VTABLE_PROPERTY && streq(v->x.property.member, name))
                        return v;
        return NULL;
}

/* The names of fields that differ. 1 if a constant one does: that is another object. */
static int find_changes(const FieldHashes *before, const FieldHashes *after,
                        const sd_bus_vtable *vtable, char *names[static FIELDS_MAX + 1])
{
        size_t n = 0;

        for (size_t i = 0; i < after->n; i++) {
                const sd_bus_vtable *v = find_property(vtable, after->names[i]);

                if (!v || (i < before->n && before->hashes[i] == after->hashes[i]))
                        continue;
                if (v->flags & SD_BUS_VTABLE_PROPERTY_CONST)
                        return 1;
                names[n++] = (char *)after->names[i];
        }
        names[n] = NULL;
        return 0;
}

static int emit_removed(sd_bus *bus, const char *path, const char *interface)
{
        const char *const interfaces[] = { "org.freedesktop.DBus.Peer",
                                           "org.freedesktop.DBus.Introspectable",
                                           "org.freedesktop.DBus.Properties", interface, NULL };

        return sd_bus_emit_interfaces_removed_strv(bus, path, (char **)interfaces);
}

static void emit_differences(sd_bus *bus, const char *path, const char *interface,
                             const sd_bus_vtable *vtable, const FieldHashes *before,
                             const FieldHashes *after)
{
        char *names[FIELDS_MAX + 1];

        if (find_changes(before, after, vtable, names) > 0) {
                (void)emit_removed(bus, path, interface);
                (void)sd_bus_emit_object_added(bus, path);
        } else if (names[0])
                (void)sd_bus_emit_properties_changed_strv(bus, path, interface, names);
}

/*
 * The memory of what was taken is one for both snapshots, so that its fields look the same in
 * both. They are counted as changed along with anything else that is.
 */
static void doubt_origin_fields(FieldHashes *before, const FieldHashes *after)
{
        if (before->n == after->n &&
            memcmp(before->hashes, after->hashes, after->n * sizeof(uint64_t)) == 0)
                return;
        for (size_t i = 0; i < before->n; i++)
                if (streq(before->names[i], "Taken") || streq(before->names[i], "HostDriver"))
                        before->hashes[i] = ~after->hashes[i];
}

static const Target *find_target(const Snapshot *s, const PciAddress *a)
{
        ssize_t i = s->inventory ? inventory_index(s->inventory, a) : -1;

        return i >= 0 && s->desired ? &s->desired->targets[i] : NULL;
}

static bool status_equal(const DeviceStatus *a, const DeviceStatus *b)
{
        return a->state == b->state && a->reason == b->reason && streq_ptr(a->detail, b->detail);
}

static bool target_equal(const Target *a, const Target *b)
{
        if (!a || !b)
                return a == b;
        return a->kind == b->kind && a->rule == b->rule && a->requested == b->requested &&
               a->implied == b->implied && streq_ptr(a->driver, b->driver);
}

/* Absent places have no device and no target: their state is all they have. */
static bool device_is_same(const Snapshot *before, const DeviceStatus *b, const Snapshot *after,
                           const DeviceStatus *a)
{
        return status_equal(b, a) &&
               inventory_find(before->inventory, &b->address) ==
                       inventory_find(after->inventory, &a->address) &&
               target_equal(find_target(before, &b->address), find_target(after, &a->address));
}

static void emit_device(sd_bus *bus, const Snapshot *before, const Snapshot *after,
                        const PciAddress *a)
{
        FieldHashes old = { .n = 0 }, new = { .n = 0 };
        _cleanup_free_ char *path = NULL;

        if (bus_device_path(a, &path) < 0 || describe_device(before, a, hash_field, &old) < 0 ||
            describe_device(after, a, hash_field, &new) < 0)
                return;
        if (before->origins == after->origins)
                doubt_origin_fields(&old, &new);
        emit_differences(bus, path, VFIOD_DEVICE_INTERFACE, bus_device_vtable, &old, &new);
}

static void emit_device_added(sd_bus *bus, const PciAddress *a)
{
        _cleanup_free_ char *path = NULL;

        if (bus_device_path(a, &path) >= 0)
                (void)sd_bus_emit_object_added(bus, path);
}

static void emit_device_removed(sd_bus *bus, const PciAddress *a)
{
        _cleanup_free_ char *path = NULL;

        if (bus_device_path(a, &path) >= 0)
                (void)emit_removed(bus, path, VFIOD_DEVICE_INTERFACE);
}

static void emit_devices(sd_bus *bus, const Snapshot *before, const Snapshot *after)
{
        size_t n_before = before->status ? before->status->n_statuses : 0, i = 0, k = 0;

        while (i < n_before || k < after->status->n_statuses) {
                const DeviceStatus *b = i < n_before ? &before->status->statuses[i] : NULL;
                const DeviceStatus *a =
                        k < after->status->n_statuses ? &after->status->statuses[k] : NULL;
                int c = !b ? 1 : !a ? -1 : pci_address_compare(&b->address, &a->address);

                if (c < 0)
                        emit_device_removed(bus, &b->address);
                else if (c > 0)
                        emit_device_added(bus, &a->address);
                else if (!device_is_same(before, b, after, a))
                        emit_device(bus, before, after, &a->address);
                i += c <= 0;
                k += c >= 0;
        }
}

static bool group_is_same(const Snapshot *before, const Group *b, const Snapshot *after,
                          const Group *a)
{
        if (b->n_members != a->n_members)
                return false;
        for (size_t i = 0; i < a->n_members; i++) {
                const DeviceStatus *old, *new;

                if (b->members[i] != a->members[i])
                        return false;
                old = status_find(before->status, &b->members[i]->address);
                new = status_find(after->status, &a->members[i]->address);
                if (!old || !new || !status_equal(old, new))
                        return false;
        }
        return true;
}

static void emit_group(sd_bus *bus, const Snapshot *before, const Snapshot *after, const Group *b,
                       const Group *a)
{
        FieldHashes old = { .n = 0 }, new = { .n = 0 };
        int number = a ? a->number : b->number;
        _cleanup_free_ char *path = NULL;

        if (bus_number_path(VFIOD_GROUP_PREFIX, (uint64_t)number, &path) < 0)
                return;
        if (!a)
                (void)emit_removed(bus, path, VFIOD_GROUP_INTERFACE);
        else if (!b)
                (void)sd_bus_emit_object_added(bus, path);
        else if (!group_is_same(before, b, after, a) &&
                 describe_group(before, number, hash_field, &old) >= 0 &&
                 describe_group(after, number, hash_field, &new) >= 0)
                emit_differences(bus, path, VFIOD_GROUP_INTERFACE, bus_group_vtable, &old, &new);
}

static void emit_groups(sd_bus *bus, const Snapshot *before, const Snapshot *after)
{
        size_t n_before = before->inventory ? before->inventory->n_groups : 0, i = 0, k = 0;

        while (i < n_before || k < after->inventory->n_groups) {
                const Group *b = i < n_before ? &before->inventory->groups[i] : NULL;
                const Group *a =
                        k < after->inventory->n_groups ? &after->inventory->groups[k] : NULL;
                bool use_b = b && (!a || b->number <= a->number);
                bool use_a = a && (!b || a->number <= b->number);

                emit_group(bus, before, after, use_b ? b : NULL, use_a ? a : NULL);
                i += use_b;
                k += use_a;
        }
}

void bus_emit_changes(Manager *m, const Snapshot *before, const Snapshot *after)
{
        sd_bus *bus = manager_bus(m);

        if (!bus || sd_bus_is_ready(bus) <= 0 || !after->status || !after->inventory)
                return;
        emit_devices(bus, before, after);
        emit_groups(bus, before, after);
}

void bus_emit_manager_changed(Manager *m)
{
        sd_bus *bus = manager_bus(m);

        if (bus && sd_bus_is_ready(bus) > 0)
                (void)sd_bus_emit_properties_changed(bus, VFIOD_PATH, VFIOD_MANAGER_INTERFACE,
                                                     "State", "Iommu", "Counts", NULL);
}
