/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the text of one file means, and where its faults are said to be. */

#include "config-root.h"
#include "config/load.h"

#define DEVICE "[Device]\n"
#define MATCH "[Match]\nAddress=41:00.0\n"

static TestRoot test_root;

static Config *new_config(void)
{
        Config *c = config_new();

        g_assert_nonnull(c);
        return c;
}

static Rule *parse_size(Config *c, const char *text, size_t size)
{
        Rule *rule = NULL;

        g_assert_cmpint(
                config_parse_rule(c, test_root.fd, "10-x.conf", "/10-x.conf", text, size, &rule),
                ==, 0);
        return rule;
}

static Rule *parse(Config *c, const char *text)
{
        return parse_size(c, text, strlen(text));
}

/* The rule of a text in which nothing is wrong. */
static Rule *parse_good(const char *text)
{
        _cleanup_(config_freep) Config *c = new_config();
        Rule *rule = parse(c, text);

        for (size_t i = 0; i < c->n_diagnostics; i++)
                g_test_message("%u:%u: %s", c->diagnostics[i].line, c->diagnostics[i].column,
                               c->diagnostics[i].message);
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
        g_assert_nonnull(rule);
        return rule;
}

static void assert_diagnostic(const Config *c, size_t i, unsigned line, unsigned column, bool error,
                              const char *part)
{
        const Diagnostic *d;

        g_assert_cmpuint(i, <, c->n_diagnostics);
        d = &c->diagnostics[i];
        if (!strstr(d->message, part))
                g_error("'%s' is not in '%s'", part, d->message);
        g_assert_cmpuint(d->line, ==, line);
        g_assert_cmpuint(d->column, ==, column);
        g_assert_cmpint(d->error, ==, error);
}

static void assert_bad_size(const char *text, size_t size, unsigned line, unsigned column,
                            const char *part)
{
        _cleanup_(config_freep) Config *c = new_config();

        g_assert_null(parse_size(c, text, size));
        g_assert_cmpuint(c->n_diagnostics, ==, 1);
        g_assert_cmpstr(c->diagnostics[0].path, ==, "/10-x.conf");
        assert_diagnostic(c, 0, line, column, true, part);
}

static void assert_bad(const char *text, unsigned line, unsigned column, const char *part)
{
        assert_bad_size(text, strlen(text), line, column, part);
}

/* What one assignment in [Match] becomes, words joined by a space. */
static void assert_match(MatchKey key, const char *value, const char *expected)
{
        g_autofree char *text =
                g_strdup_printf("[Match]\n%s=%s\n" DEVICE, match_key_to_string(key), value);
        _cleanup_(rule_unrefp) Rule *rule = parse_good(text);
        _cleanup_free_ char *joined = strv_join(rule->match.patterns[key], " ");

        g_assert_cmpstr(joined, ==, expected);
}

static void assert_no_match(MatchKey key, const char *value)
{
        const char *name = match_key_to_string(key);
        g_autofree char *text = g_strdup_printf("[Match]\n%s=%s\n" DEVICE, name, value);

        assert_bad(text, 2, (unsigned)strlen(name) + 2, name);
}

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

static void test_addresses_become_long(void)
{
        assert_match(MATCH_ADDRESS, "0000:41:00.0", "0000:41:00.0");
        assert_match(MATCH_ADDRESS, "41:0A.1 C0:1f.7", "0000:41:0a.1 0000:c0:1f.7");
        assert_match(MATCH_ADDRESS, "10000:E1:00.0", "10000:e1:00.0");
        assert_match(MATCH_ADDRESS, "41:* ![4A]1:00.?", "0000:41:* !0000:[4a]1:00.?");
        assert_match(MATCH_ADDRESS, "0000:41:* 0000:* 10000:*", "0000:41:* 0000:* 10000:*");
        assert_match(MATCH_ADDRESS, "* *.0", "* *.0");
        assert_match(MATCH_PHYSICAL_FUNCTION, "!41:00.0", "!0000:41:00.0");
        assert_no_match(MATCH_ADDRESS, "41:0.0");
        assert_no_match(MATCH_ADDRESS, "41:00.8");
        assert_no_match(MATCH_ADDRESS, "gg:00.0");
        assert_no_match(MATCH_ADDRESS, "41*");
        assert_no_match(MATCH_ADDRESS, "[41:00.0");
        assert_no_match(MATCH_ADDRESS, "0:0000:41:*");
        assert_no_match(MATCH_ADDRESS, "eth*:1");
        assert_no_match(MATCH_ADDRESS, "!");
        assert_no_match(MATCH_PHYSICAL_FUNCTION, "eth0");
}

static void test_ids_and_classes_become_lower_case(void)
{
        assert_match(MATCH_ID, "10DE:2684 8086:* !8086:10[cC]?", "10de:2684 8086:* !8086:10[cc]?");
        assert_match(MATCH_SUBSYSTEM_ID, "1043:88E2", "1043:88e2");
        assert_match(MATCH_CLASS, "0300 0x0C03 02 !03?? 020000", "0300 0c03 02 !03?? 020000");
        assert_no_match(MATCH_ID, "10de");
        assert_no_match(MATCH_ID, "10de:268");
        assert_no_match(MATCH_ID, ":2684");
        assert_no_match(MATCH_ID, "10de:2684:1");
        assert_no_match(MATCH_ID, "0x10de:2684");
        assert_no_match(MATCH_SUBSYSTEM_ID, "1043:zz*");
        assert_no_match(MATCH_CLASS, "3");
        assert_no_match(MATCH_CLASS, "0300001");
        assert_no_match(MATCH_CLASS, "display");
}

static void test_other_match_keys_are_normalised(void)
{
        assert_match(MATCH_DRIVER, "e1000e mlx5_* !nvme", "e1000e mlx5_* !nvme");
        assert_match(MATCH_PATH, "pci-0000:41:00.0 pci-*", "pci-0000:41:00.0 pci-*");
        assert_match(MATCH_SLOT, "3 0-1 !4*", "3 0-1 !4*");
        assert_match(MATCH_SERIAL_NUMBER, "00-1B-21-ff-FF-00-00-01 001B21FFFF000002 00-1B-*",
                     "00-1b-21-ff-ff-00-00-01 00-1b-21-ff-ff-00-00-02 00-1b-*");
        assert_match(MATCH_MAC_ADDRESS, "52:54:00:AB:cd:0f 52:54:*", "52:54:00:ab:cd:0f 52:54:*");
        assert_match(MATCH_VIRTUAL_FUNCTION, "0-3,06 !7,9-10 11", "0-3 6 !7 !9-10 11");
        assert_match(MATCH_VIRTUAL_FUNCTION, "*", "0-65535");
        assert_match(MATCH_NUMA_NODE, "0 !01 -1", "0 !1 -1");
        assert_no_match(MATCH_DRIVER, "a/b");
        assert_no_match(MATCH_SLOT, "[3");
        assert_no_match(MATCH_SERIAL_NUMBER, "001b21ffff00000");
        assert_no_match(MATCH_SERIAL_NUMBER, "00:1b:21:ff:ff:00:00:01");
        assert_no_match(MATCH_MAC_ADDRESS, "52:54:00:12:34");
        assert_no_match(MATCH_MAC_ADDRESS, "52-54-00-12-34-56");
        assert_no_match(MATCH_VIRTUAL_FUNCTION, "3-0");
        assert_no_match(MATCH_VIRTUAL_FUNCTION, "1,,2");
        assert_no_match(MATCH_VIRTUAL_FUNCTION, "65536");
        assert_no_match(MATCH_VIRTUAL_FUNCTION, "x");
        assert_no_match(MATCH_NUMA_NODE, "-2");
        assert_no_match(MATCH_NUMA_NODE, "+1");
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
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_(rule_unrefp) Rule *rule = parse(c, MATCH "  Colour=red\n" DEVICE "driver=vfio\n");

        g_assert_nonnull(rule);
        g_assert_cmpuint(c->n_diagnostics, ==, 2);
        assert_diagnostic(c, 0, 3, 3, false, "unknown key 'Colour=' in section [Match]");
        assert_diagnostic(c, 1, 5, 1, false, "unknown key 'driver=' in section [Device]");
        g_assert_false(config_has_errors(c));
}

static void test_broken_lines_are_errors_with_their_place(void)
{
        assert_bad("[Match\nAddress=41:00.0\n", 1, 1, "without ']'");
        assert_bad(MATCH " [Device] x\nDriver=vfio\n", 3, 11, "behind the ']'");
        assert_bad(MATCH "[]\n" DEVICE, 3, 1, "without a name");
        assert_bad("\nAddress=41:00.0\nId=1:2\n" MATCH DEVICE, 2, 1, "before the first section");
        assert_bad(MATCH "  Slot\n" DEVICE, 3, 3, "no section, no comment and no 'Key=value'");
        assert_bad(MATCH "=3\n" DEVICE, 3, 1, "no section, no comment and no 'Key=value'");
        assert_bad(MATCH "Slot=3 \\\n" DEVICE, 3, 8, "line continuation is not supported");
        assert_bad(MATCH "[SR-IOV]\nVirtualFunctions=7\n" DEVICE, 3, 1, "unknown section [SR-IOV]");
        assert_bad(MATCH DEVICE "[VirtualFunction]\n", 4, 1, "unknown section [VirtualFunction]");
}

static void test_bytes_that_are_no_text_are_errors_with_their_place(void)
{
        static const char nul[] = MATCH "Sl\0t=3\n" DEVICE;

        assert_bad_size(nul, sizeof(nul) - 1, 3, 3, "NUL byte");
        assert_bad(MATCH "# caf\xe9\n" DEVICE, 3, 6, "not valid UTF-8");
        assert_bad(MATCH "Slot=\xed\xa0\x80\n" DEVICE, 3, 6, "not valid UTF-8");
        assert_bad(MATCH "Slot=\xf4\x90\x80\x80\n" DEVICE, 3, 6, "not valid UTF-8");
        assert_bad(MATCH "Slot=\xc0\xaf\n" DEVICE, 3, 6, "not valid UTF-8");
        assert_bad(MATCH DEVICE "#\xf0\x9f\x98", 4, 2, "not valid UTF-8");
        assert_bad(MATCH "Slot=\x1b[2J\n" DEVICE, 3, 6, "control character");
        assert_bad(MATCH "Slot=\xc2\x9b\n" DEVICE, 3, 6, "control character");
        assert_bad(MATCH "Slot=1\rSlot=2\n" DEVICE, 3, 7, "control character");
        assert_bad("\xef\xbb\xbf" MATCH DEVICE, 1, 1, "byte order mark");
        rule_unref(parse_good(MATCH DEVICE "# \xe2\x82\xac \xf0\x9f\x98\x80 \xed\x9f\xbf\n"));
}

static void test_a_long_line_or_file_is_an_error(void)
{
        g_autofree char *fill = g_strnfill(2 * CONFIG_FILE_MAX, '#');
        g_autofree char *fits =
                g_strdup_printf(MATCH "%.*s\r\n" DEVICE, (int)CONFIG_LINE_MAX, fill);
        g_autofree char *over =
                g_strdup_printf(MATCH "%.*s\n" DEVICE, (int)CONFIG_LINE_MAX + 1, fill);

        rule_unref(parse_good(fits));
        assert_bad(over, 3, CONFIG_LINE_MAX + 1, "line of more than 65536 bytes");
        assert_bad(fill, 0, 0, "larger than 1048576 bytes");
}

static void test_bad_values_are_errors_at_the_bad_word(void)
{
        assert_bad("[Match]\nAddress=41:00.0 41:0.0 \n" DEVICE, 2, 17,
                   "'Address=' cannot be '41:0.0': it takes addresses such as");
        assert_bad("[Match]\nAddress=41:00.0,42:00.0\n" DEVICE, 2, 16, "separated by white space");
        assert_bad("[Match]\nId = 10de\n" DEVICE, 2, 6, "'Id=' cannot be '10de': it takes vendor");
        assert_bad(MATCH "Expect=65536\n" DEVICE, 3, 8, "from 0 to 65535");
        assert_bad(MATCH "Expect=-1\n" DEVICE, 3, 8, "from 0 to 65535");
        assert_bad(MATCH DEVICE "Accept=swap,boot\n", 4, 13,
                   "'Accept=' names an unknown hazard 'boot'");
        assert_bad(MATCH DEVICE "Accept=bridge\n", 4, 8, "unknown hazard 'bridge'");
        assert_bad(MATCH DEVICE "Driver=../x\n", 4, 8, "'Driver=' cannot be '../x'");
        assert_bad(MATCH DEVICE "Driver=vfio pci\n", 4, 8, "'Driver=' cannot be 'vfio pci'");
        assert_bad(MATCH DEVICE "Driver=\n", 4, 8, "'Driver=' is empty: it takes vfio, host");
        assert_bad(MATCH DEVICE "Group=kvm\n", 4, 7, "'Group=' in section [Access]");
        assert_bad(MATCH DEVICE "[Access]\nOwner=nobody\n", 5, 7, "unknown user 'nobody'");
        assert_bad(MATCH DEVICE "[Access]\nGroup=wheel\n", 5, 7, "unknown group 'wheel'");
        assert_bad(MATCH DEVICE "[Access]\nOwner=4294967295\n", 5, 7, "below 4294967295");
        assert_bad(MATCH DEVICE "[Access]\nMode=0680\n", 5, 6, "octal mode");
        assert_bad(MATCH DEVICE "[Access]\nMode=1777\n", 5, 6, "octal mode");
}

static void test_a_file_must_say_which_devices_and_what(void)
{
        assert_bad(DEVICE "Driver=vfio\n", 0, 0,
                   "has no [Match] key, so it would match every device");
        assert_bad(DEVICE "[Match]\nExpect=1\n", 2, 1, "has no [Match] key");
        assert_bad(MATCH "Address=\n" DEVICE, 1, 1, "has no [Match] key");
        assert_bad(MATCH, 0, 0, "says nothing about what is wanted");
        assert_bad("# Address=41:00.0\n", 0, 0, "has no section");
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
        g_assert_true(g_str_has_suffix(c->diagnostics[63].message, "(no more are shown)"));
}

static void test_a_long_word_is_cut_in_a_message_as_valid_text(void)
{
        _cleanup_(config_freep) Config *c = new_config();
        g_autoptr(GString) text = g_string_new(MATCH DEVICE "Driver=x");

        for (size_t i = 0; i < 1000; i++)
                g_string_append(text, "\xe2\x82\xac");
        g_assert_null(parse(c, text->str));
        g_assert_cmpuint(strlen(c->diagnostics[0].message), <, 200);
        g_assert_true(g_utf8_validate(c->diagnostics[0].message, -1, NULL));
        g_assert_nonnull(strstr(c->diagnostics[0].message, "\xe2\x80\xa6': it takes"));
}

static void test_a_list_key_has_a_limit(void)
{
        g_autoptr(GString) text = g_string_new("[Device]\n[Match]\nAddress=");

        for (size_t i = 0; i < 4096; i++)
                g_string_append(text, "41:00.0 ");
        rule_unref(parse_good(text->str));
        g_string_append(text, "41:00.0 ");
        assert_bad(text->str, 3, 9, "more than 4096 values");
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

static void assert_bad_settings(const char *text, unsigned line, unsigned column, const char *part)
{
        _cleanup_(config_freep) Config *c = new_config();

        parse_settings(c, text);
        g_assert_cmpuint(c->n_diagnostics, ==, 1);
        assert_diagnostic(c, 0, line, column, true, part);
        g_assert_cmpuint(c->daemon.max_workers, ==, 4);
}

static void test_a_settings_file_in_error_changes_nothing(void)
{
        assert_bad_settings("[Daemon]\nMaxWorkers=8\nWriteTimeoutSec=soon\n", 3, 17, "a time");
        assert_bad_settings("[Daemon]\nMaxWorkers=8\nWriteTimeoutSec=0\n", 3, 17, "above zero");
        assert_bad_settings("[Daemon]\nRetryMaxSec=\n", 2, 13, "is empty");
        assert_bad_settings("[Daemon]\nMaxWorkers=0\n", 2, 12, "from 1 to 64");
        assert_bad_settings("[Daemon]\nMaxWorkers=65\n", 2, 12, "from 1 to 64");
        assert_bad_settings("[Daemon]\nMaxJobsPerUser=1025\n", 2, 16, "from 1 to 1024");
        assert_bad_settings("[Daemon]\nAllowedDrivers=vfio-pci host\n", 2, 25, "names of drivers");
        assert_bad_settings("[Daemon]\nMaxWorkers=8\n[Device]\n", 3, 1, "unknown section [Device]");
        assert_bad_settings("MaxWorkers=8\n", 1, 1, "before the first section");
}

/* Every prefix, and every byte changed in several ways: an answer, no crash and no leak. */
static void test_any_damage_to_a_good_file_is_survived(void)
{
        static const char good[] =
                "# x\r\n[Match]\nAddress=41:* !0000:42:00.0\nId=10de:2684 # g\nSlot=[1-3]\n"
                "VirtualFunction=0-3,6\nSerialNumber=001b21ffff000001\nExpect=1\n"
                "[Device]\nDriver=vfio\nAccept=swap,no-reset\n[Access]\nOwner=qemu\nMode=0660\n";
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

int main(int argc, char **argv)
{
        int r;

        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/config/everything-that-a-device-file-can-say",
                        test_everything_that_a_device_file_can_say);
        g_test_add_func("/config/defaults-of-a-device-file", test_defaults_of_a_device_file);
        g_test_add_func("/config/addresses-become-long", test_addresses_become_long);
        g_test_add_func("/config/ids-and-classes-become-lower-case",
                        test_ids_and_classes_become_lower_case);
        g_test_add_func("/config/other-match-keys-are-normalised",
                        test_other_match_keys_are_normalised);
        g_test_add_func("/config/lists-append-and-an-empty-value-resets",
                        test_lists_append_and_an_empty_value_resets);
        g_test_add_func("/config/crlf-blanks-and-a-missing-last-newline",
                        test_crlf_blanks_and_a_missing_last_newline);
        g_test_add_func("/config/sections-of-others-are-ignored-whole",
                        test_sections_of_others_are_ignored_whole);
        g_test_add_func("/config/an-unknown-key-is-a-warning-with-its-place",
                        test_an_unknown_key_is_a_warning_with_its_place);
        g_test_add_func("/config/broken-lines-are-errors-with-their-place",
                        test_broken_lines_are_errors_with_their_place);
        g_test_add_func("/config/bytes-that-are-no-text-are-errors-with-their-place",
                        test_bytes_that_are_no_text_are_errors_with_their_place);
        g_test_add_func("/config/a-long-line-or-file-is-an-error",
                        test_a_long_line_or_file_is_an_error);
        g_test_add_func("/config/bad-values-are-errors-at-the-bad-word",
                        test_bad_values_are_errors_at_the_bad_word);
        g_test_add_func("/config/a-file-must-say-which-devices-and-what",
                        test_a_file_must_say_which_devices_and_what);
        g_test_add_func("/config/all-faults-of-a-file-are-told-but-not-without-end",
                        test_all_faults_of_a_file_are_told_but_not_without_end);
        g_test_add_func("/config/a-long-word-is-cut-in-a-message-as-valid-text",
                        test_a_long_word_is_cut_in_a_message_as_valid_text);
        g_test_add_func("/config/a-list-key-has-a-limit", test_a_list_key_has_a_limit);
        g_test_add_func("/config/settings-files-set-what-they-name",
                        test_settings_files_set_what_they_name);
        g_test_add_func("/config/a-settings-file-in-error-changes-nothing",
                        test_a_settings_file_in_error_changes_nothing);
        g_test_add_func("/config/any-damage-to-a-good-file-is-survived",
                        test_any_damage_to_a_good_file_is_survived);
        root_init(&test_root);
        r = g_test_run();
        root_done(&test_root);
        return r;
}
