/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/modules.h"
#include "basic/io.h"
#include "basic/strv.h"
#include "sys/sysfs.h"

#include <fcntl.h>
#include <libkmod.h>
#include <sys/utsname.h>
#include <syslog.h>

#define MODULES_DIRECTORY "lib/modules"

/* The version whose modules are looked up. */
static int find_release(const Sysroot *root, char **ret)
{
        _cleanup_strv_ char **names = NULL;
        struct utsname u;
        const char *release;
        char *copy;

        if (uname(&u) < 0)
                return -errno;
        release = u.release;
        if (!root->is_host && list_dir_at(root->root, MODULES_DIRECTORY, &names) >= 0 &&
            strv_length(names) == 1)
                release = names[0];
        copy = strdup(release);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int modules_open_index(const Sysroot *root, const char *name, FILE **ret)
{
        _cleanup_free_ char *release = NULL, *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        FILE *f;
        int r;

        r = find_release(root, &release);
        if (r < 0)
                return r;
        if (asprintf(&path, MODULES_DIRECTORY "/%s/%s", release, name) < 0)
                return -ENOMEM;
        fd = openat(root->root, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        f = fdopen(fd, "re");
        if (!f)
                return -errno;
        TAKE_FD(fd);
        *ret = f;
        return 0;
}

bool modules_next_line(FILE *f, char line[static MODULES_LINE_SIZE])
{
        char rest[MODULES_LINE_SIZE];
        bool whole;

        if (!fgets(line, MODULES_LINE_SIZE, f))
                return false;
        whole = strchr(line, '\n');
        line[strcspn(line, "\n")] = 0;
        while (!whole && fgets(rest, sizeof(rest), f))
                whole = strchr(rest, '\n');
        return true;
}

void module_name_normalize(char *name)
{
        for (; *name; name++)
                if (*name == '-')
                        *name = '_';
}

void modules_done(Modules *m)
{
        kmod_unref(m->kmod);
        m->kmod = NULL;
}

static void list_unrefp(struct kmod_list **l)
{
        kmod_module_unref_list(*l);
}

static void module_unrefp(struct kmod_module **m)
{
        kmod_module_unref(*m);
}

/* `install vfio_pci /bin/false` and the like: the usual way to forbid a module. */
static bool command_does_nothing(const char *command)
{
        static const char *const words[] = { "false", "true", ":" };
        const char *name;
        size_t n;

        if (!command)
                return false;
        command += strspn(command, " \t");
        n = strcspn(command, " \t;");
        name = memrchr(command, '/', n);
        name = name ? name + 1 : command;
        n -= (size_t)(name - command);
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strlen(words[i]) == n && strncmp(name, words[i], n) == 0)
                        return true;
        return false;
}

static int find_by_kmod(Modules *m, const char *name, char **ret_name, bool *ret_blocked)
{
        _cleanup_(module_unrefp) struct kmod_module *module = NULL;
        _cleanup_(list_unrefp) struct kmod_list *list = NULL;
        char *copy;

        if (!m->kmod) {
                m->kmod = kmod_new(NULL, NULL);
                if (!m->kmod)
                        return -ENOMEM;
                kmod_set_log_priority(m->kmod, LOG_EMERG);
        }
        if (kmod_module_new_from_lookup(m->kmod, name, &list) < 0 || !list)
                return -ENOENT;
        module = kmod_module_get_module(list);
        copy = strdup(kmod_module_get_name(module));
        if (!copy)
                return -ENOMEM;
        *ret_name = copy;
        *ret_blocked = command_does_nothing(kmod_module_get_install_commands(module));
        return 0;
}

/* Whether a line of modules.dep ("kernel/drivers/net/x.ko.xz: …") is about this module. */
static bool line_names_module(char *line, const char *name)
{
        char *base;

        line[strcspn(line, ":")] = 0;
        base = strrchr(line, '/');
        base = base ? base + 1 : line;
        base[strcspn(base, ".")] = 0;
        module_name_normalize(base);
        return streq(base, name);
}

static int find_by_file(const Sysroot *root, const char *name, char **ret_name)
{
        _cleanup_free_ char *normal = strdup(name);
        _cleanup_(fclosep) FILE *f = NULL;
        char line[MODULES_LINE_SIZE];
        int r;

        if (!normal)
                return -ENOMEM;
        module_name_normalize(normal);
        r = modules_open_index(root, "modules.dep", &f);
        if (r < 0)
                return r == -ENOMEM ? r : -ENOENT;
        while (modules_next_line(f, line))
                if (line_names_module(line, normal)) {
                        *ret_name = TAKE_PTR(normal);
                        return 0;
                }
        return -ENOENT;
}

int modules_find(Modules *m, const char *name, char **ret_name, bool *ret_blocked)
{
        int r;

        if (!sysfs_name_is_valid(name))
                return -ENOENT;
        if (m->root->is_host)
                return find_by_kmod(m, name, ret_name, ret_blocked);
        r = find_by_file(m->root, name, ret_name);
        if (r < 0)
                return r;
        *ret_blocked = false;
        return 0;
}
