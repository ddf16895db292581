/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A small pool of long-lived worker processes. A write that does not return in time costs its
 * worker, which is abandoned (it cannot be killed) and replaced, never the daemon.
 */

#include <systemd/sd-event.h>

#include "exec/protocol.h"

typedef struct Pool Pool;

typedef enum PoolOutcome {
        POOL_REPLIED,   /* reply is set */
        POOL_TIMED_OUT, /* the kernel may still carry it out; never ask again */
        POOL_DIED,      /* the worker ended without an answer */
} PoolOutcome;

/* Called once per request, never from within pool_submit(). */
typedef void (*pool_handler_t)(const WorkerRequest *q, PoolOutcome outcome,
                               const WorkerReply *reply, void *userdata);

/* A write that had timed out has returned at last, or its worker is gone. */
typedef void (*pool_late_handler_t)(const PciAddress *address, void *userdata);

/* `prefix`: of --root=, "" for the host. Workers are started when first needed. */
_must_check_ int pool_new(sd_event *event, const char *worker, const char *prefix,
                          unsigned max_workers, pool_late_handler_t late, void *userdata,
                          Pool **ret);

/* Ends idle workers by closing their sockets; abandoned ones are left to the kernel. */
Pool *pool_free(Pool *p);
DEFINE_CLEANUP_FUNC(Pool *, pool_free);

/* Queues a request. `userdata` must live until the handler was called. */
_must_check_ int pool_submit(Pool *p, const WorkerRequest *q, uint64_t timeout_usec,
                             pool_handler_t handler, void *userdata);

void pool_set_max_workers(Pool *p, unsigned max_workers);

/* Process id of the worker that is stuck on this device, 0 if none is. */
pid_t pool_find_stuck(const Pool *p, const PciAddress *address);
