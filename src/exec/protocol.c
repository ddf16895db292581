/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "exec/protocol.h"
#include "basic/strv.h"

enum { ERRNO_MAX = 4095 }; /* as in the kernel's IS_ERR() */

static const char *const worker_verb_names[_WORKER_VERB_MAX] = {
        [WORKER_LOAD_MODULE] = "load-module",
        [WORKER_SET_OVERRIDE] = "set-override",
        [WORKER_CLEAR_OVERRIDE] = "clear-override",
        [WORKER_UNBIND] = "unbind",
        [WORKER_BIND] = "bind",
        [WORKER_PROBE] = "probe",
        [WORKER_NODE_ACCESS] = "node-access",
        [WORKER_INSPECT] = "inspect",
        [WORKER_SET_AUTOPROBE] = "set-autoprobe",
        [WORKER_SET_NUMVFS] = "set-numvfs",
        [WORKER_WAIT_VFS] = "wait-vfs",
        [WORKER_VF_SETTING] = "vf-setting",
        [WORKER_REPORT_VFS] = "report-vfs",
        [WORKER_CHECK_USE] = "check-use",
};

DEFINE_STRING_TABLE(worker_verb, WorkerVerb);

static bool is_terminated(const char *s, size_t size)
{
        return memchr(s, 0, size);
}

static bool address_is_sane(const PciAddress *a)
{
        return a->device < 32 && a->function < 8;
}

int worker_request_check(const void *data, size_t size)
{
        WorkerRequest q;

        if (size != sizeof(q))
                return -EBADMSG;
        memcpy(&q, data, sizeof(q));
        if (q.version != WORKER_PROTOCOL_VERSION || q.verb >= _WORKER_VERB_MAX)
                return -EBADMSG;
        if (!address_is_sane(&q.address) || !is_terminated(q.argument, sizeof(q.argument)))
                return -EBADMSG;
        return 0;
}

int worker_reply_check(const void *data, size_t size)
{
        WorkerReply p;

        if (size != sizeof(p))
                return -EBADMSG;
        memcpy(&p, data, sizeof(p));
        if (p.version != WORKER_PROTOCOL_VERSION || p.error < 0 || p.error > ERRNO_MAX)
                return -EBADMSG;
        if (p.has_serial > 1 || p.not_begun > 1 || p.n_vfs > WORKER_VFS_MAX ||
            p.hazard >= _REASON_MAX || !is_terminated(p.text, sizeof(p.text)))
                return -EBADMSG;
        return 0;
}
