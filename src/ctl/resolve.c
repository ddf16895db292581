/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/parse.h"
#include "ctl/json.h"
#include "ctl/source.h"
#include "model/address.h"

#include <fnmatch.h>
#include <limits.h>

/* One DEVICE word, taken apart. */
typedef struct Word {
        enum {
                WORD_ADDRESS,
                WORD_GLOB,
                WORD_NETDEV,
                WORD_GROUP,
        } kind;
        char *text; /* the long address, the glob or the name */
        uint64_t number;
        bool is_vf; /* of the PF that the above says */
        uint64_t vf;
} Word;

static void word_done(Word *w)
{
        free(w->text);
}

/* Cuts "/vfN" off the end. */
static int split_vf(char *text, Word *w)
{
        char *slash = strrchr(text, '/');

        if (!slash || !startswith(slash, "/vf"))
                return 0;
        if (parse_uint(slash + strlen("/vf"), 10, UINT16_MAX, &w->vf) < 0)
                return 0;
        w->is_vf = true;
        *slash = 0;
        return 0;
}

static int word_parse(const char *s, Word *ret)
{
        _cleanup_(word_done) Word w = { 0 };
        const char *group = startswith(s, "group:");
        PciAddress a;

        w.text = strdup(s);
        if (!w.text)
                return -ENOMEM;
        split_vf(w.text, &w);
        if (group && parse_uint(group, 10, INT_MAX, &w.number) >= 0) {
                w.kind = WORD_GROUP;
        } else if (pci_address_parse(w.text, &a) >= 0) {
                w.kind = WORD_ADDRESS;
                free(w.text);
                w.text = strdup(PCI_ADDRESS_STR(&a));
                if (!w.text)
                        return -ENOMEM;
        } else {
                w.kind = strpbrk(w.text, "*?[") ? WORD_GLOB : WORD_NETDEV;
        }
        *ret = w;
        w.text = NULL;
        return 0;
}

/* A glob may leave out the domain, as an address may. */
static bool glob_matches(const char *glob, const char *address)
{
        const char *shortened = startswith(address, "0000:");

        return fnmatch(glob, address, 0) == 0 || (shortened && fnmatch(glob, shortened, 0) == 0);
}

static bool names_device(const Word *w, json_object *device)
{
        const char *address = json_text(device, "address");

        switch (w->kind) {
        case WORD_ADDRESS:
                return address && streq(w->text, address);
        case WORD_GLOB:
                return address && glob_matches(w->text, address);
        case WORD_NETDEV:
                return json_list_has(json_list(device, "network_interfaces"), w->text);
        case WORD_GROUP:
                return json_number(device, "group") == (int64_t)w->number;
        }
        return false;
}

static json_object *find_address(json_object *devices, const char *address)
{
        for (size_t i = 0; address && i < json_object_array_length(devices); i++) {
                json_object *d = json_object_array_get_idx(devices, i);

                if (streq(strempty(json_text(d, "address")), address))
                        return d;
        }
        return NULL;
}

static bool word_matches(const Word *w, json_object *devices, json_object *device, ResolveMode mode)
{
        if (w->is_vf) {
                json_object *pf = find_address(devices, json_text(device, "pf"));

                return pf && json_number(device, "vf") == (int64_t)w->vf && names_device(w, pf);
        }
        if (mode == RESOLVE_ENDPOINTS && (w->kind == WORD_GROUP || w->kind == WORD_GLOB) &&
            startswith(strempty(json_text(device, "class")), "06"))
                return false;
        return names_device(w, device);
}

/* Marks the devices that one word names. */
static int mark_word(json_object *devices, const char *text, ResolveMode mode, bool *marks)
{
        _cleanup_(word_done) Word w = { 0 };
        bool found = false;
        int r;

        r = word_parse(text, &w);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(devices); i++)
                if (word_matches(&w, devices, json_object_array_get_idx(devices, i), mode))
                        marks[i] = found = true;
        if (!found)
                return fail(STATUS_NO_DEVICE, "no such device: '%s'", text);
        return 0;
}

int resolve_words(json_object *devices, char **words, ResolveMode mode, json_object **ret)
{
        _cleanup_json_ json_object *list = json_object_new_array();
        size_t n = json_object_array_length(devices);
        _cleanup_free_ bool *marks = calloc(n + 1, sizeof(bool));
        int r;

        if (!list || !marks)
                return -ENOMEM;
        for (char **word = words; *word; word++) {
                r = mark_word(devices, *word, mode, marks);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < n; i++) {
                if (!marks[i])
                        continue;
                r = json_append(list, json_object_get(json_object_array_get_idx(devices, i)));
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(list);
        return 0;
}
