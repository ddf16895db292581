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
static void print_objects(const Ctl *c, json_object *list)
{
        print_json(c, json_count(list) == 1 ? json_at(list, 0) : list);
}

/*
 * The override is not among what the daemon serves: its attribute takes the device's lock, so a
 * read waits for a write that hangs. That may cost this process, but then there is nothing to see.
 */
static void add_override(json_object *device, const Sysroot *root)
{
        const char *state = json_word(device, "state");
        _cleanup_free_ char *override = NULL;
        PciAddress a;

        if (streq(state, "stuck") || streq(state, "working") || streq(state, "absent"))
                return;
        if (pci_address_parse(json_word(device, "address"), &a) >= 0 &&
            inspect_override(root, &a, &override) >= 0)
                json_add_text(device, "driver_override", override);
}

int verb_show(Ctl *c, char **args)
{
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;
        _cleanup_json_ json_object *list = NULL;
        int r;

        r = select_devices(c, args, &list);
        if (r != 0)
                return r;
        r = sysroot_open(c->options.root, &root);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_count(list); i++)
                add_override(json_at(list, i), &root);
        if (c->options.json != JSON_OFF)
                print_objects(c, list);
        for (size_t i = 0; c->options.json == JSON_OFF && i < json_count(list); i++) {
                if (i > 0)
                        putchar('\n');
                print_members(json_at(list, i));
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
        print_safe(stdout, "%s: %s", json_word(e, "device"), json_word(e, "state"));
        if (json_text(e, "reason"))
                print_safe(stdout, ": %s: %s", json_word(e, "reason"), json_word(e, "sentence"));
        puts(".");
        print_line("Fact:", json_text(e, "fact"));
        print_line("Remedy:", json_text(e, "remedy"));
        print_line("Rule:", json_text(e, "rule") ?: "no file names this device");
}

int verb_explain(Ctl *c, char **args)
{
        _cleanup_json_ json_object *list = NULL, *answers = json_new_list();
        int r;

        r = select_devices(c, args, &list);
        if (r != 0)
                return r;
        for (size_t i = 0; i < json_count(list); i++) {
                json_object *e;

                r = source_explain(c, json_word(json_at(list, i), "address"), &e);
                if (r != 0)
                        return r;
                json_append(answers, e);
        }
        if (c->options.json != JSON_OFF)
                print_objects(c, answers);
        for (size_t i = 0; c->options.json == JSON_OFF && i < json_count(answers); i++)
                print_explanation(json_at(answers, i));
        return 0;
}
