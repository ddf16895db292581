/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What clients asked for: as text, and what is left of it when one of them takes it back. */

#include "model/request.h"

#include <glib.h>

static const PciAddress device = { .bus = 0x41 };

static void ask(RequestTable *t, TargetKind target, int num_vfs, HazardSet accept)
{
        const Request r = { .address = device,
                            .target = target,
                            .counts = num_vfs >= 0,
                            .num_vfs = num_vfs >= 0 ? (unsigned)num_vfs : 0,
                            .accept = accept };

        g_assert_cmpint(request_table_put(t, &r), ==, 0);
}

static void ask_release(RequestTable *t)
{
        g_assert_cmpint(
                request_table_put(t, &(Request){ .address = device, .release = true, .accept = 1 }),
                ==, 0);
}

static void assert_asked(const RequestTable *t, TargetKind target, int num_vfs, HazardSet accept)
{
        const Request *r = request_table_find(t, &device);

        if (target == TARGET_UNMANAGED && num_vfs < 0) {
                g_assert_null(r);
                return;
        }
        g_assert_nonnull(r);
        g_assert_false(r->release);
        g_assert_cmpint(r->target, ==, target);
        g_assert_cmpint(r->counts ? (int)r->num_vfs : -1, ==, num_vfs);
        g_assert_cmphex(r->accept, ==, accept);
}

static void test_what_was_asked_for_before_comes_back(void)
{
        _cleanup_(request_change_done) RequestChange c = { 0 };
        _cleanup_(request_table_done) RequestTable t = { 0 };

        ask(&c.before, TARGET_HOST, 2, 1);
        ask_release(&c.after);
        ask_release(&t);
        g_assert_cmpint(request_table_take_back(&t, &device, REQUEST_DRIVER | REQUEST_COUNT, &c),
                        ==, 1);
        assert_asked(&t, TARGET_HOST, 2, 1);
}

static void test_what_was_asked_for_since_stays(void)
{
        _cleanup_(request_change_done) RequestChange c = { 0 };
        _cleanup_(request_table_done) RequestTable t = { 0 };

        /* Another number of VFs, beside the driver. */
        ask(&c.after, TARGET_VFIO, -1, 1);
        ask(&t, TARGET_VFIO, 4, 3);
        g_assert_cmpint(request_table_take_back(&t, &device, REQUEST_DRIVER, &c), ==, 1);
        assert_asked(&t, TARGET_UNMANAGED, 4, 2);

        /* Another driver. */
        ask(&t, TARGET_HOST, 4, 2);
        g_assert_cmpint(request_table_take_back(&t, &device, REQUEST_DRIVER, &c), >=, 0);
        assert_asked(&t, TARGET_HOST, 4, 2);

        /* The same once more by somebody else. */
        ask(&t, TARGET_VFIO, -1, 1);
        g_assert_cmpint(request_table_take_back(&t, &device, 0, &c), >=, 0);
        assert_asked(&t, TARGET_VFIO, -1, 1);

        /* Nothing: it was dropped, and now stands in a file. */
        ask(&c.before, TARGET_HOST, -1, 0);
        request_table_remove(&t, &device);
        g_assert_cmpint(request_table_take_back(&t, &device, REQUEST_DRIVER, &c), >=, 0);
        assert_asked(&t, TARGET_UNMANAGED, -1, 0);
}

static void test_another_card_is_not_meant(void)
{
        _cleanup_(request_change_done) RequestChange c = { 0 };
        _cleanup_(request_table_done) RequestTable t = { 0 };

        ask(&c.after, TARGET_VFIO, -1, 0);
        ask(&t, TARGET_VFIO, -1, 0);
        t.requests[0].device = 1;
        g_assert_cmpint(request_table_take_back(&t, &device, REQUEST_DRIVER, &c), ==, 0);
        assert_asked(&t, TARGET_VFIO, -1, 0);
}

static void test_a_change_has_what_differs(void)
{
        _cleanup_(request_table_done) RequestTable before = { 0 }, after = { 0 }, rest = { 0 };
        Request same = { .address.bus = 1, .target = TARGET_DRIVER, .driver = (char *)"igb" };

        g_assert_cmpint(request_table_put(&before, &same), ==, 0);
        g_assert_cmpint(request_table_put(&after, &same), ==, 0);
        ask(&before, TARGET_VFIO, -1, 0);
        ask(&after, TARGET_VFIO, -1, 1);
        g_assert_cmpint(request_table_subtract(&before, &after, &rest), ==, 0);
        g_assert_cmpuint(rest.n_requests, ==, 1);
        assert_asked(&rest, TARGET_VFIO, -1, 0);
}

static void test_round_trip(void)
{
        _cleanup_(request_table_done) RequestTable t = { 0 }, copy = { 0 };
        _cleanup_free_ char *text = NULL;
        Request r = { .vendor = 0x8086, .device = 1, .target = TARGET_DRIVER };

        r.driver = (char *)"vfio-pci";
        r.accept = hazard_bit(REASON_BOOT_DISPLAY);
        g_assert_cmpint(request_table_put(&t, &r), ==, 0);
        r.address.bus = 3;
        r.release = true;
        g_assert_cmpint(request_table_put(&t, &r), ==, 0);
        g_assert_cmpint(request_table_format(&t, &text), ==, 0);
        g_assert_cmpint(request_table_parse(text, &copy), ==, 0);
        g_assert_cmpuint(copy.n_requests, ==, 2);
        g_assert_true(copy.requests[1].release);
        g_assert_cmpstr(copy.requests[0].driver, ==, "vfio-pci");
        g_assert_cmpint(request_table_parse("0000:00:00.0 8086:0001 bind vfio 0\nrubbish", &copy),
                        ==, -EBADMSG);
}

#define TEST(name) g_test_add_func("/request/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(what_was_asked_for_before_comes_back);
        TEST(what_was_asked_for_since_stays);
        TEST(another_card_is_not_meant);
        TEST(a_change_has_what_differs);
        TEST(round_trip);
        return g_test_run();
}
