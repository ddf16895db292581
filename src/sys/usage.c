/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/io.h"
#include "sys/sysfs.h"
#include "sys/usage-internal.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
        TABLE_MAX = 16 * 1024 * 1024, /* bytes that are read of a table in /proc */
        ROW_SIZE = 16 * 1024,         /* what is longer is cut: the end of mount options */
};

void look_done(Look *l)
{
        for (size_t i = 0; i < l->n_facts; i++) {
                free(l->facts[i].about);
                free(l->facts[i].text);
        }
        free(l->facts);
}

int look_fact(Look *l, Reason hazard, const char *about, const char *format, ...)
{
        Fact f = { .hazard = hazard };
        va_list ap;
        int r;

        for (size_t i = 0; i < l->n_facts; i++)
                if (l->facts[i].hazard == hazard && streq(l->facts[i].about, about))
                        return 0;
        if (!GROW(l->facts, l->n_facts))
                return -ENOMEM;
        f.about = strdup(about);
        va_start(ap, format);
        r = f.about ? vasprintf(&f.text, format, ap) : -1;
        va_end(ap);
        if (r < 0) {
                free(f.about);
                return -ENOMEM;
        }
        l->facts[l->n_facts++] = f;
        return 0;
}

int look_rows(Look *l, const char *path, row_handler_t handler, const void *userdata)
{
        _cleanup_free_ char *row = malloc(ROW_SIZE);
        _cleanup_(fclosep) FILE *f = NULL;
        bool rest = false;
        int r;

        if (!row)
                return -ENOMEM;
        r = open_stream_at(l->root->root, path, &f);
        if (r < 0)
                return look_optional(r);
        for (size_t size = 0; r == 0 && size < TABLE_MAX && fgets(row, ROW_SIZE, f);) {
                char *fields[FIELDS_MAX], *save = NULL;
                size_t n = 0, length = strlen(row);
                bool begins = !rest;

                size += length;
                rest = length > 0 && row[length - 1] != '\n';
                for (char *s = begins ? strtok_r(row, " \t\n", &save) : NULL; s && n < FIELDS_MAX;
                     s = strtok_r(NULL, " \t\n", &save))
                        fields[n++] = s;
                if (n > 0)
                        r = handler(l, fields, n, userdata);
        }
        return r;
}

char *look_unescape(char *text)
{
        char *to = text;

        for (const char *s = text; *s; to++) {
                bool escaped = s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
                               s[2] <= '7' && s[3] >= '0' && s[3] <= '7';

                *to = escaped ? (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0')) : *s;
                s += escaped ? 4 : 1;
        }
        *to = 0;
        return text;
}

const char *look_find_function(const Look *l, const char *path, PciAddress *ret)
{
        char part[PCI_ADDRESS_SIZE];

        while (*path) {
                size_t n = strcspn(path, "/");

                snprintf(part, sizeof(part), "%.*s", (int)MIN(n, sizeof(part)), path);
                path += n + (path[n] == '/');
                if (pci_address_parse(part, ret) >= 0 && use_table_asks(l->table, ret))
                        return path;
        }
        return NULL;
}

enum { PROC_PATH_SIZE = 64 };

/* 0: go on. Anything else ends the pass. `node`: "/dev/vfio/12". */
typedef int (*holder_handler_t)(const char *node, const char *pid, const char *name,
                                void *userdata);

/*
 * Anyone can have a file of that name, in a namespace of his own. In a container the node may be
 * another file, for the same device. What cannot be followed, as in a copied tree, is believed.
 */
static bool is_node(const Sysroot *root, int dir, const char *fd, const char *node)
{
        struct stat open, own;

        if (fstatat(dir, fd, &open, 0) < 0)
                return errno == ENOENT;
        if (fstatat(root->root, node + 1, &own, AT_SYMLINK_NOFOLLOW) < 0)
                return false;
        if (open.st_rdev != 0)
                return open.st_rdev == own.st_rdev && S_ISBLK(open.st_mode) == S_ISBLK(own.st_mode);
        return open.st_dev == own.st_dev && open.st_ino == own.st_ino;
}

/* What has ended meanwhile, or is closed to us, holds nothing. */
static int each_of_process(const Sysroot *root, int proc, const char *pid, const char *prefix,
                           holder_handler_t handler, void *userdata)
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
                    is_node(root, dir, *fd, node) && read_line_at(proc, path, &name) >= 0)
                        r = handler(node, pid, name, userdata);
        }
        return r;
}

/*
 * Of each descriptor of a node whose name begins so. Only root sees other users' processes. A
 * device's descriptor that was handed on lives without its node, and is not found.
 */
static int each_holder(const Sysroot *root, const char *prefix, holder_handler_t handler,
                       void *userdata)
{
        _cleanup_strv_ char **pids = NULL;
        int r;
        _cleanup_close_ int proc = open_dir_at(root->root, "proc");

        if (proc < 0)
                return proc;
        r = list_dir_at(proc, ".", &pids);
        for (char **pid = pids; pid && *pid && r == 0; pid++)
                if (!(*pid)[strspn(*pid, "0123456789")])
                        r = each_of_process(root, proc, *pid, prefix, handler, userdata);
        return r;
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
        int r = each_holder(root, node, add_holder, &h);

        if (r < 0) {
                strv_free(h.list);
                return r;
        }
        *ret = h.list;
        return 0;
}

/* Its group's, or "/dev/vfio/devices/vfio3", its own. */
static bool node_is_of(const Sysroot *root, const char *node, const Device *d)
{
        const char *own = startswith(node, "/dev/vfio/devices/");

        if (!own)
                return d->group >= 0 && streq(node, DEVICE_NODE(d));
        return exists_at(root->sys,
                         SYSFS_PATH(SYSFS_DEVICE_PATH(&d->address, "vfio-dev"), own, ""));
}

static int set_holder(const char *node, const char *pid, const char *name, void *userdata)
{
        Look *l = userdata;
        int r = 0;

        for (size_t i = 0; i < l->table->n_asked && r >= 0; i++) {
                const Device *d = inventory_find(l->inv, &l->table->asked[i]);

                if (d && node_is_of(l->root, node, d))
                        r = use_table_add(l->table, &d->address, REASON_DEVICE_IN_USE,
                                          "%s (%s) has %s open", name, pid, node);
        }
        return r;
}

int usage_read_nodes(const Sysroot *root, const Inventory *inv, UseTable *t)
{
        Look l = { .root = root, .inv = inv, .table = t };
        int r = t->n_asked > 0 ? each_holder(root, "/dev/vfio/", set_holder, &l) : 0;

        return r == -ENOENT ? 0 : r;
}

/* Nothing of the host is on a device that a VFIO driver has. */
static bool hosts_are_asked(const Look *l)
{
        for (size_t i = 0; i < l->table->n_asked; i++) {
                const Device *d = inventory_find(l->inv, &l->table->asked[i]);

                if (d && !d->driver_is_vfio)
                        return true;
        }
        return false;
}

int usage_read_host(const Sysroot *root, const Inventory *inv, UseTable *t)
{
        _cleanup_(look_done) Look l = { .root = root, .inv = inv, .table = t };
        int r;

        if (!hosts_are_asked(&l))
                return 0;
        r = look_at_blocks(&l);
        if (r >= 0)
                r = look_at_interfaces(&l);
        return r < 0 ? r : look_at_displays(&l);
}

int usage_read(const Sysroot *root, const Inventory *inv, UseTable *t)
{
        int r = usage_read_nodes(root, inv, t);

        return r < 0 ? r : usage_read_host(root, inv, t);
}
