/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/polkit.h"
#include "basic/log.h"
#include "daemon/messages.h"
#include "daemon/polkit-message.h"

#include <stdarg.h>
#include <stdio.h>

/* A verdict whose message is not dispatched again (its object has gone) is dropped after this. */
#define DECIDED_LINGER_USEC (10 * USEC_PER_SEC)

/* The zero is the "no": an entry that nobody decided denies. */
typedef enum Verdict {
        VERDICT_DENIED,
        VERDICT_APPROVED,
} Verdict;

typedef struct Pending {
        Polkit *polkit;
        sd_bus_message *message;
        uint64_t id;
        CheckList wanted;
        size_t n_approved; /* of `wanted`, from its beginning */
        unsigned rounds;
        bool interactive;
        bool has_uid;
        uint32_t uid;
        bool counted; /* against the limits, since polkit has to be asked */
        bool asking;  /* polkit has our question */
        bool decided;
        Verdict verdict;
        sd_bus_error error;
        sd_bus_slot *call;
        sd_bus_slot *gone;
        sd_event_source *deadline;
        struct Pending *next;
} Pending;

struct Polkit {
        sd_bus *bus; /* weak */
        sd_event *event;
        uint64_t deadline_usec, interactive_deadline_usec;
        uint64_t last_id;
        uint64_t next_log_usec; /* denials are logged once a second */
        Pending *pending;
        size_t n_pending;
};

/*
 * The bus owns the slots of pending calls and matches (they float), so that they never keep it
 * alive; a second reference lets us take them back.
 */
static sd_bus_slot *slot_drop(sd_bus_slot *s)
{
        if (s) {
                (void)sd_bus_slot_set_floating(s, false);
                sd_bus_slot_unref(s);
        }
        return NULL;
}

static int slot_float(sd_bus_slot *s)
{
        return sd_bus_slot_set_floating(s, true);
}

/* Takes an agent's dialogue off the screen. */
static void cancel_question(Pending *q)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        if (!q->asking)
                return;
        q->asking = false;
        if (polkit_message_new_cancel(q->polkit->bus, q->id, &m) >= 0)
                (void)sd_bus_send(q->polkit->bus, m, NULL);
}

static Pending *pending_free(Pending *q)
{
        Polkit *p = q->polkit;

        for (Pending **l = &p->pending; *l; l = &(*l)->next)
                if (*l == q) {
                        *l = q->next;
                        p->n_pending--;
                        break;
                }
        cancel_question(q);
        slot_drop(q->call);
        slot_drop(q->gone);
        sd_event_source_disable_unref(q->deadline);
        sd_bus_error_free(&q->error);
        check_list_done(&q->wanted);
        sd_bus_message_unref(q->message);
        free(q);
        return NULL;
}

int polkit_new(sd_bus *bus, sd_event *event, uint64_t deadline_usec,
               uint64_t interactive_deadline_usec, Polkit **ret)
{
        Polkit *p = calloc(1, sizeof(Polkit));

        if (!p)
                return -ENOMEM;
        *p = (Polkit){ .bus = bus,
                       .event = sd_event_ref(event),
                       .deadline_usec = deadline_usec,
                       .interactive_deadline_usec = interactive_deadline_usec };
        *ret = p;
        return 0;
}

void polkit_drop_all(Polkit *p)
{
        while (p->pending)
                pending_free(p->pending);
}

Polkit *polkit_free(Polkit *p)
{
        if (!p)
                return NULL;
        polkit_drop_all(p);
        sd_event_unref(p->event);
        free(p);
        return NULL;
}

/* Lets the handler run again with what has been found. May free the entry. */
static void decide(Pending *q, Verdict verdict)
{
        int r;

        q->asking = false;
        q->call = slot_drop(q->call);
        q->decided = true;
        q->verdict = verdict;
        r = sd_event_source_set_time_relative(q->deadline, DECIDED_LINGER_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(q->deadline, SD_EVENT_ONESHOT);
        if (r >= 0)
                r = sd_bus_message_rewind(q->message, true);
        if (r >= 0)
                r = sd_bus_enqueue_for_read(q->polkit->bus, q->message);
        if (r >= 0)
                return;
        (void)sd_bus_reply_method_errorf(q->message, SD_BUS_ERROR_ACCESS_DENIED,
                                         "Authorisation failed inside vfiod, try again");
        pending_free(q);
}

/* The device that the question under way is about, as the front of a message. */
static const char *pending_subject(const Pending *q)
{
        return q->n_approved < q->wanted.n_checks
                       ? polkit_check_detail(&q->wanted.checks[q->n_approved], "address")
                       : NULL;
}

static const char *pending_action(const Pending *q)
{
        return q->n_approved < q->wanted.n_checks ? q->wanted.checks[q->n_approved].action
                                                  : "this call";
}

/*
 * A challenge is no denial: the caller may come again and let a person be asked. A caller cannot
 * fill the journal, and one that has gone leaves no trace there.
 */
static int denial_level(Pending *q, const char *name)
{
        uint64_t now;

        if (!q->has_uid || !streq(name, SD_BUS_ERROR_ACCESS_DENIED) ||
            sd_event_now(q->polkit->event, CLOCK_MONOTONIC, &now) < 0 ||
            now < q->polkit->next_log_usec)
                return LOG_DEBUG;
        q->polkit->next_log_usec = now + USEC_PER_SEC;
        return LOG_NOTICE;
}

static void log_denial(Pending *q, const char *name, const char *why)
{
        const LogFields fields = { .message_id = VFIOD_MESSAGE_DENIED,
                                   .device = pending_subject(q) };

        log_full(denial_level(q, name), 0, &fields, "User %u: %s", q->uid, why);
}

_printf_(3, 4) static void deny(Pending *q, const char *name, const char *format, ...)
{
        _cleanup_free_ char *why = NULL;
        const char *subject = pending_subject(q);
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&why, format, ap) < 0)
                why = NULL;
        va_end(ap);
        log_denial(q, name, strempty(why));
        sd_bus_error_free(&q->error);
        sd_bus_error_setf(&q->error, name, "%s%s%s", strempty(subject), subject ? ": " : "",
                          why ? why : "not authorised");
        decide(q, VERDICT_DENIED);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
        Pending *q = userdata;

        if (q->decided) {
                pending_free(q);
                return 0;
        }
        cancel_question(q);
        deny(q, SD_BUS_ERROR_ACCESS_DENIED,
             "not authorised for %s: no answer from polkit in time (look at polkit.service, or "
             "run this as root)",
             pending_action(q));
        return 0;
}

static int arm_deadline(Pending *q)
{
        const Polkit *p = q->polkit;
        uint64_t usec = q->interactive ? p->interactive_deadline_usec : p->deadline_usec;
        int r;

        if (!q->deadline)
                return sd_event_add_time_relative(p->event, &q->deadline, CLOCK_MONOTONIC, usec,
                                                  USEC_PER_MSEC, on_deadline, q);
        r = sd_event_source_set_time_relative(q->deadline, usec);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(q->deadline, SD_EVENT_ONESHOT);
}

static bool uid_suffices(const Pending *q, const CheckList *checks)
{
        return q->has_uid && (q->uid == 0 || (checks->has_owner && checks->owner == q->uid));
}

static int ask_next(Pending *q);

static void ask_next_or_deny(Pending *q)
{
        int r = ask_next(q);

        if (r < 0)
                deny(q, SD_BUS_ERROR_ACCESS_DENIED,
                     "not authorised for %s: cannot ask polkit: %s (run this as root)",
                     pending_action(q), strerror(-r));
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Pending *q = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        bool authorised = false, challenge = false;

        q->asking = false;
        q->call = slot_drop(q->call);
        if (e)
                deny(q, SD_BUS_ERROR_ACCESS_DENIED,
                     "not authorised for %s: polkit cannot be asked: %s (start polkit.service, or "
                     "run this as root)",
                     pending_action(q), e->message ? e->message : e->name);
        else if (polkit_message_read_answer(reply, &authorised, &challenge) < 0)
                deny(q, SD_BUS_ERROR_ACCESS_DENIED,
                     "not authorised for %s: polkit's answer makes no sense (run this as root)",
                     pending_action(q));
        else if (authorised) {
                q->n_approved++;
                ask_next_or_deny(q);
        } else if (challenge && !q->interactive)
                deny(q, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                     "%s needs a password (allow interactive authorisation, or run this as root)",
                     pending_action(q));
        else
                deny(q, SD_BUS_ERROR_ACCESS_DENIED,
                     "not authorised for %s (ask an administrator, or run this as root)",
                     pending_action(q));
        return 0;
}

/* The next question, or the handler's turn when all have been answered. */
static int ask_next(Pending *q)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (q->n_approved == q->wanted.n_checks) {
                decide(q, VERDICT_APPROVED);
                return 0;
        }
        r = polkit_message_new_check(q->polkit->bus, &q->wanted.checks[q->n_approved],
                                     sd_bus_message_get_sender(q->message), q->interactive, q->id,
                                     &m);
        if (r < 0)
                return r;
        r = arm_deadline(q);
        if (r < 0)
                return r;
        /* Our own timer is the only deadline: it knows whether a person is being asked. */
        r = sd_bus_call_async(q->polkit->bus, &q->call, m, on_answer, q, UINT64_MAX);
        if (r < 0)
                return r;
        q->asking = true;
        return slot_float(q->call);
}

/* Only calls that polkit decides count: a flood of them must not lock out the administrator. */
static bool is_full(const Polkit *p, const char *sender)
{
        size_t n = 0, n_sender = 0;

        for (const Pending *q = p->pending; q; q = q->next) {
                if (!q->counted)
                        continue;
                n++;
                if (streq_ptr(sd_bus_message_get_sender(q->message), sender))
                        n_sender++;
        }
        return n >= POLKIT_PENDING_MAX || n_sender >= POLKIT_PENDING_PER_SENDER_MAX;
}

static int on_uid(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Pending *q = userdata;
        uint32_t uid = UINT32_MAX;

        q->call = slot_drop(q->call);
        if (sd_bus_message_is_method_error(reply, NULL) ||
            sd_bus_message_read(reply, "u", &uid) <= 0 || uid == UINT32_MAX) {
                deny(q, SD_BUS_ERROR_ACCESS_DENIED,
                     "not authorised for %s: the bus does not say who asks", pending_action(q));
                return 0;
        }
        q->uid = uid;
        q->has_uid = true;
        if (uid_suffices(q, &q->wanted))
                decide(q, VERDICT_APPROVED);
        else if (is_full(q->polkit, sd_bus_message_get_sender(q->message)))
                deny(q, SD_BUS_ERROR_LIMITS_EXCEEDED,
                     "too many calls wait for authorisation (try again when earlier ones have "
                     "been answered)");
        else {
                q->counted = true;
                ask_next_or_deny(q);
        }
        return 0;
}

/* The caller has left the bus: nobody to answer, nobody to act for. */
static int on_gone(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *before, *after;

        if (sd_bus_message_read(m, "sss", &name, &before, &after) > 0 && isempty(after))
                pending_free(userdata);
        return 0;
}

/* Without the match a caller that goes is noticed by the bus's or polkit's error answer. */
static int on_match_installed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return 0;
}

static int watch_caller(Pending *q, const char *sender)
{
        char match[512];
        int n, r;

        n = snprintf(match, sizeof(match),
                     "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                     "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='%s'",
                     sender);
        if (n < 0 || (size_t)n >= sizeof(match))
                return -ENAMETOOLONG;
        r = sd_bus_add_match_async(q->polkit->bus, &q->gone, match, on_gone, on_match_installed, q);
        if (r < 0)
                return r;
        return slot_float(q->gone);
}

static int start(Pending *q, const char *sender)
{
        int r;

        r = arm_deadline(q);
        if (r < 0)
                return r;
        r = watch_caller(q, sender);
        if (r < 0)
                return r;
        r = sd_bus_call_method_async(q->polkit->bus, &q->call, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                     "GetConnectionUnixUser", on_uid, q, "s", sender);
        if (r < 0)
                return r;
        return slot_float(q->call);
}

static int begin(Polkit *p, sd_bus_message *m, CheckList *checks, sd_bus_error *error)
{
        const char *sender = sd_bus_message_get_sender(m);
        Pending *q;
        int r;

        if (isempty(sender) || (checks->n_checks == 0 && !checks->has_owner))
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "Nobody may do this: there is nothing to authorise it by");
        if (p->n_pending >= POLKIT_CALLERS_MAX)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many calls wait for authorisation, try again when "
                                        "earlier ones have been answered");
        q = calloc(1, sizeof(Pending));
        if (!q)
                return -ENOMEM;
        *q = (Pending){ .polkit = p,
                        .message = sd_bus_message_ref(m),
                        .id = ++p->last_id,
                        .wanted = *checks,
                        .rounds = 1,
                        .interactive = sd_bus_message_get_allow_interactive_authorization(m) > 0,
                        .uid = UINT32_MAX,
                        .next = p->pending };
        *checks = (CheckList){ 0 };
        p->pending = q;
        p->n_pending++;
        r = start(q, sender);
        if (r < 0)
                pending_free(q);
        return r < 0 ? r : 0;
}

static Pending *find(const Polkit *p, const sd_bus_message *m)
{
        for (Pending *q = p->pending; q; q = q->next)
                if (q->message == m)
                        return q;
        return NULL;
}

/* What is to be done has changed while others were asked: they are asked about what it is now. */
static int another_round(Pending *q, CheckList *checks, sd_bus_error *error)
{
        int r;

        if (checks->n_checks == 0 || q->rounds >= POLKIT_ROUNDS_MAX) {
                pending_free(q);
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "The devices changed while authorisation was asked for, "
                                        "try again");
        }
        check_list_done(&q->wanted);
        q->wanted = *checks;
        *checks = (CheckList){ 0 };
        q->n_approved = 0;
        q->rounds++;
        q->decided = false;
        q->verdict = VERDICT_DENIED;
        r = ask_next(q);
        if (r < 0)
                pending_free(q);
        return r < 0 ? r : 0;
}

int polkit_authorize(Polkit *p, sd_bus_message *m, CheckList *checks, uint32_t *ret_uid,
                     sd_bus_error *error)
{
        Pending *q = find(p, m);
        bool approved;
        uint32_t uid;
        int r;

        if (!q)
                return begin(p, m, checks, error);
        if (!q->decided || q->verdict != VERDICT_APPROVED) {
                r = sd_bus_error_is_set(&q->error)
                            ? sd_bus_error_copy(error, &q->error)
                            : sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Not authorised");
                pending_free(q);
                return r < 0 ? r : -EACCES;
        }
        approved = checks->n_checks > 0 && q->n_approved == q->wanted.n_checks &&
                   check_list_covers(&q->wanted, checks);
        if (!approved && !uid_suffices(q, checks))
                return another_round(q, checks, error);
        uid = q->uid;
        pending_free(q);
        *ret_uid = uid;
        return 1;
}
