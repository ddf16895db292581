/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state file is text:
 *
 *   vfiod-state 1 0123456789abcdef
 *   boot 0123456789abcdef0123456789abcdef
 *   origin address=0000:41:00.0 id=10de:2684 subsystem=10de:16f3 topology=… driver=nvidia …
 *
 * A key that is absent stands for "none", an empty value for the empty string. Values have space,
 * '%' and control characters as %XX. Keys that this version does not know are skipped. Behind the
 * version stands FNV-1a of all lines below: it finds damage, not malice.
 */

#include "sys/state.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "basic/strv.h"
#include "sys/sysfs.h"

#include <stdio.h>
#include <sys/file.h>

enum {
        STATE_FILE_MAX = 64 * 1024 * 1024, /* bytes */
        STATE_VERSION = 1,
        STATE_MODE = 0644,
};

#define STATE_FOLDER "var/lib/vfiod"
#define STATE_PATH STATE_FOLDER "/state"
#define STATE_MAGIC "vfiod-state"

static const struct {
        const char *key;
        size_t offset;
} strings[] = {
        { "topology", offsetof(Origin, identity.topology) },
        { "driver", offsetof(Origin, driver) },
        { "override", offsetof(Origin, override) },
        { "intended", offsetof(Origin, intended) },
        { "rule", offsetof(Origin, rule) },
};

static char **string_field(const Origin *o, size_t i)
{
        return (char **)((char *)o + strings[i].offset);
}

static unsigned long long fnv1a(const char *s)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (; *s; s++)
                hash = (hash ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
        return hash;
}

static void put_escaped(FILE *f, const char *s)
{
        for (; *s; s++)
                if (*s == '%' || (unsigned char)*s <= ' ' || *s == 0x7f)
                        fprintf(f, "%%%02x", (unsigned char)*s);
                else
                        fputc(*s, f);
}

static void put_origin(FILE *f, const Origin *o)
{
        const Identity *i = &o->identity;

        fprintf(f, "origin address=%s id=%04x:%04x subsystem=%04x:%04x taken=%d implied=%d",
                PCI_ADDRESS_STR(&o->address), i->vendor, i->device, i->subvendor, i->subdevice,
                o->taken, o->implied);
        if (i->has_serial)
                fprintf(f, " serial=%016llx", (unsigned long long)i->serial);
        if (o->has_mac)
                fprintf(f, " mac=%02x:%02x:%02x:%02x:%02x:%02x", o->mac[0], o->mac[1], o->mac[2],
                        o->mac[3], o->mac[4], o->mac[5]);
        if (o->counted)
                fprintf(f, " vfs=%u", o->num_vfs);
        if (o->autoprobe_off)
                fputs(" autoprobe_off=1", f);
        for (size_t k = 0; k < ELEMENTSOF(strings); k++) {
                const char *value = *string_field(o, k);

                if (value) {
                        fprintf(f, " %s=", strings[k].key);
                        put_escaped(f, value);
                }
        }
        fputc('\n', f);
}

int state_format(const char *boot_id, const OriginTable *t, char **ret)
{
        _cleanup_free_ char *body = NULL;
        size_t size;
        char *text;
        FILE *f = open_memstream(&body, &size);

        if (!f)
                return -ENOMEM;
        fprintf(f, "boot %s\n", boot_id);
        for (size_t i = 0; i < t->n_origins; i++)
                put_origin(f, &t->origins[i]);
        if (fclose(f) != 0)
                return -ENOMEM;
        if (asprintf(&text, STATE_MAGIC " %d %016llx\n%s", STATE_VERSION, fnv1a(body), body) < 0)
                return -ENOMEM;
        *ret = text;
        return 0;
}

static int unescape(const char *value, char **field)
{
        _cleanup_free_ char *text = strdup(value);
        char *to = text;

        if (!text)
                return -ENOMEM;
        while (*value) {
                uint64_t code = (uint8_t)*value++;

                if (code == '%') {
                        char digits[] = { value[0], value[0] ? value[1] : 0, 0 };

                        if (strlen(digits) != 2 || parse_uint(digits, 16, UINT8_MAX, &code) < 0 ||
                            code == 0)
                                return -EBADMSG;
                        value += 2;
                }
                *to++ = (char)code;
        }
        *to = 0;
        free(*field);
        *field = TAKE_PTR(text);
        return 0;
}

static bool parse_pair(const char *value, uint16_t *first, uint16_t *second)
{
        char junk;

        return sscanf(value, "%4hx:%4hx%c", first, second, &junk) == 2;
}

static int set_field(Origin *o, const char *key, const char *value)
{
        Identity *i = &o->identity;
        bool ok = true;

        for (size_t k = 0; k < ELEMENTSOF(strings); k++)
                if (streq(key, strings[k].key))
                        return unescape(value, string_field(o, k));
        if (streq(key, "address"))
                ok = pci_address_parse(value, &o->address) >= 0;
        else if (streq(key, "id"))
                ok = parse_pair(value, &i->vendor, &i->device);
        else if (streq(key, "subsystem"))
                ok = parse_pair(value, &i->subvendor, &i->subdevice);
        else if (streq(key, "taken"))
                ok = parse_boolean(value, &o->taken) >= 0;
        else if (streq(key, "implied"))
                ok = parse_boolean(value, &o->implied) >= 0;
        else if (streq(key, "serial"))
                ok = i->has_serial = parse_uint(value, 16, UINT64_MAX, &i->serial) >= 0;
        else if (streq(key, "mac"))
                ok = o->has_mac = parse_mac(value, o->mac) >= 0;
        else if (streq(key, "autoprobe_off"))
                ok = parse_boolean(value, &o->autoprobe_off) >= 0;
        else if (streq(key, "vfs"))
                ok = o->counted = parse_unsigned(value, 10, UINT16_MAX, &o->num_vfs) >= 0;
        return ok ? 0 : -EBADMSG;
}

static int parse_origin(char *line, bool this_boot, OriginTable *t)
{
        _cleanup_(origin_done) Origin o = { 0 };
        bool has_address = false;
        char *key, *value;
        int r;

        while ((value = strsep(&line, " "))) {
                key = strsep(&value, "=");
                r = value ? set_field(&o, key, value) : -EBADMSG;
                if (r < 0)
                        return r;
                has_address |= streq(key, "address");
        }
        if (!has_address || origin_table_find(t, &o.address))
                return -EBADMSG;
        /* It ends up in a path. */
        if (o.driver && !sysfs_name_is_valid(o.driver))
                return -EBADMSG;
        if (!this_boot) { /* the kernel has forgotten it, too */
                o.taken = o.counted = o.autoprobe_off = false;
                o.num_vfs = 0;
        }
        return origin_table_put(t, &o);
}

static int parse_lines(char *text, const char *boot_id, OriginTable *t)
{
        bool this_boot = false;
        char *save = NULL;
        int r = 0;

        for (char *line = strtok_r(text, "\n", &save); line && r >= 0;
             line = strtok_r(NULL, "\n", &save)) {
                const char *keyword = strsep(&line, " ");

                if (line && streq(keyword, "boot"))
                        this_boot = streq(line, boot_id);
                else if (line && streq(keyword, "origin"))
                        r = parse_origin(line, this_boot, t);
                else
                        r = -EBADMSG;
        }
        return r;
}

/* `body`: what the checksum counts. */
static int check_first_line(char *text, char **ret_body)
{
        char *body = strchr(text, '\n');
        unsigned long long sum = 0;
        unsigned version = 0;
        int n = sscanf(text, STATE_MAGIC " %u %16llx", &version, &sum);

        if (n > 0 && version > STATE_VERSION)
                return -EPROTONOSUPPORT;
        if (n != 2 || version != STATE_VERSION || !body || fnv1a(body + 1) != sum)
                return -EBADMSG;
        *ret_body = body + 1;
        return 0;
}

int state_parse(const char *text, size_t size, const char *boot_id, OriginTable *ret,
                char **ret_error)
{
        _cleanup_(origin_table_done) OriginTable t = { 0 };
        _cleanup_free_ char *copy = strndup(text, size);
        char *body;
        int r;

        if (!copy)
                return -ENOMEM;
        r = strlen(copy) == size ? check_first_line(copy, &body) : -EBADMSG;
        if (r >= 0)
                r = parse_lines(body, boot_id, &t);
        if (r < 0 && ret_error)
                *ret_error = strdup(r == -EPROTONOSUPPORT ? "it was written by a newer version"
                                                          : "it was cut or changed");
        if (r < 0)
                return r;
        *ret = t;
        t = (OriginTable){ 0 };
        return 0;
}

/* Moves a file out of the way that we must neither trust nor destroy. */
static void set_aside(const Sysroot *root, const char *aside, const char *why, char **ret_error)
{
        const char *result = "it is kept as";
        char *text;

        if (renameat(root->root, STATE_PATH, root->root, aside) < 0)
                result = "it cannot be renamed to";
        if (ret_error && asprintf(&text, "'%s/" STATE_PATH "': %s; %s '%s/%s'", root->prefix,
                                  strempty(why), result, root->prefix, aside) >= 0)
                *ret_error = text;
}

int state_read(const Sysroot *root, const char *boot_id, OriginTable *ret, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = read_file_at(root->root, STATE_PATH, STATE_FILE_MAX, &text, &size);

        *ret = (OriginTable){ 0 };
        if (r == -ENOENT)
                return 0;
        if (r == -EFBIG)
                return -EBADMSG;
        return r < 0 ? r : state_parse(text, size, boot_id, ret, ret_error);
}

int state_load(const Sysroot *root, const char *boot_id, OriginTable *ret, char **ret_error)
{
        _cleanup_free_ char *why = NULL;
        int r = state_read(root, boot_id, ret, &why);

        if (r == -EBADMSG)
                set_aside(root, STATE_PATH ".broken", why ? why : "it is too large", ret_error);
        else if (r == -EPROTONOSUPPORT)
                set_aside(root, STATE_PATH ".newer", why, ret_error);
        return r;
}

int state_save(const Sysroot *root, const char *boot_id, const OriginTable *t)
{
        _cleanup_close_ int folder = open_dir_at(root->root, STATE_FOLDER);
        _cleanup_free_ char *text = NULL;
        int r;

        if (folder < 0)
                return folder;
        /* Whoever hangs in writing it has this lock, and would put his file in the place of ours.
         */
        if (flock(folder, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        r = state_format(boot_id, t, &text);
        if (r < 0)
                return r;
        return replace_file_at(root->root, STATE_PATH, text, strlen(text), STATE_MODE);
}

enum {
        REQUESTS_FILE_MAX = 16 * 1024 * 1024, /* bytes */
        REQUESTS_MODE = 0644,
};

#define REQUESTS_PATH "run/vfiod/requests"
#define REQUESTS_MAGIC "vfiod-requests 1 "

int boot_id_read(const Sysroot *root, char ret[static BOOT_ID_SIZE])
{
        static const char none[BOOT_ID_SIZE] = "00000000000000000000000000000000";
        _cleanup_free_ char *line = NULL;
        char *end;
        int r = read_line_at(root->root, "proc/sys/kernel/random/boot_id", &line);

        if (r == -ENOENT && !root->is_host) {
                /* Another system's files: it is not running, so nothing is of its boot. */
                memcpy(ret, none, sizeof(none));
                return 0;
        }
        if (r < 0)
                return r;
        end = line;
        for (const char *p = line; *p; p++)
                if (*p != '-')
                        *end++ = *p;
        *end = 0;
        if (strlen(line) != BOOT_ID_SIZE - 1 || line[strspn(line, "0123456789abcdef")])
                return -EBADMSG;
        memcpy(ret, line, BOOT_ID_SIZE);
        return 0;
}

int requests_load(const Sysroot *root, const char *boot_id, RequestTable *ret)
{
        _cleanup_free_ char *text = NULL;
        const char *id;
        char *body;
        size_t size;
        int r;

        *ret = (RequestTable){ 0 };
        r = read_file_at(root->root, REQUESTS_PATH, REQUESTS_FILE_MAX, &text, &size);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        body = text;
        id = startswith(strsep(&body, "\n"), REQUESTS_MAGIC);
        if (!id || !body || body + strlen(body) != text + size)
                return -EBADMSG;
        return streq(id, boot_id) ? request_table_parse(body, ret) : 0;
}

int requests_save(const Sysroot *root, const char *boot_id, const RequestTable *t)
{
        _cleanup_free_ char *body = NULL, *text = NULL;
        int r = request_table_format(t, &body);

        if (r < 0)
                return r;
        if (asprintf(&text, REQUESTS_MAGIC "%s\n%s", boot_id, body) < 0)
                return -ENOMEM;
        return replace_file_at(root->root, REQUESTS_PATH, text, strlen(text), REQUESTS_MODE);
}
