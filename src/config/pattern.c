/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/pattern.h"
#include "basic/parse.h"

#include <ctype.h>
#include <stdio.h>

#define GLOB "*?["

enum { NUMA_NODE_MAX = 65535 };

/* Steps over one character or bracket of a pattern, if it can stand for `c` of a form. */
static bool step(const char **pattern, char c)
{
        const char *p = *pattern, *end = p;

        if (*p == '[') {
                end = strchr(p, ']');
                if (!end)
                        return false;
        } else if (*p != '?' && (c == 'x' ? !isxdigit((unsigned char)*p) : *p != c))
                return false;
        *pattern = end + 1;
        return true;
}

/*
 * Whether a pattern can match any text of a form, in which 'x' stands for a hexadecimal digit. One
 * that cannot is a mistake, and with '!' in front it would leave nothing out. As with any glob it
 * is enough to go back to the last '*'.
 */
static bool fits(const char *pattern, const char *form)
{
        const char *star = NULL, *resume = NULL;

        for (;;) {
                if (*pattern == '*') {
                        star = ++pattern;
                        resume = form;
                } else if (!*form)
                        return !*pattern;
                else if (step(&pattern, *form))
                        form++;
                else if (star) {
                        pattern = star;
                        form = ++resume;
                } else
                        return false;
        }
}

/* The normal form of a value in `word` or in the static prefix; -EINVAL if there is none. */
typedef int (*normalise_t)(char *word, const char **ret_prefix);

static void to_lower(char *s)
{
        for (; *s; s++)
                *s = (char)tolower((unsigned char)*s);
}

/* Without a domain it is 0000. A glob without any colon must begin with '*', to be clear. */
static int normalise_address(char *word, const char **ret_prefix)
{
        char buffer[PCI_ADDRESS_SIZE];
        PciAddress address;
        bool is_short;

        to_lower(word);
        is_short = fits(word, "xx:xx.x");
        if (!strpbrk(word, GLOB)) {
                if (pci_address_parse(word, &address) < 0)
                        return -EINVAL;
                pci_address_format(&address, buffer);
                if (!is_short) /* only zeros before the domain can go: it is never longer */
                        memcpy(word, buffer, strlen(buffer) + 1);
        } else if (!strchr(word, ':'))
                return is_short && word[0] == '*' ? 0 : -EINVAL;
        else if (!is_short && !fits(word, "xxxx:xx:xx.x") && !fits(word, "xxxxx:xx:xx.x"))
                return -EINVAL;
        if (is_short)
                *ret_prefix = "0000:";
        return 0;
}

/* A whole word is the beginning of a class code. */
static int normalise_class(char *word, const char **ret_prefix)
{
        size_t n = strlen(word);

        to_lower(word);
        if (startswith(word, "0x")) {
                memmove(word, word + 2, n - 1);
                n -= 2;
        }
        if (strpbrk(word, GLOB))
                return fits(word, "xxxxxx") ? 0 : -EINVAL;
        return n >= 2 && n <= 6 && strspn(word, "0123456789abcdef") == n ? 0 : -EINVAL;
}

static int normalise_driver(char *word, const char **ret_prefix)
{
        return strpbrk(word, "/,") ? -EINVAL : 0;
}

/* Compared as text, so a number must be spelled as the kernel does. */
static int normalise_numa_node(char *word, const char **ret_prefix)
{
        uint64_t n;

        if (streq(word, "-1") || streq(word, "0"))
                return 0;
        return word[0] != '0' && parse_uint(word, 10, NUMA_NODE_MAX, &n) >= 0 ? 0 : -EINVAL;
}

/* A key has a form or a function, or takes any text. */
static const struct {
        const char *form;
        normalise_t normalise;
        const char *expected;
} rows[_MATCH_KEY_MAX] = {
        [MATCH_ADDRESS] = { NULL, normalise_address,
                            "addresses such as 0000:41:00.0 or 41:00.0, or globs such as 41:*" },
        [MATCH_ID] = { "xxxx:xxxx", NULL,
                       "vendor:device in hexadecimal, such as 10de:2684 or 10de:*" },
        [MATCH_SUBSYSTEM_ID] = { "xxxx:xxxx", NULL,
                                 "vendor:device in hexadecimal, such as 1043:88e2 or 1043:*" },
        [MATCH_CLASS] = { NULL, normalise_class,
                          "two to six hexadecimal digits, such as 03 or 0300, or globs of six" },
        [MATCH_DRIVER] = { NULL, normalise_driver, "names of drivers, or globs such as mlx5_*" },
        [MATCH_PATH] = { NULL, NULL, "a path as in udev's ID_PATH, or a glob" },
        [MATCH_SLOT] = { NULL, NULL, "the name of a slot, or a glob" },
        [MATCH_SERIAL_NUMBER] = { "xx-xx-xx-xx-xx-xx-xx-xx", NULL,
                                  "eight bytes in hexadecimal, such as 00-1b-21-ff-ff-00-00-01" },
        [MATCH_MAC_ADDRESS] = { "xx:xx:xx:xx:xx:xx", NULL,
                                "MAC addresses such as 52:54:00:12:34:56, or globs" },
        [MATCH_PHYSICAL_FUNCTION] = { NULL, normalise_address,
                                      "addresses such as 0000:41:00.0 or 41:00.0, or globs" },
        [MATCH_VIRTUAL_FUNCTION] = { NULL, NULL, "indices of VFs such as 0-3,6" },
        [MATCH_NUMA_NODE] = { NULL, normalise_numa_node, "numbers of NUMA nodes, or -1 for none" },
};

const char *pattern_expected(MatchKey key)
{
        return rows[key].expected;
}

static int add(char ***patterns, const char *negation, const char *prefix, const char *word)
{
        if (strv_length(*patterns) >= CONFIG_VALUES_MAX)
                return -E2BIG;
        return strv_extendf(patterns, "%s%s%s", negation, prefix, word);
}

int vf_range_parse(const char *s, VfRange *ret)
{
        const char *dash = strchr(s, '-');
        char first[8];
        VfRange range;

        if (snprintf(first, sizeof(first), "%.*s", (int)strcspn(s, "-"), s) >= (int)sizeof(first) ||
            parse_unsigned(first, 10, VF_COUNT_MAX, &range.first) < 0 ||
            parse_unsigned(dash ? dash + 1 : first, 10, VF_COUNT_MAX, &range.last) < 0 ||
            range.first > range.last)
                return -EINVAL;
        *ret = range;
        return 0;
}

static int add_indices(char ***patterns, const char *negation, char *list)
{
        const char *word;
        VfRange range;
        int r = 0;

        while (r >= 0 && (word = strsep(&list, ","))) {
                if (streq(word, "*"))
                        word = "0-65535"; /* indices are no globs */
                r = vf_range_parse(word, &range);
                if (r >= 0)
                        r = add(patterns, negation, "", word);
        }
        return r;
}

int pattern_parse(MatchKey key, char *word, char ***patterns)
{
        const char *negation = word[0] == '!' ? "!" : "", *prefix = "";
        int r = 0;

        word += strlen(negation);
        if (key == MATCH_VIRTUAL_FUNCTION)
                return add_indices(patterns, negation, word);
        if (!word[0])
                return -EINVAL;
        if (rows[key].form) {
                to_lower(word);
                r = fits(word, rows[key].form) ? 0 : -EINVAL;
        } else if (rows[key].normalise)
                r = rows[key].normalise(word, &prefix);
        return r < 0 ? r : add(patterns, negation, prefix, word);
}
