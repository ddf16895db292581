/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which programs have a VFIO node open: from the links in /proc/PID/fd. */

#include "basic/strv.h"
#include "sys/sysroot.h"

/*
 * "PID NAME" for each process with this node ("/dev/vfio/12") open. Only root sees other users'
 * processes. A device's descriptor that was handed on lives without its node, and is not found.
 */
_must_check_ int holders_of_node(const Sysroot *root, const char *node, char ***ret);
