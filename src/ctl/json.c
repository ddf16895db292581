/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/json.h"
#include "basic/strv.h"

#include <stdarg.h>

void *must(void *p)
{
        if (!p) {
                fputs("vfioctl: out of memory\n", stderr);
                _exit(STATUS_FAILED);
        }
        return p;
}

char *format_text(const char *format, ...)
{
        char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        return must(r < 0 ? NULL : text);
}

json_object *json_new(void)
{
        return must(json_object_new_object());
}

json_object *json_new_list(void)
{
        return must(json_object_new_array());
}

void json_add(json_object *o, const char *key, json_object *value)
{
        if (json_object_object_add(o, key, value) < 0)
                must(NULL);
}

void json_append(json_object *list, json_object *value)
{
        if (json_object_array_add(list, value) < 0)
                must(NULL);
}

void json_add_text(json_object *o, const char *key, const char *value)
{
        json_add(o, key, isempty(value) ? NULL : must(json_object_new_string(value)));
}

void json_add_number(json_object *o, const char *key, int64_t value)
{
        json_add(o, key, must(json_object_new_int64(value)));
}

const char *json_text(json_object *o, const char *key)
{
        json_object *v;

        if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_string))
                return NULL;
        return json_object_get_string(v);
}

const char *json_word(json_object *o, const char *key)
{
        return strempty(json_text(o, key));
}

int64_t json_number(json_object *o, const char *key)
{
        json_object *v;

        if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_int))
                return -1;
        return json_object_get_int64(v);
}

bool json_flag(json_object *o, const char *key)
{
        return json_object_get_boolean(json_object_object_get(o, key));
}

bool json_has(json_object *o, const char *key, const char *text)
{
        json_object *list;

        if (!json_object_object_get_ex(o, key, &list) ||
            !json_object_is_type(list, json_type_array))
                return false;
        for (size_t i = 0; i < json_count(list); i++)
                if (streq(strempty(json_object_get_string(json_at(list, i))), text))
                        return true;
        return false;
}

static char *list_words(json_object *list)
{
        char *text = NULL;

        for (size_t i = 0; i < json_count(list); i++) {
                _cleanup_free_ char *before = text, *word = json_words(json_at(list, i));

                text = format_text("%s%s%s", strempty(before), before ? " " : "", word);
        }
        return text ?: must(strdup("-"));
}

char *json_words(json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_null:
                return must(strdup("-"));
        case json_type_boolean:
                return must(strdup(json_object_get_boolean(value) ? "yes" : "no"));
        case json_type_array:
                return list_words(value);
        default:
                return must(strdup(json_object_get_string(value)));
        }
}
