/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What daemon and worker say to each other: one datagram of a SOCK_SEQPACKET pair per request and
 * per reply, fixed size, one request at a time. The socket is the worker's descriptor 3. One that
 * the daemon has not started itself tells its process number first, in a reply to request 0. The
 * worker gets addresses and names, never paths.
 */

#include "model/address.h"
#include "model/reason.h"
#include "model/vf.h"

enum {
        WORKER_FD = 3,
        WORKER_ARGUMENT_SIZE = 256,
        WORKER_PROTOCOL_VERSION = 4,
        WORKER_VFS_MAX = 16, /* in one reply */
};

typedef enum WorkerVerb {
        WORKER_LOAD_MODULE,  /* argument: name or alias; reply.text: driver it registered, if one */
        WORKER_SET_OVERRIDE, /* argument: driver */
        WORKER_CLEAR_OVERRIDE,
        WORKER_UNBIND, /* argument: driver; done already if another or none holds it */
        WORKER_BIND,   /* argument: driver; done already if it holds it */
        WORKER_PROBE,
        WORKER_NODE_ACCESS, /* group, uid, gid, mode */
        WORKER_INSPECT,     /* reply.text: driver_override ("" if unset), reply.serial, .num_vfs */
        WORKER_SET_AUTOPROBE, /* argument: "0" or "1" */
        WORKER_SET_NUMVFS,    /* argument: decimal; done already if it has that many */
        WORKER_WAIT_VFS,      /* argument: decimal; reply.num_vfs: how many there are in the end */
        WORKER_VF_SETTING,    /* settings; reply.text: which were rejected, and why */
        WORKER_REPORT_VFS,    /* of a PF from VF `first` on: reply.vfs */
        WORKER_CHECK_USE,     /* accept; EBUSY: reply.hazard, and reply.text says who uses it */
        _WORKER_VERB_MAX,
} WorkerVerb;

const char *worker_verb_to_string(WorkerVerb v); /* as the steps are called */
int worker_verb_from_string(const char *s);

/*
 * Whether the worker holds the lock of the device while it carries this out (sys/locks.h): whatever
 * writes, or reads what waits for a write.
 */
static inline bool worker_verb_locks(WorkerVerb v)
{
        return v != WORKER_REPORT_VFS;
}

typedef struct WorkerRequest {
        uint32_t version;
        uint32_t verb;
        uint64_t id; /* given back in the reply */
        PciAddress address;
        int32_t group;
        uint32_t uid, gid, mode;             /* UINT32_MAX: leave as it is */
        uint32_t first;                      /* WORKER_REPORT_VFS */
        HazardSet accept;                    /* WORKER_CHECK_USE */
        uint32_t planned;                    /* the same: all that anybody can see was just asked */
        VfSettings settings;                 /* WORKER_VF_SETTING */
        char argument[WORKER_ARGUMENT_SIZE]; /* NUL-terminated */
} WorkerRequest;

typedef struct WorkerReply {
        uint32_t version;
        int32_t error; /* 0 or a positive errno of the kernel */
        uint64_t id;
        uint8_t not_begun; /* `error` is that of taking the lock; EBUSY: another process has it */
        uint8_t has_serial;
        uint64_t serial;
        uint32_t num_vfs; /* sriov_numvfs, 0 for other devices */
        uint32_t ifindex; /* of the network interface of the PF whose VFs are reported */
        uint32_t n_vfs;   /* entries of vfs */
        uint32_t hazard;  /* a Reason, in the way of an unbind */
        int32_t pid;      /* in the reply to request 0 */
        VfSettings vfs[WORKER_VFS_MAX];
        char text[WORKER_ARGUMENT_SIZE];
} WorkerReply;

/* 0 if the frame is whole and sane, -EBADMSG otherwise. Strings are NUL-terminated within. */
_must_check_ int worker_request_check(const void *data, size_t size);
_must_check_ int worker_reply_check(const void *data, size_t size);
