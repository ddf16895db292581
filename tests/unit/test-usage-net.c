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

/* eth4 below the first function, eth6 below the second; both down. */
static FakeTree *host_with_nics(void)
{
        FakeTree *t = host_with_vfs("igb");

        fake_attribute(t, FIRST, "net/eth4/flags", "0x1002\n");
        fake_attribute(t, SECOND, "net/eth6/flags", "0x1002\n");
        fake_directory(t, "sys/class/net/eth4");
        fake_directory(t, "sys/class/net/eth6");
        return t;
}

/* As the kernel stacks one interface on another. */
static void stack(const FakeTree *t, const char *upper, const char *lower, bool is_master)
{
        g_autofree char *target = g_strdup_printf("../%s", upper);
        g_autofree char *link = g_strdup_printf("sys/class/net/%s/upper_%s", lower, upper);
        g_autofree char *master = g_strdup_printf("sys/class/net/%s/master", lower);
        g_autofree char *place = g_strdup_printf("sys/class/net/%s", upper);

        fake_directory(t, place);
        fake_link(t, link, target);
        if (is_master)
                fake_link(t, master, target);
}

#define ROUTE_HEAD "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\n"

static void test_routes(void)
{
        g_autoptr(FakeTree) t = host_with_nics();

        fake_file(t, "proc/net/route",
                  ROUTE_HEAD "eth4\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
                             "eth6\t000010AC\t010200C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
                             "eth60\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
        assert_users(t, "network-route: eth4 carries the default route",
                     "network-route: eth6 carries the route to 172.16.0.0/16");
        fake_file(t, "proc/net/route",
                  ROUTE_HEAD "eth6\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
        assert_users(t, NULL, "network-address: eth6 has an address in 192.0.2.0/24");
}

#define ZERO "00000000000000000000000000000000"
#define DOC "20010db8000000000000000000000001"

/* The default route over an adapter in a USB port of the first function. */
static void test_plugged_interfaces(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("xhci_hcd");

        fake_directory(t, "sys/devices/pci0000:00/" FIRST "/usb1/1-1/1-1:1.0/net/enx0");
        fake_link(t, "sys/class/net/enx0",
                  "../../devices/pci0000:00/" FIRST "/usb1/1-1/1-1:1.0/net/enx0");
        fake_file(t, "proc/net/route",
                  ROUTE_HEAD "enx0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
        assert_users(t, "network-route: enx0 carries the default route", NULL);
}

/* A subfunction of a network card has an interface of its own, which is not in the card's "net". */
static void test_interfaces_of_subfunctions(void)
{
        g_autoptr(FakeTree) t = host_with_nics();

        fake_directory(t, "sys/devices/pci0000:00/" FIRST "/mlx5_core.sf.4/net/ens1s88");
        fake_link(t, "sys/class/net/ens1s88",
                  "../../devices/pci0000:00/" FIRST "/mlx5_core.sf.4/net/ens1s88");
        fake_file(t, "proc/net/route",
                  ROUTE_HEAD "ens1s88\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
        assert_users(t, "network-route: ens1s88 carries the default route", NULL);
        fake_remove(t, "sys/bus/pci/devices/" FIRST "/net/eth4/flags");
        fake_remove(t, "sys/bus/pci/devices/" FIRST "/net/eth4");
        assert_users(t,
                     "network-address: its network interface is in another network namespace\n"
                     "network-route: ens1s88 carries the default route",
                     NULL);
}

static void test_ipv6(void)
{
        g_autoptr(FakeTree) t = host_with_nics();

        /* What every interface that is up has, and what the loopback has. */
        fake_file(t, "proc/net/if_inet6",
                  "fe80000000000000000000fffe000001 04 40 20 80     eth4\n"
                  "00000000000000000000000000000001 01 80 10 80       lo\n");
        fake_file(t, "proc/net/ipv6_route",
                  "fe800000000000000000000000000000 40 " ZERO " 00 " ZERO
                  " 00000100 00000002 00000000 00000001     eth4\n"
                  "ff000000000000000000000000000000 08 " ZERO " 00 " ZERO
                  " 00000100 00000003 00000000 00000001     eth4\n" DOC " 80 " ZERO " 00 " ZERO
                  " 00000000 00000003 00000000 80200001     eth4\n" ZERO " 00 " ZERO " 00 " ZERO
                  " ffffffff 00000001 00000000 00200200       lo\n");
        assert_users(t, NULL, NULL);
        fake_file(t, "proc/net/if_inet6", DOC " 04 40 00 82     eth4\n");
        fake_file(t, "proc/net/ipv6_route",
                  ZERO " 00 " ZERO " 00 fe800000000000000000000000000001"
                       " 00000400 00000002 00000000 00000003     eth6\n");
        assert_users(t, "network-address: eth4 has the address 2001:db8::1",
                     "network-route: eth6 carries the default route of IPv6");
}

static void test_stacked_interfaces(void)
{
        g_autoptr(FakeTree) t = host_with_nics();

        stack(t, "bond0", "eth4", true);
        stack(t, "bond0", "eth6", true);
        fake_directory(t, "sys/class/net/bond0/bonding");
        assert_users(t, "network-address: eth4 is a port of the bond bond0",
                     "network-address: eth6 is a port of the bond bond0");
        stack(t, "bond0.7", "bond0", false);
        stack(t, "br0", "bond0.7", true);
        fake_directory(t, "sys/class/net/br0/bridge");
        fake_file(t, "proc/net/route",
                  ROUTE_HEAD "br0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
        assert_users(t, "network-route: br0 on eth4 carries the default route",
                     "network-route: br0 on eth6 carries the default route");
}

static void test_ports(void)
{
        g_autoptr(FakeTree) t = host_with_nics();

        stack(t, "br0", "eth4", true);
        fake_directory(t, "sys/class/net/br0/bridge");
        stack(t, "eth6.5", "eth6", false);
        assert_users(t, "network-address: eth4 is a port of the bridge br0", NULL);
        stack(t, "ovs-system", "eth6.5", true);
        assert_users(t, "network-address: eth4 is a port of the bridge br0",
                     "network-address: eth6.5 on eth6 is a port of ovs-system");
}

static void test_strange_tables(void)
{
        g_autoptr(FakeTree) t = host_with_nics();

        fake_file(t, "proc/net/route", "eth4 00000000\neth4 x 0 0 0 0 0 00000000 0\n\n");
        fake_file(t, "proc/net/ipv6_route", "0 0 0 0 0 0 0 0 0 eth4\n" ZERO " 00\n");
        fake_file(t, "proc/net/if_inet6", DOC " 04 40 zz 82 eth4\n" DOC "1 04 40 00 82 eth4\n");
        assert_users(t, NULL, NULL);
}

/* The console is on the first framebuffer, and only if there is a framebuffer console. */
static void test_console(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("amdgpu");

        fake_link(t, "sys/class/graphics/fb0", "../../devices/pci0000:00/" FIRST "/graphics/fb0");
        fake_link(t, "sys/class/graphics/fb1", "../../devices/pci0000:00/" SECOND "/graphics/fb1");
        fake_file(t, "sys/devices/pci0000:00/" FIRST "/graphics/fb0/name", "amdgpudrmfb\n");
        fake_file(t, "sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
        assert_users(t, NULL, NULL);
        fake_file(t, "sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
        assert_users(t, "boot-display: the console is on its framebuffer fb0 (amdgpudrmfb)", NULL);
}

#define TEST(name) g_test_add_func("/usage-net/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(network_interfaces);
        TEST(routes);
        TEST(plugged_interfaces);
        TEST(interfaces_of_subfunctions);
        TEST(ipv6);
        TEST(stacked_interfaces);
        TEST(ports);
        TEST(strange_tables);
        TEST(console);
        return g_test_run();
}
