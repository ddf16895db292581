/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/pattern.h"
#include "basic/parse.h"

#include <ctype.h>
#include <stdio.h>

#define HEX_DIGITS "0123456789abcdefABCDEF"
#define GLOB_CHARACTERS "*?[]!^-"

enum { VF_INDEX_MAX = 65535, VF_RANGES_MAX = 4096, NUMA_NODE_MAX = 65535 };

static bool only_has(const char *s, const char *characters)
{
        return s[0] && s[strspn(s, characters)] == 0;
}

static bool is_glob(const char *s)
{
        return strpbrk(s, "*?[");
}

/* A '[' that nothing closes matches only itself in fnmatch(3), which nobody means. */
static bool brackets_closed(const char *s)
{
        while ((s = strchr(s, '['))) {
                s = strchr(s + 1, ']');
                if (!s)
                        return false;
        }
        return true;
}

static int copy_lower(const char *s, char **ret)
{
        char *copy = strdup(s);

        if (!copy)
                return -ENOMEM;
        for (char *c = copy; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        *ret = copy;
        return 0;
}

static int copy_text(const char *s, char **ret)
{
        char *copy;

        if (!s[0] || !brackets_closed(s))
                return -EINVAL;
        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

/*
 * Whether an address glob leaves out the domain. With one colon the first part is a bus ("41:*"),
 * unless it spells a whole domain ("0000:*"). Without a colon only a leading '*' can cover what
 * stands before ("*", "*.0").
 */
static int glob_lacks_domain(const char *s)
{
        const char *colon = strchr(s, ':');

        if (!colon)
                return s[0] == '*' ? false : -EINVAL;
        if (strchr(colon + 1, ':'))
                return strchr(strchr(colon + 1, ':') + 1, ':') ? -EINVAL : false;
        return strspn(s, HEX_DIGITS) < 4;
}

static int normalise_address(const char *s, char **ret)
{
        char text[PCI_ADDRESS_SIZE];
        _cleanup_free_ char *lower = NULL;
        PciAddress address;
        int r;

        if (!is_glob(s)) {
                r = pci_address_parse(s, &address);
                return r < 0 ? r : copy_text(pci_address_format(&address, text), ret);
        }
        if (!only_has(s, HEX_DIGITS ":." GLOB_CHARACTERS) || !brackets_closed(s))
                return -EINVAL;
        r = glob_lacks_domain(s);
        if (r <= 0)
                return r < 0 ? r : copy_lower(s, ret);
        r = copy_lower(s, &lower);
        if (r < 0)
                return r;
        return asprintf(ret, "0000:%s", lower) < 0 ? -ENOMEM : 0;
}

static bool id_half_is_valid(const char *s)
{
        if (is_glob(s))
                return only_has(s, HEX_DIGITS GLOB_CHARACTERS) && brackets_closed(s);
        return only_has(s, HEX_DIGITS) && strlen(s) == 4;
}

static int normalise_id(const char *s, char **ret)
{
        _cleanup_free_ char *vendor = NULL;
        const char *colon = strchr(s, ':');

        if (!colon)
                return -EINVAL;
        vendor = strndup(s, (size_t)(colon - s));
        if (!vendor)
                return -ENOMEM;
        if (!id_half_is_valid(vendor) || !id_half_is_valid(colon + 1))
                return -EINVAL;
        return copy_lower(s, ret);
}

static int normalise_class(const char *s, char **ret)
{
        if (startswith(s, "0x") || startswith(s, "0X"))
                s += 2;
        if (is_glob(s)) {
                if (!only_has(s, HEX_DIGITS GLOB_CHARACTERS) || !brackets_closed(s))
                        return -EINVAL;
        } else if (!only_has(s, HEX_DIGITS) || strlen(s) < 2 || strlen(s) > 6)
                return -EINVAL;
        return copy_lower(s, ret);
}

/* Not target_kind_parse(): here 'vfio', 'host' and 'none' would be names like any other. */
static int normalise_driver(const char *s, char **ret)
{
        for (const char *c = s; *c; c++)
                if (!isalnum((unsigned char)*c) && !strchr("_.+:" GLOB_CHARACTERS, *c))
                        return -EINVAL;
        return copy_text(s, ret);
}

/* Bytes as two hexadecimal digits each, joined by `separator`. */
static bool is_bytes(const char *s, size_t n, char separator)
{
        if (strlen(s) != 3 * n - 1)
                return false;
        for (size_t i = 0; i < 3 * n - 1; i++)
                if (i % 3 == 2 ? s[i] != separator : !isxdigit((unsigned char)s[i]))
                        return false;
        return true;
}

static int normalise_mac(const char *s, char **ret)
{
        if (is_glob(s) ? !only_has(s, HEX_DIGITS ":" GLOB_CHARACTERS) || !brackets_closed(s)
                       : !is_bytes(s, 6, ':'))
                return -EINVAL;
        return copy_lower(s, ret);
}

static int normalise_serial(const char *s, char **ret)
{
        char text[24];

        if (is_glob(s)) {
                if (!only_has(s, HEX_DIGITS GLOB_CHARACTERS) || !brackets_closed(s))
                        return -EINVAL;
                return copy_lower(s, ret);
        }
        if (is_bytes(s, 8, '-'))
                return copy_lower(s, ret);
        if (!only_has(s, HEX_DIGITS) || strlen(s) != 16)
                return -EINVAL;
        for (size_t i = 0; i < 8; i++) {
                text[3 * i] = s[2 * i];
                text[3 * i + 1] = s[2 * i + 1];
                text[3 * i + 2] = '-';
        }
        text[23] = 0;
        return copy_lower(text, ret);
}

static int normalise_numa_node(const char *s, char **ret)
{
        uint64_t node;
        int r;

        if (streq(s, "-1"))
                return copy_text(s, ret);
        r = parse_uint(s, 10, NUMA_NODE_MAX, &node);
        if (r < 0)
                return -EINVAL;
        return asprintf(ret, "%u", (unsigned)node) < 0 ? -ENOMEM : 0;
}

/* "6" or "0-3", without leading zeros; "*" is the whole range, since indices are no globs. */
static int normalise_index_range(char *s, char **ret)
{
        char *dash = strchr(s, '-');
        uint64_t first, last;
        int r;

        if (streq(s, "*"))
                return asprintf(ret, "0-%u", (unsigned)VF_INDEX_MAX) < 0 ? -ENOMEM : 0;
        if (dash)
                *dash = 0;
        r = parse_uint(s, 10, VF_INDEX_MAX, &first);
        if (r < 0)
                return -EINVAL;
        if (!dash)
                return asprintf(ret, "%u", (unsigned)first) < 0 ? -ENOMEM : 0;
        r = parse_uint(dash + 1, 10, VF_INDEX_MAX, &last);
        if (r < 0 || first > last)
                return -EINVAL;
        return asprintf(ret, "%u-%u", (unsigned)first, (unsigned)last) < 0 ? -ENOMEM : 0;
}

/* A normalised range for each word between the commas. */
static int normalise_index_list(const char *s, char ***ret)
{
        _cleanup_strv_ char **ranges = NULL;
        size_t n = 1;
        int r;

        for (const char *c = s; *c; c++)
                n += *c == ',';
        if (n > VF_RANGES_MAX)
                return -EINVAL;
        r = strv_split(s, ",", &ranges);
        if (r < 0)
                return r;
        if (strv_length(ranges) != n) /* an empty word, as in "1,,2" */
                return -EINVAL;
        STRV_FOREACH(range, ranges) {
                char *normal;

                r = normalise_index_range(*range, &normal);
                if (r < 0)
                        return r;
                free(*range);
                *range = normal;
        }
        *ret = TAKE_PTR(ranges);
        return 0;
}

typedef struct Form {
        int (*normalise)(const char *s, char **ret);
        const char *expected;
} Form;

static const Form forms[_MATCH_KEY_MAX] = {
        [MATCH_ADDRESS] = { normalise_address,
                            "addresses such as 0000:41:00.0 or 41:00.0, or globs such as 41:*" },
        [MATCH_ID] = { normalise_id, "vendor:device in hexadecimal, such as 10de:2684 or 10de:*" },
        [MATCH_SUBSYSTEM_ID] = { normalise_id,
                                 "vendor:device in hexadecimal, such as 1043:88e2 or 1043:*" },
        [MATCH_CLASS] = { normalise_class, "two to six hexadecimal digits, such as 03 or 0300" },
        [MATCH_DRIVER] = { normalise_driver, "names of drivers, or globs such as mlx5_*" },
        [MATCH_PATH] = { copy_text, "a path as in udev's ID_PATH, or a glob" },
        [MATCH_SLOT] = { copy_text, "the name of a slot, or a glob" },
        [MATCH_SERIAL_NUMBER] = { normalise_serial,
                                  "eight bytes in hexadecimal, such as 00-1b-21-ff-ff-00-00-01" },
        [MATCH_MAC_ADDRESS] = { normalise_mac,
                                "MAC addresses such as 52:54:00:12:34:56, or globs" },
        [MATCH_PHYSICAL_FUNCTION] = { normalise_address,
                                      "addresses such as 0000:41:00.0 or 41:00.0, or globs" },
        [MATCH_VIRTUAL_FUNCTION] = { NULL, "indices of VFs such as 0-3,6" },
        [MATCH_NUMA_NODE] = { normalise_numa_node, "numbers of NUMA nodes, or -1 for none" },
};

const char *pattern_expected(MatchKey key)
{
        return forms[key].expected;
}

static int parse_values(MatchKey key, const char *value, char ***ret)
{
        _cleanup_free_ char *normal = NULL;
        int r;

        if (key == MATCH_VIRTUAL_FUNCTION)
                return normalise_index_list(value, ret);
        r = forms[key].normalise(value, &normal);
        if (r < 0)
                return r;
        return strv_extend(ret, normal);
}

int pattern_parse(MatchKey key, const char *word, char ***patterns)
{
        _cleanup_strv_ char **values = NULL;
        bool negated = word[0] == '!';
        int r;

        r = parse_values(key, word + negated, &values);
        if (r < 0)
                return r;
        STRV_FOREACH(value, values) {
                r = strv_extendf(patterns, "%s%s", negated ? "!" : "", *value);
                if (r < 0)
                        return r;
        }
        return 0;
}
