/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fake-tree.h"
#include "sys/state.h"

#include <sys/file.h>

#define BOOT "0123456789abcdef0123456789abcdef"
#define OTHER_BOOT "fedcba9876543210fedcba9876543210"

static Origin example(const char *address)
{
        Origin o = {
                .identity = {
                        .vendor = 0x10de,
                        .device = 0x2684,
                        .subvendor = 0x10de,
                        .subdevice = 0x16f3,
                        .has_serial = true,
                        .serial = UINT64_C(0x001b21ffff000001),
                        .topology = g_strdup("pci0000:00/1c.4/00.0"),
                },
                .driver = g_strdup("nvidia"),
                .intended = g_strdup("vfio-pci"),
                .rule = g_strdup("10-a name, 100%\twide.conf"),
                .has_mac = true,
                .mac = { 2, 0, 0, 0, 0, 0xff },
                .taken = true,
        };

        g_assert_cmpint(pci_address_parse(address, &o.address), ==, 0);
        return o;
}

static void put(OriginTable *t, Origin o)
{
        g_assert_cmpint(origin_table_put(t, &o), ==, 0);
}

static void assert_same(const Origin *a, const Origin *b)
{
        g_assert_true(pci_address_equal(&a->address, &b->address));
        g_assert_cmphex(a->identity.vendor, ==, b->identity.vendor);
        g_assert_cmphex(a->identity.device, ==, b->identity.device);
        g_assert_cmphex(a->identity.subvendor, ==, b->identity.subvendor);
        g_assert_cmphex(a->identity.subdevice, ==, b->identity.subdevice);
        g_assert_cmpint(a->identity.has_serial, ==, b->identity.has_serial);
        g_assert_cmphex(a->identity.serial, ==, b->identity.serial);
        g_assert_cmpstr(a->identity.topology, ==, b->identity.topology);
        g_assert_cmpstr(a->driver, ==, b->driver);
        g_assert_cmpstr(a->override, ==, b->override);
        g_assert_cmpstr(a->intended, ==, b->intended);
        g_assert_cmpstr(a->rule, ==, b->rule);
        g_assert_cmpint(a->has_mac, ==, b->has_mac);
        g_assert_cmpmem(a->mac, 6, b->mac, 6);
        g_assert_cmpint(a->taken, ==, b->taken);
        g_assert_cmpint(a->counted, ==, b->counted);
        g_assert_cmpuint(a->num_vfs, ==, b->num_vfs);
        g_assert_cmpint(a->autoprobe_off, ==, b->autoprobe_off);
}

static OriginTable some_origins(void)
{
        OriginTable t = { 0 };
        Origin bare = { .intended = g_strdup(""), .override = g_strdup("pci-stub") };
        Origin none = { .counted = true }, some = { .counted = true, .num_vfs = 127 };
        Origin spaced = { .driver = g_strdup("budget dvb") }; /* as the kernel calls it */

        g_assert_cmpint(pci_address_parse("10000:e1:1f.7", &bare.address), ==, 0);
        put(&t, example("0000:41:00.0"));
        put(&t, bare);
        some.autoprobe_off = true;
        some.address.domain = 0x10001;
        none.address.domain = 0x10002;
        spaced.address.domain = 0x10003;
        put(&t, spaced);
        put(&t, some);
        put(&t, none);
        return t;
}

static void test_round_trip(void)
{
        _cleanup_(origin_table_done) OriginTable t = some_origins(), back = { 0 };
        _cleanup_free_ char *text = NULL;

        g_assert_cmpint(state_format(BOOT, &t, &text), ==, 0);
        g_assert_cmpint(state_parse(text, strlen(text), BOOT, &back, NULL), ==, 0);
        g_assert_cmpuint(back.n_origins, ==, t.n_origins);
        for (size_t i = 0; i < t.n_origins; i++)
                assert_same(&t.origins[i], &back.origins[i]);
}

static void test_another_boot_took_nothing(void)
{
        _cleanup_(origin_table_done) OriginTable t = some_origins(), back = { 0 };
        _cleanup_free_ char *text = NULL;

        g_assert_cmpint(state_format(BOOT, &t, &text), ==, 0);
        g_assert_cmpint(state_parse(text, strlen(text), OTHER_BOOT, &back, NULL), ==, 0);
        g_assert_cmpuint(back.n_origins, ==, t.n_origins);
        g_assert_false(back.origins[0].taken);
        g_assert_cmpstr(back.origins[0].driver, ==, "nvidia");
        for (size_t i = 0; i < back.n_origins; i++) {
                g_assert_false(back.origins[i].counted || back.origins[i].autoprobe_off);
                g_assert_cmpuint(back.origins[i].num_vfs, ==, 0);
        }
}

/* No damage of one byte and no cut goes unseen. */
static void test_any_damage_is_seen(void)
{
        _cleanup_(origin_table_done) OriginTable t = some_origins();
        _cleanup_free_ char *text = NULL;
        size_t size;

        g_assert_cmpint(state_format(BOOT, &t, &text), ==, 0);
        size = strlen(text);
        for (size_t i = 0; i < size; i++) {
                _cleanup_(origin_table_done) OriginTable back = { 0 };
                char saved = text[i];

                text[i] ^= 1;
                g_assert_cmpint(state_parse(text, size, BOOT, &back, NULL), <, 0);
                text[i] = saved;
                g_assert_cmpint(state_parse(text, i, BOOT, &back, NULL), ==, -EBADMSG);
                g_assert_cmpuint(back.n_origins, ==, 0);
        }
}

/* The verdict over a file whose checksum is right. */
static int parse_body(const char *body, OriginTable *ret)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        g_autofree char *text = NULL;

        for (const char *c = body; *c; c++)
                hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
        text = g_strdup_printf("vfiod-state 1 %016llx\n%s", (unsigned long long)hash, body);
        return state_parse(text, strlen(text), BOOT, ret, NULL);
}

static void test_bad_lines_are_refused(void)
{
        static const char *const lines[] = {
                "origin id=10de:2684\n",
                "origin address=41:00 id=10de:2684\n",
                "origin address=0000:41:00.0 id=10de\n",
                "origin address=0000:41:00.0 driver=../../x\n",
                "origin address=0000:41:00.0 rule=a%zz\n",
                "origin address=0000:41:00.0 rule=a%00\n",
                "origin address=0000:41:00.0 word\n",
                "origin address=0000:41:00.0 vfs=-1\n",
                "origin address=0000:41:00.0 vfs=65536\n",
                "origin address=0000:41:00.0 autoprobe_off=2\n",
                "origin address=0000:41:00.0\norigin address=0000:41:00.0\n",
                "device address=0000:41:00.0\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                g_autofree char *body = g_strdup_printf("boot " BOOT "\n%s", lines[i]);
                OriginTable t = { 0 };

                g_assert_cmpint(parse_body(body, &t), ==, -EBADMSG);
        }
}

static void test_unknown_keys_are_skipped(void)
{
        _cleanup_(origin_table_done) OriginTable t = { 0 };

        g_assert_cmpint(parse_body("boot " BOOT "\n"
                                   "origin address=0000:41:00.0 colour=green taken=1\n",
                                   &t),
                        ==, 0);
        g_assert_true(t.origins[0].taken);
}

static void test_saved_is_loaded(void)
{
        g_autoptr(FakeTree) tree = fake_new();
        _cleanup_(origin_table_done) OriginTable t = some_origins(), back = { 0 };

        g_assert_cmpint(state_save(&tree->root, BOOT, &t), ==, -ENOENT);
        g_assert_cmpint(state_load(&tree->root, BOOT, &back, NULL), ==, 0);
        g_assert_cmpuint(back.n_origins, ==, 0);
        fake_directory(tree, "var/lib/vfiod");
        g_assert_cmpint(state_save(&tree->root, BOOT, &t), ==, 0);
        g_assert_cmpint(state_load(&tree->root, BOOT, &back, NULL), ==, 0);
        g_assert_cmpuint(back.n_origins, ==, t.n_origins);
        assert_same(&t.origins[0], &back.origins[0]);
}

static void assert_set_aside(const char *text, int expected, const char *where)
{
        g_autoptr(FakeTree) tree = fake_new();
        _cleanup_(origin_table_done) OriginTable t = { 0 };
        _cleanup_free_ char *error = NULL;
        g_autofree char *kept = NULL;

        fake_file(tree, "var/lib/vfiod/state", text);
        g_assert_cmpint(state_load(&tree->root, BOOT, &t, &error), ==, expected);
        g_assert_cmpuint(t.n_origins, ==, 0);
        g_assert_nonnull(strstr(error, where));
        kept = fake_read(tree, where);
        g_assert_cmpstr(kept, ==, text);
        g_assert_cmpint(state_load(&tree->root, BOOT, &t, NULL), ==, 0);
}

static void test_broken_file_is_kept_aside(void)
{
        assert_set_aside("", -EBADMSG, "var/lib/vfiod/state.broken");
        assert_set_aside("vfiod-state 1\nboot x\n", -EBADMSG, "var/lib/vfiod/state.broken");
        assert_set_aside("\xff\xfe", -EBADMSG, "var/lib/vfiod/state.broken");
}

static void test_newer_file_is_kept_aside(void)
{
        assert_set_aside("vfiod-state 2\nanything\n", -EPROTONOSUPPORT,
                         "var/lib/vfiod/state.newer");
}

/* As somebody has who began before and still waits for the disk. */
static void test_two_do_not_save_at_a_time(void)
{
        g_autoptr(FakeTree) tree = fake_new();
        OriginTable t = { 0 };
        int fd;

        fake_directory(tree, "var/lib/vfiod");
        fd = openat(tree->root.root, "var/lib/vfiod", O_RDONLY | O_DIRECTORY);
        g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
        g_assert_cmpint(state_save(&tree->root, BOOT, &t), ==, -EBUSY);
        g_assert_cmpint(faccessat(tree->root.root, "var/lib/vfiod/state.new", F_OK, 0), <, 0);
        close(fd);
        g_assert_cmpint(state_save(&tree->root, BOOT, &t), ==, 0);
}

static void test_requests_last_one_boot(void)
{
        g_autoptr(FakeTree) tree = fake_new();
        _cleanup_(request_table_done) RequestTable t = { 0 }, same = { 0 }, other = { 0 };
        const Request q = { .address = { .bus = 0x41 },
                            .target = TARGET_DRIVER,
                            .driver = (char *)"vfio-pci",
                            .accept = hazard_bit(REASON_BOOT_DISPLAY) };

        g_assert_cmpint(request_table_put(&t, &q), ==, 0);
        g_assert_cmpint(requests_load(&tree->root, BOOT, &same), ==, 0);
        g_assert_cmpuint(same.n_requests, ==, 0);
        fake_directory(tree, "run/vfiod");
        g_assert_cmpint(requests_save(&tree->root, BOOT, &t), ==, 0);
        g_assert_cmpint(requests_load(&tree->root, BOOT, &same), ==, 0);
        g_assert_cmpuint(same.n_requests, ==, 1);
        g_assert_cmpint(same.requests[0].target, ==, t.requests[0].target);
        g_assert_cmphex(same.requests[0].accept, ==, q.accept);
        g_assert_cmpint(requests_load(&tree->root, OTHER_BOOT, &other), ==, 0);
        g_assert_cmpuint(other.n_requests, ==, 0);
}

static void test_broken_requests_are_refused(void)
{
        static const char *const texts[] = {
                "",
                "garbage\n",
                "vfiod-requests 1 " BOOT,
                "vfiod-requests 1 " BOOT "\n0000:41:00.0 dance\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                g_autoptr(FakeTree) tree = fake_new();
                RequestTable t = { 0 };

                fake_file(tree, "run/vfiod/requests", texts[i]);
                g_assert_cmpint(requests_load(&tree->root, BOOT, &t), ==, -EBADMSG);
        }
}

static void test_boot_id(void)
{
        g_autoptr(FakeTree) tree = fake_new();
        char id[BOOT_ID_SIZE] = "";

        g_assert_cmpint(boot_id_read(&tree->root, id), ==, 0);
        g_assert_cmpstr(id, ==, "00000000000000000000000000000000");
        fake_file(tree, "proc/sys/kernel/random/boot_id", "01234567-89ab-cdef-0123-456789abcdef\n");
        g_assert_cmpint(boot_id_read(&tree->root, id), ==, 0);
        g_assert_cmpstr(id, ==, BOOT);
        fake_file(tree, "proc/sys/kernel/random/boot_id", "01234567\n");
        g_assert_cmpint(boot_id_read(&tree->root, id), ==, -EBADMSG);
}

#define TEST(name) g_test_add_func("/state/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(round_trip);
        TEST(another_boot_took_nothing);
        TEST(any_damage_is_seen);
        TEST(bad_lines_are_refused);
        TEST(unknown_keys_are_skipped);
        TEST(saved_is_loaded);
        TEST(broken_file_is_kept_aside);
        TEST(newer_file_is_kept_aside);
        TEST(two_do_not_save_at_a_time);
        TEST(requests_last_one_boot);
        TEST(broken_requests_are_refused);
        TEST(boot_id);
        return g_test_run();
}
