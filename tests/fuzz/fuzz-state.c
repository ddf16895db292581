/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The state file: as it is, and as the lines behind a first line whose checksum is right. */

#include "fuzz.h"
#include "sys/state.h"
#include "sys/sysfs.h"

#include <stdio.h>

#define BOOT "0123456789abcdef0123456789abcdef"

static void check_origin(const Origin *o)
{
        CHECK(o->address.device < 32 && o->address.function < 8 && o->num_vfs <= UINT16_MAX);
        CHECK(!o->driver || sysfs_name_is_valid(o->driver));
}

static bool origin_equal(const Origin *a, const Origin *b)
{
        const Identity *i = &a->identity, *k = &b->identity;

        return pci_address_equal(&a->address, &b->address) && i->vendor == k->vendor &&
               i->device == k->device && i->subvendor == k->subvendor &&
               i->subdevice == k->subdevice && i->has_serial == k->has_serial &&
               i->serial == k->serial && streq_ptr(i->topology, k->topology) &&
               streq_ptr(a->driver, b->driver) && streq_ptr(a->override, b->override) &&
               streq_ptr(a->intended, b->intended) && streq_ptr(a->rule, b->rule) &&
               a->implied == b->implied && a->has_mac == b->has_mac &&
               memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 && a->taken == b->taken &&
               a->counted == b->counted && a->num_vfs == b->num_vfs &&
               a->autoprobe_off == b->autoprobe_off;
}

static void check_round(const OriginTable *t)
{
        _cleanup_(origin_table_done) OriginTable again = { 0 };
        _cleanup_free_ char *text = NULL;

        CHECK(state_format(BOOT, t, &text) == 0);
        CHECK(state_parse(text, strlen(text), BOOT, &again, NULL) == 0);
        CHECK(again.n_origins == t->n_origins);
        for (size_t i = 0; i < t->n_origins; i++)
                CHECK(origin_equal(&t->origins[i], &again.origins[i]));
}

static void check_state(const char *text, size_t size)
{
        _cleanup_(origin_table_done) OriginTable t = { 0 };
        _cleanup_free_ char *error = NULL;
        int r = state_parse(text, size, BOOT, &t, &error);

        CHECK(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
        CHECK((r < 0) == (error != NULL) && (r == 0 || t.n_origins == 0));
        for (size_t i = 0; i < t.n_origins; i++) {
                check_origin(&t.origins[i]);
                CHECK(i == 0 ||
                      pci_address_compare(&t.origins[i - 1].address, &t.origins[i].address) < 0);
        }
        if (r == 0)
                check_round(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *body = fuzz_text(data, size), *text = NULL;
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        check_state((const char *)data, size);
        for (const char *s = body; *s; s++)
                hash = (hash ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
        CHECK(asprintf(&text, "vfiod-state 1 %016llx\n%s", (unsigned long long)hash, body) > 0);
        check_state(text, strlen(text));
        return 0;
}
