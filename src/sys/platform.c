/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/platform.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "basic/strv.h"
#include "sys/sysfs.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define SYSFS_ACPI_TABLES "firmware/acpi/tables"
#define SYSFS_UNSAFE_INTERRUPTS SYSFS_MODULES "/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
#define SYSFS_NOIOMMU SYSFS_MODULES "/vfio/parameters/enable_unsafe_noiommu_mode"

enum {
        DMAR_FLAGS_OFFSET = 37, /* after the ACPI header (36) and the host address width */
        DMAR_INTR_REMAP = 1 << 0,
        ECAP_INTR_REMAP = 1 << 3, /* extended capability register of an Intel IOMMU */
        ACPI_TABLE_MAX = 1024 * 1024,
        CMDLINE_MAX = 64 * 1024,
        MODULE_LIST_MAX = 32 * 1024 * 1024,
};

static bool exists(int dirfd, const char *path)
{
        return faccessat(dirfd, path, F_OK, 0) >= 0;
}

/* A directory that is missing or closed to us has no names. */
static int list_dir(int dirfd, const char *path, char ***ret)
{
        int r;

        r = list_dir_at(dirfd, path, ret);
        if (r == -ENOENT || r == -ENOTDIR || r == -EACCES) {
                *ret = NULL;
                return 0;
        }
        return r;
}

static int read_table(const Sysroot *root, char **ret)
{
        static const char *const tables[] = { "DMAR", "IVRS", "IORT", "VIOT" };

        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                char path[SYSFS_PATH_SIZE];

                snprintf(path, sizeof(path), SYSFS_ACPI_TABLES "/%s", tables[i]);
                if (!exists(root->sys, path))
                        continue;
                *ret = strdup(tables[i]);
                return *ret ? 0 : -ENOMEM;
        }
        *ret = NULL;
        return 0;
}

static Answer read_switch(const Sysroot *root, const char *path)
{
        _cleanup_free_ char *line = NULL;

        if (read_line_at(root->sys, path, &line) < 0)
                return ANSWER_UNKNOWN;
        return line[0] == 'Y' || line[0] == '1' ? ANSWER_YES : ANSWER_NO;
}

static Answer read_ecap(const Sysroot *root, const char *iommu)
{
        _cleanup_free_ char *line = NULL;
        char path[SYSFS_PATH_SIZE];
        uint64_t ecap;

        snprintf(path, sizeof(path), SYSFS_IOMMU_CLASS "/%s/intel-iommu/ecap", iommu);
        if (read_line_at(root->sys, path, &line) < 0 || parse_uint(line, 16, UINT64_MAX, &ecap) < 0)
                return ANSWER_UNKNOWN;
        return ecap & ECAP_INTR_REMAP ? ANSWER_YES : ANSWER_NO;
}

static Answer read_dmar(const Sysroot *root)
{
        _cleanup_free_ char *table = NULL;
        size_t size;

        if (read_file_at(root->sys, SYSFS_ACPI_TABLES "/DMAR", ACPI_TABLE_MAX, &table, &size) < 0 ||
            size <= DMAR_FLAGS_OFFSET)
                return ANSWER_UNKNOWN;
        return table[DMAR_FLAGS_OFFSET] & DMAR_INTR_REMAP ? ANSWER_YES : ANSWER_NO;
}

/*
 * Intel: every unit must be able to (ecap), and the firmware must not forbid it (DMAR, readable
 * for root only). AMD: each IOMMU remaps. Others (SMMU with an ITS, virtio) do not tell here.
 */
static Answer find_interrupt_remapping(const Sysroot *root, char **iommus)
{
        Answer answer = ANSWER_UNKNOWN;

        STRV_FOREACH(i, iommus) {
                Answer a = ANSWER_UNKNOWN;

                if (startswith(*i, "ivhd"))
                        a = ANSWER_YES;
                else if (startswith(*i, "dmar"))
                        a = read_ecap(root, *i);
                if (a == ANSWER_NO)
                        return ANSWER_NO;
                if (a == ANSWER_YES)
                        answer = ANSWER_YES;
        }
        if (answer == ANSWER_YES && startswith(iommus[0], "dmar") && read_dmar(root) == ANSWER_NO)
                return ANSWER_NO;
        return answer;
}

static int read_cmdline(const Sysroot *root, char **ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_file_at(root->root, "proc/cmdline", CMDLINE_MAX, &text, NULL);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                text = strdup("");
        if (!text)
                return -ENOMEM;
        text[strcspn(text, "\n")] = 0;
        *ret = TAKE_PTR(text);
        return 0;
}

int platform_read(const Sysroot *root, Platform *ret)
{
        _cleanup_(platform_done) Platform p = { 0 };
        int r;

        r = list_dir(root->sys, SYSFS_IOMMU_CLASS, &p.iommus);
        if (r < 0)
                return r;
        r = read_table(root, &p.iommu_table);
        if (r < 0)
                return r;
        r = read_cmdline(root, &p.cmdline);
        if (r < 0)
                return r;
        r = list_dir(root->root, "etc/driverctl.d", &p.driverctl);
        if (r < 0)
                return r;
        p.interrupt_remapping = find_interrupt_remapping(root, p.iommus);
        p.unsafe_interrupts = read_switch(root, SYSFS_UNSAFE_INTERRUPTS);
        p.noiommu = read_switch(root, SYSFS_NOIOMMU);
        p.container_node = exists(root->root, "dev/vfio/vfio");
        *ret = p;
        p = (Platform){ 0 };
        return 0;
}

void platform_done(Platform *p)
{
        strv_free(p->iommus);
        strv_free(p->driverctl);
        free(p->iommu_table);
        free(p->cmdline);
        *p = (Platform){ 0 };
}

static int read_release(const Sysroot *root, char **ret)
{
        struct utsname name;
        int r;

        r = read_line_at(root->root, "proc/sys/kernel/osrelease", ret);
        if (r >= 0 || r == -ENOMEM)
                return r;
        if (uname(&name) < 0)
                return -errno;
        *ret = strdup(name.release);
        return *ret ? 0 : -ENOMEM;
}

/* Whether one line of modules.dep or modules.builtin is about `name`; files may spell it with '-'.
 */
static bool line_names_module(const char *line, size_t size, const char *name)
{
        const char *base = line, *end = memchr(line, ':', size);
        size_t length = strlen(name);

        if (!end)
                end = line + size;
        for (const char *p = line; p < end; p++)
                if (*p == '/')
                        base = p + 1;
        if ((size_t)(end - base) < length + 3 || !startswith(base + length, ".ko"))
                return false;
        for (size_t i = 0; i < length; i++)
                if ((base[i] == '-' ? '_' : base[i]) != name[i])
                        return false;
        return true;
}

static int list_has_module(const Sysroot *root, const char *release, const char *file,
                           const char *name)
{
        _cleanup_free_ char *text = NULL;
        char path[SYSFS_PATH_SIZE];
        int r;

        r = snprintf(path, sizeof(path), "lib/modules/%s/%s", release, file);
        if (r < 0 || (size_t)r >= sizeof(path))
                return -ENAMETOOLONG;
        r = read_file_at(root->root, path, MODULE_LIST_MAX, &text, NULL);
        if (r < 0)
                return r;
        for (const char *line = text; *line; line += strspn(line, "\n")) {
                size_t size = strcspn(line, "\n");

                if (line_names_module(line, size, name))
                        return 1;
                line += size;
        }
        return 0;
}

int platform_module(const Sysroot *root, const char *name, ModulePresence *ret)
{
        _cleanup_free_ char *release = NULL;
        char path[SYSFS_PATH_SIZE];
        int builtin, loadable, r;

        snprintf(path, sizeof(path), SYSFS_MODULES "/%s", name);
        if (exists(root->sys, path)) {
                *ret = MODULE_LOADED;
                return 0;
        }
        r = read_release(root, &release);
        if (r < 0)
                return r;
        builtin = list_has_module(root, release, "modules.builtin", name);
        loadable = list_has_module(root, release, "modules.dep", name);
        if (builtin == -ENOMEM || loadable == -ENOMEM)
                return -ENOMEM;
        if (builtin > 0)
                *ret = MODULE_LOADED;
        else if (loadable > 0)
                *ret = MODULE_INSTALLED;
        else
                *ret = loadable < 0 ? MODULE_UNKNOWN : MODULE_ABSENT;
        return 0;
}

int platform_switch(const Platform *p, const char *key, char **ret)
{
        _cleanup_strv_ char **words = NULL;
        const char *found = NULL;
        int r;

        r = strv_split(p->cmdline, " ", &words);
        if (r < 0)
                return r;
        STRV_FOREACH(w, words) {
                const char *rest = startswith(*w, key);

                if (rest && *rest == '=')
                        found = rest + 1;
        }
        *ret = NULL;
        if (!found)
                return 0;
        *ret = strdup(found);
        return *ret ? 0 : -ENOMEM;
}
