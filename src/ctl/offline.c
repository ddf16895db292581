/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/offline.h"
#include "basic/names.h"
#include "config/load.h"
#include "config/source.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "sys/drivers.h"
#include "sys/inspect.h"
#include "sys/scan.h"
#include "sys/state.h"
#include "sys/usage.h"

Offline *offline_free(Offline *o)
{
        if (!o)
                return NULL;
        status_table_free(o->status);
        plan_free(o->plan);
        desired_free(o->desired);
        request_table_done(&o->requests);
        origin_table_done(&o->origins);
        inventory_free(o->inventory);
        config_free(o->config);
        sysroot_done(&o->root);
        free(o);
        return NULL;
}

/* Out of memory is an error; a file that says nothing here is a memory that is not there. */
static int note_memory(Offline *o, int r)
{
        if (r == -EACCES || r == -EPERM)
                o->partial = true;
        return r == -ENOMEM ? r : 0;
}

/* Not by state_load(): that sets a broken file aside, which is for the daemon to do. */
static int read_memory(Offline *o)
{
        char boot_id[BOOT_ID_SIZE];
        int r = boot_id_read(&o->root, boot_id);

        if (r < 0)
                return note_memory(o, r);
        r = note_memory(o, requests_load(&o->root, boot_id, &o->requests));
        return r < 0 ? r : note_memory(o, state_read(&o->root, boot_id, &o->origins, NULL));
}

/* Serial numbers stand where only root can read; the daemon has its workers read them. */
static void read_serials(Offline *o)
{
        if (!config_uses_serial(o->config))
                return;
        if (geteuid() != 0) {
                o->partial = true;
                return;
        }
        for (size_t i = 0; i < o->inventory->n_devices; i++) {
                Device *d = o->inventory->devices[i];

                if (inspect_serial(&o->root, &d->address, &d->has_serial, &d->serial) < 0)
                        d->has_serial = false;
        }
}

/* Settings as the daemon's object of the VF has them. */
static void take_report(Device *d, json_object *objects)
{
        _cleanup_free_ char *path = bus_device_path(PCI_ADDRESS_STR(&d->address));
        json_object *vf =
                json_object_object_get(json_object_object_get(objects, path), VFIOD_VF_INTERFACE);

        for (VfSetting i = 0; i < _VF_SETTING_MAX; i++) {
                _cleanup_free_ char *name = must(field_json_name(vf_setting_to_string(i)));
                uint64_t value;

                if (vf_setting_parse(i, json_word(vf, name), UINT32_MAX, &value) >= 0)
                        vf_settings_put(&d->vf_settings, i, value);
        }
        d->vf_report = d->vf_settings.set ? VF_REPORT_THERE : VF_REPORT_UNAVAILABLE;
}

/* Only the daemon, which asks the PFs, knows settings. Without it they pass for as declared. */
static void take_reports(Offline *o, json_object *objects)
{
        for (size_t i = 0; i < o->inventory->n_devices; i++) {
                const Rule *rule = o->desired->targets[i].pf_rule;
                Device *d = o->inventory->devices[i];

                if (rule && objects) {
                        take_report(d, objects);
                } else if (rule) {
                        d->vf_settings = rule_vf_settings(rule, (unsigned)d->vf_index);
                        d->vf_report = VF_REPORT_THERE;
                        o->assumed = o->assumed || d->vf_settings.set;
                }
        }
}

/* As manager_compute() of the daemon. Other users' programs show to root alone. */
static int compute(Offline *o, json_object *objects)
{
        _cleanup_(alias_cache_done) AliasCache aliases = { 0 };
        _cleanup_(use_table_done) UseTable uses = { 0 };
        DriverChoice *choices = NULL;
        int r = desired_compute(o->config, &o->requests, &o->origins, o->inventory, &o->desired);

        if (r < 0)
                return r;
        take_reports(o, objects);
        r = driver_choices_resolve(&o->root, &aliases, o->inventory, o->desired, &o->origins,
                                   &choices);
        if (r >= 0)
                r = plan_ask_uses(o->inventory, o->desired, choices, &o->origins, &uses);
        if (r >= 0)
                r = usage_read(&o->root, o->inventory, &uses);
        o->partial = o->partial || (uses.n_asked > 0 && geteuid() != 0);
        if (r >= 0)
                r = plan_compute(o->inventory, o->desired, choices, &o->origins, &uses, &o->plan);
        driver_choices_free(choices, o->inventory->n_devices);
        return r < 0 ? r
                     : status_compute(o->inventory, o->desired, o->plan, o->config->disabled, NULL,
                                      NULL, &o->status);
}

int offline_new(const char *prefix, json_object *objects, Offline **ret)
{
        _cleanup_(offline_freep) Offline *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                return -ENOMEM;
        o->root = SYSROOT_NULL;
        r = sysroot_open(prefix, &o->root);
        if (r >= 0)
                r = config_load(o->root.root, o->root.prefix, NULL, &o->config);
        if (r >= 0)
                r = scan_all(&o->root, &o->inventory);
        if (r < 0)
                return r;
        read_serials(o);
        r = read_memory(o);
        if (r >= 0)
                r = compute(o, objects);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

static json_object *field_to_json(const Field *f)
{
        switch (f->type) {
        case FIELD_STRING:
                return isempty(f->string) ? NULL : json_new_text(f->string);
        case FIELD_STRV:
                return json_new_strv(f->strv);
        case FIELD_BOOL:
                return must(json_object_new_boolean(f->number != 0));
        case FIELD_INT:
        case FIELD_UINT:
        case FIELD_UINT64:
                return f->number < 0 ? NULL : must(json_object_new_int64(f->number));
        }
        return NULL;
}

/* A field_handler_t: the member of the object in userdata. "Nothing" is null. */
static int add_field(const Field *f, void *userdata)
{
        _cleanup_free_ char *name = must(field_json_name(f->name));

        json_add(userdata, name, field_to_json(f));
        return 0;
}

static Snapshot snapshot(const Offline *o)
{
        return (Snapshot){
                .inventory = o->inventory,
                .desired = o->desired,
                .plan = o->plan,
                .status = o->status,
                .origins = &o->origins,
        };
}

int offline_devices(const Offline *o, json_object *list)
{
        Snapshot s = snapshot(o);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < o->status->n_statuses; i++)
                r = describe_device(&s, &o->status->statuses[i].address, add_field,
                                    json_append(list, json_new()));
        return r;
}

int offline_groups(const Offline *o, json_object *list)
{
        Snapshot s = snapshot(o);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < o->inventory->n_groups; i++)
                r = describe_group(&s, o->inventory->groups[i].number, add_field,
                                   json_append(list, json_new()));
        return r;
}

static int add_unit(const Unit *u, json_object *list)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < u->n_steps; i++)
                r = describe_step(u, &u->steps[i], add_field, json_append(list, json_new()));
        for (size_t i = 0; r >= 0 && i < u->n_refusals; i++)
                r = describe_refusal(u, &u->refusals[i], add_field, json_append(list, json_new()));
        return r;
}

int offline_plan(const Offline *o, json_object *list)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < o->plan->n_units; i++)
                r = add_unit(&o->plan->units[i], list);
        return r;
}

int offline_describe(const Offline *o, describe_t describe, const char *address, json_object **ret)
{
        _cleanup_json_ json_object *description = json_new();
        Snapshot s = snapshot(o);
        PciAddress a;
        int r = pci_address_parse(address, &a);

        if (r == 0)
                r = describe(&s, &a, add_field, description);
        if (r == 0)
                *ret = TAKE_PTR(description);
        return r;
}
