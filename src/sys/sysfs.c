/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/sysfs.h"

#include <ctype.h>
#include <stdio.h>

enum { NAME_MAX_LENGTH = 63 };

bool sysfs_name_is_valid(const char *name)
{
        size_t n = 0;

        if (isempty(name) || name[0] == '.')
                return false;
        for (; name[n]; n++)
                if (n == NAME_MAX_LENGTH ||
                    (!isalnum((unsigned char)name[n]) && !strchr("_.+-", name[n])))
                        return false;
        return true;
}

const char *sysfs_path(const char *folder, const char *name, const char *attribute,
                       char buffer[static SYSFS_PATH_SIZE])
{
        snprintf(buffer, SYSFS_PATH_SIZE, "%s/%s/%s", folder, name, attribute);
        return buffer;
}
