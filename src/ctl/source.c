/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/source.h"
#include "basic/names.h"
#include "ctl/bus-json.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/offline.h"

#include <stdarg.h>

int source_local(Ctl *c, Offline **ret)
{
        int r;

        if (!c->offline) {
                r = offline_new(c->options.root, &c->offline);
                if (r < 0)
                        return fail(STATUS_FAILED, "cannot read '%s': %s", c->options.root ?: "/",
                                    strerror(-r));
        }
        *ret = c->offline;
        return 0;
}

int source_open(Ctl *c)
{
        Offline *unused;

        if (c->offline)
                return 0;
        if (!c->options.root) {
                if (bus_has_daemon(c) > 0)
                        return 0;
                fail(0, "vfiod is not running: read from sysfs and the files");
        }
        return source_local(c, &unused);
}

/* A method of the manager that takes `types` and returns one value. */
static int ask(Ctl *c, json_object **ret, const char *member, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        va_list ap;
        int r;

        r = bus_method(c, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, member, &m);
        if (r != 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        if (r < 0)
                return r;
        r = bus_call(c, m, &reply);
        if (r != 0)
                return r;
        return bus_value_to_json(reply, ret);
}

static int compare_devices(const void *a, const void *b)
{
        const char *x = json_text(*(json_object *const *)a, "address");
        const char *y = json_text(*(json_object *const *)b, "address");
        PciAddress p, q;

        if (!x || !y || pci_address_parse(x, &p) < 0 || pci_address_parse(y, &q) < 0)
                return 0;
        return pci_address_compare(&p, &q);
}

int source_devices(Ctl *c, json_object **ret)
{
        json_object *list;
        int r;

        r = source_open(c);
        if (r != 0)
                return r;
        r = c->offline ? offline_devices(c->offline, &list)
                       : ask(c, &list, "ListDevices", "a{sv}t", 0, UINT64_C(0));
        if (r != 0)
                return r;
        json_object_array_sort(list, compare_devices);
        *ret = list;
        return 0;
}

int source_groups(Ctl *c, json_object **ret)
{
        int r;

        r = source_open(c);
        if (r != 0)
                return r;
        return c->offline ? offline_groups(c->offline, ret)
                          : ask(c, ret, "ListGroups", "a{sv}t", 0, UINT64_C(0));
}

int source_plan(Ctl *c, json_object **ret)
{
        bool running = !c->options.root && bus_has_daemon(c) > 0;
        Offline *local;
        int r;

        if (!running) {
                r = source_open(c);
                if (r != 0)
                        return r;
        }
        r = source_local(c, &local);
        if (r != 0)
                return r;
        if (config_has_errors(offline_config(local)))
                fail(0, "files are in error and not planned for; see 'vfioctl check'");
        if (running && offline_is_partial(local)) {
                fail(0, "not all can be read by this user: the plan of the files as vfiod last "
                        "read them");
                return ask(c, ret, "Plan", "ta{sv}", UINT64_C(0), 0);
        }
        return offline_plan(local, ret);
}

int source_explain(Ctl *c, const char *address, json_object **ret)
{
        int r;

        r = source_open(c);
        if (r != 0)
                return r;
        return c->offline ? offline_explain(c->offline, address, ret)
                          : ask(c, ret, "Explain", "s", address);
}
