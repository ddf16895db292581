/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Files to Config. Directories highest first: etc/vfiod, run/vfiod, usr/local/lib/vfiod,
 * usr/lib/vfiod below `rootfd`. Floor 2 opens files itself through basic/io.h.
 */

#include "model/config.h"

enum {
        CONFIG_FILE_MAX = 1024 * 1024, /* bytes */
        CONFIG_LINE_MAX = 64 * 1024,   /* bytes, without the newline */
        CONFIG_FILES_MAX = 4096,       /* in one directory */
};

/*
 * Reads everything. A bad file never fails the whole: it becomes a diagnostic, and its rule comes
 * from `previous` (may be NULL) if that has one, else its name goes into `broken`. Negative errno
 * only for out of memory and the like. `prefix` is put before paths in messages ("" for none).
 */
_must_check_ int config_load(int rootfd, const char *prefix, const Config *previous, Config **ret);

/*
 * Only these files, as `vfioctl check FILE…` does: paths as given by the user, relative to the
 * working directory. A file called vfiod.conf or below vfiod.conf.d is read as settings, any
 * other as a device file. Users and groups are looked up below rootfd.
 */
_must_check_ int config_check_files(int rootfd, char *const *paths, Config **ret);
