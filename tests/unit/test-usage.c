/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fake-tree.h"
#include "sys/holders.h"
#include "sys/scan.h"
#include "sys/usage.h"

#define FIRST "0000:41:10.0"
#define SECOND "0000:41:10.2"
#define ALIAS "pci:v00008086d000010CAsv00008086sd0000A03Cbc02sc00i00\n"

/* Two VFs in groups 17 and 18, on a VFIO driver or on a host's. */
static FakeTree *host_with_vfs(const char *driver)
{
        FakeTree *t = fake_new();

        fake_device(t, "pci0000:00", FIRST, ALIAS);
        fake_device(t, "pci0000:00", SECOND, ALIAS);
        fake_group(t, FIRST, 17);
        fake_group(t, SECOND, 18);
        fake_driver(t, FIRST, driver);
        fake_driver(t, SECOND, driver);
        return t;
}

static void open_node(const FakeTree *t, const char *pid, const char *name, const char *fd,
                      const char *node)
{
        g_autofree char *comm = g_strdup_printf("proc/%s/comm", pid);
        g_autofree char *link = g_strdup_printf("proc/%s/fd/%s", pid, fd);
        g_autofree char *line = g_strdup_printf("%s\n", name);

        fake_file(t, comm, line);
        fake_link(t, link, node);
}

/* Who uses the two; to be freed. */
static void read_users(const FakeTree *t, char *users[static 2])
{
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        _cleanup_(use_table_done) UseTable table = { 0 };
        static const char *const addresses[] = { FIRST, SECOND };
        PciAddress a;

        g_assert_cmpint(scan_all(&t->root, &inv), ==, 0);
        for (size_t i = 0; i < 2; i++) {
                g_assert_cmpint(pci_address_parse(addresses[i], &a), ==, 0);
                g_assert_cmpint(use_table_ask(&table, &a), ==, 0);
        }
        g_assert_cmpint(usage_read(&t->root, inv, &table), ==, 0);
        for (size_t i = 0; i < 2; i++) {
                const Use *use = use_table_find(&table, &table.asked[i], REASON_NONE);

                users[i] = use ? g_strdup_printf("%s: %s", reason_to_string(use->hazard), use->by)
                               : NULL;
        }
}

static void assert_users(const FakeTree *t, const char *first, const char *second)
{
        char *users[2];

        read_users(t, users);
        g_assert_cmpstr(users[0], ==, first);
        g_assert_cmpstr(users[1], ==, second);
        g_free(users[0]);
        g_free(users[1]);
}

static void test_nobody(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("vfio-pci");

        assert_users(t, NULL, NULL);
        open_node(t, "1", "systemd", "3", "/dev/null");
        open_node(t, "77", "other", "3", "/dev/vfio/vfio");
        open_node(t, "78", "other", "3", "/dev/vfio/1");
        assert_users(t, NULL, NULL);
}

static void test_open_nodes(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("vfio-pci");

        fake_attribute(t, SECOND, "vfio-dev/vfio3/dev", "511:3\n");
        open_node(t, "1234", "qemu-system-x86", "9", "/dev/vfio/17");
        open_node(t, "99", "b\xe9\tn", "4", "/dev/vfio/devices/vfio3");
        assert_users(t, "device-in-use: qemu-system-x86 (1234) has /dev/vfio/17 open",
                     "device-in-use: b??n (99) has /dev/vfio/devices/vfio3 open");
}

/* The link to the driver goes before the device is let go of (kernel: drivers/base/dd.c). */
static void test_open_while_it_is_unbound(void)
{
        g_autoptr(FakeTree) t = host_with_vfs(NULL);

        open_node(t, "1234", "qemu", "9", "/dev/vfio/18");
        assert_users(t, NULL, "device-in-use: qemu (1234) has /dev/vfio/18 open");
}

static void test_network_interfaces(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("igbvf");

        fake_attribute(t, FIRST, "net/eth4/flags", "0x1002\n");
        fake_attribute(t, FIRST, "net/eth5/flags", "0x1003\n");
        fake_attribute(t, SECOND, "net/eth6/flags", "0x1002\n");
        assert_users(t, "vfs-in-use: its network interface eth5 is up", NULL);
        fake_remove(t, "sys/bus/pci/devices/" SECOND "/net/eth6/flags");
        fake_remove(t, "sys/bus/pci/devices/" SECOND "/net/eth6");
        assert_users(t, "vfs-in-use: its network interface eth5 is up",
                     "network-address: its network interface is in another network namespace");
}

static void add_block(const FakeTree *t, const char *place, const char *name, const char *number)
{
        g_autofree char *dev = g_strdup_printf("sys/devices/%s/%s/dev", place, name);
        g_autofree char *link = g_strdup_printf("sys/class/block/%s", name);
        g_autofree char *target = g_strdup_printf("../../devices/%s/%s", place, name);

        if (number)
                fake_file(t, dev, number);
        else
                fake_parent(t, dev);
        fake_link(t, link, target);
}

static void mounted(const FakeTree *t, const char *line)
{
        fake_file(t, "proc/1/mountinfo", line);
}

static void test_block_devices(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("nvme");

        add_block(t, "pci0000:00/" FIRST "/nvme/nvme2", "nvme2n1", "259:4\n");
        add_block(t, "pci0000:00/" FIRST "/nvme/nvme2/nvme2n1", "nvme2n1p1", "259:5\n");
        add_block(t, "pci0000:00/" SECOND "/nvme/nvme3", "nvme3n1", "259:6\n");
        add_block(t, "pci0000:00/0000:00:03.0/virtio1/block", "vda", "254:0\n");
        mounted(t, "22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n");
        assert_users(t, NULL, NULL);
        mounted(t, "22 1 259:5 / /data rw shared:1 - ext4 /dev/somewhere rw\n");
        assert_users(t, "mounted-filesystem: its block device nvme2n1p1 is mounted", NULL);
        mounted(t, "22 1 0:45 / /data rw shared:1 - btrfs /dev/nvme3n1 rw\n");
        assert_users(t, NULL, "mounted-filesystem: its block device nvme3n1 is mounted");
        mounted(t, "");
        fake_file(t, "proc/swaps", "Filename\tType\tSize\n/dev/nvme2n1p1   partition\t1\t0\t-2\n");
        assert_users(t, "swap: its block device nvme2n1p1 is used as swap", NULL);
        fake_directory(t, "sys/class/block/nvme3n1/holders/dm-0");
        assert_users(t, "swap: its block device nvme2n1p1 is used as swap",
                     "block-holder: its block device nvme3n1 is used by dm-0");
}

/* A namespace that another controller still reaches is not lost with these two. */
static void test_shared_namespace(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("nvme");
        const char *const subsystem = "virtual/nvme-subsystem/nvme-subsys0";

        add_block(t, "pci0000:00/" FIRST "/nvme/nvme1", "nvme0c1n1", NULL);
        add_block(t, "pci0000:00/" SECOND "/nvme/nvme2", "nvme0c2n1", NULL);
        add_block(t, "pci0000:00/0000:41:00.0/nvme/nvme0", "nvme0c0n1", NULL);
        add_block(t, subsystem, "nvme0n1", "259:1\n");
        add_block(t, "virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "nvme0n1p1", "259:2\n");
        mounted(t, "22 1 259:2 / / rw - ext4 /dev/nvme0n1p1 rw\n");
        assert_users(t, NULL, NULL);
        fake_remove(t, "sys/class/block/nvme0c0n1");
        assert_users(t, NULL, "mounted-filesystem: its block device nvme0n1p1 is mounted");
}

static void test_holders_of_one_node(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("vfio-pci");
        _cleanup_strv_ char **holders = NULL;

        open_node(t, "1234", "qemu", "9", "/dev/vfio/17");
        open_node(t, "1234", "qemu", "10", "/dev/vfio/17");
        open_node(t, "77", "other", "3", "/dev/vfio/18");
        g_assert_cmpint(holders_of_node(&t->root, "/dev/vfio/17", &holders), ==, 0);
        g_assert_cmpuint(strv_length(holders), ==, 1);
        g_assert_cmpstr(holders[0], ==, "1234 qemu");
}

#define TEST(name) g_test_add_func("/usage/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(nobody);
        TEST(open_nodes);
        TEST(open_while_it_is_unbound);
        TEST(network_interfaces);
        TEST(block_devices);
        TEST(shared_namespace);
        TEST(holders_of_one_node);
        return g_test_run();
}
