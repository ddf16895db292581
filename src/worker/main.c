/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * vfiod-worker: does what it is told on descriptor 3, one request at a time. It outlives a daemon
 * that is gone while a write has not returned, and ends when the socket is closed. If descriptor 3
 * listens, it serves each connection in a process of its own. It logs nothing; only a wrong call
 * is told on stderr.
 */

#include "worker/steps.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

static const char *arg_root = NULL;

/* 0: nothing more to do. */
static int parse_arguments(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'v' },
                { "root", required_argument, NULL, 'r' },
                { 0 },
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        printf("vfiod-worker [OPTIONS…]\n\n"
                               "Performs kernel writes for vfiod. Not to be called by hand.\n\n"
                               "  -h --help      Show this help\n"
                               "     --version   Show the version\n"
                               "     --root=DIR  Work below DIR instead of /\n");
                        return 0;
                case 'v':
                        printf("vfiod-worker %s\n", PACKAGE_VERSION);
                        return 0;
                case 'r':
                        arg_root = optarg;
                        break;
                default:
                        return -EINVAL;
                }
        if (optind == argc)
                return 1;
        fprintf(stderr, "vfiod-worker: takes no arguments\n");
        return -EINVAL;
}

/* In the new process: says who it is, and works. */
static int serve_connection(const Sysroot *root, int fd)
{
        WorkerReply hello;

        (void)signal(SIGCHLD, SIG_DFL); /* commands of modprobe.d are waited for */
        memset(&hello, 0, sizeof(hello));
        hello.version = WORKER_PROTOCOL_VERSION;
        hello.pid = getpid();
        if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0)
                return -errno;
        return worker_serve(root, fd);
}

/* Until a signal ends it. The processes are reaped by the kernel. */
static int serve_all(const Sysroot *root)
{
        (void)signal(SIGCHLD, SIG_IGN);
        for (;;) {
                _cleanup_close_ int fd = accept4(WORKER_FD, NULL, NULL, SOCK_CLOEXEC);
                pid_t pid;

                if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
                        return -errno;
                pid = fd < 0 ? -1 : fork(); /* if that fails, the daemon sees the end at once */
                if (pid == 0) {
                        close(WORKER_FD);
                        return serve_connection(root, fd);
                }
        }
}

static bool is_listening(int fd)
{
        int value;
        socklen_t size = sizeof(value);

        return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) >= 0 && value;
}

static int run(void)
{
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;
        struct stat st;
        int r;

        if (fstat(WORKER_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
                fprintf(stderr, "vfiod-worker: descriptor %d is no socket: vfiod starts it\n",
                        WORKER_FD);
                return -EINVAL;
        }
        /* Commands of modprobe.d must not have it. */
        if (fcntl(WORKER_FD, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;
        /* A terminal's signals are for the daemon; a worker ends with its socket. */
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
        r = sysroot_open(arg_root, &root);
        if (r < 0)
                return r;
        return is_listening(WORKER_FD) ? serve_all(&root) : worker_serve(&root, WORKER_FD);
}

int main(int argc, char *argv[])
{
        int r;

        r = parse_arguments(argc, argv);
        if (r < 0)
                return 2;
        if (r == 0)
                return EXIT_SUCCESS;
        return run() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
