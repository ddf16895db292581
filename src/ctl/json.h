/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reading and making the objects that are shown. Out of memory ends the program: a client has
 * nothing to save, and its output is printed only when it is whole.
 */

#include "ctl/ctl.h"

/* `p`, which is not NULL. */
void *must(void *p);

/* Formatted text, to be freed. */
char *format_text(const char *format, ...) _printf_(1, 2);

json_object *json_new(void);
json_object *json_new_list(void);

/* Adds a member, or an entry; takes over `value`. */
void json_add(json_object *o, const char *key, json_object *value);
void json_append(json_object *list, json_object *value);

/* Adds a text; NULL and "" become null. */
void json_add_text(json_object *o, const char *key, const char *value);
void json_add_number(json_object *o, const char *key, int64_t value);

/* Text of a member, or NULL: null, missing, or no string. */
const char *json_text(json_object *o, const char *key);

/* The same, and "" for NULL. */
const char *json_word(json_object *o, const char *key);

/* A number, or -1. */
int64_t json_number(json_object *o, const char *key);

bool json_flag(json_object *o, const char *key);

/* Whether a member is a list that has this text. */
bool json_has(json_object *o, const char *key, const char *text);

/* Entries of a list. */
static inline size_t json_count(json_object *list)
{
        return json_object_array_length(list);
}

static inline json_object *json_at(json_object *list, size_t i)
{
        return json_object_array_get_idx(list, i);
}

/* The value as people read it: "-" for null, yes, no, words joined by spaces. To be freed. */
char *json_words(json_object *value);
