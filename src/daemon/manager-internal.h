/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the manager share; the bus side does not see it. */

#include "daemon/job.h"
#include "exec/run.h"
#include "sys/drivers.h"
#include "sys/monitor.h"
#include "sys/state.h"
#include "sys/sysroot.h"

typedef struct Work Work;

/* When what could not be asked, for want of a worker process, is asked again. */
#define ASK_AGAIN_USEC (5 * USEC_PER_SEC)

/* A serial number once read, or found missing; the read is slow and needs a worker. */
typedef struct Serial {
        PciAddress address;
        bool asked, known, has;
        bool told; /* that nobody has read it so far */
        uint64_t value;
} Serial;

/* What a PF says of its VFs: vf-reports.c. */
typedef struct PfReport PfReport;

struct Manager {
        sd_event *event;
        sd_bus *bus;
        Bus *bus_side; /* weak: lives as long as the bus */
        bool named;    /* the bus name is ours */
        sd_event_source *reconnect;
        uint64_t reconnect_usec;
        Sysroot root;
        char boot_id[BOOT_ID_SIZE];

        Config *config;
        RequestTable requests;
        OriginTable origins;
        bool origins_dirty, requests_dirty;

        Monitor *monitor;
        Pool *pool;

        Inventory *inventory;
        Desired *desired;
        Plan *plan;
        StatusTable *status;
        unsigned counts[_DEVICE_STATE_MAX];

        Track *tracks; /* sorted by address */
        size_t n_tracks;
        size_t last_track; /* below the one that was asked for last */
        Serial *serials;   /* sorted by address */
        size_t n_serials;
        PfReport *pf_reports; /* sorted by address */
        size_t n_pf_reports;
        sd_event_source *links; /* NULL while no PF says anything of VFs */
        Work *work;             /* units under way */
        Job *jobs;              /* newest first */
        uint64_t last_job;

        AliasCache aliases;
        uint64_t next_look; /* CLOCK_MONOTONIC; events cause none before */
        bool look_all;      /* a full look is due */
        PciAddress *look;
        size_t n_look; /* devices to look at again */
        sd_event_source *look_timer, *retry_timer, *startup_timer, *save_timer, *tidy_timer;
        sd_event_source *saver, *saver_timer; /* the process that writes the state file */
        bool saver_late;                      /* that has not returned in time */
        bool settled;                         /* the first reconcile is over, or its time */
        ManagerState state;
};

/* manager.c */
_must_check_ int manager_new(const char *prefix, const char *worker, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP_FUNC(Manager *, manager_free);
_must_check_ int manager_start(Manager *m);
Track *manager_track(Manager *m, const PciAddress *address); /* made if missing; NULL: memory */
const Track *manager_find_track(void *userdata, const PciAddress *address);
_must_check_ int manager_arm(Manager *m, sd_event_source **timer, uint64_t delay,
                             sd_event_time_handler_t handler);

/* The first reconcile is over; late: it is not, but its time is. */
void manager_set_settled(Manager *m, bool late);
uint64_t manager_now(const Manager *m);

/* save.c: begins to write down what has changed; the last one, at the end, is waited for. */
void manager_save(Manager *m);
void manager_save_last(Manager *m);
_must_check_ int manager_save_in(Manager *m, uint64_t delay);

/* connect.c: the bus may come late and go away; the work goes on without it. */
_must_check_ int manager_connect_bus(Manager *m);
void manager_disconnect_bus(Manager *m);

/* look.c: looks again soon, or in `delay` microseconds; a storm becomes few looks. */
void manager_look_at(Manager *m, const PciAddress *address);
void manager_look_at_group(Manager *m, int group);
void manager_look_at_all(Manager *m);
_must_check_ int manager_schedule_look(Manager *m, uint64_t delay);
_must_check_ int manager_look(Manager *m);

/* Compares without changing anything: desired state and plan for a set of requests. */
_must_check_ int manager_compute(Manager *m, const Inventory *inv, const RequestTable *requests,
                                 Desired **ret_desired, Plan **ret_plan);

/* work.c */
bool manager_start_work(Manager *m);             /* whether any begins */
void manager_note_save(Manager *m);              /* what is recorded by now is being saved */
void manager_resume_work(Manager *m, int error); /* that is saved, or nothing can be */
void work_free_all(Manager *m);

/* When the next back-off ends; USEC_INFINITY: none runs. */
uint64_t manager_next_retry(const Manager *m);

/* stuck.c: workers that are at work without the manager, and why what is stuck is so. */
void manager_on_hold(const PciAddress *address, PoolHold hold, void *userdata);
void manager_explain_stuck(Manager *m, const Inventory *inv);

/* jobs.c */
void manager_update_jobs(Manager *m);
void jobs_free_all(Manager *m);

/* operation.c: what an operation asks for goes into the table; -ENODEV: of a device that is gone.
 */
_must_check_ int operation_request(const Operation *op, const Manager *m, RequestTable *t);

/* serials.c: true once every device's serial number is known, as far as files ask for them. */
bool manager_apply_serials(Manager *m, Inventory *inv);
void manager_forget_serial(Manager *m, const PciAddress *address);
void manager_forget_serials(Manager *m, const Inventory *inv); /* of what is not there; NULL: all */

/* vf-reports.c: what is known goes into the VFs of a new inventory, what is not is asked for. */
void manager_apply_vf_reports(Manager *m, Inventory *inv);
void vf_reports_free_all(Manager *m);

/*
 * What is known of this VF, or of the VFs of this PF, may be over. `anew`: it surely is, so that
 * nothing is known until the PF has said it again.
 */
void manager_doubt_vfs(Manager *m, const PciAddress *address, bool anew);
void manager_doubt_all_vfs(Manager *m); /* anew */

/*
 * The same for the PF with this network interface, 0: for all. What was rejected is tried again:
 * some drivers set rates only while there is a link.
 */
void manager_doubt_link(Manager *m, uint32_t ifindex);

/* links.c: listens to changes of network interfaces, or stops that. */
void manager_watch_links(Manager *m, bool wanted);

/* persist.c: files 50-vfioctl-ADDRESS.conf in /etc/vfiod/devices.d. */
_must_check_ int persist_write(Manager *m, const Operation *op, sd_bus_error *error);
_must_check_ int persist_release(Manager *m, const Operation *op, sd_bus_error *error);

/* report.c: log lines for changes of state, and of the number of VFs. */
void report_changes(Manager *m, const Snapshot *before, const Snapshot *after);
void report_diagnostics(const Config *c);
