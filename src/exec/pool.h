/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A small pool of long-lived worker processes. A write that does not return in time costs its
 * worker, which is abandoned (it cannot be killed) and replaced, never the daemon.
 */

#include <systemd/sd-event.h>

#include "exec/protocol.h"
#include "sys/sysroot.h"

typedef struct Pool Pool;

typedef enum PoolOutcome {
        POOL_REPLIED,   /* reply is set */
        POOL_TIMED_OUT, /* the kernel may still carry it out; never ask again */
        POOL_CLOSED,    /* nothing was sent or done: an earlier request there has not returned */
        POOL_DIED,      /* the worker ended without an answer */
        POOL_NO_WORKER, /* nothing was sent or done: none can be started */
} PoolOutcome;

/* Called once per request, never from within pool_submit(). */
typedef void (*pool_handler_t)(const WorkerRequest *q, PoolOutcome outcome,
                               const WorkerReply *reply, void *userdata);

typedef enum PoolHold {
        POOL_FREE, /* something that was at work there, or given up, has returned or is gone */
        POOL_BUSY, /* a worker of an earlier daemon is at work there, not for too long yet */
        POOL_STUCK,
} PoolHold;

/* What becomes of a device without a request of ours, or in spite of it. */
typedef void (*pool_hold_handler_t)(const PciAddress *address, PoolHold hold, void *userdata);

/*
 * `root`, weak: also that of the workers. `worker`: the program to start, or the socket where
 * vfiod-worker.service listens. Workers are started when first needed.
 */
_must_check_ int pool_new(sd_event *event, const char *worker, const Sysroot *root,
                          unsigned max_workers, pool_hold_handler_t hold, void *userdata,
                          Pool **ret);

/*
 * Looks for workers of an earlier daemon that are still at work, and takes them in as if they were
 * abandoned ones of this pool: at once, or when `timeout_usec` have passed since they began. An
 * error says that some are not known; nothing can be written where they are.
 */
_must_check_ int pool_adopt(Pool *p, uint64_t timeout_usec);

/* Ends idle workers by closing their sockets; abandoned ones are left to the kernel. */
Pool *pool_free(Pool *p);
DEFINE_CLEANUP_FUNC(Pool *, pool_free);

/* Queues a request. `userdata` must live until the handler was called. */
_must_check_ int pool_submit(Pool *p, const WorkerRequest *q, uint64_t timeout_usec,
                             pool_handler_t handler, void *userdata);

void pool_set_max_workers(Pool *p, unsigned max_workers);

/*
 * Process id of the worker that is stuck on this device, 0 if none is. `ret_verb`: at what;
 * _WORKER_VERB_MAX if that is not known. May be NULL.
 */
pid_t pool_find_stuck(const Pool *p, const PciAddress *address, WorkerVerb *ret_verb);
