/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/address.h"
#include "basic/parse.h"

/* Reads hexadecimal digits up to `end` and steps over it. */
static int parse_part(const char **s, char end, size_t min, size_t max, uint64_t limit,
                      uint64_t *ret)
{
        char digits[9];
        size_t n = strcspn(*s, ":.");
        int r;

        if ((*s)[n] != end || n < min || n > max)
                return -EINVAL;
        memcpy(digits, *s, n);
        digits[n] = 0;
        r = parse_uint(digits, 16, limit, ret);
        if (r < 0)
                return -EINVAL;
        *s += end ? n + 1 : n;
        return 0;
}

int pci_address_parse(const char *s, PciAddress *ret)
{
        uint64_t domain = 0, bus, device, function;
        const char *colon = strchr(s, ':');

        if (!colon)
                return -EINVAL;
        if (strchr(colon + 1, ':') && parse_part(&s, ':', 4, 8, UINT32_MAX, &domain) < 0)
                return -EINVAL;
        if (parse_part(&s, ':', 2, 2, UINT8_MAX, &bus) < 0 ||
            parse_part(&s, '.', 2, 2, 0x1f, &device) < 0 ||
            parse_part(&s, 0, 1, 1, 7, &function) < 0)
                return -EINVAL;
        *ret = (PciAddress){ (uint32_t)domain, (uint8_t)bus, (uint8_t)device, (uint8_t)function };
        return 0;
}

size_t pci_address_position(const void *entries, size_t n, size_t size, const PciAddress *a)
{
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const PciAddress *entry = (const void *)((const char *)entries + middle * size);

                if (pci_address_compare(entry, a) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

const char *pci_address_format(const PciAddress *a, char buffer[static PCI_ADDRESS_SIZE])
{
        char *p = format_hex(buffer, a->domain, 4);

        /* Not by snprintf(): this is done for each device at each look. */
        *p++ = ':';
        p = format_hex(p, a->bus, 2);
        *p++ = ':';
        p = format_hex(p, a->device, 2);
        *p++ = '.';
        *format_hex(p, a->function, 1) = 0;
        return buffer;
}
