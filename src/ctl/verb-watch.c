/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verbs that follow the daemon's work: wait, monitor, jobs, cancel. */

#include "basic/names.h"
#include "basic/parse.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"

#include <inttypes.h>
#include <time.h>

/* How many devices are in a state. */
static int64_t count(json_object *manager, const char *state)
{
        return MAX(json_number(json_object_object_get(manager, "counts"), state), INT64_C(0));
}

static bool is_settled(json_object *manager)
{
        const char *state = json_word(manager, "state");

        if (streq(state, "disabled"))
                return true;
        return !streq(state, "starting") && count(manager, "pending") == 0 &&
               count(manager, "working") == 0;
}

/* A line for each device that is not as declared. */
static int say_devices(Ctl *c)
{
        _cleanup_json_ json_object *devices = NULL;
        int r = source_devices(c, NULL, SELECT_ALL, &devices);

        if (r != 0)
                return r;
        for (size_t i = 0; i < json_count(devices); i++) {
                _cleanup_free_ char *text = device_text(json_at(devices, i));

                if (json_text(json_at(devices, i), "reason"))
                        fail(0, "%s", text);
        }
        return STATUS_NOT_AS_DECLARED;
}

static int say_timeout(json_object *manager)
{
        if (!manager)
                return fail(STATUS_NO_DAEMON, "vfiod did not start in time");
        return fail(STATUS_TIMED_OUT,
                    "timed out: vfiod is %s, %" PRIi64 " devices pending, %" PRIi64 " working",
                    json_word(manager, "state"), count(manager, "pending"),
                    count(manager, "working"));
}

int verb_wait(Ctl *c, char **args)
{
        int r;

        /* Watching begins before the first look: nothing can change unseen between the two. */
        r = bus_watch(c, "path");
        while (r == 0) {
                _cleanup_json_ json_object *signal = NULL, *manager = NULL;

                if (bus_has_daemon(c) > 0)
                        r = bus_get_all(c, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, &manager);
                else if (!(c->given & OPTION_TIMEOUT))
                        r = bus_no_daemon();
                if (r != 0 && !(r == STATUS_NO_DAEMON && (c->given & OPTION_TIMEOUT)))
                        return r; /* with --timeout= it may go away and come again */
                if (manager && is_settled(manager))
                        return streq(json_word(manager, "state"), "degraded") ? say_devices(c) : 0;
                /* Each signal only says: look again. */
                r = bus_next(c, &signal);
                if (r == STATUS_TIMED_OUT)
                        return say_timeout(manager);
        }
        return r;
}

/* What monitor shows of an object; a change in its other properties prints nothing. */
static const struct Shown {
        const char *interface, *event;
        const char *keys[6];
} shown[] = {
        { VFIOD_DEVICE_INTERFACE, "device", { "address", "state", "reason", "driver", "group" } },
        { VFIOD_JOB_INTERFACE, "job", { "id", "state" } },
        { VFIOD_MANAGER_INTERFACE, "manager", { "state" } },
};

/* One line out, at once: whoever reads a pipe wants it now. Takes over `text`. */
static void print_event(const Ctl *c, const char *event, json_object *o, char *text)
{
        _cleanup_json_ json_object *line = json_new();

        json_add_text(line, "event", event);
        json_object_object_foreach(o, key, value) json_add(line, key, json_object_get(value));
        if (c->json == JSON_OFF)
                print_safe(stdout, "%s\n", text);
        else
                puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_NOSLASHESCAPE));
        (void)fflush(stdout); /* main() looks for errors, SIGPIPE ends us */
        free(text);
}

static char *event_text(const struct Shown *s, json_object *o)
{
        if (streq(s->event, "device"))
                return device_text(o);
        if (streq(s->event, "job"))
                return format_text("job %s: %s", json_word(o, "id"), json_word(o, "state"));
        return format_text("vfiod: %s", json_word(o, "state"));
}

static json_object *get_or_add(json_object *o, const char *key)
{
        return json_object_object_get(o, key) ?: json_add(o, key, json_new());
}

/* Signals carry what changed; the rest of a line comes from what was known before. */
static void merge(const Ctl *c, json_object *objects, const char *path, const char *interface,
                  json_object *changed)
{
        for (size_t i = 0; i < ELEMENTSOF(shown); i++) {
                _cleanup_json_ json_object *before = NULL, *after = NULL;
                json_object *o;

                if (!streq(shown[i].interface, interface))
                        continue;
                o = get_or_add(get_or_add(objects, path), interface);
                before = json_pick(o, shown[i].keys);
                json_object_object_foreach(changed, key, value)
                        json_add(o, key, json_object_get(value));
                after = json_pick(o, shown[i].keys);
                if (!json_object_equal(before, after))
                        print_event(c, shown[i].event, after, event_text(&shown[i], o));
        }
}

/* An object is gone when all its interfaces are; a device may also just not be a PF any more. */
static void forget(const Ctl *c, json_object *objects, const char *path, json_object *interfaces)
{
        static const char *const keys[] = { "address", NULL };
        json_object *object = json_object_object_get(objects, path);

        for (size_t i = 0; object && i < json_count(interfaces); i++) {
                const char *name = json_object_get_string(json_at(interfaces, i));
                _cleanup_json_ json_object *o =
                        json_pick(json_object_object_get(object, name), keys);

                json_object_object_del(object, name);
                if (streq(name, VFIOD_DEVICE_INTERFACE))
                        print_event(c, "removed", o,
                                    format_text("%s: removed", json_word(o, "address")));
        }
        if (object && json_object_object_length(object) == 0)
                json_object_object_del(objects, path);
}

static void dispatch(const Ctl *c, json_object *objects, json_object *signal)
{
        json_object *body = json_object_object_get(signal, "body");
        const char *member = json_word(signal, "member");
        const char *first = strempty(json_object_get_string(json_at(body, 0)));

        if (streq(member, "PropertiesChanged")) {
                merge(c, objects, json_word(signal, "path"), first, json_at(body, 1));
        } else if (streq(member, "InterfacesAdded")) {
                json_object_object_foreach(json_at(body, 1), interface, properties)
                        merge(c, objects, first, interface, properties);
        } else if (streq(member, "InterfacesRemoved")) {
                forget(c, objects, first, json_at(body, 1));
        } else if (streq(member, "NameOwnerChanged")) {
                const char *owner = strempty(json_object_get_string(json_at(body, 2)));
                _cleanup_json_ json_object *manager = json_new();

                json_add_text(manager, "state", owner[0] ? "running" : "gone");
                merge(c, objects, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, manager);
        }
}

int verb_monitor(Ctl *c, char **args)
{
        _cleanup_json_ json_object *objects = NULL;
        json_object *manager;
        int r = bus_watch(c, "path_namespace");

        if (r != 0)
                return r;
        if (bus_has_daemon(c) <= 0)
                return bus_no_daemon();
        r = bus_get_objects(c, &objects);
        if (r == 0)
                r = bus_get_all(c, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, &manager);
        if (r == 0)
                json_add(get_or_add(objects, VFIOD_PATH), VFIOD_MANAGER_INTERFACE, manager);
        while (r == 0) {
                _cleanup_json_ json_object *signal = NULL;

                r = bus_next(c, &signal);
                if (r == 0)
                        dispatch(c, objects, signal);
        }
        return r == STATUS_TIMED_OUT ? 0 : r;
}

/* The local time, where the table shows the start. */
static void format_start(json_object *job)
{
        time_t seconds = json_number(job, "started") / (int64_t)USEC_PER_SEC;
        char text[64] = "";
        struct tm tm;

        if (seconds > 0 && localtime_r(&seconds, &tm))
                strftime(text, sizeof(text), "%F %T", &tm);
        json_add_text(job, "started", text);
}

int verb_jobs(Ctl *c, char **args)
{
        static const Column columns[] = {
                { "JOB", "id", SCOLS_FL_RIGHT },
                { "KIND", "kind", 0 },
                { "STATE", "state", 0 },
                { "UID", "requester_uid", SCOLS_FL_RIGHT },
                { "STARTED", "started", 0 },
                { "DEVICES", "devices", 0 },
                { 0 },
        };
        _cleanup_json_ json_object *objects = NULL, *jobs = json_new_list();
        int r = bus_get_objects(c, &objects);

        if (r != 0)
                return r;
        json_object_object_foreach(objects, path, object)
        {
                json_object *job = json_object_object_get(object, VFIOD_JOB_INTERFACE);

                if (job && startswith(path, VFIOD_JOB_PREFIX))
                        json_append(jobs, json_object_get(job));
        }
        if (print_json(c, jobs))
                return 0;
        for (size_t i = 0; i < json_count(jobs); i++)
                format_start(json_at(jobs, i));
        return print_table(c, columns, jobs, NULL);
}

int verb_cancel(Ctl *c, char **args)
{
        _cleanup_json_ json_object *nothing = NULL, *objects = NULL;
        _cleanup_free_ char *path = NULL;
        uint64_t id;
        int r = parse_uint(args[0], 10, UINT64_MAX, &id);

        if (r < 0)
                return fail(STATUS_USAGE, "not the number of a job: '%s'; see 'vfioctl jobs'",
                            args[0]);
        path = format_text(VFIOD_JOB_PREFIX "/%" PRIu64, id);
        r = bus_get_objects(c, &objects);
        if (r != 0)
                return r;
        if (!json_object_object_get(objects, path))
                return fail(STATUS_FAILED, "no such job: '%s'; see 'vfioctl jobs'", args[0]);
        agent_open(c);
        return bus_ask(c, &nothing, path, VFIOD_JOB_INTERFACE, "Cancel", "");
}
