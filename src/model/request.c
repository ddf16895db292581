/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/request.h"
#include "basic/parse.h"

#include <stdio.h>

void request_table_done(RequestTable *t)
{
        for (size_t i = 0; i < t->n_requests; i++)
                free(t->requests[i].driver);
        free(t->requests);
        *t = (RequestTable){ 0 };
}

/* The first entry not below the address. */
static size_t request_position(const RequestTable *t, const PciAddress *address)
{
        return pci_address_position(t->requests, t->n_requests, sizeof(Request), address);
}

static Request *request_find(const RequestTable *t, const PciAddress *address)
{
        size_t i = t ? request_position(t, address) : 0;

        return t && i < t->n_requests && pci_address_equal(&t->requests[i].address, address)
                       ? &t->requests[i]
                       : NULL;
}

const Request *request_table_find(const RequestTable *t, const PciAddress *address)
{
        return request_find(t, address);
}

int request_table_put(RequestTable *t, const Request *r)
{
        Request *found = request_find(t, &r->address);
        _cleanup_free_ char *driver = NULL;
        size_t i;

        if (!r->release && r->target == TARGET_UNMANAGED && !r->counts) {
                request_table_remove(t, &r->address);
                return 0;
        }
        if (r->driver) {
                driver = strdup(r->driver);
                if (!driver)
                        return -ENOMEM;
        }
        if (found) {
                free(found->driver);
        } else {
                i = request_position(t, &r->address);
                if (!INSERT(t->requests, t->n_requests, i))
                        return -ENOMEM;
                found = &t->requests[i];
        }
        *found = *r;
        found->driver = TAKE_PTR(driver);
        return 0;
}

void request_table_remove(RequestTable *t, const PciAddress *address)
{
        Request *r = request_find(t, address);

        if (!r)
                return;
        free(r->driver);
        t->n_requests--;
        memmove(r, r + 1, (t->n_requests - (size_t)(r - t->requests)) * sizeof(Request));
}

int request_table_copy(const RequestTable *t, RequestTable *ret)
{
        _cleanup_(request_table_done) RequestTable copy = { 0 };
        int r;

        for (size_t i = 0; i < t->n_requests; i++) {
                r = request_table_put(&copy, &t->requests[i]);
                if (r < 0)
                        return r;
        }
        *ret = copy;
        copy = (RequestTable){ 0 };
        return 0;
}

static bool same_driver(const Request *a, const Request *b)
{
        return a->release == b->release && a->target == b->target &&
               streq_ptr(a->driver, b->driver);
}

static bool same_count(const Request *a, const Request *b)
{
        return a->counts == b->counts && a->num_vfs == b->num_vfs;
}

static bool same_card(const Request *a, const Request *b)
{
        return a->vendor == b->vendor && a->device == b->device;
}

int request_table_subtract(const RequestTable *t, const RequestTable *other, RequestTable *ret)
{
        _cleanup_(request_table_done) RequestTable rest = { 0 };
        int r = 0;

        for (size_t i = 0; i < t->n_requests && r >= 0; i++) {
                const Request *a = &t->requests[i], *b = request_find(other, &a->address);

                if (!b || !same_card(a, b) || !same_driver(a, b) || !same_count(a, b) ||
                    a->accept != b->accept)
                        r = request_table_put(&rest, a);
        }
        if (r < 0)
                return r;
        *ret = rest;
        rest = (RequestTable){ 0 };
        return 0;
}

void request_change_done(RequestChange *c)
{
        request_table_done(&c->before);
        request_table_done(&c->after);
}

int request_table_take_back(RequestTable *t, const PciAddress *address, unsigned parts,
                            const RequestChange *c)
{
        const Request none = { .address = *address }, *is = request_find(t, address),
                      *was = request_find(&c->before, address),
                      *asked = request_find(&c->after, address);
        bool driver, count;
        Request rest;
        int r;

        if ((!was && !asked) || (is && asked && !same_card(is, asked)))
                return 0;
        rest = is ? *is : was ? *was : none;
        is = is ? is : &none;
        was = was ? was : &none;
        asked = asked ? asked : &none;
        driver = (parts & REQUEST_DRIVER) && same_driver(is, asked);
        count = (parts & REQUEST_COUNT) && same_count(is, asked);
        rest.release = driver ? was->release : is->release;
        rest.target = driver ? was->target : is->target;
        rest.driver = driver ? was->driver : is->driver;
        rest.counts = count ? was->counts : is->counts;
        rest.num_vfs = count ? was->num_vfs : is->num_vfs;
        /* What was asked for since goes on with no more than it accepts itself. */
        if (driver || (count && same_driver(was, asked)))
                rest.accept = (is->accept & ~(asked->accept & ~was->accept)) |
                              (was->accept & ~asked->accept);
        r = request_table_put(t, &rest);
        return r < 0 ? r : 1;
}

int request_table_format(const RequestTable *t, char **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_requests; i++) {
                const Request *r = &t->requests[i];
                const char *target = target_kind_word(r->target, r->driver);

                fprintf(f, "%s %04x:%04x %s %s %x %s%u\n", PCI_ADDRESS_STR(&r->address), r->vendor,
                        r->device, r->release ? "release" : "bind", *target ? target : "-",
                        r->accept, r->counts ? "" : "-", r->num_vfs);
        }
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

static int parse_line(const char *line, RequestTable *t)
{
        _cleanup_strv_ char **words = NULL;
        Request request = { 0 };
        uint64_t accept, num_vfs;
        char junk;
        int r;

        r = strv_split(line, " ", &words);
        if (r < 0)
                return r;
        if (strv_length(words) != 6 || pci_address_parse(words[0], &request.address) < 0 ||
            sscanf(words[1], "%4hx:%4hx%c", &request.vendor, &request.device, &junk) != 2 ||
            parse_uint(words[4], 16, hazard_bit(_REASON_ACCEPTABLE_MAX) - 1, &accept) < 0)
                return -EBADMSG;
        request.accept = (HazardSet)accept;
        request.release = streq(words[2], "release");
        request.counts = words[5][0] != '-';
        if (parse_uint(words[5] + !request.counts, 10, VF_COUNT_MAX, &num_vfs) < 0)
                return -EBADMSG;
        request.num_vfs = (unsigned)num_vfs;
        if (!request.release && request.counts && streq(words[3], "-"))
                return streq(words[2], "bind") ? request_table_put(t, &request) : -EBADMSG;
        if (!request.release) {
                if (!streq(words[2], "bind") || target_kind_parse(words[3], &request.target) < 0)
                        return -EBADMSG;
                request.driver = request.target == TARGET_DRIVER ? words[3] : NULL;
        }
        return request_table_put(t, &request);
}

int request_table_parse(const char *text, RequestTable *ret)
{
        _cleanup_(request_table_done) RequestTable t = { 0 };
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = strv_split(text, "\n", &lines);
        if (r < 0)
                return r;
        STRV_FOREACH(l, lines) {
                r = parse_line(*l, &t);
                if (r < 0)
                        return r;
        }
        *ret = t;
        t = (RequestTable){ 0 };
        return 0;
}
