/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vfioctl. Everything shown is json-c objects with the D-Bus names in snake case, whether it came
 * from the daemon or from the same core run in this process (offline.c).
 *
 * Functions here return 0, or an exit status (above 0) after they said why on stderr, or a
 * negative errno that main() says. `if (r != 0) return r;` forwards all of it.
 */

#include <json-c/json.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#include "basic/macro.h"

typedef enum ExitStatus {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
        STATUS_REFUSED = 3,
        STATUS_NOT_AUTHORISED = 4,
        STATUS_NO_DEVICE = 5,
        STATUS_NO_DAEMON = 6,
        STATUS_TIMED_OUT = 7,
        STATUS_NOT_AS_DECLARED = 8,
} ExitStatus;

typedef enum JsonMode {
        JSON_OFF,
        JSON_SHORT,
        JSON_PRETTY,
} JsonMode;

/* A set of these says which were given. */
typedef enum Option {
        OPTION_JSON = 1 << 8, /* above all short options' letters */
        OPTION_DRY_RUN = 1 << 9,
        OPTION_ACCEPT = 1 << 10,
        OPTION_PERSIST = 1 << 11,
        OPTION_DRIVER = 1 << 12,
        OPTION_NO_WAIT = 1 << 13,
        OPTION_CHECK = 1 << 14,
        OPTION_FORGET = 1 << 15,
        OPTION_TIMEOUT = 1 << 16,
        OPTION_NO_ASK_PASSWORD = 1 << 17,
        OPTION_NO_LEGEND = 1 << 18,
        OPTION_NO_PAGER = 1 << 19,
        OPTION_SYSTEM = 1 << 20,
        OPTION_ADDRESS = 1 << 21,
        OPTION_ROOT = 1 << 22,
        OPTION_HELP = 1 << 23,
        OPTION_VERSION = 1 << 24,
} Option;

typedef struct Offline Offline;

typedef struct Ctl {
        unsigned given; /* of Option */
        JsonMode json;
        bool color;
        uint64_t deadline; /* of --timeout=, CLOCK_MONOTONIC; USEC_INFINITY: none */
        char **accept;
        bool takes_accept; /* the verb does */
        const char *driver;
        const char *root; /* look there, and at no daemon */

        sd_bus *bus;      /* NULL until needed */
        Offline *offline; /* NULL until needed */
        bool online;      /* source_open() has found the daemon */
} Ctl;

/* One function per verb; `args` are the words behind it, NULL-terminated. */
int verb_list(Ctl *c, char **args);
int verb_groups(Ctl *c, char **args);
int verb_show(Ctl *c, char **args);
int verb_explain(Ctl *c, char **args);
int verb_plan(Ctl *c, char **args);
int verb_apply(Ctl *c, char **args);
int verb_bind(Ctl *c, char **args);
int verb_release(Ctl *c, char **args);
int verb_sriov(Ctl *c, char **args);
int verb_reload(Ctl *c, char **args);
int verb_check(Ctl *c, char **args);
int verb_wait(Ctl *c, char **args);
int verb_monitor(Ctl *c, char **args);
int verb_who(Ctl *c, char **args);
int verb_jobs(Ctl *c, char **args);
int verb_cancel(Ctl *c, char **args);
int verb_doctor(Ctl *c, char **args);
