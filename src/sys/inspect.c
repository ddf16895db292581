/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/inspect.h"
#include "basic/io.h"
#include "sys/sysfs.h"

#include <endian.h>
#include <fcntl.h>

enum {
        EXTENDED_START = 0x100,
        EXTENDED_END = 0x1000,
        EXTENDED_MAX = (EXTENDED_END - EXTENDED_START) / 8, /* capabilities that fit */
        CAPABILITY_SERIAL = 0x0003,
};

int inspect_override(const Sysroot *root, const PciAddress *a, char **ret)
{
        char path[SYSFS_PATH_SIZE];
        char *line;
        int r;

        r = sysfs_device_path(a, "driver_override", path);
        if (r < 0)
                return r;
        r = read_line_at(root->sys, path, &line);
        if (r < 0)
                return r;
        /* The kernel prints a NULL string: a driver really called so cannot be told from unset. */
        if (isempty(line) || streq(line, "(null)")) {
                free(line);
                line = NULL;
        }
        *ret = line;
        return 0;
}

/* -ENODATA: not that much to be read, as for a user other than root. */
static int read_dword(int fd, off_t offset, uint32_t *ret)
{
        uint32_t value;
        ssize_t n;

        n = pread(fd, &value, sizeof(value), offset);
        if (n < 0)
                return -errno;
        if (n != sizeof(value))
                return -ENODATA;
        *ret = le32toh(value);
        return 0;
}

/* The offset of an extended capability. -ENODATA: the function has none of that kind. */
static int find_capability(int fd, unsigned id)
{
        unsigned offset = EXTENDED_START;

        for (unsigned i = 0; i < EXTENDED_MAX && offset >= EXTENDED_START; i++) {
                uint32_t header = 0;
                int r;

                r = read_dword(fd, offset, &header);
                if (r < 0)
                        return r;
                if (header == 0 || header == UINT32_MAX)
                        break;
                if ((header & 0xffff) == id)
                        return (int)offset;
                offset = header >> 20 & 0xffc;
        }
        return -ENODATA;
}

int inspect_serial(const Sysroot *root, const PciAddress *a, bool *ret_has, uint64_t *ret)
{
        _cleanup_close_ int fd = -EBADF;
        char path[SYSFS_PATH_SIZE];
        uint32_t lower = 0, upper = 0;
        int offset, r;

        r = sysfs_device_path(a, "config", path);
        if (r < 0)
                return r;
        fd = openat(root->sys, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        offset = find_capability(fd, CAPABILITY_SERIAL);
        r = offset < 0 ? offset : read_dword(fd, offset + 4, &lower);
        if (r >= 0)
                r = read_dword(fd, offset + 8, &upper);
        if (r < 0 && r != -ENODATA)
                return r;
        *ret_has = r >= 0;
        *ret = (uint64_t)upper << 32 | lower;
        return 0;
}
