/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static char root_path[PATH_MAX];

void fuzz_fail(const char *file, int line, const char *text)
{
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
        abort();
}

char *fuzz_text(const uint8_t *data, size_t size)
{
        char *text = strndup(size > 0 ? (const char *)data : "", size);

        CHECK(text);
        return text;
}

char *fuzz_line(const uint8_t **data, size_t *size)
{
        const uint8_t *newline = *size > 0 ? memchr(*data, '\n', *size) : NULL;
        size_t n = newline ? (size_t)(newline - *data) : *size;
        char *line = fuzz_text(*data, n);

        n += newline != NULL;
        *data += n;
        *size -= n;
        return line;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static void remove_root(void)
{
        (void)nftw(root_path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_root_path(void)
{
        const char *folder = getenv("TMPDIR");

        if (!root_path[0]) {
                snprintf(root_path, sizeof(root_path), "%s/vfiod-fuzz-XXXXXX",
                         isempty(folder) ? "/tmp" : folder);
                CHECK(mkdtemp(root_path));
                CHECK(atexit(remove_root) == 0);
        }
        return root_path;
}

int fuzz_root(void)
{
        static int fd = -EBADF;

        if (fd < 0)
                fd = open(fuzz_root_path(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        CHECK(fd >= 0);
        return fd;
}

static void make_folders(const char *path)
{
        char folder[PATH_MAX];

        for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
                CHECK(mkdirat(fuzz_root(), folder, 0755) >= 0 || errno == EEXIST);
        }
}

void fuzz_file(const char *path, const void *data, size_t size)
{
        const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
        _cleanup_close_ int fd = openat(fuzz_root(), path, flags, 0644);

        if (fd < 0) {
                make_folders(path);
                fd = openat(fuzz_root(), path, flags, 0644);
        }
        CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

void fuzz_remove(const char *path)
{
        CHECK(unlinkat(fuzz_root(), path, 0) >= 0 || errno == ENOENT || errno == ENOTDIR);
}
