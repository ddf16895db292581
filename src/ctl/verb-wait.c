/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/names.h"
#include "ctl/bus-json.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "ctl/verbs.h"

#include <inttypes.h>

#define MATCH_MANAGER                                                 \
        "type='signal',sender='" VFIOD_BUS_NAME "',path='" VFIOD_PATH \
        "',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'"

/* What the daemon says of itself now; *ret is NULL while it is not there. */
static int look(Ctl *c, uint64_t left, json_object **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = bus_method(c, VFIOD_PATH, "org.freedesktop.DBus.Properties", "GetAll", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "s", VFIOD_MANAGER_INTERFACE);
        if (r < 0)
                return r;
        r = sd_bus_call(c->bus, m, MAX(left, UINT64_C(1)), &e, &reply);
        if (r < 0 && bus_error_status(&e, r) == STATUS_NO_DAEMON && sd_bus_is_open(c->bus) > 0) {
                *ret = NULL;
                return 0;
        }
        if (r < 0)
                return fail(bus_error_status(&e, r), "cannot ask vfiod: %s",
                            e.message ?: strerror(-r));
        return bus_value_to_json(reply, ret);
}

static bool is_settled(json_object *manager)
{
        json_object *counts = json_object_object_get(manager, "counts");
        const char *state = json_word(manager, "state");

        if (streq(state, "disabled"))
                return true;
        return !streq(state, "starting") && json_number(counts, "pending") <= 0 &&
               json_number(counts, "working") <= 0;
}

static int say_devices(Ctl *c)
{
        _cleanup_json_ json_object *devices = NULL;
        int r;

        r = source_devices(c, &devices);
        if (r != 0)
                return r;
        for (size_t i = 0; i < json_count(devices); i++)
                if (json_text(json_at(devices, i), "reason"))
                        say_device(0, json_at(devices, i));
        return STATUS_NOT_AS_DECLARED;
}

static int say_timeout(json_object *manager)
{
        json_object *counts = manager ? json_object_object_get(manager, "counts") : NULL;

        if (!manager)
                return fail(STATUS_NO_DAEMON, "vfiod did not start in time");
        return fail(STATUS_TIMED_OUT,
                    "timed out: vfiod is %s, %" PRIi64 " devices pending, %" PRIi64 " working",
                    json_word(manager, "state"), MAX(json_number(counts, "pending"), 0),
                    MAX(json_number(counts, "working"), 0));
}

/* Each signal only says: look again. */
static int wait_settled(Ctl *c, uint64_t deadline)
{
        int r;

        for (;;) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
                _cleanup_json_ json_object *manager = NULL;

                r = look(c, bus_time_left(deadline), &manager);
                if (r != 0)
                        return r;
                if (!manager && !c->options.has_timeout)
                        return fail(STATUS_NO_DAEMON, "vfiod is not running; start vfiod.service");
                if (manager && is_settled(manager))
                        return streq(json_word(manager, "state"), "degraded") ? say_devices(c) : 0;
                r = bus_next(c, deadline, &signal);
                if (r == STATUS_TIMED_OUT)
                        return say_timeout(manager);
                if (r != 0)
                        return r;
        }
}

int verb_wait(Ctl *c, char **args)
{
        static const char *const rules[] = { MATCH_MANAGER };
        uint64_t deadline = bus_deadline(c);
        int r;

        /* Watching begins before the first look: nothing can change unseen between the two. */
        r = bus_watch(c, rules, ELEMENTSOF(rules));
        return r != 0 ? r : wait_settled(c, deadline);
}
