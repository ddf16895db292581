/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * vfiod-worker: does what it is told on descriptor 3, one request at a time. It outlives a daemon
 * that is gone while a write has not returned, and ends when the socket is closed. It logs
 * nothing; only a wrong call is told on stderr.
 */

#include "worker/steps.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
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
        /* Signals to the whole unit are for the daemon; a worker ends with its socket. */
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
        r = sysroot_open(arg_root, &root);
        if (r < 0)
                return r;
        return worker_serve(&root, WORKER_FD);
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
