/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One pass over who uses the asked devices: what the files in src/sys/usage*.c share. */

#include "sys/usage.h"

/* What a table of the kernel says, before it is known whether a device is concerned. */
typedef struct Fact {
        Reason hazard;
        char *about; /* "259:5", "/dev/nvme0n1p1", "eth0" */
        char *text;  /* what follows the name in a sentence: "is mounted at /srv" */
} Fact;

typedef struct Look {
        const Sysroot *root;
        const Inventory *inv;
        UseTable *table;
        Fact *facts;
        size_t n_facts;
} Look;

void look_done(Look *l);

/* What is not there, or vanished, or is closed to us, says nothing. Only want is an error. */
static inline int look_optional(int r)
{
        return r == -ENOMEM || r == -EMFILE || r == -ENFILE ? r : 0;
}

/* Notes a fact, the first for each hazard and name. */
_must_check_ _printf_(4, 5) int look_fact(Look *l, Reason hazard, const char *about,
                                          const char *format, ...);

/* Those who look at rows get at most so many fields, the rest being nobody's concern. */
enum { FIELDS_MAX = 24 };

typedef int (*row_handler_t)(Look *l, char **fields, size_t n, const void *userdata);

/*
 * Hands over the rows of a table in /proc, divided at white space, until the handler returns
 * something else than 0. What cannot be opened has no rows; what is huge is cut.
 */
_must_check_ int look_rows(Look *l, const char *path, row_handler_t handler, const void *userdata);

/* Undoes the kernel's octal escapes ("\040") in place, and returns the text. */
char *look_unescape(char *text);

/*
 * The first asked function that is a part of a path in /sys/devices. Returns what is behind it in
 * the path, where there may be others: a disk goes with each. NULL: there is none.
 */
const char *look_find_function(const Look *l, const char *path, PciAddress *ret);

_must_check_ int look_at_blocks(Look *l);
_must_check_ int look_at_interfaces(Look *l);
_must_check_ int look_at_displays(Look *l);
