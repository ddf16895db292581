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

static int compose(const char *folder, const char *name, const char *attribute,
                   char buffer[static SYSFS_PATH_SIZE])
{
        char path[SYSFS_PATH_SIZE];
        int n;

        if (attribute && !sysfs_name_is_valid(attribute))
                return -EINVAL;
        n = snprintf(path, sizeof(path), "%s/%s%s%s", folder, name, attribute ? "/" : "",
                     strempty(attribute));
        if (n < 0 || (size_t)n >= sizeof(path))
                return -ENAMETOOLONG;
        memcpy(buffer, path, (size_t)n + 1);
        return 0;
}

int sysfs_device_path(const PciAddress *a, const char *attribute,
                      char buffer[static SYSFS_PATH_SIZE])
{
        return compose(SYSFS_PCI_DEVICES, PCI_ADDRESS_STR(a), attribute, buffer);
}

int sysfs_driver_path(const char *driver, const char *attribute,
                      char buffer[static SYSFS_PATH_SIZE])
{
        if (!sysfs_name_is_valid(driver))
                return -EINVAL;
        return compose(SYSFS_PCI_DRIVERS, driver, attribute, buffer);
}
