/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/drivers.h"
#include "basic/io.h"
#include "sys/aliases.h"
#include "sys/modules.h"
#include "sys/sysfs.h"

#include <stdio.h>

#define VFIO_DRIVER "vfio-pci"
#define VFIO_MODULE "vfio_pci"

struct DriverDb {
        AliasTable aliases;
};

DriverDb *driver_db_new(void)
{
        return calloc(1, sizeof(DriverDb));
}

DriverDb *driver_db_free(DriverDb *db)
{
        if (!db)
                return NULL;
        alias_table_done(&db->aliases);
        free(db);
        return NULL;
}

int driver_of_module(const Sysroot *root, const char *module, char **ret)
{
        _cleanup_strv_ char **names = NULL;
        char path[SYSFS_PATH_SIZE], *copy;
        int r;

        if (!sysfs_name_is_valid(module))
                return -EINVAL;
        snprintf(path, sizeof(path), SYSFS_MODULES "/%s/drivers", module);
        module_name_normalize(path);
        r = list_dir_at(root->sys, path, &names);
        if (r < 0)
                return r;
        STRV_FOREACH(name, names) {
                const char *driver = startswith(*name, "pci:");

                if (!driver || !sysfs_name_is_valid(driver))
                        continue;
                copy = strdup(driver);
                if (!copy)
                        return -ENOMEM;
                *ret = copy;
                return 0;
        }
        return -ENOENT;
}

/* What is the same for all devices that ask for one name. */
typedef struct Answer {
        char *name; /* as asked: a driver, or a module of an alias */
        bool is_module;
        DriverChoice choice;
} Answer;

typedef struct Resolver {
        const Sysroot *root;
        const Inventory *inv;
        const OriginTable *origins;
        const AliasTable *aliases;
        Modules modules;
        Answer *answers;
        size_t n_answers;
} Resolver;

static void choice_done(DriverChoice *c)
{
        free(c->driver);
        free(c->module);
        *c = (DriverChoice){ 0 };
}

static void resolver_done(Resolver *s)
{
        modules_done(&s->modules);
        for (size_t i = 0; i < s->n_answers; i++) {
                free(s->answers[i].name);
                choice_done(&s->answers[i].choice);
        }
        free(s->answers);
}

/* Names are copied: choices outlive everything here. */
static int choice_set(DriverChoice *c, const char *driver, const char *module, bool guessed)
{
        _cleanup_free_ char *d = strdup(driver), *m = module ? strdup(module) : NULL;

        if (!d || (module && !m))
                return -ENOMEM;
        *c = (DriverChoice){ .driver = TAKE_PTR(d), .module = TAKE_PTR(m), .guessed = guessed };
        return 0;
}

/* `driver` would come with `module`, if that can be loaded. */
static int choose_unloaded(Resolver *s, const char *driver, const char *module, bool guessed,
                           DriverChoice *ret)
{
        _cleanup_free_ char *name = NULL;
        bool blocked;
        int r;

        r = modules_find(&s->modules, module, &name, &blocked);
        if (r == -ENOENT || (r >= 0 && blocked)) {
                ret->reason = r < 0 ? REASON_MODULE_MISSING : REASON_MODULE_BLOCKED;
                return 0;
        }
        return r < 0 ? r : choice_set(ret, driver, name, guessed);
}

/* A driver by its own name. */
static int choose_driver(Resolver *s, const char *driver, DriverChoice *ret)
{
        if (inventory_has_driver(s->inv, driver))
                return choice_set(ret, driver, NULL, false);
        return choose_unloaded(s, driver, driver, false, ret);
}

/* The driver of a module that an alias names. */
static int choose_module(Resolver *s, const char *module, DriverChoice *ret)
{
        bool is_generic = streq(module, VFIO_MODULE);
        const char *guess = is_generic ? VFIO_DRIVER : module;
        _cleanup_free_ char *driver = NULL;
        int r;

        r = driver_of_module(s->root, module, &driver);
        if (r >= 0)
                return choice_set(ret, driver, NULL, false);
        if (r == -ENOMEM)
                return r;
        if (inventory_has_driver(s->inv, guess))
                return choice_set(ret, guess, NULL, false);
        if (!s->root->is_host) /* the alias is evidence enough for a look from outside */
                return choice_set(ret, guess, module, !is_generic);
        return choose_unloaded(s, guess, module, !is_generic, ret);
}

static int copy_choice(const DriverChoice *c, DriverChoice *ret)
{
        if (!c->driver) {
                ret->reason = c->reason;
                return 0;
        }
        return choice_set(ret, c->driver, c->module, c->guessed);
}

/* Asks once per name: a host may have thousands of VFs of one kind. */
static int choose_cached(Resolver *s, const char *name, bool is_module, DriverChoice *ret)
{
        Answer answer = { .is_module = is_module };
        Answer *grown;
        int r;

        for (size_t i = 0; i < s->n_answers; i++)
                if (s->answers[i].is_module == is_module && streq(s->answers[i].name, name))
                        return copy_choice(&s->answers[i].choice, ret);
        grown = reallocarray(s->answers, s->n_answers + 1, sizeof(Answer));
        if (!grown)
                return -ENOMEM;
        s->answers = grown;
        answer.name = strdup(name);
        if (!answer.name)
                return -ENOMEM;
        r = is_module ? choose_module(s, name, &answer.choice)
                      : choose_driver(s, name, &answer.choice);
        s->answers[s->n_answers++] = answer;
        return r < 0 ? r : copy_choice(&answer.choice, ret);
}

/*
 * No alias at all is the case with a built-in driver, with a kernel before 5.15 and after the
 * files of the running kernel were removed: plain vfio-pci may still be there.
 */
static int choose_vfio(Resolver *s, const Device *d, DriverChoice *ret)
{
        const char *module = alias_table_find(s->aliases, d->modalias);

        return module ? choose_cached(s, module, true, ret)
                      : choose_cached(s, VFIO_DRIVER, false, ret);
}

/* The driver that the device had before; the device's own alias leads to its module. */
static int choose_former(const Resolver *s, const Device *d, DriverChoice *ret)
{
        const Origin *o = origin_table_find_device(s->origins, d);

        if (!o || !o->driver || streq_ptr(o->driver, d->driver))
                return 0;
        return choice_set(ret, o->driver,
                          inventory_has_driver(s->inv, o->driver) ? NULL : d->modalias, false);
}

static int choose(Resolver *s, const Device *d, const Target *t, DriverChoice *ret)
{
        if (t->hold || t->problem != REASON_NONE)
                return 0;
        switch (t->kind) {
        case TARGET_VFIO:
                return d->driver_is_vfio ? 0 : choose_vfio(s, d, ret);
        case TARGET_DRIVER:
                return streq_ptr(d->driver, t->driver) ? 0
                                                       : choose_cached(s, t->driver, false, ret);
        case TARGET_HOST:
                return d->driver && !d->driver_is_vfio ? 0 : choose_former(s, d, ret);
        case TARGET_UNMANAGED:
                return choose_former(s, d, ret);
        default:
                return 0;
        }
}

int driver_choices_resolve(DriverDb *db, const Sysroot *root, const Inventory *inv,
                           const Desired *desired, const OriginTable *origins, DriverChoice **ret)
{
        _cleanup_(resolver_done) Resolver s = {
                .root = root,
                .inv = inv,
                .origins = origins,
                .aliases = &db->aliases,
                .modules = { .root = root },
        };
        DriverChoice *choices;
        int r;

        r = alias_table_refresh(&db->aliases, root);
        if (r < 0)
                return r;
        choices = calloc(inv->n_devices + 1, sizeof(DriverChoice));
        if (!choices)
                return -ENOMEM;
        for (size_t i = 0; i < inv->n_devices && r >= 0; i++)
                r = choose(&s, inv->devices[i], &desired->targets[i], &choices[i]);
        if (r < 0) {
                driver_choices_free(choices, inv->n_devices);
                return r;
        }
        *ret = choices;
        return 0;
}
