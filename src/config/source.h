/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reads one rule (a device file and its drop-ins), or one file of settings. What is wrong becomes
 * diagnostics; negative errno only for out of memory and the like.
 */

#include "model/config.h"

typedef struct Place {
        const char *path;
        unsigned line, column;
} Place;

/* Where a section [VirtualFunction] says something. */
typedef struct VfPlaces {
        Place index; /* or the beginning of the section */
        Place settings[_VF_SETTING_MAX];
} VfPlaces;

typedef struct Source {
        Config *config; /* gets diagnostics and settings */
        int rootfd;     /* where users and groups are looked up */
        const char *path;
        unsigned n_errors, n_warnings;
        bool has_device; /* [Device] is there */
        bool masked;     /* the last file read is empty or a link to /dev/null */
        Rule *rule;      /* NULL: settings are read */
        DaemonSettings settings;
        char **paths;        /* of all texts: those of places */
        Place sriov;         /* VirtualFunctions=, or the beginning of its section */
        VfPlaces *vf_places; /* as rule->vfs */
} Source;

/* `path` is that of the device file, for messages. */
_must_check_ int source_init_rule(Source *source, Config *config, int rootfd, const char *name,
                                  const char *path);
_must_check_ int source_init_settings(Source *source, Config *config, const DaemonSettings *from);
void source_done(Source *source);

/* `path` is for messages. */
_must_check_ int source_read_text(Source *source, const char *path, const char *text, size_t size);

/* Reads a regular file that nobody else can write. `shown` is its path in messages. */
_must_check_ int source_read_file(Source *source, int dirfd, const char *path, const char *shown);

/* Looks at the whole. NULL in `ret` if anything was in error. */
_must_check_ int source_finish_rule(Source *source, Rule **ret);

/* Puts the settings into force, unless anything was in error. */
void source_finish_settings(Source *source);

_must_check_ int source_report(Source *source, unsigned line, unsigned column, bool error,
                               const char *format, ...) _printf_(5, 6);

/* keys.c: the assignments of one text, which is changed. */
_must_check_ int source_read_keys(Source *source, char *text);

/* sriov.c: a section [SR-IOV] or [VirtualFunction] begins. */
void source_begin_sriov(Source *source, const Place *place);
_must_check_ int source_begin_vfs(Source *source, const Place *place);

/* Index=: one word of it, which is changed. "" empties the list. -EEXIST for a VF named twice. */
_must_check_ int vf_section_add_indices(VfSection *section, char *word);

/* `max` is that of a number. -EINVAL or -ERANGE if the setting cannot have this value. */
_must_check_ int vf_setting_parse(VfSetting which, const char *word, uint64_t max, uint64_t *ret);

/* What such sections say that cannot hold together, looked for when all has been read. */
_must_check_ int source_check_sriov(Source *source);
