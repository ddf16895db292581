/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus-util.h"
#include "basic/names.h"
#include "basic/parse.h"

#include <inttypes.h>
#include <stdio.h>

int dict_array_open(DictWriter *w)
{
        return sd_bus_message_open_container(w->message, 'a', "a{sv}");
}

int dict_array_close(DictWriter *w)
{
        return sd_bus_message_close_container(w->message);
}

int dict_open(DictWriter *w)
{
        return sd_bus_message_open_container(w->message, 'a', "{sv}");
}

int dict_close(DictWriter *w)
{
        return sd_bus_message_close_container(w->message);
}

static const char *field_signature(FieldType t)
{
        static const char *const signatures[] = {
                [FIELD_STRING] = "s", [FIELD_BOOL] = "b",  [FIELD_INT] = "i",
                [FIELD_UINT] = "u",   [FIELD_STRV] = "as",
        };

        return signatures[t];
}

int bus_append_value(sd_bus_message *m, const Field *f)
{
        switch (f->type) {
        case FIELD_STRING:
                return sd_bus_message_append(m, "s", strempty(f->string));
        case FIELD_BOOL:
                return sd_bus_message_append(m, "b", (int)f->boolean);
        case FIELD_INT:
                return sd_bus_message_append(m, "i", f->integer);
        case FIELD_UINT:
                return sd_bus_message_append(m, "u", f->uinteger);
        case FIELD_STRV:
                return sd_bus_message_append_strv(m, (char **)f->strv);
        default:
                return -EINVAL;
        }
}

/* What an entry takes on the wire, with its lengths and padding: never too little. */
static size_t field_size(const Field *f)
{
        size_t size = 40 + strlen(f->name);

        if (f->type == FIELD_STRING)
                size += strlen(strempty(f->string));
        for (char *const *s = f->type == FIELD_STRV ? f->strv : NULL; s && *s; s++)
                size += strlen(*s) + 8;
        return size;
}

int dict_field(const Field *f, void *userdata)
{
        DictWriter *w = userdata;
        int r;

        w->size += field_size(f);
        if (w->size > BUS_REPLY_MAX)
                return -EMSGSIZE;
        r = sd_bus_message_open_container(w->message, 'e', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append(w->message, "s", f->name);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(w->message, 'v', field_signature(f->type));
        if (r < 0)
                return r;
        r = bus_append_value(w->message, f);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(w->message);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(w->message);
}

int bus_reply_error(int r, sd_bus_error *error)
{
        if (r != -EMSGSIZE)
                return r;
        return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "The answer would be too large, use ListDevices with a filter");
}

int bus_check_flags(uint64_t flags, uint64_t known, sd_bus_error *error)
{
        if (flags & ~known)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Unknown flags 0x%" PRIx64, flags & ~known);
        return 0;
}

void bus_options_done(BusOption *options, size_t n)
{
        for (size_t i = 0; i < n; i++)
                options[i].strv = strv_free(options[i].strv);
}

/* A list of bounded length whose words are too. */
static int read_words(sd_bus_message *m, char ***ret, sd_bus_error *error)
{
        _cleanup_strv_ char **words = NULL;
        int r;

        r = sd_bus_message_read_strv(m, &words);
        if (r < 0)
                return r;
        if (strv_length(words) > BUS_DEVICES_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "More than %d words in one call", BUS_DEVICES_MAX);
        STRV_FOREACH(w, words)
                if (strlen(*w) > BUS_WORD_MAX)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "A word is longer than %d bytes", BUS_WORD_MAX);
        *ret = TAKE_PTR(words);
        return 0;
}

static int read_option_value(sd_bus_message *m, BusOption *o, sd_bus_error *error)
{
        int r;

        switch (o->type) {
        case FIELD_STRING:
                r = sd_bus_message_read(m, "s", &o->string);
                if (r >= 0 && strlen(o->string) > BUS_WORD_MAX)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Option '%s' is longer than %d bytes", o->key,
                                                 BUS_WORD_MAX);
                return r;
        case FIELD_INT:
                return sd_bus_message_read(m, "i", &o->integer);
        case FIELD_STRV:
                return read_words(m, &o->strv, error);
        default:
                return -EINVAL;
        }
}

static int read_option(sd_bus_message *m, BusOption *o, sd_bus_error *error)
{
        const char *signature = NULL;
        int r;

        if (o->given)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Option '%s' is given twice", o->key);
        o->given = true;
        r = sd_bus_message_peek_type(m, NULL, &signature);
        if (r < 0)
                return r;
        if (!streq_ptr(signature, field_signature(o->type)))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Option '%s' has type '%s', not '%s'", o->key,
                                         strempty(signature), field_signature(o->type));
        r = sd_bus_message_enter_container(m, 'v', signature);
        if (r < 0)
                return r;
        r = read_option_value(m, o, error);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

static BusOption *find_option(BusOption *options, size_t n, const char *key)
{
        for (size_t i = 0; i < n; i++)
                if (streq(options[i].key, key))
                        return &options[i];
        return NULL;
}

int bus_read_options(sd_bus_message *m, BusOption *options, size_t n, sd_bus_error *error)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key;
                BusOption *o;

                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                o = find_option(options, n, key);
                if (!o)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Unknown option '%.*s'", BUS_WORD_MAX, key);
                r = read_option(m, o, error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

static int no_such_device(const char *word, sd_bus_error *error)
{
        return sd_bus_error_setf(error, VFIOD_ERROR("NoSuchDevice"), "%.*s: no such device",
                                 BUS_WORD_MAX, word);
}

static int parse_device_word(const char *word, PciAddress *ret)
{
        const char *rest = startswith(word, VFIOD_DEVICE_ID_PREFIX);

        return pci_address_parse(rest ? rest : word, ret);
}

/* Marks what the word names; 0 if that is nothing. */
static size_t mark_devices(const Inventory *inv, const char *word, bool *marked)
{
        const char *number = startswith(word, "group:");
        const Group *g;
        PciAddress a;
        uint64_t n;
        size_t k = 0;
        ssize_t i;

        if (!number) {
                i = parse_device_word(word, &a) < 0 ? -1 : inventory_index(inv, &a);
                if (i < 0)
                        return 0;
                marked[i] = true;
                return 1;
        }
        if (parse_uint(number, 10, INT32_MAX, &n) < 0)
                return 0;
        g = inventory_group(inv, (int)n);
        for (size_t j = 0; g && j < g->n_members; j++) {
                i = inventory_index(inv, &g->members[j]->address);
                if (i < 0 || device_is_bridge(g->members[j]))
                        continue;
                marked[i] = true;
                k++;
        }
        return k;
}

int bus_read_devices(sd_bus_message *m, const Inventory *inv, PciAddress **ret, size_t *ret_n,
                     sd_bus_error *error)
{
        _cleanup_free_ PciAddress *addresses = NULL;
        _cleanup_strv_ char **words = NULL;
        _cleanup_free_ bool *marked = NULL;
        size_t n = 0;
        int r;

        r = read_words(m, &words, error);
        if (r < 0)
                return r;
        if (strv_length(words) == 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "No device is named");
        if (!inv)
                return no_such_device(words[0], error);
        marked = calloc(inv->n_devices + 1, sizeof(bool));
        addresses = calloc(inv->n_devices + 1, sizeof(PciAddress));
        if (!marked || !addresses)
                return -ENOMEM;
        STRV_FOREACH(w, words)
                if (mark_devices(inv, *w, marked) == 0)
                        return no_such_device(*w, error);
        for (size_t i = 0; i < inv->n_devices; i++)
                if (marked[i])
                        addresses[n++] = inv->devices[i]->address;
        *ret = TAKE_PTR(addresses);
        *ret_n = n;
        return 0;
}

int bus_find_device(const Snapshot *s, const char *word, PciAddress *ret, sd_bus_error *error)
{
        PciAddress a;

        if (!s->status || strlen(word) > BUS_WORD_MAX || parse_device_word(word, &a) < 0 ||
            !status_find(s->status, &a))
                return no_such_device(word, error);
        *ret = a;
        return 0;
}

int bus_device_path(const PciAddress *a, char **ret)
{
        char id[sizeof(VFIOD_DEVICE_ID_PREFIX) + PCI_ADDRESS_SIZE];

        snprintf(id, sizeof(id), VFIOD_DEVICE_ID_PREFIX "%s", PCI_ADDRESS_STR(a));
        return sd_bus_path_encode(VFIOD_DEVICE_PREFIX, id, ret);
}

int bus_device_from_path(const char *path, PciAddress *ret)
{
        _cleanup_free_ char *id = NULL, *again = NULL;
        const char *word;
        PciAddress a;
        int r;

        r = sd_bus_path_decode(path, VFIOD_DEVICE_PREFIX, &id);
        if (r <= 0)
                return r < 0 ? r : -EINVAL;
        word = startswith(id, VFIOD_DEVICE_ID_PREFIX);
        if (!word || pci_address_parse(word, &a) < 0)
                return -EINVAL;
        /* Short addresses and capital letters name the device in calls, but are no object. */
        r = bus_device_path(&a, &again);
        if (r < 0)
                return r;
        if (!streq(path, again))
                return -EINVAL;
        *ret = a;
        return 0;
}

int bus_number_path(const char *prefix, uint64_t number, char **ret)
{
        char *path = NULL;

        if (asprintf(&path, "%s/%" PRIu64, prefix, number) < 0)
                return -ENOMEM;
        *ret = path;
        return 0;
}

int bus_number_from_path(const char *prefix, const char *path, uint64_t *ret)
{
        const char *rest = startswith(path, prefix);

        if (!rest || rest[0] != '/' || (rest[1] == '0' && rest[2]))
                return -EINVAL;
        return parse_uint(rest + 1, 10, UINT64_MAX, ret);
}
