/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vfioctl. Everything shown is json-c objects with the D-Bus names in snake case, whether it came
 * from the daemon (bus-json.c) or from the same core run in this process (offline.c).
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

typedef struct Options {
        JsonMode json;
        bool dry_run, persist, no_wait, forget, check;
        bool no_ask_password, no_legend;
        bool has_timeout;
        uint64_t timeout_usec;
        char **accept;
        const char *driver;
        const char *address; /* of the bus; NULL: the system bus */
        const char *root;    /* look there, and at no daemon */
        bool color;
} Options;

typedef struct Offline Offline;

typedef struct Ctl {
        Options options;
        sd_bus *bus;      /* NULL until needed */
        Offline *offline; /* NULL while the daemon answers */
        pid_t agent;      /* pkttyagent, 0: none */
} Ctl;

void ctl_done(Ctl *c);

static inline void json_putp(json_object **o)
{
        json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_putp)

/* "vfioctl: …" on stderr, with terminal controls made harmless. Returns `status`. */
int fail(int status, const char *format, ...) _printf_(2, 3);
