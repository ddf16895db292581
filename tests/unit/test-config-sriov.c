/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What device files say of virtual functions, and what of it is refused before any is made. */

#include "config-text.h"

#define PF "[Match]\nAddress=01:00.0\n"
#define SRIOV "[SR-IOV]\nVirtualFunctions=7\n"
#define VFS "[VirtualFunction]\n"
#define ETC "etc/vfiod/devices.d/"

/* The setting of a VF in words, or NULL if nothing is said of it. Valid until the next call. */
static const char *setting(const Rule *rule, unsigned index, VfSetting which)
{
        static char buffer[VF_VALUE_SIZE];
        VfSettings s = rule_vf_settings(rule, index);

        return vf_settings_has(&s, which) ? vf_value_format(which, s.values[which], buffer) : NULL;
}

static void assert_mac(const Rule *rule, unsigned index, const char *mac)
{
        g_assert_cmpstr(setting(rule, index, VF_MAC_ADDRESS), ==, mac);
}

static void test_everything_that_a_file_can_say_of_vfs(void)
{
        _cleanup_(rule_unrefp) Rule *rule =
                parse_good(PF "[SR-IOV]\nVirtualFunctions=7\n"
                              "[VirtualFunction]       # all VFs\nDriver=vfio\nSpoofCheck=on\n"
                              "[VirtualFunction]\nIndex=0-3,6\nDriver=igbvf\n"
                              "MACAddress=02:00:00:00:10:FE\nVLAN=100\nVLANQoS=3\nTrust=yes\n"
                              "SpoofCheck=no\nLinkState=enable\nMaxTxRate=1000\nMinTxRate=10\n");
        static const char *const said[_VF_SETTING_MAX] = {
                "02:00:00:00:11:02", "100", "3", "yes", "no", "enable", "1000", "10",
        };
        const char *driver;

        g_assert_true(rule->has_sriov);
        g_assert_cmpuint(rule->num_vfs, ==, 7);
        g_assert_cmpint(rule->target, ==, TARGET_UNMANAGED);
        g_assert_cmpuint(rule->n_vfs, ==, 2);
        for (VfSetting i = 0; i < _VF_SETTING_MAX; i++)
                g_assert_cmpstr(setting(rule, 6, i), ==, said[i]);
        assert_mac(rule, 0, "02:00:00:00:10:fe");
        assert_mac(rule, 3, "02:00:00:00:11:01");
        assert_mac(rule, 5, NULL);
        g_assert_cmpstr(setting(rule, 5, VF_SPOOF_CHECK), ==, "yes");
        g_assert_cmpint(rule_vf_target(rule, 5, &driver), ==, TARGET_VFIO);
        g_assert_cmpint(rule_vf_target(rule, 6, &driver), ==, TARGET_DRIVER);
        g_assert_cmpstr(driver, ==, "igbvf");
}

static void test_a_count_alone_is_enough_and_may_be_max_or_zero(void)
{
        _cleanup_(rule_unrefp) Rule *max = parse_good(PF "[SR-IOV]\nVirtualFunctions=max\n");
        _cleanup_(rule_unrefp) Rule *none =
                parse_good(PF SRIOV "VirtualFunctions=0\n[Device]\nDriver=vfio\n");
        _cleanup_(rule_unrefp) Rule *silent = parse_good(MATCH DEVICE);

        g_assert_cmpuint(max->num_vfs, ==, VF_COUNT_MAX);
        g_assert_true(none->has_sriov);
        g_assert_cmpuint(none->num_vfs, ==, 0);
        g_assert_false(silent->has_sriov);
}

static void test_indices_sort_grow_and_an_empty_value_means_all(void)
{
        _cleanup_(rule_unrefp) Rule *rule =
                parse_good(PF SRIOV VFS "Index=6 2\nIndex=3-4,0\nMACAddress=02:00:00:00:00:10\n" //
                           VFS "Index=0-6\nIndex=\nVLAN=5\n");

        g_assert_cmpuint(rule->vfs[0].n_ranges, ==, 4);
        g_assert_cmpuint(rule->vfs[0].ranges[0].first, ==, 0);
        g_assert_cmpuint(rule->vfs[0].ranges[3].last, ==, 6);
        assert_mac(rule, 0, "02:00:00:00:00:10");
        assert_mac(rule, 2, "02:00:00:00:00:11");
        assert_mac(rule, 4, "02:00:00:00:00:13");
        assert_mac(rule, 6, "02:00:00:00:00:14");
        g_assert_cmpuint(rule->vfs[1].n_ranges, ==, 0);
        g_assert_cmpstr(setting(rule, 5, VF_VLAN), ==, "5");
}

static void test_values_that_a_vf_cannot_have_are_errors_at_their_place(void)
{
        static const struct {
                const char *key, *values, *part; /* each value alone is an error */
        } bad[] = {
                { "Index", "3-1 1,,2 1, x -1 65536 !3 * 0-6,6 0-3,2 4,4", "indices of VFs" },
                { "Driver", "../x vfio,pci", "the name of a driver" },
                { "MACAddress",
                  "01:00:00:00:00:00 03:00:00:00:00:01 00:00:00:00:00:00 ff:ff:ff:ff:ff:ff "
                  "02:00:00:00:00 02-00-00-00-00-00 02:00:00:00:00:0g random",
                  "a unicast MAC address" },
                { "VLAN", "4095 5000 -1 0x10 no", "from 1 to 4094" },
                { "VLANQoS", "8 -1 high", "from 0 to 7" },
                { "Trust", "maybe 2 y", "yes or no" },
                { "SpoofCheck", "auto", "yes or no" },
                { "LinkState", "up Auto 1", "auto, enable or disable" },
                { "MaxTxRate", "4294967296 1G -1", "Mbit/s" },
                { "MinTxRate", "4294967296 10.5", "Mbit/s" },
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                g_auto(GStrv) values = g_strsplit(bad[i].values, " ", -1);

                STRV_FOREACH(value, values) {
                        g_autofree char *text =
                                g_strdup_printf(PF SRIOV VFS "%s=%s\n", bad[i].key, *value);

                        assert_bad(text, 6, (unsigned)strlen(bad[i].key) + 2, bad[i].part);
                }
                if (i > 0) {
                        g_autofree char *text = g_strdup_printf(PF SRIOV VFS "%s=\n", bad[i].key);

                        assert_bad(text, 6, (unsigned)strlen(bad[i].key) + 2, "cannot be ''");
                }
        }
}

static void test_counts_that_no_pf_can_have_are_errors(void)
{
        static const Fault faults[] = {
                { PF "[SR-IOV]\nVirtualFunctions=65536\n", 4, 18, "from 0 to 65535, or max" },
                { PF "[SR-IOV]\nVirtualFunctions=-1\n", 4, 18, "cannot be '-1'" },
                { PF "[SR-IOV]\nVirtualFunctions=all\n", 4, 18, "cannot be 'all'" },
                { PF "[SR-IOV]\nVirtualFunctions=\n", 4, 18, "cannot be ''" },
        };

        assert_all_bad(faults, ELEMENTSOF(faults));
}

static void test_sections_that_do_not_go_together_are_errors(void)
{
        static const Fault faults[] = {
                { PF VFS "Driver=vfio\n", 3, 1, "has [VirtualFunction] without [SR-IOV]" },
                { PF DEVICE VFS "Index=3\n", 5, 7, "has [VirtualFunction] without [SR-IOV]" },
                { PF "\n [SR-IOV]\n", 4, 2, "has [SR-IOV] without 'VirtualFunctions='" },
                { PF DEVICE "Driver=none\n" SRIOV, 6, 18, "leave out 'Driver='" },
                { PF DEVICE "Driver=vfio-pci\n" SRIOV, 6, 18, "set 'Driver=host'" },
                { PF DEVICE "Driver=mlx5_vfio_pci\n" SRIOV, 6, 18, "set 'Driver=host'" },
        };

        assert_all_bad(faults, ELEMENTSOF(faults));
        rule_unref(parse_good(PF SRIOV DEVICE "Driver=host\n"));
        rule_unref(parse_good(PF SRIOV DEVICE "Accept=vfs-in-use\n"));
        rule_unref(parse_good(PF SRIOV DEVICE "Driver=igb\n"));
}

static void test_an_index_past_the_count_is_an_error(void)
{
        static const Fault faults[] = {
                { PF SRIOV VFS "Index=9\n", 6, 7,
                  "'Index=' cannot have VF 9: there are 7 VFs, counted from 0" },
                { PF SRIOV VFS "Index=0 5-7\n", 6, 9, "cannot have VF 7" },
                { PF VFS "Index=6\n" SRIOV "VirtualFunctions=6\n", 4, 7, "there are 6 VFs" },
                { PF SRIOV "VirtualFunctions=0\n" VFS "Index=0\n", 7, 7, "there are 0 VFs" },
        };

        assert_all_bad(faults, ELEMENTSOF(faults));
        rule_unref(parse_good(PF VFS "Index=9\n" SRIOV "VirtualFunctions=10\n"));
        rule_unref(parse_good(PF SRIOV "VirtualFunctions=max\n" VFS "Index=900\n"));
}

static void test_rates_of_a_vf_must_agree(void)
{
        static const Fault faults[] = {
                { PF SRIOV VFS "MinTxRate=11\nMaxTxRate=10\n", 6, 11,
                  "'MinTxRate=' of VF 0 is over its 'MaxTxRate='" },
                { PF SRIOV VFS "MaxTxRate=10\n" VFS "Index=3\nMinTxRate=11\n", 9, 11, "VF 3" },
                { PF SRIOV VFS "MinTxRate=11\n" VFS "Index=3\nMaxTxRate=10\n", 6, 11, "VF 3" },
                { PF SRIOV "VirtualFunctions=max\n" VFS "MinTxRate=2\nMaxTxRate=1\n", 7, 11, "" },
        };

        assert_all_bad(faults, ELEMENTSOF(faults));
        rule_unref(parse_good(PF SRIOV VFS "MinTxRate=11\nMaxTxRate=0\n"));
        rule_unref(parse_good(PF SRIOV VFS "MinTxRate=11\n" //
                              VFS "Index=0-2\nMaxTxRate=10\nMinTxRate=10\n"));
}

static void test_two_vfs_cannot_have_one_mac_address(void)
{
        static const Fault faults[] = {
                { PF SRIOV VFS "MACAddress=02:00:00:00:00:10\n" //
                  VFS "Index=6\nMACAddress=02:00:00:00:00:12\n",
                  9, 12, "'MACAddress=' would give VF 2 and VF 6 both 02:00:00:00:00:12" },
                { PF SRIOV VFS "Index=4-6\nMACAddress=02:00:00:00:00:10\n" //
                  VFS "Index=0-3\nMACAddress=02:00:00:00:00:0d\n",
                  7, 12, "VF 3 and VF 4 both 02:00:00:00:00:10" },
                { PF SRIOV "VirtualFunctions=max\n" VFS "Index=8\nMACAddress=02:00:00:00:00:10\n" //
                  VFS "Index=9\nMACAddress=02:00:00:00:00:10\n",
                  11, 12, "VF 8 and VF 9" },
        };

        assert_all_bad(faults, ELEMENTSOF(faults));
        /* VF 2 no longer has the address that the first section gave it. */
        rule_unref(parse_good(PF SRIOV VFS "MACAddress=02:00:00:00:00:10\n" //
                              VFS "Index=6\nMACAddress=02:00:00:00:00:12\n" //
                              VFS "Index=2\nMACAddress=02:00:00:00:00:20\n"));
        /* How far max goes is not known. */
        rule_unref(parse_good(PF SRIOV "VirtualFunctions=max\n"    //
                              VFS "MACAddress=02:00:00:00:00:00\n" //
                              VFS "Index=2\nMACAddress=02:00:00:00:00:20\n"));
}

static void test_mac_addresses_must_not_run_into_multicast_ones(void)
{
        static const Fault faults[] = {
                { PF SRIOV VFS "MACAddress=02:ff:ff:ff:ff:fa\n", 6, 12,
                  "'MACAddress=' would give VF 6 the multicast address 03:00:00:00:00:00" },
                { PF SRIOV VFS "Index=5-6\nMACAddress=fe:ff:ff:ff:ff:ff\n", 7, 12,
                  "VF 6 the multicast address ff:00:00:00:00:00" },
        };

        assert_all_bad(faults, ELEMENTSOF(faults));
        rule_unref(parse_good(PF SRIOV VFS "MACAddress=02:ff:ff:ff:ff:f9\n"));
        rule_unref(parse_good(PF SRIOV VFS "Index=6\nMACAddress=fe:ff:ff:ff:ff:ff\n"));
}

static void test_a_file_for_several_pfs_is_warned_of_its_mac_addresses(void)
{
        static const char *const several[] = { "Id=8086:10c9", "Address=41:*", "Address=!41:00.0",
                                               "Address=41:00.0 42:00.0", "Id=*:*\nExpect=2" };
        static const char *const one[] = { "Address=41:00.0", "Id=8086:10c9\nExpect=1" };

        for (size_t i = 0; i < ELEMENTSOF(several); i++) {
                g_autofree char *text = g_strdup_printf(
                        SRIOV VFS VFS "MACAddress=02:00:00:00:00:10\n[Match]\n%s\n", several[i]);
                const Fault warning = { NULL, 5, 12, "add 'Expect=1' to [Match]" };
                _cleanup_(config_freep) Config *c = new_config();
                _cleanup_(rule_unrefp) Rule *rule = parse(c, text);

                g_assert_nonnull(rule);
                g_assert_cmpuint(c->n_diagnostics, ==, 1);
                assert_diagnostic(c, 0, false, &warning);
        }
        for (size_t i = 0; i < ELEMENTSOF(one); i++) {
                g_autofree char *text = g_strdup_printf(
                        SRIOV VFS "MACAddress=02:00:00:00:00:10\n[Match]\n%s\n", one[i]);

                rule_unref(parse_good(text));
        }
        rule_unref(parse_good("[Match]\nId=8086:10c9\n" SRIOV VFS "VLAN=100\n"));
}

static void test_faults_of_one_file_are_told_together(void)
{
        static const char text[] = PF SRIOV VFS "VLAN=5000\nMACAddress=01:00:00:00:00:01\n" //
                VFS "Index=9\n";
        static const Fault faults[] = { { NULL, 6, 6, "5000" },
                                        { NULL, 7, 12, "01:00" },
                                        { NULL, 9, 7, "VF 9" } };
        _cleanup_(config_freep) Config *c = new_config();

        g_assert_null(parse(c, text));
        g_assert_cmpuint(c->n_diagnostics, ==, ELEMENTSOF(faults));
        for (size_t i = 0; i < ELEMENTSOF(faults); i++)
                assert_diagnostic(c, i, true, &faults[i]);
}

static void test_sections_have_a_limit(void)
{
        g_autoptr(GString) text = g_string_new(PF SRIOV);

        for (size_t i = 0; i < 4096; i++)
                g_string_append(text, VFS);
        rule_unref(parse_good(text->str));
        g_string_append(text, VFS "Driver=vfio\n");
        assert_bad(text->str, 5 + 4096, 1, "more than 4096 sections [VirtualFunction]");
}

static void write_drop_ins(const char *first, const char *second)
{
        root_write(&test_root, ETC "10-a.conf", PF SRIOV VFS "Index=0-1\nVLAN=5\n");
        root_write(&test_root, ETC "10-a.conf.d/x.conf", first);
        root_write(&test_root, ETC "10-a.conf.d/y.conf", second);
}

static void test_drop_ins_refine_vfs_and_errors_name_their_place(void)
{
        write_drop_ins(VFS "Index=1\nVLAN=6\n", SRIOV "VirtualFunctions=9\n" VFS "Index=8\nVLAN=7");
        {
                _cleanup_(config_freep) Config *c = load(&test_root);
                const Rule *rule = config_find_rule(c, "10-a.conf");

                g_assert_cmpuint(c->n_diagnostics, ==, 0);
                g_assert_cmpuint(rule->num_vfs, ==, 9);
                g_assert_cmpstr(setting(rule, 0, VF_VLAN), ==, "5");
                g_assert_cmpstr(setting(rule, 1, VF_VLAN), ==, "6");
                g_assert_cmpstr(setting(rule, 8, VF_VLAN), ==, "7");
        }
        write_drop_ins("\n" VFS "Index=1,6\n", "[SR-IOV]\nVirtualFunctions=2\n");
        {
                _cleanup_(config_freep) Config *c = load(&test_root);
                const Diagnostic *d = find_diagnostic(c, &test_root, ETC "10-a.conf.d/x.conf");

                g_assert_cmpuint(c->n_diagnostics, ==, 1);
                g_assert_cmpuint(d->line, ==, 3);
                g_assert_cmpuint(d->column, ==, 7);
                g_assert_true(strv_contains(c->broken, "10-a.conf"));
        }
}

#define ADD(name) g_test_add_func("/config-sriov/" #name, test_##name)

int main(int argc, char **argv)
{
        int r;

        g_test_init(&argc, &argv, NULL);
        ADD(everything_that_a_file_can_say_of_vfs);
        ADD(a_count_alone_is_enough_and_may_be_max_or_zero);
        ADD(indices_sort_grow_and_an_empty_value_means_all);
        ADD(values_that_a_vf_cannot_have_are_errors_at_their_place);
        ADD(counts_that_no_pf_can_have_are_errors);
        ADD(sections_that_do_not_go_together_are_errors);
        ADD(an_index_past_the_count_is_an_error);
        ADD(rates_of_a_vf_must_agree);
        ADD(two_vfs_cannot_have_one_mac_address);
        ADD(mac_addresses_must_not_run_into_multicast_ones);
        ADD(a_file_for_several_pfs_is_warned_of_its_mac_addresses);
        ADD(faults_of_one_file_are_told_together);
        ADD(sections_have_a_limit);
        ADD(drop_ins_refine_vfs_and_errors_name_their_place);
        root_init(&test_root);
        r = g_test_run();
        root_done(&test_root);
        return r;
}
