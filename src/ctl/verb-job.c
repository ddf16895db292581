/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/names.h"
#include "basic/parse.h"
#include "ctl/bus-json.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/verbs.h"
#include "model/describe.h"

#include <inttypes.h>
#include <time.h>

/* One object, of a{oa{sa{sv}}}; the properties of a job go to the list. */
static int read_object(sd_bus_message *m, json_object *jobs)
{
        int r;

        r = sd_bus_message_skip(m, "o");
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                _cleanup_json_ json_object *o = json_new();
                const char *interface;

                r = sd_bus_message_read(m, "s", &interface);
                if (r < 0)
                        return r;
                r = bus_merge_dict(m, o);
                if (r < 0)
                        return r;
                if (streq(interface, VFIOD_JOB_INTERFACE))
                        json_append(jobs, TAKE_PTR(o));
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_objects(sd_bus_message *m, json_object *jobs)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                r = read_object(m, jobs);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

static int list_jobs(Ctl *c, json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_json_ json_object *jobs = json_new_list();
        int r;

        r = bus_method(c, VFIOD_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
                       &m);
        if (r != 0)
                return r;
        r = bus_call(c, m, &reply);
        if (r != 0)
                return r;
        r = read_objects(reply, jobs);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(jobs);
        return 0;
}

/* Puts the local time where the table shows the start. */
static void add_local_time(json_object *job)
{
        _cleanup_free_ char *key = must(field_json_name("StartedUSec"));
        int64_t usec = json_number(job, key);
        time_t seconds = usec / (int64_t)USEC_PER_SEC;
        char text[64] = "";
        struct tm tm;

        if (usec > 0 && localtime_r(&seconds, &tm))
                strftime(text, sizeof(text), "%F %T", &tm);
        json_add_text(job, "started", text);
}

int verb_jobs(Ctl *c, char **args)
{
        static const Column columns[] = {
                { "JOB", "id", true },           { "KIND", "kind", false },
                { "STATE", "state", false },     { "UID", "requester_uid", true },
                { "STARTED", "started", false }, { "DEVICES", "devices", false },
        };
        _cleanup_json_ json_object *jobs = NULL;
        int r;

        r = list_jobs(c, &jobs);
        if (r != 0)
                return r;
        if (c->options.json != JSON_OFF) {
                print_json(c, jobs);
                return 0;
        }
        for (size_t i = 0; i < json_count(jobs); i++)
                add_local_time(json_at(jobs, i));
        return print_table(c, columns, ELEMENTSOF(columns), jobs);
}

int verb_cancel(Ctl *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        char path[sizeof(VFIOD_JOB_PREFIX) + 24];
        uint64_t id;
        int r;

        r = parse_uint(args[0], 10, UINT64_MAX, &id);
        if (r < 0)
                return fail(STATUS_USAGE, "not the number of a job: '%s'; see 'vfioctl jobs'",
                            args[0]);
        snprintf(path, sizeof(path), VFIOD_JOB_PREFIX "/%" PRIu64, id);
        r = bus_method(c, path, VFIOD_JOB_INTERFACE, "Cancel", &m);
        if (r != 0)
                return r;
        agent_open(c);
        return bus_call(c, m, &reply);
}
