/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verbs that have the daemon do something: bind, release, apply, reload. */

#include "basic/names.h"
#include "ctl/bus-json.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "ctl/verbs.h"
#include "model/reason.h"

#include <inttypes.h>

static uint64_t flags_of(const Options *o)
{
        return (o->dry_run ? VFIOD_FLAG_DRY_RUN : 0) | (o->no_wait ? VFIOD_FLAG_NO_WAIT : 0) |
               (o->persist ? VFIOD_FLAG_PERSIST : 0);
}

static int append_flags_and_options(const Ctl *c, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_append(m, "t", flags_of(&c->options));
        if (r < 0)
                return r;
        if (!c->options.accept)
                return sd_bus_message_append(m, "a{sv}", 0);
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", "accept");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'v', "as");
        if (r < 0)
                return r;
        r = sd_bus_message_append_strv(m, c->options.accept);
        if (r < 0)
                return r;
        for (int depth = 0; depth < 3; depth++) {
                r = sd_bus_message_close_container(m);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* "0000:04:00.0: ready on vfio-pci (group 13, /dev/vfio/13)" */
static void print_device(json_object *d)
{
        const char *driver = json_text(d, "driver"), *node = json_text(d, "vfio_node");
        const char *state = strempty(json_text(d, "state"));
        int64_t group = json_number(d, "group");

        print_safe(stdout, "%s: %s%s%s", strempty(json_text(d, "address")),
                   streq(state, "unmanaged") ? "released" : state,
                   driver ? " on " : " without a driver", strempty(driver));
        if (group >= 0)
                print_safe(stdout, " (group %" PRIi64 "%s%s)", group, node ? ", " : "",
                           strempty(node));
        putchar('\n');
}

/* 0 if the device is as asked; else says why not. */
static int check_device(json_object *d)
{
        const char *reason = json_text(d, "reason");
        int number = reason ? reason_from_string(reason) : REASON_NONE;

        if (!reason)
                return 0;
        return fail(number < 0 ? STATUS_FAILED : reason_row(number)->exit_status,
                    "%s: %s: %s: %s (%s)", strempty(json_text(d, "address")),
                    strempty(json_text(d, "state")), reason, strempty(json_text(d, "sentence")),
                    strempty(json_text(d, "remedy")));
}

/* After bind and release the devices of the results, after apply all that are declared and there.
 */
static bool concerns(json_object *results, json_object *device)
{
        const char *state = strempty(json_text(device, "state"));
        size_t n = json_object_array_length(results);

        for (size_t i = 0; i < n; i++)
                if (streq_ptr(json_text(json_object_array_get_idx(results, i), "device"),
                              json_text(device, "address")))
                        return true;
        return n == 0 && !streq(state, "unmanaged") && !streq(state, "absent");
}

static int select_results(Ctl *c, json_object *results, json_object **ret)
{
        _cleanup_json_ json_object *devices = NULL, *list = json_object_new_array();
        int r;

        if (!list)
                return -ENOMEM;
        r = source_devices(c, &devices);
        if (r != 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(devices); i++) {
                json_object *d = json_object_array_get_idx(devices, i);

                if (!concerns(results, d))
                        continue;
                r = json_append(list, json_object_get(d));
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(list);
        return 0;
}

static int print_results(Ctl *c, json_object *results)
{
        _cleanup_json_ json_object *list = NULL;
        int status = 0, r;

        r = select_results(c, results, &list);
        if (r != 0)
                return r;
        if (c->options.json != JSON_OFF) {
                r = print_json(c, list);
                if (r != 0)
                        return r;
        } else if (json_object_array_length(list) == 0) {
                puts("Nothing to do: no device is declared.");
        }
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *d = json_object_array_get_idx(list, i);

                r = check_device(d);
                if (r == 0 && c->options.json == JSON_OFF)
                        print_device(d);
                status = status ?: r;
        }
        return status;
}

/* With --no-wait: the number of the job, the last part of its path. */
static int print_job(const Ctl *c, const char *path)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        const char *number = strrchr(path, '/');
        int r;

        if (!o)
                return -ENOMEM;
        number = number ? number + 1 : path;
        if (c->options.json == JSON_OFF) {
                puts(number);
                return 0;
        }
        r = json_add(o, "job", json_object_new_uint64(strtoull(number, NULL, 10)));
        return r < 0 ? r : print_json(c, o);
}

static int run(Ctl *c, sd_bus_message *m)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *results = NULL;
        const char *job;
        int r;

        r = append_flags_and_options(c, m);
        if (r < 0)
                return r;
        agent_open(c);
        r = bus_call(c, m, &reply);
        if (r != 0)
                return r;
        r = sd_bus_message_read(reply, "o", &job);
        if (r < 0)
                return r;
        r = bus_value_to_json(reply, &results);
        if (r < 0)
                return r;
        if (c->options.dry_run)
                return print_plan(c, results, "all is as asked");
        if (c->options.no_wait)
                return print_job(c, job);
        return print_results(c, results);
}

static int append_addresses(sd_bus_message *m, json_object *devices)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(devices); i++) {
                json_object *d = json_object_array_get_idx(devices, i);

                r = sd_bus_message_append(m, "s", strempty(json_text(d, "address")));
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

/* Words to addresses, into a call that the daemon is there to receive. */
static int new_device_call(Ctl *c, const char *member, char **args, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_json_ json_object *devices = NULL, *selected = NULL;
        int r;

        r = bus_start_daemon(c);
        if (r != 0)
                return r;
        r = source_devices(c, &devices);
        if (r != 0)
                return r;
        r = resolve_words(devices, args, RESOLVE_ENDPOINTS, &selected);
        if (r != 0)
                return r;
        r = bus_method(c, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, member, &m);
        if (r != 0)
                return r;
        r = append_addresses(m, selected);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int verb_bind(Ctl *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_device_call(c, "Bind", args, &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "s", c->options.driver ?: "vfio");
        return r < 0 ? r : run(c, m);
}

int verb_release(Ctl *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_device_call(c, "Release", args, &m);
        return r != 0 ? r : run(c, m);
}

int verb_apply(Ctl *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = bus_start_daemon(c);
        if (r != 0)
                return r;
        r = bus_method(c, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Apply", &m);
        return r != 0 ? r : run(c, m);
}

int verb_reload(Ctl *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_json_ json_object *diagnostics = NULL;
        int r;

        r = bus_start_daemon(c);
        if (r != 0)
                return r;
        r = bus_method(c, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Reload", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "t", c->options.forget ? VFIOD_FLAG_FORGET : UINT64_C(0));
        if (r < 0)
                return r;
        agent_open(c);
        r = bus_call(c, m, &reply);
        if (r != 0)
                return r;
        r = bus_value_to_json(reply, &diagnostics);
        if (r < 0)
                return r;
        /* The reload is done; a bad file keeps what it said before, and `check` says so too. */
        r = print_diagnostics(c, diagnostics, stderr);
        return r < 0 ? r : 0;
}
