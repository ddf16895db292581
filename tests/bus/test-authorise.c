/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who is let in: every changing method, every way in which polkit may answer or fail to. */

#include "bus-fixture.h"

#define DENIED "org.freedesktop.DBus.Error.AccessDenied"
#define CHALLENGED "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
#define LIMITED "org.freedesktop.DBus.Error.LimitsExceeded"

static bool nothing_done(const Fixture *f)
{
        return f->manager.n_submitted == 0 && f->manager.n_reloaded == 0 &&
               f->manager.n_cancelled == 0;
}

/* A job of root's, that others may want to cancel. */
static Job *add_job(Fixture *f, uint32_t uid)
{
        PciAddress a = { .bus = 4 };
        Operation op = { .kind = OPERATION_BIND, .addresses = &a, .n_addresses = 1, .uid = uid };
        Job *j = NULL;

        g_assert_cmpint(manager_submit(&f->manager, &op, &j, NULL), ==, 0);
        f->manager.n_submitted = 0;
        return j;
}

/*
 * A valid call of each changing method. One that is not known here fails the test, so that a new
 * method cannot be forgotten.
 */
static sd_bus_message *new_changing_call(sd_bus *client, const MethodRow *row)
{
        const char *path =
                streq(row->interface, VFIOD_JOB_INTERFACE) ? "/org/vfiod1/job/1" : VFIOD_PATH;
        sd_bus_message *m = fixture_new_call(client, path, row->interface, row->member);
        int r = -1;

        if (streq(row->member, "Bind"))
                r = sd_bus_message_append(m, "assta{sv}", 1, "05:00.0", "vfio", (uint64_t)0, 0);
        else if (streq(row->member, "Release"))
                r = sd_bus_message_append(m, "asta{sv}", 1, "05:00.0", (uint64_t)0, 0);
        else if (streq(row->member, "SetVirtualFunctions"))
                r = sd_bus_message_append(m, "suta{sv}", "05:00.0", 2, (uint64_t)0, 0);
        else if (streq(row->member, "Apply"))
                r = sd_bus_message_append(m, "ta{sv}", (uint64_t)0, 0);
        else if (streq(row->member, "Reload"))
                r = sd_bus_message_append(m, "t", (uint64_t)0);
        else if (streq(row->member, "Cancel"))
                r = 0;
        g_assert_cmpint(r, >=, 0);
        return m;
}

static bool reads_only(const MethodRow *row)
{
        static const char *const members[] = { "GetDevice",  "GetGroup", "ListDevices",
                                               "ListGroups", "Plan",     "Explain" };

        for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
                if (streq(row->interface, VFIOD_MANAGER_INTERFACE) &&
                    streq(row->member, members[i]))
                        return true;
        return false;
}

static const MethodRow *find_row(const char *interface, const char *member)
{
        const MethodRow *found = NULL;

        for (const MethodRow *row = bus_method_rows; row->member; row++)
                if (streq(row->member, member)) {
                        g_assert_null(found);
                        g_assert_cmpstr(row->interface, ==, interface);
                        found = row;
                }
        return found;
}

/* The table says of every method that the bus serves whether it is open. */
static void test_only_readers_are_open(void)
{
        static const struct {
                const char *name;
                const sd_bus_vtable *vtable;
        } served[] = {
                { VFIOD_MANAGER_INTERFACE, bus_manager_vtable },
                { VFIOD_DEVICE_INTERFACE, bus_device_vtable },
                { VFIOD_PF_INTERFACE, bus_pf_vtable },
                { VFIOD_VF_INTERFACE, bus_vf_vtable },
                { VFIOD_GROUP_INTERFACE, bus_group_vtable },
                { VFIOD_JOB_INTERFACE, bus_job_vtable },
                { LOG_CONTROL_INTERFACE, bus_log_control_vtable },
        };
        size_t n = 0;

        for (size_t i = 0; i < G_N_ELEMENTS(served); i++)
                for (const sd_bus_vtable *v = served[i].vtable; v->type != _SD_BUS_VTABLE_END; v++)
                        if (v->type == _SD_BUS_VTABLE_METHOD) {
                                g_assert_nonnull(find_row(served[i].name, v->x.method.member));
                                g_assert_true(v->x.method.handler == bus_dispatch_method);
                                n++;
                        }
        for (const MethodRow *row = bus_method_rows; row->member; row++, n--) {
                g_assert_nonnull(row->run);
                g_assert_true(!row->derive == reads_only(row));
        }
        g_assert_cmpuint(n, ==, 0);
}

static void assert_all_denied(Fixture *f, const char *name)
{
        add_job(f, 0);
        for (const MethodRow *row = bus_method_rows; row->member; row++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                if (!row->derive)
                        continue;
                g_assert_null(fixture_call(f, new_changing_call(f->nobody, row), &error));
                g_assert_cmpstr(error.name, ==, name);
                g_assert_cmpuint(strlen(error.message), >, 20);
                g_assert_true(nothing_done(f));
        }
}

static void test_no_means_no(Fixture *f, gconstpointer data)
{
        f->mode = MOCK_DENY;
        assert_all_denied(f, DENIED);
        g_assert_cmpuint(f->questions->len, ==, 6);
}

static void test_challenge_without_interaction(Fixture *f, gconstpointer data)
{
        f->mode = MOCK_CHALLENGE;
        assert_all_denied(f, CHALLENGED);
}

static void test_answer_of_another_type(Fixture *f, gconstpointer data)
{
        f->mode = MOCK_GARBAGE;
        assert_all_denied(f, DENIED);
}

static void test_polkit_fails(Fixture *f, gconstpointer data)
{
        f->mode = MOCK_ERROR;
        assert_all_denied(f, DENIED);
}

static void test_no_polkit_at_all(Fixture *f, gconstpointer data)
{
        fixture_remove_polkit(f);
        assert_all_denied(f, DENIED);
}

static void test_root_needs_no_polkit(Fixture *f, gconstpointer data)
{
        if (!f->root) {
                g_test_skip("needs root");
                return;
        }
        fixture_remove_polkit(f);
        g_assert_cmpstr(fixture_try(f, f->root, "Bind", "assta{sv}", 1, "05:00.0", "vfio",
                                    VFIOD_FLAG_NO_WAIT, 0),
                        ==, "");
        g_assert_cmpuint(f->manager.n_submitted, ==, 1);
        g_assert_cmpuint(f->manager.uid, ==, 0);
        g_assert_cmpstr(fixture_try(f, f->root, "Reload", "t", VFIOD_FLAG_FORGET), ==, "");
        g_assert_true(f->manager.forgot);
}

static void test_allowed_call_is_made_once(Fixture *f, gconstpointer data)
{
        f->mode = MOCK_ALLOW;
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 2, "group:7", "04:01.0",
                                    "vfio", VFIOD_FLAG_NO_WAIT, 0),
                        ==, "");
        g_assert_cmpuint(f->manager.n_submitted, ==, 1);
        g_assert_cmpuint(f->manager.n_addresses, ==, 3);
        g_assert_cmpuint(f->manager.uid, ==, geteuid() == 0 ? NOBODY : geteuid());
        g_assert_cmpuint(f->questions->len, ==, 1);
}

static void assert_detail(const Question *q, const char *key, const char *value)
{
        g_assert_cmpstr(question_detail(q, key), ==, value);
}

static void test_polkit_hears_the_details(Fixture *f, gconstpointer data)
{
        const Question *q;
        const char *name;

        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:01.0", "vfio",
                                    (uint64_t)0, 0),
                        ==, DENIED);
        q = fixture_question(f, 0);
        g_assert_cmpint(sd_bus_get_unique_name(f->nobody, &name), >=, 0);
        g_assert_cmpstr(q->subject_kind, ==, "system-bus-name");
        g_assert_cmpstr(q->subject_name, ==, name);
        g_assert_cmpstr(q->action, ==, "org.vfiod1.bind");
        g_assert_cmpuint(q->flags, ==, 0);
        assert_detail(q, "device", "pci:0000:04:01.0");
        assert_detail(q, "address", "0000:04:01.0");
        assert_detail(q, "vendor_id", "8086");
        assert_detail(q, "device_id", "100e");
        assert_detail(q, "class", "020000");
        assert_detail(q, "group", "7");
        assert_detail(q, "group_members", "0000:04:00.0 0000:04:01.0 0000:04:02.0");
        assert_detail(q, "driver_from", "e1000");
        assert_detail(q, "driver_to", "vfio");
        assert_detail(q, "hazards", "");
        g_assert_cmpuint(g_hash_table_size(q->details), ==, 10);
}

static void test_sriov_has_its_own_action(Fixture *f, gconstpointer data)
{
        const Question *q;

        f->mode = MOCK_ALLOW;
        fixture_add_pf(f);
        g_assert_cmpstr(fixture_try(f, f->nobody, "SetVirtualFunctions", "suta{sv}", "08:00.0", 4,
                                    VFIOD_FLAG_NO_WAIT | VFIOD_FLAG_PERSIST, 1, "accept", "as", 1,
                                    "vfs-in-use"),
                        ==, "");
        g_assert_cmpuint(f->questions->len, ==, 3);
        q = fixture_question(f, 0);
        g_assert_cmpstr(q->action, ==, "org.vfiod1.sriov");
        assert_detail(q, "address", "0000:08:00.0");
        assert_detail(q, "driver_from", "igb");
        assert_detail(q, "driver_to", "igb");
        assert_detail(q, "hazards", "vfs-in-use");
        assert_detail(q, "num_vfs", "4");
        g_assert_cmpstr(fixture_question(f, 1)->action, ==, "org.vfiod1.accept-hazard");
        g_assert_cmpstr(fixture_question(f, 2)->action, ==, "org.vfiod1.configure");
        g_assert_cmpuint(f->manager.n_submitted, ==, 1);
        g_assert_cmpuint(f->manager.num_vfs, ==, 4);
        g_assert_true(f->manager.persist);
}

static void test_device_without_group(Fixture *f, gconstpointer data)
{
        g_assert_cmpstr(
                fixture_try(f, f->nobody, "Release", "asta{sv}", 1, "06:00.0", (uint64_t)0, 0), ==,
                DENIED);
        g_assert_cmpstr(fixture_question(f, 0)->action, ==, "org.vfiod1.release");
        assert_detail(fixture_question(f, 0), "group", "");
        assert_detail(fixture_question(f, 0), "group_members", "");
        assert_detail(fixture_question(f, 0), "driver_to", "host");
}

static void test_hazards_and_persistence_are_asked_for(Fixture *f, gconstpointer data)
{
        static const char *const actions[] = { "org.vfiod1.bind", "org.vfiod1.accept-hazard",
                                               "org.vfiod1.configure" };

        f->mode = MOCK_ALLOW;
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "0001:07:00.0", "vfio",
                                    VFIOD_FLAG_NO_WAIT | VFIOD_FLAG_PERSIST, 1, "accept", "as", 2,
                                    "no-reset", "boot-display"),
                        ==, "");
        g_assert_cmpuint(f->questions->len, ==, 3);
        for (guint i = 0; i < 3; i++) {
                g_assert_cmpstr(fixture_question(f, i)->action, ==, actions[i]);
                assert_detail(fixture_question(f, i), "hazards", "boot-display no-reset");
        }
        g_assert_true(f->manager.persist);
        g_assert_cmpuint(f->manager.accept, ==,
                         hazard_bit(REASON_BOOT_DISPLAY) | hazard_bit(REASON_NO_RESET));
}

static void test_permission_for_one_device(Fixture *f, gconstpointer data)
{
        f->mode = MOCK_ONE_DEVICE;
        f->allowed_address = g_strdup("0000:05:00.0");
        /* Both groups are asked for, one by one; no for one of them is no for the call. */
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 2, "05:00.0", "04:00.0",
                                    "vfio", VFIOD_FLAG_NO_WAIT, 0),
                        ==, DENIED);
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", "vfio",
                                    VFIOD_FLAG_NO_WAIT, 0),
                        ==, DENIED);
        g_assert_true(nothing_done(f));
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "05:00.0", "vfio",
                                    VFIOD_FLAG_NO_WAIT, 0),
                        ==, "");
        g_assert_cmpuint(f->manager.n_submitted, ==, 1);
}

static void test_second_group_is_asked_for(Fixture *f, gconstpointer data)
{
        f->mode = MOCK_ONE_DEVICE;
        f->allowed_address = g_strdup("0000:04:00.0");
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 2, "05:00.0", "04:00.0",
                                    "vfio", VFIOD_FLAG_NO_WAIT, 0),
                        ==, DENIED);
        g_assert_cmpuint(f->questions->len, ==, 2);
        assert_detail(fixture_question(f, 1), "address", "0000:05:00.0");
        g_assert_true(nothing_done(f));
}

static sd_bus_message *new_bind(sd_bus *client)
{
        sd_bus_message *m = fixture_new_call(client, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Bind");

        g_assert_cmpint(
                sd_bus_message_append(m, "assta{sv}", 1, "04:00.0", "vfio", VFIOD_FLAG_NO_WAIT, 0),
                >=, 0);
        return m;
}

static void test_interaction_only_if_the_caller_allows_it(Fixture *f, gconstpointer data)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = new_bind(f->nobody);

        f->mode = MOCK_CHALLENGE;
        g_assert_cmpint(sd_bus_message_set_allow_interactive_authorization(m, true), >=, 0);
        g_assert_null(fixture_call(f, m, &error));
        /* The dialogue was closed: no, and not "try with a dialogue". */
        g_assert_cmpstr(error.name, ==, DENIED);
        g_assert_cmpuint(fixture_question(f, 0)->flags, ==, 1);
}

/* Allowed was what the device was then, not what it is now. */
static void test_changed_device_is_denied(Fixture *f, gconstpointer data)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        f->mode = MOCK_CHANGE_HOST;
        g_assert_null(fixture_call(f, new_bind(f->nobody), &error));
        g_assert_cmpstr(error.name, ==, DENIED);
        g_assert_cmpuint(f->questions->len, ==, 1);
        g_assert_cmpstr(question_detail(fixture_question(f, 0), "driver_from"), ==, "e1000");
        g_assert_true(nothing_done(f));
}

static void test_device_gone_meanwhile(Fixture *f, gconstpointer data)
{
        f->mode = MOCK_REMOVE_DEVICE;
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "05:00.0", "vfio",
                                    (uint64_t)0, 0),
                        ==, "org.vfiod1.Error.NoSuchDevice");
        g_assert_cmpuint(f->questions->len, ==, 1);
        g_assert_true(nothing_done(f));
}

static void test_caller_gone_meanwhile(Fixture *f, gconstpointer data)
{
        sd_bus *client = fixture_connect(f, geteuid() == 0 ? NOBODY : geteuid());
        sd_bus_message *m = new_bind(client);
        Answer a;

        f->mode = MOCK_SILENT;
        fixture_send(client, m, &a);
        sd_bus_message_unref(m);
        fixture_settle(f);
        g_assert_cmpuint(f->questions->len, ==, 1);
        answer_done(&a);
        sd_bus_close_unref(client);
        fixture_settle(f);
        g_assert_cmpuint(f->n_cancelled_questions, ==, 1);
        g_assert_cmpstr(fixture_question(f, 0)->cancellation_id, !=, "");
        g_assert_true(nothing_done(f));
}

static void test_caller_gone_at_once(Fixture *f, gconstpointer data)
{
        f->mode = MOCK_ALLOW;
        for (int i = 0; i < 20; i++) {
                sd_bus *client = fixture_connect(f, geteuid() == 0 ? NOBODY : geteuid());
                sd_bus_message *m = new_bind(client);

                g_assert_cmpint(sd_bus_message_set_expect_reply(m, false), >=, 0);
                g_assert_cmpint(sd_bus_send(client, m, NULL), >=, 0);
                sd_bus_message_unref(m);
                g_assert_cmpint(sd_bus_flush(client), >=, 0);
                sd_bus_close_unref(client);
                fixture_settle(f);
        }
        g_assert_true(nothing_done(f));
}

static void test_waiting_calls_are_limited(Fixture *f, gconstpointer data)
{
        enum { N = POLKIT_PENDING_PER_SENDER_MAX + 3 };
        unsigned n_limited = 0;
        Answer answers[N];

        f->mode = MOCK_SILENT;
        for (int i = 0; i < N; i++) {
                sd_bus_message *m = new_bind(f->nobody);

                fixture_send(f->nobody, m, &answers[i]);
                sd_bus_message_unref(m);
        }
        fixture_settle(f);
        for (int i = 0; i < N; i++)
                if (answers[i].arrived)
                        n_limited += sd_bus_message_is_method_error(answers[i].message, LIMITED);
        g_assert_cmpuint(n_limited, ==, 3);
        /* Others get through. */
        f->mode = MOCK_ALLOW;
        if (f->other)
                g_assert_cmpstr(fixture_try(f, f->other, "Reload", "t", (uint64_t)0), ==, "");
        for (int i = 0; i < N; i++)
                answer_done(&answers[i]);
}

static void test_root_is_not_limited(Fixture *f, gconstpointer data)
{
        enum { N = 4 * POLKIT_PENDING_PER_SENDER_MAX };
        Answer answers[N];

        if (!f->root) {
                g_test_skip("needs root");
                return;
        }
        for (int i = 0; i < N; i++) {
                sd_bus_message *m = new_bind(f->root);

                fixture_send(f->root, m, &answers[i]);
                sd_bus_message_unref(m);
        }
        fixture_settle(f);
        for (int i = 0; i < N; i++) {
                g_assert_false(sd_bus_message_is_method_error(answers[i].message, NULL));
                answer_done(&answers[i]);
        }
        g_assert_cmpuint(f->manager.n_submitted, ==, N);
}

static void test_dry_run_is_reading(Fixture *f, gconstpointer data)
{
        const uint64_t flags = VFIOD_FLAG_DRY_RUN | VFIOD_FLAG_PERSIST;

        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", "vfio", flags,
                                    1, "accept", "as", 1, "no-reset"),
                        ==, "");
        g_assert_cmpstr(fixture_try(f, f->nobody, "Apply", "ta{sv}", VFIOD_FLAG_DRY_RUN, 0), ==,
                        "");
        g_assert_cmpuint(f->questions->len, ==, 0);
        g_assert_true(nothing_done(f));
}

static const char *cancel(Fixture *f, sd_bus *client, uint64_t id)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        g_autofree char *path = g_strdup_printf("/org/vfiod1/job/%" G_GUINT64_FORMAT, id);

        sd_bus_message_unref(fixture_call(
                f, fixture_new_call(client, path, VFIOD_JOB_INTERFACE, "Cancel"), &error));
        return g_intern_string(error.name ? error.name : "");
}

static void test_jobs_belong_to_their_requesters(Fixture *f, gconstpointer data)
{
        Job *own = add_job(f, geteuid() == 0 ? NOBODY : geteuid());
        Job *begun = add_job(f, own->uid);
        Job *foreign = add_job(f, 0);

        begun->state = JOB_RUNNING;
        g_assert_cmpstr(cancel(f, f->nobody, own->id), ==, "");
        g_assert_cmpuint(f->questions->len, ==, 0);
        g_assert_cmpstr(cancel(f, f->nobody, begun->id), ==, "org.vfiod1.Error.DeviceBusy");
        g_assert_cmpstr(cancel(f, f->nobody, own->id), ==, "org.freedesktop.DBus.Error.Failed");
        g_assert_cmpstr(cancel(f, f->nobody, foreign->id), ==, DENIED);
        g_assert_cmpstr(fixture_question(f, 0)->action, ==, "org.vfiod1.configure");
        g_assert_cmpuint(f->manager.n_cancelled, ==, 1);
}

/* Deadlines: polkit.c alone, with a short one ----------------------------------------------------
 */

typedef struct Guard {
        Polkit *polkit;
        unsigned n_allowed;
} Guard;

static int on_guarded(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        CheckList checks = { 0 };
        Guard *g = userdata;
        uint32_t uid;
        int r;

        g_assert_cmpint(check_list_add(&checks, POLKIT_ACTION_BIND, NULL), ==, 0);
        r = polkit_authorize(g->polkit, m, &checks, &uid, error);
        check_list_done(&checks);
        if (r <= 0)
                return r < 0 ? r : 1;
        g->n_allowed++;
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable guarded_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Do", "", "", on_guarded, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static void test_silent_polkit_is_a_no(Fixture *f, gconstpointer data)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Guard g = { 0 };

        g_assert_cmpint(polkit_new(f->manager.bus, 100 * USEC_PER_MSEC, on_guarded, &g, &g.polkit),
                        ==, 0);
        g_assert_cmpint(sd_bus_add_object_vtable(f->manager.bus, NULL, "/guarded",
                                                 "org.vfiod1.Test", guarded_vtable, &g),
                        >=, 0);
        f->mode = MOCK_SILENT;
        g_assert_null(fixture_call(
                f, fixture_new_call(f->nobody, "/guarded", "org.vfiod1.Test", "Do"), &error));
        g_assert_cmpstr(error.name, ==, DENIED);
        fixture_settle(f);
        g_assert_cmpuint(f->n_cancelled_questions, ==, 1);
        g_assert_cmpuint(g.n_allowed, ==, 0);
        polkit_free(g.polkit);
}

#define TEST(path, function) \
        g_test_add("/authorise/" path, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/authorise/only-readers-are-open", test_only_readers_are_open);
        TEST("no-means-no", test_no_means_no);
        TEST("challenge-without-interaction", test_challenge_without_interaction);
        TEST("answer-of-another-type", test_answer_of_another_type);
        TEST("polkit-fails", test_polkit_fails);
        TEST("no-polkit-at-all", test_no_polkit_at_all);
        TEST("silent-polkit-is-a-no", test_silent_polkit_is_a_no);
        TEST("root-needs-no-polkit", test_root_needs_no_polkit);
        TEST("allowed-call-is-made-once", test_allowed_call_is_made_once);
        TEST("polkit-hears-the-details", test_polkit_hears_the_details);
        TEST("sriov-has-its-own-action", test_sriov_has_its_own_action);
        TEST("device-without-group", test_device_without_group);
        TEST("hazards-and-persistence-are-asked-for", test_hazards_and_persistence_are_asked_for);
        TEST("permission-for-one-device", test_permission_for_one_device);
        TEST("second-group-is-asked-for", test_second_group_is_asked_for);
        TEST("interaction-only-if-the-caller-allows-it",
             test_interaction_only_if_the_caller_allows_it);
        TEST("changed-device-is-denied", test_changed_device_is_denied);
        TEST("device-gone-meanwhile", test_device_gone_meanwhile);
        TEST("caller-gone-meanwhile", test_caller_gone_meanwhile);
        TEST("caller-gone-at-once", test_caller_gone_at_once);
        TEST("waiting-calls-are-limited", test_waiting_calls_are_limited);
        TEST("root-is-not-limited", test_root_is_not_limited);
        TEST("dry-run-is-reading", test_dry_run_is_reading);
        TEST("jobs-belong-to-their-requesters", test_jobs_belong_to_their_requesters);
        return g_test_run();
}
