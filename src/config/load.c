/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/load.h"
#include "basic/io.h"
#include "config/cmdline.h"
#include "config/files.h"
#include "config/rule.h"
#include "config/settings.h"

#include <stdio.h>

enum { CMDLINE_SIZE_MAX = 64 * 1024 };

typedef struct Loader {
        Place place;
        const Config *previous; /* or NULL */
        Cmdline cmdline;
} Loader;

static bool has_errors_since(const Config *c, size_t first)
{
        for (size_t i = first; i < c->n_diagnostics; i++)
                if (c->diagnostics[i].error)
                        return true;
        return false;
}

/* Adds words to the first error since `first`, where the reader of one line looks. */
static int append_to_error(Config *c, size_t first, const char *words)
{
        for (size_t i = first; i < c->n_diagnostics; i++) {
                Diagnostic *d = &c->diagnostics[i];
                char *longer;

                if (!d->error)
                        continue;
                if (asprintf(&longer, "%s%s", d->message, words) < 0)
                        return -ENOMEM;
                free(d->message);
                d->message = longer;
                return 0;
        }
        return 0;
}

static int load_settings_files(const Loader *loader, const ConfigFiles *files)
{
        Config *c = loader->place.config;
        int r;

        for (size_t i = 0; i < files->n_files; i++) {
                _cleanup_free_ char *shown = NULL, *text = NULL;
                size_t size;

                shown = place_show(&loader->place, files->files[i].path);
                if (!shown)
                        return -ENOMEM;
                r = config_file_read(c, loader->place.rootfd, files->files[i].path, shown, &text,
                                     &size);
                if (r == FILE_TEXT)
                        r = config_parse_settings(c, shown, text, size);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* After the files: if any is in error, all settings stay what they were before this reload. */
static int keep_settings(const Loader *loader, size_t first)
{
        Config *c = loader->place.config;
        DaemonSettings settings;
        int r;

        if (!loader->previous || !has_errors_since(c, first))
                return 0;
        r = settings_copy(&loader->previous->daemon, &settings);
        if (r < 0)
                return r;
        settings_done(&c->daemon);
        c->daemon = settings;
        return append_to_error(c, first, ", keeping the settings as they were");
}

static int load_settings(const Loader *loader)
{
        _cleanup_(config_files_done) ConfigFiles files = { 0 }, drop_ins = { 0 };
        size_t first = loader->place.config->n_diagnostics;
        int r;

        r = config_files_find(&loader->place, "vfiod.conf", &files);
        if (r < 0)
                return r;
        r = config_files_list(&loader->place, "vfiod.conf.d", &drop_ins);
        if (r < 0)
                return r;
        r = load_settings_files(loader, &files);
        if (r < 0)
                return r;
        r = load_settings_files(loader, &drop_ins);
        if (r < 0)
                return r;
        return keep_settings(loader, first);
}

/* A FileResult, as of config_file_read(); a text goes into the reader. */
static int feed_file(const Loader *loader, RuleReader *reader, const char *path)
{
        _cleanup_free_ char *shown = NULL, *text = NULL;
        size_t size;
        int r, result;

        shown = place_show(&loader->place, path);
        if (!shown)
                return -ENOMEM;
        result = config_file_read(loader->place.config, loader->place.rootfd, path, shown, &text,
                                  &size);
        if (result == FILE_REFUSED)
                reader->failed = true;
        if (result != FILE_TEXT)
                return result;
        r = rule_reader_feed(reader, shown, text, size);
        return r < 0 ? r : FILE_TEXT;
}

static int feed_drop_ins(const Loader *loader, RuleReader *reader)
{
        _cleanup_(config_files_done) ConfigFiles drop_ins = { 0 };
        _cleanup_free_ char *folder = NULL;
        int r;

        if (asprintf(&folder, "devices.d/%s.d", reader->rule->name) < 0)
                return -ENOMEM;
        r = config_files_list(&loader->place, folder, &drop_ins);
        if (r < 0)
                return r;
        if (drop_ins.incomplete)
                reader->failed = true;
        for (size_t i = 0; i < drop_ins.n_files; i++) {
                r = feed_file(loader, reader, drop_ins.files[i].path);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The main file and its drop-ins. FILE_TEXT: *ret is the rule. */
static int read_rule(const Loader *loader, const ConfigFile *file, Rule **ret)
{
        _cleanup_(rule_reader_done) RuleReader reader = { 0 };
        _cleanup_free_ char *shown = place_show(&loader->place, file->path);
        Rule *rule;
        int r;

        if (!shown)
                return -ENOMEM;
        r = rule_reader_init(&reader, loader->place.config, loader->place.rootfd, file->name,
                             shown);
        if (r < 0)
                return r;
        r = feed_file(loader, &reader, file->path);
        if (r != FILE_TEXT)
                return r;
        r = feed_drop_ins(loader, &reader);
        if (r < 0)
                return r;
        r = rule_reader_finish(&reader, &rule);
        if (r < 0)
                return r;
        if (!rule)
                return FILE_REFUSED;
        *ret = rule;
        return FILE_TEXT;
}

static Rule *previous_rule(const Loader *loader, const char *name)
{
        for (size_t i = 0; loader->previous && i < loader->previous->n_rules; i++)
                if (streq(loader->previous->rules[i]->name, name))
                        return loader->previous->rules[i];
        return NULL;
}

static int add_rule(Config *c, Rule *rule)
{
        int r;

        r = config_add_rule(c, rule);
        if (r < 0)
                rule_unref(rule);
        return r;
}

/* For a file in error, of which the diagnostics begin at `first`. */
static int keep_last_good(const Loader *loader, const char *name, size_t first)
{
        Config *c = loader->place.config;
        Rule *rule = previous_rule(loader, name);
        int r;

        if (!rule)
                return strv_extend(&c->broken, name);
        r = add_rule(c, rule_ref(rule));
        if (r < 0)
                return r;
        return append_to_error(c, first, ", keeping its last good content");
}

static int skip_file(const Loader *loader, const ConfigFile *file)
{
        _cleanup_free_ char *shown = place_show(&loader->place, file->path);

        if (!shown)
                return -ENOMEM;
        return config_add_diagnostic(loader->place.config, shown, 0, 0, false,
                                     "left out by vfiod.skip= on the kernel command line");
}

static int load_rule(const Loader *loader, const ConfigFile *file)
{
        size_t first = loader->place.config->n_diagnostics;
        Rule *rule = NULL;
        int r;

        if (cmdline_skips(&loader->cmdline, file->name))
                return skip_file(loader, file);
        r = read_rule(loader, file, &rule);
        if (r == FILE_TEXT)
                return add_rule(loader->place.config, rule);
        if (r == FILE_REFUSED)
                return keep_last_good(loader, file->name, first);
        return r < 0 ? r : 0;
}

/* Files beyond the limit are not read, and their devices stay as they are. */
static int refuse_surplus(const Loader *loader, const ConfigFiles *files)
{
        size_t first = loader->place.config->n_diagnostics;
        int r;

        for (size_t i = CONFIG_FILES_MAX; i < files->n_files; i++) {
                if (i == CONFIG_FILES_MAX) {
                        _cleanup_free_ char *shown =
                                place_show(&loader->place, files->files[i].path);

                        if (!shown)
                                return -ENOMEM;
                        r = config_add_diagnostic(loader->place.config, shown, 0, 0, true,
                                                  "is beyond the first %d device files and is not "
                                                  "read, nor are those after it",
                                                  CONFIG_FILES_MAX);
                        if (r < 0)
                                return r;
                }
                r = keep_last_good(loader, files->files[i].name, first);
                if (r < 0)
                        return r;
                first = loader->place.config->n_diagnostics;
        }
        return 0;
}

static bool has_file(const ConfigFiles *files, const char *name)
{
        for (size_t i = 0; i < files->n_files; i++)
                if (streq(files->files[i].name, name))
                        return true;
        return false;
}

/* A directory that cannot be read is no reason to release what its files declared. */
static int keep_unseen(const Loader *loader, const ConfigFiles *files)
{
        int r;

        if (!files->incomplete || !loader->previous)
                return 0;
        for (size_t i = 0; i < loader->previous->n_rules; i++) {
                Rule *rule = loader->previous->rules[i];

                if (has_file(files, rule->name))
                        continue;
                r = add_rule(loader->place.config, rule_ref(rule));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_rules(const Loader *loader)
{
        _cleanup_(config_files_done) ConfigFiles files = { 0 };
        int r;

        r = config_files_list(&loader->place, "devices.d", &files);
        if (r < 0)
                return r;
        for (size_t i = 0; i < MIN(files.n_files, (size_t)CONFIG_FILES_MAX); i++) {
                r = load_rule(loader, &files.files[i]);
                if (r < 0)
                        return r;
        }
        r = refuse_surplus(loader, &files);
        if (r < 0)
                return r;
        return keep_unseen(loader, &files);
}

static int load_cmdline(Loader *loader)
{
        _cleanup_free_ char *text = NULL, *shown = NULL;
        int r;

        r = read_file_at(loader->place.rootfd, "proc/cmdline", CMDLINE_SIZE_MAX, &text, NULL);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = cmdline_parse(text, &loader->cmdline);
        if (r >= 0 || r == -ENOMEM) {
                loader->place.config->disabled = loader->cmdline.off;
                return r;
        }
        shown = place_show(&loader->place, "proc/cmdline");
        if (!shown)
                return -ENOMEM;
        return config_add_diagnostic(loader->place.config, shown, 0, 0, false,
                                     "cannot be read, so vfiod=off would not be seen: %s",
                                     strerror(-r));
}

static int load_all(Loader *loader)
{
        int r;

        r = load_cmdline(loader);
        if (r < 0)
                return r;
        r = load_settings(loader);
        if (r < 0)
                return r;
        return load_rules(loader);
}

int config_load(int rootfd, const char *prefix, const Config *previous, Config **ret)
{
        _cleanup_(config_freep) Config *c = config_new();
        Loader loader = { .place = { rootfd, prefix, c }, .previous = previous };
        int r;

        if (!c)
                return -ENOMEM;
        r = load_all(&loader);
        cmdline_done(&loader.cmdline);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}
