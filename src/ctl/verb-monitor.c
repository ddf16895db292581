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

/* One line out, at once: whoever reads a pipe wants it now. */
static int print_event(const Watch *w, json_object *event, const char *text)
{
        if (w->ctl->options.json == JSON_OFF)
                print_safe(stdout, "%s\n", text);
        else
                puts(json_object_to_json_string_ext(event, JSON_C_TO_STRING_NOSLASHESCAPE));
        return fflush(stdout) == 0 ? 0 : -errno;
}

static int print_device(const Watch *w, json_object *device)
{
        static const char *const keys[] = { "address", "state", "reason", "driver", "group" };
        _cleanup_json_ json_object *event = json_object_new_object();
        const char *reason = json_text(device, "reason"), *driver = json_text(device, "driver");
        const char *sentence = json_text(device, "sentence");
        _cleanup_free_ char *text = NULL;
        int r;

        if (!event)
                return -ENOMEM;
        r = json_add_text(event, "event", "device");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(keys); i++)
                r = json_add(event, keys[i],
                             json_object_get(json_object_object_get(device, keys[i])));
        if (r < 0)
                return r;
        r = asprintf(&text, "%s: %s%s%s%s%s%s%s", strempty(json_text(device, "address")),
                     strempty(json_text(device, "state")), driver ? " on " : " without a driver",
                     strempty(driver), reason ? ": " : "", strempty(reason),
                     reason && sentence ? ": " : "", reason ? strempty(sentence) : "");
        return r < 0 ? -ENOMEM : print_event(w, event, text);
}

/* Of a job or of the daemon itself. */
static int print_state(const Watch *w, const char *what, const char *number, const char *state)
{
        _cleanup_json_ json_object *event = json_object_new_object();
        _cleanup_free_ char *text = NULL;
        int r;

        if (!event || json_add_text(event, "event", what) < 0 ||
            (number &&
             json_add(event, "id", json_object_new_uint64(strtoull(number, NULL, 10))) < 0) ||
            json_add_text(event, "state", state) < 0)
                return -ENOMEM;
        r = asprintf(&text, "%s%s%s: %s", number ? what : "vfiod", number ? " " : "",
                     strempty(number), state);
        return r < 0 ? -ENOMEM : print_event(w, event, text);
}

static int print_removed(const Watch *w, const char *address)
{
        _cleanup_json_ json_object *event = json_object_new_object();
        _cleanup_free_ char *text = NULL;

        if (!event || json_add_text(event, "event", "removed") < 0 ||
            json_add_text(event, "address", address) < 0)
                return -ENOMEM;
        if (asprintf(&text, "%s: removed", address) < 0)
                return -ENOMEM;
        return print_event(w, event, text);
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
        d = json_object_new_object();
        if (!d || json_add(w->devices, address, d) < 0)
                return NULL;
        return json_add_text(d, "address", address) < 0 ? NULL : d;
}

/* What a line shows of a device; a change in other properties prints none. */
static char *summary(json_object *d)
{
        char *text;

        if (asprintf(&text, "%s %s %s %s", strempty(json_text(d, "state")),
                     strempty(json_text(d, "reason")), strempty(json_text(d, "driver")),
                     strempty(json_text(d, "sentence"))) < 0)
                return NULL;
        return text;
}

static int device_changed(Watch *w, sd_bus_message *m, const char *path)
{
        _cleanup_free_ char *address = address_of(path), *before = NULL, *after = NULL;
        json_object *d;
        int r;

        if (!address)
                return 0;
        d = known_device(w, address);
        if (!d)
                return -ENOMEM;
        before = summary(d);
        r = bus_merge_dict(m, d);
        if (r < 0)
                return r;
        after = summary(d);
        if (!before || !after)
                return -ENOMEM;
        return streq(before, after) ? 0 : print_device(w, d);
}

static int state_changed(Watch *w, sd_bus_message *m, const char *what, const char *number)
{
        _cleanup_json_ json_object *changed = json_object_new_object();
        int r;

        if (!changed)
                return -ENOMEM;
        r = bus_merge_dict(m, changed);
        if (r < 0 || !json_text(changed, "state"))
                return r;
        return print_state(w, what, number, json_text(changed, "state"));
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
                return state_changed(w, m, "manager", NULL);
        if (streq(interface, VFIOD_JOB_INTERFACE) && startswith(path, VFIOD_JOB_PREFIX "/"))
                return state_changed(w, m, "job", path + strlen(VFIOD_JOB_PREFIX "/"));
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
        const char *path;
        int r;

        r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                return r;
        address = address_of(path);
        if (!address)
                return 0;
        json_object_object_del(w->devices, address);
        return print_removed(w, address);
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
        return print_state(w, "job", number, "new");
}

static int on_owner(Watch *w, sd_bus_message *m)
{
        const char *after;
        int r;

        r = sd_bus_message_read(m, "sss", NULL, NULL, &after);
        return r < 0 ? r : print_state(w, "manager", NULL, after[0] ? "running" : "gone");
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
        _cleanup_json_ json_object *map = json_object_new_object(), *list = NULL;
        int r;

        if (!map)
                return -ENOMEM;
        r = source_devices(c, &list);
        if (r != 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *d = json_object_array_get_idx(list, i);

                r = json_add(map, strempty(json_text(d, "address")), json_object_get(d));
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(map);
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
