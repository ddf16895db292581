/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/drivers.h"
#include "basic/io.h"
#include "sys/modules.h"
#include "sys/sysfs.h"

#include <fnmatch.h>
#include <stdio.h>

#define VFIO_DRIVER "vfio-pci"
#define VFIO_MODULE "vfio_pci"
#define VFIO_ALIAS "alias vfio_pci:"

/* "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci" */
typedef struct Alias {
        char *pattern;
        const char *module; /* behind the pattern, in the same text */
        unsigned n_wildcards;
} Alias;

/* Whether a module can be loaded. */
typedef struct Answer {
        char *module;
        Reason reason; /* module-missing, or none */
} Answer;

/* Notes for one look: each module is asked for once, however many devices want it. */
typedef struct DriverDb {
        const Sysroot *root;
        const Inventory *inv;
        const OriginTable *origins;
        bool aliases_read;
        Alias *aliases;
        size_t n_aliases;
        Answer *answers;
        size_t n_answers;
} DriverDb;

static void driver_db_done(DriverDb *db)
{
        for (size_t i = 0; i < db->n_answers; i++)
                free(db->answers[i].module);
        free(db->answers);
        for (size_t i = 0; i < db->n_aliases; i++)
                free(db->aliases[i].pattern);
        free(db->aliases);
}

static int add_alias(char *line, void *userdata)
{
        const char *rest = startswith(line, VFIO_ALIAS), *space = rest ? strchr(rest, ' ') : NULL;
        _cleanup_free_ char *text = NULL;
        DriverDb *db = userdata;
        Alias *grown, *alias;

        if (!space || !sysfs_name_is_valid(space + 1))
                return 0;
        text = strdup(rest);
        grown = reallocarray(db->aliases, db->n_aliases + 1, sizeof(Alias));
        if (grown)
                db->aliases = grown;
        if (!text || !grown)
                return -ENOMEM;
        text[space - rest] = 0;
        alias = &db->aliases[db->n_aliases++];
        *alias = (Alias){ .module = text + (space - rest) + 1 };
        for (const char *c = text; *c; c++)
                alias->n_wildcards += *c == '*';
        alias->pattern = TAKE_PTR(text);
        return 0;
}

/* No file: no aliases. */
static int read_aliases(DriverDb *db)
{
        int r;

        r = modules_each_line(db->root, "modules.alias", add_alias, db);
        db->aliases_read = true;
        return r == -ENOMEM ? r : 0;
}

/* The module of the matching alias with the fewest wildcards (first of the file); NULL: none. */
static const char *find_alias(const DriverDb *db, const char *modalias)
{
        const char *device = startswith(strempty(modalias), "pci:");
        const Alias *best = NULL;

        for (size_t i = 0; device && i < db->n_aliases; i++) {
                const Alias *a = &db->aliases[i];

                if ((!best || a->n_wildcards < best->n_wildcards) &&
                    fnmatch(a->pattern, device, 0) == 0)
                        best = a;
        }
        return best ? best->module : NULL;
}

int driver_of_module(const Sysroot *root, const char *module, char **ret)
{
        _cleanup_strv_ char **names = NULL;
        char path[SYSFS_PATH_SIZE];
        int r;

        if (!sysfs_name_is_valid(module))
                return -EINVAL;
        sysfs_path(SYSFS_MODULES, module, "drivers", path);
        module_name_normalize(path);
        r = list_dir_at(root->sys, path, &names);
        if (r < 0)
                return r;
        STRV_FOREACH(name, names) {
                const char *driver = startswith(*name, "pci:");

                if (!driver || !sysfs_name_is_valid(driver))
                        continue;
                *ret = strdup(driver);
                return *ret ? 0 : -ENOMEM;
        }
        return -ENOENT;
}

/* Names are copied: choices outlive everything here. */
static int choice_set(DriverChoice *c, const char *driver, const char *module)
{
        _cleanup_free_ char *d = strdup(driver), *m = module ? strdup(module) : NULL;

        if (!d || (module && !m))
                return -ENOMEM;
        *c = (DriverChoice){ .driver = TAKE_PTR(d), .module = TAKE_PTR(m) };
        return 0;
}

/* Asks once per module: a host may have thousands of VFs of one kind. */
static int check_module(DriverDb *db, const char *module, Reason *ret)
{
        _cleanup_free_ char *copy = NULL;
        Answer *grown;
        int r;

        for (size_t i = 0; i < db->n_answers; i++)
                if (streq(db->answers[i].module, module)) {
                        *ret = db->answers[i].reason;
                        return 0;
                }
        *ret = REASON_NONE;
        r = modules_index_has(db->root, "modules.dep", module);
        if (r == -ENOMEM)
                return r;
        if (r <= 0)
                *ret = REASON_MODULE_MISSING;
        copy = strdup(module);
        grown = reallocarray(db->answers, db->n_answers + 1, sizeof(Answer));
        if (grown)
                db->answers = grown;
        if (!copy || !grown)
                return -ENOMEM;
        db->answers[db->n_answers++] = (Answer){ TAKE_PTR(copy), *ret };
        return 0;
}

/* `driver` would come with `module`, if that can be loaded. */
static int choose_unloaded(DriverDb *db, const char *driver, const char *module, DriverChoice *ret)
{
        int r;

        r = check_module(db, module, &ret->reason);
        if (r < 0 || ret->reason != REASON_NONE)
                return r;
        r = choice_set(ret, driver, module);
        if (r >= 0)
                module_name_normalize(ret->module);
        return r;
}

static int choose_driver(DriverDb *db, const char *driver, DriverChoice *ret)
{
        if (inventory_has_driver(db->inv, driver))
                return choice_set(ret, driver, NULL);
        return choose_unloaded(db, driver, driver, ret);
}

/*
 * No alias at all is the case with a built-in driver, with a kernel before 5.15 and after the
 * files of the running kernel were removed: plain vfio-pci may still be there.
 */
static int choose_vfio(DriverDb *db, const Device *d, DriverChoice *ret)
{
        _cleanup_free_ char *driver = NULL;
        const char *module, *guess;
        int r = 0;

        if (!db->aliases_read)
                r = read_aliases(db);
        if (r < 0)
                return r;
        module = find_alias(db, d->modalias);
        if (!module)
                return choose_driver(db, VFIO_DRIVER, ret);
        guess = streq(module, VFIO_MODULE) ? VFIO_DRIVER : module;
        if (driver_of_module(db->root, module, &driver) == -ENOMEM)
                return -ENOMEM;
        if (driver || inventory_has_driver(db->inv, guess))
                return choice_set(ret, driver ? driver : guess, NULL);
        if (!db->root->is_host) /* the alias is evidence enough for a look from outside */
                return choice_set(ret, guess, module);
        return choose_unloaded(db, guess, module, ret);
}

/* The driver that the device had before; the device's own alias leads to its module. */
static int choose_former(const DriverDb *db, const Device *d, DriverChoice *ret)
{
        const Origin *o = origin_table_find_device(db->origins, d);

        if (!o || !o->driver || streq_ptr(o->driver, d->driver))
                return 0;
        return choice_set(ret, o->driver,
                          inventory_has_driver(db->inv, o->driver) ? NULL : d->modalias);
}

static int choose(DriverDb *db, const Device *d, const Target *t, DriverChoice *ret)
{
        if (t->hold || t->problem != REASON_NONE)
                return 0;
        switch (t->kind) {
        case TARGET_VFIO:
                return d->driver_is_vfio ? 0 : choose_vfio(db, d, ret);
        case TARGET_DRIVER:
                return streq_ptr(d->driver, t->driver) ? 0 : choose_driver(db, t->driver, ret);
        case TARGET_HOST:
                return d->driver && !d->driver_is_vfio ? 0 : choose_former(db, d, ret);
        case TARGET_UNMANAGED:
                return choose_former(db, d, ret);
        default:
                return 0;
        }
}

int driver_choices_resolve(const Sysroot *root, const Inventory *inv, const Desired *desired,
                           const OriginTable *origins, DriverChoice **ret)
{
        _cleanup_(driver_db_done) DriverDb db = { .root = root, .inv = inv, .origins = origins };
        DriverChoice *choices = calloc(inv->n_devices + 1, sizeof(DriverChoice));
        int r = 0;

        if (!choices)
                return -ENOMEM;
        for (size_t i = 0; i < inv->n_devices && r >= 0; i++)
                r = choose(&db, inv->devices[i], &desired->targets[i], &choices[i]);
        if (r < 0) {
                driver_choices_free(choices, inv->n_devices);
                return r;
        }
        *ret = choices;
        return 0;
}
