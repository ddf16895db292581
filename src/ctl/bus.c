/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/bus.h"
#include "basic/names.h"
#include "basic/strv.h"
#include "ctl/bus-json.h"
#include "model/reason.h"

static int open_address(const char *address, sd_bus **ret)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, address);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(bus, true);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static int connect_bus(Ctl *c)
{
        if (c->bus)
                return 0;
        if (c->options.address)
                return open_address(c->options.address, &c->bus);
        return sd_bus_open_system(&c->bus);
}

int bus_open(Ctl *c)
{
        int r;

        r = connect_bus(c);
        if (r < 0)
                return fail(STATUS_NO_DAEMON, "cannot connect to the bus: %s", strerror(-r));
        return 0;
}

int bus_has_daemon(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int has, r;

        r = connect_bus(c);
        if (r < 0)
                return r;
        r = sd_bus_call_method(c->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                               "org.freedesktop.DBus", "NameHasOwner", &e, &reply, "s",
                               VFIOD_BUS_NAME);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "b", &has);
        return r < 0 ? r : has;
}

int bus_start_daemon(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        int r;

        r = bus_open(c);
        if (r != 0)
                return r;
        if (bus_has_daemon(c) > 0)
                return 0;
        r = sd_bus_call_method(c->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                               "org.freedesktop.DBus", "StartServiceByName", &e, NULL, "su",
                               VFIOD_BUS_NAME, UINT32_C(0));
        if (r < 0)
                return fail(STATUS_NO_DAEMON, "vfiod is not running; start vfiod.service");
        return 0;
}

int bus_method(Ctl *c, const char *path, const char *interface, const char *member,
               sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = bus_open(c);
        if (r != 0)
                return r;
        r = sd_bus_message_new_method_call(c->bus, &m, VFIOD_BUS_NAME, path, interface, member);
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(m, false);
        if (r < 0)
                return r;
        r = sd_bus_message_set_allow_interactive_authorization(m, !c->options.no_ask_password);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

static const struct {
        const char *name;
        ExitStatus status;
} error_statuses[] = {
        { VFIOD_ERROR("Refused"), STATUS_REFUSED },
        { VFIOD_ERROR("NoSuchDevice"), STATUS_NO_DEVICE },
        { VFIOD_ERROR("NoSuchGroup"), STATUS_NO_DEVICE },
        { VFIOD_ERROR("JobTimeout"), STATUS_TIMED_OUT },
        { SD_BUS_ERROR_ACCESS_DENIED, STATUS_NOT_AUTHORISED },
        { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, STATUS_NOT_AUTHORISED },
        { SD_BUS_ERROR_INVALID_ARGS, STATUS_USAGE },
        { SD_BUS_ERROR_TIMEOUT, STATUS_TIMED_OUT },
        { SD_BUS_ERROR_SERVICE_UNKNOWN, STATUS_NO_DAEMON },
        { SD_BUS_ERROR_NAME_HAS_NO_OWNER, STATUS_NO_DAEMON },
        { SD_BUS_ERROR_NO_SERVER, STATUS_NO_DAEMON },
        { SD_BUS_ERROR_NO_REPLY, STATUS_NO_DAEMON },
        { SD_BUS_ERROR_DISCONNECTED, STATUS_NO_DAEMON },
};

int bus_error_status(const sd_bus_error *e, int error)
{
        if (error == -ETIMEDOUT)
                return STATUS_TIMED_OUT;
        for (size_t i = 0; e->name && i < ELEMENTSOF(error_statuses); i++)
                if (streq(e->name, error_statuses[i].name))
                        return error_statuses[i].status;
        for (int i = REASON_NONE + 1; e->name && i < _REASON_MAX; i++)
                if (streq(e->name, reason_row(i)->dbus_error))
                        return reason_row(i)->exit_status;
        if (e->name && startswith(e->name, "org.freedesktop.DBus.Error.Spawn."))
                return STATUS_NO_DAEMON;
        if (error == -ECONNRESET || error == -ENOTCONN || error == -EPIPE)
                return STATUS_NO_DAEMON;
        return STATUS_FAILED;
}

/* The hazard in "ADDRESS: refused: HAZARD: sentence (remedy)", if it is one that can be accepted.
 */
static int collect_hazard(const char *line, char ***hazards)
{
        _cleanup_free_ char *id = NULL;
        const char *at = strstr(line, ": refused: ");
        int reason;

        if (!at)
                return 0;
        at += strlen(": refused: ");
        id = strndup(at, strcspn(at, ":"));
        if (!id)
                return -ENOMEM;
        reason = reason_from_string(id);
        if (reason < 0 || !reason_is_acceptable(reason) || strv_contains(*hazards, id))
                return 0;
        return strv_extend(hazards, id);
}

/* Each line of the daemon's message; for refusals also what would allow it. */
static int say_error(const sd_bus_error *e, int error)
{
        _cleanup_strv_ char **lines = NULL, **hazards = NULL;
        _cleanup_free_ char *accept = NULL;
        int status = bus_error_status(e, error), r;

        if (error == -ETIMEDOUT)
                return fail(status, "no answer in time; vfiod may still be working on it");
        if (status == STATUS_NO_DAEMON)
                return fail(status, "vfiod is not running or went away; start vfiod.service");
        if (sd_bus_error_has_name(e, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return fail(status, "no such job, or it is over for long");
        r = strv_split(e->message ?: strerror(-error), "\n", &lines);
        if (r < 0)
                return r;
        STRV_FOREACH(line, lines) {
                fail(status, "%s", *line);
                r = status == STATUS_REFUSED ? collect_hazard(*line, &hazards) : 0;
                if (r < 0)
                        return r;
        }
        if (!hazards)
                return status;
        accept = strv_join(hazards, ",");
        if (!accept)
                return -ENOMEM;
        return fail(status, "to accept: --accept=%s", accept);
}

int bus_call(Ctl *c, sd_bus_message *m, sd_bus_message **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        uint64_t timeout =
                c->options.has_timeout ? MAX(c->options.timeout_usec, UINT64_C(1)) : USEC_INFINITY;
        int r;

        r = sd_bus_call(c->bus, m, timeout, &e, ret);
        if (r < 0)
                return say_error(&e, r);
        return 0;
}

int bus_get_all(Ctl *c, const char *path, const char *interface, json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = bus_method(c, path, "org.freedesktop.DBus.Properties", "GetAll", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "s", interface);
        if (r < 0)
                return r;
        r = bus_call(c, m, &reply);
        if (r != 0)
                return r;
        return bus_value_to_json(reply, ret);
}
