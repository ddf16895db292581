/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one door to the file system: descriptors below which every path is opened. */

#include "basic/macro.h"

typedef struct Sysroot {
        int root;     /* paths such as "etc/vfiod", "run/vfiod", "var/lib/vfiod", "proc", "dev" */
        int sys;      /* paths as in sys/sysfs.h */
        bool is_host; /* no --root= was given: modules can be loaded, /proc is ours */
        char *prefix; /* "" or the directory of --root=, for messages */
} Sysroot;

#define SYSROOT_NULL ((Sysroot){ .root = -EBADF, .sys = -EBADF })

/* prefix NULL or "/": the host itself. */
_must_check_ int sysroot_open(const char *prefix, Sysroot *ret);

/* Makes the folder, and those above it, if they are not there. */
_must_check_ int sysroot_make_folder(const Sysroot *root, const char *path);
void sysroot_done(Sysroot *root);
