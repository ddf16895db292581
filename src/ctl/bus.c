/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/bus.h"
#include "basic/names.h"
#include "basic/strv.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "model/reason.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <time.h>

#define DBUS_NAME "org.freedesktop.DBus"
#define DBUS_PATH "/org/freedesktop/DBus"

static int open_bus(Ctl *c)
{
        int r = c->bus ? 0 : sd_bus_open_system(&c->bus);

        if (r < 0)
                return fail(STATUS_NO_DAEMON,
                            "cannot connect to the bus: %s (look at dbus.socket, or at --address=)",
                            strerror(-r));
        return 0;
}

int bus_has_daemon(Ctl *c)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int has, r;

        r = c->bus ? 0 : sd_bus_open_system(&c->bus);
        if (r >= 0)
                r = sd_bus_call_method(c->bus, DBUS_NAME, DBUS_PATH, DBUS_NAME, "NameHasOwner",
                                       NULL, &reply, "s", VFIOD_BUS_NAME);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "b", &has);
        return r < 0 ? r : has;
}

int bus_no_daemon(void)
{
        return fail(STATUS_NO_DAEMON, "vfiod is not running or went away; start vfiod.service");
}

int bus_start_daemon(Ctl *c)
{
        int r = open_bus(c);

        if (r != 0)
                return r;
        agent_open(c);
        r = sd_bus_call_method(c->bus, DBUS_NAME, DBUS_PATH, DBUS_NAME, "StartServiceByName", NULL,
                               NULL, "su", VFIOD_BUS_NAME, UINT32_C(0));
        if (r < 0 && bus_has_daemon(c) <= 0)
                return bus_no_daemon();
        return 0;
}

int bus_new_call(Ctl *c, const char *path, const char *interface, const char *member,
                 sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = open_bus(c);

        if (r != 0)
                return r;
        r = sd_bus_message_new_method_call(c->bus, &m, VFIOD_BUS_NAME, path, interface, member);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(
                        m, !(c->given & OPTION_NO_ASK_PASSWORD));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

/* A D-Bus error to an exit status. `error` is a negative errno. */
static int error_status(const sd_bus_error *e, int error)
{
        static const struct {
                const char *name;
                ExitStatus status;
        } rows[] = {
                { VFIOD_ERROR("Refused"), STATUS_REFUSED },
                { VFIOD_ERROR("NoSuchDevice"), STATUS_NO_DEVICE },
                { VFIOD_ERROR("NoSuchGroup"), STATUS_NO_DEVICE },
                { VFIOD_ERROR("DeviceGone"), STATUS_NO_DEVICE },
                { VFIOD_ERROR("JobTimeout"), STATUS_TIMED_OUT },
                { SD_BUS_ERROR_ACCESS_DENIED, STATUS_NOT_AUTHORISED },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, STATUS_NOT_AUTHORISED },
                { SD_BUS_ERROR_INVALID_ARGS, STATUS_USAGE },
                { SD_BUS_ERROR_SERVICE_UNKNOWN, STATUS_NO_DAEMON },
                { SD_BUS_ERROR_NAME_HAS_NO_OWNER, STATUS_NO_DAEMON },
                { SD_BUS_ERROR_NO_REPLY, STATUS_NO_DAEMON },
                { SD_BUS_ERROR_DISCONNECTED, STATUS_NO_DAEMON },
        };

        for (size_t i = 0; e->name && i < ELEMENTSOF(rows); i++)
                if (streq(e->name, rows[i].name))
                        return rows[i].status;
        if (error == -ETIMEDOUT)
                return STATUS_TIMED_OUT;
        if (error == -ECONNRESET || error == -ENOTCONN || error == -EPIPE)
                return STATUS_NO_DAEMON;
        return STATUS_FAILED;
}

/* The hazards in lines of "ADDRESS: refused: HAZARD: sentence (remedy)" that can be accepted. */
static void say_accept(const Ctl *c, const char *message)
{
        _cleanup_strv_ char **hazards = NULL;
        _cleanup_free_ char *words = NULL;

        for (int i = REASON_NONE + 1; i < _REASON_ACCEPTABLE_MAX; i++) {
                _cleanup_free_ char *part = format_text(": refused: %s:", reason_to_string(i));

                if (strstr(message, part) && strv_extend(&hazards, reason_to_string(i)) < 0)
                        must(NULL);
        }
        if (!hazards)
                return;
        words = must(strv_join(hazards, ","));
        fail(STATUS_REFUSED,
             c->takes_accept ? "to accept: --accept=%s" : "to accept: Accept=%s in its file",
             words);
}

/* Each line of the daemon's message; for refusals also what would allow it. */
static int say_error(const Ctl *c, const sd_bus_error *e, int error)
{
        _cleanup_strv_ char **lines = NULL;
        int status = error_status(e, error), r;

        if (status == STATUS_NO_DAEMON)
                return bus_no_daemon();
        if (error == -ETIMEDOUT)
                return fail(status, "no answer in time; vfiod may still be working on it");
        r = strv_split(e->message ?: strerror(-error), "\n", &lines);
        if (r < 0)
                return r;
        STRV_FOREACH(line, lines)
                fail(status, "%s", *line);
        if (status == STATUS_REFUSED)
                say_accept(c, strempty(e->message));
        return status;
}

static uint64_t time_left(const Ctl *c)
{
        uint64_t now = now_usec();

        if (c->deadline == USEC_INFINITY)
                return USEC_INFINITY;
        return c->deadline > now ? c->deadline - now : 0;
}

int bus_call(Ctl *c, sd_bus_message *m, json_object **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        /* 0 would be the default of sd-bus. */
        r = sd_bus_call(c->bus, m, MAX(time_left(c), UINT64_C(1)), &e, &reply);
        if (r < 0)
                return say_error(c, &e, r);
        return bus_message_to_json(reply, ret);
}

int bus_ask(Ctl *c, json_object **ret, const char *path, const char *interface, const char *member,
            const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_json_ json_object *values = NULL;
        va_list ap;
        int r = bus_new_call(c, path, interface, member, &m);

        if (r != 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        if (r < 0)
                return r;
        r = bus_call(c, m, &values);
        if (r != 0)
                return r;
        *ret = json_object_get(json_at(values, 0));
        return 0;
}

char *bus_device_path(const char *address)
{
        _cleanup_free_ char *id = format_text(VFIOD_DEVICE_ID_PREFIX "%s", address);
        char *path;

        return must(sd_bus_path_encode(VFIOD_DEVICE_PREFIX, id, &path) < 0 ? NULL : path);
}

int bus_get_objects(Ctl *c, json_object **ret)
{
        return bus_ask(c, ret, VFIOD_PATH, "org.freedesktop.DBus.ObjectManager",
                       "GetManagedObjects", "");
}

int bus_get_all(Ctl *c, const char *path, const char *interface, json_object **ret)
{
        return bus_ask(c, ret, path, "org.freedesktop.DBus.Properties", "GetAll", "s", interface);
}

/* Not sd_bus_add_match(): without a callback sd_bus_process() hands the message to us. */
static int add_match(Ctl *c, const char *rule)
{
        int r = sd_bus_call_method(c->bus, DBUS_NAME, DBUS_PATH, DBUS_NAME, "AddMatch", NULL, NULL,
                                   "s", rule);

        if (r < 0)
                return fail(STATUS_NO_DAEMON, "cannot watch the bus: %s", strerror(-r));
        return 0;
}

int bus_watch(Ctl *c, const char *match)
{
        _cleanup_free_ char *rule =
                format_text("type='signal',sender='" VFIOD_BUS_NAME "',%s='" VFIOD_PATH "'", match);
        int r = open_bus(c);

        if (r == 0)
                r = add_match(c, rule);
        if (r != 0)
                return r;
        return add_match(c, "type='signal',sender='" DBUS_NAME "',interface='" DBUS_NAME
                            "',member='NameOwnerChanged',arg0='" VFIOD_BUS_NAME "'");
}

static int signal_to_json(sd_bus_message *m, json_object **ret)
{
        json_object *body;
        int r = bus_message_to_json(m, &body);

        if (r < 0)
                return r;
        *ret = json_new();
        json_add_text(*ret, "path", sd_bus_message_get_path(m));
        json_add_text(*ret, "member", sd_bus_message_get_member(m));
        json_add(*ret, "body", body);
        return 0;
}

int bus_next(Ctl *c, json_object **ret)
{
        for (;;) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                uint64_t left = time_left(c);
                int r = sd_bus_process(c->bus, &m);

                if (m && sd_bus_message_is_signal(m, NULL, NULL) > 0)
                        return signal_to_json(m, ret);
                if (r > 0)
                        continue;
                if (r == 0 && left == 0)
                        return STATUS_TIMED_OUT;
                if (r == 0)
                        r = sd_bus_wait(c->bus, left);
                if (r < 0 && r != -EINTR)
                        return fail(STATUS_NO_DAEMON, "lost the bus: %s", strerror(-r));
        }
}

enum { AGENT_START_MSEC = 5000 };

/* The agent goes when we go, also if we are killed. */
static void run_agent(pid_t parent, int notify)
{
        char fd[16];

        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
                _exit(1);
        if (fcntl(notify, F_SETFD, 0) < 0)
                _exit(1);
        snprintf(fd, sizeof(fd), "%d", notify);
        execlp("pkttyagent", "pkttyagent", "--notify-fd", fd, "--fallback", (char *)NULL);
        _exit(127);
}

void agent_open(const Ctl *c)
{
        pid_t parent = getpid();
        int fds[2];

        if ((c->given & OPTION_NO_ASK_PASSWORD) || geteuid() == 0 || !isatty(STDIN_FILENO))
                return;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        if (fork() == 0)
                run_agent(parent, fds[1]);
        /* It closes its end once it is registered, or dies if it cannot be. */
        close(fds[1]);
        (void)poll(&(struct pollfd){ .fd = fds[0] }, 1, AGENT_START_MSEC);
        close(fds[0]);
}
