/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs a target once on each file of the directories that are named: a plain test. */

#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

/* In memory of exactly its size, so that a read beyond it is seen. */
static void run_file(const char *path)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_free_ uint8_t *data = NULL;
        struct stat st;

        CHECK(fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode));
        data = malloc((size_t)st.st_size);
        CHECK(data && read(fd, data, (size_t)st.st_size) == st.st_size);
        printf("# %s\n", path);
        fflush(stdout);
        (void)LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
}

static unsigned run_directory(const char *path)
{
        struct dirent **names;
        int n = scandir(path, &names, NULL, alphasort);
        unsigned n_run = 0;

        CHECK(n >= 0);
        for (int i = 0; i < n; i++) {
                char file[PATH_MAX];

                snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
                if (names[i]->d_name[0] != '.') {
                        run_file(file);
                        n_run++;
                }
                free(names[i]);
        }
        free(names);
        return n_run;
}

int main(int argc, char **argv)
{
        unsigned n_run = 0;

        for (int i = 1; i < argc; i++)
                n_run += run_directory(argv[i]);
        printf("%u inputs\n", n_run);
        return n_run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
