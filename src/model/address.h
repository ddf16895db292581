/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PCI addresses: domain:bus:device.function. */

#include "basic/macro.h"

typedef struct PciAddress {
        uint32_t domain; /* VMD and arm64 use more than 16 bits */
        uint8_t bus;
        uint8_t device;
        uint8_t function;
} PciAddress;

enum { PCI_ADDRESS_SIZE = 24 }; /* text with its NUL */

/* Long (0000:41:00.0) or short (41:00.0, domain 0000) form. -EINVAL otherwise. */
_must_check_ int pci_address_parse(const char *s, PciAddress *ret);

/* The kernel's name, lower case, at least four digits of domain. Returns buffer. */
const char *pci_address_format(const PciAddress *a, char buffer[static PCI_ADDRESS_SIZE]);

/* Valid until the end of the enclosing block. */
#define PCI_ADDRESS_STR(a) pci_address_format(a, (char[PCI_ADDRESS_SIZE]){ 0 })

/* All of it in one number, in the order of addresses. */
static inline uint64_t pci_address_key(const PciAddress *a)
{
        return (uint64_t)a->domain << 24 | (uint64_t)a->bus << 16 | (uint64_t)a->device << 8 |
               a->function;
}

static inline int pci_address_compare(const PciAddress *a, const PciAddress *b)
{
        uint64_t x = pci_address_key(a), y = pci_address_key(b);

        return x < y ? -1 : x > y;
}

/*
 * The index of the first entry that is not below the address. The entries are sorted, each is
 * `size` bytes and begins with its address.
 */
size_t pci_address_position(const void *entries, size_t n, size_t size, const PciAddress *a);

/* For qsort() and bsearch(). */
static inline int pci_address_compare_void(const void *a, const void *b)
{
        return pci_address_compare(a, b);
}

static inline bool pci_address_equal(const PciAddress *a, const PciAddress *b)
{
        return pci_address_compare(a, b) == 0;
}
