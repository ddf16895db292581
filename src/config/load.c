/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/load.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "config/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { CMDLINE_SIZE_MAX = 64 * 1024 };

static const char *const directories[] = { "etc/vfiod", "run/vfiod", "usr/local/lib/vfiod",
                                           "usr/lib/vfiod" };

/* Paths are those in messages: the prefix, a slash, and the path below the root. */
typedef struct Loader {
        int rootfd;
        const char *prefix;
        Config *config;
        const Config *previous; /* or NULL */
        char **skip;            /* basenames of device files */
} Loader;

static void loader_done(Loader *loader)
{
        strv_free(loader->skip);
}

static const char *below_root(const Loader *loader, const char *path)
{
        return path + strlen(loader->prefix) + 1;
}

static int add_names(const Loader *loader, const char *directory, char **found, char ***names)
{
        int r = 0;

        STRV_FOREACH(name, found) {
                if (!endswith(*name, ".conf") || strv_contains(*names, *name))
                        continue;
                /* Names go into messages, on the bus and into JSON. */
                if (*text_end(*name))
                        r = config_add_diagnostic(loader->config, directory, 0, 0, true,
                                                  "has a file whose name is no UTF-8 text");
                else
                        r = strv_extend(names, *name);
                if (r < 0)
                        return r;
        }
        return r;
}

static int list_directory(const Loader *loader, const char *directory, char ***names, bool *failed)
{
        _cleanup_strv_ char **found = NULL;
        int r = list_dir_at(loader->rootfd, below_root(loader, directory), &found);

        if (r == -ENOENT)
                return 0;
        if (r >= 0 && strv_length(found) > CONFIG_FILES_MAX)
                r = -E2BIG;
        if (r >= 0)
                return add_names(loader, directory, found, names);
        *failed = true;
        return config_add_diagnostic(loader->config, directory, 0, 0, true, "cannot be read: %s",
                                     strerror(-r));
}

/*
 * All names in .conf in a folder ("devices.d/") of the four directories, sorted, each once. Sets
 * `failed` if a directory could not be read.
 */
static int list_folder(const Loader *loader, const char *folder, char ***ret, bool *failed)
{
        _cleanup_strv_ char **names = NULL;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/%s/%s", loader->prefix, directories[i], folder) < 0)
                        return -ENOMEM;
                r = list_directory(loader, path, &names, failed);
                if (r < 0)
                        return r;
        }
        strv_sort(names);
        *ret = TAKE_PTR(names);
        return 0;
}

/* The file of the highest directory that has it. -ENOENT: none has. */
static int find_file(const Loader *loader, const char *folder, const char *name, char **ret)
{
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                _cleanup_free_ char *path = NULL;
                struct stat st;
                int r;

                if (asprintf(&path, "%s/%s/%s%s", loader->prefix, directories[i], folder, name) < 0)
                        return -ENOMEM;
                r = fstatat(loader->rootfd, below_root(loader, path), &st, AT_SYMLINK_NOFOLLOW);
                /* Whatever else is wrong with it is said when it is read. */
                if (r < 0 && (errno == ENOENT || errno == ENOTDIR))
                        continue;
                *ret = TAKE_PTR(path);
                return 0;
        }
        return -ENOENT;
}

static int find_and_read(const Loader *loader, Source *source, const char *folder, const char *name)
{
        _cleanup_free_ char *path = NULL;
        int r = find_file(loader, folder, name, &path);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        return source_read_file(source, loader->rootfd, below_root(loader, path), path);
}

static int load_settings_file(const Loader *loader, const char *folder, const char *name,
                              bool *failed)
{
        _cleanup_(source_done) Source source = { 0 };
        int r = source_init_settings(&source, loader->config, &loader->config->daemon);

        if (r >= 0)
                r = find_and_read(loader, &source, folder, name);
        if (r < 0)
                return r;
        if (source.n_errors > 0)
                *failed = true;
        source_finish_settings(&source);
        return 0;
}

/* After any error all settings are what they were before this reload. */
static int keep_settings(const Loader *loader)
{
        _cleanup_(source_done) Source source = { 0 };
        int r = source_init_settings(&source, loader->config, &loader->previous->daemon);

        if (r >= 0)
                source_finish_settings(&source);
        return r;
}

static int load_settings(const Loader *loader)
{
        _cleanup_strv_ char **names = NULL;
        bool failed = false;
        int r = load_settings_file(loader, "", "vfiod.conf", &failed);

        if (r >= 0)
                r = list_folder(loader, "vfiod.conf.d/", &names, &failed);
        if (r < 0)
                return r;
        STRV_FOREACH(name, names) {
                r = load_settings_file(loader, "vfiod.conf.d/", *name, &failed);
                if (r < 0)
                        return r;
        }
        return failed && loader->previous ? keep_settings(loader) : 0;
}

static int read_drop_ins(const Loader *loader, Source *source)
{
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *folder = NULL;
        bool failed = false;
        int r;

        if (asprintf(&folder, "devices.d/%s.d/", source->rule->name) < 0)
                return -ENOMEM;
        r = list_folder(loader, folder, &names, &failed);
        if (r < 0)
                return r;
        source->n_errors += failed;
        STRV_FOREACH(name, names) {
                r = find_and_read(loader, source, folder, *name);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Takes over the reference. */
static int add_rule(Config *c, Rule *rule)
{
        int r = config_add_rule(c, rule);

        if (r < 0)
                rule_unref(rule);
        return r;
}

/* For a file in error, or in a directory that cannot be read. */
static int keep_last_good(const Loader *loader, const char *name, const char *path)
{
        const Rule *last = loader->previous ? config_find_rule(loader->previous, name) : NULL;
        int r;

        if (!last)
                return strv_extend(&loader->config->broken, name);
        r = add_rule(loader->config, rule_ref((Rule *)last));
        if (r < 0)
                return r;
        return config_add_diagnostic(loader->config, path, 0, 0, false,
                                     "keeps its last good content");
}

static int load_rule(const Loader *loader, const char *name)
{
        _cleanup_(source_done) Source source = { 0 };
        _cleanup_free_ char *path = NULL;
        Rule *rule;
        int r = find_file(loader, "devices.d/", name, &path);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (strv_contains(loader->skip, name)) {
                r = strv_extend(&loader->config->skipped, name);
                if (r < 0)
                        return r;
                return config_add_diagnostic(loader->config, path, 0, 0, false,
                                             "left out by vfiod.skip= on the kernel command line");
        }
        r = source_init_rule(&source, loader->config, loader->rootfd, name, path);
        if (r < 0)
                return r;
        r = source_read_file(&source, loader->rootfd, below_root(loader, path), path);
        if (r < 0 || source.masked)
                return r;
        r = read_drop_ins(loader, &source);
        if (r >= 0)
                r = source_finish_rule(&source, &rule);
        if (r < 0)
                return r;
        return rule ? add_rule(loader->config, rule) : keep_last_good(loader, name, path);
}

static int load_rules(const Loader *loader)
{
        const Config *previous = loader->previous;
        _cleanup_strv_ char **names = NULL;
        bool failed = false;
        int r = list_folder(loader, "devices.d/", &names, &failed);

        if (r < 0)
                return r;
        STRV_FOREACH(name, names) {
                r = load_rule(loader, *name);
                if (r < 0)
                        return r;
        }
        /* A directory that cannot be read is no reason to release what its files declared. */
        for (size_t i = 0; failed && previous && i < previous->n_rules; i++) {
                const Rule *rule = previous->rules[i];

                if (strv_contains(names, rule->name))
                        continue;
                r = keep_last_good(loader, rule->name, rule->path);
                if (r < 0)
                        return r;
        }
        return failed && !previous ? strv_extend(&loader->config->broken, CONFIG_BROKEN_ANY) : 0;
}

/* vfiod=off, vfiod.skip=NN-name.conf,NN-name.conf */
static int read_cmdline(Loader *loader)
{
        _cleanup_strv_ char **words = NULL;
        _cleanup_free_ char *text = NULL;
        const char *name;
        bool on;
        int r = read_file_at(loader->rootfd, "proc/cmdline", CMDLINE_SIZE_MAX, &text, NULL);

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return config_add_diagnostic(loader->config, "/proc/cmdline", 0, 0, false,
                                             "cannot be read: %s", strerror(-r));
        r = strv_split(text, " \t\n", &words);
        for (char **word = words; r >= 0 && word && *word; word++) {
                char *value = *word;

                name = strsep(&value, "=");
                if (value && streq(name, "vfiod") && parse_boolean(value, &on) >= 0)
                        loader->config->disabled = !on;
                else if (value && streq(name, "vfiod.skip"))
                        while (r >= 0 && (name = strsep(&value, ",")))
                                r = strv_extend(&loader->skip, name);
        }
        return r;
}

int config_load(int rootfd, const char *prefix, const Config *previous, Config **ret)
{
        _cleanup_(config_freep) Config *c = config_new();
        _cleanup_(loader_done) Loader loader = { rootfd, prefix, c, previous, NULL };
        int r;

        if (!c)
                return -ENOMEM;
        r = read_cmdline(&loader);
        if (r >= 0)
                r = load_settings(&loader);
        if (r >= 0)
                r = load_rules(&loader);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

/* A drop-in alone is only part of a rule, so what it lacks is not looked at. */
static int check_rule(Source *source, const char *name, const char *path, bool drop_in)
{
        _cleanup_(rule_unrefp) Rule *rule = NULL;
        Config *c = source->config;
        int r = source_read_file(source, AT_FDCWD, path, path);

        if (r < 0 || source->masked || drop_in)
                return r;
        r = source_finish_rule(source, &rule);
        if (r < 0)
                return r;
        if (!rule)
                return strv_extend(&c->broken, name);
        if (config_find_rule(c, name))
                return 0;
        r = config_add_rule(c, rule);
        if (r >= 0)
                TAKE_PTR(rule);
        return r;
}

/* What a file is shows in its own name and that of its folder, as far as the path tells. */
static int check_file(Config *c, int rootfd, const char *path)
{
        _cleanup_(source_done) Source source = { 0 };
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_free_ char *folder = strndup(path, (size_t)(name - path));
        int r;

        if (!folder)
                return -ENOMEM;
        if (!streq(name, "vfiod.conf") && !streq(folder, "vfiod.conf.d/") &&
            !endswith(folder, "/vfiod.conf.d/")) {
                r = source_init_rule(&source, c, rootfd, name, path);
                return r < 0 ? r : check_rule(&source, name, path, endswith(folder, ".conf.d/"));
        }
        r = source_init_settings(&source, c, &c->daemon);
        if (r < 0)
                return r;
        r = source_read_file(&source, AT_FDCWD, path, path);
        source_finish_settings(&source);
        return r;
}

int config_check_files(int rootfd, char *const *paths, Config **ret)
{
        _cleanup_(config_freep) Config *c = config_new();
        int r;

        if (!c)
                return -ENOMEM;
        for (; paths && *paths; paths++) {
                r = check_file(c, rootfd, *paths);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(c);
        return 0;
}
