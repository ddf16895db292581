/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/describe.h"
#include "model/match.h"

#include <ctype.h>
#include <stdio.h>

/* Hands fields to the handler until one fails; so that a description reads as a list. */
typedef struct Writer {
        field_handler_t handler;
        void *userdata;
        int r;
} Writer;

static void put(Writer *w, Field f)
{
        if (w->r >= 0)
                w->r = w->handler(&f, w->userdata);
}

static void put_string(Writer *w, const char *name, const char *value)
{
        put(w, (Field){ .name = name, .type = FIELD_STRING, .string = strempty(value) });
}

static void put_int(Writer *w, const char *name, int value)
{
        put(w, (Field){ .name = name, .type = FIELD_INT, .number = value });
}

static void put_uint(Writer *w, const char *name, unsigned value)
{
        put(w, (Field){ .name = name, .type = FIELD_UINT, .number = value });
}

static void put_bool(Writer *w, const char *name, bool value)
{
        put(w, (Field){ .name = name, .type = FIELD_BOOL, .number = value });
}

static void put_strv(Writer *w, const char *name, char *const *value)
{
        put(w, (Field){ .name = name, .type = FIELD_STRV, .strv = value });
}

static void put_address(Writer *w, const char *name, const PciAddress *a)
{
        put_string(w, name, PCI_ADDRESS_STR(a));
}

static const Target *find_target(const Snapshot *s, const PciAddress *a)
{
        ssize_t i = inventory_index(s->inventory, a);

        return i >= 0 && s->desired ? &s->desired->targets[i] : NULL;
}

/* `t`: its target, if it is there. */
static const Rule *find_rule(const Snapshot *s, const PciAddress *a, const Target *t)
{
        const Desired *d = s->desired;
        size_t i;

        if (t || !d)
                return t ? t->rule : NULL;
        i = pci_address_position(d->absent, d->n_absent, sizeof(Absent), a);
        return i < d->n_absent && pci_address_equal(&d->absent[i].address, a) ? d->absent[i].rule
                                                                              : NULL;
}

static const char *target_word(const Target *t)
{
        return t ? target_kind_word(t->kind, t->driver) : "";
}

static void node_path(const Device *d, char *buffer, size_t size)
{
        bool there = d->driver_is_vfio && d->group >= 0;

        snprintf(buffer, size, "%s", there ? DEVICE_NODE(d) : "");
}

/* Nothing, if `d` is NULL. */
static void put_match_value(Writer *w, const char *name, MatchKey key, const Device *d,
                            const Origin *o)
{
        char buffer[MATCH_VALUE_SIZE];

        put_string(w, name, d ? match_value(key, d, o, buffer) : "");
}

static void put_status(Writer *w, const DeviceStatus *s)
{
        put_string(w, "State", device_state_to_string(s->state));
        put_string(w, "Reason", reason_to_string(s->reason));
        put_string(w, "Sentence", status_sentence(s));
        put_string(w, "Remedy", reason_row(s->reason)->remedy);
}

static void put_sriov(Writer *w, const Device *d)
{
        put_string(w, "PF", d->is_vf ? PCI_ADDRESS_STR(&d->pf) : "");
        put_int(w, "VF", d->vf_index);
        put_uint(w, "NumVFs", d->num_vfs);
        put_uint(w, "TotalVFs", d->total_vfs);
}

/*
 * Fields of the function itself. `found` is NULL for an absent one, and `d` then a device that has
 * nothing.
 */
static void put_hardware(Writer *w, const Device *found, const Device *d, const Origin *o)
{
        _cleanup_strv_ char **resets = NULL;

        if (d->reset_methods && strv_split(d->reset_methods, " \n", &resets) < 0)
                w->r = -ENOMEM;
        put_match_value(w, "SubsystemId", MATCH_SUBSYSTEM_ID, found, o);
        put_uint(w, "Revision", d->revision);
        put_match_value(w, "HostDriver", MATCH_DRIVER, d, o);
        put_strv(w, "ResetMethods", resets);
        put_bool(w, "BootVGA", d->boot_vga);
        put_string(w, "Slot", d->slot);
        put_match_value(w, "Path", MATCH_PATH, found, o);
        put_string(w, "Topology", d->topology);
        put_strv(w, "NetworkInterfaces", d->netdevs);
        put_match_value(w, "MACAddress", MATCH_MAC_ADDRESS, d, o);
        put_match_value(w, "SerialNumber", MATCH_SERIAL_NUMBER, d, o);
        put_bool(w, "Taken", o && o->taken);
}

int describe_device(const Snapshot *s, const PciAddress *address, field_handler_t f, void *userdata)
{
        static const Device nothing = { .group = -1, .numa_node = -1, .vf_index = -1 };
        const DeviceStatus *status = status_find(s->status, address);
        const ssize_t i = inventory_index(s->inventory, address);
        const Device *found = i >= 0 ? s->inventory->devices[i] : NULL;
        const Device *d = found ? found : &nothing;
        const Target *t = found && s->desired ? &s->desired->targets[i] : NULL;
        const Origin *o = found ? origin_table_find_device(s->origins, d) : NULL;
        const Rule *rule = find_rule(s, address, t);
        Writer w = { f, userdata, 0 };
        char node[40];

        if (!status)
                return -ENOENT;
        node_path(d, node, sizeof(node));
        put_address(&w, "Address", address);
        put_match_value(&w, "Id", MATCH_ID, found, o);
        put_match_value(&w, "Class", MATCH_CLASS, found, o);
        put_string(&w, "Driver", d->driver);
        put_status(&w, status);
        put_int(&w, "Group", d->group);
        put_int(&w, "NUMANode", d->numa_node);
        put_sriov(&w, d);
        put_string(&w, "VFIONode", node);
        put_string(&w, "Rule", rule ? rule->name : "");
        put_string(&w, "Target", target_word(t));
        put_hardware(&w, found, d, o);
        return w.r;
}

/* The PF's VFs in the order of their indices. */
static int list_vfs(const Snapshot *s, const Device *pf, char ***ret)
{
        _cleanup_free_ const Device **vfs = calloc(pf->num_vfs + 1, sizeof(Device *));
        const uint32_t *indices;
        size_t n;
        int r = 0;

        if (!vfs)
                return -ENOMEM;
        indices = inventory_vfs(s->inventory, &pf->address, &n);
        for (size_t i = 0; i < n; i++) {
                const Device *d = s->inventory->devices[indices[i]];

                if (d->vf_index >= 0 && (unsigned)d->vf_index < pf->num_vfs)
                        vfs[d->vf_index] = d;
        }
        for (unsigned i = 0; i < pf->num_vfs && r >= 0; i++)
                if (vfs[i])
                        r = strv_extend(ret, PCI_ADDRESS_STR(&vfs[i]->address));
        return r;
}

int describe_pf(const Snapshot *s, const PciAddress *address, field_handler_t f, void *userdata)
{
        const Device *d = inventory_find(s->inventory, address);
        const Target *t = find_target(s, address);
        _cleanup_strv_ char **vfs = NULL;
        Writer w = { f, userdata, 0 };
        int r;

        if (!d || d->total_vfs == 0)
                return -ENOENT;
        r = list_vfs(s, d, &vfs);
        if (r < 0)
                return r;
        put_uint(&w, "TotalVFs", d->total_vfs);
        put_uint(&w, "NumVFs", d->num_vfs);
        put_bool(&w, "DriversAutoprobe", d->autoprobe > 0);
        put_int(&w, "DeclaredVFs", t ? t->num_vfs : -1);
        put_strv(&w, "VirtualFunctions", vfs);
        return w.r;
}

static void put_setting(Writer *w, const VfSettings *settings, VfSetting which, bool number)
{
        const char *name = vf_setting_to_string(which);
        bool has = vf_settings_has(settings, which);
        uint64_t value = has ? settings->values[which] : 0;
        char buffer[VF_VALUE_SIZE];

        if (number)
                put_int(w, name, has ? (int)MIN(value, (uint64_t)INT32_MAX) : -1);
        else
                put_string(w, name, has ? vf_value_format(which, value, buffer) : "");
}

int describe_vf(const Snapshot *s, const PciAddress *address, field_handler_t f, void *userdata)
{
        const Device *d = inventory_find(s->inventory, address);
        Writer w = { f, userdata, 0 };

        if (!d || !d->is_vf)
                return -ENOENT;
        put_address(&w, "PhysicalFunction", &d->pf);
        put_int(&w, "Index", d->vf_index);
        for (VfSetting i = 0; i < _VF_SETTING_MAX; i++)
                put_setting(&w, &d->vf_settings, i,
                            i == VF_VLAN || i == VF_VLAN_QOS || i == VF_MAX_TX_RATE ||
                                    i == VF_MIN_TX_RATE);
        return w.r;
}

/* The state of a group is that of the member that is furthest from what was declared. */
static const DeviceStatus *group_status(const Snapshot *s, const Group *g)
{
        static const unsigned char badness[_DEVICE_STATE_MAX] = {
                [STATE_UNMANAGED] = 0, [STATE_READY] = 1,   [STATE_PENDING] = 2,
                [STATE_WORKING] = 3,   [STATE_BLOCKED] = 4, [STATE_FAILED] = 5,
                [STATE_CONTENDED] = 6, [STATE_STUCK] = 7,
        };
        const DeviceStatus *worst = NULL;

        for (size_t i = 0; i < g->n_members; i++) {
                const DeviceStatus *status = status_find(s->status, &g->members[i]->address);

                if (status && !(worst && badness[worst->state] >= badness[status->state]))
                        worst = status;
        }
        return worst;
}

int describe_group(const Snapshot *s, int number, field_handler_t f, void *userdata)
{
        const Group *g = inventory_group(s->inventory, number);
        _cleanup_strv_ char **members = NULL, **bridges = NULL;
        const DeviceStatus *status;
        const Device *node = NULL;
        Writer w = { f, userdata, 0 };
        char path[40] = "";
        int r;

        if (!g)
                return -ENOENT;
        status = group_status(s, g);
        if (!status)
                return -ENOENT;
        for (size_t i = 0; i < g->n_members; i++) {
                const Device *d = g->members[i];

                r = strv_extend(device_is_system(d) ? &bridges : &members,
                                PCI_ADDRESS_STR(&d->address));
                if (r < 0)
                        return r;
                if (d->has_node || (!node && d->driver_is_vfio))
                        node = d;
        }
        if (node)
                node_path(node, path, sizeof(path));
        put_int(&w, "Number", number);
        put_strv(&w, "Members", members);
        put_strv(&w, "Bridges", bridges);
        put_string(&w, "State", device_state_to_string(status->state));
        put_string(&w, "Reason", reason_to_string(status->reason));
        put_string(&w, "VFIONode", path);
        put_uint(&w, "NodeUID", node ? node->node_uid : 0);
        put_uint(&w, "NodeGID", node ? node->node_gid : 0);
        put_uint(&w, "NodeMode", node ? node->node_mode : 0);
        return w.r;
}

/* What takes a step back, in the words of the plan. */
static const char *undo_of(const Step *s)
{
        switch (s->kind) {
        case STEP_SET_OVERRIDE:
        case STEP_CLEAR_OVERRIDE:
                return "restore-override";
        case STEP_UNBIND:
                return step_kind_to_string(STEP_BIND);
        case STEP_BIND:
                return step_kind_to_string(STEP_UNBIND);
        case STEP_SET_AUTOPROBE:
        case STEP_SET_NUMVFS:
                return step_kind_to_string(s->kind);
        default:
                return "";
        }
}

int describe_step(const Unit *u, const Step *step, field_handler_t f, void *userdata)
{
        _cleanup_free_ char *text = step_describe(step);
        Writer w = { f, userdata, 0 };

        if (!text)
                return -ENOMEM;
        put_string(&w, "Type", "step");
        put_int(&w, "Group", u->group);
        put_string(&w, "PF", u->sriov ? PCI_ADDRESS_STR(&u->members[0]) : "");
        put_address(&w, "Device", &step->address);
        put_string(&w, "Kind", step_kind_to_string(step->kind));
        put_string(&w, "Argument", step->argument);
        put_string(&w, "Text", text);
        put_string(&w, "Why", step->why);
        put_string(&w, "Undo", undo_of(step));
        put_bool(&w, "Restore", u->restore);
        return w.r;
}

int describe_refusal(const Unit *u, const Refusal *refusal, field_handler_t f, void *userdata)
{
        const ReasonRow *row = reason_row(refusal->reason);
        Writer w = { f, userdata, 0 };

        put_string(&w, "Type", "refusal");
        put_int(&w, "Group", u->group);
        put_string(&w, "PF", u->sriov ? PCI_ADDRESS_STR(&u->members[0]) : "");
        put_address(&w, "Device", &refusal->address);
        put_string(&w, "Reason", row->id);
        put_string(&w, "Sentence", refusal->detail ? refusal->detail : row->sentence);
        put_string(&w, "Remedy", row->remedy);
        put_bool(&w, "Acceptable", reason_is_acceptable(refusal->reason));
        put_bool(&w, "Waits", refusal->waits);
        return w.r;
}

/* The kernel's side of it, in one sentence. */
static char *fact_of(const Device *d)
{
        char *fact = NULL;
        int r;

        if (!d)
                return strdup("no device is at this address");
        if (d->group < 0)
                r = asprintf(&fact, "the kernel has it %s%s and in no IOMMU group",
                             d->driver ? "on " : "without a driver", strempty(d->driver));
        else
                r = asprintf(&fact, "the kernel has it %s%s and in IOMMU group %d",
                             d->driver ? "on " : "without a driver", strempty(d->driver), d->group);
        return r < 0 ? NULL : fact;
}

int describe_explanation(const Snapshot *s, const PciAddress *address, field_handler_t f,
                         void *userdata)
{
        const DeviceStatus *status = status_find(s->status, address);
        const Device *d = inventory_find(s->inventory, address);
        const Group *g = d ? inventory_group(s->inventory, d->group) : NULL;
        const Target *t = find_target(s, address);
        const Rule *rule = find_rule(s, address, t);
        _cleanup_strv_ char **members = NULL;
        _cleanup_free_ char *fact = fact_of(d);
        Writer w = { f, userdata, 0 };
        char node[40] = "";
        int r;

        if (!status)
                return -ENOENT;
        if (d)
                node_path(d, node, sizeof(node));
        if (!fact)
                return -ENOMEM;
        for (size_t i = 0; g && i < g->n_members; i++) {
                r = strv_extend(&members, PCI_ADDRESS_STR(&g->members[i]->address));
                if (r < 0)
                        return r;
        }
        put_address(&w, "Device", address);
        put_status(&w, status);
        put_string(&w, "Fact", fact);
        put_string(&w, "Rule", rule ? rule->path : "");
        put_string(&w, "Target", target_word(t));
        put_string(&w, "Driver", d ? d->driver : "");
        put_int(&w, "Group", d ? d->group : -1);
        put_strv(&w, "GroupMembers", members);
        put_string(&w, "VFIONode", node);
        put_bool(&w, "Requested", t && t->requested);
        put_bool(&w, "Implied", t && t->implied);
        return w.r;
}

char *field_json_name(const char *name)
{
        size_t n = strlen(name), k = 0;
        char *json = malloc(2 * n + 1);

        if (!json)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                bool upper = isupper((unsigned char)name[i]);
                bool after_lower = i > 0 && i + 1 < n && islower((unsigned char)name[i - 1]);
                bool begins_word = i > 0 && isupper((unsigned char)name[i - 1]) && i + 1 < n &&
                                   islower((unsigned char)name[i + 1]) && i + 2 < n;

                if (upper && (after_lower || begins_word))
                        json[k++] = '_';
                json[k++] = (char)tolower((unsigned char)name[i]);
        }
        json[k] = 0;
        return json;
}
