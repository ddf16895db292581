/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which programs have device nodes open: from the links in /proc/PID/fd. */

#include "basic/strv.h"
#include "sys/sysroot.h"

/* 0: go on. Anything else ends the pass. `node`: "/dev/vfio/12". */
typedef int (*holder_handler_t)(const char *node, const char *pid, const char *name,
                                void *userdata);

/*
 * Tells of each descriptor that is a VFIO node, and returns what the handler does. Only root sees
 * other users' processes. A device's descriptor that was handed on lives without its node, and is
 * not found.
 */
_must_check_ int holders_each(const Sysroot *root, holder_handler_t handler, void *userdata);

/* "PID NAME" for each process with this node open, which may be any in /dev. */
_must_check_ int holders_of_node(const Sysroot *root, const char *node, char ***ret);
