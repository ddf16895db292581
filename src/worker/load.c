/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/load.h"
#include "sys/drivers.h"
#include "sys/sysfs.h"

#include <ctype.h>
#include <libkmod.h>
#include <syslog.h>

#define VFIO_MODULE "vfio_pci"
#define VFIO_IOMMU_MODULE "vfio_iommu_type1"

static void kmod_unrefp(struct kmod_ctx **c)
{
        kmod_unref(*c);
}

static void list_unrefp(struct kmod_list **l)
{
        kmod_module_unref_list(*l);
}

static void module_unrefp(struct kmod_module **m)
{
        kmod_module_unref(*m);
}

static bool alias_is_valid(const char *s)
{
        if (!startswith(s, "pci:") && !startswith(s, "vfio_pci:"))
                return false;
        for (; *s; s++)
                if (!isalnum((unsigned char)*s) && !strchr(":*_-", *s))
                        return false;
        return true;
}

/* 0: it is there now, perhaps since long. 1: blacklisted. */
static int insert_module(struct kmod_module *module, bool by_alias)
{
        int r;

        /* As with modprobe: a blacklist forbids what an alias leads to, not what is named. */
        r = kmod_module_probe_insert_module(module, by_alias ? KMOD_PROBE_APPLY_BLACKLIST : 0, NULL,
                                            NULL, NULL, NULL);
        if (r < 0)
                return r;
        return r == KMOD_PROBE_APPLY_BLACKLIST;
}

/* The driver of the first module that has one. */
static int note_driver(const Sysroot *root, struct kmod_module *module, char **driver)
{
        int r;

        if (*driver)
                return 0;
        r = driver_of_module(root, kmod_module_get_name(module), driver);
        return r == -ENOMEM ? r : 0;
}

static int insert_all(const Sysroot *root, struct kmod_list *list, bool by_alias, char **driver)
{
        struct kmod_list *i;
        size_t n_loaded = 0;
        int error = 0;

        kmod_list_foreach(i, list)
        {
                _cleanup_(module_unrefp) struct kmod_module *module = kmod_module_get_module(i);
                int r;

                r = insert_module(module, by_alias);
                if (r == 0) {
                        n_loaded++;
                        r = note_driver(root, module, driver);
                }
                if (r < 0)
                        error = r;
        }
        if (n_loaded > 0)
                return 0;
        return error < 0 ? error : -EPERM;
}

static int load(const Sysroot *root, struct kmod_ctx *kmod, const char *name, bool by_alias,
                char **driver)
{
        _cleanup_(list_unrefp) struct kmod_list *list = NULL;
        int r;

        r = kmod_module_new_from_lookup(kmod, name, &list);
        if (r < 0)
                return r;
        return list ? insert_all(root, list, by_alias, driver) : -ENOENT;
}

static bool names_vfio(const char *name)
{
        return streq(name, VFIO_MODULE) || streq(name, "vfio-pci");
}

int load_module(const Sysroot *root, const char *argument, char **ret_driver)
{
        _cleanup_(kmod_unrefp) struct kmod_ctx *kmod = NULL;
        _cleanup_free_ char *driver = NULL, *other = NULL;
        bool by_alias = alias_is_valid(argument);
        int r;

        if (!by_alias && !sysfs_name_is_valid(argument))
                return -EINVAL;
        if (!root->is_host)
                return -ENOSYS;
        kmod = kmod_new(NULL, NULL);
        if (!kmod)
                return -ENOMEM;
        kmod_set_log_priority(kmod, LOG_EMERG); /* all that is said goes into the reply */
        r = load(root, kmod, argument, by_alias, &driver);
        if (r < 0)
                return r;
        /* Without it a group can be bound but not used; it may also be built in. */
        if (names_vfio(argument))
                (void)load(root, kmod, VFIO_IOMMU_MODULE, false, &other);
        *ret_driver = TAKE_PTR(driver);
        return 0;
}
