/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Single texts, read as the loader reads files. */

#include "config/load.h"
#include "config/source.h"

/* One device file's text. 0 with *ret NULL and diagnostics in `c` if it is in error. */
static inline int config_parse_rule(Config *c, int rootfd, const char *name, const char *path,
                                    const char *text, size_t size, Rule **ret)
{
        _cleanup_(source_done) Source source = { 0 };
        int r = source_init_rule(&source, c, rootfd, name, path);

        if (r >= 0)
                r = source_read_text(&source, path, text, size);
        return r < 0 ? r : source_finish_rule(&source, ret);
}

/* One settings file's text, into c->daemon. 0 also if in error: see diagnostics. */
static inline int config_parse_settings(Config *c, const char *path, const char *text, size_t size)
{
        _cleanup_(source_done) Source source = { 0 };
        int r = source_init_settings(&source, c, &c->daemon);

        if (r >= 0)
                r = source_read_text(&source, path, text, size);
        if (r >= 0)
                source_finish_settings(&source);
        return r;
}
