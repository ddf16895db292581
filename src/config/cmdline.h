/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* vfiod's words on the kernel command line: vfiod=off and vfiod.skip=NN-name.conf. */

#include "basic/strv.h"

typedef struct Cmdline {
        bool off;
        char **skip; /* basenames of device files */
} Cmdline;

/* Reads the text of /proc/cmdline. Words in quotes are whole, as the kernel reads them. */
_must_check_ int cmdline_parse(const char *text, Cmdline *ret);
void cmdline_done(Cmdline *cmdline);

/* Whether the file is left out. Its name may stand there without '.conf'. */
bool cmdline_skips(const Cmdline *cmdline, const char *name);
