/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * vfio-sim HOST-FILE KERNEL MOUNT-POINT CONTROL-SOCKET: mounts below it what is to be bound
 * over /sys (sys/sys) and over /dev/vfio (vfio/vfio), prints "ready" and serves until it is ended.
 * See docs/HACKING.md.
 */

#include "sim.h"

#include <err.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

void count_look(const Node *node)
{
        const Node *n = node->parent;
        Device *d;

        while (n && !n->device)
                n = n->parent;
        if (!n)
                return;
        d = n->device;
        d->opens++;
        if (strcmp(node->name, "modalias") == 0)
                d->looks++;
}

int main(int argc, char *argv[])
{
        unsigned major, minor;

        if (argc != 5 || sscanf(argv[2], "%u.%u", &major, &minor) != 2)
                errx(2, "usage: vfio-sim HOST-FILE KERNEL MOUNT-POINT CONTROL-SOCKET");
        sim.kernel = (int)(major * 100 + minor);
        snprintf(sim.host_path, sizeof(sim.host_path), "%s", argv[1]);
        (void)signal(SIGPIPE, SIG_IGN);
        /* Else malloc() asks /sys for the number of processors: the new thread itself would have to
         * answer. */
        (void)mallopt(M_ARENA_MAX, 8);
        model_start();
        if (events_open() < 0)
                err(1, "no netlink socket");
        if (control_start(argv[4]) < 0)
                err(1, "%s", argv[4]);
        return serve(argv[3]) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
