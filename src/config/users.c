/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/users.h"
#include "basic/io.h"
#include "basic/parse.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>

enum { DATABASE_MAX = 8 * 1024 * 1024 };

static void fclosep(FILE **f)
{
        if (*f)
                fclose(*f);
}

/* (uint32_t)-1 means "leave it" to chown(2), so it is no id. */
static int parse_id(const char *name, uint32_t *ret)
{
        uint64_t value;
        int r;

        r = parse_uint(name, 10, UINT32_MAX - 1, &value);
        if (r < 0)
                return -EINVAL;
        *ret = (uint32_t)value;
        return 0;
}

static bool is_number(const char *name)
{
        return name[0] && name[strspn(name, "0123456789")] == 0;
}

/* -ENOENT also for an empty file, of which fmemopen() makes no stream. */
static int open_database(int rootfd, const char *path, char **ret_text, FILE **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f;
        int r;

        r = read_file_at(rootfd, path, DATABASE_MAX, &text, &size);
        if (r < 0)
                return r;
        if (size == 0)
                return -ENOENT;
        f = fmemopen(text, size, "re");
        if (!f)
                return -errno;
        *ret_text = TAKE_PTR(text);
        *ret = f;
        return 0;
}

int user_lookup(int rootfd, const char *name, uint32_t *ret)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_(fclosep) FILE *f = NULL;
        const struct passwd *entry;
        int r;

        if (is_number(name))
                return parse_id(name, ret);
        r = open_database(rootfd, "etc/passwd", &text, &f);
        if (r < 0)
                return r;
        while ((entry = fgetpwent(f)))
                if (streq(entry->pw_name, name)) {
                        *ret = entry->pw_uid;
                        return 0;
                }
        return -ENOENT;
}

int group_lookup(int rootfd, const char *name, uint32_t *ret)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_(fclosep) FILE *f = NULL;
        const struct group *entry;
        int r;

        if (is_number(name))
                return parse_id(name, ret);
        r = open_database(rootfd, "etc/group", &text, &f);
        if (r < 0)
                return r;
        while ((entry = fgetgrent(f)))
                if (streq(entry->gr_name, name)) {
                        *ret = entry->gr_gid;
                        return 0;
                }
        return -ENOENT;
}
