/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/parse.h"

#include <ctype.h>
#include <strings.h>

static int digit_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return INT8_MAX;
}

int parse_uint(const char *s, unsigned base, uint64_t max, uint64_t *ret)
{
        uint64_t value = 0;

        if (!*s)
                return -EINVAL;
        for (; *s; s++) {
                unsigned d = digit_value(*s);

                if (d >= base)
                        return -EINVAL;
                if (__builtin_mul_overflow(value, base, &value) ||
                    __builtin_add_overflow(value, d, &value) || value > max)
                        return -ERANGE;
        }
        *ret = value;
        return 0;
}

int parse_unsigned(const char *s, unsigned base, unsigned max, unsigned *ret)
{
        uint64_t value;
        int r = parse_uint(s, base, max, &value);

        if (r >= 0)
                *ret = (unsigned)value;
        return r;
}

bool name_is_valid(const char *s)
{
        size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-");

        return n > 0 && n < 64 && !s[n] && s[0] != '.';
}

int parse_boolean(const char *s, bool *ret)
{
        static const char *const words[][2] = {
                { "yes", "no" }, { "1", "0" }, { "true", "false" }, { "on", "off" }
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                for (size_t k = 0; k < 2; k++)
                        if (strcasecmp(s, words[i][k]) == 0) {
                                *ret = k == 0;
                                return 0;
                        }
        return -EINVAL;
}

int parse_sec(const char *s, uint64_t *ret_usec)
{
        static const struct {
                const char *suffix;
                uint64_t usec;
        } units[] = {
                { "", USEC_PER_SEC },         { "s", USEC_PER_SEC }, { "sec", USEC_PER_SEC },
                { "ms", USEC_PER_MSEC },      { "us", 1 },           { "min", 60 * USEC_PER_SEC },
                { "h", 3600 * USEC_PER_SEC },
        };
        char digits[24];
        uint64_t value;
        size_t n;
        int r;

        if (streq(s, "infinity")) {
                *ret_usec = USEC_INFINITY;
                return 0;
        }
        n = strspn(s, "0123456789");
        if (n == 0 || n >= sizeof(digits))
                return -EINVAL;
        memcpy(digits, s, n);
        digits[n] = 0;
        r = parse_uint(digits, 10, UINT64_MAX, &value);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                if (!streq(s + n, units[i].suffix))
                        continue;
                /* A clock is to be set to that much from now. */
                if (__builtin_mul_overflow(value, units[i].usec, &value) ||
                    value > USEC_INFINITY / 2)
                        return -ERANGE;
                *ret_usec = value;
                return 0;
        }
        return -EINVAL;
}

int parse_mac(const char *s, uint8_t ret[static 6])
{
        uint8_t mac[6];

        if (strlen(s) != 17)
                return -EINVAL;
        for (size_t i = 0; i < 6; i++) {
                int high = digit_value(s[3 * i]), low = digit_value(s[3 * i + 1]);

                if (high > 15 || low > 15 || (i < 5 && s[3 * i + 2] != ':'))
                        return -EINVAL;
                mac[i] = (uint8_t)(high * 16 + low);
        }
        memcpy(ret, mac, sizeof(mac));
        return 0;
}

uint64_t mac_to_number(const uint8_t mac[static 6])
{
        uint64_t number = 0;

        for (size_t i = 0; i < 6; i++)
                number = number << 8 | mac[i];
        return number;
}

/* None of Unicode's characters: surrogates, and what it keeps for a program's own use. */
static bool is_no_character(uint32_t c)
{
        return c > 0x10ffff || c >> 11 == 0x1b || (c & 0xfffe) == 0xfffe ||
               (c >= 0xfdd0 && c <= 0xfdef);
}

/* The length of the first character; 0: it is none, or in a longer form than needed. */
static size_t utf8_length(const char *s)
{
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        const unsigned char *p = (const unsigned char *)s;
        size_t n = p[0] < 0x80         ? 1
                   : p[0] >> 5 == 0x06 ? 2
                   : p[0] >> 4 == 0x0e ? 3
                   : p[0] >> 3 == 0x1e ? 4
                                       : 0;
        uint32_t c = n > 1 ? p[0] & (0x7f >> n) : p[0];

        for (size_t i = 1; i < n; i++) {
                if (p[i] >> 6 != 0x02)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        return c < smallest[n] || is_no_character(c) ? 0 : n;
}

const char *text_end(const char *s)
{
        while (*s) {
                bool is_space = *s == '\t' || *s == '\n' || (*s == '\r' && s[1] == '\n');
                size_t n = utf8_length(s);

                if (n == 0 || *s == 0x7f || (n == 1 && *s < 0x20 && !is_space))
                        break;
                s += n;
        }
        return s;
}

char *utf8_mend(char *s)
{
        for (char *p = s; *p;) {
                size_t n = utf8_length(p);

                if (n == 0)
                        *p = '?';
                p += MAX(n, (size_t)1);
        }
        return s;
}

char *format_hex(char *p, uint64_t value, unsigned digits)
{
        while (digits < 16 && value >> digits * 4 > 0)
                digits++;
        for (unsigned i = digits; i > 0; i--)
                *p++ = "0123456789abcdef"[value >> (i - 1) * 4 & 0xf];
        return p;
}
