/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The connection to the bus. It is made and made again without ever waiting for it: devices are
 * put right also where no bus runs yet, or where it was restarted.
 */

#include "basic/log.h"
#include "basic/names.h"
#include "daemon/bus.h"
#include "daemon/manager-internal.h"

#define RECONNECT_MIN_USEC USEC_PER_SEC
#define RECONNECT_MAX_USEC (30 * USEC_PER_SEC)

static int on_reconnect(sd_event_source *s, uint64_t usec, void *userdata)
{
        return manager_connect_bus(userdata);
}

static int schedule_reconnect(Manager *m)
{
        m->reconnect_usec = MIN(MAX(m->reconnect_usec * 2, RECONNECT_MIN_USEC), RECONNECT_MAX_USEC);
        m->reconnect = sd_event_source_disable_unref(m->reconnect);
        return sd_event_add_time_relative(m->event, &m->reconnect, CLOCK_MONOTONIC,
                                          m->reconnect_usec, 0, on_reconnect, m);
}

void manager_disconnect_bus(Manager *m)
{
        m->reconnect = sd_event_source_disable_unref(m->reconnect);
        if (m->bus_side)
                bus_drop_calls(m->bus_side);
        if (!m->bus)
                return;
        for (Job *j = m->jobs; j; j = j->next)
                j->message = sd_bus_message_unref(j->message);
        m->bus_side = NULL;
        /* Without flushing: a bus that does not answer must not keep the daemon from ending. */
        m->bus = sd_bus_close_unref(m->bus);
        m->named = false;
}

static int on_disconnected(sd_bus_message *msg, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;

        log_warning("The bus is gone, connecting again.");
        bus_drop_calls(m->bus_side);
        /* Within its own callback the connection can only be closed, not freed. */
        m->reconnect_usec = 0;
        return schedule_reconnect(m);
}

/* The bus went while it was asked: the connection is made again, and the name asked for. */
static bool bus_is_going(const sd_bus_error *e)
{
        return sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_DISCONNECTED);
}

static int on_name(sd_bus_message *msg, void *userdata, sd_bus_error *error)
{
        enum { NAME_OWNED = 1, NAME_OWNED_ALREADY = 4 }; /* D-Bus specification, RequestName */
        const sd_bus_error *e = sd_bus_message_get_error(msg);
        Manager *m = userdata;
        uint32_t result = 0;

        if (e && bus_is_going(e))
                return schedule_reconnect(m);
        if (!e && sd_bus_message_read(msg, "u", &result) > 0 &&
            (result == NAME_OWNED || result == NAME_OWNED_ALREADY)) {
                m->reconnect_usec = 0;
                m->named = true;
                return manager_schedule_look(m, 0);
        }
        log_error("Failed to own the bus name '" VFIOD_BUS_NAME "': %s",
                  e ? e->message : "another vfiod runs already");
        return sd_event_exit(m->event, -EEXIST);
}

/*
 * As sd_bus_open_system_with_description() does it, but without file descriptors: calls that wait
 * would keep those that came with them, and no method takes any.
 */
static int start_bus(sd_bus **ret)
{
        const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
        int r;

        r = sd_bus_new(ret);
        if (r >= 0)
                r = sd_bus_set_description(*ret, "vfiod");
        if (r >= 0)
                r = sd_bus_set_address(*ret, address ?: "unix:path=/run/dbus/system_bus_socket");
        if (r >= 0)
                r = sd_bus_set_bus_client(*ret, true);
        if (r >= 0)
                r = sd_bus_negotiate_fds(*ret, false);
        return r < 0 ? r : sd_bus_start(*ret);
}

static int open_bus(Manager *m)
{
        int r;

        r = start_bus(&m->bus);
        if (r >= 0)
                r = sd_bus_attach_event(m->bus, m->event, MANAGER_PRIORITY);
        if (r >= 0)
                r = bus_register(m->bus, m, &m->bus_side);
        if (r >= 0)
                r = sd_bus_match_signal_async(m->bus, NULL, "org.freedesktop.DBus.Local", NULL,
                                              "org.freedesktop.DBus.Local", "Disconnected",
                                              on_disconnected, NULL, m);
        if (r >= 0)
                r = sd_bus_request_name_async(m->bus, NULL, VFIOD_BUS_NAME, 0, on_name, m);
        return r;
}

int manager_connect_bus(Manager *m)
{
        int r;

        manager_disconnect_bus(m);
        r = open_bus(m);
        if (r >= 0)
                return 0;
        if (m->reconnect_usec == 0)
                log_warning_errno(r, "Failed to connect to the system bus, trying again: %m");
        manager_disconnect_bus(m);
        return schedule_reconnect(m);
}
