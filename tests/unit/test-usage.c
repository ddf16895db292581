/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/usage.h"
#include "usage-fixture.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void open_node(const FakeTree *t, const char *pid, const char *name, const char *fd,
                      const char *node)
{
        g_autofree char *comm = g_strdup_printf("proc/%s/comm", pid);
        g_autofree char *link = g_strdup_printf("proc/%s/fd/%s", pid, fd);
        g_autofree char *line = g_strdup_printf("%s\n", name);

        fake_file(t, comm, line);
        fake_link(t, link, node);
}

static void test_nobody(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("vfio-pci");

        assert_users(t, NULL, NULL);
        open_node(t, "1", "systemd", "3", "/dev/null");
        open_node(t, "77", "other", "3", "/dev/vfio/vfio");
        open_node(t, "78", "other", "3", "/dev/vfio/1");
        assert_users(t, NULL, NULL);
}

static void test_open_nodes(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("vfio-pci");

        fake_attribute(t, SECOND, "vfio-dev/vfio3/dev", "511:3\n");
        open_node(t, "1234", "qemu-system-x86", "9", "/dev/vfio/17");
        open_node(t, "99", "b\xe9\tn", "4", "/dev/vfio/devices/vfio3");
        assert_users(t, "device-in-use: qemu-system-x86 (1234) has /dev/vfio/17 open",
                     "device-in-use: b??n (99) has /dev/vfio/devices/vfio3 open");
}

/* The link to the driver goes before the device is let go of (kernel: drivers/base/dd.c). */
static void test_open_while_it_is_unbound(void)
{
        g_autoptr(FakeTree) t = host_with_vfs(NULL);

        open_node(t, "1234", "qemu", "9", "/dev/vfio/18");
        assert_users(t, NULL, "device-in-use: qemu (1234) has /dev/vfio/18 open");
}

/* One write, which is all that the kernel takes. */
static bool put(const char *path, const char *text)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A namespace in which its user may mount, with no more rights than anyone has. */
static bool enter_namespace(void)
{
        g_autofree char *uid = g_strdup_printf("0 %u 1", geteuid());
        g_autofree char *gid = g_strdup_printf("0 %u 1", getegid());

        return unshare(CLONE_NEWUSER | CLONE_NEWNS) >= 0 && put("/proc/self/setgroups", "deny") &&
               put("/proc/self/uid_map", uid) && put("/proc/self/gid_map", gid);
}

/* Holds a file "/dev/vfio/17" open there, until the pipe is closed. */
static void hold_file(int ready, int go_on)
{
        char c;

        if (!enter_namespace() || mount("x", "/dev", "tmpfs", 0, NULL) < 0 ||
            mkdir("/dev/vfio", 0755) < 0 || open("/dev/vfio/17", O_CREAT | O_RDWR, 0600) < 0 ||
            write(ready, "", 1) != 1)
                _exit(EXIT_FAILURE);
        _exit(read(go_on, &c, 1) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Anyone can have a file that is called like a node; it keeps nobody from the device. */
static void test_a_file_that_is_called_like_a_node(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("vfio-pci");
        int ready[2], go_on[2];
        pid_t pid;
        char c;

        fake_link(t, "proc", "/proc");
        g_assert_cmpint(pipe(ready), ==, 0);
        g_assert_cmpint(pipe(go_on), ==, 0);
        pid = fork();
        if (pid == 0) {
                close(go_on[1]);
                hold_file(ready[1], go_on[0]);
        }
        close(ready[1]);
        close(go_on[0]);
        if (read(ready[0], &c, 1) == 1)
                assert_users(t, NULL, NULL);
        else
                g_test_skip("no namespaces");
        close(go_on[1]);
        close(ready[0]);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static void test_holders_of_one_node(void)
{
        g_autoptr(FakeTree) t = host_with_vfs("vfio-pci");
        _cleanup_strv_ char **holders = NULL;

        open_node(t, "1234", "qemu", "9", "/dev/vfio/17");
        open_node(t, "1234", "qemu", "10", "/dev/vfio/17");
        open_node(t, "77", "other", "3", "/dev/vfio/18");
        g_assert_cmpint(holders_of_node(&t->root, "/dev/vfio/17", &holders), ==, 0);
        g_assert_cmpuint(strv_length(holders), ==, 1);
        g_assert_cmpstr(holders[0], ==, "1234 qemu");
}

#define TEST(name) g_test_add_func("/usage/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(nobody);
        TEST(open_nodes);
        TEST(open_while_it_is_unbound);
        TEST(a_file_that_is_called_like_a_node);
        TEST(holders_of_one_node);
        return g_test_run();
}
