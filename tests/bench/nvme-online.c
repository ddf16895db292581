/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Brings the VFs of an NVMe controller online, so that the host's driver can work with them: each
 * gets two queue pairs and an interrupt from what the PF can spare.
 *
 *   nvme-online share DEVICE       takes from the PF what it can spare; before there are VFs
 *   nvme-online vfs DEVICE COUNT   brings the first COUNT VFs online; while they have no driver
 */

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* NVMe base specification 2.0, 5.26 (Virtualization Management) and 5.17 (Identify). */
enum {
        IDENTIFY = 0x06,
        VIRTUALIZATION_MANAGEMENT = 0x1c,
        SECONDARY_CONTROLLERS = 0x15,
        ENTRY_SIZE = 32,
        ENTRIES_MAX = 127,
};

enum { PRIMARY_ALLOCATE = 1, SECONDARY_ASSIGN = 8, SECONDARY_ONLINE = 9 };
enum { QUEUES, INTERRUPTS };

static void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

static void admin(int fd, struct nvme_admin_cmd *command, const char *what)
{
        int r = ioctl(fd, NVME_IOCTL_ADMIN_CMD, command);

        if (r < 0)
                die(what);
        if (r > 0) {
                fprintf(stderr, "%s: NVMe status %#x\n", what, (unsigned)r);
                exit(EXIT_FAILURE);
        }
}

static void manage(int fd, unsigned controller, unsigned resource, unsigned action, unsigned number)
{
        struct nvme_admin_cmd command = {
                .opcode = VIRTUALIZATION_MANAGEMENT,
                .cdw10 = controller << 16 | resource << 8 | action,
                .cdw11 = number,
        };

        admin(fd, &command, "Virtualization Management");
}

static void share(int fd)
{
        manage(fd, 0, QUEUES, PRIMARY_ALLOCATE, 0);
        manage(fd, 0, INTERRUPTS, PRIMARY_ALLOCATE, 0);
        if (ioctl(fd, NVME_IOCTL_RESET) < 0)
                die("NVME_IOCTL_RESET");
}

static unsigned u16(const uint8_t *p)
{
        return p[0] | (unsigned)p[1] << 8;
}

static void bring_online(int fd, unsigned count)
{
        static uint8_t list[4096];
        struct nvme_admin_cmd command = {
                .opcode = IDENTIFY,
                .addr = (uintptr_t)list,
                .data_len = sizeof(list),
                .cdw10 = SECONDARY_CONTROLLERS,
        };

        admin(fd, &command, "Identify");
        for (unsigned i = 0; i < list[0] && i < ENTRIES_MAX; i++) {
                const uint8_t *entry = list + (i + 1) * ENTRY_SIZE;
                unsigned controller = u16(entry), number = u16(entry + 8);

                if (number == 0 || number > count)
                        continue;
                manage(fd, controller, QUEUES, SECONDARY_ASSIGN, 2);
                manage(fd, controller, INTERRUPTS, SECONDARY_ASSIGN, 1);
                manage(fd, controller, 0, SECONDARY_ONLINE, 0);
        }
}

int main(int argc, char *argv[])
{
        int fd;

        if (argc < 3 || argc > 4) {
                fprintf(stderr, "usage: nvme-online share DEVICE | vfs DEVICE COUNT\n");
                return 2;
        }
        fd = open(argv[2], O_RDWR | O_CLOEXEC);
        if (fd < 0)
                die(argv[2]);
        if (argc == 3)
                share(fd);
        else
                bring_online(fd, (unsigned)atoi(argv[3]));
        return EXIT_SUCCESS;
}
