/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A root directory with a sysfs of plain files and links, for tests. */

#include "basic/macro.h"
#include "sys/sysroot.h"

#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <glib/gstdio.h>

typedef struct FakeTree {
        char *path;
        Sysroot root;
} FakeTree;

static inline char *fake_path(const FakeTree *t, const char *path)
{
        return g_build_filename(t->path, path, NULL);
}

static inline void fake_directory(const FakeTree *t, const char *path)
{
        g_autofree char *full = fake_path(t, path);

        g_assert_cmpint(g_mkdir_with_parents(full, 0755), ==, 0);
}

static inline void fake_parent(const FakeTree *t, const char *path)
{
        g_autofree char *parent = g_path_get_dirname(path);

        fake_directory(t, parent);
}

static inline void fake_data(const FakeTree *t, const char *path, const void *data, size_t size)
{
        g_autofree char *full = fake_path(t, path);

        fake_parent(t, path);
        g_assert_true(g_file_set_contents(full, data, (gssize)size, NULL));
}

static inline void fake_file(const FakeTree *t, const char *path, const char *text)
{
        fake_data(t, path, text, strlen(text));
}

/* Replaces what is there. */
static inline void fake_link(const FakeTree *t, const char *path, const char *target)
{
        g_autofree char *full = fake_path(t, path);

        fake_parent(t, path);
        (void)g_unlink(full);
        g_assert_cmpint(symlink(target, full), ==, 0);
}

static inline void fake_remove(const FakeTree *t, const char *path)
{
        g_autofree char *full = fake_path(t, path);

        g_assert_cmpint(g_remove(full), ==, 0);
}

static inline char *fake_read(const FakeTree *t, const char *path)
{
        g_autofree char *full = fake_path(t, path);
        char *text;

        g_assert_true(g_file_get_contents(full, &text, NULL, NULL));
        return text;
}

/* An attribute of a device; the device must be there. */
static inline void fake_attribute(const FakeTree *t, const char *address, const char *name,
                                  const char *text)
{
        g_autofree char *path = g_strdup_printf("sys/bus/pci/devices/%s/%s", address, name);

        fake_file(t, path, text);
}

static inline void fake_device_link(const FakeTree *t, const char *address, const char *name,
                                    const char *target)
{
        g_autofree char *path = g_strdup_printf("sys/bus/pci/devices/%s/%s", address, name);

        fake_link(t, path, target);
}

/* A function below `parent` ("pci0000:00" or "pci0000:00/0000:00:1c.4"). */
static inline void fake_device(const FakeTree *t, const char *parent, const char *address,
                               const char *modalias)
{
        g_autofree char *where = g_strdup_printf("sys/devices/%s/%s", parent, address);
        g_autofree char *target = g_strdup_printf("../../../devices/%s/%s", parent, address);
        g_autofree char *link = g_strdup_printf("sys/bus/pci/devices/%s", address);

        fake_directory(t, where);
        fake_link(t, link, target);
        fake_attribute(t, address, "modalias", modalias);
        fake_attribute(t, address, "revision", "0x03\n");
        fake_attribute(t, address, "numa_node", "-1\n");
        fake_attribute(t, address, "driver_override", "(null)\n");
}

static inline void fake_group(const FakeTree *t, const char *address, int number)
{
        g_autofree char *path = g_strdup_printf("sys/kernel/iommu_groups/%d", number);
        g_autofree char *full = fake_path(t, path);

        fake_directory(t, path);
        fake_device_link(t, address, "iommu_group", full);
}

/* NULL: no driver. */
static inline void fake_driver(const FakeTree *t, const char *address, const char *driver)
{
        g_autofree char *target = g_strdup_printf("../../../../bus/pci/drivers/%s", driver);
        g_autofree char *path = g_strdup_printf("sys/bus/pci/drivers/%s", driver);
        g_autofree char *link = g_strdup_printf("sys/bus/pci/devices/%s/driver", address);
        g_autofree char *full = fake_path(t, link);

        if (!driver) {
                (void)g_unlink(full);
                return;
        }
        fake_directory(t, path);
        fake_device_link(t, address, "driver", target);
}

static inline FakeTree *fake_new(void)
{
        FakeTree *t = g_new0(FakeTree, 1);

        t->path = g_dir_make_tmp("vfiod-test-XXXXXX", NULL);
        g_assert_nonnull(t->path);
        fake_directory(t, "sys/bus/pci/devices");
        fake_directory(t, "sys/bus/pci/drivers");
        g_assert_cmpint(sysroot_open(t->path, &t->root), ==, 0);
        return t;
}

static inline int fake_remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
        return remove(path);
}

static inline void fake_free(FakeTree *t)
{
        sysroot_done(&t->root);
        (void)nftw(t->path, fake_remove_one, 16, FTW_DEPTH | FTW_PHYS);
        g_free(t->path);
        g_free(t);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeTree, fake_free)
