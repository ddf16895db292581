/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Mounts, swaps and holders of the block devices beneath a function, and of all that is stacked on
 * these: partitions, dm, md, bcache, loop devices, btrfs.
 */

#include "basic/io.h"
#include "sys/sysfs.h"
#include "sys/usage-internal.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

enum { LABEL_SIZE = 300, UDEV_MAX = 64 * 1024 };

typedef struct Block {
        const char *name; /* one of Blocks.names */
        char *target;     /* of its link in class/block */
        char *backing;    /* loop devices: what they were made of, or NULL */
} Block;

/* A block device that goes with an asked function. */
typedef struct Owned {
        PciAddress owner;
        const char *name;
} Owned;

typedef struct Blocks {
        Look *look;
        char **names;
        Block *list;
        size_t n;
        Owned *owned; /* sorted */
        size_t n_owned;
        bool has_zfs;
        const PciAddress *owner; /* the function whose block devices are walked over */
        char **seen;             /* in that walk */
} Blocks;

static void blocks_done(Blocks *b)
{
        for (size_t i = 0; i < b->n; i++) {
                free(b->list[i].target);
                free(b->list[i].backing);
        }
        free(b->list);
        free(b->owned);
        strv_free(b->names);
        strv_free(b->seen);
}

#define BLOCK_PATH(name, attribute) SYSFS_PATH(SYSFS_BLOCK_CLASS, name, attribute)

/*
 * The path with whose functions a block device goes, or NULL. With native multipath nvme0n1 hangs
 * below no function; nvme0c3n1 is a hidden path to it, of which nothing is made. Only who takes the
 * last path takes the namespace away.
 */
static const char *find_path(const Blocks *b, const Block *block)
{
        unsigned subsystem, id, s, controller, k;
        const char *found = NULL;
        PciAddress a;

        if (sscanf(block->name, "nvme%uc%un%u", &s, &controller, &k) == 3)
                return NULL;
        if (look_find_function(b->look, block->target, &a))
                return block->target;
        if (sscanf(block->name, "nvme%un%u", &subsystem, &id) != 2)
                return NULL;
        for (const Block *path = b->list; path < b->list + b->n; path++) {
                if (sscanf(path->name, "nvme%uc%un%u", &s, &controller, &k) != 3 ||
                    s != subsystem || k != id)
                        continue;
                found = path->target;
                if (!look_find_function(b->look, found, &a))
                        return NULL;
        }
        return found;
}

static int compare_owned(const void *a, const void *b)
{
        const Owned *x = a, *y = b;
        int c = pci_address_compare(&x->owner, &y->owner);

        return c ? c : strcmp(x->name, y->name);
}

static int find_owners(Blocks *b)
{
        PciAddress a;

        for (size_t i = 0; i < b->n; i++)
                for (const char *rest = find_path(b, &b->list[i]);
                     rest && (rest = look_find_function(b->look, rest, &a));) {
                        if (!GROW(b->owned, b->n_owned))
                                return -ENOMEM;
                        b->owned[b->n_owned++] = (Owned){ a, b->list[i].name };
                }
        if (b->n_owned > 0)
                qsort(b->owned, b->n_owned, sizeof(Owned), compare_owned);
        return 0;
}

static int read_blocks(Blocks *b)
{
        int sys = b->look->root->sys;
        int r = look_optional(list_dir_at(sys, SYSFS_BLOCK_CLASS, &b->names));

        b->list = calloc(strv_length(b->names) + 1, sizeof(Block));
        if (!b->list)
                return -ENOMEM;
        for (char **name = b->names; name && *name && r >= 0; name++) {
                Block *block = &b->list[b->n];

                block->name = *name;
                r = readlink_at(sys, BLOCK_PATH(".", *name), &block->target);
                b->n += r >= 0;
                if (r >= 0 && startswith(*name, "loop"))
                        r = read_line_at(sys, BLOCK_PATH(*name, "loop/backing_file"),
                                         &block->backing);
                r = look_optional(r);
        }
        return r < 0 ? r : find_owners(b);
}

/* Whether mounts of it have numbers of their own, and name disks. Anyone may mount a tmpfs so. */
static bool names_disks(const char *type)
{
        return streq(type, "btrfs") || streq(type, "bcachefs");
}

/* 36 35 98:0 /dir /mnt rw,noatime master:1 - ext3 /dev/root rw */
static int on_mount(Look *l, char **fields, size_t n, const void *userdata)
{
        const char *pid = userdata, *in = " in the mount namespace of process ";
        bool host = streq(pid, "1"), has_number;
        char *sources, *source;
        size_t dash = 6;
        int r = 0;

        while (dash < n && !streq(fields[dash], "-"))
                dash++;
        if (dash + 2 >= n || (startswith(fields[2], "0:") && !names_disks(fields[dash + 1])))
                return 0;
        has_number = !startswith(fields[2], "0:");
        sources = has_number ? fields[2] : look_unescape(fields[dash + 2]);
        look_unescape(fields[4]);
        /* bcachefs joins the names of its devices. */
        while (r >= 0 && (source = strsep(&sources, has_number ? "" : ":")))
                if (has_number || startswith(source, "/dev/"))
                        r = look_fact(l, REASON_MOUNTED_FILESYSTEM, source, "is mounted at %s%s%s",
                                      fields[4], host ? "" : in, host ? "" : pid);
        return r;
}

/* Each mount namespace once, the host's first; that one also where its name is closed to us. */
static int read_mounts(Look *l)
{
        _cleanup_strv_ char **pids = NULL, **seen = NULL;
        char path[PATH_MAX];
        int r = look_optional(list_dir_at(l->root->root, "proc", &pids));

        if (r < 0)
                return r;
        STRV_FOREACH(pid, pids) {
                _cleanup_free_ char *ns = NULL;

                if ((*pid)[strspn(*pid, "0123456789")])
                        continue;
                snprintf(path, sizeof(path), "proc/%s/ns/mnt", *pid);
                if (readlink_at(l->root->root, path, &ns) < 0 && !streq(*pid, "1"))
                        continue;
                if (ns && strv_contains(seen, ns))
                        continue;
                r = ns ? strv_extend(&seen, ns) : 0;
                snprintf(path, sizeof(path), "proc/%s/mountinfo", *pid);
                if (r >= 0)
                        r = look_rows(l, path, on_mount, *pid);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_swap(Look *l, char **fields, size_t n, const void *userdata)
{
        return n < 2 || !startswith(fields[0], "/dev/")
                       ? 0
                       : look_fact(l, REASON_SWAP, look_unescape(fields[0]), "is used as swap");
}

/* Mounted btrfs only: the mount table names just one of its devices. */
static int read_btrfs(Look *l)
{
        _cleanup_strv_ char **ids = NULL;
        char name[LABEL_SIZE];
        int r = look_optional(list_dir_at(l->root->sys, SYSFS_BTRFS, &ids));

        STRV_FOREACH(id, ids) {
                _cleanup_strv_ char **devices = NULL;

                if (r >= 0)
                        r = look_optional(list_dir_at(
                                l->root->sys, SYSFS_PATH(SYSFS_BTRFS, *id, "devices"), &devices));
                for (char **d = devices; d && *d && r >= 0; d++) {
                        snprintf(name, sizeof(name), "/dev/%s", *d);
                        r = look_fact(l, REASON_MOUNTED_FILESYSTEM, name,
                                      "is a part of a mounted btrfs file system");
                }
        }
        return r;
}

/* "/dev/NAME": the kernel has '!' for a slash there. */
static void node_name(const char *name, char ret[static LABEL_SIZE])
{
        snprintf(ret, LABEL_SIZE, "/dev/%s", name);
        for (char *c = ret; *c; c++)
                if (*c == '!')
                        *c = '/';
}

/* Any file system's label is one line of udev's database. */
static bool is_in_pool(const Blocks *b, const char *number)
{
        _cleanup_free_ char *text = NULL;
        char path[LABEL_SIZE];

        snprintf(path, sizeof(path), "run/udev/data/b%s", number);
        return b->has_zfs && read_file_at(b->look->root->root, path, UDEV_MAX, &text, NULL) >= 0 &&
               strstr(text, "E:ID_FS_TYPE=zfs_member\n");
}

/* What the tables say of one block device. 1: something. `under`: the disk below, if another. */
static int tell_facts(const Blocks *b, const char *name, const char *under)
{
        _cleanup_free_ char *number = NULL, *dm = NULL;
        char node[LABEL_SIZE], mapper[LABEL_SIZE] = "", label[3 * LABEL_SIZE], below[LABEL_SIZE];
        const Look *l = b->look;
        bool found = false;
        int r = 0;

        if (read_line_at(l->root->sys, BLOCK_PATH(name, "dev"), &number) < 0)
                return 0; /* it went away */
        node_name(name, node);
        node_name(strempty(under), below);
        if (read_line_at(l->root->sys, BLOCK_PATH(name, "dm/name"), &dm) >= 0)
                snprintf(mapper, sizeof(mapper), "/dev/mapper/%s", dm);
        snprintf(label, sizeof(label), "%s%s%s%s%s%s", node, dm ? " (" : "", strempty(dm),
                 dm ? ")" : "", under ? " on " : "", under ? below : "");
        for (size_t i = 0; i < l->n_facts && r >= 0; i++) {
                const char *about = l->facts[i].about;

                if (!streq(about, number) && !streq(about, node) && !streq(about, mapper))
                        continue;
                found = true;
                r = use_table_add(l->table, b->owner, l->facts[i].hazard, "%s %s", label,
                                  l->facts[i].text);
        }
        if (r >= 0 && !found && is_in_pool(b, number)) {
                found = true;
                r = use_table_add(l->table, b->owner, REASON_BLOCK_HOLDER,
                                  "%s may belong to an imported ZFS pool", label);
        }
        return r < 0 ? r : found;
}

static int walk(Blocks *b, const char *name, const char *under);

/* A block device made of another. That it is there is worth telling if nothing is told of it. */
static int walk_holder(Blocks *b, const char *holder, const char *name, const char *under)
{
        char node[LABEL_SIZE], held[LABEL_SIZE];
        int r = walk(b, holder, under ? under : name);

        if (r != 0)
                return r;
        node_name(holder, node);
        node_name(name, held);
        r = use_table_add(b->look->table, b->owner, REASON_BLOCK_HOLDER, "%s holds %s", node, held);
        return r < 0 ? r : 1;
}

static bool is_partition_of(const Block *b, const char *disk)
{
        const char *end = strrchr(b->target, '/');
        size_t n = strlen(disk);

        return end && end - b->target > (ssize_t)n && end[-(ssize_t)n - 1] == '/' &&
               strncmp(end - n, disk, n) == 0;
}

/* All that is stacked on a block device. 1: somebody uses it. */
static int walk(Blocks *b, const char *name, const char *under)
{
        _cleanup_strv_ char **holders = NULL;
        char node[LABEL_SIZE];
        int r, used = 1;

        if (strv_contains(b->seen, name))
                return 1;
        r = strv_extend(&b->seen, name);
        if (r >= 0)
                r = used = tell_facts(b, name, under);
        if (r >= 0)
                r = look_optional(
                        list_dir_at(b->look->root->sys, BLOCK_PATH(name, "holders"), &holders));
        for (char **h = holders; h && *h && r >= 0; h++) {
                r = walk_holder(b, *h, name, under);
                used |= r;
        }
        node_name(name, node);
        for (size_t i = 0; i < b->n && r >= 0; i++) {
                if (is_partition_of(&b->list[i], name))
                        r = walk(b, b->list[i].name, under);
                else if (streq_ptr(b->list[i].backing, node))
                        r = walk_holder(b, b->list[i].name, name, under);
                else
                        continue;
                used |= r;
        }
        /* A cache device has no holder; its set does. */
        if (r >= 0 && !used && exists_at(b->look->root->sys, BLOCK_PATH(name, "bcache"))) {
                used = 1;
                r = use_table_add(b->look->table, b->owner, REASON_BLOCK_HOLDER,
                                  "%s is used by bcache", node);
        }
        return r < 0 ? r : used;
}

static int walk_owned(Blocks *b)
{
        int r = 0;

        for (size_t i = 0; i < b->n_owned && r >= 0; i++) {
                if (i > 0 && !pci_address_equal(b->owner, &b->owned[i].owner))
                        b->seen = strv_free(b->seen);
                b->owner = &b->owned[i].owner;
                r = walk(b, b->owned[i].name, NULL);
        }
        return r;
}

int look_at_blocks(Look *l)
{
        _cleanup_(blocks_done) Blocks b = { .look = l };
        int r = read_blocks(&b);

        if (r < 0 || b.n_owned == 0)
                return r;
        b.has_zfs = exists_at(l->root->sys, SYSFS_PATH(SYSFS_MODULES, "zfs", ""));
        r = read_mounts(l);
        if (r >= 0)
                r = look_rows(l, "proc/swaps", on_swap, NULL);
        if (r >= 0)
                r = read_btrfs(l);
        return r < 0 ? r : walk_owned(&b);
}

int usage_blocks(const Sysroot *root, const PciAddress *address, char ***ret)
{
        _cleanup_(use_table_done) UseTable table = { 0 };
        Look l = { .root = root, .table = &table };
        _cleanup_(blocks_done) Blocks b = { .look = &l };
        _cleanup_strv_ char **names = NULL;
        int r = use_table_ask(&table, address);

        if (r >= 0)
                r = read_blocks(&b);
        for (size_t i = 0; i < b.n_owned && r >= 0; i++)
                r = strv_extend(&names, b.owned[i].name);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(names);
        return 0;
}
