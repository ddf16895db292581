/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/sysfs.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "basic/strv.h"

#include <ctype.h>
#include <stdio.h>

const char *sysfs_path(const char *folder, const char *name, const char *attribute,
                       char buffer[static SYSFS_PATH_SIZE])
{
        snprintf(buffer, SYSFS_PATH_SIZE, "%s/%s/%s", folder, name, attribute);
        return buffer;
}

bool sysfs_name_is_valid(const char *s)
{
        for (const char *c = s; *c; c++)
                if (*c == '/' || iscntrl((unsigned char)*c))
                        return false;
        return s[0] && s[0] != '.' && !streq(s, "(null)"); /* that is how no override reads */
}

uint64_t sysfs_read_number(int dirfd, const char *path, uint64_t max, uint64_t fallback)
{
        _cleanup_free_ char *text = NULL;
        const char *hex;
        uint64_t value;

        if (read_line_at(dirfd, path, &text) < 0)
                return fallback;
        hex = startswith(text, "0x");
        return parse_uint(hex ? hex : text, hex ? 16 : 10, max, &value) < 0 ? fallback : value;
}

int sysfs_open_net(int device, const char *driver)
{
        _cleanup_close_ int below = -EBADF;
        _cleanup_strv_ char **names = NULL;

        if (streq_ptr(driver, "virtio-pci") && list_dir_at(device, ".", &names) >= 0)
                STRV_FOREACH(name, names)
                        if (below < 0 && startswith(*name, "virtio"))
                                below = open_dir_at(device, *name);
        return open_dir_at(below >= 0 ? below : device, "net");
}
