/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Modules on disk: the index files of lib/modules/, and what modprobe.d says about loading. */

#include "sys/sysroot.h"

/* The text of an index file of the running kernel, or below --root= of the only kernel there is. */
_must_check_ int modules_read_index(const Sysroot *root, const char *file, char **ret);

/* 1: modules.dep or modules.builtin names the module. 0: it does not. -ENOENT: no such file. */
_must_check_ int modules_index_has(const Sysroot *root, const char *file, const char *name);

/* 1: modprobe.d of the host has an `install` line that does nothing in the module's place. */
_must_check_ int modules_is_blocked(const Sysroot *root, const char *name);

/* Replaces each '-' by '_', as the kernel spells the names of modules. */
void module_name_normalize(char *name);
