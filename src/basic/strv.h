/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* NULL-terminated arrays of strings. NULL is the empty array. */

#include "basic/macro.h"

#define STRV_FOREACH(s, l) for (char **s = (l); s && *s; s++)

char **strv_free(char **l);
DEFINE_CLEANUP_FUNC(char **, strv_free);
#define _cleanup_strv_ _cleanup_(strv_freep)

size_t strv_length(char *const *l);
bool strv_contains(char *const *l, const char *s);
bool strv_equal(char *const *a, char *const *b);

/* Appends a copy of `s`. -ENOMEM leaves the array as it was. */
_must_check_ int strv_extend(char ***l, const char *s);

/* Appends a formatted string. */
_must_check_ int strv_extendf(char ***l, const char *format, ...) _printf_(2, 3);

/* A deep copy in `ret`; the copy of an empty array is NULL. */
_must_check_ int strv_copy(char *const *l, char ***ret);

/* Splits at any character of `separators`; empty words are dropped. */
_must_check_ int strv_split(const char *s, const char *separators, char ***ret);

/* The strings joined by `separator`, newly allocated; NULL if out of memory. */
char *strv_join(char *const *l, const char *separator);

/* Sorts by strcmp(). */
void strv_sort(char **l);

/* The position of `s` in a table of names without holes, or -EINVAL. */
int string_table_find(const char *const *names, size_t n, const char *s);

/* Both ways between an enumeration and its table of names, which is called X_names. */
#define DEFINE_TO_STRING(X, Type)         \
        const char *X##_to_string(Type v) \
        {                                 \
                return X##_names[v];      \
        }                                 \
        struct _vfiod_semicolon_

#define DEFINE_STRING_TABLE(X, Type)                                           \
        DEFINE_TO_STRING(X, Type);                                             \
        int X##_from_string(const char *s)                                     \
        {                                                                      \
                return string_table_find(X##_names, ELEMENTSOF(X##_names), s); \
        }                                                                      \
        struct _vfiod_semicolon_
