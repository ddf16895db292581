/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>

/* Of each kind for one file. A file of rubbish must not make a journal of rubbish. */
enum { REPORTS_MAX = 32 };

int source_report(Source *source, unsigned line, unsigned column, bool error, const char *format,
                  ...)
{
        unsigned *n = error ? &source->n_errors : &source->n_warnings;
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        if (++*n > REPORTS_MAX)
                return 0;
        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        return config_add_diagnostic(source->config, source->path, line, column, error, "%s%s",
                                     text, *n == REPORTS_MAX ? " (no more are shown)" : "");
}

const char *clip(const char *s, char buffer[static CLIP_SIZE])
{
        static const char ellipsis[] = "\xe2\x80\xa6";
        size_t n = strnlen(s, CLIP_SIZE);

        if (n == CLIP_SIZE) {
                n = CLIP_SIZE - sizeof(ellipsis);
                /* Not within a sequence of UTF-8: its bytes but the first are 10xxxxxx. */
                while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
                        n--;
                memcpy(buffer, s, n);
                memcpy(buffer + n, ellipsis, sizeof(ellipsis));
        } else
                memcpy(buffer, s, n + 1);
        return buffer;
}
