/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/usage.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "sys/holders.h"
#include "sys/sysfs.h"

#include <limits.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>

enum {
        TABLE_MAX = 16 * 1024 * 1024, /* bytes of mountinfo or swaps */
        NEEDLE_SIZE = 300,            /* a file name and a little more */
};

typedef struct Look {
        const Sysroot *root;
        const Inventory *inv;
        UseTable *table;
        char **blocks; /* names of all block devices, and of the hidden paths to NVMe namespaces */
        char *mounts, *swaps; /* mountinfo and swaps */
} Look;

static void look_done(Look *l)
{
        strv_free(l->blocks);
        free(l->mounts);
        free(l->swaps);
}

_printf_(4, 5) static int add_use(const Look *l, const PciAddress *a, Reason hazard,
                                  const char *format, ...)
{
        _cleanup_free_ char *by = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&by, format, ap);
        va_end(ap);
        if (r < 0) {
                by = NULL;
                return -ENOMEM;
        }
        return use_table_add(l->table, a, hazard, by);
}

/* "/dev/vfio/12" is its group's, "/dev/vfio/devices/vfio3" its own. */
static bool node_is_of(const Sysroot *root, const char *node, const Device *d)
{
        const char *own = startswith(node, "/dev/vfio/devices/");
        const char *number =
                startswith(node, d->group_is_noiommu ? "/dev/vfio/noiommu-" : "/dev/vfio/");
        uint64_t group;

        if (own)
                return faccessat(root->sys,
                                 SYSFS_PATH(SYSFS_DEVICE_PATH(&d->address, "vfio-dev"), own, ""),
                                 F_OK, 0) >= 0;
        return number && parse_uint(number, 10, INT_MAX, &group) >= 0 && (int)group == d->group;
}

static int set_holder(const char *node, const char *pid, const char *name, void *userdata)
{
        Look *l = userdata;
        int r = 0;

        for (size_t i = 0; i < l->table->n_asked && r >= 0; i++) {
                const Device *d = inventory_find(l->inv, &l->table->asked[i]);

                if (d && node_is_of(l->root, node, d))
                        r = add_use(l, &d->address, REASON_DEVICE_IN_USE, "%s (%s) has %s open",
                                    name, pid, node);
        }
        return r;
}

static int find_interface(const Look *l, const PciAddress *a)
{
        const Device *d = inventory_find(l->inv, a);
        _cleanup_close_ int device = -EBADF, net = -EBADF;
        _cleanup_strv_ char **names = NULL;
        char path[NEEDLE_SIZE];
        int r;

        device = open_dir_at(l->root->sys, SYSFS_DEVICE_PATH(a, ""));
        net = d && device >= 0 ? sysfs_open_net(device, d->driver) : -EBADF;
        if (net < 0)
                return 0;
        r = list_dir_at(net, ".", &names);
        if (r < 0)
                return r;
        if (!names)
                return add_use(l, a, REASON_NETWORK_ADDRESS,
                               "its network interface is in another network namespace");
        STRV_FOREACH(name, names) {
                snprintf(path, sizeof(path), "%s/flags", *name);
                if (sysfs_read_number(net, path, UINT32_MAX, 0) & IFF_UP)
                        return add_use(l, a, REASON_VFS_IN_USE, "its network interface %s is up",
                                       *name);
        }
        return 0;
}

/* The entry of the function below which a block device hangs, or NULL. */
static const PciAddress *find_function(const Look *l, const char *block)
{
        _cleanup_free_ char *target = NULL;
        char path[NEEDLE_SIZE], *save = NULL;
        PciAddress a;

        snprintf(path, sizeof(path), SYSFS_BLOCK_CLASS "/%s", block);
        if (readlink_at(l->root->sys, path, &target) < 0)
                return NULL;
        for (char *part = strtok_r(target, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
                if (pci_address_parse(part, &a) < 0)
                        continue;
                for (size_t i = 0; i < l->table->n_asked; i++)
                        if (pci_address_equal(&l->table->asked[i], &a))
                                return &l->table->asked[i];
        }
        return NULL;
}

/*
 * With native multipath nvme0n1 hangs below no function; nvme0c3n1 is a hidden path to it. Only
 * who takes the last path takes the namespace away.
 */
static const PciAddress *find_owner(const Look *l, const char *block)
{
        const PciAddress *owner = find_function(l, block);
        unsigned subsystem, id, s, controller, k;

        if (owner || sscanf(block, "nvme%un%u", &subsystem, &id) != 2)
                return owner;
        STRV_FOREACH(path, l->blocks) {
                if (sscanf(*path, "nvme%uc%un%u", &s, &controller, &k) != 3 || s != subsystem ||
                    k != id)
                        continue;
                owner = find_function(l, *path);
                if (!owner)
                        return NULL;
        }
        return owner;
}

static bool mentions(const char *text, const char *before, const char *word)
{
        char needle[NEEDLE_SIZE];

        snprintf(needle, sizeof(needle), "%s%s ", before, word);
        return text && strstr(text, needle);
}

static int find_block_user(const Look *l, const char *block, const PciAddress *owner)
{
        _cleanup_strv_ char **holders = NULL;
        _cleanup_free_ char *number = NULL;

        if (read_line_at(l->root->sys, SYSFS_PATH(SYSFS_BLOCK_CLASS, block, "dev"), &number) < 0)
                return 0; /* a hidden path */
        /* btrfs has a number of its own there, and the name of one of its devices. */
        if (mentions(l->mounts, " ", number) || mentions(l->mounts, " /dev/", block))
                return add_use(l, owner, REASON_MOUNTED_FILESYSTEM,
                               "its block device %s is mounted", block);
        if (mentions(l->swaps, "\n/dev/", block))
                return add_use(l, owner, REASON_SWAP, "its block device %s is used as swap", block);
        if (list_dir_at(l->root->sys, SYSFS_PATH(SYSFS_BLOCK_CLASS, block, "holders"), &holders) >=
                    0 &&
            holders)
                return add_use(l, owner, REASON_BLOCK_HOLDER, "its block device %s is used by %s",
                               block, holders[0]);
        return 0;
}

/* What is not there says nothing. */
static int optional(int r)
{
        return r == -ENOENT ? 0 : r;
}

static int find_block_users(Look *l)
{
        int r;

        r = optional(list_dir_at(l->root->sys, SYSFS_BLOCK_CLASS, &l->blocks));
        if (r >= 0)
                r = optional(read_file_at(l->root->root, "proc/1/mountinfo", TABLE_MAX, &l->mounts,
                                          NULL));
        if (r >= 0)
                r = optional(read_file_at(l->root->root, "proc/swaps", TABLE_MAX, &l->swaps, NULL));
        for (char **block = l->blocks; block && *block && r >= 0; block++) {
                const PciAddress *owner = find_owner(l, *block);

                if (owner)
                        r = find_block_user(l, *block, owner);
        }
        return r;
}

int usage_read(const Sysroot *root, const Inventory *inv, UseTable *t)
{
        _cleanup_(look_done) Look l = { .root = root, .inv = inv, .table = t };
        int r;

        if (t->n_asked == 0)
                return 0;
        r = optional(holders_each(root, set_holder, &l));
        for (size_t i = 0; i < t->n_asked && r >= 0; i++)
                r = find_interface(&l, &t->asked[i]);
        return r < 0 ? r : find_block_users(&l);
}
