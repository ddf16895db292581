/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The `vfio_pci:` lines of modules.alias: which modules serve which devices for VFIO. */

#include "sys/sysroot.h"

#include <sys/stat.h>

typedef struct Alias {
        char *pattern; /* "v000015B3d0000101Esv*sd*bc*sc*i*": behind the colon */
        char *module;
        unsigned n_wildcards;
} Alias;

typedef struct AliasTable {
        Alias *aliases; /* in the order of the file */
        size_t n_aliases;
        struct stat source; /* of the file that was read; st_ino 0: none */
} AliasTable;

void alias_table_done(AliasTable *t);

/* Reads the file again if it is another than before. No file: an empty table. */
_must_check_ int alias_table_refresh(AliasTable *t, const Sysroot *root);

/* The module of the matching alias with the fewest wildcards (first of the file); NULL: none. */
const char *alias_table_find(const AliasTable *t, const char *modalias);
