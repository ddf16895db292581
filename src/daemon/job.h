/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A client's operation under way. Owned by the manager; lingers 10 s after its end. */

#include "daemon/manager.h"

typedef enum JobState {
        JOB_QUEUED, /* none of its units has begun */
        JOB_RUNNING,
        JOB_DONE,
        JOB_FAILED,
        JOB_CANCELLED,
        JOB_TIMEOUT, /* a kernel write did not return; the device is stuck */
        _JOB_STATE_MAX,
} JobState;

const char *job_state_to_string(JobState s);

struct Job {
        Manager *manager;
        uint64_t id;
        OperationKind kind;
        JobState state;
        PciAddress *addresses; /* sorted */
        size_t n_addresses;
        uint32_t uid;
        uint64_t started_usec; /* CLOCK_REALTIME */
        Reason reason;         /* of the first device that is not as asked */
        char *detail;
        sd_bus_message *message; /* to be answered at the end; NULL with NO_WAIT */
        RequestChange change;    /* of this boot's requests */
        sd_event_source *linger;
        Job *next;
};

/* By id; NULL if there is none. The list is newest first. */
Job *manager_find_job(const Manager *m, uint64_t id);
Job *manager_jobs(const Manager *m);
bool job_is_over(const Job *j);

/* Whether it is about this device: also the VFs that its PF has now. */
bool job_concerns(const Job *j, const PciAddress *a);

/* -EBUSY if it has begun (a kernel write cannot be called back), -EALREADY if it is over. */
_must_check_ int job_cancel(Job *j);
