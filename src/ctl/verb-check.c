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
        print_safe(f, "%s", strempty(json_text(d, "path")));
        if (line > 0)
                print_safe(f, ":%" PRIi64, line);
        if (line > 0 && column > 0)
                print_safe(f, ":%" PRIi64, column);
        print_safe(f, ": %s: %s\n", json_flag(d, "error") ? "error" : "warning",
                   strempty(json_text(d, "message")));
}

int print_diagnostics(const Ctl *c, json_object *list, FILE *f)
{
        bool error = false;
        int r;

        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *d = json_object_array_get_idx(list, i);

                error = error || json_flag(d, "error");
                if (c->options.json == JSON_OFF)
                        print_diagnostic(d, f);
        }
        if (c->options.json != JSON_OFF) {
                r = print_json(c, list);
                if (r != 0)
                        return r;
        }
        return error ? STATUS_FAILED : 0;
}

static json_object *diagnostic_to_json(const Diagnostic *d)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_text(o, "path", d->path) < 0 ||
            json_add(o, "line", json_object_new_int64(d->line)) < 0 ||
            json_add(o, "column", json_object_new_int64(d->column)) < 0 ||
            json_add(o, "error", json_object_new_boolean(d->error)) < 0 ||
            json_add_text(o, "message", d->message) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static int diagnostics_to_json(const Config *config, json_object **ret)
{
        _cleanup_json_ json_object *list = json_object_new_array();
        int r;

        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < config->n_diagnostics; i++) {
                json_object *o = diagnostic_to_json(&config->diagnostics[i]);

                if (!o)
                        return -ENOMEM;
                r = json_append(list, o);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(list);
        return 0;
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
        r = diagnostics_to_json(config, &list);
        if (r < 0)
                return r;
        status = print_diagnostics(c, list, stdout);
        if (status >= 0 && !args[0] && c->options.json == JSON_OFF)
                print_summary(config);
        return status;
}
