/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads PCI functions, one at a time, for one look. */

#include "model/device.h"
#include "sys/sysroot.h"

typedef struct Reader {
        const Sysroot *root;
        int devices;                    /* SYSFS_PCI_DEVICES */
        char **slots, **slot_addresses; /* parallel; "0000:41:00", "0000:41" if a whole bus */
} Reader;

#define READER_NULL ((Reader){ .devices = -EBADF })

_must_check_ int reader_open(const Sysroot *root, Reader *ret);
void reader_done(Reader *reader);

/* Any error but -ENOMEM and the like: it vanished meanwhile. num_vfs and vf_index are not set. */
_must_check_ int reader_read(const Reader *reader, const PciAddress *address, Device **ret);

/* The VF behind a PF's link virtfnN. False: there is none. */
bool reader_find_vf(const Reader *reader, const PciAddress *pf, unsigned n, PciAddress *ret);
