/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is known goes to disk. A disk may let whoever waits for it wait for ever, so the state file
 * is written by a child process, one at a time; requests are in /run, which is memory.
 */

#include "basic/log.h"
#include "daemon/manager-internal.h"

#include <limits.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void end_save(Manager *m, int error)
{
        if (error < 0) {
                log_error_errno(error, "Failed to save /var/lib/vfiod/state: %m");
                m->origins_dirty = true;
        }
        manager_resume_work(m, error);
}

static int result_of(int code, int status)
{
        return code == CLD_EXITED ? -status : -EIO;
}

static int on_saved(sd_event_source *s, const siginfo_t *si, void *userdata)
{
        Manager *m = userdata;
        int r = result_of(si->si_code, si->si_status);

        m->saver = sd_event_source_disable_unref(m->saver);
        m->saver_timer = sd_event_source_disable_unref(m->saver_timer);
        m->saver_late = false;
        end_save(m, r);
        /* What came meanwhile. */
        if (r >= 0 && m->origins_dirty)
                manager_save(m);
        return 0;
}

/* Nothing that waits for the disk goes on waiting; it is tried again like all that failed. */
static int on_late(sd_event_source *s, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        m->saver_late = true;
        end_save(m, -ETIMEDOUT);
        return 0;
}

/* In the child. While the disk hangs, the daemon's sockets must not look as if it were there. */
static int save_in_child(const Manager *m)
{
        unsigned root = (unsigned)m->root.root;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if ((root > STDERR_FILENO + 1 && close_range(STDERR_FILENO + 1, root - 1, 0) < 0) ||
            close_range(root + 1, UINT_MAX, 0) < 0)
                return -errno;
        return state_save(&m->root, m->boot_id, &m->origins);
}

static int begin_save(Manager *m)
{
        uint64_t timeout = m->config->daemon.write_timeout_usec;
        pid_t pid = fork();
        int r;

        if (pid < 0)
                return -errno;
        if (pid == 0)
                _exit(-save_in_child(m));
        m->origins_dirty = false;
        manager_note_save(m);
        r = sd_event_add_child(m->event, &m->saver, pid, WEXITED, on_saved, m);
        if (r >= 0 && timeout != USEC_INFINITY)
                r = sd_event_add_time_relative(m->event, &m->saver_timer, CLOCK_MONOTONIC, timeout,
                                               0, on_late, m);
        return r;
}

static void save_requests(Manager *m)
{
        int r = m->requests_dirty ? requests_save(&m->root, m->boot_id, &m->requests) : 0;

        if (r < 0)
                log_error_errno(r, "Failed to save /run/vfiod/requests: %m");
        m->requests_dirty = r < 0;
}

void manager_save(Manager *m)
{
        int r = m->origins_dirty && !m->saver ? begin_save(m) : 0;

        if (r < 0)
                end_save(m, r);
        else if (m->saver_late)
                manager_resume_work(m, -ETIMEDOUT);
        save_requests(m);
}

void manager_save_last(Manager *m)
{
        siginfo_t si = { 0 };
        pid_t pid;
        int r = 0;

        if (m->saver && !m->saver_late && sd_event_source_get_child_pid(m->saver, &pid) >= 0 &&
            waitid(P_PID, (id_t)pid, &si, WEXITED) >= 0 && result_of(si.si_code, si.si_status) < 0)
                m->origins_dirty = true;
        if (m->origins_dirty)
                r = m->saver_late ? -ETIMEDOUT : state_save(&m->root, m->boot_id, &m->origins);
        if (r < 0)
                log_error_errno(r, "Failed to save /var/lib/vfiod/state: %m");
        save_requests(m);
}

static int on_save(sd_event_source *s, uint64_t usec, void *userdata)
{
        manager_save(userdata);
        return 0;
}

int manager_save_in(Manager *m, uint64_t delay)
{
        return manager_arm(m, &m->save_timer, delay, on_save);
}
