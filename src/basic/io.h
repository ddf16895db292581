/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files below a directory descriptor. Every read has a limit. Errors are negative errno. */

#include "basic/macro.h"

#include <stdio.h>
#include <sys/types.h>

static inline void fclosep(FILE **f)
{
        if (*f)
                fclose(*f);
}

static inline bool exists_at(int dirfd, const char *path)
{
        return faccessat(dirfd, path, F_OK, 0) >= 0;
}

/* A whole file of at most `max` bytes (-EFBIG beyond it), NUL-terminated behind its end. */
_must_check_ int read_file_at(int dirfd, const char *path, size_t max, char **ret,
                              size_t *ret_size);

/* The same from an open descriptor. */
_must_check_ int read_fd(int fd, size_t max, char **ret, size_t *ret_size);

/* For reading line by line. */
_must_check_ int open_stream_at(int dirfd, const char *path, FILE **ret);

/* The first line of a small file (one page), without its newline. */
_must_check_ int read_line_at(int dirfd, const char *path, char **ret);

/* What a symbolic link points to. */
_must_check_ int readlink_at(int dirfd, const char *path, char **ret);

/* The last component of what a symbolic link points to. */
_must_check_ int readlink_name_at(int dirfd, const char *path, char **ret);

/* Opens a directory for reading below dirfd. */
_must_check_ int open_dir_at(int dirfd, const char *path);

/* The names in a directory, without those that begin with a dot, sorted. */
_must_check_ int list_dir_at(int dirfd, const char *path, char ***ret);

/* One write() of the whole text; a short write is -EIO. Never creates the file. */
_must_check_ int write_file_at(int dirfd, const char *path, const char *text);

/*
 * Replaces a file below dirfd: a temporary file beside it, fsync, rename, fsync of the directory.
 * At every moment the old or the new content is there. `path` may have folders; they must exist.
 */
_must_check_ int replace_file_at(int dirfd, const char *path, const char *data, size_t size,
                                 mode_t mode);
