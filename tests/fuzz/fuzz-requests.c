/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The requests of this boot. */

#include "fuzz.h"
#include "model/request.h"

static void check_request(const Request *q)
{
        TargetKind kind;

        CHECK(q->address.device < 32 && q->address.function < 8);
        CHECK(q->num_vfs <= VF_COUNT_MAX && q->accept < hazard_bit(_REASON_ACCEPTABLE_MAX));
        CHECK((q->target == TARGET_DRIVER) == (q->driver != NULL));
        CHECK(!q->driver || (target_kind_parse(q->driver, &kind) == 0 && kind == TARGET_DRIVER));
}

static bool request_equal(const Request *a, const Request *b)
{
        return pci_address_equal(&a->address, &b->address) && a->vendor == b->vendor &&
               a->device == b->device && a->release == b->release && a->target == b->target &&
               streq_ptr(a->driver, b->driver) && a->accept == b->accept &&
               a->counts == b->counts && a->num_vfs == b->num_vfs;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(request_table_done) RequestTable t = { 0 }, again = { 0 };
        _cleanup_free_ char *text = fuzz_text(data, size), *written = NULL;
        int r = request_table_parse(text, &t);

        CHECK(r == 0 || r == -EBADMSG);
        if (r < 0)
                return 0;
        for (size_t i = 0; i < t.n_requests; i++) {
                check_request(&t.requests[i]);
                CHECK(i == 0 ||
                      pci_address_compare(&t.requests[i - 1].address, &t.requests[i].address) < 0);
        }
        CHECK(request_table_format(&t, &written) == 0);
        CHECK(request_table_parse(written, &again) == 0 && again.n_requests == t.n_requests);
        for (size_t i = 0; i < t.n_requests; i++)
                CHECK(request_equal(&t.requests[i], &again.requests[i]));
        return 0;
}
