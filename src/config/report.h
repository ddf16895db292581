/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sentences about one file, with a limit on how many. */

#include "config/ini.h"
#include "model/config.h"

/* One file while it is read. */
typedef struct Source {
        Config *config;   /* gets the diagnostics */
        const char *path; /* as the user knows it */
        int rootfd;
        unsigned n_errors, n_warnings;
} Source;

/* Returns 0, or negative errno if the diagnostic could not be stored. */
_must_check_ int source_report(Source *source, unsigned line, unsigned column, bool error,
                               const char *format, ...) _printf_(5, 6);

enum { CLIP_SIZE = 72 };

/* A word for a message: whole, or cut at a character's edge with an ellipsis. Returns buffer. */
const char *clip(const char *s, char buffer[static CLIP_SIZE]);

/* Valid until the end of the enclosing block. */
#define CLIP(s) clip(s, (char[CLIP_SIZE]){ 0 })
