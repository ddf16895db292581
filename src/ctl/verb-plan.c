/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* plan and check: what the files say now. */

#include "basic/strv.h"
#include "config/load.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "sys/sysroot.h"

/* Entries of one unit follow one another; a device without a group is a unit of its own. */
static bool begins_unit(json_object *entry, json_object *before)
{
        int64_t group = json_number(entry, "group");

        if (!before || json_number(before, "group") != group ||
            !streq(json_word(entry, "pf"), json_word(before, "pf")))
                return true;
        return group < 0 && !streq(json_word(entry, "device"), json_word(before, "device"));
}

static void print_unit(json_object *entry)
{
        const char *suffix = json_flag(entry, "restore") ? ", to be given back" : "";

        if (json_text(entry, "pf"))
                print_safe(stdout, "%s and its VFs%s:\n", json_text(entry, "pf"), suffix);
        else if (json_text(entry, "group"))
                print_safe(stdout, "IOMMU group %s%s:\n", json_text(entry, "group"), suffix);
        else
                print_safe(stdout, "%s, in no IOMMU group%s:\n", json_word(entry, "device"),
                           suffix);
}

static void print_refusal(json_object *entry)
{
        print_safe(stdout, "     %s: %s: %s: %s (%s)\n", json_word(entry, "device"),
                   json_flag(entry, "waits") ? "waits" : "refused", json_word(entry, "reason"),
                   json_word(entry, "sentence"), json_word(entry, "remedy"));
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

        if (print_json(c, plan))
                return;
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
        int r = source_plan(c, &plan);

        if (r != 0)
                return r;
        print_plan(c, plan, "every declared device is as declared");
        return (c->given & OPTION_CHECK) && json_count(plan) > 0 ? STATUS_NOT_AS_DECLARED : 0;
}

/* "path:line:column: error: message"; a place of 0 is the file as a whole. */
static void print_diagnostic(json_object *d, FILE *f)
{
        if (f == stderr)
                fputs("vfioctl: ", f);
        print_safe(f, "%s", json_word(d, "path"));
        if (json_number(d, "line") > 0)
                print_safe(f, ":%s", json_text(d, "line"));
        if (json_number(d, "column") > 0)
                print_safe(f, ":%s", json_text(d, "column"));
        print_safe(f, ": %s: %s\n", json_flag(d, "error") ? "error" : "warning",
                   json_word(d, "message"));
}

int print_diagnostics(const Ctl *c, json_object *list, FILE *f)
{
        bool printed = print_json(c, list), error = false;

        for (size_t i = 0; i < json_count(list); i++) {
                error = error || json_flag(json_at(list, i), "error");
                if (!printed)
                        print_diagnostic(json_at(list, i), f);
        }
        return error ? STATUS_FAILED : 0;
}

static json_object *diagnostics_to_json(const Config *config)
{
        json_object *list = json_new_list();

        for (size_t i = 0; i < config->n_diagnostics; i++) {
                const Diagnostic *d = &config->diagnostics[i];
                json_object *o = json_append(list, json_new());

                json_add_text(o, "path", d->path);
                json_add_number(o, "line", d->line);
                json_add_number(o, "column", d->column);
                json_add(o, "error", must(json_object_new_boolean(d->error)));
                json_add_text(o, "message", d->message);
        }
        return list;
}

static void print_summary(const Config *config)
{
        size_t broken = strv_length(config->broken);

        printf("%zu device files: %zu rules", config->n_rules + broken, config->n_rules);
        if (broken > 0)
                printf(", %zu files in error", broken);
        putchar('\n');
}

/* Always local: it is about what the files say now, and not what the daemon last read. */
int verb_check(Ctl *c, char **args)
{
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_json_ json_object *list = NULL;
        int r, status;

        r = sysroot_open(c->root, &root);
        if (r < 0)
                return fail(STATUS_FAILED, "cannot open '%s': %s", c->root ?: "/", strerror(-r));
        r = args[0] ? config_check_files(root.root, args, &config)
                    : config_load(root.root, root.prefix, NULL, &config);
        if (r < 0)
                return r;
        list = diagnostics_to_json(config);
        status = print_diagnostics(c, list, stdout);
        if (!args[0] && c->json == JSON_OFF)
                print_summary(config);
        return status;
}
