/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reading and making the objects that are shown. Out of memory ends the program: a client has
 * nothing to save, and its output is printed only when it is whole.
 */

#include "ctl/ctl.h"

#include <stdarg.h>

static inline void json_putp(json_object **o)
{
        json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_putp)

/* `p`, which is not NULL. */
void *must(void *p);

/* Formatted text, to be freed. */
char *format_text_va(const char *format, va_list ap) _printf_(1, 0);
char *format_text(const char *format, ...) _printf_(1, 2);

json_object *json_new(void);
json_object *json_new_list(void);
json_object *json_new_strv(char *const *strv);

/* Adds a member, or an entry; takes over `value`, and returns it. */
json_object *json_add(json_object *o, const char *key, json_object *value);
json_object *json_append(json_object *list, json_object *value);

/* A text; bytes that JSON cannot have become '?', as those of file names may be. */
json_object *json_new_text(const char *s);

/* Adds a text; NULL and "" become null. */
void json_add_text(json_object *o, const char *key, const char *value);
void json_add_number(json_object *o, const char *key, int64_t value);

/* A new object with these members of another; null for what that does not have. */
json_object *json_pick(json_object *o, const char *const *keys);

/* Text of a member; NULL, or "", if it is null or missing. */
const char *json_text(json_object *o, const char *key);
const char *json_word(json_object *o, const char *key);

/* A number, or -1. */
int64_t json_number(json_object *o, const char *key);
bool json_flag(json_object *o, const char *key);

/* Entries of a list; of NULL none. */
size_t json_count(json_object *list);

static inline json_object *json_at(json_object *list, size_t i)
{
        return json_object_array_get_idx(list, i);
}

/* The value as people read it: "-" for null, yes, no, words joined by spaces. To be freed. */
char *json_words(json_object *value);
