/* SPDX-License-Identifier: LGPL-2.1-or-later */

#define SD_JOURNAL_SUPPRESS_LOCATION
#include "basic/log.h"
#include "basic/strv.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

static const char *log_target = "auto";
static int log_max_level = LOG_INFO;
static bool log_stream_is_journal;

void log_setup(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long dev, ino;
        struct stat st;

        /* systemd.exec(5): device and inode of the stream that stderr is connected to. */
        log_stream_is_journal = stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
                                fstat(STDERR_FILENO, &st) >= 0 && st.st_dev == dev &&
                                st.st_ino == ino;
}

void log_set_max_level(int level)
{
        log_max_level = level;
}

int log_get_max_level(void)
{
        return log_max_level;
}

int log_set_target(const char *target)
{
        static const char *const targets[] = { "auto", "journal", "console" };
        int i = string_table_find(targets, ELEMENTSOF(targets), target);

        if (i < 0)
                return i;
        log_target = targets[i];
        return 0;
}

const char *log_get_target(void)
{
        return log_target;
}

static bool log_to_journal(void)
{
        return streq(log_target, "journal") || (streq(log_target, "auto") && log_stream_is_journal);
}

static void send_to_journal(int level, int error, const LogFields *f, const char *text)
{
        struct iovec iov[8];
        char *fields[8];
        int n = 0;

        /* A field that does not fit into memory is left out; the message itself goes first. */
#define FIELD(condition, ...)                                      \
        if ((condition) && asprintf(&fields[n], __VA_ARGS__) >= 0) \
        n++
        FIELD(true, "MESSAGE=%s", text);
        FIELD(true, "PRIORITY=%d", level);
        FIELD(true, "SYSLOG_IDENTIFIER=" LOG_IDENTIFIER);
        FIELD(error != 0, "ERRNO=%d", abs(error));
        FIELD(f && f->message_id, "MESSAGE_ID=%s", f->message_id);
        FIELD(f && f->device, "VFIOD_DEVICE=%s", f->device);
        FIELD(f && f->reason, "VFIOD_REASON=%s", f->reason);
        FIELD(f && f->driver, "VFIOD_DRIVER=%s", f->driver);
#undef FIELD
        for (int i = 0; i < n; i++)
                iov[i] = (struct iovec){ fields[i], strlen(fields[i]) };
        (void)sd_journal_sendv(iov, n);
        for (int i = 0; i < n; i++)
                free(fields[i]);
}

int log_full(int level, int error, const LogFields *fields, const char *format, ...)
{
        _cleanup_free_ char *text = NULL, *line = NULL;
        va_list ap;
        int r;

        if (level > log_max_level)
                return -abs(error);
        va_start(ap, format);
        errno = abs(error);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r >= 0 && fields && fields->device)
                r = asprintf(&line, "%s: %s", fields->device, text);
        if (r < 0)
                return -abs(error);
        if (log_to_journal())
                send_to_journal(level, error, fields, line ? line : text);
        else if (isatty(STDERR_FILENO) > 0)
                fprintf(stderr, "%s\n", line ? line : text);
        else
                fprintf(stderr, "<%d>%s\n", level, line ? line : text);
        return -abs(error);
}
