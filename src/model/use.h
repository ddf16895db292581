/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who uses a device at this moment: asked only of devices that a plan would take away. */

#include "model/address.h"

typedef struct Use {
        PciAddress address;
        char *by; /* "qemu-system-x86 (1234) has /dev/vfio/17 open"; NULL: nobody uses it */
} Use;

typedef struct UseTable {
        Use *uses;
        size_t n_uses;
} UseTable;

void use_table_done(UseTable *t);

/* Adds a device that nobody uses, as far as is known. */
_must_check_ int use_table_add(UseTable *t, const PciAddress *address);

/* NULL: nobody uses it. */
const char *use_table_find(const UseTable *t, const PciAddress *address);
