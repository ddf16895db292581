/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/cmdline.h"
#include "basic/parse.h"

#include <ctype.h>

/* The bytes of the word at `s`, which ends at white space outside double quotes. */
static size_t word_length(const char *s)
{
        bool quoted = false;
        size_t n;

        for (n = 0; s[n] && (quoted || !isspace((unsigned char)s[n])); n++)
                if (s[n] == '"')
                        quoted = !quoted;
        return n;
}

static void remove_quotes(char *s)
{
        char *to = s;

        for (; *s; s++)
                if (*s != '"')
                        *to++ = *s;
        *to = 0;
}

static int take_word(const char *word, Cmdline *cmdline)
{
        _cleanup_strv_ char **names = NULL;
        const char *value;
        bool on;
        int r;

        value = startswith(word, "vfiod=");
        if (value && parse_boolean(value, &on) >= 0)
                cmdline->off = !on;
        value = startswith(word, "vfiod.skip=");
        if (!value)
                return 0;
        r = strv_split(value, ",", &names);
        if (r < 0)
                return r;
        STRV_FOREACH(name, names) {
                r = strv_extend(&cmdline->skip, *name);
                if (r < 0)
                        return r;
        }
        return 0;
}

int cmdline_parse(const char *text, Cmdline *ret)
{
        _cleanup_(cmdline_done) Cmdline cmdline = { 0 };
        int r;

        for (size_t n; *text; text += n) {
                _cleanup_free_ char *word = NULL;

                while (isspace((unsigned char)*text))
                        text++;
                n = word_length(text);
                word = strndup(text, n);
                if (!word)
                        return -ENOMEM;
                remove_quotes(word);
                r = take_word(word, &cmdline);
                if (r < 0)
                        return r;
        }
        *ret = cmdline;
        cmdline = (Cmdline){ 0 };
        return 0;
}

void cmdline_done(Cmdline *cmdline)
{
        cmdline->skip = strv_free(cmdline->skip);
}

bool cmdline_skips(const Cmdline *cmdline, const char *name)
{
        STRV_FOREACH(skip, cmdline->skip) {
                const char *rest = startswith(name, *skip);

                if (rest && (streq(rest, "") || streq(rest, ".conf")))
                        return true;
        }
        return false;
}
