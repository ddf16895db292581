/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/files.h"
#include "basic/io.h"
#include "config/ini.h"
#include "config/load.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const char *const directories[] = { "etc/vfiod", "run/vfiod", "usr/local/lib/vfiod",
                                           "usr/lib/vfiod" };

char *place_show(const Place *place, const char *path)
{
        char *shown;

        return asprintf(&shown, "%s/%s", place->prefix, path) < 0 ? NULL : shown;
}

void config_files_done(ConfigFiles *files)
{
        for (size_t i = 0; i < files->n_files; i++) {
                free(files->files[i].name);
                free(files->files[i].path);
        }
        free(files->files);
        *files = (ConfigFiles){ 0 };
}

static int add_file(ConfigFiles *files, const char *directory, const char *name, unsigned level)
{
        ConfigFile *grown, file = { .level = level };

        grown = reallocarray(files->files, files->n_files + 1, sizeof(ConfigFile));
        if (!grown)
                return -ENOMEM;
        files->files = grown;
        if (asprintf(&file.path, "%s/%s", directory, name) < 0)
                return -ENOMEM;
        file.name = strdup(name);
        if (!file.name) {
                free(file.path);
                return -ENOMEM;
        }
        files->files[files->n_files++] = file;
        return 0;
}

static int compare_files(const void *a, const void *b)
{
        const ConfigFile *x = a, *y = b;
        int c = strcmp(x->name, y->name);

        return c != 0 ? c : (int)x->level - (int)y->level;
}

/* Sorts, and keeps of each name the one of the highest directory. */
static void sort_files(ConfigFiles *files)
{
        size_t n = 0;

        if (files->n_files == 0)
                return;
        qsort(files->files, files->n_files, sizeof(ConfigFile), compare_files);
        for (size_t i = 1; i < files->n_files; i++)
                if (streq(files->files[i].name, files->files[n].name)) {
                        free(files->files[i].name);
                        free(files->files[i].path);
                } else
                        files->files[++n] = files->files[i];
        files->n_files = n + 1;
}

/* Names go into messages, on the bus and into JSON, so they must be text. */
static int add_names(const Place *place, const char *directory, char **names, unsigned level,
                     ConfigFiles *files)
{
        _cleanup_free_ char *shown = place_show(place, directory);
        int r;

        if (!shown)
                return -ENOMEM;
        STRV_FOREACH(name, names) {
                if (!endswith(*name, ".conf"))
                        continue;
                if (text_is_clean(*name, strlen(*name), NULL, NULL))
                        r = add_file(files, directory, *name, level);
                else
                        r = config_add_diagnostic(place->config, shown, 0, 0, true,
                                                  "has a file whose name is no UTF-8 text: "
                                                  "rename it");
                if (r < 0)
                        return r;
        }
        return 0;
}

static int list_directory(const Place *place, const char *folder, unsigned level,
                          ConfigFiles *files)
{
        _cleanup_free_ char *directory = NULL, *shown = NULL;
        _cleanup_strv_ char **names = NULL;
        int r;

        if (asprintf(&directory, "%s/%s", directories[level], folder) < 0)
                return -ENOMEM;
        r = list_dir_at(place->rootfd, directory, &names);
        if (r == -ENOENT)
                return 0;
        if (r == -ENOMEM)
                return r;
        if (r >= 0)
                return add_names(place, directory, names, level, files);
        files->incomplete = true;
        shown = place_show(place, directory);
        if (!shown)
                return -ENOMEM;
        return config_add_diagnostic(place->config, shown, 0, 0, true, "cannot be read: %s",
                                     strerror(-r));
}

int config_files_list(const Place *place, const char *folder, ConfigFiles *ret)
{
        _cleanup_(config_files_done) ConfigFiles files = { 0 };
        int r;

        for (unsigned i = 0; i < ELEMENTSOF(directories); i++) {
                r = list_directory(place, folder, i, &files);
                if (r < 0)
                        return r;
        }
        sort_files(&files);
        *ret = files;
        files = (ConfigFiles){ 0 };
        return 0;
}

int config_files_find(const Place *place, const char *name, ConfigFiles *ret)
{
        _cleanup_(config_files_done) ConfigFiles files = { 0 };
        int r;

        for (unsigned i = 0; i < ELEMENTSOF(directories) && files.n_files == 0; i++) {
                _cleanup_free_ char *path = NULL;
                struct stat st;

                if (asprintf(&path, "%s/%s", directories[i], name) < 0)
                        return -ENOMEM;
                /* Whatever is wrong with it is said when it is read. */
                if (fstatat(place->rootfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
                        continue;
                r = add_file(&files, directories[i], name, i);
                if (r < 0)
                        return r;
        }
        *ret = files;
        files = (ConfigFiles){ 0 };
        return 0;
}

static const char *file_type(mode_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFDIR:
                return "directory";
        case S_IFIFO:
                return "FIFO";
        case S_IFSOCK:
                return "socket";
        default:
                return "device";
        }
}

/* Whoever can write a file of ours decides over devices, so only root and we may. */
static int check_file(Config *config, const char *shown, const struct stat *st)
{
        int r;

        if (!S_ISREG(st->st_mode))
                r = config_add_diagnostic(config, shown, 0, 0, true, "is a %s, not a regular file",
                                          file_type(st->st_mode));
        else if (st->st_mode & (S_IWGRP | S_IWOTH))
                r = config_add_diagnostic(config, shown, 0, 0, true,
                                          "can be written by others (mode %04o): chmod go-w",
                                          (unsigned)st->st_mode & 07777);
        else if (st->st_uid != 0 && st->st_uid != geteuid())
                r = config_add_diagnostic(config, shown, 0, 0, true,
                                          "belongs to user %u, not to root: chown root",
                                          (unsigned)st->st_uid);
        else
                return FILE_TEXT;
        return r < 0 ? r : FILE_REFUSED;
}

static int report_open(Config *config, int dirfd, const char *path, const char *shown, int error)
{
        _cleanup_free_ char *target = NULL;
        int r;

        r = readlink_at(dirfd, path, &target);
        if (r == -ENOMEM)
                return r;
        if (error == -ENOENT && r == -ENOENT)
                return FILE_MASKED;
        if (error == -ENOENT && r >= 0)
                r = config_add_diagnostic(config, shown, 0, 0, true,
                                          "is a link to a file that does not exist");
        else
                r = config_add_diagnostic(config, shown, 0, 0, true, "cannot be opened: %s",
                                          strerror(-error));
        return r < 0 ? r : FILE_REFUSED;
}

/* By the link's text, so that it holds below another root too, and by what it leads to. */
static bool is_null_link(int dirfd, const char *path)
{
        _cleanup_free_ char *target = NULL;

        return readlink_at(dirfd, path, &target) >= 0 && streq(target, "/dev/null");
}

static bool is_null_device(const struct stat *st)
{
        return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

static int read_checked(Config *config, int fd, const char *shown, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_fd(fd, CONFIG_FILE_MAX, &text, &size);
        if (r == -ENOMEM)
                return r;
        if (r == -EFBIG)
                r = config_add_diagnostic(config, shown, 0, 0, true, "is larger than %d bytes",
                                          CONFIG_FILE_MAX);
        else if (r < 0)
                r = config_add_diagnostic(config, shown, 0, 0, true, "cannot be read: %s",
                                          strerror(-r));
        else if (size == 0)
                return FILE_MASKED;
        else {
                *ret = TAKE_PTR(text);
                *ret_size = size;
                return FILE_TEXT;
        }
        return r < 0 ? r : FILE_REFUSED;
}

int config_file_read(Config *config, int dirfd, const char *path, const char *shown, char **ret,
                     size_t *ret_size)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        if (is_null_link(dirfd, path))
                return FILE_MASKED;
        /* O_NONBLOCK: a FIFO without a writer must not stop the boot. */
        fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return report_open(config, dirfd, path, shown, -errno);
        if (fstat(fd, &st) < 0)
                return -errno;
        if (is_null_device(&st))
                return FILE_MASKED;
        r = check_file(config, shown, &st);
        if (r != FILE_TEXT)
                return r;
        return read_checked(config, fd, shown, ret, ret_size);
}
