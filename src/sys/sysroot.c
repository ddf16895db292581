/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/sysroot.h"

#include <fcntl.h>

static int open_path_at(int dirfd, const char *path)
{
        int fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* Without trailing slashes, so that "" is the host and messages can append an absolute path. */
static char *clean_prefix(const char *prefix)
{
        char *copy = strdup(strempty(prefix));
        size_t n = copy ? strlen(copy) : 0;

        while (n > 0 && copy[n - 1] == '/')
                copy[--n] = 0;
        return copy;
}

int sysroot_open(const char *prefix, Sysroot *ret)
{
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;

        root.prefix = clean_prefix(prefix);
        if (!root.prefix)
                return -ENOMEM;
        root.is_host = isempty(root.prefix);
        root.root = open_path_at(AT_FDCWD, root.is_host ? "/" : root.prefix);
        if (root.root < 0)
                return root.root;
        root.sys = open_path_at(root.root, "sys");
        if (root.sys < 0)
                return root.sys;
        *ret = root;
        root = SYSROOT_NULL;
        return 0;
}

void sysroot_done(Sysroot *root)
{
        closep(&root->root);
        closep(&root->sys);
        free(root->prefix);
        *root = SYSROOT_NULL;
}
