/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "ctl/verbs.h"

#include <libsmartcols.h>

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

static void print_list_json(const Ctl *c, json_object *devices)
{
        _cleanup_json_ json_object *list = json_new_list();

        for (size_t i = 0; i < json_count(devices); i++) {
                json_object *d = json_at(devices, i), *o = json_new();

                json_append(list, o);
                for (size_t k = 0; k < ELEMENTSOF(list_keys); k++)
                        json_add(o, list_keys[k],
                                 json_object_get(json_object_object_get(d, list_keys[k])));
        }
        print_json(c, list);
}

int verb_list(Ctl *c, char **args)
{
        _cleanup_json_ json_object *devices = NULL, *selected = NULL;
        int r;

        r = source_devices(c, &devices);
        if (r != 0)
                return r;
        if (args[0])
                r = resolve_words(devices, args, RESOLVE_ALL, &selected);
        else
                selected = json_object_get(devices);
        if (r != 0)
                return r;
        if (c->options.json == JSON_OFF)
                return print_table(c, list_columns, ELEMENTSOF(list_columns), selected);
        print_list_json(c, selected);
        return 0;
}

static const Column group_columns[] = {
        { "GROUP", "address", false }, { "ID", "id", false },       { "CLASS", "class", false },
        { "DRIVER", "driver", false }, { "STATE", "state", false }, { "NODE", "vfio_node", false },
};

/* The line of a group carries its number where members have their address. */
static void add_group(const Ctl *c, struct libscols_table *t, json_object *group,
                      json_object *devices)
{
        _cleanup_json_ json_object *line = json_new();
        int64_t number = json_number(group, "number");
        struct libscols_line *parent;

        json_add_number(line, "address", number);
        json_add_text(line, "vfio_node", json_text(group, "vfio_node"));
        parent = table_add(c, t, group_columns, ELEMENTSOF(group_columns), line, NULL);
        /* The node is the group's: members do without the last column. */
        for (size_t i = 0; i < json_count(devices); i++)
                if (json_number(json_at(devices, i), "group") == number)
                        table_add(c, t, group_columns, ELEMENTSOF(group_columns) - 1,
                                  json_at(devices, i), parent);
}

int verb_groups(Ctl *c, char **args)
{
        _cleanup_json_ json_object *groups = NULL, *devices = NULL;
        _cleanup_table_ struct libscols_table *t = NULL;
        int r;

        r = source_groups(c, &groups);
        if (r != 0)
                return r;
        if (c->options.json != JSON_OFF) {
                print_json(c, groups);
                return 0;
        }
        r = source_devices(c, &devices);
        if (r != 0)
                return r;
        t = table_new(c, group_columns, ELEMENTSOF(group_columns), /* tree= */ true);
        for (size_t i = 0; i < json_count(groups); i++)
                add_group(c, t, json_at(groups, i), devices);
        return scols_print_table(t);
}
