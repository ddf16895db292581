/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the worker finds right before an unbind, beyond what the plan saw. */

#include "usage-fixture.h"
#include "worker/steps.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A node that somebody holds exclusively: that of the root file system. NULL: none to be had. */
static char *find_held_node(void)
{
        g_autofree char *path = NULL, *target = NULL, *name = NULL;
        struct stat st;
        char *node;
        int fd;

        g_assert_cmpint(stat("/", &st), ==, 0);
        path = g_strdup_printf("/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
        target = g_file_read_link(path, NULL);
        if (!target)
                return NULL;
        name = g_path_get_basename(target);
        node = g_strdup_printf("/dev/%s", name);
        fd = open(node, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno == EBUSY)
                return node;
        if (fd >= 0)
                close(fd);
        g_free(node);
        return NULL;
}

/* The first hazard that is not accepted, as the daemon gets it. */
static void assert_found(const FakeTree *t, HazardSet accept, const char *expected)
{
        WorkerRequest q = { .version = WORKER_PROTOCOL_VERSION,
                            .verb = WORKER_CHECK_USE,
                            .uid = UINT32_MAX,
                            .gid = UINT32_MAX,
                            .mode = UINT32_MAX,
                            .accept = accept };
        g_autofree char *text = NULL;
        WorkerReply p;
        int r;

        g_assert_cmpint(pci_address_parse(FIRST, &q.address), ==, 0);
        r = step_run(&t->root, &q, &p);
        g_assert_cmpint(r, ==, expected ? -EBUSY : 0);
        if (p.hazard != REASON_NONE)
                text = g_strdup_printf("%s: %s", reason_to_string((Reason)p.hazard), p.text);
        g_assert_cmpstr(text, ==, expected);
}

static void test_what_the_plan_sees(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("igb");

        fake_attribute(t, FIRST, "net/eth4/flags", "0x1002\n");
        assert_found(t, 0, NULL);
        fake_file(t, "proc/net/route",
                  "eth4 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n"
                  "eth4 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n");
        assert_found(t, 0, "network-route: eth4 carries the default route");
        assert_found(t, hazard_bit(REASON_NETWORK_ROUTE),
                     "network-address: eth4 has an address in 192.0.2.0/24");
        assert_found(t, hazard_bit(REASON_NETWORK_ROUTE) | hazard_bit(REASON_NETWORK_ADDRESS),
                     NULL);
}

static void test_open_node(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("vfio-pci");
        g_autofree char *held = find_held_node();

        fake_file(t, "proc/1234/comm", "qemu\n");
        fake_link(t, "proc/1234/fd/9", "/dev/vfio/17");
        /* No node: an old link. One that opens: not in use. */
        assert_found(t, 0, NULL);
        fake_file(t, "dev/vfio/17", "");
        assert_found(t, 0, NULL);
        /* One that says nothing. */
        fake_remove(t, "dev/vfio/17");
        fake_link(t, "dev/vfio/17", "17");
        assert_found(t, 0, "device-in-use: qemu (1234) has /dev/vfio/17 open");
        assert_found(t, hazard_bit(REASON_DEVICE_IN_USE), NULL);
        if (!held) {
                g_test_skip("no block device is held exclusively here");
                return;
        }
        fake_link(t, "dev/vfio/17", held);
        assert_found(t, 0, "device-in-use: qemu (1234) has /dev/vfio/17 open");
        fake_remove(t, "proc/1234/fd/9");
        assert_found(t, 0, "device-in-use: a program has /dev/vfio/17 open, or a device of it");
}

/* Where the kernel has nodes of devices, these are not tried. */
static void test_open_node_of_a_device(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("vfio-pci");

        fake_attribute(t, FIRST, "vfio-dev/vfio3/dev", "511:3\n");
        fake_file(t, "proc/1234/comm", "qemu\n");
        fake_link(t, "proc/1234/fd/9", "/dev/vfio/devices/vfio3");
        assert_found(t, 0, "device-in-use: qemu (1234) has /dev/vfio/devices/vfio3 open");
}

static void test_disk_held_exclusively(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("nvme");
        g_autofree char *held = find_held_node();

        fake_file(t, "sys/devices/pci0000:00/" FIRST "/nvme/nvme0/nvme0n1/dev", "259:0\n");
        fake_link(t, "sys/class/block/nvme0n1",
                  "../../devices/pci0000:00/" FIRST "/nvme/nvme0/nvme0n1");
        assert_found(t, 0, NULL);
        fake_file(t, "dev/nvme0n1", "");
        assert_found(t, 0, NULL);
        if (!held) {
                g_test_skip("no block device is held exclusively here");
                return;
        }
        fake_link(t, "dev/nvme0n1", held);
        assert_found(t, 0, "block-holder: /dev/nvme0n1 is held exclusively");
        fake_file(t, "proc/77/comm", "targetd\n");
        fake_link(t, "proc/77/fd/4", "/dev/nvme0n1");
        assert_found(t, 0, "block-holder: /dev/nvme0n1 is held exclusively, opened by 77 targetd");
        assert_found(t, hazard_bit(REASON_BLOCK_HOLDER), NULL);
        /* What is known already is not told again by another name. */
        fake_file(t, "proc/1/mountinfo", "22 1 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
        assert_found(t, 0, "mounted-filesystem: /dev/nvme0n1 is mounted at /srv");
        assert_found(t, hazard_bit(REASON_MOUNTED_FILESYSTEM), NULL);
}

#define TEST(name) g_test_add_func("/check-use/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(what_the_plan_sees);
        TEST(open_node);
        TEST(open_node_of_a_device);
        TEST(disk_held_exclusively);
        return g_test_run();
}
