/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/json.h"

void *must(void *p)
{
        if (!p) {
                fputs("vfioctl: out of memory\n", stderr);
                _exit(STATUS_FAILED);
        }
        return p;
}

char *format_text_va(const char *format, va_list ap)
{
        char *text;

        return must(vasprintf(&text, format, ap) < 0 ? NULL : text);
}

char *format_text(const char *format, ...)
{
        va_list ap;
        char *text;

        va_start(ap, format);
        text = format_text_va(format, ap);
        va_end(ap);
        return text;
}

json_object *json_new(void)
{
        return must(json_object_new_object());
}

json_object *json_new_list(void)
{
        return must(json_object_new_array());
}

json_object *json_add(json_object *o, const char *key, json_object *value)
{
        if (json_object_object_add(o, key, value) < 0)
                must(NULL);
        return value;
}

json_object *json_append(json_object *list, json_object *value)
{
        if (json_object_array_add(list, value) < 0)
                must(NULL);
        return value;
}

void json_add_text(json_object *o, const char *key, const char *value)
{
        json_add(o, key, isempty(value) ? NULL : must(json_object_new_string(value)));
}

void json_add_number(json_object *o, const char *key, int64_t value)
{
        json_add(o, key, must(json_object_new_int64(value)));
}

json_object *json_pick(json_object *o, const char *const *keys)
{
        json_object *picked = json_new();

        for (size_t i = 0; keys[i]; i++)
                json_add(picked, keys[i], json_object_get(json_object_object_get(o, keys[i])));
        return picked;
}

const char *json_text(json_object *o, const char *key)
{
        return json_object_get_string(json_object_object_get(o, key));
}

const char *json_word(json_object *o, const char *key)
{
        return strempty(json_text(o, key));
}

int64_t json_number(json_object *o, const char *key)
{
        json_object *v = json_object_object_get(o, key);

        return v ? json_object_get_int64(v) : -1;
}

bool json_flag(json_object *o, const char *key)
{
        return json_object_get_boolean(json_object_object_get(o, key));
}

size_t json_count(json_object *list)
{
        return list ? json_object_array_length(list) : 0;
}

char *json_words(json_object *value)
{
        char *text = NULL;

        switch (json_object_get_type(value)) {
        case json_type_boolean:
                return must(strdup(json_object_get_boolean(value) ? "yes" : "no"));
        case json_type_array:
                for (size_t i = 0; i < json_count(value); i++) {
                        _cleanup_free_ char *before = text, *word = json_words(json_at(value, i));

                        text = format_text("%s%s%s", strempty(before), before ? " " : "", word);
                }
                return text ?: must(strdup("-"));
        default:
                return must(strdup(json_object_get_string(value) ?: "-"));
        }
}
