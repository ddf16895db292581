/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/io.h"
#include "basic/strv.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

enum { LINE_MAX_SIZE = 4096 };

int read_fd(int fd, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *buffer = NULL;
        size_t size = 0, allocated = 0;

        for (;;) {
                ssize_t n;

                if (size + 1 >= allocated) {
                        size_t want = MIN(MAX(allocated * 2, (size_t)512), max + 2);
                        char *grown;

                        if (size > max)
                                return -EFBIG;
                        grown = realloc(buffer, want);
                        if (!grown)
                                return -ENOMEM;
                        buffer = grown;
                        allocated = want;
                }
                n = read(fd, buffer + size, allocated - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        if (size > max)
                return -EFBIG;
        buffer[size] = 0;
        *ret = TAKE_PTR(buffer);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int read_file_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        if (fd < 0)
                return -errno;
        return read_fd(fd, max, ret, ret_size);
}

int open_stream_at(int dirfd, const char *path, FILE **ret)
{
        _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        if (fd < 0)
                return -errno;
        *ret = fdopen(fd, "r");
        if (!*ret)
                return -errno;
        (void)TAKE_FD(fd);
        return 0;
}

int read_line_at(int dirfd, const char *path, char **ret)
{
        _cleanup_free_ char *text = NULL;
        int r = read_file_at(dirfd, path, LINE_MAX_SIZE, &text, NULL);

        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = 0;
        *ret = TAKE_PTR(text);
        return 0;
}

int readlink_at(int dirfd, const char *path, char **ret)
{
        char target[PATH_MAX];
        char *copy;
        ssize_t n = readlinkat(dirfd, path, target, sizeof(target) - 1);

        if (n < 0)
                return -errno;
        target[n] = 0;
        copy = strdup(target);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int readlink_name_at(int dirfd, const char *path, char **ret)
{
        _cleanup_free_ char *target = NULL;
        const char *slash;
        char *name;
        int r = readlink_at(dirfd, path, &target);

        if (r < 0)
                return r;
        slash = strrchr(target, '/');
        name = strdup(slash ? slash + 1 : target);
        if (!name)
                return -ENOMEM;
        *ret = name;
        return 0;
}

int open_dir_at(int dirfd, const char *path)
{
        int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int is_visible(const struct dirent *e)
{
        return e->d_name[0] != '.';
}

int list_dir_at(int dirfd, const char *path, char ***ret)
{
        struct dirent **entries = NULL;
        char **names;
        int n = scandirat(dirfd, path, &entries, is_visible, NULL);

        if (n < 0)
                return -errno;
        names = n > 0 ? calloc((size_t)n + 1, sizeof(char *)) : NULL;
        for (int i = 0; i < n; i++) {
                char *name = entries[i]->d_name;

                if (names) /* in the memory of its entry */
                        names[i] = memmove(entries[i], name, strlen(name) + 1);
                else
                        free(entries[i]);
        }
        free(entries);
        if (n > 0 && !names)
                return -ENOMEM;
        strv_sort(names);
        *ret = names;
        return 0;
}

int write_file_at(int dirfd, const char *path, const char *text)
{
        size_t size = strlen(text);
        ssize_t n;
        _cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        n = write(fd, text, size);
        if (n < 0)
                return -errno;
        return (size_t)n == size ? 0 : -EIO;
}

static int write_all(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t)n;
        }
        return 0;
}

static int sync_parent(int dirfd, const char *path)
{
        _cleanup_free_ char *parent = strdup(path);
        _cleanup_close_ int fd = -EBADF;
        char *slash;

        if (!parent)
                return -ENOMEM;
        slash = strrchr(parent, '/');
        if (slash)
                *slash = 0;
        fd = open_dir_at(dirfd, slash ? parent : ".");
        if (fd < 0)
                return fd;
        return fsync(fd) < 0 ? -errno : 0;
}

int replace_file_at(int dirfd, const char *path, const char *data, size_t size, mode_t mode)
{
        _cleanup_free_ char *temporary = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (asprintf(&temporary, "%s.new", path) < 0)
                return -ENOMEM;
        if (unlinkat(dirfd, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return -errno;
        r = write_all(fd, data, size);
        if (r >= 0 && fchmod(fd, mode) < 0)
                r = -errno;
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        if (r >= 0 && renameat(dirfd, temporary, dirfd, path) < 0)
                r = -errno;
        if (r < 0) {
                (void)unlinkat(dirfd, temporary, 0);
                return r;
        }
        return sync_parent(dirfd, path);
}
