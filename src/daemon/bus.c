/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The way of every message to its method, the limiter before it, and registration. */

#include "basic/names.h"
#include "daemon/bus-internal.h"

const MethodRow bus_method_rows[] = {
#define READ(interface_, member_, in, in_names, out, out_names, run_) \
        { VFIOD_##interface_##_INTERFACE, #member_, run_, NULL },
#define WRITE(interface_, member_, in, in_names, out, out_names, run_, derive_) \
        { VFIOD_##interface_##_INTERFACE, #member_, run_, derive_ },
        MANAGER_METHODS(READ, WRITE) JOB_METHODS(READ, WRITE)
#undef READ
#undef WRITE
                { NULL, NULL, NULL, NULL },
};

/* sd-bus has found the object and its interface, and a call may leave the latter out. */
static const MethodRow *find_row(const char *member)
{
        for (const MethodRow *row = bus_method_rows; row->member; row++)
                if (streq_ptr(row->member, member))
                        return row;
        return NULL;
}

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

int bus_dispatch_method(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const MethodRow *row = find_row(sd_bus_message_get_member(m));
        Caller caller = { .authorised = false, .uid = UINT32_MAX };
        Bus *b = userdata;
        int r;

        if (!row)
                return -EACCES;
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

/* The limiter ---------------------------------------------------------------------------------- */

enum { CREDIT_PER_CALL = 1000000 };

static LimiterEntry *find_entry(Limiter *l, const char *sender, uint64_t now)
{
        LimiterEntry *oldest = &l->entries[0];

        for (size_t i = 0; i < LIMITER_SENDERS_MAX; i++) {
                LimiterEntry *e = &l->entries[i];

                if (streq(e->sender, sender))
                        return e;
                if (e->usec < oldest->usec)
                        oldest = e;
        }
        *oldest = (LimiterEntry){ .usec = now, .credit = LIMITER_BURST * CREDIT_PER_CALL };
        memcpy(oldest->sender, sender, strlen(sender) + 1);
        return oldest;
}

bool limiter_take(Limiter *l, const char *sender, unsigned cost, uint64_t now)
{
        const uint64_t full = (uint64_t)LIMITER_BURST * CREDIT_PER_CALL;
        const uint64_t price = MIN((uint64_t)cost * CREDIT_PER_CALL, full);
        LimiterEntry *e;

        /* No bus makes such names; one that does gets no expensive answers. */
        if (strlen(sender) >= sizeof(e->sender))
                return false;
        e = find_entry(l, sender, now);
        if (now > e->usec) {
                /* A microsecond earns as many millionths of a call as there are calls a second. */
                uint64_t earned = MIN(now - e->usec, USEC_PER_SEC) * LIMITER_PER_SECOND;

                e->credit = MIN(e->credit + earned, full);
                e->usec = now;
        }
        if (e->credit < price)
                return false;
        e->credit -= price;
        return true;
}

/* What lists everything. An object itself is introspected cheaply and often. */
static bool is_expensive(sd_bus_message *m)
{
        static const char *const members[] = { "GetManagedObjects", "ListDevices", "ListGroups",
                                               "Plan" };
        static const char *const folders[] = { VFIOD_PATH, VFIOD_DEVICE_PREFIX, VFIOD_GROUP_PREFIX,
                                               VFIOD_JOB_PREFIX };
        const char *member = strempty(sd_bus_message_get_member(m));

        if (streq(member, "Introspect"))
                return string_table_find(folders, ELEMENTSOF(folders),
                                         strempty(sd_bus_message_get_path(m))) >= 0;
        return string_table_find(members, ELEMENTSOF(members), member) >= 0;
}

static size_t count_objects(const Bus *b)
{
        Snapshot s = manager_snapshot(b->manager);

        return (s.status ? s.status->n_statuses : 0) + (s.inventory ? s.inventory->n_groups : 0);
}

static int limit_call(Bus *b, sd_bus_message *m, sd_bus_error *error)
{
        const char *sender = sd_bus_message_get_sender(m);
        size_t n = count_objects(b);
        uint64_t now;
        int r;

        r = sd_event_now(manager_event(b->manager), CLOCK_MONOTONIC, &now);
        if (r < 0)
                return r;
        if (sender && !limiter_take(&b->limiter, sender, 1 + (unsigned)(n / LIMITER_OBJECTS), now))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many such calls in a second, wait and follow the "
                                        "signals instead");
        if (n > BUS_OBJECTS_MAX && !streq(sd_bus_message_get_member(m), "ListDevices"))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many objects for one answer, use ListDevices with a "
                                        "filter");
        return 0;
}

/* Registration --------------------------------------------------------------------------------- */

static void bus_free(void *userdata)
{
        Bus *b = userdata;

        sd_event_source_disable_unref(b->exit);
        polkit_free(b->polkit);
        description_done(&b->found);
        free(b);
}

/* Sees every message before it is dispatched. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *b = userdata;

        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected") > 0)
                polkit_drop_all(b->polkit);
        else if (sd_bus_message_is_method_call(m, NULL, NULL) > 0 && is_expensive(m))
                return limit_call(b, m, error);
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
        b->manager = m;
        r = polkit_new(bus, POLKIT_DEADLINE_USEC, bus_dispatch_method, b, &b->polkit);
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
        sd_bus_node_enumerator_t enumerate; /* NULL: another interface's does it */
} Subtree;

static int add_subtree(sd_bus *bus, const Subtree *t, Bus *b)
{
        int r;

        r = sd_bus_add_fallback_vtable(bus, NULL, t->prefix, t->interface, t->vtable, t->find, b);
        if (r < 0 || !t->enumerate)
                return r;
        return sd_bus_add_node_enumerator(bus, NULL, t->prefix, t->enumerate, b);
}

int bus_register(sd_bus *bus, Manager *m)
{
        static const Subtree subtrees[] = {
                { VFIOD_DEVICE_PREFIX, VFIOD_DEVICE_INTERFACE, bus_device_vtable, bus_object_find,
                  bus_device_enumerate },
                { VFIOD_DEVICE_PREFIX, VFIOD_PF_INTERFACE, bus_pf_vtable, bus_object_find, NULL },
                { VFIOD_DEVICE_PREFIX, VFIOD_VF_INTERFACE, bus_vf_vtable, bus_object_find, NULL },
                { VFIOD_GROUP_PREFIX, VFIOD_GROUP_INTERFACE, bus_group_vtable, bus_object_find,
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
