/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/log.h"
#include "daemon/manager-internal.h"
#include "daemon/messages.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

static const char *arg_root;
static const char *arg_worker = WORKER_PATH;

enum { EXIT_USAGE = 2 };

static void help(void)
{
        printf("vfiod [OPTIONS…]\n\n"
               "Keeps PCI devices on the drivers that files in /etc/vfiod declare.\n\n"
               "  -h --help                   Show this help\n"
               "     --version                Show the version\n"
               "     --root=DIR               Work below another root directory\n"
               "     --worker=PATH            The worker program to start\n\n"
               "See vfiod(8).\n");
}

/* 1: go on; 0: done; negative: bad usage. */
static int parse_argv(int argc, char *argv[])
{
        enum { ARG_VERSION = 0x100, ARG_ROOT, ARG_WORKER };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "root", required_argument, NULL, ARG_ROOT },
                { "worker", required_argument, NULL, ARG_WORKER },
                { NULL, 0, NULL, 0 },
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case ARG_VERSION:
                        printf("vfiod %s\n", PACKAGE_VERSION);
                        return 0;
                case ARG_ROOT:
                        arg_root = optarg;
                        break;
                case ARG_WORKER:
                        arg_worker = optarg;
                        break;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                fprintf(stderr, "vfiod: takes no arguments, but got '%s'\n", argv[optind]);
                return -EINVAL;
        }
        return 1;
}

static int run(void)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        sigaddset(&mask, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return log_error_errno(errno, "Failed to block signals: %m");
        (void)signal(SIGPIPE, SIG_IGN);
        r = manager_new(arg_root, arg_worker, &m);
        if (r < 0)
                return r;
        r = manager_start(m);
        if (r < 0)
                return r;
        log_full(LOG_DEBUG, 0, &(LogFields){ .message_id = VFIOD_MESSAGE_STARTED },
                 "vfiod %s has started.", PACKAGE_VERSION);
        r = sd_event_loop(manager_event(m));
        (void)sd_notify(false, "STOPPING=1");
        if (r < 0)
                return log_error_errno(r, "The event loop failed: %m");
        return 0;
}

int main(int argc, char *argv[])
{
        int r;

        /* Snapshots and large answers come and go: what they had goes back to the kernel at once.
         */
        (void)mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
        (void)mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);
        log_setup();
        r = parse_argv(argc, argv);
        if (r <= 0)
                return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
        r = run();
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
