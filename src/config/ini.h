/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A strict reader of INI text: bytes in, sections and assignments out, each with its place. It
 * knows no key. Lines are '[Section]', 'Key=value', empty, or begin with '#' or ';'. White space
 * followed by '#' begins a comment behind a section or value. CRLF ends a line as LF does. Columns
 * count bytes from 1.
 */

#include "basic/macro.h"

typedef enum IniKind {
        INI_END,
        INI_SECTION,
        INI_ASSIGNMENT,
        INI_BAD,
} IniKind;

/* The strings belong to the reader and live as long as it does. */
typedef struct IniEvent {
        IniKind kind;
        unsigned line, column; /* of '[', of the key, or of what is bad */
        unsigned value_column;
        const char *section;
        const char *key;
        const char *value;   /* without white space around it and without a comment; may be "" */
        const char *problem; /* if bad: a sentence about the file */
} IniEvent;

typedef struct IniReader {
        char *text;
        size_t size, position;
        unsigned line;
        const char *section;
        bool lost; /* behind a bad section line: the assignments there belong to nothing */
} IniReader;

/* Copies the text. */
_must_check_ int ini_init(IniReader *reader, const char *text, size_t size);
void ini_done(IniReader *reader);

/* The next event. A bad line is one event, and the reader goes on behind it. */
void ini_next(IniReader *reader, IniEvent *ret);

/* Whether this is UTF-8 without control characters other than tabs; else where it is not. */
bool text_is_clean(const char *s, size_t size, size_t *ret_offset, const char **ret_problem);
