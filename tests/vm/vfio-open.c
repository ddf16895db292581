/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program that uses devices, as small as can be.
 *
 *   vfio-open status GROUP           prints "viable" or "not viable"
 *   vfio-open hold GROUP ADDRESS     opens the device, prints "open", waits to be killed
 *   vfio-open exclusive DISK         the same with a block device that it wants for itself
 */

#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

static int open_group(const char *number)
{
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/dev/vfio/%s", number);
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                die(path);
        return fd;
}

static int group_is_viable(int group)
{
        struct vfio_group_status status = { .argsz = sizeof(status) };

        if (ioctl(group, VFIO_GROUP_GET_STATUS, &status) < 0)
                die("VFIO_GROUP_GET_STATUS");
        return !!(status.flags & VFIO_GROUP_FLAGS_VIABLE);
}

static void open_device(int group, const char *address)
{
        int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

        if (container < 0)
                die("/dev/vfio/vfio");
        if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0)
                die("VFIO_GROUP_SET_CONTAINER");
        if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) < 0)
                die("VFIO_SET_IOMMU");
        if (ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address) < 0)
                die("VFIO_GROUP_GET_DEVICE_FD");
}

static void open_exclusively(const char *path)
{
        if (open(path, O_RDONLY | O_EXCL | O_CLOEXEC) < 0)
                die(path);
}

/* Ends when it is killed. */
static void hold_open(void)
{
        puts("open");
        fflush(stdout);
        for (;;)
                pause();
}

int main(int argc, char *argv[])
{
        int group;

        if (argc == 3 && strcmp(argv[1], "status") == 0) {
                puts(group_is_viable(open_group(argv[2])) ? "viable" : "not viable");
                return EXIT_SUCCESS;
        }
        if (argc == 4 && strcmp(argv[1], "hold") == 0) {
                group = open_group(argv[2]);
                open_device(group, argv[3]);
                hold_open();
        }
        if (argc == 3 && strcmp(argv[1], "exclusive") == 0) {
                open_exclusively(argv[2]);
                hold_open();
        }
        fprintf(stderr, "usage: vfio-open status GROUP | hold GROUP ADDRESS | exclusive DISK\n");
        return 2;
}
