/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every step looks before it writes, and what counts after a failed write is what is then to be
 * seen: the kernel, udev and administrators move devices at the same time.
 */

#include "worker/steps.h"
#include "basic/io.h"
#include "sys/inspect.h"
#include "sys/sysfs.h"
#include "worker/load.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum {
        NAP_MSEC = 10,
        NODE_MODE_MAX = 0777,
};

/* How long a driver may take to attach to its other devices, or a new device to become ready. */
#define ATTACH_TIMEOUT_USEC (5 * USEC_PER_SEC)

static uint64_t now_usec(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

static void nap(void)
{
        const struct timespec t = { .tv_nsec = NAP_MSEC * 1000000L };

        (void)nanosleep(&t, NULL);
}

static bool exists(const Sysroot *root, const char *path)
{
        return faccessat(root->sys, path, F_OK, 0) >= 0;
}

/* A missing file of a device that is there stays -ENOENT. */
static int device_error(const Sysroot *root, const PciAddress *a, int error)
{
        char path[SYSFS_PATH_SIZE];
        int r;

        if (error != -ENOENT)
                return error;
        r = sysfs_device_path(a, NULL, path);
        if (r < 0)
                return r;
        return exists(root, path) ? -ENOENT : -ENODEV;
}

/* The driver that the link names, NULL for none. -ENODEV: there is no such device. */
static int read_driver(const Sysroot *root, const PciAddress *a, char **ret)
{
        char path[SYSFS_PATH_SIZE];
        int r;

        r = sysfs_device_path(a, "driver", path);
        if (r < 0)
                return r;
        r = device_error(root, a, readlink_name_at(root->sys, path, ret));
        if (r != -ENOENT)
                return r;
        *ret = NULL;
        return 0;
}

/* 1: the link names this driver. 0: another or none. */
static int is_bound_to(const Sysroot *root, const PciAddress *a, const char *driver)
{
        _cleanup_free_ char *bound = NULL;
        int r;

        r = read_driver(root, a, &bound);
        return r < 0 ? r : streq_ptr(bound, driver);
}

static int write_override(const Sysroot *root, const PciAddress *a, const char *text)
{
        char path[SYSFS_PATH_SIZE];
        int r;

        r = sysfs_device_path(a, "driver_override", path);
        if (r < 0)
                return r;
        return device_error(root, a, write_file_at(root->sys, path, text));
}

static int step_set_override(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        char line[WORKER_ARGUMENT_SIZE + 1];

        if (!sysfs_name_is_valid(q->argument))
                return -EINVAL;
        snprintf(line, sizeof(line), "%s\n", q->argument);
        return write_override(root, &q->address, line);
}

static int step_clear_override(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        /* A write of nothing at all never reaches the attribute (kernel: fs/kernfs/file.c). */
        return write_override(root, &q->address, "\n");
}

static int write_to_driver(const Sysroot *root, const char *driver, const char *attribute,
                           const PciAddress *a)
{
        char path[SYSFS_PATH_SIZE];
        int r;

        r = sysfs_driver_path(driver, attribute, path);
        return r < 0 ? r : write_file_at(root->sys, path, PCI_ADDRESS_STR(a));
}

static int step_unbind(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        const uint64_t deadline = now_usec() + ATTACH_TIMEOUT_USEC;

        if (!sysfs_name_is_valid(q->argument))
                return -EINVAL;
        for (;;) {
                bool over = now_usec() >= deadline;
                int error, r;

                r = is_bound_to(root, &q->address, q->argument);
                if (r <= 0)
                        return r;
                error = write_to_driver(root, q->argument, "unbind", &q->address);
                if (error != -ENODEV && error != -ENOENT)
                        return error;
                r = is_bound_to(root, &q->address, q->argument);
                if (r <= 0)
                        return r;
                /* The file appears only once the driver has attached to all its devices. */
                if (error == -ENODEV || over)
                        return error;
                nap();
        }
}

/* Whether the same write may succeed a little later. */
static bool bind_may_come(const Sysroot *root, const char *driver, int error)
{
        char path[SYSFS_PATH_SIZE];

        if (error == -EAGAIN) /* the device is not ready to be probed (kernel 6.12.86) */
                return true;
        /* The driver is there, its `bind` is not yet. */
        return error == -ENOENT && sysfs_driver_path(driver, NULL, path) >= 0 && exists(root, path);
}

static int step_bind(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        const uint64_t deadline = now_usec() + ATTACH_TIMEOUT_USEC;

        if (!sysfs_name_is_valid(q->argument))
                return -EINVAL;
        for (;;) {
                bool over = now_usec() >= deadline;
                int error, r;

                r = is_bound_to(root, &q->address, q->argument);
                if (r != 0)
                        return MIN(r, 0);
                error = write_to_driver(root, q->argument, "bind", &q->address);
                r = is_bound_to(root, &q->address, q->argument);
                if (r != 0)
                        return MIN(r, 0);
                if (error >= 0)
                        return -ENODEV;
                if (over || !bind_may_come(root, q->argument, error))
                        return error;
                nap();
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

static int step_load_module(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_free_ char *driver = NULL;
        int r;

        r = load_module(root, q->argument, &driver);
        if (r < 0)
                return r;
        snprintf(p->text, sizeof(p->text), "%s", strempty(driver));
        return 0;
}

/* A descriptor of the node itself, so that what is changed is what was looked at. */
static int open_node(const Sysroot *root, int group)
{
        _cleanup_close_ int dir = -EBADF, fd = -EBADF;
        char name[16];
        struct stat st;

        dir = openat(root->root, "dev/vfio", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        snprintf(name, sizeof(name), "%d", group);
        fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode) && (root->is_host || !S_ISREG(st.st_mode)))
                return -ENODEV;
        return TAKE_FD(fd);
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

        if (q->group < 0 || (q->mode != UINT32_MAX && q->mode > NODE_MODE_MAX))
                return -EINVAL;
        fd = open_node(root, q->group);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (q->mode != UINT32_MAX) {
                if (fchownat(fd, "", geteuid(), getegid(), AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
                /* fchmod() refuses a descriptor of O_PATH. */
                snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
                if (chmod(path, q->mode) < 0)
                        return -errno;
        }
        if (fchownat(fd, "", q->uid == UINT32_MAX ? st.st_uid : q->uid,
                     q->gid == UINT32_MAX ? st.st_gid : q->gid,
                     AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

static int step_inspect(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_free_ char *override = NULL;
        uint64_t serial;
        bool has;
        int r;

        r = device_error(root, &q->address, inspect_override(root, &q->address, &override));
        if (r < 0)
                return r;
        snprintf(p->text, sizeof(p->text), "%s", strempty(override));
        if (inspect_serial(root, &q->address, &has, &serial) >= 0 && has) {
                p->has_serial = true;
                p->serial = serial;
        }
        return 0;
}

int step_run(const Sysroot *root, const WorkerRequest *q, WorkerReply *ret)
{
        static int (*const steps[_WORKER_VERB_MAX])(const Sysroot *, const WorkerRequest *,
                                                    WorkerReply *) = {
                [WORKER_LOAD_MODULE] = step_load_module,
                [WORKER_SET_OVERRIDE] = step_set_override,
                [WORKER_CLEAR_OVERRIDE] = step_clear_override,
                [WORKER_UNBIND] = step_unbind,
                [WORKER_BIND] = step_bind,
                [WORKER_PROBE] = step_probe,
                [WORKER_NODE_ACCESS] = step_node_access,
                [WORKER_INSPECT] = step_inspect,
        };
        int r;

        memset(ret, 0, sizeof(*ret)); /* padding too: it goes to another process */
        ret->version = WORKER_PROTOCOL_VERSION;
        ret->id = q->id;
        r = q->verb < _WORKER_VERB_MAX ? steps[q->verb](root, q, ret) : -EINVAL;
        ret->error = r < 0 ? -r : 0;
        return MIN(r, 0);
}

int worker_serve(const Sysroot *root, int fd)
{
        for (;;) {
                WorkerRequest q;
                WorkerReply p;
                ssize_t n;
                int r;

                n = recv(fd, &q, sizeof(q), MSG_TRUNC);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == ECONNRESET ? 0 : -errno;
                if (n == 0)
                        return 0;
                r = worker_request_check(&q, (size_t)n);
                if (r < 0)
                        return r;
                (void)step_run(root, &q, &p);
                if (send(fd, &p, sizeof(p), MSG_NOSIGNAL) < 0)
                        return errno == EPIPE || errno == ECONNRESET ? 0 : -errno;
        }
}
