/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "ctl/verbs.h"

#include <inttypes.h>

static const Column list_columns[] = {
        { "ADDRESS", "address", false }, { "ID", "id", false },      { "CLASS", "class", false },
        { "DRIVER", "driver", false },   { "GROUP", "group", true }, { "STATE", "state", false },
        { "REASON", "reason", false },   { "RULE", "rule", false },
};

/* The promised members of `list --json`, in the promised order. */
static const char *const list_keys[] = {
        "address",   "id", "class", "driver",  "state",     "reason",    "group",
        "numa_node", "pf", "vf",    "num_vfs", "total_vfs", "vfio_node", "rule",
};

static json_object *select_members(json_object *device)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        for (size_t i = 0; o && i < ELEMENTSOF(list_keys); i++) {
                json_object *v = json_object_object_get(device, list_keys[i]);

                if (json_add(o, list_keys[i], json_object_get(v)) < 0)
                        return NULL;
        }
        return TAKE_PTR(o);
}

static int print_list_json(const Ctl *c, json_object *devices)
{
        _cleanup_json_ json_object *list = json_object_new_array();
        int r;

        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < json_object_array_length(devices); i++) {
                json_object *o = select_members(json_object_array_get_idx(devices, i));

                if (!o)
                        return -ENOMEM;
                r = json_append(list, o);
                if (r < 0)
                        return r;
        }
        return print_json(c, list);
}

int verb_list(Ctl *c, char **args)
{
        _cleanup_json_ json_object *devices = NULL, *selected = NULL;
        int r;

        r = source_devices(c, &devices);
        if (r != 0)
                return r;
        if (args[0]) {
                r = resolve_words(devices, args, RESOLVE_ALL, &selected);
                if (r != 0)
                        return r;
        } else {
                selected = json_object_get(devices);
        }
        if (c->options.json != JSON_OFF)
                return print_list_json(c, selected);
        return print_table(c, list_columns, ELEMENTSOF(list_columns), selected);
}

static const Column group_columns[] = {
        { "GROUP", "address", false }, { "ID", "id", false },       { "CLASS", "class", false },
        { "DRIVER", "driver", false }, { "STATE", "state", false }, { "NODE", "vfio_node", false },
};

/* The line of a group carries its number where members have their address. */
static int add_group(const Ctl *c, struct libscols_table *t, json_object *group,
                     json_object *devices)
{
        _cleanup_json_ json_object *line = json_object_new_object();
        int64_t number = json_number(group, "number");
        struct libscols_line *parent;
        char text[32];
        int r;

        if (!line)
                return -ENOMEM;
        snprintf(text, sizeof(text), "%" PRIi64, number);
        r = json_add_text(line, "address", text);
        if (r < 0)
                return r;
        r = json_add_text(line, "vfio_node", json_text(group, "vfio_node"));
        if (r < 0)
                return r;
        r = table_add(c, t, group_columns, ELEMENTSOF(group_columns), line, NULL, &parent);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(devices); i++) {
                json_object *d = json_object_array_get_idx(devices, i);

                if (json_number(d, "group") != number)
                        continue;
                /* The node is the group's, and stands on its line. */
                r = table_add(c, t, group_columns, ELEMENTSOF(group_columns) - 1, d, parent, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

int verb_groups(Ctl *c, char **args)
{
        _cleanup_json_ json_object *groups = NULL, *devices = NULL;
        _cleanup_table_ struct libscols_table *t = NULL;
        int r;

        r = source_groups(c, &groups);
        if (r != 0)
                return r;
        if (c->options.json != JSON_OFF)
                return print_json(c, groups);
        r = source_devices(c, &devices);
        if (r != 0)
                return r;
        r = table_new(c, group_columns, ELEMENTSOF(group_columns), /* tree= */ true, &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(groups); i++) {
                r = add_group(c, t, json_object_array_get_idx(groups, i), devices);
                if (r < 0)
                        return r;
        }
        return table_print(t);
}
