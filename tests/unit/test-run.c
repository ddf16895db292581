/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The executor against a worker of this file: what is asked in which order, what is taken back,
 * what a hung or dying worker costs. The worker is this program again, started with --root=LOG;
 * it notes every request in LOG and obeys the function number of the device:
 * 3 is in use by a mounted file system once an override is set, 4 from the start, 5 dies binding
 * vfio-pci, 6 refuses that with EINVAL, 7 hangs in unbind and report until LOG.go is there.
 */

#include "basic/io.h"
#include "exec/run.h"
#include "model/unit.h"

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

/* After this a write counts as hung; starting a worker must not take as long. */
#define HANG_USEC USEC_PER_SEC

static const char *const verbs[_WORKER_VERB_MAX] = {
        [WORKER_LOAD_MODULE] = "load",
        [WORKER_SET_OVERRIDE] = "override",
        [WORKER_CLEAR_OVERRIDE] = "clear",
        [WORKER_UNBIND] = "unbind",
        [WORKER_BIND] = "bind",
        [WORKER_PROBE] = "probe",
        [WORKER_NODE_ACCESS] = "access",
        [WORKER_INSPECT] = "inspect",
        [WORKER_REPORT_VFS] = "report",
        [WORKER_CHECK_USE] = "check",
};

static bool has_override(const char *log_path)
{
        g_autofree char *text = NULL;

        return g_file_get_contents(log_path, &text, NULL, NULL) && strstr(text, "override 3");
}

static int fake_worker(const char *log_path)
{
        int log = open(log_path, O_WRONLY | O_APPEND | O_CREAT, 0600);
        g_autofree char *go = g_strdup_printf("%s.go", log_path);
        WorkerRequest q;

        while (recv(WORKER_FD, &q, sizeof(q), 0) > 0) {
                WorkerReply p = { .version = WORKER_PROTOCOL_VERSION, .id = q.id };
                bool takes;

                dprintf(log, "%s %x %s\n", verbs[q.verb], q.address.function, q.argument);
                takes = q.verb == WORKER_BIND && streq(q.argument, "vfio-pci");
                if (q.verb == WORKER_CHECK_USE && q.accept == 0 &&
                    (q.address.function == 4 ||
                     (q.address.function == 3 && has_override(log_path)))) {
                        p.error = EBUSY;
                        p.hazard = REASON_MOUNTED_FILESYSTEM;
                        g_strlcpy(p.text, "/dev/sda1 is mounted at /srv", sizeof(p.text));
                }
                if (takes && q.address.function == 5)
                        return 1;
                if (takes && q.address.function == 6)
                        p.error = EINVAL;
                while ((q.verb == WORKER_UNBIND || q.verb == WORKER_REPORT_VFS) &&
                       q.address.function == 7 && access(go, F_OK) < 0)
                        g_usleep(2000);
                if (send(WORKER_FD, &p, sizeof(p), MSG_NOSIGNAL) < 0)
                        return 1;
        }
        return 0;
}

typedef struct Fixture {
        sd_event *event;
        char *directory, *log;
        Sysroot root;
        Pool *pool;
        Run *run;
        RunResult result;
        int record_error;
        unsigned n_records, n_stuck, n_late;
        bool done;
        PoolOutcome outcomes[8];
        size_t n_answers;
} Fixture;

static char *self;

static void on_hold(const PciAddress *address, PoolHold hold, void *userdata)
{
        Fixture *f = userdata;

        f->n_stuck += hold == POOL_STUCK;
        f->n_late += hold == POOL_FREE;
}

static int on_record(Run *run, const OriginTable *before, void *userdata)
{
        Fixture *f = userdata;

        f->n_records++;
        return f->record_error;
}

static void on_done(Run *run, const RunResult *result, void *userdata)
{
        Fixture *f = userdata;

        f->result = *result;
        f->done = true;
}

static void fixture_init(Fixture *f)
{
        *f = (Fixture){ .directory = g_dir_make_tmp("vfiod-run-XXXXXX", NULL) };
        f->log = g_build_filename(f->directory, "log", NULL);
        g_assert_cmpint(sd_event_new(&f->event), >=, 0);
        f->root = SYSROOT_NULL;
        f->root.prefix = f->log;
        g_assert_cmpint(pool_new(f->event, self, &f->root, 4, on_hold, f, &f->pool), ==, 0);
}

static void fixture_done(Fixture *f)
{
        char *go = g_strdup_printf("%s.go", f->log);

        run_free(f->run);
        pool_free(f->pool);
        sd_event_unref(f->event);
        g_unlink(f->log);
        g_unlink(go);
        g_rmdir(f->directory);
        g_free(go);
        g_free(f->log);
        g_free(f->directory);
}

/* Turns the loop until `flag` is there, ten seconds at most. */
static void turn_until(Fixture *f, const unsigned *count, const bool *flag)
{
        gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

        while (!(flag ? *flag : *count > 0)) {
                g_assert_cmpint(g_get_monotonic_time(), <, end);
                g_assert_cmpint(sd_event_run(f->event, 100 * USEC_PER_MSEC), >=, 0);
        }
}

/* Two members: override, unbind and bind each; the second has this function number. */
static Unit make_unit(unsigned function, HazardSet accept)
{
        PciAddress a[2] = { { .bus = 1 }, { .bus = 1, .function = (uint8_t)function } };
        static const StepKind kinds[] = { STEP_SET_OVERRIDE, STEP_UNBIND, STEP_BIND };
        static const char *const arguments[] = { "vfio-pci", "e1000", "vfio-pci" };
        Unit u = { .group = 3 };

        for (size_t k = 0; k < 3; k++)
                for (size_t i = 0; i < 2; i++) {
                        if (k == 0)
                                g_assert_cmpint(unit_add_member(&u, &a[i]), ==, 0);
                        g_assert_cmpint(unit_add_step(&u, kinds[k], &a[i], arguments[k], ""), ==,
                                        0);
                }
        for (size_t i = 0; i < 2; i++)
                g_assert_cmpint(unit_add_check(&u, &a[i], accept, false), ==, 0);
        return u;
}

static void run_unit_to_end(Fixture *f, Unit *u, uint64_t timeout_usec)
{
        static const RunHooks hooks = { on_record, on_done };

        g_assert_cmpint(run_new(f->pool, u, timeout_usec, &hooks, f, &f->run), ==, 0);
        g_assert_false(f->done);
        unit_done(u);
        turn_until(f, NULL, &f->done);
}

static void run_accepting(Fixture *f, unsigned function, HazardSet accept, uint64_t timeout_usec)
{
        Unit u = make_unit(function, accept);

        run_unit_to_end(f, &u, timeout_usec);
}

static void run_to_end(Fixture *f, unsigned function, uint64_t timeout_usec)
{
        run_accepting(f, function, 0, timeout_usec);
}

static char **read_log(const Fixture *f)
{
        char **lines, *text;

        g_assert_true(g_file_get_contents(f->log, &text, NULL, NULL));
        lines = g_strsplit(g_strchomp(text), "\n", -1);
        g_free(text);
        return lines;
}

/* The verbs in order, a run of equal ones as one. */
static char *read_phases(const Fixture *f)
{
        GString *phases = g_string_new(NULL);
        char **lines = read_log(f), last[16] = "";

        for (char **l = lines; *l; l++) {
                char verb[16];

                g_assert_cmpint(sscanf(*l, "%15s", verb), ==, 1);
                if (!streq(verb, last))
                        g_string_append_printf(phases, "%s ", verb);
                g_strlcpy(last, verb, sizeof(last));
        }
        g_strfreev(lines);
        return g_string_free(phases, FALSE);
}

static void assert_phases(const Fixture *f, const char *expected)
{
        char *phases = read_phases(f);

        g_assert_cmpstr(phases, ==, expected);
        g_free(phases);
}

static void test_phases_come_one_after_another(void)
{
        Fixture f;

        fixture_init(&f);
        run_to_end(&f, 1, USEC_INFINITY);
        g_assert_true(f.result.ok);
        g_assert_cmpuint(f.n_records, ==, 1);
        assert_phases(&f, "inspect check override check unbind bind ");
        fixture_done(&f);
}

static void test_a_refused_bind_is_taken_back(void)
{
        Fixture f;

        fixture_init(&f);
        run_to_end(&f, 6, USEC_INFINITY);
        g_assert_false(f.result.ok);
        g_assert_true(f.result.rolled_back);
        g_assert_cmpint(f.result.reason, ==, REASON_DRIVER_REJECTED);
        g_assert_cmpint(f.result.address.function, ==, 6);
        g_assert_nonnull(strstr(f.result.detail, "EINVAL"));
        assert_phases(&f, "inspect check override check unbind bind unbind clear bind ");
        fixture_done(&f);
}

static void assert_kept(const Fixture *f, unsigned function)
{
        g_assert_false(f->result.ok);
        g_assert_cmpint(f->result.reason, ==, REASON_MOUNTED_FILESYSTEM);
        g_assert_cmpint(f->result.address.function, ==, function);
        g_assert_cmpstr(f->result.detail, ==, "/dev/sda1 is mounted at /srv");
}

/* Somebody mounted it after the plan was made, or even later. */
static void test_who_came_meanwhile_keeps_the_device(void)
{
        Fixture f;

        fixture_init(&f);
        run_to_end(&f, 4, USEC_INFINITY);
        assert_kept(&f, 4);
        g_assert_cmpuint(f.n_records, ==, 0);
        g_assert_false(f.result.begun);
        assert_phases(&f, "inspect check ");
        fixture_done(&f);

        fixture_init(&f);
        run_to_end(&f, 3, USEC_INFINITY);
        assert_kept(&f, 3);
        g_assert_true(f.result.rolled_back);
        assert_phases(&f, "inspect check override check clear ");
        fixture_done(&f);

        fixture_init(&f);
        run_accepting(&f, 4, hazard_bit(REASON_MOUNTED_FILESYSTEM), USEC_INFINITY);
        g_assert_true(f.result.ok);
        fixture_done(&f);
}

/* Nothing is written down, and so nothing waited for, between the question and the unbind. */
static void test_what_goes_back_is_asked_about_once(void)
{
        const PciAddress a = { .bus = 1, .function = 1 };
        Unit u = { .group = 3, .restore = true };
        char **lines;
        Fixture f;

        fixture_init(&f);
        g_assert_cmpint(unit_add_member(&u, &a), ==, 0);
        g_assert_cmpint(unit_add_check(&u, &a, 0, false), ==, 0);
        g_assert_cmpint(unit_add_step(&u, STEP_UNBIND, &a, "vfio-pci", ""), ==, 0);
        g_assert_cmpint(unit_add_step(&u, STEP_BIND, &a, "e1000", ""), ==, 0);
        run_unit_to_end(&f, &u, USEC_INFINITY);
        g_assert_true(f.result.ok);
        g_assert_cmpuint(f.n_records, ==, 0);
        lines = read_log(&f);
        g_assert_cmpuint(g_strv_length(lines), ==, 3);
        g_strfreev(lines);
        assert_phases(&f, "check unbind bind ");
        fixture_done(&f);
}

static void test_nothing_begins_unrecorded(void)
{
        Fixture f;

        fixture_init(&f);
        f.record_error = -ENOSPC;
        run_to_end(&f, 1, USEC_INFINITY);
        g_assert_false(f.result.ok);
        g_assert_false(f.result.begun);
        assert_phases(&f, "inspect check ");
        fixture_done(&f);
}

static void test_a_dead_worker_fails_its_step(void)
{
        char **lines;
        Fixture f;

        fixture_init(&f);
        run_to_end(&f, 5, USEC_INFINITY);
        g_assert_false(f.result.ok);
        g_assert_false(f.result.stuck);
        g_assert_cmpint(f.result.reason, ==, REASON_DRIVER_REJECTED);
        g_assert_true(f.result.rolled_back);
        /* The bind may have happened before the worker died: it is taken back too. */
        lines = read_log(&f);
        g_assert_true(g_strv_contains((const char *const *)lines, "unbind 5 vfio-pci"));
        g_strfreev(lines);
        fixture_done(&f);
}

static void test_a_hung_write_is_never_repeated_and_others_go_on(void)
{
        const PciAddress stuck = { .bus = 1, .function = 7 };
        char *go, **lines;
        unsigned n = 0;
        Fixture f;

        fixture_init(&f);
        run_to_end(&f, 7, HANG_USEC);
        g_assert_true(f.result.stuck);
        g_assert_cmpint(f.result.reason, ==, REASON_WRITE_TIMEOUT);
        g_assert_cmpint(pool_find_stuck(f.pool, &stuck, NULL), >, 0);
        f.run = run_free(f.run);
        f.done = false;
        run_to_end(&f, 1, USEC_INFINITY);
        g_assert_true(f.result.ok);
        g_assert_cmpuint(f.n_late, ==, 0);

        go = g_strdup_printf("%s.go", f.log);
        g_assert_true(g_file_set_contents(go, "", 0, NULL));
        turn_until(&f, &f.n_late, NULL);
        g_assert_cmpint(pool_find_stuck(f.pool, &stuck, NULL), ==, 0);
        lines = read_log(&f);
        for (char **l = lines; *l; l++)
                n += streq(*l, "unbind 7 e1000");
        g_assert_cmpuint(n, ==, 1);
        g_strfreev(lines);
        g_free(go);
        fixture_done(&f);
}

static void on_answer(const WorkerRequest *q, PoolOutcome outcome, const WorkerReply *reply,
                      void *userdata)
{
        Fixture *f = userdata;

        f->outcomes[f->n_answers++] = outcome;
}

static void ask(Fixture *f, WorkerVerb verb, unsigned function, uint64_t timeout_usec)
{
        const WorkerRequest q = { .verb = verb,
                                  .address = { .bus = 1, .function = (uint8_t)function },
                                  .argument = "e1000" };

        g_assert_cmpint(pool_submit(f->pool, &q, timeout_usec, on_answer, f), ==, 0);
}

static void test_what_waits_for_a_write_that_hangs_is_never_sent(void)
{
        char **lines, *go;
        Fixture f;

        fixture_init(&f);
        ask(&f, WORKER_UNBIND, 7, HANG_USEC);
        ask(&f, WORKER_INSPECT, 7, USEC_INFINITY);
        ask(&f, WORKER_BIND, 7, USEC_INFINITY);
        ask(&f, WORKER_INSPECT, 1, USEC_INFINITY);
        while (f.n_answers < 4)
                g_assert_cmpint(sd_event_run(f.event, 10 * USEC_PER_SEC), >, 0);
        g_assert_cmpint(f.outcomes[0], ==, POOL_REPLIED); /* of the other device */
        g_assert_cmpint(f.outcomes[1], ==, POOL_TIMED_OUT);
        g_assert_cmpint(f.outcomes[2], ==, POOL_CLOSED);
        g_assert_cmpint(f.outcomes[3], ==, POOL_CLOSED);
        g_assert_cmpuint(f.n_stuck, ==, 1);
        go = g_strdup_printf("%s.go", f.log);
        g_assert_true(g_file_set_contents(go, "", 0, NULL));
        turn_until(&f, &f.n_late, NULL);
        ask(&f, WORKER_INSPECT, 7, USEC_INFINITY);
        while (f.n_answers < 5)
                g_assert_cmpint(sd_event_run(f.event, 10 * USEC_PER_SEC), >, 0);
        g_assert_cmpint(f.outcomes[4], ==, POOL_REPLIED);
        lines = read_log(&f);
        g_assert_cmpuint(g_strv_length(lines), ==, 3);
        g_strfreev(lines);
        g_free(go);
        fixture_done(&f);
}

static void test_a_report_that_hangs_closes_nothing_and_is_told_when_it_returns(void)
{
        char *go;
        Fixture f;

        fixture_init(&f);
        ask(&f, WORKER_REPORT_VFS, 7, HANG_USEC);
        while (f.n_answers < 1)
                g_assert_cmpint(sd_event_run(f.event, 10 * USEC_PER_SEC), >, 0);
        ask(&f, WORKER_INSPECT, 7, USEC_INFINITY);
        while (f.n_answers < 2)
                g_assert_cmpint(sd_event_run(f.event, 10 * USEC_PER_SEC), >, 0);
        g_assert_cmpint(f.outcomes[0], ==, POOL_TIMED_OUT);
        g_assert_cmpint(f.outcomes[1], ==, POOL_REPLIED);
        g_assert_cmpuint(f.n_stuck, ==, 0);
        g_assert_cmpuint(f.n_late, ==, 0);
        go = g_strdup_printf("%s.go", f.log);
        g_assert_true(g_file_set_contents(go, "", 0, NULL));
        turn_until(&f, &f.n_late, NULL);
        g_free(go);
        fixture_done(&f);
}

int main(int argc, char *argv[])
{
        sigset_t mask;

        if (argc == 3 && streq(argv[1], "--root"))
                return fake_worker(argv[2]);
        g_test_init(&argc, &argv, NULL);
        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        self = g_file_read_link("/proc/self/exe", NULL);
#define TEST(name) g_test_add_func("/run/" #name, test_##name)
        TEST(phases_come_one_after_another);
        TEST(who_came_meanwhile_keeps_the_device);
        TEST(a_refused_bind_is_taken_back);
        TEST(what_goes_back_is_asked_about_once);
        TEST(nothing_begins_unrecorded);
        TEST(a_dead_worker_fails_its_step);
        TEST(a_hung_write_is_never_repeated_and_others_go_on);
        TEST(what_waits_for_a_write_that_hangs_is_never_sent);
        TEST(a_report_that_hangs_closes_nothing_and_is_told_when_it_returns);
        return g_test_run();
}
