/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/strv.h"

#include <stdarg.h>
#include <stdio.h>

char **strv_free(char **l)
{
        STRV_FOREACH(s, l)
                free(*s);
        free(l);
        return NULL;
}

size_t strv_length(char *const *l)
{
        size_t n = 0;

        while (l && l[n])
                n++;
        return n;
}

bool strv_contains(char *const *l, const char *s)
{
        for (; l && *l; l++)
                if (streq(*l, s))
                        return true;
        return false;
}

bool strv_equal(char *const *a, char *const *b)
{
        size_t n = strv_length(a);

        if (n != strv_length(b))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!streq(a[i], b[i]))
                        return false;
        return true;
}

/* Appends `s` itself and owns it, also when it fails. */
static int strv_consume(char ***l, char *s)
{
        size_t n = strv_length(*l);
        char **grown;

        if (!s)
                return -ENOMEM;
        grown = reallocarray(*l, n + 2, sizeof(char *));
        if (!grown) {
                free(s);
                return -ENOMEM;
        }
        grown[n] = s;
        grown[n + 1] = NULL;
        *l = grown;
        return 0;
}

int strv_extend(char ***l, const char *s)
{
        return strv_consume(l, strdup(s));
}

int strv_extendf(char ***l, const char *format, ...)
{
        char *s = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&s, format, ap);
        va_end(ap);
        return strv_consume(l, r < 0 ? NULL : s);
}

int strv_copy(char *const *l, char ***ret)
{
        _cleanup_strv_ char **copy = NULL;
        int r;

        for (; l && *l; l++) {
                r = strv_extend(&copy, *l);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(copy);
        return 0;
}

int strv_split(const char *s, const char *separators, char ***ret)
{
        _cleanup_strv_ char **words = NULL;
        int r;

        for (;;) {
                size_t n;

                s += strspn(s, separators);
                n = strcspn(s, separators);
                if (n == 0)
                        break;
                r = strv_consume(&words, strndup(s, n));
                if (r < 0)
                        return r;
                s += n;
        }
        *ret = TAKE_PTR(words);
        return 0;
}

char *strv_join(char *const *l, const char *separator)
{
        size_t n = 1;
        char *joined, *p;

        for (char *const *s = l; s && *s; s++)
                n += strlen(*s) + strlen(separator);
        joined = p = malloc(n);
        if (!joined)
                return NULL;
        *p = 0;
        for (char *const *s = l; s && *s; s++) {
                if (s != l)
                        p = stpcpy(p, separator);
                p = stpcpy(p, *s);
        }
        return joined;
}

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(char **l)
{
        if (l)
                qsort(l, strv_length(l), sizeof(char *), compare_strings);
}

int string_table_find(const char *const *names, size_t n, const char *s)
{
        for (size_t i = 0; i < n; i++)
                if (streq(names[i], s))
                        return (int)i;
        return -EINVAL;
}
