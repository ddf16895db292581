/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state file is text:
 *
 *   vfiod-state 1
 *   boot 0123456789abcdef0123456789abcdef
 *   origin address=0000:41:00.0 id=10de:2684 subsystem=10de:16f3 topology=… driver=nvidia …
 *   checksum 0123456789abcdef
 *
 * A key that is absent stands for "none", an empty value for the empty string. Values have space,
 * '%' and control characters as %XX. Keys that this version does not know are skipped. The
 * checksum is FNV-1a of all lines above it: it finds damage, not malice.
 */

#include "sys/state.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "sys/sysfs.h"

#include <fcntl.h>
#include <stdio.h>

enum {
        STATE_FILE_MAX = 64 * 1024 * 1024, /* bytes */
        STATE_VERSION = 1,
        STATE_MODE = 0644,
};

#define STATE_PATH "var/lib/vfiod/state"
#define STATE_MAGIC "vfiod-state "
#define CHECKSUM_KEY "checksum "

static uint64_t fnv1a(const char *data, size_t size)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < size; i++)
                hash = (hash ^ (uint8_t)data[i]) * UINT64_C(0x100000001b3);
        return hash;
}

static bool must_escape(char c)
{
        return c == '%' || (unsigned char)c <= ' ' || c == 0x7f;
}

static void put_string(FILE *f, const char *key, const char *value)
{
        if (!value)
                return;
        fprintf(f, " %s=", key);
        for (; *value; value++)
                if (must_escape(*value))
                        fprintf(f, "%%%02x", (unsigned char)*value);
                else
                        fputc(*value, f);
}

static void put_origin(FILE *f, const Origin *o)
{
        const Identity *i = &o->identity;

        fprintf(f, "origin address=%s id=%04x:%04x subsystem=%04x:%04x taken=%d",
                PCI_ADDRESS_STR(&o->address), i->vendor, i->device, i->subvendor, i->subdevice,
                o->taken);
        if (i->has_serial)
                fprintf(f, " serial=%016llx", (unsigned long long)i->serial);
        if (o->has_mac)
                fprintf(f, " mac=%02x:%02x:%02x:%02x:%02x:%02x", o->mac[0], o->mac[1], o->mac[2],
                        o->mac[3], o->mac[4], o->mac[5]);
        put_string(f, "topology", i->topology);
        put_string(f, "driver", o->driver);
        put_string(f, "override", o->override);
        put_string(f, "intended", o->intended);
        put_string(f, "rule", o->rule);
        fputc('\n', f);
}

int state_format(const char *boot_id, const OriginTable *t, char **ret)
{
        _cleanup_free_ char *body = NULL;
        size_t size;
        char *text;
        FILE *f;

        f = open_memstream(&body, &size);
        if (!f)
                return -ENOMEM;
        fprintf(f, STATE_MAGIC "%d\nboot %s\n", STATE_VERSION, boot_id);
        for (size_t i = 0; i < t->n_origins; i++)
                put_origin(f, &t->origins[i]);
        if (fclose(f) != 0)
                return -ENOMEM;
        if (asprintf(&text, "%s" CHECKSUM_KEY "%016llx\n", body,
                     (unsigned long long)fnv1a(body, size)) < 0)
                return -ENOMEM;
        *ret = text;
        return 0;
}

static int unescape(const char *value, char **ret)
{
        _cleanup_free_ char *text = strdup(value);
        char *to = text;

        if (!text)
                return -ENOMEM;
        for (; *value; value++) {
                uint64_t code;

                if (*value != '%') {
                        *to++ = *value;
                        continue;
                }
                if (!value[1] || !value[2] ||
                    parse_uint((char[]){ value[1], value[2], 0 }, 16, UINT8_MAX, &code) < 0 ||
                    code == 0)
                        return -EBADMSG;
                *to++ = (char)code;
                value += 2;
        }
        *to = 0;
        *ret = TAKE_PTR(text);
        return 0;
}

static int set_string(char **field, const char *value)
{
        char *text;
        int r;

        r = unescape(value, &text);
        if (r < 0)
                return r;
        free(*field);
        *field = text;
        return 0;
}

static int parse_pair(const char *value, uint16_t *ret_first, uint16_t *ret_second)
{
        char vendor[5] = { 0 };
        uint64_t first, second;

        if (strlen(value) != 9 || value[4] != ':')
                return -EBADMSG;
        memcpy(vendor, value, 4);
        if (parse_uint(vendor, 16, UINT16_MAX, &first) < 0 ||
            parse_uint(value + 5, 16, UINT16_MAX, &second) < 0)
                return -EBADMSG;
        *ret_first = (uint16_t)first;
        *ret_second = (uint16_t)second;
        return 0;
}

/* The keys that are numbers of some kind. -ENOENT: none of them. */
static int set_number(Origin *o, const char *key, const char *value)
{
        Identity *i = &o->identity;
        int r = -ENOENT;

        if (streq(key, "address"))
                r = pci_address_parse(value, &o->address);
        else if (streq(key, "id"))
                r = parse_pair(value, &i->vendor, &i->device);
        else if (streq(key, "subsystem"))
                r = parse_pair(value, &i->subvendor, &i->subdevice);
        else if (streq(key, "taken"))
                r = parse_boolean(value, &o->taken);
        else if (streq(key, "serial"))
                r = parse_uint(value, 16, UINT64_MAX, &i->serial);
        else if (streq(key, "mac"))
                r = parse_mac(value, o->mac);
        i->has_serial |= streq(key, "serial");
        o->has_mac |= streq(key, "mac");
        return r >= 0 || r == -ENOENT ? r : -EBADMSG;
}

static int set_field(Origin *o, const char *key, const char *value)
{
        const struct {
                const char *key;
                char **field;
        } strings[] = {
                { "topology", &o->identity.topology },
                { "driver", &o->driver },
                { "override", &o->override },
                { "intended", &o->intended },
                { "rule", &o->rule },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                if (streq(key, strings[i].key))
                        return set_string(strings[i].field, value);
        r = set_number(o, key, value);
        return r == -ENOENT ? 0 : r;
}

/* A driver's name from the file ends up in a path. */
static bool origin_is_sane(const Origin *o, bool has_address)
{
        return has_address && (!o->driver || sysfs_name_is_valid(o->driver));
}

static int parse_origin(char *line, bool this_boot, OriginTable *t)
{
        _cleanup_(origin_done) Origin o = { 0 };
        bool has_address = false;
        char *save = NULL;
        int r;

        for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                char *value = strchr(word, '=');

                if (!value)
                        return -EBADMSG;
                *value++ = 0;
                r = set_field(&o, word, value);
                if (r < 0)
                        return r;
                has_address |= streq(word, "address");
        }
        if (!origin_is_sane(&o, has_address) || origin_table_find(t, &o.address))
                return -EBADMSG;
        o.taken = o.taken && this_boot;
        return origin_table_put(t, &o);
}

/* All but the last line is what the checksum counts. Returns the size of that. */
static int check_sum(const char *text, size_t size, size_t *ret_body)
{
        const char *line;
        uint64_t sum;
        char digits[17] = { 0 };
        size_t body;

        if (size == 0 || text[size - 1] != '\n')
                return -EBADMSG;
        line = memrchr(text, '\n', size - 1);
        line = line ? line + 1 : text;
        body = (size_t)(line - text);
        if (size - body != strlen(CHECKSUM_KEY) + 17 || !startswith(line, CHECKSUM_KEY))
                return -EBADMSG;
        memcpy(digits, line + strlen(CHECKSUM_KEY), 16);
        if (parse_uint(digits, 16, UINT64_MAX, &sum) < 0 || sum != fnv1a(text, body))
                return -EBADMSG;
        *ret_body = body;
        return 0;
}

static int parse_version(const char *text, size_t size)
{
        char first[32] = { 0 };
        const char *digits;
        uint64_t version;

        memcpy(first, text, MIN(size, sizeof(first) - 1));
        first[strcspn(first, "\n")] = 0;
        digits = startswith(first, STATE_MAGIC);
        if (!digits || parse_uint(digits, 10, INT32_MAX, &version) < 0 || version == 0)
                return -EBADMSG;
        return version > STATE_VERSION ? -EPROTONOSUPPORT : 0;
}

/* `lines` is a copy of the body, to be cut up. */
static int parse_lines(char *lines, const char *boot_id, OriginTable *t, unsigned *ret_line)
{
        bool this_boot = false;
        unsigned n = 0;
        char *save = NULL;
        int r = 0;

        for (char *line = strtok_r(lines, "\n", &save); line && r >= 0;
             line = strtok_r(NULL, "\n", &save)) {
                char *rest;

                *ret_line = ++n;
                if (n == 1)
                        continue; /* parse_version() has seen it */
                if ((rest = (char *)startswith(line, "boot ")))
                        this_boot = streq(rest, boot_id);
                else if ((rest = (char *)startswith(line, "origin ")))
                        r = parse_origin(rest, this_boot, t);
                else
                        r = -EBADMSG;
        }
        return r;
}

static void set_error(char **ret_error, const char *format, unsigned line)
{
        char *text;

        if (ret_error && asprintf(&text, format, line) >= 0)
                *ret_error = text;
}

int state_parse(const char *text, size_t size, const char *boot_id, OriginTable *ret,
                char **ret_error)
{
        _cleanup_(origin_table_done) OriginTable t = { 0 };
        _cleanup_free_ char *lines = NULL;
        unsigned line = 0;
        size_t body;
        int r;

        r = parse_version(text, size);
        if (r == -EPROTONOSUPPORT)
                set_error(ret_error, "it was written by a newer version", 0);
        else if (r < 0)
                set_error(ret_error, "its first line is not '" STATE_MAGIC "N'", 0);
        if (r < 0)
                return r;
        r = memchr(text, 0, size) ? -EBADMSG : check_sum(text, size, &body);
        if (r < 0) {
                set_error(ret_error, "its checksum does not hold: it was cut or changed", 0);
                return r;
        }
        lines = strndup(text, body);
        if (!lines)
                return -ENOMEM;
        r = parse_lines(lines, boot_id, &t, &line);
        if (r == -EBADMSG)
                set_error(ret_error, "line %u cannot be read", line);
        if (r < 0)
                return r;
        *ret = t;
        t = (OriginTable){ 0 };
        return 0;
}

/* Moves a file out of the way that we must neither trust nor destroy. */
static void set_aside(const Sysroot *root, const char *suffix, char **error)
{
        _cleanup_free_ char *path = NULL, *why = error ? *error : NULL, *text;
        bool moved;

        if (error)
                *error = NULL;
        moved = asprintf(&path, STATE_PATH ".%s", suffix) >= 0 &&
                renameat(root->root, STATE_PATH, root->root, path) >= 0;
        if (!error || !why)
                return;
        if (asprintf(&text, "'%s/" STATE_PATH "': %s; %s '%s/%s'", root->prefix, why,
                     moved ? "it is kept as" : "it cannot be renamed to", root->prefix,
                     strempty(path)) >= 0)
                *error = TAKE_PTR(text);
}

int state_load(const Sysroot *root, const char *boot_id, OriginTable *ret, char **ret_error)
{
        _cleanup_free_ char *text = NULL, *error = NULL;
        size_t size;
        int r;

        *ret = (OriginTable){ 0 };
        r = read_file_at(root->root, STATE_PATH, STATE_FILE_MAX, &text, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0 && r != -EFBIG)
                return r;
        if (r == -EFBIG) {
                set_error(&error, "it is too large", 0);
                r = -EBADMSG;
        } else {
                r = state_parse(text, size, boot_id, ret, &error);
        }
        if (r == -EBADMSG || r == -EPROTONOSUPPORT)
                set_aside(root, r == -EBADMSG ? "broken" : "newer", &error);
        if (ret_error && error)
                *ret_error = TAKE_PTR(error);
        return r;
}

int state_save(const Sysroot *root, const char *boot_id, const OriginTable *t)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = state_format(boot_id, t, &text);
        if (r < 0)
                return r;
        return replace_file_at(root->root, STATE_PATH, text, strlen(text), STATE_MODE);
}
