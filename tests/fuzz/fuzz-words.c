/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Single words: numbers, times, modes, MAC addresses, names, hazards, indices, settings of VFs. */

#include "basic/parse.h"
#include "config/pattern.h"
#include "config/source.h"
#include "fuzz.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

static void check_uint(const char *s, unsigned base, uint64_t max)
{
        uint64_t value = UINT64_C(0xaa55), expected;
        char *end;
        int r;

        r = parse_uint(s, base, max, &value);
        errno = 0;
        expected = strtoull(s, &end, (int)base);
        if (r < 0) {
                CHECK((r == -EINVAL || r == -ERANGE) && value == UINT64_C(0xaa55));
                /* Only what strtoull() takes besides digits, or more than the limit. */
                CHECK(!s[0] || *end || errno == ERANGE || expected > max ||
                      !isxdigit((uint8_t)s[0]) ||
                      (base == 16 && (startswith(s, "0x") || startswith(s, "0X"))));
        } else
                CHECK(errno == 0 && !*end && value == expected && value <= max);
}

static void check_boolean(const char *s)
{
        bool on;
        int r = parse_boolean(s, &on);

        CHECK(r == 0 || r == -EINVAL);
        CHECK(r < 0 || on == (strchr("1yYtT", s[0]) || strcasecmp(s, "on") == 0));
}

static void check_sec(const char *s)
{
        uint64_t usec, again;
        char text[32];
        int r = parse_sec(s, &usec);

        CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
        if (r < 0)
                return;
        snprintf(text, sizeof(text), "%" PRIu64 "us", usec);
        CHECK(usec == USEC_INFINITY || (parse_sec(text, &again) == 0 && again == usec));
}

static void check_mode(const char *s)
{
        mode_t mode, again;
        char text[16];

        if (parse_unsigned(s, 8, 0777, &mode) < 0)
                return;
        snprintf(text, sizeof(text), "%o", (unsigned)mode);
        CHECK(mode <= 0777 && parse_unsigned(text, 8, 0777, &again) == 0 && again == mode);
}

static void check_mac(const char *s)
{
        char text[18];
        uint8_t mac[6];

        if (parse_mac(s, mac) < 0)
                return;
        snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
                 mac[3], mac[4], mac[5]);
        CHECK(strcasecmp(s, text) == 0);
}

/* Such a name becomes a part of a path. */
static void check_target(const char *s)
{
        TargetKind kind;

        if (target_kind_parse(s, &kind) >= 0)
                CHECK(kind != TARGET_UNMANAGED && s[0] && s[0] != '.' && !strpbrk(s, "/ \n%"));
}

static void check_hazards(const char *s)
{
        _cleanup_free_ char *bad = NULL;
        HazardSet set, one;
        int r = hazard_set_parse(s, &set, &bad);

        CHECK(r == 0 ? !bad : r == -EINVAL && bad && strstr(s, bad));
        for (Reason i = 0; r == 0 && i < _REASON_ACCEPTABLE_MAX; i++)
                if (set & hazard_bit(i))
                        CHECK(hazard_set_parse(reason_to_string(i), &one, NULL) == 0 &&
                              one == hazard_bit(i) && strstr(s, reason_to_string(i)));
}

static void check_ranges(char *s)
{
        VfSection section = { 0 };

        if (vf_section_add_indices(&section, s) >= 0)
                CHECK(section.n_ranges > 0 || !s[0]);
        for (size_t i = 0; i < section.n_ranges; i++) {
                CHECK(section.ranges[i].first <= section.ranges[i].last);
                CHECK(section.ranges[i].last <= VF_COUNT_MAX);
                CHECK(i == 0 || section.ranges[i - 1].last < section.ranges[i].first);
        }
        free(section.ranges);
}

static void check_vf_setting(const char *s)
{
        char buffer[VF_VALUE_SIZE];
        uint64_t value, again;

        for (VfSetting i = 0; i < _VF_SETTING_MAX; i++)
                if (vf_setting_parse(i, s, UINT32_MAX, &value) >= 0)
                        CHECK(vf_setting_parse(i, vf_value_format(i, value, buffer), UINT32_MAX,
                                               &again) == 0 &&
                              again == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *s = fuzz_text(data, size);

        check_uint(s, 10, UINT64_MAX);
        check_uint(s, 10, UINT16_MAX);
        check_uint(s, 16, UINT64_MAX);
        check_uint(s, 8, 0777);
        check_boolean(s);
        check_sec(s);
        check_mode(s);
        check_mac(s);
        check_target(s);
        check_hazards(s);
        check_vf_setting(s);
        check_ranges(s);
        return 0;
}
