/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fake-tree.h"
#include "sys/locks.h"
#include "worker/steps.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NIC "0000:41:00.0"
#define NIC_ALIAS "pci:v00008086d000010C9sv00008086sd0000A03Cbc02sc00i00\n"

static WorkerRequest request(WorkerVerb verb, const char *argument)
{
        WorkerRequest q;

        memset(&q, 0, sizeof(q));
        q.version = WORKER_PROTOCOL_VERSION;
        q.verb = verb;
        q.id = 42;
        q.address.bus = 0x41;
        q.uid = q.gid = q.mode = UINT32_MAX;
        if (argument)
                g_strlcpy(q.argument, argument, sizeof(q.argument));
        return q;
}

static int run(const FakeTree *t, WorkerVerb verb, const char *argument, WorkerReply *reply)
{
        const WorkerRequest q = request(verb, argument);
        WorkerReply p;
        int r;

        r = step_run(&t->root, &q, &p);
        g_assert_cmpint(p.error, ==, -r);
        g_assert_cmpuint(p.id, ==, 42);
        g_assert_cmpint(worker_reply_check(&p, sizeof(p)), ==, 0);
        if (reply)
                *reply = p;
        return r;
}

static FakeTree *host_with_nic(void)
{
        FakeTree *t = fake_new();

        fake_device(t, "pci0000:00", NIC, NIC_ALIAS);
        fake_file(t, "sys/bus/pci/drivers_probe", "");
        fake_file(t, "sys/bus/pci/drivers/igb/bind", "");
        fake_file(t, "sys/bus/pci/drivers/igb/unbind", "");
        return t;
}

static void assert_content(const FakeTree *t, const char *path, const char *expected)
{
        g_autofree char *text = fake_read(t, path);

        g_assert_cmpstr(text, ==, expected);
}

#define OVERRIDE "sys/bus/pci/devices/" NIC "/driver_override"

static void test_override(void)
{
        g_autoptr(FakeTree) t = host_with_nic();
        WorkerReply p;

        fake_file(t, OVERRIDE, "");
        g_assert_cmpint(run(t, WORKER_SET_OVERRIDE, "vfio-pci", NULL), ==, 0);
        assert_content(t, OVERRIDE, "vfio-pci\n");
        g_assert_cmpint(run(t, WORKER_INSPECT, NULL, &p), ==, 0);
        g_assert_cmpstr(p.text, ==, "vfio-pci");
        g_assert_false(p.has_serial);
        fake_file(t, OVERRIDE, "");
        g_assert_cmpint(run(t, WORKER_CLEAR_OVERRIDE, NULL, NULL), ==, 0);
        assert_content(t, OVERRIDE, "\n");
}

static void test_bad_names_are_refused(void)
{
        g_autoptr(FakeTree) t = host_with_nic();
        static const char *const names[] = {
                "", ".", "..", "../../../x", "a/b", "igb\n", "(null)", ".hidden",
        };
        static const WorkerVerb verbs[] = { WORKER_SET_OVERRIDE, WORKER_UNBIND, WORKER_BIND,
                                            WORKER_LOAD_MODULE };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                for (size_t k = 0; k < ELEMENTSOF(verbs); k++)
                        g_assert_cmpint(run(t, verbs[k], names[i], NULL), ==, -EINVAL);
        assert_content(t, OVERRIDE, "(null)\n");
}

/* Drivers of saa7146 cards have names such as this one. */
static void test_names_with_spaces(void)
{
        g_autoptr(FakeTree) t = host_with_nic();

        fake_driver(t, NIC, "budget dvb");
        fake_file(t, "sys/bus/pci/drivers/budget dvb/bind", "");
        fake_file(t, "sys/bus/pci/drivers/budget dvb/unbind", "");
        g_assert_cmpint(run(t, WORKER_UNBIND, "budget dvb", NULL), !=, -EINVAL);
        assert_content(t, "sys/bus/pci/drivers/budget dvb/unbind", NIC);
        fake_driver(t, NIC, NULL);
        g_assert_cmpint(run(t, WORKER_BIND, "budget dvb", NULL), !=, -EINVAL);
        assert_content(t, "sys/bus/pci/drivers/budget dvb/bind", NIC);
        g_assert_cmpint(run(t, WORKER_SET_OVERRIDE, "nothing at all", NULL), ==, 0);
        assert_content(t, OVERRIDE, "nothing at all\n");
        g_assert_cmpint(run(t, WORKER_LOAD_MODULE, "budget dvb", NULL), ==, -EINVAL);
}

static void test_modules_are_for_the_host_only(void)
{
        g_autoptr(FakeTree) t = host_with_nic();

        g_assert_cmpint(run(t, WORKER_LOAD_MODULE, "vfio-pci", NULL), ==, -ENOSYS);
        g_assert_cmpint(run(t, WORKER_LOAD_MODULE, "pci:v00008086d*", NULL), ==, -ENOSYS);
        g_assert_cmpint(run(t, WORKER_LOAD_MODULE, "usb:v1234", NULL), ==, -EINVAL);
        g_assert_cmpint(run(t, WORKER_LOAD_MODULE, "pci:../x", NULL), ==, -EINVAL);
        g_assert_cmpint(run(t, WORKER_LOAD_MODULE, "pci:$(x)", NULL), ==, -EINVAL);
}

static void test_gone_device(void)
{
        g_autoptr(FakeTree) t = fake_new();
        static const WorkerVerb verbs[] = { WORKER_SET_OVERRIDE, WORKER_CLEAR_OVERRIDE,
                                            WORKER_UNBIND,       WORKER_BIND,
                                            WORKER_PROBE,        WORKER_INSPECT };

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                g_assert_cmpint(run(t, verbs[i], "igb", NULL), ==, -ENODEV);
}

static void test_unbind(void)
{
        g_autoptr(FakeTree) t = host_with_nic();

        g_assert_cmpint(run(t, WORKER_UNBIND, "igb", NULL), ==, 0);
        fake_driver(t, NIC, "e1000");
        g_assert_cmpint(run(t, WORKER_UNBIND, "igb", NULL), ==, 0);
        assert_content(t, "sys/bus/pci/drivers/igb/unbind", "");
        fake_driver(t, NIC, "igb");
        g_assert_cmpint(run(t, WORKER_UNBIND, "igb", NULL), ==, 0);
        assert_content(t, "sys/bus/pci/drivers/igb/unbind", NIC);
}

static void test_bind(void)
{
        g_autoptr(FakeTree) t = host_with_nic();

        /* The write went well, and yet no driver is there. */
        g_assert_cmpint(run(t, WORKER_BIND, "igb", NULL), ==, -ENODEV);
        assert_content(t, "sys/bus/pci/drivers/igb/bind", NIC);
        fake_file(t, "sys/bus/pci/drivers/igb/bind", "");
        fake_driver(t, NIC, "igb");
        g_assert_cmpint(run(t, WORKER_BIND, "igb", NULL), ==, 0);
        assert_content(t, "sys/bus/pci/drivers/igb/bind", "");
        g_assert_cmpint(run(t, WORKER_BIND, "nosuch", NULL), ==, -ENOENT);
}

static void *attach_later(void *userdata)
{
        const FakeTree *t = userdata;

        g_usleep(100 * 1000);
        fake_driver(t, NIC, "slow");
        return NULL;
}

/* The driver's directory is there and `bind` is not: it is still attaching to its devices. */
static void test_bind_waits_for_a_driver_that_attaches(void)
{
        g_autoptr(FakeTree) t = host_with_nic();
        pthread_t thread;

        fake_directory(t, "sys/bus/pci/drivers/slow");
        g_assert_cmpint(pthread_create(&thread, NULL, attach_later, t), ==, 0);
        g_assert_cmpint(run(t, WORKER_BIND, "slow", NULL), ==, 0);
        pthread_join(thread, NULL);
}

static void test_probe_tells_the_driver(void)
{
        g_autoptr(FakeTree) t = host_with_nic();
        WorkerReply p;

        g_assert_cmpint(run(t, WORKER_PROBE, NULL, &p), ==, 0);
        g_assert_cmpstr(p.text, ==, "");
        assert_content(t, "sys/bus/pci/drivers_probe", NIC);
        fake_driver(t, NIC, "igb");
        g_assert_cmpint(run(t, WORKER_PROBE, NULL, &p), ==, 0);
        g_assert_cmpstr(p.text, ==, "igb");
}

static int set_mode(const FakeTree *t, int group, uint32_t mode)
{
        WorkerRequest q = request(WORKER_NODE_ACCESS, NULL);
        WorkerReply p;

        q.group = group;
        q.mode = mode;
        q.uid = getuid();
        return step_run(&t->root, &q, &p);
}

static void test_node_access(void)
{
        g_autoptr(FakeTree) t = host_with_nic();
        g_autofree char *node = fake_path(t, "dev/vfio/7");
        struct stat st;

        g_assert_cmpint(set_mode(t, 7, 0660), ==, -ENOENT);
        fake_file(t, "dev/vfio/7", "");
        g_assert_cmpint(set_mode(t, 7, 0660), ==, 0);
        g_assert_cmpint(stat(node, &st), ==, 0);
        g_assert_cmphex(st.st_mode & 07777, ==, 0660);
        g_assert_cmpint(set_mode(t, 7, 04755), ==, -EINVAL);
        g_assert_cmpint(set_mode(t, -1, 0660), ==, -EINVAL);
        g_assert_cmpint(set_mode(t, 7, UINT32_MAX), ==, 0);
        fake_file(t, "victim", "");
        fake_link(t, "dev/vfio/8", "../../victim");
        g_assert_cmpint(set_mode(t, 8, 0666), ==, -ENODEV);
}

static void test_frames(void)
{
        const WorkerReply good = { .version = WORKER_PROTOCOL_VERSION };
        const WorkerRequest bind = request(WORKER_BIND, "igb");
        WorkerRequest bad[4] = { bind, bind, bind, bind };
        WorkerReply worse[3] = { good, good, good };

        g_assert_cmpint(worker_request_check(&bind, sizeof(bind)), ==, 0);
        g_assert_cmpint(worker_request_check(&bind, sizeof(bind) - 1), ==, -EBADMSG);
        bad[0].verb = _WORKER_VERB_MAX;
        bad[1].address.device = 32;
        bad[2].version++;
        memset(bad[3].argument, 'a', sizeof(bad[3].argument));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                g_assert_cmpint(worker_request_check(&bad[i], sizeof(bad[i])), ==, -EBADMSG);
        g_assert_cmpint(worker_reply_check(&good, sizeof(good)), ==, 0);
        g_assert_cmpint(worker_reply_check(&good, sizeof(good) + 1), ==, -EBADMSG);
        worse[0].error = -1;
        memset(worse[1].text, 'a', sizeof(worse[1].text));
        worse[2].n_vfs = WORKER_VFS_MAX + 1;
        for (size_t i = 0; i < ELEMENTSOF(worse); i++)
                g_assert_cmpint(worker_reply_check(&worse[i], sizeof(worse[i])), ==, -EBADMSG);
}

#define PF_PATH "sys/bus/pci/devices/" NIC
#define VF "0000:41:10.2"
#define VF_PATH "sys/bus/pci/devices/" VF

/* VF 1 of the NIC; its address is not that of the index. */
static FakeTree *host_with_vf(const char *autoprobe)
{
        FakeTree *t = host_with_nic();

        fake_attribute(t, NIC, "sriov_drivers_autoprobe", autoprobe);
        fake_device(t, "pci0000:00", VF, NIC_ALIAS);
        fake_device(t, "pci0000:00", "0000:41:10.4", NIC_ALIAS);
        fake_device_link(t, VF, "physfn", "../" NIC);
        fake_device_link(t, "0000:41:10.4", "physfn", "../" NIC);
        fake_device_link(t, NIC, "virtfn0", "../0000:41:10.4");
        fake_device_link(t, NIC, "virtfn1", "../" VF);
        return t;
}

static WorkerRequest vf_request(WorkerVerb verb, const char *argument)
{
        WorkerRequest q = request(verb, argument);

        q.address = (PciAddress){ .bus = 0x41, .device = 0x10, .function = 2 };
        return q;
}

static int run_vf(const FakeTree *t, const WorkerRequest *q)
{
        WorkerReply p;

        return step_run(&t->root, q, &p);
}

/* What is written goes over what is there, so the trace shows that it was set and cleared. */
static void test_bind_of_a_vf_that_is_not_probed_needs_an_override(void)
{
        const WorkerRequest q = vf_request(WORKER_BIND, "igb");
        g_autoptr(FakeTree) off = host_with_vf("0\n"), on = host_with_vf("1\n");
        g_autoptr(FakeTree) armed = host_with_vf("0\n");

        g_assert_cmpint(run_vf(off, &q), ==, -ENODEV);
        assert_content(off, VF_PATH "/driver_override", "\ngb\nl)\n");
        assert_content(off, "sys/bus/pci/drivers/igb/bind", VF);
        g_assert_cmpint(run_vf(on, &q), ==, -ENODEV);
        assert_content(on, VF_PATH "/driver_override", "(null)\n");
        assert_content(on, "sys/bus/pci/drivers/igb/bind", VF);
        fake_attribute(armed, VF, "driver_override", "vfio-pci\n");
        g_assert_cmpint(run_vf(armed, &q), ==, -ENODEV);
        assert_content(armed, VF_PATH "/driver_override", "vfio-pci\n");
}

static void test_autoprobe(void)
{
        g_autoptr(FakeTree) t = host_with_vf("1");

        g_assert_cmpint(run(t, WORKER_SET_AUTOPROBE, "0", NULL), ==, 0);
        assert_content(t, PF_PATH "/sriov_drivers_autoprobe", "0");
        g_assert_cmpint(run(t, WORKER_SET_AUTOPROBE, "1", NULL), ==, 0);
        assert_content(t, PF_PATH "/sriov_drivers_autoprobe", "1");
        g_assert_cmpint(run(t, WORKER_SET_AUTOPROBE, "yes", NULL), ==, -EINVAL);
        fake_remove(t, PF_PATH "/sriov_drivers_autoprobe");
        g_assert_cmpint(run(t, WORKER_SET_AUTOPROBE, "0", NULL), ==, -ENOENT);
}

static void test_number_of_vfs(void)
{
        static const char *const bad[] = {
                "", "010", "00", "0x2", "+1", " 4", "4 ", "-1", "65536"
        };
        g_autoptr(FakeTree) t = host_with_nic();
        WorkerReply p;

        g_assert_cmpint(run(t, WORKER_SET_NUMVFS, "4", NULL), ==, -ENOENT);
        fake_attribute(t, NIC, "sriov_numvfs", "0\n");
        g_assert_cmpint(run(t, WORKER_SET_NUMVFS, "4", &p), ==, 0);
        assert_content(t, PF_PATH "/sriov_numvfs", "4\n");
        g_assert_cmpuint(p.num_vfs, ==, 4);
        g_assert_cmpint(run(t, WORKER_INSPECT, NULL, &p), ==, 0);
        g_assert_cmpuint(p.num_vfs, ==, 4);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                g_assert_cmpint(run(t, WORKER_SET_NUMVFS, bad[i], NULL), ==, -EINVAL);
                g_assert_cmpint(run(t, WORKER_WAIT_VFS, bad[i], NULL), ==, -EINVAL);
        }
}

/* A write would leave "7x7". */
static void test_equal_number_of_vfs_is_not_written(void)
{
        g_autoptr(FakeTree) t = host_with_nic();

        fake_attribute(t, NIC, "sriov_numvfs", "0x7\n");
        g_assert_cmpint(run(t, WORKER_SET_NUMVFS, "7", NULL), ==, 0);
        assert_content(t, PF_PATH "/sriov_numvfs", "0x7\n");
}

static void *add_third_vf(void *userdata)
{
        const FakeTree *t = userdata;

        g_usleep(100 * 1000);
        fake_device(t, "pci0000:00", "0000:41:10.6", NIC_ALIAS);
        fake_device_link(t, "0000:41:10.6", "physfn", "../" NIC);
        fake_device_link(t, NIC, "virtfn2", "../0000:41:10.6");
        return NULL;
}

static void test_waits_for_vfs(void)
{
        g_autoptr(FakeTree) t = host_with_vf("0\n");
        pthread_t thread;
        WorkerReply p;

        g_assert_cmpint(run(t, WORKER_WAIT_VFS, "2", NULL), ==, 0);
        g_assert_cmpint(pthread_create(&thread, NULL, add_third_vf, t), ==, 0);
        g_assert_cmpint(run(t, WORKER_WAIT_VFS, "3", &p), ==, 0);
        g_assert_cmpuint(p.num_vfs, ==, 3);
        pthread_join(thread, NULL);
        fake_remove(t, PF_PATH "/virtfn1");
        g_assert_cmpint(run(t, WORKER_WAIT_VFS, "3", &p), ==, -ENOSPC);
        g_assert_cmpuint(p.num_vfs, ==, 1);
}

static void test_gone_pf_and_vf(void)
{
        static const WorkerVerb verbs[] = { WORKER_SET_AUTOPROBE, WORKER_SET_NUMVFS,
                                            WORKER_WAIT_VFS, WORKER_VF_SETTING, WORKER_REPORT_VFS };
        g_autoptr(FakeTree) t = fake_new();

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                g_assert_cmpint(run(t, verbs[i], "0", NULL), ==, -ENODEV);
}

static int set_mac_and_trust(const FakeTree *t, WorkerReply *p)
{
        WorkerRequest q = vf_request(WORKER_VF_SETTING, NULL);

        vf_settings_put(&q.settings, VF_MAC_ADDRESS, UINT64_C(0x020000001000));
        vf_settings_put(&q.settings, VF_TRUST, 1);
        return step_run(&t->root, &q, p);
}

static void test_settings_need_the_network_interface_of_the_pf(void)
{
        g_autoptr(FakeTree) t = host_with_vf("0\n");
        WorkerReply p;

        g_assert_cmpint(set_mac_and_trust(t, &p), ==, -ENONET);
        g_assert_cmpstr(p.text, ==, NIC " has no network interface");
        fake_directory(t, PF_PATH "/net");
        g_assert_cmpint(set_mac_and_trust(t, &p), ==, -ENONET);
        g_assert_nonnull(strstr(p.text, "another network namespace"));
        g_assert_cmpint(run(t, WORKER_REPORT_VFS, NULL, &p), ==, -ENONET);
        g_assert_nonnull(strstr(p.text, "another network namespace"));
        fake_attribute(t, NIC, "net/eth0/ifindex", "1\n");
        /* Below another root the kernel is not ours. */
        g_assert_cmpint(set_mac_and_trust(t, &p), ==, -ENOSYS);
        g_assert_cmpint(run(t, WORKER_REPORT_VFS, NULL, &p), ==, -ENOSYS);
}

static void test_values_past_their_fields_are_refused(void)
{
        g_autoptr(FakeTree) t = host_with_vf("0\n");
        WorkerRequest q = vf_request(WORKER_VF_SETTING, NULL);

        vf_settings_put(&q.settings, VF_VLAN, UINT64_C(1) << 32 | 100);
        g_assert_cmpint(run_vf(t, &q), ==, -EINVAL);
}

/* The kernel itself is asked, of an interface that has no VFs: 1 is lo, in every namespace. */
static void test_rejected_settings_are_all_told(void)
{
        g_autoptr(FakeTree) t = host_with_vf("0\n");
        WorkerReply p;
        int r;

        fake_attribute(t, NIC, "net/eth0/ifindex", "2147483647\n");
        fake_attribute(t, NIC, "net/eth0/dev_port", "1\n");
        fake_attribute(t, NIC, "net/eth1/ifindex", "1\n");
        fake_attribute(t, NIC, "net/eth1/dev_port", "0\n");
        t->root.is_host = true;
        r = set_mac_and_trust(t, &p);
        g_assert_true(r == -EOPNOTSUPP || r == -EPERM); /* which other users than root get */
        g_assert_true(g_str_has_prefix(p.text, "MACAddress=02:00:00:00:10:00: Operation not "));
        g_assert_nonnull(strstr(p.text, "; Trust=yes: Operation not "));
        g_assert_cmpint(run(t, WORKER_REPORT_VFS, NULL, &p), ==, 0);
        g_assert_cmpuint(p.n_vfs, ==, 0);
}

typedef struct Service {
        FakeTree *tree;
        int fd;
        int result;
} Service;

static void *serve(void *userdata)
{
        Service *s = userdata;

        s->result = worker_serve(&s->tree->root, s->fd);
        return NULL;
}

/* Sends frames, closes, and gives what the worker returned. */
static int talk(const void *frame, size_t size, unsigned n, unsigned *ret_answers)
{
        g_autoptr(FakeTree) t = host_with_nic();
        Service s = { .tree = t };
        pthread_t thread;
        WorkerReply p;
        int pair[2];

        fake_directory(t, "run/vfiod");
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
        s.fd = pair[1];
        g_assert_cmpint(pthread_create(&thread, NULL, serve, &s), ==, 0);
        *ret_answers = 0;
        for (unsigned i = 0; i < n; i++) {
                g_assert_cmpint(send(pair[0], frame, size, 0), ==, (ssize_t)size);
                if (worker_request_check(frame, size) < 0)
                        continue;
                g_assert_cmpint(recv(pair[0], &p, sizeof(p), 0), ==, sizeof(p));
                g_assert_cmpint(worker_reply_check(&p, sizeof(p)), ==, 0);
                g_assert_cmpint(p.error, ==, 0);
                *ret_answers += p.id == 42;
        }
        close(pair[0]);
        pthread_join(thread, NULL);
        close(pair[1]);
        return s.result;
}

static void test_serves_until_the_socket_closes(void)
{
        const WorkerRequest q = request(WORKER_SET_OVERRIDE, "vfio-pci");
        unsigned answers;

        g_assert_cmpint(talk(&q, sizeof(q), 3, &answers), ==, 0);
        g_assert_cmpuint(answers, ==, 3);
        g_assert_cmpint(talk(&q, sizeof(q), 0, &answers), ==, 0);
}

/* The daemon is gone before the worker has begun: the next one does not expect that write. */
static void test_begins_nothing_for_a_daemon_that_has_gone(void)
{
        const WorkerRequest q = request(WORKER_SET_OVERRIDE, "vfio-pci");
        g_autoptr(FakeTree) t = host_with_nic();
        int pair[2];

        fake_directory(t, "run/vfiod");
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
        g_assert_cmpint(send(pair[0], &q, sizeof(q), 0), ==, sizeof(q));
        close(pair[0]);
        g_assert_cmpint(worker_serve(&t->root, pair[1]), ==, 0);
        assert_content(t, OVERRIDE, "(null)\n");
        close(pair[1]);
}

/* Carried out by another process: record locks do not keep the one that has them out. */
static void ask_elsewhere(const FakeTree *t, WorkerReply *ret)
{
        const WorkerRequest q = request(WORKER_SET_OVERRIDE, "vfio-pci");
        int pair[2];
        pid_t pid;

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                close(pair[0]);
                _exit(worker_serve(&t->root, pair[1]) < 0);
        }
        close(pair[1]);
        g_assert_cmpint(send(pair[0], &q, sizeof(q), 0), ==, sizeof(q));
        g_assert_cmpint(recv(pair[0], ret, sizeof(*ret), 0), ==, sizeof(*ret));
        g_assert_cmpint(worker_reply_check(ret, sizeof(*ret)), ==, 0);
        close(pair[0]);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static void test_writes_only_where_it_is_alone(void)
{
        g_autoptr(FakeTree) t = host_with_nic();
        WorkerReply p;
        int lock;

        ask_elsewhere(t, &p);
        g_assert_true(p.not_begun);
        g_assert_cmpint(p.error, ==, ENOENT); /* of run/vfiod */
        fake_directory(t, "run/vfiod");
        lock = locks_take(&t->root, &(PciAddress){ .bus = 0x41 }, false, "unbind");
        g_assert_cmpint(lock, >=, 0);
        ask_elsewhere(t, &p);
        g_assert_true(p.not_begun);
        g_assert_cmpint(p.error, ==, EBUSY);
        assert_content(t, OVERRIDE, "(null)\n");
        close(lock);
        ask_elsewhere(t, &p);
        g_assert_false(p.not_begun);
        g_assert_cmpint(p.error, ==, 0);
        assert_content(t, OVERRIDE, "vfio-pci\n");
}

static void test_nonsense_ends_the_service(void)
{
        char frame[2 * sizeof(WorkerRequest)] = { 0 };
        unsigned answers;

        g_assert_cmpint(talk(frame, 1, 1, &answers), ==, -EBADMSG);
        g_assert_cmpint(talk(frame, sizeof(frame), 1, &answers), ==, -EBADMSG);
}

#define TEST(name) g_test_add_func("/worker/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(override);
        TEST(bad_names_are_refused);
        TEST(names_with_spaces);
        TEST(modules_are_for_the_host_only);
        TEST(gone_device);
        TEST(unbind);
        TEST(bind);
        TEST(bind_waits_for_a_driver_that_attaches);
        TEST(probe_tells_the_driver);
        TEST(node_access);
        TEST(bind_of_a_vf_that_is_not_probed_needs_an_override);
        TEST(autoprobe);
        TEST(number_of_vfs);
        TEST(equal_number_of_vfs_is_not_written);
        TEST(waits_for_vfs);
        TEST(gone_pf_and_vf);
        TEST(settings_need_the_network_interface_of_the_pf);
        TEST(values_past_their_fields_are_refused);
        TEST(rejected_settings_are_all_told);
        TEST(frames);
        TEST(serves_until_the_socket_closes);
        TEST(begins_nothing_for_a_daemon_that_has_gone);
        TEST(writes_only_where_it_is_alone);
        TEST(nonsense_ends_the_service);
        return g_test_run();
}
