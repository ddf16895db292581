/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sys/sysroot.h"

#include <sys/types.h>

/*
 * Starts a worker: a child process with the program at `path`, or, if that is a socket, one of the
 * service that listens there. Does not wait. `ret_fd`: the socket to talk to it; `ret_pid`: 0 if
 * it is no child, and says itself who it is.
 */
_must_check_ int worker_start(const char *path, const Sysroot *root, int *ret_fd, pid_t *ret_pid);

/*
 * A worker that has not said who it is by then will not. A service manager that is busy, as while
 * a host starts, takes its time, which is none of a write.
 */
#define WORKER_START_USEC (30 * USEC_PER_SEC)
