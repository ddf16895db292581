/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "exec/step-error.h"
#include "basic/strv.h"

#include <stdio.h>

/* The errno of sriov_numvfs (kernel: drivers/pci/iov.c, sriov_numvfs_store() and sriov_enable()).
 */
static Reason reason_of_count(int error)
{
        switch (error) {
        case ENOENT: /* no driver, or one without sriov_configure() */
                return REASON_SRIOV_DRIVER_MISSING;
        case ERANGE:
                return REASON_SRIOV_TOO_MANY;
        case ENOMEM:
        case ENOSPC: /* the worker's: fewer came than were asked for */
                return REASON_SRIOV_NO_RESOURCES;
        case ENODEV:
                return REASON_DEVICE_GONE;
        default:
                return REASON_DRIVER_REJECTED;
        }
}

Reason step_reason(const Step *s, int error)
{
        switch (s->kind) {
        case STEP_SET_NUMVFS:
        case STEP_WAIT_VFS:
                return reason_of_count(error);
        case STEP_LOAD_MODULE:
                return error == ENOENT ? REASON_MODULE_MISSING : REASON_MODULE_BLOCKED;
        case STEP_BIND:
        case STEP_NODE_ACCESS:
                return REASON_DRIVER_REJECTED;
        default:
                return error == ENODEV || error == ENOENT ? REASON_DEVICE_GONE
                                                          : REASON_DRIVER_REJECTED;
        }
}

char *step_sentence(const Step *s, const WorkerReply *reply)
{
        int error = reply->error;
        const char *name = strerrorname_np(error);
        char *text = NULL;
        int r;

        if (s->kind == STEP_BIND)
                r = asprintf(&text, "the driver %s refused it: %s (%s)", s->argument,
                             strerrordesc_np(error), strempty(name));
        else if (s->kind == STEP_LOAD_MODULE)
                r = asprintf(&text, "the module '%s' cannot be loaded: %s (%s)", s->argument,
                             strerrordesc_np(error), strempty(name));
        else if (s->kind == STEP_WAIT_VFS && error == ENOSPC)
                r = asprintf(&text, "%s VFs were asked for, and %u are there", s->argument,
                             reply->num_vfs);
        else if (s->kind == STEP_SET_NUMVFS)
                r = asprintf(&text, "the kernel refused %s VFs: %s (%s)", s->argument,
                             strerrordesc_np(error), strempty(name));
        else if (s->kind == STEP_VF_SETTING && reply->text[0])
                r = asprintf(&text, "%s", reply->text);
        else
                r = asprintf(&text, "the step %s failed: %s (%s)", step_kind_to_string(s->kind),
                             strerrordesc_np(error), strempty(name));
        return r < 0 ? NULL : text;
}

char *step_loss_sentence(WorkerVerb verb, PoolOutcome outcome, const WorkerReply *reply)
{
        static const char *const ends[] = {
                [POOL_TIMED_OUT] = "has not returned from the kernel",
                [POOL_CLOSED] = "was not begun: an earlier one there has not returned",
                [POOL_DIED] = "ended with its worker process",
                [POOL_NO_WORKER] = "was not begun: no worker process can be started, see systemctl "
                                   "status vfiod-worker.socket vfiod-worker.service",
        };
        const char *step = worker_verb_to_string(verb);
        char *text = NULL;
        int r;

        if (outcome != POOL_REPLIED)
                r = asprintf(&text, "the step %s %s", step, ends[outcome]);
        else
                r = asprintf(&text,
                             "the step %s was not begun: /run/vfiod/locks cannot be locked: %s "
                             "(%s)",
                             step, strerrordesc_np(reply->error),
                             strempty(strerrorname_np(reply->error)));
        return r < 0 ? NULL : text;
}
