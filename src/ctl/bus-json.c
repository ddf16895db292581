/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/bus-json.h"
#include "ctl/json.h"
#include "model/describe.h"

static int basic_to_json(sd_bus_message *m, char type, json_object **ret)
{
        union {
                const char *s;
                int b;
                uint8_t y;
                int16_t n;
                uint16_t q;
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
        case SD_BUS_TYPE_SIGNATURE:
                *ret = must(json_object_new_string(v.s));
                return 0;
        case SD_BUS_TYPE_BOOLEAN:
                *ret = must(json_object_new_boolean(v.b));
                return 0;
        case SD_BUS_TYPE_UINT64:
                *ret = must(json_object_new_uint64(v.t));
                return 0;
        case SD_BUS_TYPE_BYTE:
                v.x = v.y;
                break;
        case SD_BUS_TYPE_INT16:
                v.x = v.n;
                break;
        case SD_BUS_TYPE_UINT16:
                v.x = v.q;
                break;
        case SD_BUS_TYPE_INT32:
                v.x = v.i;
                break;
        case SD_BUS_TYPE_UINT32:
                v.x = v.u;
                break;
        case SD_BUS_TYPE_INT64:
                break;
        default:
                return -EOPNOTSUPP;
        }
        *ret = must(json_object_new_int64(v.x));
        return 0;
}

/* On the bus, an empty string or a negative number is "nothing" (model/describe.h). */
static bool is_nothing(json_object *v)
{
        return (json_object_is_type(v, json_type_string) && !json_object_get_string_len(v)) ||
               (json_object_is_type(v, json_type_int) && json_object_get_int64(v) < 0);
}

static int read_member(sd_bus_message *m, json_object *o)
{
        _cleanup_json_ json_object *value = NULL;
        _cleanup_free_ char *name = NULL;
        const char *key;
        int r;

        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &key);
        if (r < 0)
                return r;
        name = must(field_json_name(key));
        r = bus_value_to_json(m, &value);
        if (r < 0)
                return r;
        json_add(o, name, is_nothing(value) ? NULL : TAKE_PTR(value));
        return sd_bus_message_exit_container(m);
}

static int read_entry(sd_bus_message *m, json_object *list)
{
        json_object *value;
        int r;

        r = bus_value_to_json(m, &value);
        if (r >= 0)
                json_append(list, value);
        return r;
}

/* All that a container has, each by `read`, into `into`. */
static int read_container(sd_bus_message *m, char type, const char *contents,
                          int (*read)(sd_bus_message *m, json_object *into), json_object *into)
{
        int r;

        r = sd_bus_message_enter_container(m, type, contents);
        while (r >= 0) {
                r = sd_bus_message_at_end(m, /* complete= */ false);
                if (r > 0)
                        return sd_bus_message_exit_container(m);
                if (r == 0)
                        r = read(m, into);
        }
        return r;
}

int bus_merge_dict(sd_bus_message *m, json_object *o)
{
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (type != SD_BUS_TYPE_ARRAY || !startswith(contents, "{s"))
                return -EBADMSG;
        return read_container(m, type, contents, read_member, o);
}

/* Dictionaries become objects, arrays and structures alike lists. */
int bus_value_to_json(sd_bus_message *m, json_object **ret)
{
        _cleanup_json_ json_object *o = NULL;
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r <= 0)
                return r < 0 ? r : -ENXIO;
        if (type == SD_BUS_TYPE_ARRAY && startswith(contents, "{s")) {
                o = json_new();
                r = read_container(m, type, contents, read_member, o);
        } else if (type == SD_BUS_TYPE_VARIANT) {
                r = sd_bus_message_enter_container(m, type, contents);
                if (r >= 0)
                        r = bus_value_to_json(m, &o);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        } else if (contents) {
                o = json_new_list();
                r = read_container(m, type, contents, read_entry, o);
        } else {
                r = basic_to_json(m, type, &o);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}
