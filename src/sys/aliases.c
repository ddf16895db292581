/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/aliases.h"
#include "sys/modules.h"
#include "sys/sysfs.h"

#include <fnmatch.h>

enum { ALIASES_MAX = 4096 }; /* kernel 7.2 has 30 */

void alias_table_done(AliasTable *t)
{
        for (size_t i = 0; i < t->n_aliases; i++) {
                free(t->aliases[i].pattern);
                free(t->aliases[i].module);
        }
        free(t->aliases);
        *t = (AliasTable){ 0 };
}

static int add_alias(AliasTable *t, const char *pattern, const char *module)
{
        _cleanup_free_ char *p = NULL, *m = NULL;
        unsigned n_wildcards = 0;
        Alias *grown;

        if (t->n_aliases == ALIASES_MAX)
                return -E2BIG;
        grown = reallocarray(t->aliases, t->n_aliases + 1, sizeof(Alias));
        if (!grown)
                return -ENOMEM;
        t->aliases = grown;
        p = strdup(pattern);
        m = strdup(module);
        if (!p || !m)
                return -ENOMEM;
        for (const char *c = p; *c; c++)
                n_wildcards += *c == '*';
        t->aliases[t->n_aliases++] = (Alias){ TAKE_PTR(p), TAKE_PTR(m), n_wildcards };
        return 0;
}

/* "alias vfio_pci:PATTERN MODULE"; anything else is no concern of ours. */
static int parse_line(AliasTable *t, char *line)
{
        const char *pattern = startswith(line, "alias vfio_pci:");
        char *space;

        if (!pattern)
                return 0;
        space = strchr(pattern, ' ');
        if (!space)
                return 0;
        *space++ = 0;
        return sysfs_name_is_valid(space) ? add_alias(t, pattern, space) : 0;
}

static bool same_source(const struct stat *a, const struct stat *b)
{
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int alias_table_refresh(AliasTable *t, const Sysroot *root)
{
        _cleanup_(alias_table_done) AliasTable fresh = { 0 };
        _cleanup_(fclosep) FILE *f = NULL;
        char line[MODULES_LINE_SIZE];
        AliasTable old;
        int r;

        r = modules_open_index(root, "modules.alias", &f);
        if (r == -ENOMEM)
                return r;
        if (r >= 0 && fstat(fileno(f), &fresh.source) < 0)
                return -errno;
        if (r >= 0 && same_source(&fresh.source, &t->source))
                return 0;
        while (r >= 0 && modules_next_line(f, line)) {
                r = parse_line(&fresh, line);
                if (r == -ENOMEM)
                        return r;
        }
        old = *t;
        *t = fresh;
        fresh = old;
        return 0;
}

const char *alias_table_find(const AliasTable *t, const char *modalias)
{
        const char *device = startswith(strempty(modalias), "pci:");
        const Alias *best = NULL;

        for (size_t i = 0; device && i < t->n_aliases; i++) {
                const Alias *a = &t->aliases[i];

                if ((!best || a->n_wildcards < best->n_wildcards) &&
                    fnmatch(a->pattern, device, 0) == 0)
                        best = a;
        }
        return best ? best->module : NULL;
}
