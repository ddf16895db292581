/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/polkit-message.h"

#include <inttypes.h>
#include <stdio.h>

#define POLKIT_SERVICE "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

enum {
        POLKIT_FLAG_ALLOW_USER_INTERACTION = 1 << 0,
};

void check_list_done(CheckList *l)
{
        for (size_t i = 0; i < l->n_checks; i++)
                strv_free(l->checks[i].details);
        free(l->checks);
        *l = (CheckList){ 0 };
}

int check_list_add(CheckList *l, const char *action, char **details)
{
        PolkitCheck *grown = reallocarray(l->checks, l->n_checks + 1, sizeof(PolkitCheck));

        if (!grown)
                return -ENOMEM;
        l->checks = grown;
        l->checks[l->n_checks++] = (PolkitCheck){ .action = action, .details = details };
        return 0;
}

const char *polkit_check_detail(const PolkitCheck *c, const char *key)
{
        for (char **d = c->details; d && d[0] && d[1]; d += 2)
                if (streq(d[0], key))
                        return d[1];
        return NULL;
}

static bool check_equal(const PolkitCheck *a, const PolkitCheck *b)
{
        return streq(a->action, b->action) && strv_equal(a->details, b->details);
}

/* Both lists come from one message, so a check is nearly always at the same place in both. */
static bool check_list_contains(const CheckList *l, size_t hint, const PolkitCheck *c)
{
        if (hint < l->n_checks && check_equal(&l->checks[hint], c))
                return true;
        for (size_t i = 0; i < l->n_checks; i++)
                if (check_equal(&l->checks[i], c))
                        return true;
        return false;
}

bool check_list_covers(const CheckList *l, const CheckList *checks)
{
        for (size_t i = 0; i < checks->n_checks; i++)
                if (!check_list_contains(l, i, &checks->checks[i]))
                        return false;
        return true;
}

static int append_details(sd_bus_message *m, char **details)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{ss}");
        if (r < 0)
                return r;
        for (char **d = details; d && d[0] && d[1]; d += 2) {
                r = sd_bus_message_append(m, "{ss}", d[0], d[1]);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

static int new_call(sd_bus *bus, const char *member, sd_bus_message **ret)
{
        return sd_bus_message_new_method_call(bus, ret, POLKIT_SERVICE, POLKIT_PATH,
                                              POLKIT_INTERFACE, member);
}

/* polkit keeps such ids apart by the connection they come on. */
static int append_id(sd_bus_message *m, uint64_t id)
{
        char text[32];

        snprintf(text, sizeof(text), "vfiod-%" PRIu64, id);
        return sd_bus_message_append(m, "s", text);
}

int polkit_message_new_check(sd_bus *bus, const PolkitCheck *check, const char *sender,
                             bool interactive, uint64_t id, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        uint32_t flags = interactive ? POLKIT_FLAG_ALLOW_USER_INTERACTION : 0;
        int r;

        r = new_call(bus, "CheckAuthorization", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", sender,
                                  check->action);
        if (r < 0)
                return r;
        r = append_details(m, check->details);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "u", flags);
        if (r < 0)
                return r;
        r = append_id(m, id);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int polkit_message_new_cancel(sd_bus *bus, uint64_t id, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_call(bus, "CancelCheckAuthorization", &m);
        if (r < 0)
                return r;
        r = append_id(m, id);
        if (r < 0)
                return r;
        r = sd_bus_message_set_expect_reply(m, false);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int polkit_message_read_answer(sd_bus_message *reply, bool *ret_authorised, bool *ret_challenge)
{
        int authorised = 0, challenge = 0, r;

        if (!sd_bus_message_has_signature(reply, "(bba{ss})"))
                return -EBADMSG;
        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "bb", &authorised, &challenge);
        if (r < 0)
                return r;
        if (r == 0)
                return -EBADMSG;
        *ret_authorised = authorised;
        *ret_challenge = challenge;
        return 0;
}
