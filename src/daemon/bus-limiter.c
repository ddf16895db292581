/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus-internal.h"

enum { CREDIT_PER_CALL = 1000000 };

static LimiterEntry *find_entry(Limiter *l, const char *sender, uint64_t now)
{
        LimiterEntry *oldest = &l->entries[0];

        for (size_t i = 0; i < LIMITER_SENDERS_MAX; i++) {
                LimiterEntry *e = &l->entries[i];

                if (streq(e->sender, sender))
                        return e;
                if (e->usec < oldest->usec)
                        oldest = e;
        }
        *oldest = (LimiterEntry){ .usec = now, .credit = LIMITER_BURST * CREDIT_PER_CALL };
        memcpy(oldest->sender, sender, strlen(sender) + 1);
        return oldest;
}

bool limiter_take(Limiter *l, const char *sender, unsigned cost, uint64_t now)
{
        const uint64_t full = (uint64_t)LIMITER_BURST * CREDIT_PER_CALL;
        const uint64_t price = MIN((uint64_t)cost * CREDIT_PER_CALL, full);
        LimiterEntry *e;

        /* No bus makes such names; one that does gets no expensive answers. */
        if (strlen(sender) >= sizeof(e->sender))
                return false;
        e = find_entry(l, sender, now);
        if (now > e->usec) {
                /* One microsecond earns as many millionths of a call as there are calls a second.
                 */
                uint64_t earned = MIN(now - e->usec, USEC_PER_SEC) * LIMITER_PER_SECOND;

                e->credit = MIN(e->credit + earned, full);
                e->usec = now;
        }
        if (e->credit < price)
                return false;
        e->credit -= price;
        return true;
}
