/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Logging for main programs. Floors below daemon, worker and ctl log nothing above debug.
 * To the journal where stderr is the journal, else to stderr with a "<N>" prefix if it is no
 * terminal. Message ids stand in the catalog (systemd/vfiod.catalog).
 */

#include "basic/macro.h"

#include <syslog.h>

#define LOG_IDENTIFIER "vfiod"

/* Reads $JOURNAL_STREAM; call once at start. */
void log_setup(void);

void log_set_max_level(int level);
int log_get_max_level(void);

/* What LogControl1 shows and sets: auto, journal, console. -EINVAL for anything else. */
int log_set_target(const char *target);
const char *log_get_target(void);

typedef struct LogFields {
        const char *message_id; /* 32 hexadecimal digits, or NULL */
        const char *device;     /* VFIOD_DEVICE=, also in front of the text */
        const char *reason;     /* VFIOD_REASON= */
        const char *driver;     /* VFIOD_DRIVER= */
} LogFields;

/* Returns -error (negative), so that `return log_error_errno(r, …)` forwards it; %m is `error`. */
int log_full(int level, int error, const LogFields *fields, const char *format, ...) _printf_(4, 5);

#define log_warning(...) log_full(LOG_WARNING, 0, NULL, __VA_ARGS__)
#define log_error(...) log_full(LOG_ERR, 0, NULL, __VA_ARGS__)
#define log_warning_errno(e, ...) log_full(LOG_WARNING, e, NULL, __VA_ARGS__)
#define log_error_errno(e, ...) log_full(LOG_ERR, e, NULL, __VA_ARGS__)
