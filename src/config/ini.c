/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/ini.h"
#include "config/load.h"

#define BLANKS " \t"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

int ini_init(IniReader *reader, const char *text, size_t size)
{
        char *copy = malloc(size + 1);

        if (!copy)
                return -ENOMEM;
        if (size > 0)
                memcpy(copy, text, size);
        copy[size] = 0;
        *reader = (IniReader){ .text = copy, .size = size };
        return 0;
}

void ini_done(IniReader *reader)
{
        free(reader->text);
        *reader = (IniReader){ 0 };
}

/* Bytes of the well-formed UTF-8 sequence at `s`, 0 if there is none (Unicode, table 3-7). */
static size_t utf8_sequence(const unsigned char *s, size_t size)
{
        unsigned char low = 0x80, high = 0xbf;
        size_t length;

        if (s[0] < 0x80)
                return 1;
        if (s[0] < 0xc2 || s[0] > 0xf4)
                return 0;
        length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
        if (length > size)
                return 0;
        if (s[0] == 0xe0)
                low = 0xa0;
        else if (s[0] == 0xed)
                high = 0x9f;
        else if (s[0] == 0xf0)
                low = 0x90;
        else if (s[0] == 0xf4)
                high = 0x8f;
        if (s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < length; i++)
                if (s[i] < 0x80 || s[i] > 0xbf)
                        return 0;
        return length;
}

bool text_is_clean(const char *s, size_t size, size_t *ret_offset, const char **ret_problem)
{
        const unsigned char *u = (const unsigned char *)s;
        const char *problem = NULL;

        for (size_t i = 0, n; i < size; i += n) {
                n = utf8_sequence(u + i, size - i);
                if (n == 0)
                        problem = "is not valid UTF-8";
                else if (u[i] == 0)
                        problem = "has a NUL byte";
                else if ((u[i] < 0x20 && u[i] != '\t') || u[i] == 0x7f ||
                         (u[i] == 0xc2 && u[i + 1] < 0xa0))
                        problem = "has a control character";
                if (problem) {
                        if (ret_offset)
                                *ret_offset = i;
                        if (ret_problem)
                                *ret_problem = problem;
                        return false;
                }
        }
        return true;
}

/* Cuts the next line out of the text; NULL at the end. */
static char *next_line(IniReader *reader, size_t *ret_length)
{
        char *line = reader->text + reader->position;
        size_t left = reader->size - reader->position, length;
        const char *end;

        if (left == 0)
                return NULL;
        end = memchr(line, '\n', left);
        length = end ? (size_t)(end - line) : left;
        reader->position += length + (end ? 1 : 0);
        reader->line++;
        if (length > 0 && line[length - 1] == '\r')
                length--;
        line[length] = 0;
        *ret_length = length;
        return line;
}

static void trim_end(char *s)
{
        size_t n = strlen(s);

        while (n > 0 && strchr(BLANKS, s[n - 1]))
                n--;
        s[n] = 0;
}

static void cut_comment(char *s)
{
        for (char *hash = strchr(s, '#'); hash; hash = strchr(hash + 1, '#'))
                if (hash > s && strchr(BLANKS, hash[-1])) {
                        *hash = 0;
                        break;
                }
        trim_end(s);
}

static void set_bad(IniEvent *event, size_t offset, const char *problem)
{
        event->kind = INI_BAD;
        event->column = (unsigned)offset + 1;
        event->problem = problem;
}

/* Whether the bytes of a line are such that it can be read at all. */
static bool check_line(const char *line, size_t length, bool first, IniEvent *event)
{
        const char *problem;
        size_t offset;

        if (first && startswith(line, BYTE_ORDER_MARK)) {
                set_bad(event, 0, "begins with a byte order mark: save it as plain UTF-8");
                return false;
        }
        if (length > CONFIG_LINE_MAX) {
                set_bad(event, CONFIG_LINE_MAX, "has a line of more than 65536 bytes");
                return false;
        }
        if (!text_is_clean(line, length, &offset, &problem)) {
                set_bad(event, offset, problem);
                return false;
        }
        return true;
}

/* `s` is the line from its '[' on, without white space and comment behind it. */
static void read_section(IniReader *reader, const char *line, char *s, IniEvent *event)
{
        char *close = strchr(s, ']');

        reader->section = NULL;
        reader->lost = true;
        if (!close)
                set_bad(event, (size_t)(s - line), "has a section line without ']'");
        else if (close[1])
                set_bad(event, (size_t)(close + 1 - line) + strspn(close + 1, BLANKS),
                        "has text behind the ']' of a section line");
        else if (close == s + 1)
                set_bad(event, (size_t)(s - line), "has a section without a name");
        else {
                *close = 0;
                reader->section = s + 1;
                reader->lost = false;
                event->kind = INI_SECTION;
                event->section = reader->section;
        }
}

static void read_assignment(IniReader *reader, const char *line, char *s, IniEvent *event)
{
        char *equals = strchr(s, '='), *value;

        if (!reader->section) {
                reader->lost = true; /* one complaint is enough */
                set_bad(event, (size_t)(s - line), "has text before the first section");
                return;
        }
        if (!equals || equals == s) {
                set_bad(event, (size_t)(s - line),
                        "has a line that is no section, no comment and no 'Key=value'");
                return;
        }
        value = equals + 1 + strspn(equals + 1, BLANKS);
        if (endswith(value, "\\")) {
                set_bad(event, (size_t)(value - line) + strlen(value) - 1,
                        "ends a line in '\\': line continuation is not supported");
                return;
        }
        *equals = 0;
        trim_end(s);
        event->kind = INI_ASSIGNMENT;
        event->section = reader->section;
        event->key = s;
        event->value = value;
        event->value_column = (unsigned)(value - line) + 1;
}

void ini_next(IniReader *reader, IniEvent *ret)
{
        size_t length;
        char *line;

        while ((line = next_line(reader, &length))) {
                char *s = line + strspn(line, BLANKS);

                *ret = (IniEvent){ .line = reader->line, .column = (unsigned)(s - line) + 1 };
                if (!check_line(line, length, reader->line == 1, ret)) {
                        if (s[0] == '[' || reader->line == 1) {
                                reader->section = NULL;
                                reader->lost = true;
                        }
                        return;
                }
                if (s[0] == 0 || s[0] == '#' || s[0] == ';')
                        continue;
                cut_comment(s);
                if (s[0] == '[')
                        read_section(reader, line, s, ret);
                else if (reader->lost)
                        continue;
                else
                        read_assignment(reader, line, s, ret);
                return;
        }
        *ret = (IniEvent){ .kind = INI_END, .line = reader->line };
}
