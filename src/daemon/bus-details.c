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
_printf_(3, 4) static int add_detail(char ***details, const char *key, const char *format, ...)
{
        _cleanup_free_ char *value = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&value, format, ap);
        va_end(ap);
        if (r < 0) {
                value = NULL;
                return -ENOMEM;
        }
        for (char *p = value; *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';
        r = strv_extend(details, key);
        return r < 0 ? r : strv_extend(details, value);
}

static char *group_members(const Group *g)
{
        _cleanup_strv_ char **members = NULL;

        for (size_t i = 0; g && i < g->n_members; i++)
                if (!device_is_system(g->members[i]) &&
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
        if (op->kind == OPERATION_SRIOV)
                return d->driver;
        return target_kind_word(op->target, op->driver);
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

static int make_details(const Snapshot *s, const Operation *op, const Device *d, char ***ret)
{
        _cleanup_free_ char *members = group_members(inventory_group(s->inventory, d->group));
        _cleanup_free_ char *hazards = hazard_names(op->accept);
        _cleanup_strv_ char **l = NULL;
        const char *address = PCI_ADDRESS_STR(&d->address);
        char group[16] = "";

        if (d->group >= 0)
                snprintf(group, sizeof(group), "%d", d->group);
        if (!members || !hazards ||
            add_detail(&l, "device", VFIOD_DEVICE_ID_PREFIX "%s", address) < 0 ||
            add_detail(&l, "address", "%s", address) < 0 ||
            add_detail(&l, "vendor_id", "%04x", d->vendor) < 0 ||
            add_detail(&l, "device_id", "%04x", d->device) < 0 ||
            add_detail(&l, "class", "%06x", d->class) < 0 ||
            add_detail(&l, "group", "%s", group) < 0 ||
            add_detail(&l, "group_members", "%s", members) < 0 ||
            add_detail(&l, "driver_from", "%s", strempty(d->driver)) < 0 ||
            add_detail(&l, "driver_to", "%s", strempty(driver_to(s, op, d))) < 0 ||
            add_detail(&l, "hazards", "%s", hazards) < 0 ||
            (op->kind == OPERATION_SRIOV && add_detail(&l, "num_vfs", "%u", op->num_vfs) < 0))
                return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

static int add_unit_checks(const Snapshot *s, const Operation *op, const Device *d,
                           CheckList *checks)
{
        static const char *const actions[] = {
                [OPERATION_BIND] = POLKIT_ACTION_BIND,
                [OPERATION_RELEASE] = POLKIT_ACTION_RELEASE,
                [OPERATION_SRIOV] = POLKIT_ACTION_SRIOV,
        };
        _cleanup_strv_ char **details = NULL;
        int r;

        r = make_details(s, op, d, &details);
        if (r >= 0)
                r = check_list_add(checks, actions[op->kind], details);
        if (r >= 0 && op->accept)
                r = check_list_add(checks, POLKIT_ACTION_ACCEPT_HAZARD, details);
        if (r >= 0 && op->persist)
                r = check_list_add(checks, POLKIT_ACTION_CONFIGURE, details);
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
