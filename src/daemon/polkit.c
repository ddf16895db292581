/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/polkit.h"
#include "basic/log.h"
#include "daemon/messages.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define POLKIT_SERVICE "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

enum { POLKIT_FLAG_ALLOW_USER_INTERACTION = 1 << 0 };

typedef struct Pending {
        Polkit *polkit;
        sd_bus_message *message;
        char id[32]; /* names our question when it is to be cancelled */
        CheckList wanted;
        size_t n_approved; /* of `wanted`, from its beginning */
        bool interactive;
        bool asking;  /* polkit has our question */
        bool has_uid; /* and so waits for polkit */
        uint32_t uid;
        bool approved; /* the handler runs again; nothing else makes polkit_authorize() say yes */
        sd_bus_slot *call;
        struct Pending *next;
} Pending;

struct Polkit {
        sd_bus *bus; /* weak */
        uint64_t deadline_usec;
        sd_bus_message_handler_t again;
        void *userdata;
        uint64_t last_id;
        uint64_t next_log_usec; /* denials are logged once a second */
        Pending *pending;
        size_t n_pending;
        sd_bus_slot *gone; /* tells who leaves the bus, while any call waits */
};

void check_list_done(CheckList *l)
{
        for (size_t i = 0; i < l->n_checks; i++)
                strv_free(l->checks[i].details);
        free(l->checks);
        *l = (CheckList){ 0 };
}

int check_list_add(CheckList *l, const char *action, char *const *details)
{
        char **copy;
        int r;

        if (!GROW(l->checks, l->n_checks))
                return -ENOMEM;
        r = strv_copy(details, &copy);
        if (r < 0)
                return r;
        l->checks[l->n_checks++] = (PolkitCheck){ .action = action, .details = copy };
        return 0;
}

static bool check_equal(const PolkitCheck *a, const PolkitCheck *b)
{
        return streq(a->action, b->action) && strv_equal(a->details, b->details);
}

/* Both lists come from one message: what has not changed is at the same place in both. */
static bool check_list_covers(const CheckList *approved, const CheckList *checks)
{
        if (checks->n_checks == 0 || checks->n_checks > approved->n_checks)
                return false;
        for (size_t i = 0; i < checks->n_checks; i++)
                if (!check_equal(&approved->checks[i], &checks->checks[i]))
                        return false;
        return true;
}

/* Takes an agent's dialogue off the screen. */
static void cancel_question(Pending *q)
{
        if (q->asking)
                (void)sd_bus_call_method_async(q->polkit->bus, NULL, POLKIT_SERVICE, POLKIT_PATH,
                                               POLKIT_INTERFACE, "CancelCheckAuthorization", NULL,
                                               NULL, "s", q->id);
        q->asking = false;
}

static void pending_free(Pending *q)
{
        for (Pending **l = &q->polkit->pending; *l; l = &(*l)->next)
                if (*l == q) {
                        *l = q->next;
                        q->polkit->n_pending--;
                        break;
                }
        cancel_question(q);
        if (q->polkit->n_pending == 0)
                q->polkit->gone = sd_bus_slot_unref(q->polkit->gone);
        sd_bus_slot_unref(q->call);
        check_list_done(&q->wanted);
        sd_bus_message_unref(q->message);
        free(q);
}

static Pending *find(const Polkit *p, const sd_bus_message *m)
{
        for (Pending *q = p->pending; q; q = q->next)
                if (q->message == m)
                        return q;
        return NULL;
}

int polkit_new(sd_bus *bus, uint64_t deadline_usec, sd_bus_message_handler_t again, void *userdata,
               Polkit **ret)
{
        Polkit *p = calloc(1, sizeof(Polkit));

        if (!p)
                return -ENOMEM;
        *p = (Polkit){
                .bus = bus, .deadline_usec = deadline_usec, .again = again, .userdata = userdata
        };
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
        free(p);
        return NULL;
}

/* The approval holds for this one run of the handler, whatever comes of it. */
static void approve(Pending *q)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = sd_bus_message_ref(q->message);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Polkit *p = q->polkit;
        int r;

        q->approved = true;
        r = sd_bus_message_rewind(m, true);
        if (r >= 0)
                r = p->again(m, p->userdata, &error);
        if (r < 0 || sd_bus_error_is_set(&error))
                (void)sd_bus_reply_method_errno(m, r, &error);
        q = find(p, m);
        if (q)
                pending_free(q);
}

/* The device that the question under way is about. */
static const char *pending_subject(const Pending *q)
{
        char **d =
                q->n_approved < q->wanted.n_checks ? q->wanted.checks[q->n_approved].details : NULL;

        for (; d && d[0] && d[1]; d += 2)
                if (streq(d[0], "address"))
                        return d[1];
        return NULL;
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
            sd_event_now(sd_bus_get_event(q->polkit->bus), CLOCK_MONOTONIC, &now) < 0 ||
            now < q->polkit->next_log_usec)
                return LOG_DEBUG;
        q->polkit->next_log_usec = now + USEC_PER_SEC;
        return LOG_NOTICE;
}

/* Answers the caller, and frees the entry. */
_printf_(3, 4) static void deny(Pending *q, const char *name, const char *format, ...)
{
        const char *subject = pending_subject(q);
        const LogFields fields = { .message_id = VFIOD_MESSAGE_DENIED, .device = subject };
        _cleanup_free_ char *why = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&why, format, ap) < 0)
                why = NULL;
        va_end(ap);
        log_full(denial_level(q, name), 0, &fields, "User %u: %s", q->uid, strempty(why));
        (void)sd_bus_reply_method_errorf(q->message, name, "%s%s%s", strempty(subject),
                                         subject ? ": " : "", why ? why : "not authorised");
        pending_free(q);
}

static bool uid_suffices(const Pending *q, const CheckList *checks)
{
        return q->has_uid && (q->uid == 0 || (checks->has_owner && checks->owner == q->uid));
}

/* (is_authorized, is_challenge, details). Anything that is not exactly this is an error. */
static int read_answer(sd_bus_message *reply, int *ret_authorised, int *ret_challenge)
{
        int r;

        if (!sd_bus_message_has_signature(reply, "(bba{ss})"))
                return -EBADMSG;
        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "bb", ret_authorised, ret_challenge);
        return r == 0 ? -EBADMSG : r;
}

static void ask_next(Pending *q);

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        int authorised = 0, challenge = 0;
        Pending *q = userdata;

        q->call = sd_bus_slot_unref(q->call);
        if (e) {
                /* That may be the deadline, and the question still be open. */
                deny(q, SD_BUS_ERROR_ACCESS_DENIED,
                     "not authorised for %s: no answer from polkit: %s (look at polkit.service, or "
                     "run this as root)",
                     pending_action(q), e->message ? e->message : e->name);
                return 0;
        }
        q->asking = false;
        if (read_answer(reply, &authorised, &challenge) < 0)
                deny(q, SD_BUS_ERROR_ACCESS_DENIED,
                     "not authorised for %s: polkit's answer makes no sense (run this as root)",
                     pending_action(q));
        else if (authorised) {
                q->n_approved++;
                ask_next(q);
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

static int append_details(sd_bus_message *m, char **details)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (char **d = details; r >= 0 && d && d[0] && d[1]; d += 2)
                r = sd_bus_message_append(m, "{ss}", d[0], d[1]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int ask(Pending *q, const PolkitCheck *check)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        uint32_t flags = q->interactive ? POLKIT_FLAG_ALLOW_USER_INTERACTION : 0;
        int r;

        r = sd_bus_message_new_method_call(q->polkit->bus, &m, POLKIT_SERVICE, POLKIT_PATH,
                                           POLKIT_INTERFACE, "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s",
                                          sd_bus_message_get_sender(q->message), check->action);
        if (r >= 0)
                r = append_details(m, check->details);
        if (r >= 0)
                r = sd_bus_message_append(m, "us", flags, q->id);
        if (r >= 0)
                r = sd_bus_call_async(q->polkit->bus, &q->call, m, on_answer, q,
                                      q->polkit->deadline_usec);
        if (r >= 0)
                q->asking = true;
        return r;
}

/* The next question, or the handler's turn when all have been answered. May free the entry. */
static void ask_next(Pending *q)
{
        int r;

        if (q->n_approved == q->wanted.n_checks) {
                approve(q);
                return;
        }
        r = ask(q, &q->wanted.checks[q->n_approved]);
        if (r < 0)
                deny(q, SD_BUS_ERROR_ACCESS_DENIED,
                     "not authorised for %s: cannot ask polkit: %s (run this as root)",
                     pending_action(q), strerror(-r));
}

/* Only calls that polkit decides count: a flood of them must not lock out the administrator. */
static bool is_full(const Pending *asking)
{
        const char *sender = sd_bus_message_get_sender(asking->message);
        size_t n = 0, n_sender = 0, n_user = 0;

        for (const Pending *q = asking->polkit->pending; q; q = q->next)
                if (q != asking && q->has_uid) {
                        n++;
                        n_user += q->uid == asking->uid;
                        n_sender += streq_ptr(sd_bus_message_get_sender(q->message), sender);
                }
        return n >= POLKIT_PENDING_MAX || n_user >= POLKIT_PENDING_PER_USER_MAX ||
               n_sender >= POLKIT_PENDING_PER_SENDER_MAX;
}

static int on_uid(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Pending *q = userdata;

        q->call = sd_bus_slot_unref(q->call);
        if (sd_bus_message_is_method_error(reply, NULL) ||
            sd_bus_message_read(reply, "u", &q->uid) <= 0 || q->uid == UINT32_MAX) {
                deny(q, SD_BUS_ERROR_ACCESS_DENIED,
                     "not authorised for %s: the bus does not say who asks", pending_action(q));
                return 0;
        }
        q->has_uid = true;
        if (uid_suffices(q, &q->wanted))
                approve(q);
        else if (is_full(q))
                deny(q, SD_BUS_ERROR_LIMITS_EXCEEDED,
                     "too many calls wait for authorisation (try again when earlier ones have "
                     "been answered)");
        else
                ask_next(q);
        return 0;
}

/* Who has left the bus is nobody to answer and nobody to act for. */
static int on_gone(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name;
        Polkit *p = userdata;

        if (sd_bus_message_read(m, "s", &name) <= 0)
                return 0;
        for (Pending *q = p->pending, *next; q; q = next) {
                next = q->next;
                if (streq_ptr(sd_bus_message_get_sender(q->message), name))
                        pending_free(q);
        }
        return 0;
}

/* Without the match nobody could be acted for. */
static int on_match_installed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Polkit *p = userdata;

        while (sd_bus_message_is_method_error(m, NULL) && p->pending)
                deny(p->pending, SD_BUS_ERROR_ACCESS_DENIED,
                     "not authorised: the bus does not tell who leaves it (try again)");
        return 0;
}

/* In this order: who leaves after the bus was asked for its uid is known to have left. */
static int start(Pending *q)
{
        Polkit *p = q->polkit;
        int r = 0;

        if (!p->gone)
                r = sd_bus_add_match_async(
                        p->bus, &p->gone,
                        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''",
                        on_gone, on_match_installed, p);
        return r < 0 ? r
                     : sd_bus_call_method_async(p->bus, &q->call, "org.freedesktop.DBus",
                                                "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                                "GetConnectionUnixUser", on_uid, q, "s",
                                                sd_bus_message_get_sender(q->message));
}

static int begin(Polkit *p, sd_bus_message *m, CheckList *checks, sd_bus_error *error)
{
        Pending *q;
        int r;

        if (isempty(sd_bus_message_get_sender(m)) || checks->n_checks == 0)
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
                        .wanted = *checks,
                        .interactive = sd_bus_message_get_allow_interactive_authorization(m) > 0,
                        .uid = UINT32_MAX,
                        .next = p->pending };
        snprintf(q->id, sizeof(q->id), "vfiod-%" PRIu64, ++p->last_id);
        *checks = (CheckList){ 0 };
        p->pending = q;
        p->n_pending++;
        r = start(q);
        if (r < 0)
                pending_free(q);
        return r < 0 ? r : 0;
}

int polkit_authorize(Polkit *p, sd_bus_message *m, CheckList *checks, uint32_t *ret_uid,
                     sd_bus_error *error)
{
        Pending *q = find(p, m);
        uint32_t uid;
        bool allowed;

        if (!q)
                return begin(p, m, checks, error);
        uid = q->uid;
        allowed = q->approved &&
                  (uid_suffices(q, checks) ||
                   (q->n_approved == q->wanted.n_checks && check_list_covers(&q->wanted, checks)));
        pending_free(q);
        if (!allowed)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "The devices changed while authorisation was asked for, "
                                        "try again");
        *ret_uid = uid;
        return 1;
}
