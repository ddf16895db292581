/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/drivers.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "sys/modules.h"
#include "sys/sysfs.h"

#include <fnmatch.h>
#include <stdio.h>

#define VFIO_DRIVER "vfio-pci"
#define VFIO_MODULE "vfio_pci"
#define VFIO_ALIAS "alias vfio_pci:"
#define HOST_ALIAS "alias pci:"
#define ALIASES "modules.alias"

/*
 * A line of modules.alias that is looked for, such as
 * "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci": that with the fewest wildcards
 * that matches a kind of device.
 */
typedef struct Wanted {
        const char *prefix; /* VFIO_ALIAS or HOST_ALIAS */
        char *modalias;
        char *module; /* NULL: no line matches */
        unsigned n_wildcards;
        bool known; /* the file has been read for it */
} Wanted;

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
        AliasCache *cache;
        bool asks; /* the cache has an entry that is not known */
        Answer *answers;
        size_t n_answers;
} DriverDb;

static void driver_db_done(DriverDb *db)
{
        for (size_t i = 0; i < db->n_answers; i++)
                free(db->answers[i].module);
        free(db->answers);
}

void alias_cache_done(AliasCache *c)
{
        for (size_t i = 0; i < c->n_wanted; i++) {
                free(c->wanted[i].modalias);
                free(c->wanted[i].module);
        }
        free(c->wanted);
        c->wanted = NULL;
        c->n_wanted = 0;
}

static unsigned count_wildcards(const char *pattern)
{
        unsigned n = 0;

        for (; *pattern; pattern++)
                n += *pattern == '*';
        return n;
}

static Wanted *find_wanted(const DriverDb *db, const char *prefix, const Device *d)
{
        for (size_t i = 0; i < db->cache->n_wanted; i++)
                if (streq(db->cache->wanted[i].prefix, prefix) &&
                    streq_ptr(db->cache->wanted[i].modalias, d->modalias))
                        return &db->cache->wanted[i];
        return NULL;
}

static int want_alias(DriverDb *db, const char *prefix, const Device *d)
{
        AliasCache *c = db->cache;
        _cleanup_free_ char *modalias = NULL;
        const Wanted *known = find_wanted(db, prefix, d);

        db->asks = db->asks || (known && !known->known);
        if (!startswith(strempty(d->modalias), "pci:") || known)
                return 0;
        modalias = strdup(d->modalias);
        if (!modalias || !GROW(c->wanted, c->n_wanted))
                return -ENOMEM;
        c->wanted[c->n_wanted++] = (Wanted){ .prefix = prefix, .modalias = TAKE_PTR(modalias) };
        db->asks = true;
        return 0;
}

/* The file has tens of thousands of lines, so they are matched as they pass by. */
static int match_line(char *line, void *userdata)
{
        char *space = strrchr(line, ' ');
        DriverDb *db = userdata;

        if (!space || !name_is_valid(space + 1))
                return 0;
        *space = 0;
        for (size_t i = 0; i < db->cache->n_wanted; i++) {
                Wanted *w = &db->cache->wanted[i];
                const char *pattern = w->known ? NULL : startswith(line, w->prefix);
                unsigned n = pattern ? count_wildcards(pattern) : 0;

                if (!pattern || (w->module && w->n_wildcards <= n) ||
                    fnmatch(pattern, w->modalias + strlen("pci:"), 0) != 0)
                        continue;
                free(w->module);
                w->module = strdup(space + 1);
                w->n_wildcards = n;
                if (!w->module)
                        return -ENOMEM;
        }
        return 0;
}

/* The module that the best alias leads to; NULL: no alias does. */
static const char *find_alias(const DriverDb *db, const char *prefix, const Device *d)
{
        const Wanted *w = find_wanted(db, prefix, d);

        return w ? w->module : NULL;
}

int driver_of_module(const Sysroot *root, const char *module, char **ret)
{
        _cleanup_strv_ char **names = NULL;
        char path[SYSFS_PATH_SIZE];
        int r;

        if (!name_is_valid(module))
                return -EINVAL;
        sysfs_path(SYSFS_MODULES, module, "drivers", path);
        module_name_normalize(path);
        r = list_dir_at(root->sys, path, &names);
        if (r < 0)
                return r;
        STRV_FOREACH(name, names) {
                const char *driver = startswith(*name, "pci:");

                if (!driver || !name_is_valid(driver))
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
        if (!copy || !GROW(db->answers, db->n_answers))
                return -ENOMEM;
        db->answers[db->n_answers++] = (Answer){ TAKE_PTR(copy), *ret };
        return 0;
}

/* `driver` would come with `module`, if that can be loaded. */
static int choose_unloaded(DriverDb *db, const char *driver, const char *module, DriverChoice *ret)
{
        int r = check_module(db, module, &ret->reason);

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

/* 1: the module is there, by the driver that it registered or by one of that name. */
static int choose_loaded(const DriverDb *db, const char *module, const char *name,
                         DriverChoice *ret)
{
        _cleanup_free_ char *driver = NULL;
        int r;

        if (driver_of_module(db->root, module, &driver) == -ENOMEM)
                return -ENOMEM;
        if (!driver && !inventory_has_driver(db->inv, name))
                return 0;
        r = choice_set(ret, driver ? driver : name, NULL);
        return r < 0 ? r : 1;
}

/*
 * No alias at all is the case with a built-in driver, with a kernel before 5.15 and after the
 * files of the running kernel were removed: plain vfio-pci may still be there.
 */
static int choose_vfio(DriverDb *db, const Device *d, DriverChoice *ret)
{
        const char *module = find_alias(db, VFIO_ALIAS, d), *guess;
        int r;

        if (!module)
                return choose_driver(db, VFIO_DRIVER, ret);
        guess = streq(module, VFIO_MODULE) ? VFIO_DRIVER : module;
        r = choose_loaded(db, module, guess, ret);
        if (r != 0)
                return MIN(r, 0);
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

/*
 * A VF that vfiod made was never on a driver, and yet is to be given back: to the host driver that
 * it would have had.
 */
static bool is_our_vf(const DriverDb *db, const Device *d, const Target *t)
{
        const Origin *o, *pf;

        if (t->kind != TARGET_UNMANAGED || !d->is_vf)
                return false;
        o = origin_table_find_device(db->origins, d);
        if (!o || !o->taken || o->driver)
                return false;
        pf = origin_table_find(db->origins, &d->pf);
        return pf && pf->counted && (!d->driver || d->driver_is_vfio);
}

static int choose_host(const DriverDb *db, const Device *d, DriverChoice *ret)
{
        const char *module = find_alias(db, HOST_ALIAS, d);
        int r = choose_former(db, d, ret);

        if (r < 0 || ret->driver || !module)
                return r;
        r = choose_loaded(db, module, module, ret);
        /* By its alias, so that a blacklist in modprobe.d counts. */
        return r == 0 ? choice_set(ret, module, d->modalias) : MIN(r, 0);
}

/* Which aliases will be asked for. A host driver's, if it is not known from before. */
static int want_aliases(DriverDb *db, const Device *d, const Target *t)
{
        const Origin *o;

        if (t->kind == TARGET_VFIO && !d->driver_is_vfio)
                return want_alias(db, VFIO_ALIAS, d);
        if (is_our_vf(db, d, t))
                return want_alias(db, HOST_ALIAS, d);
        if (t->kind != TARGET_HOST || (d->driver && !d->driver_is_vfio))
                return 0;
        o = origin_table_find_device(db->origins, d);
        return o && o->driver ? 0 : want_alias(db, HOST_ALIAS, d);
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
                return d->driver && !d->driver_is_vfio ? 0 : choose_host(db, d, ret);
        case TARGET_UNMANAGED:
                return is_our_vf(db, d, t) ? choose_host(db, d, ret) : choose_former(db, d, ret);
        default:
                return 0;
        }
}

/* No file: no aliases. */
static int read_aliases(DriverDb *db)
{
        (void)modules_index_changed(db->root, ALIASES, &db->cache->since);
        if (modules_each_line(db->root, ALIASES, match_line, db) == -ENOMEM)
                return -ENOMEM;
        for (size_t i = 0; i < db->cache->n_wanted; i++)
                db->cache->wanted[i].known = true;
        return 0;
}

int driver_choices_resolve(const Sysroot *root, AliasCache *cache, const Inventory *inv,
                           const Desired *desired, const OriginTable *origins, DriverChoice **ret)
{
        _cleanup_(driver_db_done)
                DriverDb db = { .root = root, .inv = inv, .origins = origins, .cache = cache };
        DriverChoice *choices = calloc(inv->n_devices + 1, sizeof(DriverChoice));
        int r = 0;

        if (!choices)
                return -ENOMEM;
        if (cache->n_wanted > 0 && modules_index_changed(root, ALIASES, &cache->since))
                alias_cache_done(cache);
        for (size_t i = 0; i < inv->n_devices && r >= 0; i++)
                r = want_aliases(&db, inv->devices[i], &desired->targets[i]);
        if (db.asks && r >= 0)
                r = read_aliases(&db);
        for (size_t i = 0; i < inv->n_devices && r >= 0; i++)
                r = choose(&db, inv->devices[i], &desired->targets[i], &choices[i]);
        if (r < 0) {
                driver_choices_free(choices, inv->n_devices);
                return r;
        }
        *ret = choices;
        return 0;
}
