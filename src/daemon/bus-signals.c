/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a look changed in the objects, told to clients: not more at once than the bus takes, and
 * only what is still so when it is told. What is not told yet is remembered by object.
 */

#include "basic/log.h"
#include "basic/names.h"
#include "daemon/bus-internal.h"

enum { OBJECTS_PER_TURN = 100 };

#define RETRY_USEC (50 * USEC_PER_MSEC) /* for the bus to take what is queued */

/* An object that is to be told of. Interfaces are bits, by their place in its kind. */
struct Dirty {
        uint8_t kind;
        uint8_t known;   /* those that clients know of */
        uint8_t changed; /* those that may have changed, come or gone */
        bool replaced;   /* it is another object now */
        uint64_t key;
};

/* What differs ----------------------------------------------------------------------------------
 */

static int ignore_field(const Field *f, void *userdata)
{
        return 0;
}

static uint8_t get_interfaces(const ObjectKind *k, const Snapshot *s, uint64_t key)
{
        uint8_t set = 0;

        for (size_t i = 0; k->interfaces[i].name; i++)
                if (k->interfaces[i].describe(s, key, ignore_field, NULL) >= 0)
                        set |= (uint8_t)(1 << i);
        return set;
}

static bool is_constant(const sd_bus_vtable *vtable, const char *name)
{
        for (const sd_bus_vtable *v = vtable; v->type != _SD_BUS_VTABLE_END; v++)
                if (v->type == _SD_BUS_VTABLE_PROPERTY && streq(v->x.property.member, name))
                        return v->flags & SD_BUS_VTABLE_PROPERTY_CONST;
        return false;
}

/* 0: the same; 1: not; -ESTALE: it is another object now. */
static int compare_descriptions(const ObjectInterface *i, const Description *before,
                                const Description *after)
{
        int r = 0;

        for (size_t n = 0; n < after->n_fields && n < before->n_fields; n++)
                if (!field_equal(&before->fields[n], &after->fields[n])) {
                        if (is_constant(i->vtable, after->fields[n].name))
                                return -ESTALE;
                        r = 1;
                }
        return r;
}

static int compare_interface(const ObjectInterface *i, uint64_t key, const Snapshot *before,
                             const Snapshot *after)
{
        Description old = { .n_fields = 0 }, new = { .n_fields = 0 };
        bool was = i->describe(before, key, description_keep_field, &old) >= 0;
        bool is = i->describe(after, key, description_keep_field, &new) >= 0;
        int r = was && is ? compare_descriptions(i, &old, &new) : was != is;

        description_done(&old);
        description_done(&new);
        return r;
}

static int compare_dirty(const Dirty *a, const Dirty *b)
{
        if (a->kind != b->kind)
                return a->kind < b->kind ? -1 : 1;
        return a->key == b->key ? 0 : a->key < b->key ? -1 : 1;
}

/* An object that is remembered already keeps what clients knew of it at first. */
static int remember(Bus *b, const Dirty *d)
{
        size_t i = 0, end = b->n_dirty;

        while (i < end) {
                size_t middle = i + (end - i) / 2;

                if (compare_dirty(&b->dirty[middle], d) < 0)
                        i = middle + 1;
                else
                        end = middle;
        }
        if (i < b->n_dirty && compare_dirty(&b->dirty[i], d) == 0) {
                b->dirty[i].changed |= d->changed;
                b->dirty[i].replaced |= d->replaced;
                return 0;
        }
        if (!INSERT(b->dirty, b->n_dirty, i))
                return -ENOMEM;
        b->dirty[i] = *d;
        return 0;
}

static int compare_object(Bus *b, uint8_t kind, uint64_t key, const Snapshot *before,
                          const Snapshot *after)
{
        const ObjectKind *k = &bus_object_kinds[kind];
        Dirty d = { .kind = kind, .key = key, .known = get_interfaces(k, before, key) };

        d.replaced = get_interfaces(k, after, key) == 0;
        for (size_t i = 0; k->interfaces[i].name; i++) {
                int r = compare_interface(&k->interfaces[i], key, before, after);

                d.changed |= (uint8_t)((r != 0) << i);
                d.replaced = d.replaced || r < 0;
        }
        return d.changed || d.replaced ? remember(b, &d) : 0;
}

static int compare_kind(Bus *bus, uint8_t kind, const Snapshot *before, const Snapshot *after)
{
        const ObjectKind *k = &bus_object_kinds[kind];
        size_t n_before = k->count(before), n_after = k->count(after), b = 0, a = 0;
        int r = 0;

        while (r >= 0 && (b < n_before || a < n_after)) {
                uint64_t old = b < n_before ? k->key(before, b) : UINT64_MAX;
                uint64_t new = a < n_after ? k->key(after, a) : UINT64_MAX;

                if (old != new || !k->is_same(before, b, after, a))
                        r = compare_object(bus, kind, MIN(old, new), before, after);
                b += old <= new;
                a += new <= old;
        }
        return r;
}

/* Telling ---------------------------------------------------------------------------------------
 */

/* The names of a set of interfaces. */
static char **list_interfaces(const ObjectKind *k, uint8_t set,
                              const char *names[static INTERFACES_MAX + 1])
{
        size_t n = 0;

        for (size_t i = 0; k->interfaces[i].name; i++)
                if (set & 1 << i)
                        names[n++] = k->interfaces[i].name;
        names[n] = NULL;
        return (char **)names;
}

/*
 * Getters read the manager's snapshot. All properties that may change are sent: what was taken from
 * a device is not part of a snapshot, so that it cannot be compared, and changes only together with
 * something that is.
 */
static void emit_object(Bus *b, const Dirty *d)
{
        const ObjectKind *k = &bus_object_kinds[d->kind];
        Snapshot s = manager_snapshot(b->manager);
        uint8_t is = get_interfaces(k, &s, d->key);
        uint8_t stays = d->replaced ? 0 : d->known & is;
        const char *names[INTERFACES_MAX + 1];
        _cleanup_free_ char *path = NULL;

        if (k->make_path(d->key, &path) < 0)
                return;
        if (d->known & ~stays)
                (void)sd_bus_emit_interfaces_removed_strv(
                        b->bus, path, list_interfaces(k, d->known & ~stays, names));
        if (is & ~stays)
                (void)sd_bus_emit_interfaces_added_strv(b->bus, path,
                                                        list_interfaces(k, is & ~stays, names));
        for (size_t i = 0; k->interfaces[i].name; i++)
                if (stays & d->changed & 1 << i)
                        (void)sd_bus_emit_properties_changed_strv(b->bus, path,
                                                                  k->interfaces[i].name, NULL);
}

static void emit_manager(Bus *b)
{
        b->manager_dirty = false;
        (void)sd_bus_emit_properties_changed(b->bus, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "State",
                                             "Iommu", "Counts", NULL);
}

static int on_signals(sd_event_source *s, uint64_t usec, void *userdata);

static int emit_some(Bus *b)
{
        size_t n = 0;

        while (n < b->n_dirty && n < OBJECTS_PER_TURN && !bus_has_queued(b->bus, BUS_QUEUED_MAX))
                emit_object(b, &b->dirty[n++]);
        if (n > 0)
                memmove(b->dirty, b->dirty + n, (b->n_dirty -= n) * sizeof(Dirty));
        if (b->n_dirty == 0 && b->manager_dirty && !bus_has_queued(b->bus, BUS_QUEUED_MAX))
                emit_manager(b);
        if (b->n_dirty == 0 && !b->manager_dirty)
                return 0;
        return bus_arm(b, &b->signals, bus_has_queued(b->bus, BUS_QUEUED_MAX) ? RETRY_USEC : 0,
                       MANAGER_PRIORITY, on_signals);
}

static int on_signals(sd_event_source *s, uint64_t usec, void *userdata)
{
        return emit_some(userdata);
}

/* The manager -----------------------------------------------------------------------------------
 */

void bus_emit_changes(Manager *m, const Snapshot *before, const Snapshot *after)
{
        Bus *b = manager_bus(m);
        int r = 0;

        if (!bus_get_ready(m))
                return;
        for (uint8_t kind = 0; r >= 0 && kind < _KIND_MAX; kind++)
                r = compare_kind(b, kind, before, after);
        if (r < 0)
                log_error_errno(r, "Failed to tell clients what has changed: %m");
        if (b->n_dirty > 0)
                (void)emit_some(b);
}

void bus_emit_manager_changed(Manager *m)
{
        Bus *b = manager_bus(m);

        if (!bus_get_ready(m))
                return;
        b->manager_dirty = true;
        (void)emit_some(b);
}
