/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/strv.h"
#include "config/load.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/verbs.h"
#include "sys/sysroot.h"

#include <inttypes.h>

/* "path:line:column: error: message"; a place of 0 is the file as a whole. */
static void print_diagnostic(json_object *d, FILE *f)
{
        int64_t line = json_number(d, "line"), column = json_number(d, "column");

        if (f == stderr)
                fputs("vfioctl: ", f);
        print_safe(f, "%s", json_word(d, "path"));
        if (line > 0)
                print_safe(f, ":%" PRIi64, line);
        if (line > 0 && column > 0)
                print_safe(f, ":%" PRIi64, column);
        print_safe(f, ": %s: %s\n", json_flag(d, "error") ? "error" : "warning",
                   json_word(d, "message"));
}

int print_diagnostics(const Ctl *c, json_object *list, FILE *f)
{
        bool error = false;

        if (c->options.json != JSON_OFF)
                print_json(c, list);
        for (size_t i = 0; i < json_count(list); i++) {
                error = error || json_flag(json_at(list, i), "error");
                if (c->options.json == JSON_OFF)
                        print_diagnostic(json_at(list, i), f);
        }
        return error ? STATUS_FAILED : 0;
}

static json_object *diagnostics_to_json(const Config *config)
{
        json_object *list = json_new_list();

        for (size_t i = 0; i < config->n_diagnostics; i++) {
                const Diagnostic *d = &config->diagnostics[i];
                json_object *o = json_new();

                json_append(list, o);
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

        r = sysroot_open(c->options.root, &root);
        if (r < 0)
                return fail(STATUS_FAILED, "cannot open '%s': %s", c->options.root ?: "/",
                            strerror(-r));
        r = args[0] ? config_check_files(root.root, args, &config)
                    : config_load(root.root, root.prefix, NULL, &config);
        if (r < 0)
                return r;
        list = diagnostics_to_json(config);
        status = print_diagnostics(c, list, stdout);
        if (!args[0] && c->options.json == JSON_OFF)
                print_summary(config);
        return status;
}
