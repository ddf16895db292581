/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usage-fixture.h"

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
        assert_users(t, "mounted-filesystem: /dev/nvme2n1p1 is mounted at /data", NULL);
        mounted(t, "22 1 0:45 / /data rw shared:1 - btrfs /dev/nvme3n1 rw\n");
        assert_users(t, NULL, "mounted-filesystem: /dev/nvme3n1 is mounted at /data");
        mounted(t, "");
        fake_file(t, "proc/swaps", "Filename\tType\tSize\n/dev/nvme2n1p1   partition\t1\t0\t-2\n");
        assert_users(t, "swap: /dev/nvme2n1p1 is used as swap", NULL);
        fake_directory(t, "sys/class/block/nvme3n1/holders/dm-0");
        assert_users(t, "swap: /dev/nvme2n1p1 is used as swap",
                     "block-holder: /dev/dm-0 holds /dev/nvme3n1");
}

static void assert_blocks(const FakeTree *t, const char *expected)
{
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *joined = NULL;
        PciAddress a;

        g_assert_cmpint(pci_address_parse(FIRST, &a), ==, 0);
        g_assert_cmpint(usage_blocks(&t->root, &a, &names), ==, 0);
        joined = strv_join(names, " ");
        g_assert_cmpstr(joined, ==, expected);
}

/* The second function is below the first: a disk behind a port, or in the domain of a VMD. */
static void test_functions_below_one_another(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("nvme");

        add_block(t, "pci0000:00/" FIRST "/" SECOND "/nvme/nvme2", "nvme2n1", "259:4\n");
        mounted(t, "22 1 259:4 / /data rw shared:1 - ext4 /dev/somewhere rw\n");
        assert_users(t, "mounted-filesystem: /dev/nvme2n1 is mounted at /data",
                     "mounted-filesystem: /dev/nvme2n1 is mounted at /data");
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
        assert_users(t, NULL, "mounted-filesystem: /dev/nvme0n1p1 is mounted at /");
        /* Who only has a path has nothing of it. */
        add_block(t, "pci0000:00/0000:41:00.0/nvme/nvme0", "nvme0c0n1", NULL);
        assert_blocks(t, "");
}

#define DISK "pci0000:00/" FIRST "/nvme/nvme2"

/* nvme2n1 with two partitions below the first function, nvme3n1 below the second. */
static FakeTree *host_with_disks(void)
{
        FakeTree *t = host_with_vfs("nvme");

        add_block(t, DISK, "nvme2n1", "259:4\n");
        add_block(t, DISK "/nvme2n1", "nvme2n1p1", "259:5\n");
        add_block(t, DISK "/nvme2n1", "nvme2n1p2", "259:6\n");
        add_block(t, "pci0000:00/" SECOND "/nvme/nvme3", "nvme3n1", "259:7\n");
        mounted(t, "");
        return t;
}

static void add_stacked(const FakeTree *t, const char *name, const char *number, const char *below)
{
        g_autofree char *holder = g_strdup_printf("sys/class/block/%s/holders/%s", below, name);

        if (number)
                add_block(t, "virtual/block", name, number);
        fake_directory(t, holder);
}

static void add_dm(const FakeTree *t, const char *name, const char *number, const char *below,
                   const char *title)
{
        g_autofree char *path = g_strdup_printf("sys/class/block/%s/dm/name", name);

        add_stacked(t, name, number, below);
        fake_file(t, path, title);
}

static void test_logical_volumes(void)
{
        g_autoptr(FakeTree) t = host_with_disks();

        add_dm(t, "dm-0", "253:0\n", "nvme2n1p2", "vg-root\n");
        assert_users(t, "block-holder: /dev/dm-0 holds /dev/nvme2n1p2", NULL);
        mounted(t, "22 1 253:0 / /srv/my\\040data rw - xfs /dev/mapper/vg-root rw\n");
        assert_users(t,
                     "mounted-filesystem: /dev/dm-0 (vg-root) on /dev/nvme2n1p2 is mounted at "
                     "/srv/my data",
                     NULL);
        /* One that nobody uses is still there. */
        add_dm(t, "dm-1", "253:1\n", "nvme2n1p2", "vg-old\n");
        assert_users(t,
                     "mounted-filesystem: /dev/dm-0 (vg-root) on /dev/nvme2n1p2 is mounted at "
                     "/srv/my data\nblock-holder: /dev/dm-1 holds /dev/nvme2n1p2",
                     NULL);
        fake_file(t, "proc/swaps", "Filename Type Size\n/dev/dm-1 partition 1 0 -2\n");
        assert_users(t,
                     "mounted-filesystem: /dev/dm-0 (vg-root) on /dev/nvme2n1p2 is mounted at "
                     "/srv/my data\nswap: /dev/dm-1 (vg-old) on /dev/nvme2n1p2 is used as swap",
                     NULL);
}

/* The array, encrypted and partitioned, lies on disks of both. */
static void test_raid(void)
{
        g_autoptr(FakeTree) t = host_with_disks();

        add_stacked(t, "md0", "9:0\n", "nvme2n1");
        add_stacked(t, "md0", NULL, "nvme3n1");
        assert_users(t, "block-holder: /dev/md0 holds /dev/nvme2n1",
                     "block-holder: /dev/md0 holds /dev/nvme3n1");
        add_block(t, "virtual/block/md0", "md0p1", "259:20\n");
        add_dm(t, "dm-3", "253:3\n", "md0p1", "luks\n");
        mounted(t, "22 1 253:3 / /home rw - ext4 /dev/mapper/luks rw\n");
        assert_users(t, "mounted-filesystem: /dev/dm-3 (luks) on /dev/nvme2n1 is mounted at /home",
                     "mounted-filesystem: /dev/dm-3 (luks) on /dev/nvme3n1 is mounted at /home");
}

static void test_bcache(void)
{
        g_autoptr(FakeTree) t = host_with_disks();

        add_stacked(t, "bcache0", "251:0\n", "nvme2n1p1");
        fake_directory(t, "sys/class/block/nvme3n1/bcache");
        assert_users(t, "block-holder: /dev/bcache0 holds /dev/nvme2n1p1",
                     "block-holder: /dev/nvme3n1 is used by bcache");
        mounted(t, "22 1 251:0 / /srv rw - ext4 /dev/bcache0 rw\n");
        assert_users(t, "mounted-filesystem: /dev/bcache0 on /dev/nvme2n1p1 is mounted at /srv",
                     "block-holder: /dev/nvme3n1 is used by bcache");
}

static void test_loop_devices(void)
{
        g_autoptr(FakeTree) t = host_with_disks();

        add_block(t, "virtual/block", "loop0", "7:0\n");
        add_block(t, "virtual/block", "loop1", "7:1\n");
        fake_file(t, "sys/class/block/loop1/loop/backing_file", "/srv/image\n");
        assert_users(t, NULL, NULL);
        fake_file(t, "sys/class/block/loop0/loop/backing_file", "/dev/nvme2n1p1\n");
        assert_users(t, "block-holder: /dev/loop0 holds /dev/nvme2n1p1", NULL);
        mounted(t, "22 1 7:0 / /mnt rw - ext4 /dev/loop0 rw\n");
        assert_users(t, "mounted-filesystem: /dev/loop0 on /dev/nvme2n1p1 is mounted at /mnt",
                     NULL);
}

static void test_btrfs_of_several_devices(void)
{
        g_autoptr(FakeTree) t = host_with_disks();

        mounted(t, "22 1 0:45 / /srv rw - btrfs /dev/nvme2n1p1 rw\n");
        fake_directory(t, "sys/fs/btrfs/features");
        fake_directory(t, "sys/fs/btrfs/0b5c/devices/nvme2n1p1");
        fake_directory(t, "sys/fs/btrfs/0b5c/devices/nvme3n1");
        assert_users(t, "mounted-filesystem: /dev/nvme2n1p1 is mounted at /srv",
                     "mounted-filesystem: /dev/nvme3n1 is a part of a mounted btrfs file system");
}

static void test_zfs(void)
{
        g_autoptr(FakeTree) t = host_with_disks();

        fake_file(t, "run/udev/data/b259:5",
                  "S:disk/by-id/x\nE:ID_FS_TYPE=zfs_member\nG:systemd\n");
        assert_users(t, NULL, NULL);
        fake_directory(t, "sys/module/zfs");
        assert_users(t, "block-holder: /dev/nvme2n1p1 may belong to an imported ZFS pool", NULL);
}

/* A container has it mounted, and the host has not. */
static void test_other_mount_namespaces(void)
{
        g_autoptr(FakeTree) t = host_with_disks();

        fake_link(t, "proc/1/ns/mnt", "mnt:[1]");
        fake_link(t, "proc/20/ns/mnt", "mnt:[1]");
        fake_link(t, "proc/300/ns/mnt", "mnt:[2]");
        fake_file(t, "proc/20/mountinfo", "22 1 259:7 / /not-read rw - ext4 /dev/nvme3n1 rw\n");
        fake_file(t, "proc/300/mountinfo", "22 1 259:5 / /data rw - ext4 /dev/nvme2n1p1 rw\n");
        fake_file(t, "proc/400/mountinfo", "22 1 259:7 / /closed rw - ext4 /dev/nvme3n1 rw\n");
        assert_users(t,
                     "mounted-filesystem: /dev/nvme2n1p1 is mounted at /data in the mount "
                     "namespace of process 300",
                     NULL);
        mounted(t, "22 1 259:5 / /mnt rw - ext4 /dev/nvme2n1p1 rw\n");
        assert_users(t, "mounted-filesystem: /dev/nvme2n1p1 is mounted at /mnt", NULL);
}

/* Anyone may call a tmpfs of his own what he likes. */
static void test_claimed_sources(void)
{
        g_autoptr(FakeTree) t = host_with_disks();

        fake_link(t, "proc/300/ns/mnt", "mnt:[2]");
        fake_file(t, "proc/300/mountinfo",
                  "22 1 0:50 / /a rw - tmpfs /dev/nvme2n1p1 rw\n"
                  "23 1 0:51 / /b rw - fuse.x /dev/nvme3n1 rw\n");
        assert_users(t, NULL, NULL);
}

/* Rows that end early, long ones, and one that is cut do not hide what stands behind them. */
static void test_strange_rows(void)
{
        g_autoptr(FakeTree) t = host_with_disks();
        g_autofree char *options = g_strnfill(100000, 'x');
        g_autofree char *table = g_strdup_printf(
                "\n22\n22 1 0:1 / / rw - overlay\n22 1 259:5 / /cut rw shared:1\n"
                "23 1 0:30 / /o rw - overlay overlay lowerdir=%s 259:5 / /no rw - ext4 x rw\n"
                "24 1 259:7 / /a\\134b\\1 rw - ext4 /dev/nvme3n1 rw",
                options);

        mounted(t, table);
        fake_file(t, "proc/swaps", "/dev/nvme2n1p2");
        assert_users(t, NULL, "mounted-filesystem: /dev/nvme3n1 is mounted at /a\\b\\1");
}

static void test_missing_tables(void)
{
        g_autoptr(FakeTree) t = host_with_disks();

        fake_remove(t, "proc/1/mountinfo");
        fake_remove(t, "proc/1");
        assert_users(t, NULL, NULL);
}

static void test_block_names(void)
{
        g_autoptr(FakeTree) t = host_with_disks();

        add_dm(t, "dm-0", "253:0\n", "nvme2n1p2", "vg-root\n");
        assert_blocks(t, "nvme2n1 nvme2n1p1 nvme2n1p2");
}

#define TEST(name) g_test_add_func("/usage-block/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(block_devices);
        TEST(functions_below_one_another);
        TEST(shared_namespace);
        TEST(logical_volumes);
        TEST(raid);
        TEST(bcache);
        TEST(loop_devices);
        TEST(btrfs_of_several_devices);
        TEST(zfs);
        TEST(other_mount_namespaces);
        TEST(claimed_sources);
        TEST(strange_rows);
        TEST(missing_tables);
        TEST(block_names);
        return g_test_run();
}
