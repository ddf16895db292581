/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/files.h"
#include "config/load.h"
#include "config/rule.h"

#include <fcntl.h>

typedef enum FileKind {
        KIND_RULE,
        KIND_RULE_DROP_IN,
        KIND_SETTINGS,
} FileKind;

/* By its own name and that of the directory it lies in, as far as the path tells. */
static int file_kind(const char *path, const char *name)
{
        _cleanup_free_ char *copy = strdup(path);
        char *directory, *slash;

        if (!copy)
                return -ENOMEM;
        if (streq(name, "vfiod.conf"))
                return KIND_SETTINGS;
        slash = strrchr(copy, '/');
        if (!slash)
                return KIND_RULE;
        *slash = 0;
        slash = strrchr(copy, '/');
        directory = slash ? slash + 1 : copy;
        if (streq(directory, "vfiod.conf.d"))
                return KIND_SETTINGS;
        return endswith(directory, ".conf.d") ? KIND_RULE_DROP_IN : KIND_RULE;
}

static int check_rule(Config *c, int rootfd, const char *name, const char *path, const char *text,
                      size_t size)
{
        Rule *rule = NULL;
        int r;

        r = config_parse_rule(c, rootfd, name, path, text, size, &rule);
        if (r < 0)
                return r;
        if (!rule)
                return strv_extend(&c->broken, name);
        r = config_find_rule(c, name) ? -EEXIST : config_add_rule(c, rule);
        if (r < 0)
                rule_unref(rule);
        return r == -EEXIST ? 0 : r;
}

/* A drop-in alone is only part of a rule, so what it lacks is not looked at. */
static int check_drop_in(Config *c, int rootfd, const char *name, const char *path,
                         const char *text, size_t size)
{
        _cleanup_(rule_reader_done) RuleReader reader = { 0 };
        int r;

        r = rule_reader_init(&reader, c, rootfd, name, path);
        if (r < 0)
                return r;
        return rule_reader_feed(&reader, path, text, size);
}

static int check_file(Config *c, int rootfd, const char *path)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r, kind;

        if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return config_add_diagnostic(c, path, 0, 0, true, "cannot be opened: %s",
                                             strerror(errno));
        kind = file_kind(path, name);
        if (kind < 0)
                return kind;
        r = config_file_read(c, AT_FDCWD, path, path, &text, &size);
        if (r == FILE_REFUSED && kind == KIND_RULE)
                return strv_extend(&c->broken, name);
        if (r != FILE_TEXT)
                return r < 0 ? r : 0;
        if (kind == KIND_SETTINGS)
                return config_parse_settings(c, path, text, size);
        if (kind == KIND_RULE_DROP_IN)
                return check_drop_in(c, rootfd, name, path, text, size);
        return check_rule(c, rootfd, name, path, text, size);
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
