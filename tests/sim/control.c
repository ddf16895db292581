/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The control socket. A line is a command; the answer is a line "ok …" or "error …", and for dump,
 * log and aliases before it what was asked for. Each connection has its own thread, so a command
 * that waits, as the removal of a device that is open, holds up none but its own.
 */

#include "sim.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 48, LINE_SIZE = 4096 };

static int split(char *line, char *argv[])
{
        char *save = NULL;
        int n = 0;

        for (char *p = strtok_r(line, " \t\n", &save); p && n < MAX_ARGUMENTS;
             p = strtok_r(NULL, " \t\n", &save))
                argv[n++] = p;
        return n;
}

/* hotplug device ADDRESS …: as in a host file, but now and with events. */
static int hotplug(char *words, char *error, size_t size)
{
        Device *d = host_device(words, error, size);

        if (!d)
                return -EINVAL;
        rescan_lock();
        device_register(d, true);
        (void)device_lock(d);
        (void)device_attach(d);
        device_unlock(d);
        rescan_unlock();
        return 0;
}

static int unplug(const char *name)
{
        Device *d = device_find(name);
        int r;

        if (!d)
                return -ENODEV;
        rescan_lock();
        r = device_remove(d, true);
        rescan_unlock();
        return r;
}

/* use and unuse ADDRESS: a program has the device open. */
static int use(const char *name, int change)
{
        Device *d = device_find(name);

        if (!d || (change < 0 && d->users == 0))
                return -ENODEV;
        d->users += (unsigned)change;
        pthread_cond_broadcast(&sim.changed);
        return 0;
}

/* driver NAME probe-error=N probe-ms=N remove-ms=N */
static int set_driver(int argc, char *argv[])
{
        Driver *drv = argc > 1 ? driver_find(argv[1]) : NULL;

        if (!drv)
                return -ENOENT;
        for (int i = 2; i < argc; i++)
                if (sscanf(argv[i], "probe-error=%d", &drv->probe_error) != 1 &&
                    sscanf(argv[i], "probe-ms=%u", &drv->probe_msec) != 1 &&
                    sscanf(argv[i], "remove-ms=%u", &drv->remove_msec) != 1)
                        return -EINVAL;
        return 0;
}

static void clear_looks(void)
{
        for (Device *d = sim.devices; d; d = d->next)
                d->looks = d->opens = 0;
}

/* Lines of a modules.alias for the drivers of this host. */
static void dump_aliases(FILE *out)
{
        for (const Driver *drv = sim.drivers; drv; drv = drv->next) {
                if (drv->alias[0])
                        fprintf(out, "alias %s %s\n", drv->alias, drv->module);
                for (const Id *i = drv->ids; i; i = i->next)
                        if (i->vendor != UINT32_MAX && i->device != UINT32_MAX)
                                fprintf(out, "alias pci:v%08Xd%08Xsv*sd*bc*sc*i* %s\n", i->vendor,
                                        i->device, drv->module);
                        else if (i->mask == 0xffffff)
                                fprintf(out, "alias pci:v*d*sv*sd*bc%02Xsc%02Xi%02X* %s\n",
                                        i->class >> 16, i->class >> 8 & 255, i->class & 255,
                                        drv->module);
        }
}

static void reset(void)
{
        char normal[] = "normal", word[] = "events", *argv[] = { word, normal }, error[64];

        faults_clear();
        model_start();
        (void)events_command(2, argv, error, sizeof(error));
        log_clear(true);
}

/* Commands that need the model. */
static int run_model(int argc, char *argv[], const char *rest, FILE *out, char *error, size_t size)
{
        char words[LINE_SIZE];

        snprintf(words, sizeof(words), "%s", rest);
        if (strcmp(argv[0], "dump") == 0 && out)
                dump_state(out);
        else if (strcmp(argv[0], "aliases") == 0 && out)
                dump_aliases(out);
        else if (strcmp(argv[0], "reset") == 0)
                reset();
        else if (strcmp(argv[0], "hotplug") == 0)
                return hotplug(words, error, size);
        else if (strcmp(argv[0], "unplug") == 0 && argc > 1)
                return unplug(argv[1]);
        else if (strcmp(argv[0], "use") == 0 && argc > 1)
                return use(argv[1], 1);
        else if (strcmp(argv[0], "unuse") == 0 && argc > 1)
                return use(argv[1], -1);
        else if (strcmp(argv[0], "driver") == 0)
                return set_driver(argc, argv);
        else if (strcmp(argv[0], "clear-looks") == 0)
                clear_looks();
        else if (strcmp(argv[0], "host") == 0)
                return host_line(words, error, size) ? 0 : -EINVAL;
        else {
                snprintf(error, size, "no such command: '%s'", argv[0]);
                return -EINVAL;
        }
        return 0;
}

int control_run(char *line, FILE *out)
{
        char copy[LINE_SIZE], error[256] = "", *argv[MAX_ARGUMENTS] = { NULL };
        const char *rest = line + strcspn(line, " \n");
        int argc, r = 0;

        snprintf(copy, sizeof(copy), "%s", line);
        argc = split(copy, argv);
        if (argc == 0)
                return 0;
        if (strcmp(argv[0], "fault") == 0)
                r = faults_add(argc, argv, error, sizeof(error));
        else if (strcmp(argv[0], "clear") == 0)
                faults_clear();
        else if (strcmp(argv[0], "release") == 0)
                faults_release();
        else if (strcmp(argv[0], "events") == 0)
                r = events_command(argc, argv, error, sizeof(error));
        else if (strcmp(argv[0], "log") == 0 && out)
                log_dump(out);
        else if (strcmp(argv[0], "bound") == 0 && out)
                log_dump_bound(out);
        else if (strcmp(argv[0], "clear-log") == 0)
                log_clear(false);
        else {
                pthread_mutex_lock(&sim.lock);
                r = run_model(argc, argv, rest, out, error, sizeof(error));
                pthread_mutex_unlock(&sim.lock);
        }
        if (out && r < 0)
                fprintf(out, "error %s\n", error[0] ? error : strerror(-r));
        else if (out)
                fprintf(out, "ok %s\n", error);
        return r;
}

static void *serve_connection(void *userdata)
{
        int fd = (int)(intptr_t)userdata;
        FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
        char line[LINE_SIZE];

        while (in && out && fgets(line, sizeof(line), in)) {
                (void)control_run(line, out);
                fflush(out);
        }
        if (in)
                fclose(in);
        if (out)
                fclose(out);
        return NULL;
}

static void *serve_control(void *userdata)
{
        int fd = (int)(intptr_t)userdata;

        for (;;) {
                int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
                pthread_t thread;

                if (connection < 0)
                        continue;
                if (pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)connection) !=
                    0)
                        close(connection);
                else
                        pthread_detach(thread);
        }
        return NULL;
}

int control_start(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        pthread_t thread;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        unlink(path);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(fd, SOMAXCONN) < 0)
                return -errno;
        return pthread_create(&thread, NULL, serve_control, (void *)(intptr_t)fd) == 0 ? 0
                                                                                       : -EAGAIN;
}
