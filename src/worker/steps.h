/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel writes, each of which may block for ever. */

#include "exec/protocol.h"
#include "model/device.h"
#include "model/use.h"
#include "sys/sysroot.h"

/*
 * Performs one checked request and fills the reply, also on failure. Returns 0 or what the reply
 * carries as negative errno: -EINVAL for an argument that can be no name, -ENODEV if the device is
 * gone, else the kernel's own. A state that is already as asked is success.
 */
int step_run(const Sysroot *root, const WorkerRequest *q, WorkerReply *ret);

/*
 * WORKER_LOAD_MODULE. -EINVAL: neither a name nor a "pci:" or "vfio_pci:" alias. -ENOENT: there is
 * no such module. -EPERM: all that the alias leads to are blacklisted. -ENOSYS: below --root=.
 */
_must_check_ int step_load_module(const Sysroot *root, const WorkerRequest *q, WorkerReply *p);

/*
 * WORKER_VF_SETTING and WORKER_REPORT_VFS. -ENONET: the PF has no network interface in this network
 * namespace, as the reply's text says. -ENOSYS: below --root=.
 */
_must_check_ int step_vf_setting(const Sysroot *root, const WorkerRequest *q, WorkerReply *p);
_must_check_ int step_report_vfs(const Sysroot *root, const WorkerRequest *q, WorkerReply *p);

/* WORKER_CHECK_USE. -EBUSY: by a hazard that is not accepted, the first of which the reply names.
 */
_must_check_ int step_check_use(const Sysroot *root, const WorkerRequest *q, WorkerReply *p);

/*
 * Addresses and routes of all tables through the network interfaces of a device and what is
 * stacked on them, asked of the kernel by rtnetlink, which may block. Nothing below --root=.
 */
_must_check_ int check_net(const Sysroot *root, const Device *d, UseTable *uses);

/* Answers requests until the other side closes the socket: 0. -EBADMSG: it sent nonsense. */
_must_check_ int worker_serve(const Sysroot *root, int fd);
