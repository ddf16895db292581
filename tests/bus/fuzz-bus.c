/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Calls everything that a running vfiod serves, with rubbish: fuzz-bus [--seed=N] [--calls=N]
 * [--seconds=N] [--uid=N] [--within=MSEC]. What there is to call comes from introspection. Exits 0
 * if each call got exactly one reply, and calls of others were answered within a second, or so many
 * milliseconds, all the time.
 */

#include "basic/macro.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define SERVICE "org.vfiod1"
#define SECOND USEC_PER_SEC

enum {
        TARGETS_MAX = 4096,
        CALLS_MAX = 1 << 22,
        OPEN_MAX = 48, /* calls at once */
        CHECK_EVERY = 200,
        DEPTH_MAX = 6,
        TEXT_MAX = 128,
        FILES_MAX = 16, /* the bus ends connections that send more in a message */
};

typedef struct Target {
        char path[TEXT_MAX], interface[TEXT_MAX], member[TEXT_MAX], signature[TEXT_MAX];
        bool property;
} Target;

static Target targets[TARGETS_MAX];
static size_t n_targets;
static sd_bus *bus, *other;
static uint8_t replies[CALLS_MAX]; /* by cookie; 0xff: none is expected */
static unsigned n_open, n_sent, n_lost;
static uint64_t within = SECOND, slowest; /* answer to others */
static unsigned n_files, n_large;         /* in this message */
static uint64_t state;                    /* of the random numbers */

__attribute__((noreturn)) static void fail(const char *what, const char *why)
{
        fprintf(stderr, "fuzz-bus: %s: %s (after %u calls)\n", what, why, n_sent);
        exit(EXIT_FAILURE);
}

static void check(int r, const char *what)
{
        if (r < 0)
                fail(what, strerror(-r));
}

/* xorshift64*: the same on every machine. */
static uint64_t any(void)
{
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 0x2545f4914f6cdd1d;
}

static unsigned below(unsigned n)
{
        return (unsigned)(any() >> 33) % n;
}

static bool one_in(unsigned n)
{
        return below(n) == 0;
}

/* What there is to call -------------------------------------------------------------------------
 */

/* The value of an attribute of the tag that begins at `tag`. */
static bool attribute(const char *tag, const char *name, char *ret)
{
        const char *end = strchr(tag, '>'), *value, *quote;
        char word[TEXT_MAX];

        snprintf(word, sizeof(word), " %s=\"", name);
        value = strstr(tag, word);
        if (!end || !value || value > end)
                return false;
        value += strlen(word);
        quote = strchr(value, '"');
        if (!quote || quote - value >= TEXT_MAX)
                return false;
        memcpy(ret, value, (size_t)(quote - value));
        ret[quote - value] = 0;
        return true;
}

static bool is_tag(const char *at, const char *name)
{
        return strncmp(at + 1, name, strlen(name)) == 0 && strchr(" >/", at[1 + strlen(name)]);
}

static void explore(const char *path);

static void explore_child(const char *path, const char *name)
{
        char child[2 * TEXT_MAX];

        snprintf(child, sizeof(child), "%s/%s", path, name);
        if (strlen(child) < TEXT_MAX)
                explore(child);
}

static void add_target(const char *path, const char *interface, const char *tag, bool property)
{
        Target *t = &targets[n_targets];
        char type[TEXT_MAX], direction[TEXT_MAX];

        if (n_targets == TARGETS_MAX || !attribute(tag, "name", t->member))
                return;
        snprintf(t->path, TEXT_MAX, "%s", path);
        snprintf(t->interface, TEXT_MAX, "%s", interface);
        t->property = property;
        t->signature[0] = 0;
        for (tag = strchr(tag + 1, '<'); tag && is_tag(tag, "arg"); tag = strchr(tag + 1, '<'))
                if (!property && attribute(tag, "type", type) &&
                    !(attribute(tag, "direction", direction) && strcmp(direction, "out") == 0))
                        snprintf(t->signature + strlen(t->signature),
                                 TEXT_MAX - strlen(t->signature), "%s", type);
        n_targets++;
}

static void read_xml(const char *path, const char *xml)
{
        char interface[TEXT_MAX] = "", name[TEXT_MAX];

        for (const char *at = strchr(xml, '<'); at; at = strchr(at + 1, '<'))
                if (is_tag(at, "interface"))
                        (void)attribute(at, "name", interface);
                else if (is_tag(at, "method") || is_tag(at, "property"))
                        add_target(path, interface, at, is_tag(at, "property"));
                else if (is_tag(at, "node") && attribute(at, "name", name))
                        explore_child(path, name);
}

/* Some objects are folders, which may not be read as often as one likes. */
static void explore(const char *path)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *xml;
        int r;

        for (int i = 0; i < 100; i++) {
                sd_bus_error_free(&e);
                r = sd_bus_call_method(other, SERVICE, path, "org.freedesktop.DBus.Introspectable",
                                       "Introspect", &e, &reply, NULL);
                if (!sd_bus_error_has_name(&e, SD_BUS_ERROR_LIMITS_EXCEEDED))
                        break;
                usleep(SECOND / 10);
        }
        check(r, path);
        check(sd_bus_message_read(reply, "s", &xml), path);
        read_xml(path, xml);
}

/* Rubbish ---------------------------------------------------------------------------------------
 */

static const char *word(void)
{
        static const char *const words[] = {
                "",
                "0000:00:03.0",
                "00:03.1",
                "pci:0000:00:03.0",
                "group:1",
                "group:-1",
                "group:99999",
                "vfio",
                "vfio-pci",
                "none",
                "host",
                "accept",
                "State",
                "Driver",
                "Rule",
                "Group",
                "ready",
                "no-reset",
                "boot-display",
                "0000:00:04.0/vf0",
                "../../etc",
                "/",
                "%s%n%s",
                "\xc3\xa9\xf0\x9f\x98\x80",
                "\n\t\"\\",
                "org.vfiod1.Manager",
                "Address",
                "LogLevel",
                "debug",
        };
        static const unsigned lengths[] = { 254, 255, 256, 4096, 50000 };
        static char text[50001];
        unsigned n = lengths[below(ELEMENTSOF(lengths))];

        if (!one_in(12))
                return words[below(ELEMENTSOF(words))];
        memset(text, 'a' + (int)below(26), n);
        text[n] = 0;
        return text;
}

static uint64_t number(void)
{
        static const uint64_t numbers[] = { 0,          1,          2,          3,
                                            4,          7,          255,        0x7fffffff,
                                            0x80000000, 0xffffffff, UINT64_MAX, (uint64_t)1 << 63 };

        return one_in(4) ? any() : numbers[below(ELEMENTSOF(numbers))];
}

/* The length of the first complete type. */
static size_t type_length(const char *s)
{
        size_t n = 0;
        int depth = 0;

        while (s[n] == 'a')
                n++;
        do
                depth += (s[n] == '(' || s[n] == '{') - (s[n] == ')' || s[n] == '}');
        while (s[n++] && depth > 0);
        return n;
}

static void random_type(char *to, unsigned depth)
{
        static const char basic[] = "ybnqiuxtdsogh";
        char inner[TEXT_MAX] = "";

        if (depth > 0 && one_in(2))
                random_type(inner, depth - 1);
        if (!inner[0]) {
                snprintf(to, TEXT_MAX, "%c", basic[below(sizeof(basic) - 1)]);
                return;
        }
        switch (below(4)) {
        case 0:
                snprintf(to, TEXT_MAX, "a%.100s", inner);
                break;
        case 1:
                snprintf(to, TEXT_MAX, "(%.100s)", inner);
                break;
        case 2:
                snprintf(to, TEXT_MAX, "a{s%.100s}", inner);
                break;
        default:
                snprintf(to, TEXT_MAX, "v");
        }
}

static int fill(sd_bus_message *m, const char *signature, unsigned depth);

static int fill_basic(sd_bus_message *m, char type)
{
        uint64_t n = number();
        int fd = STDIN_FILENO, boolean = n & 1;
        const char *s = word();

        switch (type) {
        case 's':
                return sd_bus_message_append_basic(m, type, s);
        case 'o':
                return sd_bus_message_append_basic(
                        m, type,
                        n_targets && one_in(2) ? targets[below((unsigned)n_targets)].path : "/");
        case 'g':
                return sd_bus_message_append_basic(m, type, "a{sv}");
        case 'h':
                if (n_files++ == FILES_MAX)
                        return -EMFILE;
                return sd_bus_message_append_basic(m, type, &fd);
        case 'b':
                return sd_bus_message_append_basic(m, type, &boolean);
        default:
                return sd_bus_message_append_basic(m, type, &n);
        }
}

static int fill_container(sd_bus_message *m, char kind, const char *contents, unsigned depth)
{
        /* One in a message: within each other they would take a minute to make. */
        unsigned n = kind != 'a' ? 1 : one_in(200) && n_large++ == 0 ? 5000 : below(4);
        int r;

        r = sd_bus_message_open_container(m, kind, contents);
        for (unsigned i = 0; r >= 0 && i < n; i++)
                r = fill(m, contents, depth + 1);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int fill(sd_bus_message *m, const char *signature, unsigned depth)
{
        int r = 0;

        while (*signature && r >= 0) {
                size_t n = type_length(signature);
                char contents[TEXT_MAX] = "s";

                if (*signature == 'a' || *signature == '(' || *signature == '{') {
                        bool array = *signature == 'a';

                        snprintf(contents, sizeof(contents), "%.*s", (int)(n - (array ? 1 : 2)),
                                 signature + 1);
                        r = fill_container(m,
                                           array               ? 'a'
                                           : *signature == '(' ? 'r'
                                                               : 'e',
                                           contents, depth);
                } else if (*signature == 'v') {
                        if (depth < DEPTH_MAX)
                                random_type(contents, 2);
                        r = fill_container(m, 'v', contents, depth);
                } else {
                        r = fill_basic(m, *signature);
                }
                signature += n;
        }
        return r;
}

/* Calls -----------------------------------------------------------------------------------------
 */

static int new_call(const Target *t, const char *interface, const char *member,
                    const char *signature, sd_bus_message **ret)
{
        const char *path = one_in(30) ? "/org/vfiod1/device/_" : t->path;
        int r;

        if (one_in(30))
                member = "Nothing";
        r = sd_bus_message_new_method_call(bus, ret, SERVICE, path, one_in(20) ? NULL : interface,
                                           member);
        return r < 0 ? r : fill(*ret, signature, 0);
}

static int new_property_call(const Target *t, sd_bus_message **ret)
{
        static const char *const members[] = { "Get", "GetAll", "Set" };
        unsigned i = below(3);
        int r;

        r = sd_bus_message_new_method_call(bus, ret, SERVICE, t->path,
                                           "org.freedesktop.DBus.Properties", members[i]);
        if (r >= 0)
                r = sd_bus_message_append(*ret, "s", one_in(10) ? word() : t->interface);
        if (r >= 0 && i != 1)
                r = sd_bus_message_append(*ret, "s", one_in(10) ? word() : t->member);
        return r >= 0 && i == 2 ? fill(*ret, "v", 0) : r;
}

/* What may be done, so that not all is refused before it begins. */
static int new_change(sd_bus_message **ret)
{
        static const char *const devices[] = { "0000:00:03.0", "00:03.1", "group:2", "00:04.0" };
        const char *device = devices[below(ELEMENTSOF(devices))];
        uint64_t flags = one_in(3) ? below(8) : 2;
        unsigned kind = below(4);
        int r;

        r = sd_bus_message_new_method_call(
                bus, ret, SERVICE, "/org/vfiod1", "org.vfiod1.Manager",
                (const char *const[]){ "Bind", "Release", "SetVirtualFunctions", "Apply" }[kind]);
        if (r < 0)
                return r;
        if (kind == 0)
                return sd_bus_message_append(*ret, "assta{sv}", 1, device, "vfio", flags, 0);
        if (kind == 1)
                return sd_bus_message_append(*ret, "asta{sv}", 1, device, flags, 0);
        if (kind == 2)
                return sd_bus_message_append(*ret, "suta{sv}", device, below(9), flags, 0);
        return sd_bus_message_append(*ret, "ta{sv}", flags, 0);
}

static int new_rubbish(sd_bus_message **ret)
{
        const Target *t = &targets[below((unsigned)n_targets)];
        char signature[TEXT_MAX] = "";

        if (one_in(20))
                return new_change(ret);
        if (t->property && !one_in(10))
                return new_property_call(t, ret);
        if (!one_in(4))
                return new_call(t, t->interface, t->member, t->signature, ret);
        for (unsigned i = below(4); i > 0; i--) {
                char type[TEXT_MAX];

                random_type(type, 3);
                if (strlen(signature) + strlen(type) < TEXT_MAX)
                        strcat(signature, type);
        }
        return new_call(t, t->interface, t->member, signature, ret);
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint64_t cookie;

        if (sd_bus_message_get_reply_cookie(m, &cookie) < 0)
                return 0;
        if (cookie >= CALLS_MAX || replies[cookie]++ != 0)
                fail("a reply too many", sd_bus_message_get_signature(m, true));
        n_open--;
        return 1;
}

static void connect_bus(void)
{
        sd_bus_close_unref(bus);
        memset(replies, 0, sizeof(replies));
        n_open = 0;
        check(sd_bus_open_system(&bus), "the bus");
        check(sd_bus_add_filter(bus, NULL, on_message, NULL), "the bus");
}

/* The bus ends a connection that sends what only the library takes for a message. */
static bool is_lost(int r)
{
        return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE;
}

/* Takes what is there, and waits until no more than `n_left` calls are unanswered. */
static void receive(unsigned n_left)
{
        uint64_t deadline = now_usec() + 60 * SECOND;

        for (;;) {
                int r = sd_bus_process(bus, NULL);

                if (is_lost(r)) {
                        n_lost++;
                        connect_bus();
                        return;
                }
                check(r, "the connection");
                if (r > 0)
                        continue;
                if (n_open <= n_left)
                        return;
                if (now_usec() > deadline)
                        fail("calls", "no reply");
                r = sd_bus_wait(bus, SECOND);
                check(is_lost(r) ? 0 : r, "the connection");
        }
}

static void send_one(void)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        bool silent = one_in(20);
        uint64_t cookie;
        int r;

        n_files = n_large = 0;
        if (new_rubbish(&m) < 0)
                return;
        if (one_in(3))
                check(sd_bus_message_set_allow_interactive_authorization(m, true), "a flag");
        /* The bus itself answers calls with files, which vfiod does not take: always. */
        silent = silent && n_files == 0;
        check(sd_bus_message_set_expect_reply(m, !silent), "a flag");
        /* Without an address for the cookie a reply would not be asked for. */
        r = sd_bus_send(bus, m, &cookie);
        if (r == -EINVAL || is_lost(r)) /* what cannot be said at all */
                return;
        check(r, "a call");
        if (cookie >= CALLS_MAX)
                fail("calls", "too many");
        if (silent)
                replies[cookie] = UINT8_MAX;
        n_open += !silent;
        n_sent++;
}

static void check_others(void)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        static const char *const calls[][3] = {
                { "org.freedesktop.DBus.Peer", "Ping", NULL },
                { "org.freedesktop.DBus.Properties", "GetAll", "s" },
        };

        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                uint64_t begin = now_usec();

                check(sd_bus_message_new_method_call(other, &m, SERVICE, "/org/vfiod1", calls[i][0],
                                                     calls[i][1]),
                      "a call");
                if (calls[i][2])
                        check(sd_bus_message_append(m, calls[i][2], "org.vfiod1.Manager"),
                              "a call");
                if (sd_bus_call(other, m, within, &e, NULL) < 0)
                        fail(calls[i][1], e.message ? e.message : "no answer");
                slowest = MAX(slowest, now_usec() - begin);
        }
}

static unsigned long read_number(const char *text)
{
        char *end;
        unsigned long n = strtoul(text, &end, 0);

        if (!*text || *end)
                fail("not a number", text);
        return n;
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "seed", required_argument, NULL, 's' },
                { "calls", required_argument, NULL, 'c' },
                { "seconds", required_argument, NULL, 't' },
                { "uid", required_argument, NULL, 'u' },
                { "within", required_argument, NULL, 'w' },
                { NULL, 0, NULL, 0 },
        };
        unsigned long seed = (unsigned long)time(NULL) ^ (unsigned long)getpid(),
                      calls = CALLS_MAX / 2;
        unsigned long seconds = 5;
        uid_t uid = getuid();
        uint64_t deadline;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (c == 's')
                        seed = read_number(optarg);
                else if (c == 'c')
                        calls = read_number(optarg);
                else if (c == 't')
                        seconds = read_number(optarg);
                else if (c == 'u')
                        uid = (uid_t)read_number(optarg);
                else if (c == 'w')
                        within = read_number(optarg) * USEC_PER_MSEC;
                else
                        return 2;
        if (uid != getuid() && setresuid(uid, uid, uid) < 0)
                fail("setresuid", strerror(errno));
        printf("fuzz-bus: --seed=%lu\n", seed);
        (void)fflush(stdout);
        state = seed * 2 + 1;
        connect_bus();
        check(sd_bus_open_system(&other), "the bus");
        explore("/org/vfiod1");
        explore("/org/freedesktop/LogControl1");
        deadline = now_usec() + seconds * SECOND;
        while (n_sent < calls && now_usec() < deadline) {
                send_one();
                receive(OPEN_MAX);
                if (n_sent % CHECK_EVERY == 0)
                        check_others();
        }
        receive(0);
        check_others();
        printf("fuzz-bus: %u calls of %zu methods and properties, %u connections ended by the "
               "bus, others answered within %u ms\n",
               n_sent, n_targets, n_lost, (unsigned)(slowest / USEC_PER_MSEC));
        sd_bus_unref(bus);
        sd_bus_unref(other);
        return EXIT_SUCCESS;
}
