/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Host files: a line for each driver, function and block device. docs/HACKING.md has the words. */

#include "sim.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 64 };

typedef struct Words {
        char *word[MAX_WORDS];
        int n;
} Words;

static Words split(char *line)
{
        Words w = { .n = 0 };
        char *save = NULL;

        line[strcspn(line, "#\n")] = 0;
        for (char *p = strtok_r(line, " \t", &save); p && w.n < MAX_WORDS;
             p = strtok_r(NULL, " \t", &save))
                w.word[w.n++] = p;
        return w;
}

/* What follows "key=", "" for the bare key, or NULL. */
static const char *option(const Words *w, const char *key)
{
        size_t n = strlen(key);

        for (int i = 1; i < w->n; i++) {
                if (strncmp(w->word[i], key, n) != 0)
                        continue;
                if (w->word[i][n] == '=')
                        return w->word[i] + n + 1;
                if (!w->word[i][n])
                        return w->word[i] + n;
        }
        return NULL;
}

static long number(const Words *w, const char *key, int base, long fallback)
{
        const char *value = option(w, key);

        return value ? strtol(value, NULL, base) : fallback;
}

static void copy_option(const Words *w, const char *key, char *buffer, size_t size)
{
        const char *value = option(w, key);

        if (value)
                snprintf(buffer, size, "%s", value);
}

static uint32_t parse_part(const char *text)
{
        return text[0] == '*' || !text[0] ? UINT32_MAX : (uint32_t)strtoul(text, NULL, 16);
}

/* "8086:100e", "10ee:*" or, by class, "class:0108xx". */
static Id *parse_id(const char *text)
{
        Id *id = malloc(sizeof(Id));

        if (!id)
                errx(1, "out of memory");
        *id = (Id){ UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0, 0, NULL };
        if (strncmp(text, "class:", 6) == 0) {
                for (const char *c = text + 6; *c; c++) {
                        const char digit[] = { *c, 0 };

                        id->class = id->class << 4 | (*c == 'x' ? 0 : parse_part(digit));
                        id->mask = id->mask << 4 | (*c == 'x' ? 0 : 15);
                }
                return id;
        }
        id->vendor = parse_part(text);
        text = strchr(text, ':');
        id->device = text ? parse_part(text + 1) : UINT32_MAX;
        return id;
}

static bool parse_driver(const Words *w, char *error, size_t size)
{
        Driver *drv = calloc(1, sizeof(Driver));
        char ids[1024] = "", *save = NULL;
        const char *value = option(w, "sriov");

        if (!drv || w->n < 2) {
                snprintf(error, size, "a driver needs a name");
                return false;
        }
        snprintf(drv->name, sizeof(drv->name), "%s", w->word[1]);
        snprintf(drv->module, sizeof(drv->module), "%s", w->word[1]);
        copy_option(w, "module", drv->module, sizeof(drv->module));
        for (char *c = drv->module; *c; c++)
                if (*c == '-')
                        *c = '_';
        copy_option(w, "alias", drv->alias, sizeof(drv->alias));
        copy_option(w, "ids", ids, sizeof(ids));
        for (char *p = strtok_r(ids, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
                Id *id = parse_id(p);

                id->next = drv->ids;
                drv->ids = id;
        }
        drv->vfio = option(w, "vfio");
        drv->managed = drv->vfio || option(w, "managed");
        drv->net = option(w, "net");
        drv->disks = option(w, "disks");
        drv->sriov = !value                         ? SRIOV_NONE
                     : strcmp(value, "leaves") == 0 ? SRIOV_LEAVES
                                                    : SRIOV_REMOVES;
        drv->probe_error = (int)number(w, "probe-error", 10, 0);
        drv->probe_msec = (unsigned)number(w, "probe-ms", 10, 0);
        drv->remove_msec = (unsigned)number(w, "remove-ms", 10, 0);
        driver_register(drv);
        return true;
}

/* "mac/name,…" or "name,…" */
static void parse_nets(const Words *w, Device *d)
{
        char text[256] = "", *save = NULL;

        copy_option(w, "net", text, sizeof(text));
        for (char *p = strtok_r(text, ",", &save); p && d->n_nets < MAX_NETS;
             p = strtok_r(NULL, ",", &save)) {
                char *mac = strchr(p, '/');

                if (mac)
                        *mac++ = 0;
                snprintf(d->nets[d->n_nets], sizeof(d->nets[0]), "%.15s", p);
                snprintf(d->macs[d->n_nets++], sizeof(d->macs[0]), "%.17s", mac ? mac : "");
        }
}

/* sriov=TOTAL:OFFSET:STRIDE:DEVICE[:HARDWARE TOTAL] */
static void parse_sriov(const Words *w, Device *d)
{
        const char *value = option(w, "sriov"), *group = option(w, "vf-group");

        d->autoprobe = true;
        d->vf_group = !group || strcmp(group, "each") == 0 ? -1
                      : strcmp(group, "pf") == 0           ? -2
                                                           : atoi(group);
        if (!value)
                return;
        (void)sscanf(value, "%u:%u:%u:%x:%u", &d->total_vfs, &d->offset, &d->stride, &d->vf_device,
                     &d->hardware_vfs);
        if (d->hardware_vfs == 0)
                d->hardware_vfs = d->total_vfs;
}

static bool parse_address(Device *d, const char *text)
{
        if (sscanf(text, "%x:%x:%x.%x", &d->domain, &d->bus, &d->slot, &d->function) != 4)
                return false;
        snprintf(d->name, sizeof(d->name), "%04x:%02x:%02x.%x", d->domain, d->bus, d->slot,
                 d->function);
        return true;
}

static Device *parse_device(const Words *w, bool bridge, char *error, size_t size)
{
        Device *d = calloc(1, sizeof(Device));
        const char *group = option(w, "group"), *subsystem = option(w, "sub");

        if (!d)
                errx(1, "out of memory");
        if (w->n < 3 || !parse_address(d, w->word[1]) ||
            sscanf(w->word[2], "%x:%x", &d->vendor, &d->device) != 2) {
                snprintf(error, size, "a function needs an address and ids");
                return NULL;
        }
        if (device_find(d->name)) {
                snprintf(error, size, "'%s' is there already", d->name);
                return NULL;
        }
        if (subsystem)
                (void)sscanf(subsystem, "%x:%x", &d->subvendor, &d->subdevice);
        d->class = (uint32_t)number(w, "class", 16, bridge ? 0x060400 : 0x020000);
        d->revision = (uint32_t)number(w, "rev", 16, 0);
        d->numa = (int)number(w, "numa", 10, -1);
        d->boot_vga = (int)number(w, "boot-vga", 10, -1);
        d->secondary = (int)number(w, "bus", 16, -1);
        d->group_wanted = !group ? -1 : strcmp(group, "none") == 0 ? -2 : atoi(group);
        d->serial = option(w, "serial") ? strtoull(option(w, "serial"), NULL, 16) : 0;
        d->config_size = (unsigned)number(w, "config", 10, 4096);
        d->multifunction = option(w, "multi");
        copy_option(w, "reset", d->reset, sizeof(d->reset));
        for (char *c = d->reset; *c; c++)
                if (*c == '_')
                        *c = ' ';
        copy_option(w, "slot", d->slot_name, sizeof(d->slot_name));
        copy_option(w, "above", d->above, sizeof(d->above));
        copy_option(w, "driver", d->first_driver, sizeof(d->first_driver));
        parse_nets(w, d);
        parse_sriov(w, d);
        return d;
}

Device *host_device(char *words, char *error, size_t size)
{
        const Words w = split(words);

        return parse_device(&w, w.n > 0 && strcmp(w.word[0], "bridge") == 0, error, size);
}

static bool parse_block(const Words *w, char *error, size_t size)
{
        Block *b = calloc(1, sizeof(Block));

        if (!b || w->n < 2) {
                snprintf(error, size, "a block device needs a name");
                return false;
        }
        snprintf(b->name, sizeof(b->name), "%s", w->word[1]);
        copy_option(w, "at", b->at, sizeof(b->at));
        snprintf(b->path, sizeof(b->path), "%s", b->at[0] ? "block" : "devices/virtual/block");
        copy_option(w, "path", b->path, sizeof(b->path));
        copy_option(w, "dev", b->dev, sizeof(b->dev));
        copy_option(w, "on", b->on, sizeof(b->on));
        *sim.last_block = b;
        sim.last_block = &b->next;
        return true;
}

/* Makes the folders above it too. */
static Node *make_parent(char *path, char **ret_name)
{
        char *slash = strrchr(path, '/');

        *slash = 0; /* there is one: it begins with one */
        *ret_name = slash + 1;
        return node_path(tree_root(), path);
}

/* text PATH WORD…, mkdir PATH, link PATH TARGET, rm PATH: what no other line makes. */
static bool parse_node(const Words *w, char *error, size_t size)
{
        char text[512] = "", *name = NULL;
        Node *parent, *target;

        if (w->n < 2 || strncmp(w->word[1], "/sys/", 5) != 0) {
                snprintf(error, size, "a path begins with /sys/");
                return false;
        }
        if (strcmp(w->word[0], "mkdir") == 0)
                return node_path(tree_root(), w->word[1]);
        if (strcmp(w->word[0], "rm") == 0) {
                node_remove(tree_find(w->word[1]));
                return true;
        }
        parent = make_parent(w->word[1], &name);
        node_remove_name(parent, name);
        if (strcmp(w->word[0], "link") == 0) {
                target = w->n > 2 ? tree_find(w->word[2]) : NULL;
                if (!target)
                        snprintf(error, size, "a link needs a path that is there");
                return target && node_link(parent, name, target);
        }
        for (int i = 2; i < w->n; i++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 2 ? " " : "",
                         w->word[i]);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "\n");
        return node_text(parent, name, 0644, text);
}

bool host_line(char *line, char *error, size_t size)
{
        const Words w = split(line);
        const char *what = w.n > 0 ? w.word[0] : "";

        snprintf(error, size, "no such word: '%s'", what);
        if (w.n == 0)
                return true;
        if (strcmp(what, "driver") == 0)
                return parse_driver(&w, error, size);
        if (strcmp(what, "device") == 0 || strcmp(what, "bridge") == 0) {
                Device *d = parse_device(&w, what[0] == 'b', error, size);

                if (d)
                        device_register(d, false);
                return d;
        }
        if (strcmp(what, "block") == 0)
                return parse_block(&w, error, size);
        if (strcmp(what, "generate") == 0) {
                generate((unsigned)number(&w, "functions", 10, 10000),
                         (unsigned)number(&w, "pfs", 10, 32), (unsigned)number(&w, "vfs", 10, 64));
                return true;
        }
        if (strcmp(what, "text") == 0 || strcmp(what, "link") == 0 || strcmp(what, "mkdir") == 0 ||
            strcmp(what, "rm") == 0)
                return parse_node(&w, error, size);
        return false;
}

int host_load(const char *path)
{
        char line[2048], error[256];
        FILE *f = fopen(path, "r");
        unsigned n = 0;
        int r = 0;

        if (!f) {
                warn("%s", path);
                return -errno;
        }
        while (fgets(line, sizeof(line), f)) {
                n++;
                if (host_line(line, error, sizeof(error)))
                        continue;
                warnx("%s:%u: %s", path, n, error);
                r = -EINVAL;
        }
        fclose(f);
        return r;
}
