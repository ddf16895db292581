/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The way of every message to its method, and registration. */

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

static int dispatch(Bus *b, sd_bus_message *m, sd_bus_error *error)
{
        const MethodRow *row = find_row(sd_bus_message_get_member(m));
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Caller caller = { .authorised = false, .uid = UINT32_MAX };
        int r;

        if (!row)
                return -EACCES;
        if (row->derive) {
                r = authorise(b, m, row, &caller, error);
                if (r <= 0)
                        return r < 0 ? r : -EINPROGRESS;
                r = sd_bus_message_rewind(m, true);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = row->run(b, m, &caller, reply, error);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int bus_dispatch_method(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        int r = dispatch(userdata, m, error);

        if (r == -EINPROGRESS)
                return 1;
        if (r < 0)
                bus_mend_error(error);
        return r;
}

/* The connection ------------------------------------------------------------------------------- */

sd_bus *bus_get_ready(const Manager *m)
{
        Bus *b = manager_bus(m);

        return b && sd_bus_is_ready(b->bus) > 0 ? b->bus : NULL;
}

bool bus_has_queued(sd_bus *bus, uint64_t n)
{
        uint64_t queued;

        return sd_bus_get_n_queued_write(bus, &queued) >= 0 && queued > n;
}

int bus_arm(Bus *b, sd_event_source **timer, uint64_t usec, int64_t priority,
            sd_event_time_handler_t f)
{
        int r;

        *timer = sd_event_source_disable_unref(*timer);
        r = sd_event_add_time_relative(manager_event(b->manager), timer, CLOCK_MONOTONIC, usec, 1,
                                       f, b);
        return r < 0 ? r : sd_event_source_set_priority(*timer, priority);
}

/* Registration --------------------------------------------------------------------------------- */

static void bus_free(void *userdata)
{
        Bus *b = userdata;

        bus_drop_waiting(b);
        sd_event_source_disable_unref(b->turn);
        sd_event_source_disable_unref(b->signals);
        free(b->dirty);
        polkit_free(b->polkit);
        description_done(&b->found);
        free(b);
}

void bus_drop_calls(Bus *b)
{
        polkit_drop_all(b->polkit);
        bus_drop_waiting(b);
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
        b->bus = bus;
        r = polkit_new(bus, POLKIT_DEADLINE_USEC, bus_dispatch_method, b, &b->polkit);
        if (r >= 0)
                r = sd_bus_add_filter(bus, &slot, bus_limit, b);
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

/*
 * GetManagedObjects. sd-bus would look each object up by its path for each interface, and keep its
 * fields for getters that find them again by name, which takes twice the time.
 */
static int on_root(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Bus *b = userdata;
        int r;

        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.ObjectManager",
                                          "GetManagedObjects") <= 0 ||
            !sd_bus_message_has_signature(m, ""))
                return 0;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{oa{sa{sv}}}");
        if (r >= 0)
                r = bus_append_objects(b, reply);
        if (r >= 0)
                r = bus_append_jobs(b, reply);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(b->bus, reply, NULL);
        return r < 0 ? r : 1;
}

int bus_register(sd_bus *bus, Manager *m, Bus **ret)
{
        Bus *b;
        int r;

        r = new_context(bus, m, &b);
        if (r < 0)
                return r;
        *ret = b;
        r = sd_bus_add_object_manager(bus, NULL, VFIOD_PATH);
        if (r >= 0)
                r = sd_bus_add_object(bus, NULL, VFIOD_PATH, on_root, b);
        if (r < 0)
                return r;
        r = sd_bus_add_object_vtable(bus, NULL, VFIOD_PATH, VFIOD_MANAGER_INTERFACE,
                                     bus_manager_vtable, b);
        if (r >= 0)
                r = bus_register_objects(b);
        if (r >= 0)
                r = bus_register_jobs(b);
        if (r < 0)
                return r;
        return sd_bus_add_object_vtable(bus, NULL, LOG_CONTROL_PATH, LOG_CONTROL_INTERFACE,
                                        bus_log_control_vtable, b);
}
