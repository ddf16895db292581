/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Strict readers of numbers and words: the whole string or -EINVAL; -ERANGE past the limit. */

#include "basic/macro.h"

/* Digits of `base` only: no sign, no white space, no prefix. */
_must_check_ int parse_uint(const char *s, unsigned base, uint64_t max, uint64_t *ret);

/* The same for smaller numbers. */
_must_check_ int parse_unsigned(const char *s, unsigned base, unsigned max, unsigned *ret);

/* Whether this can be a driver's or module's name: 1 to 63 of [A-Za-z0-9_.+-], no leading dot. */
bool name_is_valid(const char *s);

/* 1/yes/true/on and 0/no/false/off, as in systemd's files. */
_must_check_ int parse_boolean(const char *s, bool *ret);

/*
 * Puts '?' for each byte that is not of UTF-8 as sd-bus wants it: without characters that Unicode
 * says are none. Returns `s`.
 */
char *utf8_mend(char *s);

/* Time spans: a number with us, ms, s (default), min, h, or `infinity`; in microseconds. */
_must_check_ int parse_sec(const char *s, uint64_t *ret_usec);

/* At least so many hexadecimal digits, as "%0*x" has them; returns the end, without a NUL. */
char *format_hex(char *p, uint64_t value, unsigned digits);

/* The six bytes as one number, the first of them highest. */
uint64_t mac_to_number(const uint8_t mac[static 6]);

/* A MAC address, six hexadecimal bytes joined by colons. */
_must_check_ int parse_mac(const char *s, uint8_t ret[static 6]);

/*
 * Where something begins that does not belong into text: bytes that are not UTF-8, or a control
 * character other than tab, LF, and CR before LF. Else the NUL byte at the end.
 */
const char *text_end(const char *s);
