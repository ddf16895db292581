/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/bus.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

enum { AGENT_START_MSEC = 5000 };

/* The agent goes when we go, also if we are killed. */
static void run_agent(pid_t parent, int notify)
{
        char fd[16];

        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
                _exit(1);
        if (fcntl(notify, F_SETFD, 0) < 0)
                _exit(1);
        snprintf(fd, sizeof(fd), "%d", notify);
        execlp("pkttyagent", "pkttyagent", "--notify-fd", fd, "--fallback", (char *)NULL);
        _exit(127);
}

void agent_open(const Ctl *c)
{
        _cleanup_close_ int reader = -EBADF, writer = -EBADF;
        struct pollfd p = { 0 };
        pid_t parent = getpid(), pid;
        int fds[2];

        if ((c->given & OPTION_NO_ASK_PASSWORD) || geteuid() == 0 || !isatty(STDIN_FILENO))
                return;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        reader = fds[0];
        writer = fds[1];
        pid = fork();
        if (pid == 0)
                run_agent(parent, writer);
        /* It closes its end once it is registered, or dies if it cannot be. */
        close(TAKE_FD(writer));
        p.fd = reader;
        (void)poll(&p, 1, AGENT_START_MSEC);
}
