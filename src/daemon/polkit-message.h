/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What polkit.c says to polkit and hears from it. */

#include "daemon/polkit.h"

/* Whether each of `checks`, with all its details, is one of `l`. */
bool check_list_covers(const CheckList *l, const CheckList *checks);

/* NULL if it has none of that name. */
const char *polkit_check_detail(const PolkitCheck *c, const char *key);

/* CheckAuthorization for the connection `sender`. `id` is what a cancellation names. */
_must_check_ int polkit_message_new_check(sd_bus *bus, const PolkitCheck *check, const char *sender,
                                          bool interactive, uint64_t id, sd_bus_message **ret);
_must_check_ int polkit_message_new_cancel(sd_bus *bus, uint64_t id, sd_bus_message **ret);

/* (is_authorized, is_challenge, details). Anything that is not exactly this is an error. */
_must_check_ int polkit_message_read_answer(sd_bus_message *reply, bool *ret_authorised,
                                            bool *ret_challenge);
