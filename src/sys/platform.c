/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/platform.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "basic/strv.h"
#include "sys/modules.h"
#include "sys/sysfs.h"

enum {
        DMAR_FLAGS_OFFSET = 37, /* after the ACPI header (36) and the host address width */
        DMAR_INTR_REMAP = 1 << 0,
        ECAP_INTR_REMAP = 1 << 3, /* extended capability register of an Intel IOMMU */
        ACPI_TABLE_MAX = 1024 * 1024,
};

static Answer answer(bool yes)
{
        return yes ? ANSWER_YES : ANSWER_NO;
}

static const char *find_table(const Sysroot *root)
{
        static const char *const tables[] = { "DMAR", "IVRS", "IORT", "VIOT" };

        for (size_t i = 0; i < ELEMENTSOF(tables); i++)
                if (exists_at(root->sys, SYSFS_PATH(SYSFS_ACPI, "tables", tables[i])))
                        return tables[i];
        return NULL;
}

static Answer read_parameter(const Sysroot *root, const char *module, const char *parameter)
{
        _cleanup_free_ char *line = NULL;

        if (read_line_at(root->sys, SYSFS_PATH(SYSFS_MODULES, module, parameter), &line) < 0)
                return ANSWER_UNKNOWN;
        return answer(line[0] == 'Y' || line[0] == '1');
}

static Answer read_ecap(const Sysroot *root, const char *iommu)
{
        _cleanup_free_ char *line = NULL;
        uint64_t ecap;

        if (read_line_at(root->sys, SYSFS_PATH(SYSFS_IOMMU_CLASS, iommu, "intel-iommu/ecap"),
                         &line) < 0 ||
            parse_uint(line, 16, UINT64_MAX, &ecap) < 0)
                return ANSWER_UNKNOWN;
        return answer(ecap & ECAP_INTR_REMAP);
}

static bool dmar_forbids_remapping(const Sysroot *root)
{
        _cleanup_free_ char *table = NULL;
        size_t size;

        return read_file_at(root->sys, SYSFS_PATH(SYSFS_ACPI, "tables", "DMAR"), ACPI_TABLE_MAX,
                            &table, &size) >= 0 &&
               size > DMAR_FLAGS_OFFSET && !(table[DMAR_FLAGS_OFFSET] & DMAR_INTR_REMAP);
}

/*
 * Intel: every unit must be able to (ecap), and the firmware must not forbid it (DMAR, readable
 * for root only). AMD: each IOMMU remaps. Others (SMMU with an ITS, virtio) do not tell here.
 */
static Answer find_interrupt_remapping(const Sysroot *root, char **iommus)
{
        Answer all = ANSWER_UNKNOWN;

        STRV_FOREACH(i, iommus) {
                Answer one = ANSWER_UNKNOWN;

                if (startswith(*i, "ivhd"))
                        one = ANSWER_YES;
                else if (startswith(*i, "dmar"))
                        one = read_ecap(root, *i);
                if (one == ANSWER_NO ||
                    (one == ANSWER_YES && startswith(*i, "dmar") && dmar_forbids_remapping(root)))
                        return ANSWER_NO;
                all = MAX(all, one);
        }
        return all;
}

int platform_read(const Sysroot *root, Platform *ret)
{
        _cleanup_(platform_done) Platform p = { 0 };
        int r = ok_without(list_dir_at(root->sys, SYSFS_IOMMU_CLASS, &p.iommus));

        if (r >= 0)
                r = ok_without(list_dir_at(root->root, "etc/driverctl.d", &p.driverctl));
        if (r >= 0)
                r = ok_without(read_line_at(root->root, "proc/cmdline", &p.cmdline));
        if (r < 0)
                return r;
        p.iommu_table = find_table(root);
        p.interrupt_remapping = find_interrupt_remapping(root, p.iommus);
        p.unsafe_interrupts =
                read_parameter(root, "vfio_iommu_type1", "parameters/allow_unsafe_interrupts");
        p.noiommu = read_parameter(root, "vfio", "parameters/enable_unsafe_noiommu_mode");
        p.container_node = exists_at(root->root, "dev/vfio/vfio");
        *ret = p;
        p = (Platform){ 0 };
        return 0;
}

void platform_done(Platform *p)
{
        strv_free(p->iommus);
        strv_free(p->driverctl);
        free(p->cmdline);
        *p = (Platform){ 0 };
}

ModulePresence platform_module(const Sysroot *root, const char *name)
{
        int loadable;

        if (exists_at(root->sys, SYSFS_PATH(SYSFS_MODULES, name, "")) ||
            modules_index_has(root, "modules.builtin", name) > 0)
                return MODULE_LOADED;
        loadable = modules_index_has(root, "modules.dep", name);
        return loadable > 0 ? MODULE_INSTALLED : loadable < 0 ? MODULE_UNKNOWN : MODULE_ABSENT;
}

int platform_switch(const Platform *p, const char *key, char **ret)
{
        _cleanup_strv_ char **words = NULL;
        const char *found = NULL;
        int r = strv_split(strempty(p->cmdline), " ", &words);

        if (r < 0)
                return r;
        STRV_FOREACH(word, words) {
                const char *rest = startswith(*word, key);

                if (rest && *rest == '=')
                        found = rest + 1;
        }
        *ret = found ? strdup(found) : NULL;
        return found && !*ret ? -ENOMEM : 0;
}
