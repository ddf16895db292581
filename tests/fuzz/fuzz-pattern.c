/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A word of [Match]: a letter for the key, the word, and in the next line a text to match. */

#include "config-check.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>

/* What devices have, 'x' standing for a hexadecimal digit. */
static const char *const forms[_MATCH_KEY_MAX] = {
        [MATCH_ADDRESS] = "xxxx:xx:xx.x",
        [MATCH_ID] = "xxxx:xxxx",
        [MATCH_SUBSYSTEM_ID] = "xxxx:xxxx",
        [MATCH_CLASS] = "xxxxxx",
        [MATCH_SERIAL_NUMBER] = "xx-xx-xx-xx-xx-xx-xx-xx",
        [MATCH_MAC_ADDRESS] = "xx:xx:xx:xx:xx:xx",
        [MATCH_PHYSICAL_FUNCTION] = "xxxx:xx:xx.x",
};

static bool has_form(const char *text, const char *form)
{
        if (!form || strlen(text) != strlen(form))
                return false;
        for (; *form; form++, text++)
                if (*form == 'x' ? !isxdigit((uint8_t)*text) || isupper((uint8_t)*text)
                                 : *text != *form)
                        return false;
        return true;
}

/* A glob that some device can match is one that may be written, but for what has more spellings. */
static void check_refused(MatchKey key, const char *word, const char *value)
{
        bool is_address = key == MATCH_ADDRESS || key == MATCH_PHYSICAL_FUNCTION;

        word += word[0] == '!';
        if (!has_form(value, forms[key]) || strpbrk(word, "\\[") ||
            (is_address && !strchr(word, ':')))
                return;
        CHECK(fnmatch(word, value, 0) != 0);
}

/* A plain address matches the device that it names, and a glob without a domain is of domain 0. */
static void check_address(const char *word, const char *pattern)
{
        PciAddress a, b;

        pattern += pattern[0] == '!';
        word += word[0] == '!';
        if (strpbrk(pattern, "*?["))
                return;
        CHECK(pci_address_parse(word, &a) == 0 && pci_address_parse(pattern, &b) == 0);
        CHECK(pci_address_equal(&a, &b) && streq(pattern, PCI_ADDRESS_STR(&b)));
}

static void check_indices(const char *pattern)
{
        unsigned first, last;
        int n = sscanf(pattern + (pattern[0] == '!'), "%u-%u", &first, &last);

        CHECK(n == 1 || (n == 2 && first <= last && last <= VF_COUNT_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *line = fuzz_line(&data, &size), *value = fuzz_text(data, size);
        MatchKey key = (MatchKey)((uint8_t)line[0] % _MATCH_KEY_MAX);
        _cleanup_strv_ char **patterns = NULL;
        _cleanup_free_ char *word = NULL;
        int r;

        if (!line[0])
                return 0;
        word = strdup(line + 1);
        CHECK(word);
        r = pattern_parse(key, word, &patterns);
        CHECK(r == 0 || r == -EINVAL || r == -E2BIG);
        if (r < 0)
                check_refused(key, line + 1, value);
        STRV_FOREACH(p, patterns) {
                check_pattern(key, *p);
                if (key == MATCH_ADDRESS || key == MATCH_PHYSICAL_FUNCTION)
                        check_address(line + 1, *p);
                if (key == MATCH_VIRTUAL_FUNCTION)
                        check_indices(*p);
        }
        return 0;
}
