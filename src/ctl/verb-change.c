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

/* { "accept": [ … ] } */
static int append_accept(sd_bus_message *m, char **hazards)
{
        static const struct {
                char type;
                const char *contents;
        } levels[] = { { 'a', "{sv}" }, { 'e', "sv" }, { 'v', "as" } };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(levels); i++) {
                if (levels[i].type == 'v')
                        r = sd_bus_message_append(m, "s", "accept");
                if (r >= 0)
                        r = sd_bus_message_open_container(m, levels[i].type, levels[i].contents);
        }
        if (r >= 0)
                r = sd_bus_message_append_strv(m, hazards);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(levels); i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_flags_and_options(const Ctl *c, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_append(m, "t", flags_of(&c->options));
        if (r < 0)
                return r;
        if (!c->options.accept)
                return sd_bus_message_append(m, "a{sv}", 0);
        return append_accept(m, c->options.accept);
}

/* "0000:04:00.0: ready on vfio-pci (group 13, /dev/vfio/13)" */
static void print_device(json_object *d)
{
        const char *driver = json_text(d, "driver"), *node = json_text(d, "vfio_node");
        const char *state = json_word(d, "state");
        int64_t group = json_number(d, "group");

        print_safe(stdout, "%s: %s%s%s", json_word(d, "address"),
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
        int reason = json_text(d, "reason") ? reason_from_string(json_text(d, "reason")) : 0;

        if (!json_text(d, "reason"))
                return 0;
        return say_device(reason < 0 ? STATUS_FAILED : reason_row(reason)->exit_status, d);
}

/* After bind and release the devices of the results, after apply all that are declared and there.
 */
static bool concerns(json_object *results, json_object *device)
{
        const char *state = json_word(device, "state");

        for (size_t i = 0; i < json_count(results); i++)
                if (streq(json_word(json_at(results, i), "device"), json_word(device, "address")))
                        return true;
        return json_count(results) == 0 && !streq(state, "unmanaged") && !streq(state, "absent");
}

static int print_results(Ctl *c, json_object *results)
{
        _cleanup_json_ json_object *devices = NULL, *list = json_new_list();
        int status = 0, r;

        r = source_devices(c, &devices);
        if (r != 0)
                return r;
        for (size_t i = 0; i < json_count(devices); i++)
                if (concerns(results, json_at(devices, i)))
                        json_append(list, json_object_get(json_at(devices, i)));
        if (c->options.json != JSON_OFF)
                print_json(c, list);
        else if (json_count(list) == 0)
                puts("Nothing to do: no device is declared.");
        for (size_t i = 0; i < json_count(list); i++) {
                r = check_device(json_at(list, i));
                if (r == 0 && c->options.json == JSON_OFF)
                        print_device(json_at(list, i));
                status = status ?: r;
        }
        return status;
}

/* With --no-wait: the number of the job, the last part of its path. */
static void print_job(const Ctl *c, const char *path)
{
        _cleanup_json_ json_object *o = json_new();
        const char *number = strrchr(path, '/');

        number = number ? number + 1 : path;
        json_add_number(o, "job", strtoll(number, NULL, 10));
        if (c->options.json == JSON_OFF)
                puts(number);
        else
                print_json(c, o);
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
        if (!c->options.dry_run && !c->options.no_wait)
                return print_results(c, results);
        if (c->options.dry_run)
                print_plan(c, results, "all is as asked");
        else
                print_job(c, job);
        return 0;
}

static int append_addresses(sd_bus_message *m, json_object *devices)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_count(devices); i++) {
                r = sd_bus_message_append(m, "s", json_word(json_at(devices, i), "address"));
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
