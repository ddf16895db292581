/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Carries out one unit of a plan: inspects, lets the owner write down what was there before,
 * runs the steps phase by phase, and rolls back when one fails.
 */

#include "exec/pool.h"
#include "model/plan.h"

typedef struct Run Run;

/* A step that failed without ending the run. */
typedef struct RunNote {
        PciAddress address;
        Reason reason;
        int error; /* the kernel's, an errno above 0 */
        char *detail;
} RunNote;

typedef struct RunResult {
        bool ok;
        bool stuck;         /* a write has not returned: nothing more may be written there */
        bool begun;         /* some step was asked for */
        bool counted;       /* and a number of VFs among them */
        bool rolled_back;   /* all is as it was before the first step */
        bool replan;        /* ok so far, but a module brought another driver than was planned */
        Reason reason;      /* if not ok */
        int error;          /* the kernel's, an errno above 0, if that is why; else 0 */
        PciAddress address; /* the device that it is about */
        char *detail;       /* a sentence; belongs to the run */
        RunNote *notes;     /* belong to the run; also if ok */
        size_t n_notes;
} RunResult;

typedef struct RunHooks {
        /*
         * Before the first write: what the devices to be taken had before (address, override).
         * The owner records it durably: now (0), or later and then calls run_resume() (1). An
         * error ends the run with nothing done.
         */
        int (*record)(Run *run, const OriginTable *before, void *userdata);

        /* The end. The run must not be freed before the next turn of the event loop. */
        void (*done)(Run *run, const RunResult *result, void *userdata);
} RunHooks;

/* Copies the unit. `done` is never called before this returns. */
_must_check_ int run_new(Pool *pool, const Unit *unit, uint64_t timeout_usec, const RunHooks *hooks,
                         void *userdata, Run **ret);

/* The record is on disk, or failed with a negative errno. */
void run_resume(Run *run, int error);

/* Only after `done`. */
Run *run_free(Run *run);
DEFINE_CLEANUP_FUNC(Run *, run_free);

const Unit *run_unit(const Run *run);
