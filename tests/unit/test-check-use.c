/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the worker finds right before an unbind, beyond what the plan saw. */

#include "usage-fixture.h"
#include "worker/steps.h"

#include <linux/loop.h>
#include <sys/ioctl.h>

/*
 * A loop device that is held exclusively until both descriptors are closed, which also ends it.
 * NULL: we may not make one.
 */
static char *hold_loop_device(const FakeTree *t, int fds[static 2])
{
        struct loop_info64 info = { .lo_flags = LO_FLAGS_AUTOCLEAR };
        _cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        _cleanup_close_ int file = -EBADF;
        g_autofree char *image = fake_path(t, "image"), *text = g_strnfill(65536, 'x');
        int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
        char *node = g_strdup_printf("/dev/loop%d", number);

        fake_file(t, "image", text);
        file = open(image, O_RDWR | O_CLOEXEC);
        fds[0] = number < 0 ? -1 : open(node, O_RDWR | O_CLOEXEC);
        fds[1] = -1;
        if (fds[0] >= 0 && ioctl(fds[0], LOOP_SET_FD, file) >= 0 &&
            ioctl(fds[0], LOOP_SET_STATUS64, &info) >= 0)
                fds[1] = open(node, O_RDONLY | O_EXCL | O_CLOEXEC);
        if (fds[1] >= 0)
                return node;
        closep(&fds[0]);
        g_free(node);
        return NULL;
}

/* The first hazard that is not accepted, as the daemon gets it. */
static void assert_answer(const FakeTree *t, HazardSet accept, bool planned, const char *expected)
{
        WorkerRequest q = { .version = WORKER_PROTOCOL_VERSION,
                            .verb = WORKER_CHECK_USE,
                            .uid = UINT32_MAX,
                            .gid = UINT32_MAX,
                            .mode = UINT32_MAX,
                            .accept = accept,
                            .planned = planned };
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

static void assert_found(const FakeTree *t, HazardSet accept, const char *expected)
{
        assert_answer(t, accept, /* planned= */ false, expected);
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
        assert_answer(t, 0, /* planned= */ true, NULL);
}

static void test_open_node(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("vfio-pci");

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
        g_autofree char *held = NULL;
        int fds[2];

        fake_file(t, "sys/devices/pci0000:00/" FIRST "/nvme/nvme0/nvme0n1/dev", "259:0\n");
        fake_link(t, "sys/class/block/nvme0n1",
                  "../../devices/pci0000:00/" FIRST "/nvme/nvme0/nvme0n1");
        assert_found(t, 0, NULL);
        fake_file(t, "dev/nvme0n1", "");
        assert_found(t, 0, NULL);
        held = hold_loop_device(t, fds);
        if (!held) {
                g_test_skip("loop devices cannot be made here");
                return;
        }
        fake_link(t, "dev/nvme0n1", held);
        assert_found(t, 0, "block-holder: /dev/nvme0n1 is held exclusively");
        assert_answer(t, 0, true, "block-holder: /dev/nvme0n1 is held exclusively");
        fake_file(t, "proc/77/comm", "targetd\n");
        fake_link(t, "proc/77/fd/4", "/dev/nvme0n1");
        assert_found(t, 0, "block-holder: /dev/nvme0n1 is held exclusively, opened by 77 targetd");
        assert_found(t, hazard_bit(REASON_BLOCK_HOLDER), NULL);
        /* What is known already is not told again by another name. */
        fake_file(t, "proc/1/mountinfo", "22 1 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
        assert_found(t, 0, "mounted-filesystem: /dev/nvme0n1 is mounted at /srv");
        assert_found(t, hazard_bit(REASON_MOUNTED_FILESYSTEM), NULL);
        assert_answer(t, 0, true, "mounted-filesystem: /dev/nvme0n1 is mounted at /srv");
        assert_answer(t, hazard_bit(REASON_MOUNTED_FILESYSTEM), true, NULL);
        close(fds[1]);
        close(fds[0]);
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
