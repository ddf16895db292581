/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/source.h"
#include "basic/names.h"
#include "basic/strv.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/offline.h"
#include "ctl/print.h"
#include "model/device.h"
#include "model/reason.h"

#include <fnmatch.h>
#include <inttypes.h>

int source_local(Ctl *c, json_object *objects)
{
        int r = c->offline ? 0 : offline_new(c->root, objects, &c->offline);

        if (r < 0)
                return fail(STATUS_FAILED, "cannot read '%s': %s", c->root ?: "/", strerror(-r));
        return 0;
}

/* Decides once, and says on stderr if the daemon is not there. */
static int source_open(Ctl *c)
{
        if (c->online || c->offline)
                return 0;
        c->online = !c->root && bus_has_daemon(c) > 0;
        if (c->online)
                return 0;
        if (!c->root)
                fail(0, "vfiod is not running: read from sysfs and the files");
        return source_local(c, /* objects= */ NULL);
}

/* From here what the daemon's methods return: all of a kind. */
static int get_local(Ctl *c, int (*local)(const Offline *o, json_object *list), json_object **ret)
{
        _cleanup_json_ json_object *list = json_new_list();
        int r = local(c->offline, list);

        if (r == 0)
                *ret = TAKE_PTR(list);
        return r;
}

static int get_list(Ctl *c, const char *member, int (*local)(const Offline *o, json_object *list),
                    json_object **ret)
{
        int r = source_open(c);

        if (r != 0)
                return r;
        if (c->online)
                return bus_ask(c, ret, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, member, "a{sv}t", 0,
                               UINT64_C(0));
        return get_local(c, local, ret);
}

int source_groups(Ctl *c, json_object **ret)
{
        return get_list(c, "ListGroups", offline_groups, ret);
}

int source_plan(Ctl *c, json_object **ret)
{
        _cleanup_json_ json_object *objects = NULL;
        int r = source_open(c);

        if (r == 0 && c->online)
                r = bus_get_objects(c, &objects);
        if (r == 0)
                r = source_local(c, objects);
        if (r != 0)
                return r;
        if (c->offline->config->disabled)
                fail(0,
                     "vfiod=off is on the kernel command line: in this boot nothing of it is done");
        if (c->online && c->offline->partial) {
                fail(0, "not all can be read by this user: the plan of the files as vfiod last "
                        "read them");
                return bus_ask(c, ret, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Plan", "ta{sv}",
                               UINT64_C(0), 0);
        }
        if (c->offline->assumed)
                fail(0, "settings of VFs are known to vfiod only, and not planned for");
        if (config_has_errors(c->offline->config))
                fail(0, "files are in error and not planned for; see 'vfioctl check'");
        return get_local(c, offline_plan, ret);
}

int source_explain(Ctl *c, const char *address, json_object **ret)
{
        int r = source_open(c);

        if (r != 0)
                return r;
        if (c->online)
                return bus_ask(c, ret, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Explain", "s",
                               address);
        return offline_describe(c->offline, describe_explanation, address, ret);
}

/* Long addresses sort as text; a domain above ffff, which has more digits, comes last. */
static int compare_devices(const void *a, const void *b)
{
        const char *x = json_word(*(json_object *const *)a, "address");
        const char *y = json_word(*(json_object *const *)b, "address");
        size_t m = strlen(x), n = strlen(y);

        return m == n ? strcmp(x, y) : m < n ? -1 : 1;
}

static bool has_netdev(json_object *device, const char *name)
{
        json_object *names = json_object_object_get(device, "network_interfaces");

        for (size_t i = 0; i < json_count(names); i++)
                if (streq(json_object_get_string(json_at(names, i)), name))
                        return true;
        return false;
}

/* A glob may leave out the domain, as an address may. */
static bool glob_matches(const char *glob, const char *address)
{
        const char *shortened = startswith(address, "0000:");

        return fnmatch(glob, address, 0) == 0 || (shortened && fnmatch(glob, shortened, 0) == 0);
}

static bool names_device(const char *word, json_object *device)
{
        const char *address = json_word(device, "address"), *group = startswith(word, "group:");
        PciAddress a;

        if (group)
                return streq(json_word(device, "group"), group);
        if (pci_address_parse(word, &a) >= 0)
                return streq(PCI_ADDRESS_STR(&a), address);
        return glob_matches(word, address) || has_netdev(device, word);
}

/* Of "PF/vfN" the part before the slash, and N. NULL: the word has no such form. */
static char *split_vf(const char *word, const char **ret_index)
{
        const char *slash = strstr(word, "/vf");

        *ret_index = slash ? slash + strlen("/vf") : NULL;
        return slash ? must(strndup(word, (size_t)(slash - word))) : NULL;
}

/* Either part may be a glob. */
static bool names_vf(const char *pf, const char *index, json_object *devices, json_object *vf)
{
        if (!json_text(vf, "vf") || fnmatch(index, json_text(vf, "vf"), 0) != 0)
                return false;
        for (size_t i = 0; i < json_count(devices); i++)
                if (streq(json_word(json_at(devices, i), "address"), json_word(vf, "pf")))
                        return names_device(pf, json_at(devices, i));
        return false;
}

/* Puts a mark on each device that the word names. Whether there is any. */
static bool mark(json_object *devices, const char *word, SelectMode mode, bool *marks)
{
        bool is_one = !startswith(word, "group:") && !strpbrk(word, "*?["), found = false;
        const char *index;
        _cleanup_free_ char *pf = split_vf(word, &index);

        for (size_t i = 0; i < json_count(devices); i++) {
                json_object *d = json_at(devices, i);
                uint32_t class = (uint32_t)strtoul(json_word(d, "class"), NULL, 16);
                bool is_system = device_is_system(&(Device){ .class = class });

                if (pf ? names_vf(pf, index, devices, d)
                       : (mode == SELECT_ALL || is_one || !is_system) && names_device(word, d))
                        marks[i] = found = true;
        }
        return found;
}

static int fail_no_pf(json_object *device)
{
        const ReasonRow *row = reason_row(REASON_SRIOV_UNSUPPORTED);

        return fail(STATUS_NO_DEVICE, "%s: %s: %s (%s)", json_word(device, "address"), row->id,
                    row->sentence, row->remedy);
}

/* Of a "PF/vfN" whose PF is there it is known what is wrong, and of what was left out. */
static int fail_no_device(json_object *devices, const char *word)
{
        const char *index;
        _cleanup_free_ char *name = split_vf(word, &index);

        for (size_t i = 0; name && i < json_count(devices); i++) {
                json_object *pf = json_at(devices, i);
                int64_t n = json_number(pf, "num_vfs");

                if (!names_device(name, pf))
                        continue;
                if (json_number(pf, "total_vfs") <= 0)
                        return fail_no_pf(pf);
                if (n <= 0)
                        return fail(STATUS_NO_DEVICE, "%s has no VF %s: it has none",
                                    json_word(pf, "address"), index);
                return fail(STATUS_NO_DEVICE,
                            "%s has no VF %s: it has %" PRIi64 " (0 to %" PRIi64 ")",
                            json_word(pf, "address"), index, n, n - 1);
        }
        for (size_t i = 0; i < json_count(devices); i++)
                if (names_device(word, json_at(devices, i)))
                        return fail(STATUS_NO_DEVICE,
                                    "'%s' names only bridges or parts of the platform, which never "
                                    "move",
                                    word);
        return fail(STATUS_NO_DEVICE, "no such device: '%s'; 'vfioctl list' has all", word);
}

int source_devices(Ctl *c, char **words, SelectMode mode, json_object **ret)
{
        _cleanup_json_ json_object *all = NULL;
        _cleanup_free_ bool *marks = NULL;
        int r = get_list(c, "ListDevices", offline_devices, &all);

        if (r != 0)
                return r;
        json_object_array_sort(all, compare_devices);
        marks = must(calloc(json_count(all) + 1, sizeof(bool)));
        STRV_FOREACH(word, words)
                if (!mark(all, *word, mode, marks))
                        return fail_no_device(all, *word);
        *ret = json_new_list();
        for (size_t i = 0; i < json_count(all); i++)
                if (marks[i] || strv_length(words) == 0)
                        json_append(*ret, json_object_get(json_at(all, i)));
        return 0;
}

int source_pf(Ctl *c, const char *word, json_object **ret)
{
        _cleanup_json_ json_object *list = NULL;
        int r = source_devices(c, (char *[]){ (char *)word, NULL }, SELECT_ENDPOINTS, &list);

        if (r != 0)
                return r;
        if (json_count(list) > 1)
                return fail(STATUS_USAGE, "'%s' names %zu devices; it is to name one PF", word,
                            json_count(list));
        if (json_number(json_at(list, 0), "total_vfs") <= 0)
                return fail_no_pf(json_at(list, 0));
        *ret = json_object_get(json_at(list, 0));
        return 0;
}

int source_add_sriov(Ctl *c, json_object *device)
{
        bool is_pf = json_number(device, "total_vfs") > 0;
        const char *address = json_word(device, "address");
        _cleanup_free_ char *path = bus_device_path(address);
        json_object *o;
        int r;

        /* What a VF has besides its PF and index are settings, which only the daemon knows. */
        if (!is_pf && (!json_text(device, "pf") || !c->online))
                return 0;
        if (c->online)
                r = bus_get_all(c, path, is_pf ? VFIOD_PF_INTERFACE : VFIOD_VF_INTERFACE, &o);
        else
                r = offline_describe(c->offline, describe_pf, address, &o);
        if (r == 0)
                json_add(device, is_pf ? "physical_function" : "virtual_function", o);
        return r;
}
