/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/json.h"
#include "basic/parse.h"
#include "ctl/bus.h"
#include "model/describe.h"

#include <ctype.h>

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

json_object *json_new_text(const char *s)
{
        _cleanup_free_ char *text = must(strdup(s));

        return must(json_object_new_string(utf8_mend(text)));
}

json_object *json_new_strv(char *const *strv)
{
        json_object *list = json_new_list();

        for (; strv && *strv; strv++)
                json_append(list, json_new_text(*strv));
        return list;
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
        json_add(o, key, isempty(value) ? NULL : json_new_text(value));
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

/* D-Bus values of any type. */
static int read_value(sd_bus_message *m, json_object **ret);

static int read_basic(sd_bus_message *m, char type, json_object **ret)
{
        union {
                const char *s;
                int b;
                int32_t i;
                uint32_t u;
                uint64_t t;
        } v;
        int r = sd_bus_message_read_basic(m, type, &v);

        if (r < 0)
                return r;
        switch (type) {
        case SD_BUS_TYPE_STRING:
        case SD_BUS_TYPE_OBJECT_PATH:
                *ret = must(json_object_new_string(v.s));
                break;
        case SD_BUS_TYPE_BOOLEAN:
                *ret = must(json_object_new_boolean(v.b));
                break;
        case SD_BUS_TYPE_INT32:
                *ret = must(json_object_new_int64(v.i));
                break;
        case SD_BUS_TYPE_UINT32:
                *ret = must(json_object_new_int64(v.u));
                break;
        case SD_BUS_TYPE_UINT64:
                *ret = must(json_object_new_uint64(v.t));
                break;
        default:
                return -EOPNOTSUPP;
        }
        return 0;
}

/* On the bus, an empty string or a negative number is "nothing" (model/describe.h). */
static bool is_nothing(json_object *v)
{
        return (json_object_is_type(v, json_type_string) && !json_object_get_string_len(v)) ||
               (json_object_is_type(v, json_type_int) && json_object_get_int64(v) < 0);
}

/* Of [key, value] pairs. Names of properties become snake case; interfaces and paths stay. */
static json_object *make_object(json_object *pairs)
{
        json_object *o = json_new();

        for (size_t i = 0; i < json_count(pairs); i++) {
                json_object *value = json_at(json_at(pairs, i), 1);
                const char *key = json_object_get_string(json_at(json_at(pairs, i), 0));
                _cleanup_free_ char *name =
                        isupper((unsigned char)key[0]) ? field_json_name(key) : strdup(key);

                json_add(o, must(name), is_nothing(value) ? NULL : json_object_get(value));
        }
        return o;
}

int bus_message_to_json(sd_bus_message *m, json_object **ret)
{
        _cleanup_json_ json_object *list = json_new_list();
        json_object *value;
        int r;

        while ((r = sd_bus_message_at_end(m, /* complete= */ false)) == 0) {
                r = read_value(m, &value);
                if (r < 0)
                        return r;
                json_append(list, value);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(list);
        return 0;
}

/* Dictionaries become objects; arrays, structures and entries of dictionaries lists. */
static int read_value(sd_bus_message *m, json_object **ret)
{
        _cleanup_json_ json_object *o = NULL;
        const char *contents;
        char type;
        int r = sd_bus_message_peek_type(m, &type, &contents);

        if (r <= 0)
                return r < 0 ? r : -ENXIO;
        if (!contents)
                return read_basic(m, type, ret);
        r = sd_bus_message_enter_container(m, type, contents);
        if (r >= 0)
                r = type == SD_BUS_TYPE_VARIANT ? read_value(m, &o) : bus_message_to_json(m, &o);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = type == SD_BUS_TYPE_ARRAY && contents[0] == SD_BUS_TYPE_DICT_ENTRY_BEGIN
                       ? make_object(o)
                       : TAKE_PTR(o);
        return 0;
}
