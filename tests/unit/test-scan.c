/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fake-tree.h"
#include "sys/inspect.h"
#include "sys/scan.h"

#include <endian.h>
#include <sys/stat.h>
#include <time.h>

#define NIC "0000:41:00.0"
#define NIC_ALIAS "pci:v00008086d000010C9sv00008086sd0000A03Cbc02sc00i00\n"
#define VF_ALIAS "pci:v00008086d000010CAsv00008086sd0000A03Cbc02sc00i00\n"
#define GPU "0000:01:00.0"
#define GPU_ALIAS "pci:v000010DEd00002684sv000010DEsd000016F3bc03sc00i00\n"
#define BRIDGE_ALIAS "pci:v00001B36d0000000Csv00000000sd00000000bc06sc04i00\n"

static PciAddress address(const char *text)
{
        PciAddress a;

        g_assert_cmpint(pci_address_parse(text, &a), ==, 0);
        return a;
}

static Inventory *scan(const FakeTree *t)
{
        Inventory *inv;

        g_assert_cmpint(scan_all(&t->root, &inv), ==, 0);
        return inv;
}

static const Device *find(const Inventory *inv, const char *text)
{
        const PciAddress a = address(text);

        return inventory_find(inv, &a);
}

static void test_plain_device(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        const Device *d;

        fake_device(t, "pci0000:00/0000:00:1c.4", NIC, NIC_ALIAS);
        fake_attribute(t, NIC, "numa_node", "1\n");
        fake_attribute(t, NIC, "reset_method", "flr pm bus\n");
        fake_attribute(t, NIC, "boot_vga", "0\n");
        fake_group(t, NIC, 12);
        inv = scan(t);
        g_assert_cmpuint(inv->n_devices, ==, 1);
        d = find(inv, NIC);
        g_assert_nonnull(d);
        g_assert_cmphex(d->vendor, ==, 0x8086);
        g_assert_cmphex(d->device, ==, 0x10c9);
        g_assert_cmphex(d->subvendor, ==, 0x8086);
        g_assert_cmphex(d->subdevice, ==, 0xa03c);
        g_assert_cmphex(d->class, ==, 0x020000);
        g_assert_cmphex(d->revision, ==, 3);
        g_assert_cmpint(d->group, ==, 12);
        g_assert_cmpint(d->numa_node, ==, 1);
        g_assert_cmpstr(d->reset_methods, ==, "flr pm bus");
        g_assert_cmpstr(d->topology, ==, "pci0000:00/1c.4/00.0");
        g_assert_null(d->driver);
        g_assert_null(d->slot);
        g_assert_null(d->netdevs);
        g_assert_false(d->boot_vga || d->is_vf || d->has_mac || d->has_node || d->group_is_noiommu);
        g_assert_cmpint(d->vf_index, ==, -1);
        g_assert_false(inv->iommu);
}

static void test_no_group_no_numa(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;

        fake_device(t, "pci0000:00", "0000:00:02.0", GPU_ALIAS);
        fake_attribute(t, "0000:00:02.0", "boot_vga", "1\n");
        fake_directory(t, "sys/class/iommu/dmar0");
        fake_directory(t, "sys/bus/pci/drivers/nvme");
        fake_directory(t, "sys/bus/pci/drivers/e1000");
        inv = scan(t);
        g_assert_cmpint(inv->devices[0]->group, ==, -1);
        g_assert_cmpint(inv->devices[0]->numa_node, ==, -1);
        g_assert_true(inv->devices[0]->boot_vga);
        g_assert_true(inv->iommu);
        g_assert_true(inventory_has_driver(inv, "nvme"));
        g_assert_false(inventory_has_driver(inv, "vfio-pci"));
}

static void test_vfio_drivers(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        const char *const places[] = { "0000:01:00.0", "0000:02:00.0", "0000:03:00.0",
                                       "0000:04:00.0" };
        const char *const drivers[] = { "vfio-pci", "special", "other", "nvme" };

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                fake_device(t, "pci0000:00", places[i], NIC_ALIAS);
                fake_driver(t, places[i], drivers[i]);
        }
        fake_link(t, "sys/bus/pci/drivers/special/module", "../../../../module/mlx5_vfio_pci");
        fake_directory(t, "sys/bus/pci/devices/0000:03:00.0/vfio-dev/vfio0");
        fake_link(t, "sys/bus/pci/drivers/nvme/module", "../../../../module/nvme");
        inv = scan(t);
        g_assert_cmpstr(find(inv, places[0])->driver, ==, "vfio-pci");
        g_assert_true(find(inv, places[0])->driver_is_vfio);
        g_assert_true(find(inv, places[1])->driver_is_vfio);
        g_assert_true(find(inv, places[2])->driver_is_vfio);
        g_assert_false(find(inv, places[3])->driver_is_vfio);
}

static void test_node(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        g_autofree char *node = fake_path(t, "dev/vfio/7");

        fake_device(t, "pci0000:00", GPU, GPU_ALIAS);
        fake_group(t, GPU, 7);
        fake_driver(t, GPU, "vfio-pci");
        fake_device(t, "pci0000:00", NIC, NIC_ALIAS);
        fake_group(t, NIC, 8);
        fake_driver(t, NIC, "igb");
        fake_file(t, "dev/vfio/7", "");
        fake_file(t, "dev/vfio/8", "");
        g_assert_cmpint(g_chmod(node, 0640), ==, 0);
        inv = scan(t);
        g_assert_true(find(inv, GPU)->has_node);
        g_assert_cmphex(find(inv, GPU)->node_mode, ==, 0640);
        g_assert_cmpuint(find(inv, GPU)->node_uid, ==, getuid());
        g_assert_false(find(inv, NIC)->has_node);
}

static void test_noiommu(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;

        fake_device(t, "pci0000:00", GPU, GPU_ALIAS);
        fake_group(t, GPU, 0);
        fake_driver(t, GPU, "vfio-pci");
        fake_file(t, "sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
        fake_file(t, "dev/vfio/noiommu-0", "");
        inv = scan(t);
        g_assert_true(inv->devices[0]->group_is_noiommu);
        g_assert_true(inv->devices[0]->has_node);
}

static void add_vf(const FakeTree *t, const char *vf, int index)
{
        g_autofree char *name = g_strdup_printf("virtfn%d", index);
        g_autofree char *target = g_strdup_printf("../%s", vf);

        fake_device(t, "pci0000:00/0000:00:1c.4", vf, VF_ALIAS);
        fake_device_link(t, vf, "physfn", "../" NIC);
        fake_device_link(t, NIC, name, target);
}

/* The VFs' order by address is not that of their indices. */
static void add_pf(const FakeTree *t)
{
        fake_device(t, "pci0000:00/0000:00:1c.4", NIC, NIC_ALIAS);
        fake_attribute(t, NIC, "sriov_totalvfs", "7\n");
        fake_attribute(t, NIC, "sriov_drivers_autoprobe", "0\n");
        add_vf(t, "0000:41:10.2", 0);
        add_vf(t, "0000:41:10.0", 1);
}

static void test_virtual_functions(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        const PciAddress pf = address(NIC);

        add_pf(t);
        inv = scan(t);
        g_assert_cmpuint(find(inv, NIC)->total_vfs, ==, 7);
        g_assert_cmpuint(find(inv, NIC)->num_vfs, ==, 2);
        g_assert_cmpint(find(inv, NIC)->autoprobe, ==, 0);
        g_assert_cmpint(find(inv, "0000:41:10.2")->autoprobe, ==, -1);
        g_assert_false(find(inv, NIC)->is_vf);
        g_assert_true(find(inv, "0000:41:10.2")->is_vf);
        g_assert_true(pci_address_equal(&find(inv, "0000:41:10.2")->pf, &pf));
        g_assert_cmpint(find(inv, "0000:41:10.2")->vf_index, ==, 0);
        g_assert_cmpint(find(inv, "0000:41:10.0")->vf_index, ==, 1);
}

static void add_netdev(const FakeTree *t, const char *name, const char *port, const char *type,
                       const char *mac)
{
        const char *const names[] = { "dev_port", "addr_assign_type", "address" };
        const char *const values[] = { port, type, mac };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                g_autofree char *file = g_strdup_printf("net/%s/%s", name, names[i]);

                fake_attribute(t, NIC, file, values[i]);
        }
}

static void test_permanent_mac_of_first_port(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL, *by_hand = NULL;
        const uint8_t expected[6] = { 0x02, 0, 0, 0, 0, 0x11 };

        fake_device(t, "pci0000:00", NIC, NIC_ALIAS);
        add_netdev(t, "eth2", "0\n", "3\n", "02:00:00:00:00:33\n"); /* set by hand */
        by_hand = scan(t);
        g_assert_cmpstr(by_hand->devices[0]->netdevs[0], ==, "eth2");
        g_assert_false(by_hand->devices[0]->has_mac);
        add_netdev(t, "eth0", "1\n", "0\n", "02:00:00:00:00:22\n");
        add_netdev(t, "eth1", "0\n", "0\n", "02:00:00:00:00:11\n");
        inv = scan(t);
        g_assert_cmpuint(strv_length(inv->devices[0]->netdevs), ==, 3);
        g_assert_true(inv->devices[0]->has_mac);
        g_assert_cmpmem(inv->devices[0]->mac, 6, expected, 6);
}

static void test_netdev_below_virtio(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;

        fake_device(t, "pci0000:00", NIC, NIC_ALIAS);
        fake_driver(t, NIC, "virtio-pci");
        fake_attribute(t, NIC, "virtio3/net/ens3/address", "02:00:00:00:00:22\n");
        fake_attribute(t, NIC, "virtio3/net/ens3/addr_assign_type", "0\n");
        inv = scan(t);
        g_assert_cmpstr(inv->devices[0]->netdevs[0], ==, "ens3");
        g_assert_true(inv->devices[0]->has_mac);
}

/* It ends up on the bus, where there are only texts; the address is known nevertheless. */
static void test_a_name_that_is_no_text(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        const Device *d;

        fake_device(t, "pci0000:00", NIC, NIC_ALIAS);
        fake_attribute(t, NIC, "net/eth\xff/addr_assign_type", "0\n");
        fake_attribute(t, NIC, "net/eth\xff/address", "02:00:00:00:10:00\n");
        fake_attribute(t, NIC, "net/eth1/addr_assign_type", "3\n");
        fake_file(t, "sys/bus/pci/slots/\xff/address", "0000:41:00\n");
        inv = scan(t);
        d = find(inv, NIC);
        g_assert_cmpuint(strv_length(d->netdevs), ==, 1);
        g_assert_cmpstr(d->netdevs[0], ==, "eth1");
        g_assert_true(d->has_mac);
        g_assert_null(d->slot);
}

static void test_slots(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;

        fake_device(t, "pci0000:00", "0000:41:00.0", NIC_ALIAS);
        fake_device(t, "pci0000:00", "0000:41:00.1", NIC_ALIAS);
        fake_device(t, "pci0000:00", "0000:42:00.0", NIC_ALIAS);
        fake_device(t, "pci0000:00", "0000:43:05.0", NIC_ALIAS);
        fake_file(t, "sys/bus/pci/slots/4/address", "0000:41:00\n");
        fake_file(t, "sys/bus/pci/slots/5-1/address", "0000:43\n");
        inv = scan(t);
        g_assert_cmpstr(find(inv, "0000:41:00.0")->slot, ==, "4");
        g_assert_cmpstr(find(inv, "0000:41:00.1")->slot, ==, "4");
        g_assert_null(find(inv, "0000:42:00.0")->slot);
        g_assert_cmpstr(find(inv, "0000:43:05.0")->slot, ==, "5-1");
}

static void test_long_domain(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;

        fake_device(t, "pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:01.0", "10000:e1:00.0",
                    NIC_ALIAS);
        inv = scan(t);
        g_assert_cmpstr(find(inv, "10000:e1:00.0")->topology, ==,
                        "pci0000:00/0e.0/pci10000:e0/01.0/00.0");
}

static void test_vanishing_device_is_left_out(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *inv = NULL;

        fake_device(t, "pci0000:00", NIC, NIC_ALIAS);
        fake_device(t, "pci0000:00", "0000:06:00.0", NIC_ALIAS);
        fake_remove(t, "sys/bus/pci/devices/0000:06:00.0/modalias");
        fake_link(t, "sys/bus/pci/devices/0000:05:00.0", "../../../devices/nowhere");
        fake_directory(t, "sys/bus/pci/devices/garbage");
        inv = scan(t);
        g_assert_cmpuint(inv->n_devices, ==, 1);
}

static void test_changed_reads_only_what_changed(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *before = NULL, *after = NULL;
        const PciAddress changed[] = { address(NIC), address(NIC) };

        fake_device(t, "pci0000:00", GPU, GPU_ALIAS);
        fake_device(t, "pci0000:00", NIC, NIC_ALIAS);
        before = scan(t);
        fake_driver(t, NIC, "igb");
        fake_driver(t, GPU, "nouveau");
        g_assert_cmpint(scan_changed(&t->root, before, changed, 2, &after), ==, 0);
        g_assert_cmpstr(find(after, NIC)->driver, ==, "igb");
        g_assert_true(find(after, GPU) == find(before, GPU));
        g_assert_null(find(before, NIC)->driver);
        g_assert_true(inventory_has_driver(after, "igb"));
}

static void test_changed_follows_the_group(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *before = NULL, *after = NULL;
        const PciAddress changed = address(GPU);

        fake_device(t, "pci0000:00", GPU, GPU_ALIAS);
        fake_device(t, "pci0000:00", "0000:01:00.1", GPU_ALIAS);
        fake_device(t, "pci0000:00", NIC, NIC_ALIAS);
        fake_group(t, GPU, 1);
        fake_group(t, "0000:01:00.1", 1);
        fake_group(t, NIC, 2);
        before = scan(t);
        fake_driver(t, "0000:01:00.1", "snd_hda_intel");
        g_assert_cmpint(scan_changed(&t->root, before, &changed, 1, &after), ==, 0);
        g_assert_cmpstr(find(after, "0000:01:00.1")->driver, ==, "snd_hda_intel");
        g_assert_true(find(after, NIC) == find(before, NIC));
}

static void test_changed_vf_counts_at_its_pf(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *before = NULL, *more = NULL, *less = NULL;
        const PciAddress vf = address("0000:41:11.0");

        add_pf(t);
        before = scan(t);
        add_vf(t, "0000:41:11.0", 2);
        g_assert_cmpint(scan_changed(&t->root, before, &vf, 1, &more), ==, 0);
        g_assert_cmpuint(find(more, NIC)->num_vfs, ==, 3);
        g_assert_cmpint(find(more, "0000:41:11.0")->vf_index, ==, 2);
        g_assert_true(find(more, "0000:41:10.2") == find(before, "0000:41:10.2"));
        fake_remove(t, "sys/bus/pci/devices/0000:41:11.0");
        fake_remove(t, "sys/bus/pci/devices/" NIC "/virtfn2");
        g_assert_cmpint(scan_changed(&t->root, more, &vf, 1, &less), ==, 0);
        g_assert_cmpuint(find(less, NIC)->num_vfs, ==, 2);
        g_assert_null(find(less, "0000:41:11.0"));
}

/* The kernel tells of a VF before it makes the links to and from its PF. */
static void test_changed_pf_knows_its_new_vfs(void)
{
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *before = NULL, *after = NULL;
        const PciAddress pf = address(NIC);

        add_pf(t);
        fake_device(t, "pci0000:00/0000:00:1c.4", "0000:41:11.0", VF_ALIAS);
        before = scan(t);
        g_assert_false(find(before, "0000:41:11.0")->is_vf);
        fake_device_link(t, "0000:41:11.0", "physfn", "../" NIC);
        fake_device_link(t, NIC, "virtfn2", "../0000:41:11.0");
        add_vf(t, "0000:41:11.2", 3);
        g_assert_cmpint(scan_changed(&t->root, before, &pf, 1, &after), ==, 0);
        g_assert_cmpint(find(after, "0000:41:11.0")->vf_index, ==, 2);
        g_assert_cmpint(find(after, "0000:41:11.2")->vf_index, ==, 3);
        g_assert_true(find(after, "0000:41:10.2") == find(before, "0000:41:10.2"));
}

/* A group may be large where nothing isolates its members: an event of one reads each only once. */
static void test_event_in_a_large_group(void)
{
        enum { MEMBERS = 1000 };
        g_autoptr(FakeTree) t = fake_new();
        _cleanup_(inventory_freep) Inventory *before = NULL, *after = NULL;
        clock_t start, full;

        for (unsigned i = 0; i < MEMBERS; i++) {
                g_autofree char *a =
                        g_strdup_printf("0000:%02x:%02x.%x", i >> 8, i >> 3 & 0x1f, i & 7);

                fake_device(t, "pci0000:00", a, NIC_ALIAS);
                fake_group(t, a, 7);
        }
        start = clock();
        g_assert_cmpint(scan_all(&t->root, &before), ==, 0);
        full = clock() - start;
        start = clock();
        g_assert_cmpint(scan_changed(&t->root, before, &before->devices[0]->address, 1, &after), ==,
                        0);
        g_assert_cmpint(clock() - start, <, 4 * full); /* processor time */
        g_assert_cmpuint(inventory_group(after, 7)->n_members, ==, MEMBERS);
        for (size_t i = 0; i < MEMBERS; i++)
                g_assert_cmpuint(after->devices[i]->n_ref, ==, 1);
}

static void test_override_shown_as_null_is_unset(void)
{
        g_autoptr(FakeTree) t = fake_new();
        const PciAddress a = address(NIC);
        _cleanup_free_ char *unset = NULL, *set = NULL;

        fake_device(t, "pci0000:00", NIC, NIC_ALIAS);
        g_assert_cmpint(inspect_override(&t->root, &a, &unset), ==, 0);
        g_assert_null(unset);
        fake_attribute(t, NIC, "driver_override", "vfio-pci\n");
        g_assert_cmpint(inspect_override(&t->root, &a, &set), ==, 0);
        g_assert_cmpstr(set, ==, "vfio-pci");
}

static void put_dword(uint8_t *config, size_t offset, uint32_t value)
{
        const uint32_t little = htole32(value);

        memcpy(config + offset, &little, sizeof(little));
}

/* 0: the device tells none. */
static uint64_t read_serial(const FakeTree *t, const uint8_t *config, size_t size)
{
        const PciAddress a = address(NIC);
        uint64_t serial;
        bool has;

        fake_data(t, "sys/bus/pci/devices/" NIC "/config", config, size);
        g_assert_cmpint(inspect_serial(&t->root, &a, &has, &serial), ==, 0);
        return has ? serial : 0;
}

static void test_serial_number(void)
{
        g_autoptr(FakeTree) t = fake_new();
        uint8_t config[4096] = { 0 };

        fake_device(t, "pci0000:00", NIC, NIC_ALIAS);
        put_dword(config, 0x100, 0x14010001); /* AER, next at 140h */
        put_dword(config, 0x140, 0x00010003);
        put_dword(config, 0x144, 0xff000001);
        put_dword(config, 0x148, 0x001b21ff);
        g_assert_cmphex(read_serial(t, config, sizeof(config)), ==, UINT64_C(0x001b21ffff000001));
        /* What a user other than root can read. */
        g_assert_cmphex(read_serial(t, config, 64), ==, 0);
        put_dword(config, 0x140, 0x10010001); /* in a circle */
        g_assert_cmphex(read_serial(t, config, sizeof(config)), ==, 0);
}

#define TEST(name) g_test_add_func("/scan/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(plain_device);
        TEST(no_group_no_numa);
        TEST(vfio_drivers);
        TEST(node);
        TEST(noiommu);
        TEST(virtual_functions);
        TEST(permanent_mac_of_first_port);
        TEST(netdev_below_virtio);
        TEST(a_name_that_is_no_text);
        TEST(slots);
        TEST(long_domain);
        TEST(vanishing_device_is_left_out);
        TEST(changed_reads_only_what_changed);
        TEST(changed_follows_the_group);
        TEST(changed_vf_counts_at_its_pf);
        TEST(changed_pf_knows_its_new_vfs);
        TEST(event_in_a_large_group);
        TEST(override_shown_as_null_is_unset);
        TEST(serial_number);
        return g_test_run();
}
