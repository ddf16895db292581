/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who uses a device at this moment: asked only of devices that a plan would take away. */

#include "model/address.h"
#include "model/reason.h"

typedef struct Use {
        PciAddress address;
        Reason hazard; /* what taking the device away would break. vfs-in-use: only of a VF */
        char *by;      /* "qemu-system-x86 (1234) has /dev/vfio/17 open" */
} Use;

typedef struct UseTable {
        PciAddress *asked; /* sorted; who uses these is looked up */
        size_t n_asked;
        Use *uses; /* sorted by address; those of one device as they were noted */
        size_t n_uses;
} UseTable;

void use_table_done(UseTable *t);

/* Adds a device to those that are asked about, once. */
_must_check_ int use_table_ask(UseTable *t, const PciAddress *address);
bool use_table_asks(const UseTable *t, const PciAddress *address);

/* Notes a use, the first for each device and hazard; what no terminal should get is '?'. */
_must_check_ _printf_(4, 5) int use_table_add(UseTable *t, const PciAddress *address, Reason hazard,
                                              const char *format, ...);

/* The index of the first use of a device, or where it would be. */
size_t use_table_position(const UseTable *t, const PciAddress *address);

/* The first use of a device by that hazard, REASON_NONE: by any. NULL: nobody uses it so. */
const Use *use_table_find(const UseTable *t, const PciAddress *address, Reason hazard);
