/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What polkit is told of an operation. All of it comes from what the daemon knows of the device;
 * the driver's name is the caller's word, and has passed as one.
 */

#include "basic/names.h"
#include "daemon/bus-internal.h"

#include <stdarg.h>
#include <stdio.h>

/* Details are for rules to compare and for people to read: printable ASCII only. */
static int add_detail(char ***details, const char *key, const char *value)
{
        _cleanup_free_ char *copy = strdup(strempty(value));
        int r;

        if (!copy)
                return -ENOMEM;
        for (char *p = copy; *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';
        r = strv_extend(details, key);
        if (r < 0)
                return r;
        return strv_extend(details, copy);
}

_printf_(3, 4) static int add_detailf(char ***details, const char *key, const char *format, ...)
{
        char text[64];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        return add_detail(details, key, text);
}

static char *group_members(const Group *g)
{
        _cleanup_strv_ char **members = NULL;

        for (size_t i = 0; g && i < g->n_members; i++)
                if (!device_is_bridge(g->members[i]) &&
                    strv_extend(&members, PCI_ADDRESS_STR(&g->members[i]->address)) < 0)
                        return NULL;
        return strv_join(members, " ");
}

/* The driver that the device is to have, as far as the call itself says. */
static const char *driver_to(const Snapshot *s, const Operation *op, const Device *d)
{
        const Origin *o;

        if (op->kind == OPERATION_RELEASE) {
                o = s->origins ? origin_table_find_device(s->origins, d) : NULL;
                return o && o->taken ? (o->driver ? o->driver : "none") : "host";
        }
        switch (op->target) {
        case TARGET_VFIO:
                return "vfio";
        case TARGET_HOST:
                return "host";
        case TARGET_NONE:
                return "none";
        default:
                return op->driver;
        }
}

static char *hazard_names(HazardSet set)
{
        _cleanup_strv_ char **names = NULL;

        for (int i = REASON_NONE + 1; i < _REASON_ACCEPTABLE_MAX; i++)
                if ((set & hazard_bit((Reason)i)) &&
                    strv_extend(&names, reason_to_string((Reason)i)) < 0)
                        return NULL;
        return strv_join(names, " ");
}

static int add_identity(char ***details, const Device *d)
{
        int r;

        r = add_detailf(details, "device", VFIOD_DEVICE_ID_PREFIX "%s",
                        PCI_ADDRESS_STR(&d->address));
        if (r >= 0)
                r = add_detail(details, "address", PCI_ADDRESS_STR(&d->address));
        if (r >= 0)
                r = add_detailf(details, "vendor_id", "%04x", d->vendor);
        if (r >= 0)
                r = add_detailf(details, "device_id", "%04x", d->device);
        if (r >= 0)
                r = add_detailf(details, "class", "%06x", d->class);
        return r;
}

static int make_details(const Snapshot *s, const Operation *op, const Device *d, char ***ret)
{
        _cleanup_free_ char *members = group_members(inventory_group(s->inventory, d->group));
        _cleanup_free_ char *hazards = hazard_names(op->accept);
        _cleanup_strv_ char **details = NULL;
        int r;

        if (!members || !hazards)
                return -ENOMEM;
        r = add_identity(&details, d);
        if (r >= 0 && d->group >= 0)
                r = add_detailf(&details, "group", "%d", d->group);
        else if (r >= 0)
                r = add_detail(&details, "group", "");
        if (r >= 0)
                r = add_detail(&details, "group_members", members);
        if (r >= 0)
                r = add_detail(&details, "driver_from", d->driver);
        if (r >= 0)
                r = add_detail(&details, "driver_to", driver_to(s, op, d));
        if (r >= 0)
                r = add_detail(&details, "hazards", hazards);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(details);
        return 0;
}

static int add_check(CheckList *checks, const char *action, char *const *details)
{
        _cleanup_strv_ char **copy = NULL;
        int r;

        r = strv_copy(details, &copy);
        if (r < 0)
                return r;
        r = check_list_add(checks, action, copy);
        if (r < 0)
                return r;
        TAKE_PTR(copy);
        return 0;
}

static int add_unit_checks(const Snapshot *s, const Operation *op, const Device *d,
                           CheckList *checks)
{
        _cleanup_strv_ char **details = NULL;
        int r;

        r = make_details(s, op, d, &details);
        if (r < 0)
                return r;
        r = add_check(checks,
                      op->kind == OPERATION_RELEASE ? POLKIT_ACTION_RELEASE : POLKIT_ACTION_BIND,
                      details);
        if (r >= 0 && op->accept)
                r = add_check(checks, POLKIT_ACTION_ACCEPT_HAZARD, details);
        if (r >= 0 && op->persist)
                r = add_check(checks, POLKIT_ACTION_CONFIGURE, details);
        return r;
}

/* One check per IOMMU group: its first device named stands for it. */
int bus_add_unit_checks(const Snapshot *s, const Operation *op, CheckList *checks)
{
        _cleanup_free_ bool *seen = calloc(s->inventory->n_groups + 1, sizeof(bool));
        int r;

        if (!seen)
                return -ENOMEM;
        for (size_t i = 0; i < op->n_addresses; i++) {
                const Device *d = inventory_find(s->inventory, &op->addresses[i]);
                const Group *g = d ? inventory_group(s->inventory, d->group) : NULL;

                if (!d)
                        return -ENODEV;
                if (g && seen[g - s->inventory->groups])
                        continue;
                if (g)
                        seen[g - s->inventory->groups] = true;
                r = add_unit_checks(s, op, d, checks);
                if (r < 0)
                        return r;
        }
        return 0;
}
