/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/source.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "config/load.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Of errors and of warnings. A file of rubbish must not make a journal of rubbish. */
enum { REPORTS_MAX = 32 };

int source_init_rule(Source *source, Config *config, int rootfd, const char *name, const char *path)
{
        Rule *rule = rule_new(name, path);

        if (!rule)
                return -ENOMEM;
        *source = (Source){ .config = config, .rootfd = rootfd, .rule = rule };
        return 0;
}

int source_init_settings(Source *source, Config *config, const DaemonSettings *from)
{
        *source = (Source){ .config = config, .rootfd = -EBADF, .settings = *from };
        source->settings.allowed_drivers = NULL;
        return strv_copy(from->allowed_drivers, &source->settings.allowed_drivers);
}

void source_done(Source *source)
{
        source->rule = rule_unref(source->rule);
        source->settings.allowed_drivers = strv_free(source->settings.allowed_drivers);
        source->paths = strv_free(source->paths);
        free(source->vf_places);
        source->vf_places = NULL;
}

int source_report(Source *source, unsigned line, unsigned column, bool error, const char *format,
                  ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        if ((error ? ++source->n_errors : ++source->n_warnings) > REPORTS_MAX)
                return 0;
        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        return config_add_diagnostic(source->config, source->path, line, column, error, "%s", text);
}

/* Bytes that are no text could be read in more than one way, so nothing of the file is. */
static int report_bytes(Source *source, const char *text, const char *bad)
{
        unsigned line = 1;
        const char *start = text;

        for (const char *s = text; s < bad; s++)
                if (*s == '\n') {
                        start = s + 1;
                        line++;
                }
        return source_report(source, line, (unsigned)(bad - start) + 1, true,
                             "is not UTF-8 text without NUL bytes and other control characters");
}

int source_read_text(Source *source, const char *path, const char *text, size_t size)
{
        _cleanup_free_ char *copy = strndup(size > 0 ? text : "", size);
        const char *end;

        if (!copy || strv_extend(&source->paths, path) < 0)
                return -ENOMEM;
        source->path = source->paths[strv_length(source->paths) - 1];
        end = text_end(copy);
        if (end < copy + size)
                return report_bytes(source, copy, end);
        return source_read_keys(source, copy);
}

/* Whoever can write a file of ours decides over devices, so only root and we may. */
static const char *file_problem(const struct stat *st)
{
        if (!S_ISREG(st->st_mode))
                return "is not a regular file";
        if (st->st_mode & (S_IWGRP | S_IWOTH))
                return "can be written by others: chmod go-w";
        if (st->st_uid != 0 && st->st_uid != geteuid())
                return "does not belong to root: chown root";
        return NULL;
}

static int read_open_file(Source *source, int fd)
{
        _cleanup_free_ char *text = NULL;
        struct stat st;
        size_t size;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        source->masked = S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3); /* /dev/null */
        if (source->masked)
                return 0;
        if (file_problem(&st))
                return source_report(source, 0, 0, true, "%s", file_problem(&st));
        r = read_fd(fd, CONFIG_FILE_MAX, &text, &size);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return source_report(source, 0, 0, true, "cannot be read: %s", strerror(-r));
        source->masked = size == 0;
        return source_read_text(source, source->path, text, size);
}

int source_read_file(Source *source, int dirfd, const char *path, const char *shown)
{
        _cleanup_close_ int fd = -EBADF;

        source->path = shown;
        /* O_NONBLOCK: a FIFO without a writer must not stop the boot. */
        fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return source_report(source, 0, 0, true, "cannot be opened: %s", strerror(errno));
        return read_open_file(source, fd);
}

static bool match_is_empty(const Match *match)
{
        for (size_t i = 0; i < _MATCH_KEY_MAX; i++)
                if (match->patterns[i])
                        return false;
        return true;
}

int source_finish_rule(Source *source, Rule **ret)
{
        int r;

        /* A PF that is to have VFs stays where it is. */
        if (source->has_device && source->rule->target == TARGET_UNMANAGED &&
            !source->rule->has_sriov)
                source->rule->target = TARGET_VFIO;
        r = source_check_sriov(source);
        if (r < 0)
                return r;
        source->path = source->rule->path;
        /* What is missing says nothing while lines could not be read. */
        if (source->n_errors == 0 && match_is_empty(&source->rule->match))
                r = source_report(source, 0, 0, true,
                                  "has no [Match] key: 'Address=*' matches every device");
        else if (source->n_errors == 0 && source->rule->target == TARGET_UNMANAGED &&
                 !source->rule->has_sriov)
                r = source_report(source, 0, 0, true,
                                  "has no section [Device] or [SR-IOV], which say what is wanted");
        if (r < 0)
                return r;
        *ret = source->n_errors > 0 ? NULL : TAKE_PTR(source->rule);
        return 0;
}

void source_finish_settings(Source *source)
{
        DaemonSettings before = source->config->daemon;

        if (source->n_errors > 0)
                return;
        source->config->daemon = source->settings;
        source->settings = before;
}
