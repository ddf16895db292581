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
        _cleanup_free_ char *line = NULL;
        int r = read_line_at(root->sys, SYSFS_DEVICE_PATH(a, "driver_override"), &line);

        if (r < 0)
                return r;
        /* The kernel prints a NULL string: a driver really called so cannot be told from unset. */
        *ret = isempty(line) || streq(line, "(null)") ? NULL : TAKE_PTR(line);
        return 0;
}

/* False also where not that much can be read, as for a user other than root. */
static bool read_dword(int fd, off_t offset, uint32_t *ret)
{
        uint32_t value;

        if (pread(fd, &value, sizeof(value), offset) != sizeof(value))
                return false;
        *ret = le32toh(value);
        return true;
}

/* The offset of an extended capability, 0: none of that kind. */
static unsigned find_capability(int fd, unsigned id)
{
        unsigned offset = EXTENDED_START;
        uint32_t header;

        for (unsigned i = 0; i < EXTENDED_MAX && offset >= EXTENDED_START; i++) {
                if (!read_dword(fd, offset, &header) || header == 0 || header == UINT32_MAX)
                        return 0;
                if ((header & 0xffff) == id)
                        return offset;
                offset = header >> 20 & 0xffc;
        }
        return 0;
}

int inspect_serial(const Sysroot *root, const PciAddress *a, bool *ret_has, uint64_t *ret)
{
        uint32_t lower = 0, upper = 0;
        unsigned offset;
        _cleanup_close_ int fd =
                openat(root->sys, SYSFS_DEVICE_PATH(a, "config"), O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        offset = find_capability(fd, CAPABILITY_SERIAL);
        *ret_has = offset > 0 && read_dword(fd, offset + 4, &lower) &&
                   read_dword(fd, offset + 8, &upper);
        *ret = (uint64_t)upper << 32 | lower;
        return 0;
}
