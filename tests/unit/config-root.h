/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A temporary root directory with users and groups, and what is loaded from it. */

#include "config/load.h"

#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/stat.h>

typedef struct TestRoot {
        char *path;
        int fd;
} TestRoot;

static inline char *root_path(const TestRoot *root, const char *path)
{
        return g_build_filename(root->path, path, NULL);
}

/* A file below the root, with its directories. */
static inline void root_write(const TestRoot *root, const char *path, const char *text)
{
        g_autofree char *full = root_path(root, path);
        g_autofree char *directory = g_path_get_dirname(full);

        g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
        g_assert_true(g_file_set_contents(full, text, -1, NULL));
        g_assert_cmpint(g_chmod(full, 0644), ==, 0);
}

static inline void root_init(TestRoot *root)
{
        root->path = g_dir_make_tmp("vfiod-config-XXXXXX", NULL);
        g_assert_nonnull(root->path);
        root->fd = open(root->path, O_DIRECTORY | O_PATH | O_CLOEXEC);
        g_assert_cmpint(root->fd, >=, 0);
        root_write(root, "etc/passwd",
                   "root:x:0:0::/root:/bin/sh\nqemu:x:64055:108::/:/bin/false\n");
        root_write(root, "etc/group", "root:x:0:\nkvm:x:108:qemu,alice\n");
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static inline void root_done(TestRoot *root)
{
        close(root->fd);
        g_assert_cmpint(nftw(root->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), ==, 0);
        g_clear_pointer(&root->path, g_free);
}

static inline Config *load_after(const TestRoot *root, const Config *previous)
{
        Config *c = NULL;

        g_assert_cmpint(config_load(root->fd, root->path, previous, &c), ==, 0);
        g_assert_nonnull(c);
        return c;
}

static inline Config *load(const TestRoot *root)
{
        return load_after(root, NULL);
}

static inline void make_link(const TestRoot *root, const char *target, const char *path)
{
        root_write(root, path, "");
        g_assert_cmpint(unlinkat(root->fd, path, 0), ==, 0);
        g_assert_cmpint(symlinkat(target, root->fd, path), ==, 0);
}

static inline const Diagnostic *find_diagnostic(const Config *c, const TestRoot *root,
                                                const char *path)
{
        g_autofree char *full = root_path(root, path);

        for (size_t i = 0; i < c->n_diagnostics; i++)
                if (streq(c->diagnostics[i].path, full))
                        return &c->diagnostics[i];
        g_error("nothing is said about '%s'", path);
}

static inline void assert_said(const Config *c, const TestRoot *root, const char *path, bool error,
                               const char *message)
{
        const Diagnostic *d = find_diagnostic(c, root, path);

        g_assert_cmpstr(d->message, ==, message);
        g_assert_cmpint(d->error, ==, error);
}
