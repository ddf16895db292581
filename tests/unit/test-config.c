/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the text of one file means, and where its faults are said to be. */

#include "config-text.h"

static void test_everything_that_a_device_file_can_say(void)
{
        _cleanup_(rule_unrefp) Rule *rule = parse_good("# A card\n"
                                                       "[Match]\n"
                                                       "Address=0000:41:00.0 42:00.1\n"
                                                       "Id=10de:2684            # also a guard\n"
                                                       "Expect=2\n"
                                                       "\n"
                                                       "[Device]   # what it is to be\n"
                                                       "Driver = nvme\n"
                                                       "Group=strict\n"
                                                       "Accept=boot-display, swap no-reset\n"
                                                       "; and the node\n"
                                                       "[Access]\n"
                                                       "Owner=qemu\n"
                                                       "Group=kvm\n"
                                                       "Mode=0660\n");

        g_assert_cmpstr(rule->name, ==, "10-x.conf");
        g_assert_cmpstr(rule->path, ==, "/10-x.conf");
        g_assert_cmpuint(strv_length(rule->match.patterns[MATCH_ADDRESS]), ==, 2);
        g_assert_cmpstr(rule->match.patterns[MATCH_ID][0], ==, "10de:2684");
        g_assert_cmpint(rule->match.expect, ==, 2);
        g_assert_cmpint(rule->target, ==, TARGET_DRIVER);
        g_assert_cmpstr(rule->driver, ==, "nvme");
        g_assert_cmpint(rule->group_policy, ==, GROUP_STRICT);
        g_assert_cmpuint(rule->accept, ==,
                         hazard_bit(REASON_BOOT_DISPLAY) | hazard_bit(REASON_SWAP) |
                                 hazard_bit(REASON_NO_RESET));
        g_assert_true(rule->access.has_uid && rule->access.has_gid && rule->access.has_mode);
        g_assert_cmpuint(rule->access.uid, ==, 64055);
        g_assert_cmpuint(rule->access.gid, ==, 108);
        g_assert_cmpuint(rule->access.mode, ==, 0660);
}

static void test_defaults_of_a_device_file(void)
{
        _cleanup_(rule_unrefp) Rule *rule = parse_good("[Device]\n" MATCH);

        g_assert_cmpint(rule->match.expect, ==, -1);
        g_assert_cmpint(rule->target, ==, TARGET_VFIO);
        g_assert_null(rule->driver);
        g_assert_cmpint(rule->group_policy, ==, GROUP_WHOLE);
        g_assert_cmpuint(rule->accept, ==, 0);
        g_assert_false(rule->access.has_uid || rule->access.has_gid || rule->access.has_mode);
}

static void test_values_in_match_are_normalised(void)
{
        static const struct {
                MatchKey key;
                const char *value, *expected;
        } good[] = {
                { MATCH_ADDRESS, "0000:41:00.0", "0000:41:00.0" },
                { MATCH_ADDRESS, "41:0A.1 C0:1f.7", "0000:41:0a.1 0000:c0:1f.7" },
                { MATCH_ADDRESS, "10000:E1:00.0", "10000:e1:00.0" },
                { MATCH_ADDRESS, "000000:41:00.0 !00010000:e1:00.0",
                  "0000:41:00.0 !10000:e1:00.0" },
                { MATCH_ADDRESS, "41:* ![4A]1:00.?", "0000:41:* !0000:[4a]1:00.?" },
                { MATCH_ADDRESS, "0000:41:* 0000:* 10000:*", "0000:41:* 0000:* 10000:*" },
                { MATCH_ADDRESS, "* *.0 *:00.0", "* *.0 0000:*:00.0" },
                { MATCH_PHYSICAL_FUNCTION, "!41:00.0", "!0000:41:00.0" },
                { MATCH_ID, "10DE:2684 8086:* !8086:10[cC]?", "10de:2684 8086:* !8086:10[cc]?" },
                { MATCH_ID, "*:2684 *8*6*", "*:2684 *8*6*" },
                { MATCH_SUBSYSTEM_ID, "1043:88E2", "1043:88e2" },
                { MATCH_CLASS, "0300 0x0C03 02 !03* 020000", "0300 0c03 02 !03* 020000" },
                { MATCH_DRIVER, "e1000e mlx5_* !nvme", "e1000e mlx5_* !nvme" },
                { MATCH_PATH, "pci-0000:41:00.0 pci-*", "pci-0000:41:00.0 pci-*" },
                { MATCH_SLOT, "3 0-1 !4*", "3 0-1 !4*" },
                { MATCH_SERIAL_NUMBER, "00-1B-21-ff-FF-00-00-01 00-1B-*",
                  "00-1b-21-ff-ff-00-00-01 00-1b-*" },
                { MATCH_MAC_ADDRESS, "52:54:00:AB:cd:0f 52:54:*", "52:54:00:ab:cd:0f 52:54:*" },
                { MATCH_VIRTUAL_FUNCTION, "0-3,6 !7,9-10 11", "0-3 6 !7 !9-10 11" },
                { MATCH_VIRTUAL_FUNCTION, "*", "0-65535" },
                { MATCH_NUMA_NODE, "0 !1 -1", "0 !1 -1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                g_autofree char *text = g_strdup_printf(
                        "[Match]\n%s=%s\n" DEVICE, match_key_to_string(good[i].key), good[i].value);
                _cleanup_(rule_unrefp) Rule *rule = parse_good(text);
                _cleanup_free_ char *joined = strv_join(rule->match.patterns[good[i].key], " ");

                g_assert_cmpstr(joined, ==, good[i].expected);
        }
}

static void test_values_that_a_match_key_cannot_have_are_errors(void)
{
        static const struct {
                MatchKey key;
                const char *values; /* each alone is an error */
        } bad[] = {
                { MATCH_ADDRESS, "41:0.0 41:00.8 gg:00.0 41* [41:00.0 0:0000:41:* eth*:1 !" },
                { MATCH_PHYSICAL_FUNCTION, "eth0" },
                { MATCH_ID, "10de 10de:268 :2684 10de:2684:1 0x10de:2684 86:* *2684:?" },
                { MATCH_SUBSYSTEM_ID, "1043:zz*" },
                { MATCH_CLASS, "3 0300001 display 03??" },
                { MATCH_DRIVER, "a/b e1000e,igb !" },
                { MATCH_SERIAL_NUMBER, "001b21ffff00000 00:1b:21:ff:ff:00:00:01" },
                { MATCH_MAC_ADDRESS, "52:54:00:12:34 52-54-00-12-34-56 52:54:*:00:11:22:33" },
                { MATCH_VIRTUAL_FUNCTION, "3-0 1,,2 65536 x 1- -1 0-3* 0000000001-2" },
                { MATCH_NUMA_NODE, "-2 +1 01 1*" },
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                const char *name = match_key_to_string(bad[i].key);
                g_auto(GStrv) values = g_strsplit(bad[i].values, " ", -1);

                STRV_FOREACH(value, values) {
                        g_autofree char *text =
                                g_strdup_printf("[Match]\n%s=%s\n" DEVICE, name, *value);
                        g_autofree char *part = g_strdup_printf("'%s=' cannot be '", name);

                        assert_bad(text, 2, (unsigned)strlen(name) + 2, part);
                }
        }
}

static void test_lists_append_and_an_empty_value_resets(void)
{
        _cleanup_(rule_unrefp) Rule *rule =
                parse_good("[Match]\nAddress=01:00.0\nAddress=\nAddress=02:00.0\nAddress=03:00.0\n"
                           "Id=8086:*\nId=\nExpect=3\nExpect=\n"
                           "[Device]\nDriver=vfio\nDriver=none\nAccept=swap\nAccept=\n"
                           "Accept=no-reset\nGroup=strict\nGroup=\n"
                           "[Access]\nMode=0600\nMode=\nOwner=0\nGroup=kvm\nGroup=\n"
                           "[Match]\nAddress=04:00.0\n");

        g_assert_cmpuint(strv_length(rule->match.patterns[MATCH_ADDRESS]), ==, 3);
        g_assert_cmpstr(rule->match.patterns[MATCH_ADDRESS][0], ==, "0000:02:00.0");
        g_assert_cmpstr(rule->match.patterns[MATCH_ADDRESS][2], ==, "0000:04:00.0");
        g_assert_null(rule->match.patterns[MATCH_ID]);
        g_assert_cmpint(rule->match.expect, ==, -1);
        g_assert_cmpint(rule->target, ==, TARGET_NONE);
        g_assert_cmpint(rule->group_policy, ==, GROUP_WHOLE);
        g_assert_cmpuint(rule->accept, ==, hazard_bit(REASON_NO_RESET));
        g_assert_true(rule->access.has_uid);
        g_assert_false(rule->access.has_gid || rule->access.has_mode);
}

static void test_crlf_blanks_and_a_missing_last_newline(void)
{
        _cleanup_(rule_unrefp) Rule *rule =
                parse_good("\r\n  [Match]\t\r\n\tAddress =\t41:00.0 \r\n"
                           "  # a comment \\\r\n"
                           "[Device] # x\r\nDriver=host\t# y # z");

        g_assert_cmpstr(rule->match.patterns[MATCH_ADDRESS][0], ==, "0000:41:00.0");
        g_assert_cmpint(rule->target, ==, TARGET_HOST);
}

static void test_sections_of_others_are_ignored_whole(void)
{
        _cleanup_(rule_unrefp) Rule *rule =
                parse_good("[X-Mine]\nAddress=nonsense\n" MATCH DEVICE "[X-]\nanything=1\n");

        g_assert_cmpuint(strv_length(rule->match.patterns[MATCH_ADDRESS]), ==, 1);
}

static void test_an_unknown_key_is_a_warning_with_its_place(void)
{
        static const Fault colour = { NULL, 3, 3, "unknown key 'Colour=' in section [Match]" };
        static const Fault driver = { NULL, 5, 1, "unknown key 'driver=' in section [Device]" };
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_(rule_unrefp) Rule *rule = parse(c, MATCH "  Colour=red\n" DEVICE "driver=vfio\n");

        g_assert_nonnull(rule);
        g_assert_cmpuint(c->n_diagnostics, ==, 2);
        assert_diagnostic(c, 0, false, &colour);
        assert_diagnostic(c, 1, false, &driver);
        g_assert_false(config_has_errors(c));
}

static void test_broken_lines_are_errors_with_their_place(void)
{
        static const Fault faults[] = {
                { "[Match\nAddress=41:00.0\n", 1, 1, "section line" },
                { MATCH " [Device] x\nDriver=vfio\n", 3, 2, "section line" },
                { MATCH "[]\n" DEVICE, 3, 1, "unknown section []" },
                { "\nAddress=41:00.0\nId=1:2\n" MATCH DEVICE, 2, 1, "before the first section" },
                { MATCH "  Slot\n" DEVICE, 3, 3, "no section, no comment and no 'KEY=VALUE'" },
                { MATCH "=3\n" DEVICE, 3, 1, "no section, no comment and no 'KEY=VALUE'" },
                { MATCH "[SRIOV]\nVirtualFunctions=7\n" DEVICE, 3, 1, "unknown section [SRIOV]" },
        };

        assert_all_bad(faults, ELEMENTSOF(faults));
}

static void test_bytes_that_are_no_text_are_errors_with_their_place(void)
{
        static const char nul[] = MATCH "Sl\0t=3\n" DEVICE;
        static const Fault place = { NULL, 3, 3, "NUL" };
        static const Fault faults[] = {
                { MATCH "# caf\xe9\n" DEVICE, 3, 6, "UTF-8" },
                { MATCH "Slot=\xed\xa0\x80\n" DEVICE, 3, 6, "UTF-8" },
                { MATCH "Slot=\xf4\x90\x80\x80\n" DEVICE, 3, 6, "UTF-8" },
                { MATCH "Slot=\xc0\xaf\n" DEVICE, 3, 6, "UTF-8" },
                { MATCH DEVICE "#\xf0\x9f\x98", 4, 2, "UTF-8" },
                { MATCH "Slot=\x1b[2J\n" DEVICE, 3, 6, "control characters" },
                { MATCH "Slot=1\rSlot=2\n" DEVICE, 3, 7, "control characters" },
        };
        _cleanup_(config_freep) Config *c = new_config();

        assert_all_bad(faults, ELEMENTSOF(faults));
        g_assert_null(parse_size(c, nul, sizeof(nul) - 1));
        g_assert_cmpuint(c->n_diagnostics, ==, 1);
        assert_diagnostic(c, 0, true, &place);
        rule_unref(parse_good(MATCH DEVICE "# \xe2\x82\xac \xf0\x9f\x98\x80 \xed\x9f\xbf\n"));
}

static void test_a_long_line_is_an_error(void)
{
        g_autofree char *fill = g_strnfill(CONFIG_LINE_MAX, '#');
        g_autofree char *fits = g_strdup_printf(MATCH "%s\r\n" DEVICE, fill);
        g_autofree char *over = g_strdup_printf(MATCH "#%s\n" DEVICE, fill);

        rule_unref(parse_good(fits));
        assert_bad(over, 3, 1, "line of more than 65536 bytes");
}

static void test_bad_values_are_errors_at_the_bad_word(void)
{
        static const Fault faults[] = {
                { "[Match]\nAddress=41:00.0 41:0.0 \n" DEVICE, 2, 17,
                  "'Address=' cannot be '41:0.0': it takes addresses such as" },
                { "[Match]\nAddress=41:00.0,42:00.0\n" DEVICE, 2, 9, "'41:00.0,42:00.0'" },
                { "[Match]\nId = 10de\n" DEVICE, 2, 6, "'Id=' cannot be '10de': it takes vendor" },
                { MATCH "Expect=65536\n" DEVICE, 3, 8, "from 0 to 65535" },
                { MATCH "Expect=-1\n" DEVICE, 3, 8, "from 0 to 65535" },
                { MATCH DEVICE "Accept=swap,boot\n", 4, 13,
                  "'Accept=' cannot be 'boot': it takes names of hazards" },
                { MATCH DEVICE "Accept=bridge\n", 4, 8, "names of hazards" },
                { MATCH DEVICE "Driver=../x\n", 4, 8, "'Driver=' cannot be '../x'" },
                { MATCH DEVICE "Driver=vfio pci\n", 4, 8, "'Driver=' cannot be 'vfio pci'" },
                { MATCH DEVICE "Driver=\n", 4, 8, "it takes vfio, host" },
                { MATCH DEVICE "Group=kvm\n", 4, 7, "see [Access]" },
                { MATCH DEVICE "[Access]\nOwner=nobody\n", 5, 7, "a name in /etc/passwd" },
                { MATCH DEVICE "[Access]\nGroup=wheel\n", 5, 7, "a name in /etc/group" },
                { MATCH DEVICE "[Access]\nOwner=4294967295\n", 5, 7, "a number or a name" },
                { MATCH DEVICE "[Access]\nMode=0680\n", 5, 6, "octal mode" },
                { MATCH DEVICE "[Access]\nMode=1777\n", 5, 6, "octal mode" },
        };

        assert_all_bad(faults, ELEMENTSOF(faults));
}

static void test_a_file_must_say_which_devices_and_what(void)
{
        static const Fault faults[] = {
                { DEVICE "Driver=vfio\n", 0, 0, "has no [Match] key" },
                { DEVICE "[Match]\nExpect=1\n", 0, 0, "has no [Match] key" },
                { MATCH "Address=\n" DEVICE, 0, 0, "has no [Match] key" },
                { MATCH, 0, 0, "has no section [Device] or [SR-IOV]" },
                { "# Address=41:00.0\n", 0, 0, "has no [Match] key" },
        };

        assert_all_bad(faults, ELEMENTSOF(faults));
}

static void test_all_faults_of_a_file_are_told_but_not_without_end(void)
{
        _cleanup_(config_freep) Config *c = new_config();
        g_autoptr(GString) text = g_string_new("[Match]\nAddress=x y\nId=z\n" DEVICE "Group=q\n");

        g_assert_null(parse(c, text->str));
        g_assert_cmpuint(c->n_diagnostics, ==, 4);
        for (size_t i = 0; i < 1000; i++)
                g_string_append(text, "What=1\nDriver=/\n");
        c = config_free(c);
        c = new_config();
        g_assert_null(parse(c, text->str));
        g_assert_cmpuint(c->n_diagnostics, ==, 64);
}

static void test_a_long_word_does_not_flood_the_journal(void)
{
        g_autofree char *word = g_strnfill(1000, 'x');
        g_autofree char *text = g_strdup_printf(MATCH DEVICE "Driver=%s\n", word);
        _cleanup_(config_freep) Config *c = new_config();

        g_assert_null(parse(c, text));
        g_assert_cmpuint(strlen(c->diagnostics[0].message), <, 200);
        g_assert_true(g_utf8_validate(c->diagnostics[0].message, -1, NULL));
}

static void test_a_list_key_has_a_limit(void)
{
        g_autoptr(GString) text = g_string_new("[Device]\n[Match]\nAddress=");

        for (size_t i = 0; i < 4096; i++)
                g_string_append(text, "41:00.0 ");
        rule_unref(parse_good(text->str));
        g_string_append(text, "41:00.0 ");
        assert_bad(text->str, 3, 9 + 4096 * 8, "more than 4096 values");
}

static void parse_settings(Config *c, const char *text)
{
        g_assert_cmpint(config_parse_settings(c, "/vfiod.conf", text, strlen(text)), ==, 0);
}

static void test_settings_files_set_what_they_name(void)
{
        _cleanup_(config_freep) Config *c = new_config();

        parse_settings(c, "[Daemon]\nStartupTimeoutSec=0\nWriteTimeoutSec=500ms\n"
                          "RetryMaxSec=10min\nMaxWorkers=64\nAllowedDrivers=mlx5_vfio_pci\n");
        parse_settings(c, "[Daemon]\nAllowedDrivers=nvgrace_gpu_vfio_pci vfio-pci\n");
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
        g_assert_cmpuint(c->daemon.startup_timeout_usec, ==, 0);
        g_assert_cmpuint(c->daemon.write_timeout_usec, ==, 500 * USEC_PER_MSEC);
        g_assert_cmpuint(c->daemon.retry_max_usec, ==, 600 * USEC_PER_SEC);
        g_assert_cmpuint(c->daemon.max_workers, ==, 64);
        g_assert_cmpuint(c->daemon.max_jobs_per_user, ==, 16);
        g_assert_cmpuint(strv_length(c->daemon.allowed_drivers), ==, 3);
        parse_settings(c, "[Daemon]\nAllowedDrivers=\nAllowedDrivers=vfio-pci\n");
        g_assert_cmpuint(strv_length(c->daemon.allowed_drivers), ==, 1);
}

static void test_a_settings_file_in_error_changes_nothing(void)
{
        static const Fault faults[] = {
                { "[Daemon]\nMaxWorkers=8\nWriteTimeoutSec=soon\n", 3, 17, "a time" },
                { "[Daemon]\nMaxWorkers=8\nWriteTimeoutSec=0\n", 3, 17, "above zero" },
                /* One that no clock can be set to is not taken for infinity. */
                { "[Daemon]\nMaxWorkers=8\nStartupTimeoutSec=18446744073709551614us\n", 3, 19,
                  "a time" },
                { "[Daemon]\nRetryMaxSec=\n", 2, 13, "above zero" },
                { "[Daemon]\nMaxWorkers=0\n", 2, 12, "from 1 to 64" },
                { "[Daemon]\nMaxWorkers=65\n", 2, 12, "from 1 to 64" },
                { "[Daemon]\nMaxJobsPerUser=1025\n", 2, 16, "from 1 to 1024" },
                { "[Daemon]\nAllowedDrivers=vfio-pci host\n", 2, 25, "names of drivers" },
                { "[Daemon]\nMaxWorkers=8\n[Device]\n", 3, 1, "unknown section [Device]" },
                { "MaxWorkers=8\n", 1, 1, "before the first section" },
        };

        for (size_t i = 0; i < ELEMENTSOF(faults); i++) {
                _cleanup_(config_freep) Config *c = new_config();

                parse_settings(c, faults[i].text);
                g_assert_cmpuint(c->n_diagnostics, ==, 1);
                assert_diagnostic(c, 0, true, &faults[i]);
                g_assert_cmpuint(c->daemon.max_workers, ==, 4);
        }
}

/* Every prefix, and every byte changed in several ways: an answer, no crash and no leak. */
static void test_any_damage_to_a_good_file_is_survived(void)
{
        static const char good[] =
                "# x\r\n[Match]\nAddress=41:* !0000:42:00.0\nId=10de:2684 # g\nSlot=[1-3]\n"
                "VirtualFunction=0-3,6\nSerialNumber=00-1b-21-ff-ff-00-00-01\nExpect=1\n"
                "[Device]\nDriver=host\nAccept=swap,no-reset\n[Access]\nOwner=qemu\nMode=0660\n"
                "[SR-IOV]\nVirtualFunctions=7\n[VirtualFunction]\nDriver=vfio\nTrust=yes\n"
                "MACAddress=02:00:00:00:10:00\n[VirtualFunction]\nIndex=0-3,6 5\nVLAN=100\n";
        static const unsigned char flips[] = { 0x01, 0x20, 0x80, 0xff };
        char text[sizeof(good)];

        for (size_t n = 0; n < sizeof(good); n++) {
                _cleanup_(config_freep) Config *c = new_config();
                _cleanup_free_ char *exact = g_memdup2(good, n);
                Rule *rule = parse_size(c, exact, n);

                g_assert_true(rule || config_has_errors(c));
                rule_unref(rule);
                g_assert_cmpint(config_parse_settings(c, "/x", exact, n), ==, 0);
        }
        for (size_t i = 0; i < sizeof(good) * ELEMENTSOF(flips); i++) {
                _cleanup_(config_freep) Config *c = new_config();
                Rule *rule;

                memcpy(text, good, sizeof(good));
                text[i / ELEMENTSOF(flips)] ^= (char)flips[i % ELEMENTSOF(flips)];
                rule = parse_size(c, text, sizeof(good) - 1);
                g_assert_true(rule || config_has_errors(c));
                rule_unref(rule);
                for (size_t k = 0; k < c->n_diagnostics; k++)
                        g_assert_true(g_utf8_validate(c->diagnostics[k].message, -1, NULL));
        }
}

#define ADD(name) g_test_add_func("/config/" #name, test_##name)

int main(int argc, char **argv)
{
        int r;

        g_test_init(&argc, &argv, NULL);
        ADD(everything_that_a_device_file_can_say);
        ADD(defaults_of_a_device_file);
        ADD(values_in_match_are_normalised);
        ADD(values_that_a_match_key_cannot_have_are_errors);
        ADD(lists_append_and_an_empty_value_resets);
        ADD(crlf_blanks_and_a_missing_last_newline);
        ADD(sections_of_others_are_ignored_whole);
        ADD(an_unknown_key_is_a_warning_with_its_place);
        ADD(broken_lines_are_errors_with_their_place);
        ADD(bytes_that_are_no_text_are_errors_with_their_place);
        ADD(a_long_line_is_an_error);
        ADD(bad_values_are_errors_at_the_bad_word);
        ADD(a_file_must_say_which_devices_and_what);
        ADD(all_faults_of_a_file_are_told_but_not_without_end);
        ADD(a_long_word_does_not_flood_the_journal);
        ADD(a_list_key_has_a_limit);
        ADD(settings_files_set_what_they_name);
        ADD(a_settings_file_in_error_changes_nothing);
        ADD(any_damage_to_a_good_file_is_survived);
        root_init(&test_root);
        r = g_test_run();
        root_done(&test_root);
        return r;
}
