/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/parse.h"
#include "basic/strv.h"
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

/* Cuts "/vfN" off the end. */
static void split_vf(Word *w)
{
        char *slash = strrchr(w->text, '/');

        if (!slash || !startswith(slash, "/vf") ||
            parse_uint(slash + strlen("/vf"), 10, UINT16_MAX, &w->vf) < 0)
                return;
        w->is_vf = true;
        *slash = 0;
}

static void word_parse(const char *s, Word *w)
{
        const char *group = startswith(s, "group:");
        PciAddress a;

        *w = (Word){ .text = must(strdup(s)) };
        split_vf(w);
        if (group && parse_uint(group, 10, INT_MAX, &w->number) >= 0) {
                w->kind = WORD_GROUP;
        } else if (pci_address_parse(w->text, &a) >= 0) {
                w->kind = WORD_ADDRESS;
                free(w->text);
                w->text = must(strdup(PCI_ADDRESS_STR(&a)));
        } else {
                w->kind = strpbrk(w->text, "*?[") ? WORD_GLOB : WORD_NETDEV;
        }
}

/* A glob may leave out the domain, as an address may. */
static bool glob_matches(const char *glob, const char *address)
{
        const char *shortened = startswith(address, "0000:");

        return fnmatch(glob, address, 0) == 0 || (shortened && fnmatch(glob, shortened, 0) == 0);
}

static bool names_device(const Word *w, json_object *device)
{
        const char *address = json_word(device, "address");

        switch (w->kind) {
        case WORD_ADDRESS:
                return streq(w->text, address);
        case WORD_GLOB:
                return glob_matches(w->text, address);
        case WORD_NETDEV:
                return json_has(device, "network_interfaces", w->text);
        case WORD_GROUP:
                return json_number(device, "group") == (int64_t)w->number;
        }
        return false;
}

static json_object *find_address(json_object *devices, const char *address)
{
        for (size_t i = 0; address && i < json_count(devices); i++)
                if (streq(json_word(json_at(devices, i), "address"), address))
                        return json_at(devices, i);
        return NULL;
}

static bool word_matches(const Word *w, json_object *devices, json_object *device, ResolveMode mode)
{
        if (w->is_vf) {
                json_object *pf = find_address(devices, json_text(device, "pf"));

                return pf && json_number(device, "vf") == (int64_t)w->vf && names_device(w, pf);
        }
        if (mode == RESOLVE_ENDPOINTS && (w->kind == WORD_GROUP || w->kind == WORD_GLOB) &&
            startswith(json_word(device, "class"), "06"))
                return false;
        return names_device(w, device);
}

/* Marks the devices that one word names; whether there is any. */
static bool mark_word(json_object *devices, const char *text, ResolveMode mode, bool *marks)
{
        bool found = false;
        Word w;

        word_parse(text, &w);
        for (size_t i = 0; i < json_count(devices); i++)
                if (word_matches(&w, devices, json_at(devices, i), mode))
                        marks[i] = found = true;
        free(w.text);
        return found;
}

int resolve_words(json_object *devices, char **words, ResolveMode mode, json_object **ret)
{
        size_t n = json_count(devices);
        _cleanup_free_ bool *marks = must(calloc(n + 1, sizeof(bool)));

        STRV_FOREACH(word, words)
                if (!mark_word(devices, *word, mode, marks))
                        return fail(STATUS_NO_DEVICE, "no such device: '%s'", *word);
        *ret = json_new_list();
        for (size_t i = 0; i < n; i++)
                if (marks[i])
                        json_append(*ret, json_object_get(json_at(devices, i)));
        return 0;
}
