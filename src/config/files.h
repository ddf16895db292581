/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which configuration files there are, and their bytes. The same basename in several directories
 * is one file: the highest directory has it. Only regular files that nobody else can write are
 * read.
 */

#include "model/config.h"

/* Where to look, and where to say what is wrong. */
typedef struct Place {
        int rootfd;
        const char *prefix; /* before paths in messages */
        Config *config;
} Place;

typedef struct ConfigFile {
        char *name;     /* basename */
        char *path;     /* below rootfd */
        unsigned level; /* of its directory, 0 is the highest */
} ConfigFile;

typedef struct ConfigFiles {
        ConfigFile *files; /* sorted by name, each name once */
        size_t n_files;
        bool incomplete; /* a directory could not be read; a diagnostic says so */
} ConfigFiles;

/* All names in .conf in `folder` of the four directories. */
_must_check_ int config_files_list(const Place *place, const char *folder, ConfigFiles *ret);
void config_files_done(ConfigFiles *files);

/* The one file `name` of the highest directory that has it, in `ret` as a list of none or one. */
_must_check_ int config_files_find(const Place *place, const char *name, ConfigFiles *ret);

typedef enum FileResult {
        FILE_TEXT,    /* *ret is its text */
        FILE_MASKED,  /* empty, or a link to /dev/null; or gone since it was listed */
        FILE_REFUSED, /* a diagnostic says why */
} FileResult;

/* Returns a FileResult, or negative errno for out of memory. `shown` is the path in messages. */
_must_check_ int config_file_read(Config *config, int dirfd, const char *path, const char *shown,
                                  char **ret, size_t *ret_size);

/* The path of a file as the user knows it; NULL if out of memory. */
char *place_show(const Place *place, const char *path);
