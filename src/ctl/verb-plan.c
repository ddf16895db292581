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
        return group < 0 && !streq(json_word(entry, "device"), json_word(before, "device"));
}

static void print_unit(json_object *entry)
{
        int64_t group = json_number(entry, "group");
        const char *suffix = json_flag(entry, "restore") ? ", to be given back" : "";

        if (group >= 0)
                print_safe(stdout, "IOMMU group %" PRIi64 "%s:\n", group, suffix);
        else
                print_safe(stdout, "%s, in no IOMMU group%s:\n", json_word(entry, "device"),
                           suffix);
}

static void print_refusal(json_object *entry)
{
        print_safe(stdout, "     %s: refused: %s: %s (%s)\n", json_word(entry, "device"),
                   json_word(entry, "reason"), json_word(entry, "sentence"),
                   json_word(entry, "remedy"));
}

static void print_step(json_object *entry, unsigned number)
{
        print_safe(stdout, "%4u. %s", number, json_word(entry, "text"));
        if (json_text(entry, "why"))
                print_safe(stdout, " (%s)", json_text(entry, "why"));
        putchar('\n');
}

void print_plan(const Ctl *c, json_object *plan, const char *nothing)
{
        json_object *before = NULL;
        unsigned number = 0;

        if (c->options.json != JSON_OFF) {
                print_json(c, plan);
                return;
        }
        if (json_count(plan) == 0)
                printf("Nothing to do: %s.\n", nothing);
        for (size_t i = 0; i < json_count(plan); i++) {
                json_object *entry = json_at(plan, i);

                if (begins_unit(entry, before))
                        print_unit(entry);
                if (streq(json_word(entry, "type"), "refusal"))
                        print_refusal(entry);
                else
                        print_step(entry, ++number);
                before = entry;
        }
}

int verb_plan(Ctl *c, char **args)
{
        _cleanup_json_ json_object *plan = NULL;
        int r;

        r = source_plan(c, &plan);
        if (r != 0)
                return r;
        print_plan(c, plan, "every declared device is as declared");
        return c->options.check && json_count(plan) > 0 ? STATUS_NOT_AS_DECLARED : 0;
}
