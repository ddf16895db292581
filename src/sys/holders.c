/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/holders.h"
#include "basic/io.h"

#include <stdio.h>

enum { PROC_PATH_SIZE = 64 };

/* What has ended meanwhile, or is closed to us, holds nothing. */
static int each_of_process(int proc, const char *pid, const char *prefix, holder_handler_t handler,
                           void *userdata)
{
        _cleanup_strv_ char **fds = NULL;
        char path[PROC_PATH_SIZE];
        _cleanup_close_ int dir = -EBADF;
        int r = 0;

        snprintf(path, sizeof(path), "%s/fd", pid);
        dir = open_dir_at(proc, path);
        if (dir < 0 || list_dir_at(dir, ".", &fds) < 0)
                return 0;
        snprintf(path, sizeof(path), "%s/comm", pid);
        for (char **fd = fds; fd && *fd && r == 0; fd++) {
                _cleanup_free_ char *node = NULL, *name = NULL;

                if (readlink_at(dir, *fd, &node) >= 0 && startswith(node, prefix) &&
                    read_line_at(proc, path, &name) >= 0)
                        r = handler(node, pid, name, userdata);
        }
        return r;
}

static int each_below(const Sysroot *root, const char *prefix, holder_handler_t handler,
                      void *userdata)
{
        _cleanup_strv_ char **pids = NULL;
        _cleanup_close_ int proc = -EBADF;
        int r;

        proc = open_dir_at(root->root, "proc");
        if (proc < 0)
                return proc;
        r = list_dir_at(proc, ".", &pids);
        for (char **pid = pids; pid && *pid && r == 0; pid++)
                if (!(*pid)[strspn(*pid, "0123456789")])
                        r = each_of_process(proc, *pid, prefix, handler, userdata);
        return r;
}

int holders_each(const Sysroot *root, holder_handler_t handler, void *userdata)
{
        return each_below(root, "/dev/vfio/", handler, userdata);
}

typedef struct Holders {
        const char *node;
        char **list;
} Holders;

static int add_holder(const char *node, const char *pid, const char *name, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        Holders *h = userdata;

        if (!streq(node, h->node))
                return 0;
        if (asprintf(&text, "%s %s", pid, name) < 0)
                return -ENOMEM;
        return strv_contains(h->list, text) ? 0 : strv_extend(&h->list, text);
}

int holders_of_node(const Sysroot *root, const char *node, char ***ret)
{
        Holders h = { .node = node };
        int r = each_below(root, node, add_holder, &h);

        if (r < 0) {
                strv_free(h.list);
                return r;
        }
        *ret = h.list;
        return 0;
}
