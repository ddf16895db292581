/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/bus-json.h"
#include "ctl/json.h"
#include "model/describe.h"

#include <inttypes.h>

static int new_or_enomem(json_object *o, json_object **ret)
{
        if (!o)
                return -ENOMEM;
        *ret = o;
        return 0;
}

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
                double d;
        } v;
        int r;

        r = sd_bus_message_read_basic(m, type, &v);
        if (r < 0)
                return r;
        switch (type) {
        case SD_BUS_TYPE_STRING:
        case SD_BUS_TYPE_OBJECT_PATH:
        case SD_BUS_TYPE_SIGNATURE:
                return new_or_enomem(json_object_new_string(v.s), ret);
        case SD_BUS_TYPE_BOOLEAN:
                return new_or_enomem(json_object_new_boolean(v.b), ret);
        case SD_BUS_TYPE_BYTE:
                return new_or_enomem(json_object_new_int64(v.y), ret);
        case SD_BUS_TYPE_INT16:
                return new_or_enomem(json_object_new_int64(v.n), ret);
        case SD_BUS_TYPE_UINT16:
                return new_or_enomem(json_object_new_int64(v.q), ret);
        case SD_BUS_TYPE_INT32:
                return new_or_enomem(json_object_new_int64(v.i), ret);
        case SD_BUS_TYPE_UINT32:
                return new_or_enomem(json_object_new_int64(v.u), ret);
        case SD_BUS_TYPE_INT64:
                return new_or_enomem(json_object_new_int64(v.x), ret);
        case SD_BUS_TYPE_UINT64:
                return new_or_enomem(json_object_new_uint64(v.t), ret);
        case SD_BUS_TYPE_DOUBLE:
                return new_or_enomem(json_object_new_double(v.d), ret);
        default:
                return -EOPNOTSUPP;
        }
}

/* On the bus, an empty string or a negative number is "nothing" (model/describe.h). */
static json_object *nothing_to_null(json_object *v)
{
        bool nothing = false;

        if (json_object_is_type(v, json_type_string))
                nothing = json_object_get_string_len(v) == 0;
        else if (json_object_is_type(v, json_type_int))
                nothing = json_object_get_int64(v) < 0;
        if (!nothing)
                return v;
        json_object_put(v);
        return NULL;
}

static int read_member(sd_bus_message *m, json_object *o)
{
        _cleanup_free_ char *name = NULL;
        json_object *value = NULL;
        const char *key;
        int r;

        r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &key);
        if (r < 0)
                return r;
        name = field_json_name(key);
        if (!name)
                return -ENOMEM;
        r = bus_value_to_json(m, &value);
        if (r < 0)
                return r;
        return json_add(o, name, nothing_to_null(value));
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
        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, contents);
        if (r < 0)
                return r;
        while ((r = sd_bus_message_at_end(m, /* complete= */ false)) == 0) {
                r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, NULL);
                if (r < 0)
                        return r;
                r = read_member(m, o);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int dict_to_json(sd_bus_message *m, json_object **ret)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        int r;

        if (!o)
                return -ENOMEM;
        r = bus_merge_dict(m, o);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

/* Arrays and structures alike become lists. */
static int list_to_json(sd_bus_message *m, char type, const char *contents, json_object **ret)
{
        _cleanup_json_ json_object *list = json_object_new_array();
        int r;

        if (!list)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        while (sd_bus_message_at_end(m, /* complete= */ false) == 0) {
                json_object *value;

                r = bus_value_to_json(m, &value);
                if (r < 0)
                        return r;
                r = json_append(list, value);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(list);
        return 0;
}

int bus_value_to_json(sd_bus_message *m, json_object **ret)
{
        const char *contents;
        json_object *inner;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENXIO;
        if (type == SD_BUS_TYPE_ARRAY && startswith(contents, "{s"))
                return dict_to_json(m, ret);
        if (type == SD_BUS_TYPE_ARRAY || type == SD_BUS_TYPE_STRUCT ||
            type == SD_BUS_TYPE_DICT_ENTRY)
                return list_to_json(m, type, contents, ret);
        if (type != SD_BUS_TYPE_VARIANT)
                return basic_to_json(m, type, ret);
        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_VARIANT, contents);
        if (r < 0)
                return r;
        r = bus_value_to_json(m, &inner);
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0) {
                json_object_put(inner);
                return r;
        }
        *ret = inner;
        return 0;
}
