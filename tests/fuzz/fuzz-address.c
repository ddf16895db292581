/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Addresses: two lines, each of which is one or is not. */

#include "fuzz.h"
#include "model/address.h"

#include <strings.h>

static bool parse(const char *text, PciAddress *ret)
{
        PciAddress again;
        int r;

        r = pci_address_parse(text, ret);
        CHECK(r == 0 || r == -EINVAL);
        if (r < 0)
                return false;
        CHECK(ret->device < 32 && ret->function < 8);
        CHECK(pci_address_parse(PCI_ADDRESS_STR(ret), &again) == 0);
        CHECK(pci_address_equal(ret, &again) && again.domain == ret->domain);
        /* What was read is a spelling of what is printed. */
        CHECK(strchr(text, ':') != strrchr(text, ':') || ret->domain == 0);
        CHECK(strcasecmp(strrchr(text, ':') - 2, strrchr(PCI_ADDRESS_STR(ret), ':') - 2) == 0);
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *first = fuzz_line(&data, &size), *second = fuzz_line(&data, &size);
        PciAddress a, b;
        bool has_a = parse(first, &a), has_b = parse(second, &b);

        if (!has_a || !has_b)
                return 0;
        CHECK(pci_address_compare(&a, &b) == -pci_address_compare(&b, &a));
        CHECK(pci_address_equal(&a, &b) == streq(PCI_ADDRESS_STR(&a), PCI_ADDRESS_STR(&b)));
        return 0;
}
