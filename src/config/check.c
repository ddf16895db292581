/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Single files and texts. */

#include "config/load.h"
#include "config/source.h"

#include <fcntl.h>

int config_parse_rule(Config *c, int rootfd, const char *name, const char *path, const char *text,
                      size_t size, Rule **ret)
{
        _cleanup_(source_done) Source source = { 0 };
        int r;

        r = source_init_rule(&source, c, rootfd, name, path);
        if (r < 0)
                return r;
        r = source_read_text(&source, path, text, size);
        if (r < 0)
                return r;
        return source_finish_rule(&source, ret);
}

int config_parse_settings(Config *c, const char *path, const char *text, size_t size)
{
        _cleanup_(source_done) Source source = { 0 };
        int r;

        r = source_init_settings(&source, c, &c->daemon);
        if (r < 0)
                return r;
        r = source_read_text(&source, path, text, size);
        if (r < 0)
                return r;
        source_finish_settings(&source);
        return 0;
}

/* A drop-in alone is only part of a rule, so what it lacks is not looked at. */
static int check_rule(Source *source, const char *name, const char *path, bool drop_in)
{
        _cleanup_(rule_unrefp) Rule *rule = NULL;
        Config *c = source->config;
        int r;

        r = source_read_file(source, AT_FDCWD, path, path);
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
