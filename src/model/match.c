/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/match.h"
#include "basic/parse.h"

#include <fnmatch.h>
#include <stdio.h>

static const char *host_driver(const Device *d, const Origin *origin)
{
        if (origin && origin->driver)
                return origin->driver;
        return d->driver_is_vfio ? NULL : d->driver;
}

static const char *format_bytes(char *buffer, const uint8_t *bytes, size_t n, char between)
{
        char *p = buffer;

        for (size_t i = 0; i < n; i++) {
                p = format_hex(p, bytes[i], 2);
                *p++ = i + 1 < n ? between : 0;
        }
        return buffer;
}

static const char *format_pair(char *buffer, unsigned a, unsigned b)
{
        char *p = format_hex(buffer, a, 4);

        *p++ = ':';
        *format_hex(p, b, 4) = 0;
        return buffer;
}

static const char *mac_value(const Device *d, const Origin *origin, char *buffer)
{
        const uint8_t *mac = d->has_mac ? d->mac : origin && origin->has_mac ? origin->mac : NULL;

        if (!mac)
                return NULL;
        return format_bytes(buffer, mac, 6, ':');
}

/* A read that failed must not make a device taken by its number look like another one. */
static const char *serial_value(const Device *d, const Origin *origin, char *buffer)
{
        uint64_t s = d->has_serial ? d->serial : origin ? origin->identity.serial : 0;
        uint8_t bytes[8];

        if (!d->has_serial && !(origin && origin->identity.has_serial))
                return NULL;
        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)(s >> (56 - i * 8));
        return format_bytes(buffer, bytes, sizeof(bytes), '-');
}

const char *match_value(MatchKey key, const Device *d, const Origin *origin,
                        char buffer[static MATCH_VALUE_SIZE])
{
        switch (key) {
        case MATCH_ADDRESS:
                return pci_address_format(&d->address, buffer);
        case MATCH_ID:
                return format_pair(buffer, d->vendor, d->device);
        case MATCH_SUBSYSTEM_ID:
                return format_pair(buffer, d->subvendor, d->subdevice);
        case MATCH_CLASS:
                *format_hex(buffer, d->class, 6) = 0;
                return buffer;
        case MATCH_DRIVER:
                return host_driver(d, origin);
        case MATCH_PATH: /* udev's ID_PATH of a PCI function, by its path_id builtin */
                memcpy(buffer, "pci-", 4);
                pci_address_format(&d->address, buffer + 4);
                return buffer;
        case MATCH_SLOT:
                return d->slot;
        case MATCH_SERIAL_NUMBER:
                return serial_value(d, origin, buffer);
        case MATCH_MAC_ADDRESS:
                return mac_value(d, origin, buffer);
        case MATCH_PHYSICAL_FUNCTION:
                return d->is_vf ? pci_address_format(&d->pf, buffer) : NULL;
        case MATCH_VIRTUAL_FUNCTION:
                if (d->vf_index < 0)
                        return NULL;
                snprintf(buffer, MATCH_VALUE_SIZE, "%d", d->vf_index);
                return buffer;
        case MATCH_NUMA_NODE:
                snprintf(buffer, MATCH_VALUE_SIZE, "%d", d->numa_node);
                return buffer;
        default:
                return NULL;
        }
}

/* "0-3" or "6" against an index; the parser let only such words through. */
static bool index_in_range(const char *pattern, const char *value)
{
        unsigned first, last;
        int n = sscanf(pattern, "%u-%u", &first, &last);
        unsigned v = (unsigned)strtoul(value, NULL, 10);

        return n == 2 ? v >= first && v <= last : n == 1 && v == first;
}

static bool pattern_matches(MatchKey key, const char *pattern, const char *value)
{
        if (key == MATCH_VIRTUAL_FUNCTION)
                return index_in_range(pattern, value);
        if (key == MATCH_CLASS && !strpbrk(pattern, "*?["))
                return startswith(value, pattern);
        if (!strpbrk(pattern, "*?[\\"))
                return streq(pattern, value);
        return fnmatch(pattern, value, 0) == 0;
}

static bool key_matches(MatchKey key, char **patterns, const Device *d, const Origin *origin)
{
        char buffer[MATCH_VALUE_SIZE];
        const char *value = match_value(key, d, origin, buffer);
        bool any_positive = false, matched = false;

        STRV_FOREACH(p, patterns) {
                bool negated = (*p)[0] == '!';

                if (negated && value && pattern_matches(key, *p + 1, value))
                        return false;
                if (negated)
                        continue;
                any_positive = true;
                matched = matched || (value && pattern_matches(key, *p, value));
        }
        return matched || !any_positive;
}

/* Keys that name a place, so that the identity keys guard what sits there. */
static bool key_is_place(MatchKey key)
{
        return key == MATCH_ADDRESS || key == MATCH_SLOT || key == MATCH_PATH ||
               key == MATCH_PHYSICAL_FUNCTION;
}

static bool key_is_identity(MatchKey key)
{
        return key == MATCH_ID || key == MATCH_SUBSYSTEM_ID || key == MATCH_CLASS ||
               key == MATCH_SERIAL_NUMBER;
}

/* Only exact names of a place make a guard: a glob over addresses is just a filter. */
static bool patterns_are_exact(char **patterns)
{
        STRV_FOREACH(p, patterns)
                if (strpbrk(*p, "*?[!"))
                        return false;
        return true;
}

MatchResult match_device(const Match *m, const Device *d, const Origin *origin)
{
        bool place = false, guard_failed = false;

        for (MatchKey k = 0; k < _MATCH_KEY_MAX; k++) {
                bool matches;

                if (!m->patterns[k])
                        continue;
                matches = key_matches(k, m->patterns[k], d, origin);
                if (!matches && !key_is_identity(k))
                        return MATCH_NO;
                guard_failed = guard_failed || !matches;
                place = place || (key_is_place(k) && patterns_are_exact(m->patterns[k]));
        }
        if (!guard_failed)
                return MATCH_YES;
        return place ? MATCH_GUARD_FAILED : MATCH_NO;
}
