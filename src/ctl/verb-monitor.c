/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/names.h"
#include "ctl/bus-json.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "ctl/verbs.h"

#include <inttypes.h>

#define MATCH_DAEMON "type='signal',sender='" VFIOD_BUS_NAME "',path_namespace='" VFIOD_PATH "'"

/* Signals carry what changed; the rest of a line comes from what was known before. */
typedef struct Watch {
        Ctl *ctl;
        json_object *devices; /* by address */
} Watch;

/* One line out, at once: whoever reads a pipe wants it now. Takes over both. */
static void print_event(const Watch *w, json_object *event, char *text)
{
        if (w->ctl->options.json == JSON_OFF)
                print_safe(stdout, "%s\n", text);
        else
                puts(json_object_to_json_string_ext(event, JSON_C_TO_STRING_NOSLASHESCAPE));
        (void)fflush(stdout); /* main() looks for errors, SIGPIPE ends us */
        json_object_put(event);
        free(text);
}

static json_object *new_event(const char *what)
{
        json_object *event = json_new();

        json_add_text(event, "event", what);
        return event;
}

static void print_device(const Watch *w, json_object *d)
{
        static const char *const keys[] = { "address", "state", "reason", "driver", "group" };
        const char *reason = json_text(d, "reason"), *driver = json_text(d, "driver");
        json_object *event = new_event("device");

        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                json_add(event, keys[i], json_object_get(json_object_object_get(d, keys[i])));
        print_event(w, event,
                    format_text("%s: %s%s%s%s%s%s%s", json_word(d, "address"),
                                json_word(d, "state"), driver ? " on " : " without a driver",
                                strempty(driver), reason ? ": " : "", strempty(reason),
                                reason ? ": " : "", reason ? json_word(d, "sentence") : ""));
}

/* Of a job, or (with no number) of the daemon itself. */
static void print_state(const Watch *w, const char *number, const char *state)
{
        json_object *event = new_event(number ? "job" : "manager");

        if (number)
                json_add_number(event, "id", strtoll(number, NULL, 10));
        json_add_text(event, "state", state);
        print_event(w, event,
                    format_text("%s%s: %s", number ? "job " : "vfiod", strempty(number), state));
}

/* The address of a device's object, to be freed; NULL: another object, or out of memory. */
static char *address_of(const char *path)
{
        _cleanup_free_ char *id = NULL;
        const char *address;

        if (sd_bus_path_decode(path, VFIOD_DEVICE_PREFIX, &id) <= 0)
                return NULL;
        address = startswith(id, VFIOD_DEVICE_ID_PREFIX);
        return address ? strdup(address) : NULL;
}

static json_object *known_device(Watch *w, const char *address)
{
        json_object *d;

        if (json_object_object_get_ex(w->devices, address, &d))
                return d;
        d = json_new();
        json_add(w->devices, address, d);
        json_add_text(d, "address", address);
        return d;
}

/* What a line shows of a device; a change in other properties prints none. */
static char *summary(json_object *d)
{
        return format_text("%s %s %s %s", json_word(d, "state"), json_word(d, "reason"),
                           json_word(d, "driver"), json_word(d, "sentence"));
}

static int device_changed(Watch *w, sd_bus_message *m, const char *path)
{
        _cleanup_free_ char *address = address_of(path), *before = NULL, *after = NULL;
        json_object *d;
        int r;

        if (!address)
                return 0;
        d = known_device(w, address);
        before = summary(d);
        r = bus_merge_dict(m, d);
        if (r < 0)
                return r;
        after = summary(d);
        if (!streq(before, after))
                print_device(w, d);
        return 0;
}

static int state_changed(Watch *w, sd_bus_message *m, const char *number)
{
        _cleanup_json_ json_object *changed = json_new();
        int r;

        r = bus_merge_dict(m, changed);
        if (r >= 0 && json_text(changed, "state"))
                print_state(w, number, json_text(changed, "state"));
        return r;
}

static int on_properties(Watch *w, sd_bus_message *m)
{
        const char *interface, *path = strempty(sd_bus_message_get_path(m));
        int r;

        r = sd_bus_message_read(m, "s", &interface);
        if (r < 0)
                return r;
        if (streq(interface, VFIOD_DEVICE_INTERFACE))
                return device_changed(w, m, path);
        if (streq(interface, VFIOD_MANAGER_INTERFACE))
                return state_changed(w, m, NULL);
        if (streq(interface, VFIOD_JOB_INTERFACE) && startswith(path, VFIOD_JOB_PREFIX "/"))
                return state_changed(w, m, path + strlen(VFIOD_JOB_PREFIX "/"));
        return 0;
}

static int on_added(Watch *w, sd_bus_message *m)
{
        const char *path, *interface;
        int r;

        r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read(m, "s", &interface);
                if (r < 0)
                        return r;
                r = streq(interface, VFIOD_DEVICE_INTERFACE) ? device_changed(w, m, path)
                                                             : sd_bus_message_skip(m, "a{sv}");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

static int on_removed(Watch *w, sd_bus_message *m)
{
        _cleanup_free_ char *address = NULL;
        json_object *event;
        const char *path;
        int r;

        r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                return r;
        address = address_of(path);
        if (!address)
                return 0;
        json_object_object_del(w->devices, address);
        event = new_event("removed");
        json_add_text(event, "address", address);
        print_event(w, event, format_text("%s: removed", address));
        return 0;
}

static int on_job(Watch *w, sd_bus_message *m)
{
        char number[24];
        uint64_t id;
        int r;

        r = sd_bus_message_read(m, "t", &id);
        if (r < 0)
                return r;
        snprintf(number, sizeof(number), "%" PRIu64, id);
        print_state(w, number, "new");
        return 0;
}

static int on_owner(Watch *w, sd_bus_message *m)
{
        const char *after;
        int r;

        r = sd_bus_message_read(m, "sss", NULL, NULL, &after);
        if (r >= 0)
                print_state(w, NULL, after[0] ? "running" : "gone");
        return r;
}

static int dispatch(Watch *w, sd_bus_message *m)
{
        static const struct {
                const char *interface, *member;
                int (*handle)(Watch *w, sd_bus_message *m);
        } rows[] = {
                { "org.freedesktop.DBus.Properties", "PropertiesChanged", on_properties },
                { "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", on_added },
                { "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", on_removed },
                { VFIOD_MANAGER_INTERFACE, "JobNew", on_job },
                { "org.freedesktop.DBus", "NameOwnerChanged", on_owner },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (sd_bus_message_is_signal(m, rows[i].interface, rows[i].member) > 0)
                        return rows[i].handle(w, m);
        return 0;
}

/* What is known before the first signal. */
static int read_devices(Ctl *c, json_object **ret)
{
        _cleanup_json_ json_object *list = NULL;
        int r;

        r = source_devices(c, &list);
        if (r != 0)
                return r;
        *ret = json_new();
        for (size_t i = 0; i < json_count(list); i++)
                json_add(*ret, json_word(json_at(list, i), "address"),
                         json_object_get(json_at(list, i)));
        return 0;
}

int verb_monitor(Ctl *c, char **args)
{
        static const char *const rules[] = { MATCH_DAEMON };
        uint64_t deadline = bus_deadline(c);
        _cleanup_json_ json_object *devices = NULL;
        int r;

        r = bus_watch(c, rules, ELEMENTSOF(rules));
        if (r != 0)
                return r;
        if (bus_has_daemon(c) <= 0)
                return fail(STATUS_NO_DAEMON, "vfiod is not running; start vfiod.service");
        r = read_devices(c, &devices);
        if (r != 0)
                return r;
        for (;;) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                Watch w = { c, devices };

                r = bus_next(c, deadline, &m);
                if (r == STATUS_TIMED_OUT)
                        return 0;
                if (r != 0)
                        return r;
                r = dispatch(&w, m);
                if (r < 0)
                        return r;
        }
}
