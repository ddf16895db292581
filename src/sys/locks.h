/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who is at work on a device, kept by the kernel: /run/vfiod/locks has a slot for each PCI address,
 * and a worker holds a record lock on the slot while it carries out a request. The lock goes when
 * the process ends, however it ends, and not before: a process that was killed in a write that
 * does not return ends when the write returns. So no restart and no crash of the daemon forgets it.
 */

#include "model/address.h"
#include "sys/sysroot.h"

enum { LOCK_STEP_SIZE = 32 };

typedef struct HeldLock {
        PciAddress address;
        pid_t pid;
        bool rescan;               /* and the lock that goes with the number of VFs of any PF */
        char step[LOCK_STEP_SIZE]; /* "" if that is not known */
        uint64_t since_usec;       /* CLOCK_MONOTONIC; 0 if that is not known */
} HeldLock;

/*
 * Takes the lock of a device, and with `rescan` the one that all changes of a number of VFs share,
 * as they share one in the kernel (pci_lock_rescan_remove()). `step` is a word for people. Never
 * waits. Returns a descriptor: closing it gives the locks back. -EBUSY: another process has them.
 */
_must_check_ int locks_take(const Sysroot *root, const PciAddress *address, bool rescan,
                            const char *step);

/* All that other processes hold. No file means none. */
_must_check_ int locks_list(const Sysroot *root, HeldLock **ret, size_t *ret_n);
