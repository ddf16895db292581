/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.vfiod1.Manager: reading methods, Reload, properties. Bind and its kin: bus-operation.c. */

#include "basic/names.h"
#include "daemon/bus-internal.h"

int method_get_device(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_message *reply,
                      sd_bus_error *error)
{
        Snapshot s = manager_snapshot(b->manager);
        _cleanup_free_ char *path = NULL;
        PciAddress a;
        int r;

        r = bus_read_device(m, &s, &a, error);
        if (r >= 0)
                r = bus_device_path(&a, &path);
        return r < 0 ? r : sd_bus_message_append(reply, "o", path);
}

int method_get_group(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_message *reply,
                     sd_bus_error *error)
{
        Snapshot s = manager_snapshot(b->manager);
        _cleanup_free_ char *path = NULL;
        uint32_t number;
        int r;

        r = sd_bus_message_read(m, "u", &number);
        if (r < 0)
                return r;
        if (number > INT32_MAX || !s.inventory || !inventory_group(s.inventory, (int)number))
                return sd_bus_error_setf(error, VFIOD_ERROR("NoSuchGroup"),
                                         "There is no IOMMU group %u", number);
        r = bus_number_path(VFIOD_GROUP_PREFIX, number, &path);
        return r < 0 ? r : sd_bus_message_append(reply, "o", path);
}

typedef struct Filter {
        const BusOption *options;
        size_t n_options;
} Filter;

/* -ESRCH: the field is not what the filter wants. */
static int filter_field(const Field *f, void *userdata)
{
        const Filter *filter = userdata;

        for (size_t i = 0; i < filter->n_options; i++) {
                const BusOption *o = &filter->options[i];

                if (o->given && streq(o->field.name, f->name) && !field_equal(&o->field, f))
                        return -ESRCH;
        }
        return 0;
}

static int append_object(sd_bus_message *reply, const Snapshot *s, const ObjectKind *k,
                         uint64_t key)
{
        int r;

        r = bus_open_dict(reply);
        if (r >= 0)
                r = k->interfaces[0].describe(s, key, bus_append_field, reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_objects(sd_bus_message *reply, const Snapshot *s, const ObjectKind *k,
                          Filter *filter)
{
        size_t n = 0;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && i < k->count(s); i++) {
                uint64_t key = k->key(s, i);

                r = k->interfaces[0].describe(s, key, filter_field, filter);
                if (r >= 0) /* LimitsExceeded */
                        r = n++ < BUS_ANSWER_MAX ? append_object(reply, s, k, key) : -ENOBUFS;
                else if (r == -ESRCH)
                        r = 0;
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int list(Bus *b, sd_bus_message *m, const ObjectKind *k, BusOption *options, size_t n,
                sd_bus_message *reply, sd_bus_error *error)
{
        Snapshot s = manager_snapshot(b->manager);
        uint64_t flags;
        int r;

        r = bus_read_options(m, options, n, error);
        if (r >= 0)
                r = bus_read_flags(m, 0, &flags, error);
        return r < 0 ? r : append_objects(reply, &s, k, &(Filter){ options, n });
}

int method_list_devices(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_message *reply,
                        sd_bus_error *error)
{
        BusOption options[] = {
                { .field = { .name = "State", .type = FIELD_STRING } },
                { .field = { .name = "Driver", .type = FIELD_STRING } },
                { .field = { .name = "Rule", .type = FIELD_STRING } },
                { .field = { .name = "Group", .type = FIELD_INT } },
        };

        return list(b, m, &bus_object_kinds[KIND_DEVICE], options, ELEMENTSOF(options), reply,
                    error);
}

int method_list_groups(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_message *reply,
                       sd_bus_error *error)
{
        return list(b, m, &bus_object_kinds[KIND_GROUP], NULL, 0, reply, error);
}

int method_plan(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_message *reply,
                sd_bus_error *error)
{
        Snapshot s = manager_snapshot(b->manager);
        uint64_t flags;
        int r;

        r = bus_read_flags(m, 0, &flags, error);
        if (r >= 0)
                r = bus_read_options(m, NULL, 0, error);
        return r < 0 ? r : bus_append_plan(reply, s.plan, NULL);
}

int method_explain(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_message *reply,
                   sd_bus_error *error)
{
        Snapshot s = manager_snapshot(b->manager);
        PciAddress a;
        int r;

        r = bus_read_device(m, &s, &a, error);
        if (r >= 0)
                r = bus_open_dict(reply);
        if (r >= 0)
                r = describe_explanation(&s, &a, bus_append_field, reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int derive_reload(Bus *b, sd_bus_message *m, CheckList *checks, sd_bus_error *error)
{
        uint64_t flags;
        int r;

        r = bus_read_flags(m, VFIOD_FLAG_FORGET, &flags, error);
        return r < 0 ? r : check_list_add(checks, POLKIT_ACTION_CONFIGURE, NULL);
}

static int append_diagnostic(sd_bus_message *reply, const Diagnostic *d)
{
        const Field fields[] = {
                { .name = "Path", .string = d->path },
                { .name = "Line", .type = FIELD_UINT, .number = d->line },
                { .name = "Column", .type = FIELD_UINT, .number = d->column },
                { .name = "Error", .type = FIELD_BOOL, .number = d->error },
                { .name = "Message", .string = d->message },
        };
        int r;

        r = bus_open_dict(reply);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(fields); i++)
                r = bus_append_field(&fields[i], reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_diagnostics(sd_bus_message *reply, const Config *c)
{
        int r;

        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && c && i < c->n_diagnostics; i++)
                r = append_diagnostic(reply, &c->diagnostics[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int method_reload(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_message *reply,
                  sd_bus_error *error)
{
        uint64_t flags;
        int r;

        if (!caller->authorised)
                return -EACCES;
        r = bus_read_flags(m, VFIOD_FLAG_FORGET, &flags, error);
        if (r < 0)
                return r;
        r = manager_reload(b->manager, flags & VFIOD_FLAG_FORGET);
        if (r < 0)
                return sd_bus_error_set_errnof(error, r, "Cannot reload the configuration: %s",
                                               strerror(-r));
        return append_diagnostics(reply, manager_config(b->manager));
}

static int append_counts(const Manager *m, sd_bus_message *reply)
{
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{su}");
        for (int i = 0; r >= 0 && i < _DEVICE_STATE_MAX; i++)
                r = sd_bus_message_append(reply, "{su}", device_state_to_string((DeviceState)i),
                                          manager_count(m, (DeviceState)i));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int property_get(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Bus *b = userdata;
        Snapshot s = manager_snapshot(b->manager);

        if (streq(property, "Version"))
                return sd_bus_message_append(reply, "s", PACKAGE_VERSION);
        if (streq(property, "Features"))
                return sd_bus_message_append(reply, "as", 2, "whole-groups", "sr-iov");
        if (streq(property, "State"))
                return sd_bus_message_append(reply, "s",
                                             manager_state_to_string(manager_state(b->manager)));
        if (streq(property, "Iommu"))
                return sd_bus_message_append(reply, "b", s.inventory && s.inventory->iommu);
        if (streq(property, "Counts"))
                return append_counts(b->manager, reply);
        return -ENODATA;
}

/* clang-format off */
const sd_bus_vtable bus_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        MANAGER_METHODS(VTABLE_READ, VTABLE_WRITE)
        SD_BUS_SIGNAL_WITH_NAMES("JobNew", "to", SD_BUS_PARAM(id) SD_BUS_PARAM(job), 0),
        SD_BUS_SIGNAL_WITH_NAMES("JobRemoved", "tos",
                                 SD_BUS_PARAM(id) SD_BUS_PARAM(job) SD_BUS_PARAM(result), 0),
        CONSTANT("Version", "s"),
        CONSTANT("Features", "as"),
        CHANGING("State", "s"),
        CHANGING("Iommu", "b"),
        CHANGING("Counts", "a{su}"),
        SD_BUS_VTABLE_END,
};
/* clang-format on */
