/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usage-fixture.h"

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

#define TEST(name) g_test_add_func("/usage-net/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(network_interfaces);
        return g_test_run();
}
