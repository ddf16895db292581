/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Between messages and the model: fields, flags, options, device words, object paths. */

#include "basic/names.h"
#include "basic/parse.h"
#include "daemon/bus-internal.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

static const char *field_signature(FieldType t)
{
        static const char *const signatures[] = {
                [FIELD_STRING] = "s", [FIELD_BOOL] = "b",   [FIELD_INT] = "i",
                [FIELD_UINT] = "u",   [FIELD_UINT64] = "t", [FIELD_STRV] = "as",
        };

        return signatures[t];
}

/* Names of files, of programs and the like may be any bytes; sd-bus takes only UTF-8. */
static int append_text(sd_bus_message *m, const char *s)
{
        _cleanup_free_ char *mended = NULL;
        int r;

        r = sd_bus_message_append_basic(m, 's', s);
        if (r != -EINVAL)
                return r;
        mended = strdup(s);
        return mended ? sd_bus_message_append_basic(m, 's', utf8_mend(mended)) : -ENOMEM;
}

static int append_texts(sd_bus_message *m, char *const *texts)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        for (; r >= 0 && texts && *texts; texts++)
                r = append_text(m, *texts);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

void bus_mend_error(sd_bus_error *error)
{
        /* What is to be mended is no constant, so it is the error's own. */
        if (error->message)
                utf8_mend((char *)error->message);
}

int bus_append_value(sd_bus_message *m, const Field *f)
{
        int32_t word = (int32_t)f->number;

        switch (f->type) {
        case FIELD_STRING:
                return append_text(m, strempty(f->string));
        case FIELD_BOOL:
        case FIELD_INT:
        case FIELD_UINT:
                return sd_bus_message_append_basic(m, *field_signature(f->type), &word);
        case FIELD_UINT64:
                return sd_bus_message_append_basic(m, 't', &f->number);
        case FIELD_STRV:
                return append_texts(m, f->strv);
        default:
                return -EINVAL;
        }
}

int bus_append_field(const Field *f, void *userdata)
{
        sd_bus_message *m = userdata;
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', f->name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', field_signature(f->type));
        if (r >= 0)
                r = bus_append_value(m, f);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

void description_done(Description *d)
{
        for (size_t i = 0; i < d->n_fields; i++) {
                free((char *)d->fields[i].string);
                strv_free((char **)d->fields[i].strv);
        }
        d->n_fields = d->next = 0;
}

int description_keep_field(const Field *f, void *userdata)
{
        _cleanup_free_ char *string = NULL;
        char **strv = NULL;
        Description *d = userdata;
        Field *kept;
        int r;

        if (d->n_fields == ELEMENTSOF(d->fields))
                return -EOVERFLOW;
        string = isempty(f->string) ? NULL : strdup(f->string);
        if (!string && !isempty(f->string))
                return -ENOMEM;
        r = strv_copy(f->strv, &strv);
        if (r < 0)
                return r;
        kept = &d->fields[d->n_fields++];
        *kept = *f;
        kept->string = TAKE_PTR(string);
        kept->strv = strv;
        return 0;
}

int bus_open_dict(sd_bus_message *m)
{
        return sd_bus_message_open_container(m, 'a', "{sv}");
}

int bus_open_object(sd_bus_message *m, const char *path)
{
        int r;

        r = sd_bus_message_open_container(m, 'e', "oa{sa{sv}}");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 'o', path);
        return r < 0 ? r : sd_bus_message_open_container(m, 'a', "{sa{sv}}");
}

int bus_close_entry(sd_bus_message *m)
{
        int r = sd_bus_message_close_container(m);

        return r < 0 ? r : sd_bus_message_close_container(m);
}

int bus_open_interface(sd_bus_message *m, const char *name)
{
        int r;

        r = sd_bus_message_open_container(m, 'e', "sa{sv}");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', name);
        return r < 0 ? r : bus_open_dict(m);
}

bool field_equal(const Field *a, const Field *b)
{
        return a->type == b->type && streq(strempty(a->string), strempty(b->string)) &&
               a->number == b->number && strv_equal(a->strv, b->strv);
}

bool addresses_contain(const PciAddress *addresses, size_t n, const PciAddress *a)
{
        return n > 0 && bsearch(a, addresses, n, sizeof(PciAddress), pci_address_compare_void);
}

int bus_read_flags(sd_bus_message *m, uint64_t known, uint64_t *ret, sd_bus_error *error)
{
        uint64_t flags;
        int r;

        r = sd_bus_message_read(m, "t", &flags);
        if (r < 0)
                return r;
        if (flags & ~known)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Unknown flags 0x%" PRIx64, flags & ~known);
        *ret = flags;
        return 0;
}

void bus_options_done(BusOption *options, size_t n)
{
        for (size_t i = 0; i < n; i++)
                strv_free((char **)options[i].field.strv);
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

static int read_option_value(sd_bus_message *m, Field *f, sd_bus_error *error)
{
        char **words = NULL;
        int32_t number;
        int r;

        switch (f->type) {
        case FIELD_STRING:
                r = sd_bus_message_read(m, "s", &f->string);
                if (r >= 0 && strlen(f->string) > BUS_WORD_MAX)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Option '%s' is longer than %d bytes", f->name,
                                                 BUS_WORD_MAX);
                return r;
        case FIELD_INT:
                r = sd_bus_message_read(m, "i", &number);
                f->number = r < 0 ? 0 : number;
                return r;
        case FIELD_STRV:
                r = read_words(m, &words, error);
                f->strv = words;
                return r;
        default:
                return -EINVAL;
        }
}

static BusOption *find_option(BusOption *options, size_t n, const char *key)
{
        for (size_t i = 0; i < n; i++)
                if (streq(options[i].field.name, key))
                        return &options[i];
        return NULL;
}

static int read_option(sd_bus_message *m, BusOption *options, size_t n, sd_bus_error *error)
{
        const char *key, *signature;
        BusOption *o;
        int r;

        r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        o = find_option(options, n, key);
        if (!o || o->given)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s option '%.*s'",
                                         o ? "Repeated" : "Unknown", BUS_WORD_MAX, key);
        o->given = true;
        signature = field_signature(o->field.type);
        r = sd_bus_message_enter_container(m, 'v', signature);
        if (r == -ENXIO)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Option '%s' is not of type '%s'", key, signature);
        if (r < 0)
                return r;
        r = read_option_value(m, &o->field, error);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int bus_read_options(sd_bus_message *m, BusOption *options, size_t n, sd_bus_error *error)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_option(m, options, n, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int no_such_device(const char *word, sd_bus_error *error)
{
        return sd_bus_error_setf(error, VFIOD_ERROR("NoSuchDevice"), "%.*s: no such device",
                                 BUS_WORD_MAX, word);
}

/* "PF/vfN" names a VF that is there. */
static int parse_device_word(const Inventory *inv, const char *word, PciAddress *ret)
{
        const char *rest = startswith(word, VFIOD_DEVICE_ID_PREFIX) ?: word;
        const char *slash = strstr(rest, "/vf");
        _cleanup_free_ char *pf = NULL;
        const uint32_t *vfs = NULL;
        size_t n_vfs = 0;
        PciAddress a;
        uint64_t n;

        if (!slash)
                return pci_address_parse(rest, ret);
        pf = strndup(rest, (size_t)(slash - rest));
        if (!pf)
                return -ENOMEM;
        if (pci_address_parse(pf, &a) < 0 || parse_uint(slash + strlen("/vf"), 10, INT_MAX, &n) < 0)
                return -EINVAL;
        if (inv)
                vfs = inventory_vfs(inv, &a, &n_vfs);
        for (size_t i = 0; i < n_vfs; i++) {
                const Device *d = inv->devices[vfs[i]];

                if (d->vf_index == (int)n) {
                        *ret = d->address;
                        return 0;
                }
        }
        return -ENODEV;
}

static void mark(const Inventory *inv, const PciAddress *a, bool *marked, size_t *n)
{
        ssize_t i = inventory_index(inv, a);

        if (i >= 0) {
                marked[i] = true;
                (*n)++;
        }
}

/* Marks what the word names; 0 if that is nothing. */
static size_t mark_devices(const Inventory *inv, const char *word, bool *marked)
{
        const char *number = startswith(word, "group:");
        const Group *g = NULL;
        PciAddress a;
        uint64_t k;
        size_t n = 0;

        if (number && parse_uint(number, 10, INT32_MAX, &k) >= 0)
                g = inventory_group(inv, (int)k);
        else if (!number && parse_device_word(inv, word, &a) >= 0)
                mark(inv, &a, marked, &n);
        for (size_t i = 0; g && i < g->n_members; i++)
                if (!device_is_system(g->members[i]))
                        mark(inv, &g->members[i]->address, marked, &n);
        return n;
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

int bus_read_device(sd_bus_message *m, const Snapshot *s, PciAddress *ret, sd_bus_error *error)
{
        const char *word;
        PciAddress a;
        int r;

        r = sd_bus_message_read(m, "s", &word);
        if (r < 0)
                return r;
        if (strlen(word) > BUS_WORD_MAX || parse_device_word(s->inventory, word, &a) < 0 ||
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
