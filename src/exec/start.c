/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "exec/start.h"
#include "exec/protocol.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int spawn_process(const char *path, const Sysroot *root, int socket_fd, pid_t *ret)
{
        char *argv[] = { (char *)path, (char *)"--root", root->prefix, NULL };
        char *envp[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none;
        int r;

        if (!root->prefix[0])
                argv[1] = NULL;
        if (posix_spawn_file_actions_init(&actions) != 0)
                return -ENOMEM;
        if (posix_spawnattr_init(&attributes) != 0) {
                posix_spawn_file_actions_destroy(&actions);
                return -ENOMEM;
        }
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        r = posix_spawn_file_actions_adddup2(&actions, socket_fd, WORKER_FD);
        if (r == 0)
                r = posix_spawn(ret, path, &actions, &attributes, argv, envp);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static int start_child(const char *path, const Sysroot *root, int *ret_fd, pid_t *ret_pid)
{
        _cleanup_close_ int ours = -EBADF, theirs = -EBADF;
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        ours = pair[0];
        theirs = pair[1];
        /* dup2() onto itself would keep FD_CLOEXEC. */
        if (theirs == WORKER_FD) {
                int moved = fcntl(theirs, F_DUPFD_CLOEXEC, WORKER_FD + 1);

                if (moved < 0)
                        return -errno;
                close(theirs);
                theirs = moved;
        }
        r = spawn_process(path, root, theirs, ret_pid);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(ours);
        return 0;
}

/* A queue of connections that is full is an error like any other: nothing here waits. */
static int connect_to(const char *path, int *ret)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;

        if (strlen(path) >= sizeof(a.sun_path))
                return -ENAMETOOLONG;
        memcpy(a.sun_path, path, strlen(path));
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

int worker_start(const char *path, const Sysroot *root, int *ret_fd, pid_t *ret_pid)
{
        struct stat st;

        if (stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
                return start_child(path, root, ret_fd, ret_pid);
        *ret_pid = 0;
        return connect_to(path, ret_fd);
}
