/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "ctl/verbs.h"

#include <inttypes.h>

/* Entries of one unit follow one another; a device without a group is a unit of its own. */
static bool begins_unit(json_object *entry, json_object *before)
{
        int64_t group = json_number(entry, "group");

        if (!before || json_number(before, "group") != group)
                return true;
        return group < 0 &&
               !streq(strempty(json_text(entry, "device")), strempty(json_text(before, "device")));
}

static void print_unit(json_object *entry)
{
        int64_t group = json_number(entry, "group");
        const char *suffix = json_flag(entry, "restore") ? ", to be given back" : "";

        if (group >= 0)
                print_safe(stdout, "IOMMU group %" PRIi64 "%s:\n", group, suffix);
        else
                print_safe(stdout, "%s, in no IOMMU group%s:\n",
                           strempty(json_text(entry, "device")), suffix);
}

static void print_refusal(json_object *entry)
{
        print_safe(stdout, "     %s: refused: %s: %s (%s)\n", strempty(json_text(entry, "device")),
                   strempty(json_text(entry, "reason")), strempty(json_text(entry, "sentence")),
                   strempty(json_text(entry, "remedy")));
}

static void print_step(json_object *entry, unsigned number)
{
        print_safe(stdout, "%4u. %s", number, strempty(json_text(entry, "text")));
        if (json_text(entry, "why"))
                print_safe(stdout, " (%s)", json_text(entry, "why"));
        putchar('\n');
}

int print_plan(const Ctl *c, json_object *plan, const char *nothing)
{
        json_object *before = NULL;
        unsigned number = 0;

        if (c->options.json != JSON_OFF)
                return print_json(c, plan);
        if (json_object_array_length(plan) == 0)
                printf("Nothing to do: %s.\n", nothing);
        for (size_t i = 0; i < json_object_array_length(plan); i++) {
                json_object *entry = json_object_array_get_idx(plan, i);

                if (begins_unit(entry, before))
                        print_unit(entry);
                if (streq(strempty(json_text(entry, "type")), "refusal"))
                        print_refusal(entry);
                else
                        print_step(entry, ++number);
                before = entry;
        }
        return 0;
}

int verb_plan(Ctl *c, char **args)
{
        _cleanup_json_ json_object *plan = NULL;
        int r;

        r = source_plan(c, &plan);
        if (r != 0)
                return r;
        r = print_plan(c, plan, "every declared device is as declared");
        if (r != 0)
                return r;
        if (c->options.check && json_object_array_length(plan) > 0)
                return STATUS_NOT_AS_DECLARED;
        return 0;
}
