/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Names of users and groups from etc/passwd and etc/group below a root. Never through NSS: a
 * directory server that does not answer must not hold up the boot.
 */

#include "basic/macro.h"

/* A name or a number. -ENOENT: no such name. -EINVAL: a number that can be no id. */
_must_check_ int user_lookup(int rootfd, const char *name, uint32_t *ret);
_must_check_ int group_lookup(int rootfd, const char *name, uint32_t *ret);
