/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One word of a [Match] key to the form in which model/match.h compares it. */

#include "model/config.h"

enum { CONFIG_VALUES_MAX = 4096 }; /* in one list key */

/*
 * Appends what one word says to `patterns`: one pattern, or for an index list ("0-3,6") several.
 * A leading '!' stays in front of each. The word is changed. -EINVAL: the key cannot have this
 * value. -E2BIG: there are too many.
 */
_must_check_ int pattern_parse(MatchKey key, char *word, char ***patterns);

/* What a key takes, to stand behind "it takes". */
const char *pattern_expected(MatchKey key);

/* "6" or "0-3" of such a list; no more than VF_COUNT_MAX. -EINVAL. */
_must_check_ int vf_range_parse(const char *s, VfRange *ret);
