/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between messages and the model: fields, flags, options, device words, object paths. */

#include <systemd/sd-bus.h>

#include "model/describe.h"

enum {
        BUS_DEVICES_MAX = 4096,           /* words in one call */
        BUS_WORD_MAX = 255,               /* bytes of one */
        BUS_REPLY_MAX = 24 * 1024 * 1024, /* bytes; the system bus cuts at 32 MiB */
        BUS_OBJECT_SIZE = 1200, /* bytes that one object takes in a reply, at most typically */
};

/* Writes aa{sv}, and knows how large it has become. */
typedef struct DictWriter {
        sd_bus_message *message;
        size_t size;
} DictWriter;

_must_check_ int dict_array_open(DictWriter *w);
_must_check_ int dict_array_close(DictWriter *w);
_must_check_ int dict_open(DictWriter *w);
_must_check_ int dict_close(DictWriter *w);

/* A field_handler_t whose userdata is a DictWriter: one entry. -EMSGSIZE past BUS_REPLY_MAX. */
_must_check_ int dict_field(const Field *f, void *userdata);

/* Turns -EMSGSIZE into LimitsExceeded with a hint; other errors pass. */
_must_check_ int bus_reply_error(int r, sd_bus_error *error);

/* The value alone, as in a property. */
_must_check_ int bus_append_value(sd_bus_message *m, const Field *f);

/* InvalidArgs on any bit that is not in `known`. */
_must_check_ int bus_check_flags(uint64_t flags, uint64_t known, sd_bus_error *error);

/* One key that a method's a{sv} may have. Strings are weak: they live as long as the message. */
typedef struct BusOption {
        const char *key;
        FieldType type; /* STRING, INT or STRV */
        bool given;
        const char *string;
        int32_t integer;
        char **strv; /* owned */
} BusOption;

void bus_options_done(BusOption *options, size_t n);

/* InvalidArgs on unknown and repeated keys, wrong types and values past the limits. */
_must_check_ int bus_read_options(sd_bus_message *m, BusOption *options, size_t n,
                                  sd_bus_error *error);

/* An array of device words to the addresses of devices, sorted, each once. */
_must_check_ int bus_read_devices(sd_bus_message *m, const Inventory *inv, PciAddress **ret,
                                  size_t *ret_n, sd_bus_error *error);

/* One device or declared place: an address in either form, with or without "pci:". */
_must_check_ int bus_find_device(const Snapshot *s, const char *word, PciAddress *ret,
                                 sd_bus_error *error);

/* Newly allocated. The readers answer -EINVAL for any path that the makers do not make. */
_must_check_ int bus_device_path(const PciAddress *a, char **ret);
_must_check_ int bus_device_from_path(const char *path, PciAddress *ret);
_must_check_ int bus_number_path(const char *prefix, uint64_t number, char **ret);
_must_check_ int bus_number_from_path(const char *prefix, const char *path, uint64_t *ret);
