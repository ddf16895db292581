/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Output: JSON, tables and `Key: value` lines. */

#include "ctl/ctl.h"

#include <libsmartcols.h>

typedef struct Column {
        const char *title;
        const char *key; /* of the JSON object */
        int flags;       /* SCOLS_FL_* */
} Column;

/* Prints it if --json= asks for JSON. Whether it does. */
bool print_json(const Ctl *c, json_object *o);

/*
 * A table of the objects in `list`: null is "-", no such member is blank. A line stands below that
 * of the "address" in its member `above` (NULL: all are apart). The last column has no title.
 */
_must_check_ int print_table(const Ctl *c, const Column *columns, json_object *list,
                             const char *above);

/* All members as aligned `Key: value` lines, those of an object in it below its own line. */
void print_members(json_object *o);

/* printf with terminal controls made harmless: names may come from hardware or other users. */
void print_safe(FILE *f, const char *format, ...) _printf_(2, 3);

/* "vfioctl: …" on stderr, in the same way. Returns `status`. */
int fail(int status, const char *format, ...) _printf_(2, 3);

/* The escape sequence that colours a state, or a result of doctor; "" for none. */
const char *color_of(const Ctl *c, const char *state);

/*
 * "ADDRESS: ready on vfio-pci (group 13, /dev/vfio/13)" or, where there is a reason,
 * "ADDRESS: STATE: REASON: SENTENCE (REMEDY)". To be freed.
 */
char *device_text(json_object *device);

/* Steps and refusals in words, or as JSON. `nothing` says what it means if there are none. */
void print_plan(const Ctl *c, json_object *plan, const char *nothing);

/* Diagnostics of files in words on `f`, or as JSON on stdout. 1: one of them is an error. */
_must_check_ int print_diagnostics(const Ctl *c, json_object *list, FILE *f);
