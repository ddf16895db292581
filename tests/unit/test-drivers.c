/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fake-tree.h"
#include "sys/drivers.h"
#include "sys/scan.h"

#define NIC "0000:41:00.0"
#define NIC_ALIAS "pci:v000015B3d0000101Esv000015B3sd00000058bc02sc00i00"
#define GPU "0000:01:00.0"
#define GPU_ALIAS "pci:v000010DEd00002684sv000010DEsd00000058bc03sc00i00"
#define ANY "v*d*sv*sd*bc*sc*i*"

/* A host of two devices, and what the rules want of both. */
typedef struct Host {
        FakeTree *tree;
        Inventory *inv;
        Target targets[2]; /* GPU, NIC */
        OriginTable origins;
        DriverChoice *choices;
        AliasCache aliases;
} Host;

static Host *host_new(void)
{
        Host *h = g_new0(Host, 1);

        h->tree = fake_new();
        fake_device(h->tree, "pci0000:00", GPU, GPU_ALIAS "\n");
        fake_device(h->tree, "pci0000:00", NIC, NIC_ALIAS "\n");
        return h;
}

static void host_forget(Host *h)
{
        if (h->choices)
                driver_choices_free(h->choices, h->inv->n_devices);
        h->choices = NULL;
        inventory_free(h->inv);
        h->inv = NULL;
}

static void host_free(Host *h)
{
        host_forget(h);
        origin_table_done(&h->origins);
        alias_cache_done(&h->aliases);
        fake_free(h->tree);
        g_free(h);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Host, host_free)

static void aliases(Host *h, const char *text)
{
        fake_file(h->tree, "lib/modules/6.12.0/modules.alias", text);
}

static const DriverChoice *resolve(Host *h, size_t i)
{
        const Desired desired = { .targets = h->targets, .n_targets = 2 };

        host_forget(h);
        g_assert_cmpint(scan_all(&h->tree->root, &h->inv), ==, 0);
        g_assert_cmpint(driver_choices_resolve(&h->tree->root, &h->aliases, h->inv, &desired,
                                               &h->origins, &h->choices),
                        ==, 0);
        return &h->choices[i];
}

static void remember(Host *h, const char *address, uint16_t vendor, uint16_t device,
                     const char *driver)
{
        Origin o = {
                .identity = { vendor, device, vendor, 0x58,
                              .topology = g_strdup("pci0000:00/00.0") },
                .driver = g_strdup(driver),
                .intended = g_strdup("vfio-pci"),
                .taken = true,
        };

        g_assert_cmpint(pci_address_parse(address, &o.address), ==, 0);
        g_assert_cmpint(origin_table_put(&h->origins, &o), ==, 0);
}

static void assert_choice(const DriverChoice *c, const char *driver, const char *module)
{
        g_assert_cmpstr(c->driver, ==, driver);
        g_assert_cmpstr(c->module, ==, module);
        g_assert_cmpint(c->reason, ==, REASON_NONE);
}

static void test_fewest_wildcards_win(void)
{
        g_autoptr(Host) h = host_new();

        aliases(h, "# Aliases extracted from modules themselves.\n"
                   "alias pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_core\n"
                   "alias vfio_pci:" ANY " vfio_pci\n"
                   "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci\n"
                   "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* second_vfio_pci\n"
                   "alias vfio_pci:v000015B3d*sv*sd*bc*sc*i* other_vfio_pci\n");
        h->targets[0].kind = h->targets[1].kind = TARGET_VFIO;
        assert_choice(resolve(h, 0), "vfio-pci", "vfio_pci");
        assert_choice(&h->choices[1], "mlx5_vfio_pci", "mlx5_vfio_pci");
}

static void test_loaded_module_tells_its_driver(void)
{
        g_autoptr(Host) h = host_new();

        aliases(h, "alias vfio_pci:" ANY " xe_vfio_pci\n");
        fake_link(h->tree, "sys/module/xe_vfio_pci/drivers/pci:xe-vfio-pci",
                  "../../../bus/pci/drivers/xe-vfio-pci");
        h->targets[0].kind = TARGET_VFIO;
        assert_choice(resolve(h, 0), "xe-vfio-pci", NULL);
}

static void test_built_in_vfio_has_no_alias(void)
{
        g_autoptr(Host) h = host_new();

        fake_directory(h->tree, "sys/bus/pci/drivers/vfio-pci");
        h->targets[0].kind = TARGET_VFIO;
        assert_choice(resolve(h, 0), "vfio-pci", NULL);
}

static void test_no_vfio_at_all(void)
{
        g_autoptr(Host) h = host_new();

        h->targets[0].kind = TARGET_VFIO;
        g_assert_cmpint(resolve(h, 0)->reason, ==, REASON_MODULE_MISSING);
        g_assert_null(h->choices[0].driver);
        g_assert_null(h->choices[0].module);
}

/* Kernels before 5.15 have the module, and no such aliases. */
static void test_module_without_alias(void)
{
        g_autoptr(Host) h = host_new();

        fake_file(h->tree, "lib/modules/5.10.0/modules.dep",
                  "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio.ko.xz\n");
        h->targets[0].kind = TARGET_VFIO;
        assert_choice(resolve(h, 0), "vfio-pci", "vfio_pci");
}

static void test_changed_file_is_read_again(void)
{
        g_autoptr(Host) h = host_new();

        aliases(h, "alias vfio_pci:" ANY " vfio_pci\n");
        h->targets[1].kind = TARGET_VFIO;
        assert_choice(resolve(h, 1), "vfio-pci", "vfio_pci");
        aliases(h, "alias vfio_pci:" ANY " vfio_pci\n"
                   "alias vfio_pci:v000015B3d*sv*sd*bc*sc*i* mlx5_vfio_pci\n");
        assert_choice(resolve(h, 1), "mlx5_vfio_pci", "mlx5_vfio_pci");
}

static void test_long_lines_are_harmless(void)
{
        g_autoptr(Host) h = host_new();
        g_autofree char *noise = g_strnfill(100000, 'x');
        g_autofree char *text = g_strdup_printf("alias %s\nalias vfio_pci:" ANY " vfio_pci\n"
                                                "alias vfio_pci:x ../bad\nalias vfio_pci:y\n",
                                                noise);

        aliases(h, text);
        h->targets[0].kind = TARGET_VFIO;
        assert_choice(resolve(h, 0), "vfio-pci", "vfio_pci");
}

static void test_device_on_vfio_needs_nothing(void)
{
        g_autoptr(Host) h = host_new();

        fake_driver(h->tree, GPU, "vfio-pci");
        h->targets[0].kind = TARGET_VFIO;
        assert_choice(resolve(h, 0), NULL, NULL);
}

static void test_driver_by_name(void)
{
        g_autoptr(Host) h = host_new();

        fake_directory(h->tree, "sys/bus/pci/drivers/nouveau");
        fake_file(h->tree, "lib/modules/6.12.0/modules.dep",
                  "kernel/drivers/vfio/pci/vfio-pci.ko:\nkernel/drivers/pci/pci-stub.ko:\n");
        h->targets[0] = (Target){ .kind = TARGET_DRIVER, .driver = "nouveau" };
        h->targets[1] = (Target){ .kind = TARGET_DRIVER, .driver = "pci-stub" };
        assert_choice(resolve(h, 0), "nouveau", NULL);
        assert_choice(&h->choices[1], "pci-stub", "pci_stub");
        h->targets[0].driver = "nosuch";
        g_assert_cmpint(resolve(h, 0)->reason, ==, REASON_MODULE_MISSING);
}

static void test_given_back_to_the_former_driver(void)
{
        g_autoptr(Host) h = host_new();

        fake_driver(h->tree, GPU, "vfio-pci");
        fake_driver(h->tree, NIC, "vfio-pci");
        fake_directory(h->tree, "sys/bus/pci/drivers/nouveau");
        remember(h, GPU, 0x10de, 0x2684, "nouveau");
        remember(h, NIC, 0x15b3, 0x101e, "mlx5_core");
        h->targets[1].kind = TARGET_HOST;
        assert_choice(resolve(h, 0), "nouveau", NULL);
        assert_choice(&h->choices[1], "mlx5_core", NIC_ALIAS);
}

/* Not the alias of all network cards, and not that of VFIO. */
static void test_host_driver_by_alias(void)
{
        g_autoptr(Host) h = host_new();

        aliases(h, "alias pci:v*d*sv*sd*bc02sc*i* catch_all\n"
                   "alias pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_core\n"
                   "alias pci:v000015B3d0000101Esv*sd*bc*sc*i* second\n"
                   "alias vfio_pci:v000015B3d0000101Esv000015B3sd*bc*sc*i* mlx5_vfio_pci\n");
        h->targets[0].kind = h->targets[1].kind = TARGET_HOST;
        assert_choice(resolve(h, 1), "mlx5_core", NIC_ALIAS);
        assert_choice(&h->choices[0], NULL, NULL); /* no alias tells */
        fake_driver(h->tree, NIC, "vfio-pci");
        assert_choice(resolve(h, 1), "mlx5_core", NIC_ALIAS);
        fake_driver(h->tree, NIC, "catch_all");
        assert_choice(resolve(h, 1), NULL, NULL);
}

static void test_loaded_host_module_tells_its_driver(void)
{
        g_autoptr(Host) h = host_new();

        aliases(h, "alias pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_core\n");
        fake_link(h->tree, "sys/module/mlx5_core/drivers/pci:mlx5",
                  "../../../bus/pci/drivers/mlx5");
        h->targets[1].kind = TARGET_HOST;
        assert_choice(resolve(h, 1), "mlx5", NULL);
}

/* Two of a kind: the one that had a driver gets that one, the other what its alias tells. */
static void test_former_driver_goes_before_alias(void)
{
        g_autoptr(Host) h = host_new();

        fake_device(h->tree, "pci0000:00", GPU, NIC_ALIAS "\n");
        aliases(h, "alias pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_core\n");
        remember(h, NIC, 0x15b3, 0x101e, "other");
        h->targets[0].kind = h->targets[1].kind = TARGET_HOST;
        assert_choice(resolve(h, 0), "mlx5_core", NIC_ALIAS);
        assert_choice(&h->choices[1], "other", NIC_ALIAS);
}

static void test_another_card_is_not_given_back(void)
{
        g_autoptr(Host) h = host_new();

        fake_driver(h->tree, GPU, "vfio-pci");
        remember(h, GPU, 0x1002, 0x2684, "amdgpu");
        assert_choice(resolve(h, 0), NULL, NULL);
}

static void test_held_device_needs_nothing(void)
{
        g_autoptr(Host) h = host_new();

        h->targets[0] = (Target){ .kind = TARGET_VFIO, .problem = REASON_ID_MISMATCH };
        h->targets[1] = (Target){ .kind = TARGET_DRIVER, .driver = "x", .hold = true };
        g_assert_cmpint(resolve(h, 0)->reason, ==, REASON_NONE);
        g_assert_cmpint(h->choices[1].reason, ==, REASON_NONE);
}

#define TEST(name) g_test_add_func("/drivers/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(fewest_wildcards_win);
        TEST(loaded_module_tells_its_driver);
        TEST(built_in_vfio_has_no_alias);
        TEST(no_vfio_at_all);
        TEST(module_without_alias);
        TEST(changed_file_is_read_again);
        TEST(long_lines_are_harmless);
        TEST(device_on_vfio_needs_nothing);
        TEST(driver_by_name);
        TEST(given_back_to_the_former_driver);
        TEST(host_driver_by_alias);
        TEST(loaded_host_module_tells_its_driver);
        TEST(former_driver_goes_before_alias);
        TEST(another_card_is_not_given_back);
        TEST(held_device_needs_nothing);
        return g_test_run();
}
