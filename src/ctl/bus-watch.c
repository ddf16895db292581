/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Signals, taken one by one by the verb that waits for them. */

#include "basic/names.h"
#include "ctl/bus.h"

#include <time.h>

#define MATCH_OWNER                                                                     \
        "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus'," \
        "member='NameOwnerChanged',arg0='" VFIOD_BUS_NAME "'"

static uint64_t now_usec(void)
{
        struct timespec t = { 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

uint64_t bus_deadline(const Ctl *c)
{
        uint64_t now = now_usec();

        if (!c->options.has_timeout || c->options.timeout_usec >= USEC_INFINITY - now)
                return USEC_INFINITY;
        return now + c->options.timeout_usec;
}

uint64_t bus_time_left(uint64_t deadline)
{
        uint64_t now = now_usec();

        if (deadline == USEC_INFINITY)
                return USEC_INFINITY;
        return deadline > now ? deadline - now : 0;
}

/* Not sd_bus_add_match(): without a callback sd_bus_process() hands the message to us. */
static int add_rule(Ctl *c, const char *rule)
{
        return sd_bus_call_method(c->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                  "org.freedesktop.DBus", "AddMatch", NULL, NULL, "s", rule);
}

int bus_watch(Ctl *c, const char *const *rules, size_t n)
{
        int r;

        r = bus_open(c);
        if (r != 0)
                return r;
        r = add_rule(c, MATCH_OWNER);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = add_rule(c, rules[i]);
        if (r < 0)
                return fail(STATUS_NO_DAEMON, "cannot watch the bus: %s", strerror(-r));
        return 0;
}

int bus_next(Ctl *c, uint64_t deadline, sd_bus_message **ret)
{
        for (;;) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                uint64_t left = bus_time_left(deadline);
                int r;

                r = sd_bus_process(c->bus, &m);
                if (m && sd_bus_message_is_signal(m, NULL, NULL) > 0) {
                        *ret = TAKE_PTR(m);
                        return 0;
                }
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
