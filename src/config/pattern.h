/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One word of a [Match] key to the form in which model/match.h compares it. */

#include "model/config.h"

/*
 * Appends the normalised patterns of one word to `patterns`: one, or for an index list ("0-3,6")
 * several. A leading '!' stays in front of each. -EINVAL: the key cannot have this value, and
 * nothing was appended.
 */
_must_check_ int pattern_parse(MatchKey key, const char *word, char ***patterns);

/* What a key takes, to stand behind "it takes". */
const char *pattern_expected(MatchKey key);
