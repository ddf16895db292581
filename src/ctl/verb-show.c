/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "ctl/verbs.h"
#include "sys/inspect.h"

static int select_devices(Ctl *c, char **words, json_object **ret)
{
        _cleanup_json_ json_object *devices = NULL;
        int r;

        r = source_devices(c, &devices);
        if (r != 0)
                return r;
        return resolve_words(devices, words, RESOLVE_ALL, ret);
}

/* One device is an object; several, as a glob or group may name, are a list. */
static int print_objects(const Ctl *c, json_object *list)
{
        return print_json(
                c, json_object_array_length(list) == 1 ? json_object_array_get_idx(list, 0) : list);
}

/*
 * The override is not among what the daemon serves: its attribute takes the device's lock, so a
 * read waits for a write that hangs. That may cost this process, but then there is nothing to see.
 */
static int add_override(json_object *device, const Sysroot *root)
{
        const char *address = json_text(device, "address");
        const char *state = strempty(json_text(device, "state"));
        _cleanup_free_ char *override = NULL;
        PciAddress a;

        if (streq(state, "stuck") || streq(state, "working") || streq(state, "absent"))
                return 0;
        if (!address || pci_address_parse(address, &a) < 0)
                return 0;
        if (inspect_override(root, &a, &override) < 0)
                return 0;
        return json_add_text(device, "driver_override", override);
}

static int add_overrides(const Ctl *c, json_object *list)
{
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;
        int r;

        r = sysroot_open(c->options.root, &root);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                r = add_override(json_object_array_get_idx(list, i), &root);
                if (r < 0)
                        return r;
        }
        return 0;
}

int verb_show(Ctl *c, char **args)
{
        _cleanup_json_ json_object *list = NULL;
        int r;

        r = select_devices(c, args, &list);
        if (r != 0)
                return r;
        r = add_overrides(c, list);
        if (r < 0)
                return r;
        if (c->options.json != JSON_OFF)
                return print_objects(c, list);
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                if (i > 0)
                        putchar('\n');
                r = print_members(json_object_array_get_idx(list, i));
                if (r < 0)
                        return r;
        }
        return 0;
}

static void print_line(const char *title, const char *text)
{
        if (text)
                print_safe(stdout, "  %-8s%s\n", title, text);
}

static void print_explanation(json_object *e)
{
        const char *address = strempty(json_text(e, "device"));
        const char *state = strempty(json_text(e, "state"));
        const char *reason = json_text(e, "reason");

        if (reason)
                print_safe(stdout, "%s: %s: %s: %s.\n", address, state, reason,
                           strempty(json_text(e, "sentence")));
        else
                print_safe(stdout, "%s: %s.\n", address, state);
        print_line("Fact:", json_text(e, "fact"));
        print_line("Remedy:", json_text(e, "remedy"));
        print_line("Rule:", json_text(e, "rule") ?: "no file names this device");
}

int verb_explain(Ctl *c, char **args)
{
        _cleanup_json_ json_object *list = NULL, *answers = json_object_new_array();
        int r;

        if (!answers)
                return -ENOMEM;
        r = select_devices(c, args, &list);
        if (r != 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *d = json_object_array_get_idx(list, i), *e;

                r = source_explain(c, strempty(json_text(d, "address")), &e);
                if (r != 0)
                        return r;
                r = json_append(answers, e);
                if (r < 0)
                        return r;
        }
        if (c->options.json != JSON_OFF)
                return print_objects(c, answers);
        for (size_t i = 0; i < json_object_array_length(answers); i++)
                print_explanation(json_object_array_get_idx(answers, i));
        return 0;
}
