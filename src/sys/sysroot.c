/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/sysroot.h"

#include <fcntl.h>
#include <sys/stat.h>

static int open_path_at(int dirfd, const char *path)
{
        int fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int sysroot_open(const char *prefix, Sysroot *ret)
{
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;
        size_t n = strlen(strempty(prefix));

        /* Without trailing slashes: "" is the host, and messages append an absolute path. */
        while (n > 0 && prefix[n - 1] == '/')
                n--;
        root.prefix = strndup(strempty(prefix), n);
        if (!root.prefix)
                return -ENOMEM;
        root.is_host = n == 0;
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

int sysroot_make_folder(const Sysroot *root, const char *path)
{
        _cleanup_free_ char *copy = strdup(path);
        char *slash = copy;

        if (!copy)
                return -ENOMEM;
        while (slash) {
                slash = strchr(slash, '/');
                if (slash)
                        *slash = 0;
                if (mkdirat(root->root, copy, 0755) < 0 && errno != EEXIST)
                        return -errno;
                if (slash)
                        *slash++ = '/';
        }
        return 0;
}

void sysroot_done(Sysroot *root)
{
        closep(&root->root);
        closep(&root->sys);
        free(root->prefix);
        *root = SYSROOT_NULL;
}
