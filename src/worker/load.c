/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Loading modules, as modprobe does. */

#include "basic/parse.h"
#include "sys/drivers.h"
#include "sys/sysfs.h"
#include "worker/steps.h"

#include <ctype.h>
#include <libkmod.h>
#include <stdio.h>
#include <syslog.h>

#define VFIO_MODULE "vfio_pci"
#define VFIO_IOMMU_MODULE "vfio_iommu_type1"

static void kmod_unrefp(struct kmod_ctx **c)
{
        kmod_unref(*c);
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

/* The driver of the first module that has one is told. 0: the module is there now. */
static int insert_module(const Sysroot *root, struct kmod_module *module, bool by_alias,
                         char **driver)
{
        int r;

        /* As with modprobe: a blacklist forbids what an alias leads to, not what is named. */
        r = kmod_module_probe_insert_module(module, by_alias ? KMOD_PROBE_APPLY_BLACKLIST : 0, NULL,
                                            NULL, NULL, NULL);
        if (r > 0)
                return -EPERM;
        if (r >= 0 && !*driver &&
            driver_of_module(root, kmod_module_get_name(module), driver) == -ENOMEM)
                return -ENOMEM;
        return r;
}

/* 0: at least one of the modules is there. */
static int load(const Sysroot *root, struct kmod_ctx *kmod, const char *name, bool by_alias,
                char **driver)
{
        struct kmod_list *list = NULL, *i;
        bool any = false;
        int r = kmod_module_new_from_lookup(kmod, name, &list);

        if (r < 0)
                return r;
        r = -ENOENT;
        kmod_list_foreach(i, list)
        {
                struct kmod_module *module = kmod_module_get_module(i);

                r = insert_module(root, module, by_alias, driver);
                any |= r >= 0;
                kmod_module_unref(module);
        }
        kmod_module_unref_list(list);
        return any ? 0 : r;
}

int step_load_module(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_(kmod_unrefp) struct kmod_ctx *kmod = NULL;
        _cleanup_free_ char *driver = NULL, *other = NULL;
        const char *argument = q->argument;
        bool by_alias = alias_is_valid(argument);
        int r;

        if (!by_alias && !name_is_valid(argument))
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
        if (streq(argument, VFIO_MODULE) || streq(argument, "vfio-pci"))
                (void)load(root, kmod, VFIO_IOMMU_MODULE, false, &other);
        snprintf(p->text, sizeof(p->text), "%s", strempty(driver));
        return 0;
}
