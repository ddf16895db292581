/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Modules on disk: the index files of lib/modules/, and what modprobe.d says about loading. */

#include "sys/sysroot.h"

#include <stdio.h>

struct kmod_ctx;

enum { MODULES_LINE_SIZE = 1024 };

/* Opens an index file of the running kernel, or below --root= of the only kernel there is. */
_must_check_ int modules_open_index(const Sysroot *root, const char *name, FILE **ret);

/* The next line without its newline, cut to the size of the buffer. False: the end, or an error. */
bool modules_next_line(FILE *f, char line[static MODULES_LINE_SIZE]);

static inline void fclosep(FILE **f)
{
        if (*f)
                fclose(*f);
}

/* A look-up of several modules; libkmod reads modprobe.d at the first one. */
typedef struct Modules {
        const Sysroot *root;
        struct kmod_ctx *kmod;
} Modules;

void modules_done(Modules *m);

/*
 * The module of that name; '-' and '_' are the same. `ret_blocked`: modprobe.d has an `install`
 * line that does nothing in its place. -ENOENT: there is none. Below --root= modprobe.d is not
 * looked at.
 */
_must_check_ int modules_find(Modules *m, const char *name, char **ret_name, bool *ret_blocked);

/* Replaces each '-' by '_', as the kernel spells the names of modules. */
void module_name_normalize(char *name);
