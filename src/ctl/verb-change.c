/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verbs that have the daemon do something: bind, release, sriov, apply, reload. */

#include "basic/names.h"
#include "basic/parse.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "model/config.h"

/* The flags, and the options { "accept": [ … ] } or { }. */
static int append_options(const Ctl *c, sd_bus_message *m)
{
        uint64_t flags = 0;
        int r;

        flags |= c->given & OPTION_DRY_RUN ? VFIOD_FLAG_DRY_RUN : 0;
        flags |= c->given & OPTION_NO_WAIT ? VFIOD_FLAG_NO_WAIT : 0;
        flags |= c->given & OPTION_PERSIST ? VFIOD_FLAG_PERSIST : 0;
        r = sd_bus_message_append(m, "t", flags);
        if (r >= 0 && !c->accept)
                return sd_bus_message_append(m, "a{sv}", 0);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "accept");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, c->accept);
        for (unsigned depth = 3; r >= 0 && depth > 0; depth--)
                r = sd_bus_message_close_container(m);
        return r;
}

/*
 * What the daemon answered is what became of the devices. A later look could show the work of
 * somebody else already.
 */
static void print_results(const Ctl *c, json_object *results)
{
        for (size_t i = 0; i < json_count(results); i++)
                json_add_text(json_at(results, i), "address",
                              json_word(json_at(results, i), "device"));
        if (print_json(c, results))
                return;
        if (json_count(results) == 0)
                puts("Nothing to do: every declared device is as declared.");
        for (size_t i = 0; i < json_count(results); i++) {
                _cleanup_free_ char *text = device_text(json_at(results, i));

                print_safe(stdout, "%s\n", text);
        }
}

/* With --no-wait: the number of the job, the last part of its path. */
static void print_job(const Ctl *c, const char *path)
{
        _cleanup_json_ json_object *o = json_new();
        const char *slash = strrchr(path, '/');

        json_add_number(o, "job", slash ? strtoll(slash + 1, NULL, 10) : -1);
        if (!print_json(c, o))
                puts(json_word(o, "job"));
}

static int append_addresses(sd_bus_message *m, json_object *devices)
{
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (size_t i = 0; r >= 0 && i < json_count(devices); i++)
                r = sd_bus_message_append(m, "s", json_word(json_at(devices, i), "address"));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* A call to a method of the manager, which is to be there. */
static int new_call(Ctl *c, const char *member, sd_bus_message **ret)
{
        int r = bus_start_daemon(c);

        return r != 0 ? r : bus_new_call(c, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, member, ret);
}

/* Sends a call that has all but the flags and options, and prints what it came to. */
static int finish(Ctl *c, sd_bus_message *m)
{
        _cleanup_json_ json_object *reply = NULL; /* the job's path, and the results */
        int r = append_options(c, m);

        if (r < 0)
                return r;
        r = bus_call(c, m, &reply);
        if (r != 0)
                return r;
        if (c->given & OPTION_DRY_RUN)
                print_plan(c, json_at(reply, 1), "all is as asked");
        else if (c->given & OPTION_NO_WAIT)
                print_job(c, strempty(json_object_get_string(json_at(reply, 0))));
        else
                print_results(c, json_at(reply, 1));
        return 0;
}

/* What the verb takes: devices, a driver. */
static int change(Ctl *c, const char *member, char **words, const char *driver)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_json_ json_object *devices = NULL;
        int r = new_call(c, member, &m);

        if (r == 0)
                r = source_devices(c, words, SELECT_ENDPOINTS, &devices);
        if (r != 0)
                return r;
        r = append_addresses(m, devices);
        if (r >= 0 && driver)
                r = sd_bus_message_append(m, "s", driver);
        return r < 0 ? r : finish(c, m);
}

int verb_bind(Ctl *c, char **args)
{
        return change(c, "Bind", args, c->driver ?: "vfio");
}

int verb_release(Ctl *c, char **args)
{
        return change(c, "Release", args, /* driver= */ NULL);
}

int verb_apply(Ctl *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_call(c, "Apply", &m);

        return r != 0 ? r : finish(c, m);
}

int verb_sriov(Ctl *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_json_ json_object *pf = NULL;
        bool max = streq(args[1], "max");
        uint64_t count = 0;
        int r;

        if (!max && parse_uint(args[1], 10, VF_COUNT_MAX, &count) < 0)
                return fail(STATUS_USAGE, "'%s' is no number of VFs; it is a number or max",
                            args[1]);
        r = new_call(c, "SetVirtualFunctions", &m);
        if (r == 0)
                r = source_pf(c, args[0], &pf);
        if (r != 0)
                return r;
        if (max)
                count = (uint64_t)json_number(pf, "total_vfs");
        r = sd_bus_message_append(m, "su", json_word(pf, "address"), (uint32_t)count);
        return r < 0 ? r : finish(c, m);
}

int verb_reload(Ctl *c, char **args)
{
        uint64_t flags = c->given & OPTION_FORGET ? VFIOD_FLAG_FORGET : 0;
        _cleanup_json_ json_object *diagnostics = NULL;
        int r = bus_start_daemon(c);

        if (r == 0)
                r = bus_ask(c, &diagnostics, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Reload", "t",
                            flags);
        if (r != 0)
                return r;
        /* The reload is done; a bad file keeps what it said before, and `check` says so too. */
        r = print_diagnostics(c, diagnostics, stderr);
        return r < 0 ? r : 0;
}
