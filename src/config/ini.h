/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A strict reader of INI text: sections and assignments, each with its place. It knows no key.
 * Lines are '[Section]', 'Key=value', empty, or begin with '#' or ';'. White space followed by '#'
 * begins a comment behind a section or value. Columns count bytes from 1.
 */

#include "basic/macro.h"

/* The strings point into the text. */
typedef struct IniLine {
        unsigned number, column; /* of '[' or of the key */
        unsigned value_column;
        const char *section; /* "": behind a broken section line, belongs to nothing */
        const char *key;     /* NULL: this line begins the section */
        char *value;         /* without white space around it and without a comment */
        const char *problem; /* a sentence about the file if the line is broken, else NULL */
} IniLine;

typedef struct IniReader {
        char *rest; /* set it to the text, which is cut into pieces */
        unsigned line;
        const char *section;
} IniReader;

/* The next line that says something; false at the end. */
bool ini_next(IniReader *reader, IniLine *ret);
