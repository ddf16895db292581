/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Calls that list everything: how many, for whom, and when. Each waits until the bus has said whose
 * it is, and then until nothing cheaper is to be answered. So another connection brings no more of
 * them, and whatever comes in meanwhile waits for one of them at most.
 */

#include "basic/names.h"
#include "daemon/bus-internal.h"

#include <inttypes.h>
#include <stdio.h>

enum {
        WAITING_MAX = 4096,
        QUEUED_MAX = 16,       /* messages that the bus has not taken yet */
        CALL_OBJECTS = 250,    /* a call costs as much as these */
        GROUPS_PER_DEVICE = 4, /* of the same length */
};

#define PATIENCE_USEC (250 * USEC_PER_MSEC) /* the longest that cheap calls go first */
#define RETRY_USEC (50 * USEC_PER_MSEC)     /* for the bus to take what is queued */

/* Credit --------------------------------------------------------------------------------------- */

/* In millionths, so that a microsecond earns as many as there are objects a second. */
static const uint64_t full = (uint64_t)LIMITER_CREDIT * 1000000;

static LimiterEntry *find_entry(Limiter *l, const char *key, uint64_t now)
{
        LimiterEntry *oldest = &l->entries[0];

        for (size_t i = 0; i < LIMITER_ENTRIES_MAX; i++) {
                LimiterEntry *e = &l->entries[i];

                if (streq(e->key, key))
                        return e;
                if (e->usec < oldest->usec)
                        oldest = e;
        }
        *oldest = (LimiterEntry){ .usec = now, .credit = full };
        memcpy(oldest->key, key, strlen(key) + 1);
        return oldest;
}

bool limiter_take(Limiter *l, const char *key, size_t objects, uint64_t now)
{
        const uint64_t price = MIN((uint64_t)objects * 1000000, full);
        LimiterEntry *e;

        /* No bus makes such names; one that does gets no expensive answers. */
        if (strlen(key) >= sizeof(e->key))
                return false;
        e = find_entry(l, key, now);
        if (now > e->usec) {
                uint64_t earned = MIN(now - e->usec, USEC_PER_SEC) * LIMITER_CREDIT;

                e->credit = MIN(e->credit + earned, full);
                e->usec = now;
        }
        if (e->credit < price)
                return false;
        e->credit -= price;
        return true;
}

static size_t count_objects(const Bus *b)
{
        Snapshot s = manager_snapshot(b->manager);

        return (s.status ? s.status->n_statuses : 0) +
               (s.inventory ? s.inventory->n_groups / GROUPS_PER_DEVICE : 0);
}

static uint64_t get_now(const Bus *b)
{
        uint64_t now;

        return sd_event_now(manager_event(b->manager), CLOCK_MONOTONIC, &now) >= 0 ? now : 0;
}

/* Any number of connections of one user together get twice what one of them gets. */
static bool user_may(Bus *b, uint32_t uid)
{
        char key[16];

        snprintf(key, sizeof(key), "%" PRIu32, uid);
        return uid == 0 ||
               limiter_take(&b->users, key, (CALL_OBJECTS + count_objects(b)) / 2, get_now(b));
}

/* Waiting -------------------------------------------------------------------------------------- */

struct Waiting {
        Bus *bus;
        sd_bus_message *message;
        sd_bus_slot *question; /* whose it is; NULL once that is known */
        Waiting *next;
};

static void waiting_free(Waiting *w)
{
        for (Waiting **l = &w->bus->waiting; *l; l = &(*l)->next)
                if (*l == w) {
                        *l = w->next;
                        w->bus->n_waiting--;
                        break;
                }
        sd_bus_slot_unref(w->question);
        sd_bus_message_unref(w->message);
        free(w);
}

void bus_drop_waiting(Bus *b)
{
        while (b->waiting)
                waiting_free(b->waiting);
        b->admitted = sd_bus_message_unref(b->admitted);
}

static int set_exceeded(sd_bus_error *error)
{
        return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "Too many such calls in a second, wait and follow the signals "
                                "instead");
}

/* The first that may comes to the filter once more, as the next message. */
static int admit(Bus *b)
{
        Waiting *w = b->waiting;
        int r;

        while (w && w->question)
                w = w->next;
        if (!w || b->admitted)
                return 0;
        r = sd_bus_enqueue_for_read(b->bus, w->message);
        if (r < 0)
                return r;
        b->admitted = sd_bus_message_ref(w->message);
        b->admitted_usec = get_now(b);
        waiting_free(w);
        return 1;
}

static int on_turn(sd_event_source *s, uint64_t usec, void *userdata);

static int arm(Bus *b, uint64_t usec)
{
        return bus_arm(b, &b->turn, usec, SD_EVENT_PRIORITY_IDLE, on_turn);
}

/* Large answers are not made faster than the bus takes them. */
static int on_turn(sd_event_source *s, uint64_t usec, void *userdata)
{
        Bus *b = userdata;
        bool queued = bus_has_queued(b->bus, QUEUED_MAX);
        int r = queued ? 1 : admit(b);

        return r <= 0 ? r : arm(b, queued ? RETRY_USEC : 0);
}

static int on_uid(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_error_free) sd_bus_error exceeded = SD_BUS_ERROR_NULL;
        Waiting *w = userdata;
        Bus *b = w->bus;
        uint32_t uid;

        w->question = sd_bus_slot_unref(w->question);
        if (sd_bus_message_is_method_error(reply, NULL) ||
            sd_bus_message_read(reply, "u", &uid) <= 0) {
                waiting_free(w); /* nobody is there any more */
                return 0;
        }
        if (user_may(b, uid))
                return arm(b, 0);
        (void)set_exceeded(&exceeded);
        (void)sd_bus_reply_method_error(w->message, &exceeded);
        waiting_free(w);
        return 0;
}

static int wait_for_turn(Bus *b, sd_bus_message *m)
{
        Waiting *w = calloc(1, sizeof(Waiting)), **last = &b->waiting;
        int r;

        if (!w)
                return -ENOMEM;
        *w = (Waiting){ .bus = b, .message = sd_bus_message_ref(m) };
        while (*last)
                last = &(*last)->next;
        *last = w;
        b->n_waiting++;
        r = sd_bus_call_method_async(b->bus, &w->question, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                     "GetConnectionUnixUser", on_uid, w, "s",
                                     sd_bus_message_get_sender(m));
        if (r < 0)
                waiting_free(w);
        return r < 0 ? r : 1;
}

/* The filter ----------------------------------------------------------------------------------- */

/* What lists everything. An object itself is introspected cheaply and often. */
static bool is_expensive(sd_bus_message *m)
{
        static const char *const members[] = { "GetManagedObjects", "ListDevices", "ListGroups",
                                               "Plan" };
        static const char *const folders[] = { VFIOD_PATH, VFIOD_DEVICE_PREFIX, VFIOD_GROUP_PREFIX,
                                               VFIOD_JOB_PREFIX };
        const char *member = strempty(sd_bus_message_get_member(m));

        if (streq(member, "Introspect"))
                return string_table_find(folders, ELEMENTSOF(folders),
                                         strempty(sd_bus_message_get_path(m))) >= 0;
        return string_table_find(members, ELEMENTSOF(members), member) >= 0;
}

static int limit_call(Bus *b, sd_bus_message *m, sd_bus_error *error)
{
        const char *sender = sd_bus_message_get_sender(m);
        size_t n = count_objects(b);

        if (n > BUS_ANSWER_MAX && !streq(sd_bus_message_get_member(m), "ListDevices"))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many objects for one answer, use ListDevices with a "
                                        "filter");
        if (!sender)
                return 0;
        if (b->n_waiting >= WAITING_MAX ||
            !limiter_take(&b->senders, sender, CALL_OBJECTS + n, get_now(b)))
                return set_exceeded(error);
        return wait_for_turn(b, m);
}

int bus_limit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *b = userdata;

        if (m == b->admitted) {
                b->admitted = sd_bus_message_unref(b->admitted);
                return 0;
        }
        if (b->waiting && get_now(b) > b->admitted_usec + PATIENCE_USEC &&
            !bus_has_queued(b->bus, QUEUED_MAX))
                (void)admit(b);
        if (sd_bus_message_is_method_call(m, NULL, NULL) > 0 && is_expensive(m))
                return limit_call(b, m, error);
        return 0;
}
