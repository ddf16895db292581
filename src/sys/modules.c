/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/modules.h"
#include "basic/io.h"
#include "basic/strv.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>

/* The version whose modules are looked up. */
static int find_release(const Sysroot *root, char **ret)
{
        _cleanup_strv_ char **names = NULL;
        struct utsname u;
        int r = read_line_at(root->root, "proc/sys/kernel/osrelease", ret);

        if (r >= 0 || r == -ENOMEM)
                return r;
        r = list_dir_at(root->root, "lib/modules", &names);
        if (r < 0)
                return r;
        if (uname(&u) < 0)
                return -errno;
        *ret = strdup(strv_length(names) == 1 ? names[0] : u.release);
        return *ret ? 0 : -ENOMEM;
}

static int open_index(const Sysroot *root, const char *file, FILE **ret)
{
        _cleanup_free_ char *release = NULL, *path = NULL;
        int r = find_release(root, &release);

        if (r < 0)
                return r;
        if (asprintf(&path, "lib/modules/%s/%s", release, file) < 0)
                return -ENOMEM;
        return open_stream_at(root->root, path, ret);
}

bool modules_index_changed(const Sysroot *root, const char *file, struct timespec *since)
{
        _cleanup_(fclosep) FILE *f = NULL;
        struct stat st = { 0 };
        bool same;

        if (open_index(root, file, &f) >= 0 && fstat(fileno(f), &st) < 0)
                return true;
        same = st.st_ctim.tv_sec == since->tv_sec && st.st_ctim.tv_nsec == since->tv_nsec;
        *since = st.st_ctim;
        return !same;
}

int modules_each_line(const Sysroot *root, const char *file, line_handler_t handler, void *userdata)
{
        _cleanup_free_ char *line = NULL;
        _cleanup_(fclosep) FILE *f = NULL;
        size_t allocated = 0;
        int r = open_index(root, file, &f);

        if (r < 0)
                return r;
        for (ssize_t n; (n = getline(&line, &allocated, f)) > 0;) {
                line[strcspn(line, "\n")] = 0;
                r = handler(line, userdata);
                if (r != 0)
                        return r;
        }
        return ferror(f) ? -EIO : 0;
}

void module_name_normalize(char *name)
{
        for (; *name; name++)
                if (*name == '-')
                        *name = '_';
}

/* 1 if a line ("kernel/drivers/net/x-y.ko.xz: …") is about the module. */
static int line_names_module(char *line, void *name)
{
        char *base;

        line[strcspn(line, ":")] = 0;
        base = strrchr(line, '/');
        base = base ? base + 1 : line;
        base[strcspn(base, ".")] = 0;
        module_name_normalize(base);
        return streq(base, name);
}

int modules_index_has(const Sysroot *root, const char *file, const char *name)
{
        _cleanup_free_ char *normal = strdup(name);

        if (!normal)
                return -ENOMEM;
        module_name_normalize(normal);
        return modules_each_line(root, file, line_names_module, normal);
}
