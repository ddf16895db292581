/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* D-Bus values to JSON, whatever their type. */

#include "ctl/bus.h"
#include "ctl/json.h"
#include "model/describe.h"

#include <ctype.h>

static int read_value(sd_bus_message *m, json_object **ret);

static int read_basic(sd_bus_message *m, char type, json_object **ret)
{
        union {
                const char *s;
                int b;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
        } v;
        int r;

        r = sd_bus_message_read_basic(m, type, &v);
        if (r < 0)
                return r;
        switch (type) {
        case SD_BUS_TYPE_STRING:
        case SD_BUS_TYPE_OBJECT_PATH:
                *ret = must(json_object_new_string(v.s));
                return 0;
        case SD_BUS_TYPE_BOOLEAN:
                *ret = must(json_object_new_boolean(v.b));
                return 0;
        case SD_BUS_TYPE_INT32:
                *ret = must(json_object_new_int64(v.i));
                return 0;
        case SD_BUS_TYPE_UINT32:
                *ret = must(json_object_new_int64(v.u));
                return 0;
        case SD_BUS_TYPE_INT64:
                *ret = must(json_object_new_int64(v.x));
                return 0;
        case SD_BUS_TYPE_UINT64:
                *ret = must(json_object_new_uint64(v.t));
                return 0;
        default:
                return -EOPNOTSUPP;
        }
}

/* On the bus, an empty string or a negative number is "nothing" (model/describe.h). */
static bool is_nothing(json_object *v)
{
        return (json_object_is_type(v, json_type_string) && !json_object_get_string_len(v)) ||
               (json_object_is_type(v, json_type_int) && json_object_get_int64(v) < 0);
}

/* An entry of a dictionary. Names of properties become snake case; interfaces and paths stay. */
static int read_member(sd_bus_message *m, json_object *o)
{
        _cleanup_json_ json_object *pair = NULL;
        _cleanup_free_ char *name = NULL;
        json_object *value;
        const char *key;
        int r;

        r = read_value(m, &pair);
        if (r < 0)
                return r;
        key = must((char *)json_object_get_string(json_at(pair, 0)));
        value = json_at(pair, 1);
        name = must(isupper((unsigned char)key[0]) ? field_json_name(key) : strdup(key));
        json_add(o, name, is_nothing(value) ? NULL : json_object_get(value));
        return 0;
}

static int read_entry(sd_bus_message *m, json_object *list)
{
        json_object *value;
        int r;

        r = read_value(m, &value);
        if (r >= 0)
                json_append(list, value);
        return r;
}

/* All up to the end of the container, each by `read`, into `into`. */
static int read_all(sd_bus_message *m, int (*read)(sd_bus_message *m, json_object *into),
                    json_object *into)
{
        int r = 0;

        while (r >= 0 && (r = sd_bus_message_at_end(m, /* complete= */ false)) == 0)
                r = read(m, into);
        return r < 0 ? r : 0;
}

/* Dictionaries become objects; arrays, structures and entries of dictionaries lists. */
static int read_contents(sd_bus_message *m, char type, const char *contents, json_object **ret)
{
        if (type == SD_BUS_TYPE_VARIANT)
                return read_value(m, ret);
        if (type == SD_BUS_TYPE_ARRAY && contents[0] == SD_BUS_TYPE_DICT_ENTRY_BEGIN) {
                *ret = json_new();
                return read_all(m, read_member, *ret);
        }
        *ret = json_new_list();
        return read_all(m, read_entry, *ret);
}

static int read_value(sd_bus_message *m, json_object **ret)
{
        _cleanup_json_ json_object *o = NULL;
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r <= 0)
                return r < 0 ? r : -ENXIO;
        if (!contents)
                return read_basic(m, type, ret);
        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        r = read_contents(m, type, contents, &o);
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

int bus_message_to_json(sd_bus_message *m, json_object **ret)
{
        _cleanup_json_ json_object *list = json_new_list();
        int r;

        r = read_all(m, read_entry, list);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(list);
        return 0;
}
