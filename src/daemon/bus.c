/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Registration, the way of every message to its method, and the limiter before it. */

#include "basic/names.h"
#include "daemon/bus-internal.h"

#include <time.h>

const MethodRow bus_method_rows[_METHOD_MAX] = {
#define READ(interface_, member_, in, in_names, out, out_names, run_) \
        [METHOD_ID(interface_, member_)] = { VFIOD_##interface_##_INTERFACE, #member_, run_, NULL },
#define WRITE(interface_, member_, in, in_names, out, out_names, run_, derive_)              \
        [METHOD_ID(interface_, member_)] = { VFIOD_##interface_##_INTERFACE, #member_, run_, \
                                             derive_ },
        MANAGER_METHODS(READ, WRITE) JOB_METHODS(READ, WRITE)
#undef READ
#undef WRITE
};

static int authorise(Bus *b, sd_bus_message *m, const MethodRow *row, Caller *caller,
                     sd_bus_error *error)
{
        CheckList checks = { 0 };
        int r;

        r = row->derive(b, m, &checks, error);
        if (r >= 0 && checks.reading)
                r = 1;
        else if (r >= 0) {
                r = polkit_authorize(b->polkit, m, &checks, &caller->uid, error);
                caller->authorised = r > 0;
        }
        check_list_done(&checks);
        return r;
}

/* 1: answered, or will be. */
static int call_method(Bus *b, sd_bus_message *m, MethodId id, sd_bus_error *error)
{
        const MethodRow *row = &bus_method_rows[id];
        Caller caller = { .authorised = false, .uid = UINT32_MAX };
        int r;

        if (row->derive) {
                r = authorise(b, m, row, &caller, error);
                if (r <= 0)
                        return r < 0 ? r : 1;
                r = sd_bus_message_rewind(m, true);
                if (r < 0)
                        return r;
        }
        return row->run(b, m, &caller, error);
}

#define READ(interface, member, in, in_names, out, out_names, run)                              \
        int bus_call_##interface##_##member(sd_bus_message *m, void *userdata, sd_bus_error *e) \
        {                                                                                       \
                return call_method(userdata, m, METHOD_ID(interface, member), e);               \
        }
#define WRITE(interface, member, in, in_names, out, out_names, run, derive) \
        READ(interface, member, in, in_names, out, out_names, run)
MANAGER_METHODS(READ, WRITE)
JOB_METHODS(READ, WRITE)
#undef READ
#undef WRITE

static void bus_free(void *userdata)
{
        Bus *b = userdata;

        sd_event_source_disable_unref(b->exit);
        polkit_free(b->polkit);
        field_cache_done(&b->cache);
        free(b);
}

/* A folder lists all its children; an object itself is introspected cheaply and often. */
static bool introspects_folder(sd_bus_message *m)
{
        static const char *const folders[] = { VFIOD_PATH, VFIOD_DEVICE_PREFIX, VFIOD_GROUP_PREFIX,
                                               VFIOD_JOB_PREFIX };

        if (!streq_ptr(sd_bus_message_get_member(m), "Introspect"))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(folders); i++)
                if (streq_ptr(sd_bus_message_get_path(m), folders[i]))
                        return true;
        return false;
}

static bool is_expensive(sd_bus_message *m)
{
        static const char *const members[][2] = {
                { "org.freedesktop.DBus.ObjectManager", "GetManagedObjects" },
                { VFIOD_MANAGER_INTERFACE, "ListDevices" },
                { VFIOD_MANAGER_INTERFACE, "ListGroups" },
                { VFIOD_MANAGER_INTERFACE, "Plan" },
        };
        const char *member = sd_bus_message_get_member(m);
        const char *interface = sd_bus_message_get_interface(m);

        /* A call may leave its interface out. */
        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (streq_ptr(member, members[i][1]) &&
                    (!interface || streq(interface, members[i][0])))
                        return true;
        return introspects_folder(m);
}

static size_t count_objects(const Bus *b)
{
        Snapshot s = manager_snapshot(b->manager);

        return (s.status ? s.status->n_statuses : 0) + (s.inventory ? s.inventory->n_groups : 0);
}

/* Whether all objects in one reply would not pass what the system bus lets through. */
static bool is_too_large(const Bus *b, sd_bus_message *m)
{
        return streq_ptr(sd_bus_message_get_member(m), "GetManagedObjects") &&
               count_objects(b) > BUS_REPLY_MAX / BUS_OBJECT_SIZE;
}

static int limit_call(Bus *b, sd_bus_message *m)
{
        const char *sender = sd_bus_message_get_sender(m);
        unsigned cost = 1 + (unsigned)(count_objects(b) / LIMITER_OBJECTS);
        uint64_t now;
        int r;

        r = sd_event_now(manager_event(b->manager), CLOCK_MONOTONIC, &now);
        if (r < 0)
                return r;
        if (sender && !limiter_take(&b->limiter, sender, cost, now)) {
                r = sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                               "Too many such calls in a second, wait and "
                                               "follow the signals instead");
                return r < 0 ? r : 1;
        }
        if (is_too_large(b, m)) {
                r = sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                               "Too many objects for one answer, use ListDevices "
                                               "with a filter");
                return r < 0 ? r : 1;
        }
        return 0;
}

static bool only_reads(sd_bus_message *m)
{
        return sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "GetAll") > 0 ||
               sd_bus_message_is_method_call(m, "org.freedesktop.DBus.ObjectManager",
                                             "GetManagedObjects") > 0;
}

/* Sees every message before it is dispatched. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *b = userdata;

        b->cache.enabled = only_reads(m);
        free(b->cache.path);
        b->cache.path = NULL;
        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected") > 0)
                polkit_drop_all(b->polkit);
        else if (sd_bus_message_is_method_call(m, NULL, NULL) > 0 && is_expensive(m))
                return limit_call(b, m);
        return 0;
}

/* Messages that wait for polkit hold the bus; the loop's end lets them go. */
static int on_loop_end(sd_event_source *s, void *userdata)
{
        Bus *b = userdata;

        polkit_drop_all(b->polkit);
        return 0;
}

/* From the filter's slot on, the bus owns the context: its end frees it. */
static int new_context(sd_bus *bus, Manager *m, Bus **ret)
{
        sd_bus_slot *slot = NULL;
        Bus *b = calloc(1, sizeof(Bus));
        int r;

        if (!b)
                return -ENOMEM;
        b->bus = bus;
        b->manager = m;
        r = polkit_new(bus, manager_event(m), POLKIT_DEADLINE_USEC,
                       POLKIT_INTERACTIVE_DEADLINE_USEC, &b->polkit);
        if (r >= 0)
                r = sd_event_add_exit(manager_event(m), &b->exit, on_loop_end, b);
        if (r >= 0)
                r = sd_event_source_set_priority(b->exit, SD_EVENT_PRIORITY_IMPORTANT);
        if (r >= 0)
                r = sd_bus_add_filter(bus, &slot, on_message, b);
        if (r >= 0)
                r = sd_bus_slot_set_destroy_callback(slot, bus_free);
        if (r >= 0)
                r = sd_bus_slot_set_floating(slot, true);
        sd_bus_slot_unref(slot);
        if (r < 0) {
                if (!slot)
                        bus_free(b);
                return r;
        }
        *ret = b;
        return 0;
}

typedef struct Subtree {
        const char *prefix, *interface;
        const sd_bus_vtable *vtable;
        sd_bus_object_find_t find;
        sd_bus_node_enumerator_t enumerate;
} Subtree;

static int add_subtree(sd_bus *bus, const Subtree *t, Bus *b)
{
        int r;

        r = sd_bus_add_fallback_vtable(bus, NULL, t->prefix, t->interface, t->vtable, t->find, b);
        if (r < 0)
                return r;
        return sd_bus_add_node_enumerator(bus, NULL, t->prefix, t->enumerate, b);
}

int bus_register(sd_bus *bus, Manager *m)
{
        static const Subtree subtrees[] = {
                { VFIOD_DEVICE_PREFIX, VFIOD_DEVICE_INTERFACE, bus_device_vtable, bus_device_find,
                  bus_device_enumerate },
                { VFIOD_GROUP_PREFIX, VFIOD_GROUP_INTERFACE, bus_group_vtable, bus_group_find,
                  bus_group_enumerate },
                { VFIOD_JOB_PREFIX, VFIOD_JOB_INTERFACE, bus_job_vtable, bus_job_find,
                  bus_job_enumerate },
        };
        Bus *b;
        int r;

        r = new_context(bus, m, &b);
        if (r < 0)
                return r;
        r = sd_bus_add_object_manager(bus, NULL, VFIOD_PATH);
        if (r < 0)
                return r;
        r = sd_bus_add_object_vtable(bus, NULL, VFIOD_PATH, VFIOD_MANAGER_INTERFACE,
                                     bus_manager_vtable, b);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(subtrees); i++)
                r = add_subtree(bus, &subtrees[i], b);
        if (r < 0)
                return r;
        return sd_bus_add_object_vtable(bus, NULL, LOG_CONTROL_PATH, LOG_CONTROL_INTERFACE,
                                        bus_log_control_vtable, b);
}
