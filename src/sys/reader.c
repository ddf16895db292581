/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/reader.h"
#include "basic/io.h"
#include "sys/sysfs.h"

#include <stdio.h>

/* "dddd:bb:dd", or "dddd:bb" for a slot that is a whole bus (kernel: drivers/pci/slot.c). */
static int parse_slot(const char *text, SlotEntry *ret)
{
        char address[PCI_ADDRESS_SIZE];
        int r;

        snprintf(address, sizeof(address), "%.20s.0", text);
        r = pci_address_parse(address, &ret->address);
        if (r >= 0)
                return 0;
        snprintf(address, sizeof(address), "%.18s:00.0", text);
        ret->any_device = true;
        return pci_address_parse(address, &ret->address);
}

static int add_slot(Reader *reader, const char *name)
{
        _cleanup_free_ char *text = NULL;
        char path[SYSFS_PATH_SIZE];
        SlotEntry slot = { 0 };
        int n;

        n = snprintf(path, sizeof(path), SYSFS_PCI_SLOTS "/%s/address", name);
        if (n >= (int)sizeof(path) || read_line_at(reader->root->sys, path, &text) < 0 ||
            parse_slot(text, &slot) < 0)
                return 0; /* gone meanwhile, or no place that a function could have */
        slot.name = strdup(name);
        if (!slot.name)
                return -ENOMEM;
        reader->slots[reader->n_slots++] = slot;
        return 0;
}

static int compare_slots(const void *a, const void *b)
{
        const SlotEntry *x = a, *y = b;

        /* A slot of one device tells more than one of its whole bus. */
        return x->any_device != y->any_device ? x->any_device - y->any_device
                                              : strcmp(x->name, y->name);
}

static int read_slots(Reader *reader)
{
        _cleanup_strv_ char **names = NULL;
        int r;

        r = list_dir_at(reader->root->sys, SYSFS_PCI_SLOTS, &names);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || !names)
                return 0;
        reader->slots = calloc(strv_length(names), sizeof(SlotEntry));
        if (!reader->slots)
                return -ENOMEM;
        STRV_FOREACH(name, names) {
                r = add_slot(reader, *name);
                if (r < 0)
                        return r;
        }
        qsort(reader->slots, reader->n_slots, sizeof(SlotEntry), compare_slots);
        return 0;
}

int reader_open(const Sysroot *root, Reader *ret)
{
        _cleanup_(reader_done) Reader reader = READER_NULL;
        int r;

        reader.root = root;
        reader.devices = open_dir_at(root->sys, SYSFS_PCI_DEVICES);
        if (reader.devices < 0)
                return reader.devices;
        r = read_slots(&reader);
        if (r < 0)
                return r;
        *ret = reader;
        reader = READER_NULL;
        return 0;
}

void reader_done(Reader *reader)
{
        closep(&reader->devices);
        for (size_t i = 0; i < reader->n_slots; i++)
                free(reader->slots[i].name);
        for (size_t i = 0; i < reader->n_drivers; i++)
                free(reader->drivers[i].name);
        free(reader->slots);
        free(reader->drivers);
        free(reader->links);
        *reader = READER_NULL;
}

static int compare_links(const void *a, const void *b)
{
        return pci_address_compare(&((const VfLink *)a)->vf, &((const VfLink *)b)->vf);
}

void reader_number_vfs(Reader *reader, Device **devices, size_t n)
{
        if (reader->n_links == 0)
                return;
        qsort(reader->links, reader->n_links, sizeof(VfLink), compare_links);
        for (size_t i = 0; i < n; i++) {
                const VfLink key = { .vf = devices[i]->address };
                const VfLink *link;

                if (!devices[i]->is_vf)
                        continue;
                link = bsearch(&key, reader->links, reader->n_links, sizeof(VfLink), compare_links);
                if (link && pci_address_equal(&link->pf, &devices[i]->pf))
                        devices[i]->vf_index = link->index;
        }
}
