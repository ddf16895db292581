/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The floor of the benchmarks: the writes that binding and releasing need, one after another, and
 * nothing else.
 *
 *   floor bind ADDRESS...       to vfio-pci
 *   floor release ADDRESS...    to the host driver that the kernel picks
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices/"

/* Unbinding a device without a driver fails with ENOENT, which is no error here. */
static void put(const char *path, const char *value)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
                return;
        if (fd < 0 || write(fd, value, strlen(value)) < 0) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        close(fd);
}

static void move(const char *address, const char *driver_override)
{
        char path[128];

        snprintf(path, sizeof(path), DEVICES "%s/driver_override", address);
        put(path, driver_override);
        snprintf(path, sizeof(path), DEVICES "%s/driver/unbind", address);
        put(path, address);
        put("/sys/bus/pci/drivers_probe", address);
}

int main(int argc, char *argv[])
{
        const char *driver_override;

        if (argc < 3) {
                fprintf(stderr, "usage: floor bind|release ADDRESS...\n");
                return 2;
        }
        driver_override = strcmp(argv[1], "bind") == 0 ? "vfio-pci" : "\n";
        for (int i = 2; i < argc; i++)
                move(argv[i], driver_override);
        return EXIT_SUCCESS;
}
