/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Output: JSON, tables and `Key: value` lines. */

#include "ctl/ctl.h"

struct libscols_table;
struct libscols_line;

typedef struct Column {
        const char *title;
        const char *key; /* of the JSON object */
        bool right;      /* numbers */
} Column;

/* On one line, or with indentation, as --json= says. */
void print_json(const Ctl *c, json_object *o);

/* A table of the objects in `list`: null is "-", no such member is blank. */
_must_check_ int print_table(const Ctl *c, const Column *columns, size_t n, json_object *list);

/* For trees: a table, its lines. Printed by scols_print_table(). */
struct libscols_table *table_new(const Ctl *c, const Column *columns, size_t n, bool tree);
struct libscols_line *table_add(const Ctl *c, struct libscols_table *t, const Column *columns,
                                size_t n, json_object *o, struct libscols_line *parent);
void table_unref(struct libscols_table **t);
#define _cleanup_table_ _cleanup_(table_unref)

/* All members as aligned `Key: value` lines. */
void print_members(json_object *o);

/* printf with terminal controls made harmless: names may come from hardware or other users. */
void print_safe(FILE *f, const char *format, ...) _printf_(2, 3);

/* "ADDRESS: STATE: REASON: SENTENCE (REMEDY)" of a device, on stderr. Returns `status`. */
int say_device(int status, json_object *device);
