/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/holders.h"
#include "basic/io.h"

#include <stdio.h>

enum { PROC_PATH_SIZE = 64 };

static bool process_holds(int proc, const char *pid, const char *node)
{
        _cleanup_strv_ char **fds = NULL;
        char path[PROC_PATH_SIZE];
        _cleanup_close_ int dir = -EBADF;

        snprintf(path, sizeof(path), "%s/fd", pid);
        dir = open_dir_at(proc, path);
        if (dir < 0 || list_dir_at(dir, ".", &fds) < 0)
                return false;
        STRV_FOREACH(fd, fds) {
                _cleanup_free_ char *target = NULL;

                if (readlink_at(dir, *fd, &target) >= 0 && streq(target, node))
                        return true;
        }
        return false;
}

int holders_of_node(const Sysroot *root, const char *node, char ***ret)
{
        _cleanup_strv_ char **pids = NULL, **holders = NULL;
        _cleanup_close_ int proc = -EBADF;
        int r;

        proc = open_dir_at(root->root, "proc");
        if (proc < 0)
                return proc;
        r = list_dir_at(proc, ".", &pids);
        if (r < 0)
                return r;
        STRV_FOREACH(pid, pids) {
                _cleanup_free_ char *name = NULL;
                char path[PROC_PATH_SIZE];

                if ((*pid)[strspn(*pid, "0123456789")] || !process_holds(proc, *pid, node))
                        continue;
                snprintf(path, sizeof(path), "%s/comm", *pid);
                if (read_line_at(proc, path, &name) < 0)
                        continue; /* it has just ended */
                r = strv_extendf(&holders, "%s %s", *pid, name);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(holders);
        return 0;
}
