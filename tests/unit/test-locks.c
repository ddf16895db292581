/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Locks are of processes: others take them here. */

#include "exec/pool.h"
#include "fake-tree.h"
#include "sys/locks.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

static FakeTree *host(void)
{
        FakeTree *t = fake_new();

        fake_directory(t, "run/vfiod");
        return t;
}

/* A process that has the locks of this device until it is killed. */
static pid_t holder_new(const FakeTree *t, const PciAddress *a, bool rescan)
{
        int pair[2];
        char ready;
        pid_t pid;

        g_assert_cmpint(pipe(pair), ==, 0);
        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                if (locks_take(&t->root, a, rescan, rescan ? "set-numvfs" : "unbind") < 0 ||
                    write(pair[1], "", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        close(pair[1]);
        g_assert_cmpint(read(pair[0], &ready, 1), ==, 1);
        close(pair[0]);
        return pid;
}

static void holder_end(pid_t pid)
{
        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static int try_take(const FakeTree *t, const PciAddress *a, bool rescan)
{
        int fd = locks_take(&t->root, a, rescan, "bind");

        if (fd < 0)
                return fd;
        close(fd);
        return 0;
}

static void test_a_lock_lasts_as_long_as_its_process(void)
{
        const PciAddress a = { .bus = 0x41 }, b = { .bus = 0x41, .function = 1 };
        g_autoptr(FakeTree) t = host();
        g_autofree HeldLock *locks = NULL, *none = NULL;
        pid_t pid = holder_new(t, &a, false);
        size_t n;

        g_assert_cmpint(try_take(t, &a, false), ==, -EBUSY);
        g_assert_cmpint(try_take(t, &b, true), ==, 0);
        g_assert_cmpint(locks_list(&t->root, &locks, &n), ==, 0);
        g_assert_cmpuint(n, ==, 1);
        g_assert_cmpint(locks[0].pid, ==, pid);
        g_assert_true(pci_address_equal(&locks[0].address, &a));
        g_assert_false(locks[0].rescan);
        g_assert_cmpstr(locks[0].step, ==, "unbind");
        g_assert_cmpuint(locks[0].since_usec, >, 0);
        g_assert_cmpuint(locks[0].since_usec, <=, now_usec());
        holder_end(pid);
        g_assert_cmpint(locks_list(&t->root, &none, &n), ==, 0);
        g_assert_cmpuint(n, ==, 0);
        g_assert_cmpint(try_take(t, &a, false), ==, 0);
}

static void test_all_holders_are_found(void)
{
        /* The first has the slot beside that of rescan, the others are neighbours or far away. */
        static const PciAddress a[] = {
                { 0 },
                { .function = 1 },
                { .domain = 0x10000, .bus = 255, .device = 31, .function = 7 },
                { .bus = 0x41 },
        };
        g_autoptr(FakeTree) t = host();
        g_autofree HeldLock *locks = NULL;
        pid_t pids[ELEMENTSOF(a)];
        size_t n;

        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                pids[i] = holder_new(t, &a[i], i == 0);
        g_assert_cmpint(try_take(t, &(PciAddress){ .bus = 7 }, true), ==, -EBUSY);
        g_assert_cmpint(try_take(t, &(PciAddress){ .bus = 7 }, false), ==, 0);
        g_assert_cmpint(locks_list(&t->root, &locks, &n), ==, 0);
        g_assert_cmpuint(n, ==, ELEMENTSOF(a));
        for (size_t i = 0; i < ELEMENTSOF(a); i++) {
                bool found = false;

                for (size_t k = 0; k < n; k++)
                        found = found || (locks[k].pid == pids[i] && locks[k].rescan == (i == 0) &&
                                          pci_address_equal(&locks[k].address, &a[i]));
                g_assert_true(found);
        }
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                holder_end(pids[i]);
}

static void test_what_is_in_the_file_does_not_count(void)
{
        const PciAddress a = { 0 };
        g_autoptr(FakeTree) t = host();
        g_autofree HeldLock *locks = NULL;
        size_t n;

        g_assert_cmpint(locks_list(&t->root, &locks, &n), ==, 0);
        g_assert_cmpuint(n, ==, 0);
        fake_file(t, "run/vfiod/locks", "12345 unbind\n");
        g_assert_cmpint(locks_list(&t->root, &locks, &n), ==, 0);
        g_assert_cmpuint(n, ==, 0);
        g_assert_cmpint(try_take(t, &a, false), ==, 0);
        fake_link(t, "run/vfiod/locks", "elsewhere");
        g_assert_cmpint(try_take(t, &a, false), ==, -ELOOP);
        g_assert_cmpint(locks_list(&t->root, &locks, &n), ==, -ELOOP);
}

static void on_hold(const PciAddress *address, PoolHold hold, void *userdata)
{
        unsigned *n = userdata;

        *n += hold == POOL_STUCK && address->bus == 2;
}

/* In another process namespace, where one holder has no number. */
static void adopt_inside(const FakeTree *t)
{
        pid_t pid = holder_new(t, &(PciAddress){ .bus = 2 }, false);
        sd_event *event = NULL;
        Pool *pool = NULL;
        unsigned n = 0;

        g_assert_cmpint(sd_event_new(&event), >=, 0);
        g_assert_cmpint(pool_new(event, "/nonexistent", &t->root, 1, on_hold, &n, &pool), >=, 0);
        g_assert_cmpint(pool_adopt(pool, 0), <, 0);
        g_assert_cmpuint(n, ==, 1);
        pool_free(pool);
        sd_event_unref(event);
        holder_end(pid);
}

static void test_a_holder_that_cannot_be_watched_hides_no_other(void)
{
        enum { NO_NAMESPACES = 77 };
        g_autoptr(FakeTree) t = host();
        pid_t outside = holder_new(t, &(PciAddress){ .bus = 1 }, false), pid = fork();
        int status;

        if (pid == 0) {
                if (unshare(CLONE_NEWPID) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
                        _exit(NO_NAMESPACES);
                pid = fork();
                if (pid == 0) {
                        adopt_inside(t);
                        _exit(0);
                }
                _exit(waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        holder_end(outside);
        if (WIFEXITED(status) && WEXITSTATUS(status) == NO_NAMESPACES)
                g_test_skip("there are no process namespaces");
        else
                g_assert_cmpint(status, ==, 0);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/locks/" #name, test_##name)
        TEST(a_lock_lasts_as_long_as_its_process);
        TEST(all_holders_are_found);
        TEST(what_is_in_the_file_does_not_count);
        TEST(a_holder_that_cannot_be_watched_hides_no_other);
        return g_test_run();
}
