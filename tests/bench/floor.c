/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The floor of the benchmarks: the writes that binding, releasing and making VFs need, one after
 * another, and nothing else.
 *
 *   floor bind ADDRESS...       to vfio-pci
 *   floor release ADDRESS...    to the host driver that the kernel picks
 *   floor clear ADDRESS...      to no driver, without an override
 *   floor create PF COUNT       from no VF to this many on vfio-pci, without a probe by another
 * driver
 */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices/"

static void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

/* Unbinding a device without a driver fails with ENOENT, which is no error here. */
static void put(const char *path, const char *value)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
                return;
        if (fd < 0 || write(fd, value, strlen(value)) < 0)
                die(path);
        close(fd);
}

static void put_in(const char *address, const char *name, const char *value)
{
        char path[128];

        snprintf(path, sizeof(path), DEVICES "%s/%s", address, name);
        put(path, value);
}

static void move(const char *address, const char *driver_override, int probe)
{
        put_in(address, "driver_override", driver_override);
        put_in(address, "driver/unbind", address);
        if (probe)
                put("/sys/bus/pci/drivers_probe", address);
}

static void create(const char *pf, const char *count)
{
        put_in(pf, "sriov_drivers_autoprobe", "0");
        put_in(pf, "sriov_numvfs", count);
        for (int i = 0; i < atoi(count); i++) {
                char path[128], target[512] = "";

                snprintf(path, sizeof(path), DEVICES "%s/virtfn%d", pf, i);
                if (readlink(path, target, sizeof(target) - 1) < 0)
                        die(path);
                put_in(basename(target), "driver_override", "vfio-pci");
                put("/sys/bus/pci/drivers_probe", basename(target));
        }
        put_in(pf, "sriov_drivers_autoprobe", "1");
}

int main(int argc, char *argv[])
{
        const char *verb = argc > 1 ? argv[1] : "";

        if (argc < 3) {
                fprintf(stderr, "usage: floor bind|release|clear ADDRESS... | create PF COUNT\n");
                return 2;
        }
        if (strcmp(verb, "create") == 0) {
                create(argv[2], argc > 3 ? argv[3] : "1");
                return EXIT_SUCCESS;
        }
        for (int i = 2; i < argc; i++)
                move(argv[i], strcmp(verb, "bind") == 0 ? "vfio-pci" : "\n",
                     strcmp(verb, "clear") != 0);
        return EXIT_SUCCESS;
}
