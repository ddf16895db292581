/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every step looks before it writes, and what counts after a failed write is what is then to be
 * seen: the kernel, udev and administrators move devices at the same time.
 */

#include "worker/steps.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "model/desired.h"
#include "sys/inspect.h"
#include "sys/locks.h"
#include "sys/sysfs.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum {
        NAP_USEC = 10000,
        NODE_MODE_MAX = 0777,
};

/* How long a driver may take to attach to its other devices, or a new device to become ready. */
#define ATTACH_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* How long the links of VFs may take to come or go after the count was written. */
#define VFS_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* A missing file of a device that is there stays -ENOENT. */
static int device_error(const Sysroot *root, const PciAddress *a, int error)
{
        return error == -ENOENT && !exists_at(root->sys, SYSFS_DEVICE_PATH(a, "")) ? -ENODEV
                                                                                   : error;
}

/* The driver that the link names, NULL for none. -ENODEV: there is no such device. */
static int read_driver(const Sysroot *root, const PciAddress *a, char **ret)
{
        int r;

        *ret = NULL;
        r = readlink_name_at(root->sys, SYSFS_DEVICE_PATH(a, "driver"), ret);
        r = device_error(root, a, r);
        return r == -ENOENT ? 0 : r;
}

/* "" clears it: with a newline, for a write of nothing never gets there (kernel: fs/kernfs). */
static int write_override(const Sysroot *root, const PciAddress *a, const char *driver)
{
        char line[WORKER_ARGUMENT_SIZE + 1];

        snprintf(line, sizeof(line), "%s\n", driver);
        return device_error(
                root, a, write_file_at(root->sys, SYSFS_DEVICE_PATH(a, "driver_override"), line));
}

static int step_override(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        return write_override(root, &q->address, q->verb == WORKER_SET_OVERRIDE ? q->argument : "");
}

/* Whether the device is where the request wants it. */
static int is_done(const Sysroot *root, const WorkerRequest *q)
{
        _cleanup_free_ char *bound = NULL;
        int r = read_driver(root, &q->address, &bound);

        return r < 0 ? r : streq_ptr(bound, q->argument) == (q->verb == WORKER_BIND);
}

/* Whether the same write may succeed a little later. */
static bool may_come(const Sysroot *root, const char *driver, int error)
{
        if (error == -EAGAIN) /* the device is not ready to be probed (kernel 6.12.86) */
                return true;
        /* Its files appear only once the driver has attached to all its devices. */
        return error == -ENOENT && exists_at(root->sys, SYSFS_PATH(SYSFS_PCI_DRIVERS, driver, ""));
}

/*
 * A VF whose PF has sriov_drivers_autoprobe 0 is refused to any driver but the one that its
 * override names (kernel: drivers/pci/pci-driver.c, pci_device_can_probe()).
 */
static bool needs_override(const Sysroot *root, const PciAddress *a)
{
        _cleanup_free_ char *override = NULL;

        return sysfs_read_number(root->sys, SYSFS_DEVICE_PATH(a, "physfn/sriov_drivers_autoprobe"),
                                 1, 1) == 0 &&
               inspect_override(root, a, &override) >= 0 && !override;
}

/* The override is there for the one write only. */
static int move_once(const Sysroot *root, const WorkerRequest *q)
{
        const PciAddress *a = &q->address;
        bool by_override = q->verb == WORKER_BIND && needs_override(root, a);
        int error = 0, r = 0;

        if (by_override)
                error = write_override(root, a, q->argument);
        if (error >= 0)
                error = write_file_at(root->sys,
                                      SYSFS_PATH(SYSFS_PCI_DRIVERS, q->argument,
                                                 q->verb == WORKER_BIND ? "bind" : "unbind"),
                                      PCI_ADDRESS_STR(a));
        if (by_override)
                r = write_override(root, a, "");
        return error < 0 ? error : r;
}

/*
 * VFIO drivers let an idle device sleep. Unbinding wakes it, lets it fall asleep and wakes it once
 * more, 20 ms each; one that is kept awake is let go of at once. They leave power/control "on"
 * themselves (kernel: vfio_pci_core_unregister_device(), pm_runtime_forbid()).
 */
static void wake(const Sysroot *root, const PciAddress *a)
{
        (void)!write_file_at(root->sys, SYSFS_DEVICE_PATH(a, "power/control"), "on");
}

static int step_move(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        const uint64_t deadline = now_usec() + ATTACH_TIMEOUT_USEC;

        if (q->verb == WORKER_UNBIND && driver_name_is_vfio(q->argument))
                wake(root, &q->address);
        for (;;) {
                bool over = now_usec() >= deadline;
                int error, r;

                r = is_done(root, q);
                if (r != 0)
                        return MIN(r, 0);
                error = move_once(root, q);
                if (error >= 0 && q->verb == WORKER_UNBIND)
                        return 0;
                r = is_done(root, q);
                if (r != 0)
                        return MIN(r, 0);
                if (error >= 0) /* and yet no driver is there */
                        return -ENODEV;
                if (over || !may_come(root, q->argument, error))
                        return error;
                usleep(NAP_USEC);
        }
}

/* The kernel says OK also when no driver took it: the reply says which one did. */
static int step_probe(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_free_ char *driver = NULL;
        int error, r;

        error = write_file_at(root->sys, SYSFS_PCI_PROBE, PCI_ADDRESS_STR(&q->address));
        r = read_driver(root, &q->address, &driver);
        if (r < 0)
                return r;
        snprintf(p->text, sizeof(p->text), "%s", strempty(driver));
        return driver ? 0 : error;
}

/* A descriptor of the node itself, so that what is changed is what was looked at. */
static int open_node(const Sysroot *root, int group, struct stat *ret)
{
        _cleanup_close_ int fd = -EBADF;
        char path[32];

        snprintf(path, sizeof(path), "dev/vfio/%d", group);
        fd = openat(root->root, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, ret) < 0)
                return -errno;
        if (!S_ISCHR(ret->st_mode) && (root->is_host || !S_ISREG(ret->st_mode)))
                return -ENODEV;
        return TAKE_FD(fd);
}

static int change_owner(int fd, uid_t uid, gid_t gid)
{
        return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/*
 * Mode before owner, and while root owns the node: so CAP_CHOWN is enough, without CAP_FOWNER,
 * and a wider mode never serves the owner before.
 */
static int step_node_access(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        char path[64];
        int r;

        if (q->group < 0 || (q->mode != UINT32_MAX && q->mode > NODE_MODE_MAX))
                return -EINVAL;
        fd = open_node(root, q->group, &st);
        if (fd < 0)
                return fd;
        if (q->mode != UINT32_MAX) {
                r = change_owner(fd, geteuid(), getegid());
                if (r < 0)
                        return r;
                /* fchmod() refuses a descriptor of O_PATH. */
                snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
                if (chmod(path, q->mode) < 0)
                        return -errno;
        }
        return change_owner(fd, q->uid == UINT32_MAX ? st.st_uid : q->uid,
                            q->gid == UINT32_MAX ? st.st_gid : q->gid);
}

/* Waits while VFs are being made or removed: the attribute takes the device's lock. */
static uint32_t read_num_vfs(const Sysroot *root, const PciAddress *a, uint32_t fallback)
{
        return (uint32_t)sysfs_read_number(root->sys, SYSFS_DEVICE_PATH(a, "sriov_numvfs"),
                                           UINT16_MAX, fallback);
}

static int step_inspect(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_free_ char *override = NULL;
        bool has;
        int r = device_error(root, &q->address, inspect_override(root, &q->address, &override));

        if (r < 0)
                return r;
        snprintf(p->text, sizeof(p->text), "%s", strempty(override));
        if (inspect_serial(root, &q->address, &has, &p->serial) >= 0)
                p->has_serial = has;
        p->num_vfs = read_num_vfs(root, &q->address, 0);
        return 0;
}

static int step_set_autoprobe(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        const char *path = SYSFS_DEVICE_PATH(&q->address, "sriov_drivers_autoprobe");

        if (!streq(q->argument, "0") && !streq(q->argument, "1"))
                return -EINVAL;
        return device_error(root, &q->address, write_file_at(root->sys, path, q->argument));
}

/* The kernel takes 010 for eight (kstrtou16() with base 0): such a text is no number here. */
static bool parse_count(const char *text, uint32_t *ret)
{
        return (text[0] != '0' || !text[1]) && parse_unsigned(text, 10, UINT16_MAX, ret) >= 0;
}

/*
 * Success with another number is that of a driver that made fewer than were asked for: the kernel
 * calls that a success, too.
 */
static int step_set_numvfs(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        const PciAddress *a = &q->address;
        uint32_t wanted;
        int r;

        if (!parse_count(q->argument, &wanted))
                return -EINVAL;
        p->num_vfs = read_num_vfs(root, a, UINT32_MAX);
        if (p->num_vfs == wanted)
                return 0;
        r = write_file_at(root->sys, SYSFS_DEVICE_PATH(a, "sriov_numvfs"), q->argument);
        p->num_vfs = read_num_vfs(root, a, UINT32_MAX);
        return r >= 0 || p->num_vfs == wanted ? 0 : device_error(root, a, r);
}

/* Links from 0 on without a gap. Behind them the kernel makes the way back, physfn. */
static uint32_t count_vfs(const Sysroot *root, const PciAddress *pf)
{
        char name[32];

        for (uint32_t n = 0;; n++) {
                snprintf(name, sizeof(name), "virtfn%u/physfn", n);
                if (!exists_at(root->sys, SYSFS_DEVICE_PATH(pf, name)))
                        return n;
        }
}

static int step_wait_vfs(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        const uint64_t deadline = now_usec() + VFS_TIMEOUT_USEC;
        uint32_t wanted;

        if (!parse_count(q->argument, &wanted))
                return -EINVAL;
        for (;;) {
                bool over = now_usec() >= deadline;

                p->num_vfs = count_vfs(root, &q->address);
                if (!exists_at(root->sys, SYSFS_DEVICE_PATH(&q->address, "")))
                        return -ENODEV;
                if (p->num_vfs == wanted)
                        return 0;
                if (over)
                        return p->num_vfs < wanted ? -ENOSPC : -EBUSY;
                usleep(NAP_USEC);
        }
}

static void reply_init(const WorkerRequest *q, WorkerReply *ret)
{
        memset(ret, 0, sizeof(*ret)); /* padding too: it goes to another process */
        ret->version = WORKER_PROTOCOL_VERSION;
        ret->id = q->id;
}

int step_run(const Sysroot *root, const WorkerRequest *q, WorkerReply *ret)
{
        static const struct {
                int (*run)(const Sysroot *, const WorkerRequest *, WorkerReply *);
                bool takes_driver;
        } steps[_WORKER_VERB_MAX] = {
                [WORKER_LOAD_MODULE] = { step_load_module, false },
                [WORKER_SET_OVERRIDE] = { step_override, true },
                [WORKER_CLEAR_OVERRIDE] = { step_override, false },
                [WORKER_UNBIND] = { step_move, true },
                [WORKER_BIND] = { step_move, true },
                [WORKER_PROBE] = { step_probe, false },
                [WORKER_NODE_ACCESS] = { step_node_access, false },
                [WORKER_INSPECT] = { step_inspect, false },
                [WORKER_SET_AUTOPROBE] = { step_set_autoprobe, false },
                [WORKER_SET_NUMVFS] = { step_set_numvfs, false },
                [WORKER_WAIT_VFS] = { step_wait_vfs, false },
                [WORKER_VF_SETTING] = { step_vf_setting, false },
                [WORKER_REPORT_VFS] = { step_report_vfs, false },
                [WORKER_CHECK_USE] = { step_check_use, false },
        };
        int r = -EINVAL;

        reply_init(q, ret);
        if (q->verb < _WORKER_VERB_MAX &&
            (!steps[q->verb].takes_driver || sysfs_name_is_valid(q->argument)))
                r = steps[q->verb].run(root, q, ret);
        ret->error = r < 0 ? -r : 0;
        return MIN(r, 0);
}

/* Whoever sent the request is there to be told. Another daemon looks at the locks as it starts. */
static bool is_wanted(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLRDHUP };

        return poll(&p, 1, 0) == 0;
}

/*
 * Carries it out while it has the lock of the device. false: the daemon has gone before that, and
 * the next one may have begun something else there.
 */
static bool serve_one(const Sysroot *root, int fd, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_close_ int lock = -EBADF;

        if (worker_verb_locks(q->verb)) {
                lock = locks_take(root, &q->address, q->verb == WORKER_SET_NUMVFS,
                                  worker_verb_to_string(q->verb));
                if (lock < 0) {
                        reply_init(q, p);
                        p->error = -lock;
                        p->not_begun = true;
                        return true;
                }
                if (!is_wanted(fd))
                        return false;
        }
        (void)step_run(root, q, p);
        return true;
}

int worker_serve(const Sysroot *root, int fd)
{
        for (;;) {
                WorkerRequest q;
                WorkerReply p;
                int r;
                ssize_t n = recv(fd, &q, sizeof(q), MSG_TRUNC);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == ECONNRESET ? 0 : -errno;
                if (n == 0)
                        return 0;
                r = worker_request_check(&q, (size_t)n);
                if (r < 0)
                        return r;
                if (!serve_one(root, fd, &q, &p))
                        return 0;
                if (send(fd, &p, sizeof(p), MSG_NOSIGNAL) < 0)
                        return errno == EPIPE || errno == ECONNRESET ? 0 : -errno;
        }
}
