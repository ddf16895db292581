/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/ini.h"
#include "config/load.h"

#define BLANKS " \t"

static void trim_end(char *s)
{
        size_t n = strlen(s);

        while (n > 0 && strchr(BLANKS "\r", s[n - 1]))
                n--;
        s[n] = 0;
}

static void cut_comment(char *s)
{
        for (char *hash = strchr(s, '#'); hash; hash = strchr(hash + 1, '#'))
                if (strchr(BLANKS, hash[-1])) {
                        *hash = 0;
                        break;
                }
        trim_end(s);
}

static void read_section(IniReader *reader, char *s, IniLine *ret)
{
        char *close = strchr(s, ']');

        if (close && !close[1]) {
                *close = 0;
                reader->section = s + 1;
        } else {
                ret->problem = "has a section line that is not '[NAME]'";
                reader->section = "";
        }
        ret->section = reader->section;
}

static void read_assignment(IniReader *reader, char *s, IniLine *ret)
{
        char *equals = strchr(s, '=');

        if (!reader->section) {
                ret->problem = "has text before the first section";
                reader->section = ""; /* one complaint is enough */
                return;
        }
        ret->section = reader->section;
        if (!equals || equals == s) {
                ret->problem = "has a line that is no section, no comment and no 'KEY=VALUE'";
                return;
        }
        *equals = 0;
        trim_end(s);
        ret->key = s;
        ret->value = equals + 1 + strspn(equals + 1, BLANKS);
        ret->value_column = ret->column + (unsigned)(ret->value - s);
}

bool ini_next(IniReader *reader, IniLine *ret)
{
        char *line;

        while ((line = strsep(&reader->rest, "\n"))) {
                char *s = line + strspn(line, BLANKS);

                trim_end(s);
                *ret = (IniLine){ .number = ++reader->line, .column = (unsigned)(s - line) + 1 };
                if (strlen(s) > CONFIG_LINE_MAX) {
                        ret->problem = "has a line of more than 65536 bytes";
                        return true;
                }
                if (s[0] == 0 || s[0] == '#' || s[0] == ';')
                        continue;
                cut_comment(s);
                if (s[0] == '[')
                        read_section(reader, s, ret);
                else
                        read_assignment(reader, s, ret);
                return true;
        }
        return false;
}
