/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The vocabulary of the house: attributes, cleanup, ownership transfer. */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _must_check_ __attribute__((warn_unused_result))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* Hands over what a variable owns and leaves NULL behind. */
#define TAKE_PTR(p)                        \
        ({                                 \
                __typeof__(p) *_pp = &(p); \
                __typeof__(p) _p = *_pp;   \
                *_pp = NULL;               \
                _p;                        \
        })

#define TAKE_FD(fd)                \
        ({                         \
                int *_pfd = &(fd); \
                int _fd = *_pfd;   \
                *_pfd = -EBADF;    \
                _fd;               \
        })

/* Makes room for one more behind `n` entries. False: out of memory, and all is as it was. */
static inline bool array_grow(void *array, size_t n, size_t size)
{
        void *grown = reallocarray(*(void **)array, n + 1, size);

        if (grown)
                *(void **)array = grown;
        return grown;
}

#define GROW(array, n) array_grow(&(array), (n), sizeof(*(array)))

/* The same in front of the `i`-th; `n` counts it already. What is there is to be overwritten. */
static inline bool array_insert(void *array, size_t *n, size_t i, size_t size)
{
        char *place;

        if (!array_grow(array, *n, size))
                return false;
        place = *(char **)array + i * size;
        memmove(place + size, place, ((*n)++ - i) * size);
        return true;
}

#define INSERT(array, n, i) array_insert(&(array), &(n), (i), sizeof(*(array)))

/* Defines `func##p` for _cleanup_(), from a destructor that accepts NULL. */
#define DEFINE_CLEANUP_FUNC(type, func)     \
        static inline void func##p(type *p) \
        {                                   \
                if (*p)                     \
                        func(*p);           \
        }                                   \
        struct _vfiod_semicolon_

static inline void freep(void *p)
{
        free(*(void **)p);
}

static inline void closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

/* Equal, where either may be NULL; NULL and "" differ. */
static inline bool streq_ptr(const char *a, const char *b)
{
        return a && b ? streq(a, b) : a == b;
}

static inline const char *strempty(const char *s)
{
        return s ? s : "";
}

static inline bool isempty(const char *s)
{
        return !s || !s[0];
}

/* The rest of `s` behind `prefix`, or NULL if it does not begin with it. */
static inline const char *startswith(const char *s, const char *prefix)
{
        size_t l = strlen(prefix);

        return strncmp(s, prefix, l) == 0 ? s + l : NULL;
}

/* Whether `s` ends in `suffix`. */
static inline bool endswith(const char *s, const char *suffix)
{
        size_t l = strlen(s), k = strlen(suffix);

        return l >= k && streq(s + l - k, suffix);
}

/* What is missing, or closed to us, says nothing; only want of memory is an error. */
static inline int ok_without(int r)
{
        return r == -ENOMEM ? r : 0;
}

#define MIN(a, b)                       \
        ({                              \
                __typeof__(a) _a = (a); \
                __typeof__(b) _b = (b); \
                _a < _b ? _a : _b;      \
        })

#define MAX(a, b)                       \
        ({                              \
                __typeof__(a) _c = (a); \
                __typeof__(b) _d = (b); \
                _c > _d ? _c : _d;      \
        })

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_INFINITY UINT64_MAX

/* CLOCK_MONOTONIC, in microseconds. */
static inline uint64_t now_usec(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}
