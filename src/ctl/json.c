/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/json.h"
#include "basic/strv.h"

const char *json_text(json_object *o, const char *key)
{
        json_object *v;

        if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_string))
                return NULL;
        return json_object_get_string(v);
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
        json_object *v;

        return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_boolean) &&
               json_object_get_boolean(v);
}

json_object *json_list(json_object *o, const char *key)
{
        json_object *v;

        if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_array))
                return NULL;
        return v;
}

bool json_list_has(json_object *list, const char *text)
{
        size_t n = list ? json_object_array_length(list) : 0;

        for (size_t i = 0; i < n; i++) {
                json_object *v = json_object_array_get_idx(list, i);

                if (json_object_is_type(v, json_type_string) &&
                    streq(json_object_get_string(v), text))
                        return true;
        }
        return false;
}

int json_add(json_object *o, const char *key, json_object *value)
{
        if (json_object_object_add(o, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

int json_add_text(json_object *o, const char *key, const char *value)
{
        json_object *v = NULL;

        if (!isempty(value)) {
                v = json_object_new_string(value);
                if (!v)
                        return -ENOMEM;
        }
        return json_add(o, key, v);
}

int json_append(json_object *list, json_object *value)
{
        if (json_object_array_add(list, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

static char *list_words(json_object *list)
{
        _cleanup_strv_ char **words = NULL;
        size_t n = json_object_array_length(list);

        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *word = json_words(json_object_array_get_idx(list, i));

                if (!word || strv_extend(&words, word) < 0)
                        return NULL;
        }
        return words ? strv_join(words, " ") : strdup("-");
}

char *json_words(json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_null:
                return strdup("-");
        case json_type_boolean:
                return strdup(json_object_get_boolean(value) ? "yes" : "no");
        case json_type_array:
                return list_words(value);
        default:
                return strdup(json_object_get_string(value));
        }
}
