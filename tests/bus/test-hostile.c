/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clients that mean harm: that come again and again, leave at the wrong moment, or do not read. */

#include "bus-fixture.h"

#include <signal.h>

#define LIMITED "org.freedesktop.DBus.Error.LimitsExceeded"

static sd_bus_message *new_expensive(sd_bus *client)
{
        return fixture_new_call(client, VFIOD_PATH, "org.freedesktop.DBus.ObjectManager",
                                "GetManagedObjects");
}

static sd_bus_message *new_bind(sd_bus *client)
{
        sd_bus_message *m = fixture_new_call(client, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Bind");

        g_assert_cmpint(
                sd_bus_message_append(m, "assta{sv}", 1, "05:00.0", "vfio", VFIOD_FLAG_NO_WAIT, 0),
                >=, 0);
        return m;
}

/* As one client after the other: how many of `n` calls are answered with a list. */
static unsigned count_answered(Fixture *f, uid_t uid, unsigned n)
{
        unsigned n_answered = 0;

        for (unsigned i = 0; i < n; i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus *client = fixture_connect(f, uid);
                sd_bus_message *reply = fixture_call(f, new_expensive(client), &error);

                if (!reply)
                        g_assert_cmpstr(error.name, ==, LIMITED);
                n_answered += !!reply;
                sd_bus_message_unref(reply);
                sd_bus_close_unref(client);
        }
        return n_answered;
}

static void test_connecting_again_brings_no_credit(Fixture *f, gconstpointer data)
{
        enum { N = 400 };
        unsigned n;

        if (!f->root) {
                g_test_skip("needs root");
                return;
        }
        n = count_answered(f, NOBODY, N);
        g_assert_cmpuint(n, >=, 2 * LIMITER_CREDIT / 300);
        g_assert_cmpuint(n, <, N);
        /* Nobody else has to pay for that. */
        g_assert_cmpuint(count_answered(f, ANOTHER, 10), ==, 10);
        g_assert_cmpuint(count_answered(f, 0, N), ==, N);
}

static void test_cheap_calls_go_first(Fixture *f, gconstpointer data)
{
        sd_bus_message *m = new_expensive(f->nobody);
        Answer expensive, cheap;

        fixture_send(f->nobody, m, &expensive);
        sd_bus_message_unref(m);
        m = fixture_new_call(f->nobody, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "GetGroup");
        g_assert_cmpint(sd_bus_message_append(m, "u", 7), >=, 0);
        fixture_send(f->nobody, m, &cheap);
        sd_bus_message_unref(m);
        fixture_wait(f, &cheap);
        g_assert_false(expensive.arrived);
        fixture_wait(f, &expensive);
        g_assert_false(sd_bus_message_is_method_error(expensive.message, NULL));
        answer_done(&expensive);
        answer_done(&cheap);
}

/* The bus goes while calls wait: nothing may hold it (the sanitizer's build looks for leaks). */
static void test_calls_wait_when_the_loop_ends(Fixture *f, gconstpointer data)
{
        sd_bus_message *m = new_expensive(f->nobody);

        g_assert_cmpint(sd_bus_message_set_expect_reply(m, false), >=, 0);
        g_assert_cmpint(sd_bus_send(f->nobody, m, NULL), >=, 0);
        sd_bus_message_unref(m);
        while (f->manager.bus_side->n_waiting == 0)
                g_assert_cmpint(sd_event_run(f->event, 20 * USEC_PER_SEC), >, 0);
}

/* A bus that takes nothing ----------------------------------------------------------------------
 */

typedef struct Seen {
        unsigned n;
        char driver[32]; /* of the first device, as told last */
} Seen;

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *value;
        Seen *seen = userdata;

        seen->n++;
        g_assert_cmpint(sd_bus_message_skip(m, "s"), >, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                g_assert_cmpint(sd_bus_message_read(m, "s", &name), >, 0);
                if (streq(name, "Driver")) {
                        g_assert_cmpint(sd_bus_message_read(m, "v", "s", &value), >, 0);
                        g_strlcpy(seen->driver, value, sizeof(seen->driver));
                } else {
                        g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                }
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        return 0;
}

static void test_signals_wait_for_the_bus(Fixture *f, gconstpointer data)
{
        enum { N = 20000 }; /* of nearly 1 KiB: a socket takes 8 MiB before the queue grows */
        char *driver = f->manager.host.devices[0].driver;
        Seen seen = { .n = 0 };
        uint64_t queued;

        g_assert_cmpint(sd_bus_match_signal(f->nobody, NULL, VFIOD_BUS_NAME,
                                            "/org/vfiod1/device/pci_3a0000_3a04_3a00_2e0",
                                            "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                            on_changed, &seen),
                        >=, 0);
        g_assert_cmpint(kill(f->daemon, SIGSTOP), ==, 0);
        for (int i = 0; i <= N; i++) {
                g_strlcpy(driver, i % 2 ? "e1000" : "e1000e", 32);
                manager_refresh(&f->manager);
        }
        g_strlcpy(driver, "last", 32);
        manager_refresh(&f->manager);
        g_assert_cmpint(sd_bus_get_n_queued_write(f->manager.bus, &queued), >=, 0);
        g_assert_cmpuint(queued, >, BUS_QUEUED_MAX / 2);
        g_assert_cmpuint(queued, <=, BUS_QUEUED_MAX + 10);
        g_assert_cmpint(kill(f->daemon, SIGCONT), ==, 0);
        while (!streq(seen.driver, "last"))
                g_assert_cmpint(sd_event_run(f->event, 20 * USEC_PER_SEC), >, 0);
        fixture_settle(f);
        g_assert_cmpuint(seen.n, <, N);
        g_assert_cmpstr(seen.driver, ==, "last");
}

static int on_presence(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *path;

        g_assert_cmpint(sd_bus_message_read(m, "o", &path), >, 0);
        g_string_append_printf(userdata, "%c%s ",
                               streq(sd_bus_message_get_member(m), "InterfacesAdded") ? '+' : '-',
                               strrchr(path, '/') + 1);
        return 0;
}

/* What came and went before anyone was told is told as it is at the end. */
static void test_what_is_not_told_yet_adds_up(Fixture *f, gconstpointer data)
{
        HostDevice *d = &f->manager.host.devices[4];
        g_autoptr(GString) seen = g_string_new(NULL);
        HostDevice kept = *d;

        for (int i = 0; i < 2; i++)
                g_assert_cmpint(sd_bus_match_signal(f->nobody, NULL, VFIOD_BUS_NAME, NULL,
                                                    "org.freedesktop.DBus.ObjectManager",
                                                    i ? "InterfacesAdded" : "InterfacesRemoved",
                                                    on_presence, seen),
                                >=, 0);
        g_assert_cmpint(kill(f->daemon, SIGSTOP), ==, 0);
        for (int i = 0; i < 20000 && !bus_has_queued(f->manager.bus, BUS_QUEUED_MAX); i++) {
                g_strlcpy(f->manager.host.devices[0].driver, i % 2 ? "e1000" : "e1000e", 32);
                manager_refresh(&f->manager);
        }
        /* One goes and comes back; another comes and goes; a third goes. */
        *d = f->manager.host.devices[--f->manager.host.n];
        manager_refresh(&f->manager);
        f->manager.host.devices[f->manager.host.n++] = kept;
        host_add(&f->manager.host, "0000:0b:00.0", "8086:100e", 0x020000, 30, NULL);
        manager_refresh(&f->manager);
        f->manager.host.n--;
        manager_refresh(&f->manager);
        f->manager.host.devices[2] = f->manager.host.devices[--f->manager.host.n];
        manager_refresh(&f->manager);
        g_assert_cmpint(kill(f->daemon, SIGCONT), ==, 0);
        while (!g_str_has_suffix(seen->str, "+8 "))
                g_assert_cmpint(sd_event_run(f->event, 20 * USEC_PER_SEC), >, 0);
        fixture_settle(f);
        g_assert_cmpstr(seen->str, ==,
                        "-pci_3a0000_3a04_3a02_2e0 -pci_3a0000_3a05_3a00_2e0 "
                        "+pci_3a0000_3a05_3a00_2e0 -8 +8 ");
}

/* Waiting for polkit --------------------------------------------------------------------------- */

static unsigned count_limited(Fixture *f, sd_bus **clients, unsigned n_clients, unsigned n_each)
{
        g_autofree Answer *answers = g_new0(Answer, n_clients * n_each);
        unsigned n = 0;

        for (unsigned i = 0; i < n_clients * n_each; i++) {
                sd_bus_message *m = new_bind(clients[i % n_clients]);

                fixture_send(clients[i % n_clients], m, &answers[i]);
                sd_bus_message_unref(m);
        }
        fixture_settle(f);
        for (unsigned i = 0; i < n_clients * n_each; i++) {
                if (answers[i].arrived) {
                        g_assert_true(sd_bus_message_is_method_error(answers[i].message, LIMITED));
                        n++;
                }
                answer_done(&answers[i]);
        }
        return n;
}

static void test_waiting_calls_of_a_user_are_limited(Fixture *f, gconstpointer data)
{
        enum { N = 8 };
        sd_bus *clients[N];

        f->mode = MOCK_SILENT;
        for (int i = 0; i < N; i++)
                clients[i] = fixture_connect(f, geteuid() == 0 ? NOBODY : geteuid());
        g_assert_cmpuint(count_limited(f, clients, N, POLKIT_PENDING_PER_SENDER_MAX), ==,
                         N * POLKIT_PENDING_PER_SENDER_MAX - POLKIT_PENDING_PER_USER_MAX);
        g_assert_cmpuint(f->questions->len, ==, POLKIT_PENDING_PER_USER_MAX);
        if (f->other)
                g_assert_cmpuint(count_limited(f, &f->other, 1, POLKIT_PENDING_PER_SENDER_MAX), ==,
                                 0);
        for (int i = 0; i < N; i++)
                sd_bus_close_unref(clients[i]);
        fixture_settle(f);
        /* Who has left waits no more. */
        g_assert_cmpuint(f->n_cancelled_questions, ==, POLKIT_PENDING_PER_USER_MAX);
        f->mode = MOCK_ALLOW;
        g_assert_cmpstr(fixture_try(f, f->nobody, "Reload", "t", (uint64_t)0), ==, "");
}

/*
 * Clients that are killed at a random moment, and a polkit that says yes at another. The bus tells
 * polkit, too, who has left; of two that come at the same time it decides which was first. So a
 * call is done if and only if its client was there when polkit answered.
 */
enum { KILLS = 10000, VICTIMS_AT_ONCE = 24, ANSWER_MSEC = 50, LIFE_MSEC = 25 };

typedef struct Storm Storm;

typedef struct Victim {
        Storm *storm;
        sd_bus *bus;
        char *name;
        Answer answer;
        sd_event_source *killer, *answerer;
        sd_bus_message *question;
        bool gone; /* says the bus */
        bool over;
} Victim;

struct Storm {
        Fixture *fixture;
        GPtrArray *victims;
        GHashTable *by_name;
        guint first; /* that is not over */
        unsigned n_alive, n_present, n_late;
};

static sd_event_source *add_timer(Fixture *f, sd_event_time_handler_t handler, int msec, Victim *v)
{
        uint64_t usec = (uint64_t)g_test_rand_int_range(0, msec * 1000);
        sd_event_source *s;

        g_assert_cmpint(
                sd_event_add_time_relative(f->event, &s, CLOCK_MONOTONIC, usec, 1, handler, v), >=,
                0);
        return s;
}

static void end_victim(Victim *v)
{
        if (v->over)
                return;
        v->over = true;
        v->storm->n_alive--;
        v->killer = sd_event_source_disable_unref(v->killer);
        answer_done(&v->answer);
        v->bus = sd_bus_close_unref(v->bus);
}

static int on_kill(sd_event_source *s, uint64_t usec, void *userdata)
{
        end_victim(userdata);
        return 0;
}

static void say_yes(Victim *v)
{
        g_assert_cmpint(sd_bus_reply_method_return(v->question, "(bba{ss})", 1, 0, 0), >=, 0);
        v->question = sd_bus_message_unref(v->question);
        v->answerer = sd_event_source_disable_unref(v->answerer);
        if (v->over) {
                v->storm->n_late++;
                return;
        }
        /* It stays for its answer. */
        v->storm->n_present++;
        v->killer = sd_event_source_disable_unref(v->killer);
}

static int on_time_to_answer(sd_event_source *s, uint64_t usec, void *userdata)
{
        Victim *v = userdata;

        /* One that was killed is answered for as soon as the bus has told so. */
        if (!v->over || v->gone)
                say_yes(v);
        return 0;
}

static int on_late_check(Fixture *f, sd_bus_message *m, const Question *q)
{
        Storm *storm = f->hook_data;
        Victim *v = g_hash_table_lookup(storm->by_name, q->subject_name);

        g_assert_nonnull(v);
        g_assert_null(v->question);
        v->question = sd_bus_message_ref(m);
        v->answerer = add_timer(f, on_time_to_answer, ANSWER_MSEC, v);
        if (!v->over && !v->killer)
                v->killer = add_timer(f, on_kill, LIFE_MSEC, v);
        return 1;
}

static int on_name_gone(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Storm *storm = userdata;
        const char *name, *before, *after;
        Victim *v;

        g_assert_cmpint(sd_bus_message_read(m, "sss", &name, &before, &after), >, 0);
        v = g_hash_table_lookup(storm->by_name, name);
        if (!v || after[0])
                return 0;
        v->gone = true;
        if (v->question && sd_event_source_get_enabled(v->answerer, NULL) == 0)
                say_yes(v);
        return 0;
}

/* Some are killed before polkit hears of them. */
static void start_victim(Storm *storm)
{
        Victim *v = g_new0(Victim, 1);
        guint n = storm->victims->len;
        sd_bus_message *m;
        const char *name;

        v->storm = storm;
        v->bus = fixture_connect(storm->fixture,
                                 storm->fixture->root ? n % 2 ? NOBODY : ANOTHER : geteuid());
        g_assert_cmpint(sd_bus_get_unique_name(v->bus, &name), >=, 0);
        v->name = g_strdup(name);
        g_hash_table_insert(storm->by_name, v->name, v);
        g_ptr_array_add(storm->victims, v);
        m = new_bind(v->bus);
        fixture_send(v->bus, m, &v->answer);
        sd_bus_message_unref(m);
        if (n % 10 == 0)
                v->killer = add_timer(storm->fixture, on_kill, 1, v);
        storm->n_alive++;
}

static void free_victim(void *p)
{
        Victim *v = p;

        sd_event_source_disable_unref(v->answerer);
        sd_bus_message_unref(v->question);
        g_free(v->name);
        g_free(v);
}

static void end_answered(Storm *storm)
{
        for (guint i = storm->first; i < storm->victims->len; i++) {
                Victim *v = g_ptr_array_index(storm->victims, i);

                storm->first += i == storm->first && v->over;
                if (v->over || !v->answer.arrived)
                        continue;
                g_assert_false(sd_bus_message_is_method_error(v->answer.message, NULL));
                end_victim(v);
        }
}

static void test_killed_while_authorisation_is_pending(Fixture *f, gconstpointer data)
{
        unsigned n_at_once = f->root ? 2 * VICTIMS_AT_ONCE : VICTIMS_AT_ONCE;
        Storm storm = { .fixture = f };

        storm.victims = g_ptr_array_new_with_free_func(free_victim);
        storm.by_name = g_hash_table_new(g_str_hash, g_str_equal);
        f->mode = MOCK_HOOK;
        f->hook = on_late_check;
        f->hook_data = &storm;
        g_assert_cmpint(sd_bus_match_signal(f->polkit, NULL, "org.freedesktop.DBus",
                                            "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                            "NameOwnerChanged", on_name_gone, &storm),
                        >=, 0);
        while (storm.n_late < KILLS || storm.n_alive > 0) {
                while (storm.n_late < KILLS && storm.n_alive < n_at_once)
                        start_victim(&storm);
                g_assert_cmpint(sd_event_run(f->event, 20 * USEC_PER_SEC), >, 0);
                end_answered(&storm);
        }
        fixture_settle(f);
        g_test_message("%u answered in time, %u too late, of %u", storm.n_present, storm.n_late,
                       storm.victims->len);
        g_assert_cmpuint(storm.n_present, >, 0);
        g_assert_cmpuint(f->manager.n_submitted, ==, storm.n_present);
        g_hash_table_unref(storm.by_name);
        g_ptr_array_unref(storm.victims);
}

/* An error with half a character in it cannot be sent. */
static void test_long_words_are_not_cut_within_a_character(Fixture *f, gconstpointer data)
{
        for (int n = BUS_WORD_MAX - 4; n <= BUS_WORD_MAX; n++) {
                g_autofree char *word = g_strnfill((gsize)n, 'a');
                g_autofree char *cut = g_strconcat(word, "\xe2\x82\xac", NULL);

                g_assert_cmpstr(fixture_try(f, f->nobody, "GetDevice", "s", cut), ==,
                                VFIOD_ERROR("NoSuchDevice"));
                g_assert_cmpstr(fixture_try(f, f->nobody, "ListDevices", "a{sv}t", 1, cut, "s", "",
                                            (uint64_t)0),
                                ==, SD_BUS_ERROR_INVALID_ARGS);
                g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", cut,
                                            (uint64_t)0, 0),
                                ==, SD_BUS_ERROR_INVALID_ARGS);
        }
}

static void test_names_may_be_any_bytes(Fixture *f, gconstpointer data)
{
        static const char *const rows[][2] = { { "30-\xff\xef\xbf\xbe.conf", "0000:05:00.0" },
                                               { "30-\xe2\x82\xef\xb7\x90.conf", "0000:06:00.0" },
                                               { "30-\xc0\xaf.conf", "0001:07:00.0" },
                                               { "30-\xed\xa0\x80.conf", "0000:04:01.0" },
                                               { "30-\xf4\x90\x80\x80.conf", "0000:04:02.0" } };

        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                Rule *rule = make_rule(rows[i][0], MATCH_ADDRESS, rows[i][1], TARGET_VFIO);

                g_assert_cmpint(config_add_rule(f->manager.config, rule), ==, 0);
                manager_refresh(&f->manager);
                g_assert_cmpstr(fixture_try(f, f->nobody, "Explain", "s", rows[i][1]), ==, "");
                g_assert_cmpstr(fixture_try(f, f->nobody, "ListDevices", "a{sv}t", 0, (uint64_t)0),
                                ==, "");
        }
}

#define TEST(path, function) \
        g_test_add("/hostile/" path, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST("connecting-again-brings-no-credit", test_connecting_again_brings_no_credit);
        TEST("cheap-calls-go-first", test_cheap_calls_go_first);
        TEST("calls-wait-when-the-loop-ends", test_calls_wait_when_the_loop_ends);
        TEST("signals-wait-for-the-bus", test_signals_wait_for_the_bus);
        TEST("what-is-not-told-yet-adds-up", test_what_is_not_told_yet_adds_up);
        TEST("long-words-are-not-cut-within-a-character",
             test_long_words_are_not_cut_within_a_character);
        TEST("names-may-be-any-bytes", test_names_may_be_any_bytes);
        TEST("waiting-calls-of-a-user-are-limited", test_waiting_calls_of_a_user_are_limited);
        TEST("killed-while-authorisation-is-pending", test_killed_while_authorisation_is_pending);
        return g_test_run();
}
