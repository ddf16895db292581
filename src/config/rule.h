/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A device file and its drop-ins, one after the other, to one rule. */

#include "model/config.h"

typedef struct RuleReader {
        Config *config;
        int rootfd;
        Rule *rule;
        bool has_section, has_device;
        unsigned match_line; /* of the first [Match], 0: none */
        bool failed;
} RuleReader;

_must_check_ int rule_reader_init(RuleReader *reader, Config *config, int rootfd, const char *name,
                                  const char *path);
void rule_reader_done(RuleReader *reader);

/* The device file's text, or a drop-in's. `path` is for messages. */
_must_check_ int rule_reader_feed(RuleReader *reader, const char *path, const char *text,
                                  size_t size);

/* Looks at the whole. NULL in `ret` with diagnostics if anything was in error. */
_must_check_ int rule_reader_finish(RuleReader *reader, Rule **ret);
