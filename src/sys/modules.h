/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Modules on disk: the index files of lib/modules/. */

#include "sys/sysroot.h"

#include <time.h>

/* Negative: an error. 0: go on. Positive: stop, and return that. The line may be changed. */
typedef int (*line_handler_t)(char *line, void *userdata);

/*
 * The lines of an index file of the running kernel, or below --root= of the only kernel there is,
 * one at a time: these files have more than a megabyte.
 */
_must_check_ int modules_each_line(const Sysroot *root, const char *file, line_handler_t handler,
                                   void *userdata);

/* Whether the file is another one than that of `since`, which is set to its time of change. */
bool modules_index_changed(const Sysroot *root, const char *file, struct timespec *since);

/* 1: modules.dep or modules.builtin names the module. 0: it does not. -ENOENT: no such file. */
_must_check_ int modules_index_has(const Sysroot *root, const char *file, const char *name);

/* Replaces each '-' by '_', as the kernel spells the names of modules. */
void module_name_normalize(char *name);
