/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.vfiod1.Manager: reading methods, Reload, properties. Bind and its kin: bus-operation.c. */

#include "basic/names.h"
#include "basic/parse.h"
#include "daemon/bus-internal.h"

static int reply_path(sd_bus_message *m, const char *path)
{
        return sd_bus_reply_method_return(m, "o", path);
}

int method_get_device(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        Snapshot s = manager_snapshot(b->manager);
        _cleanup_free_ char *path = NULL;
        const char *word;
        PciAddress a;
        int r;

        r = sd_bus_message_read(m, "s", &word);
        if (r < 0)
                return r;
        r = bus_find_device(&s, word, &a, error);
        if (r < 0)
                return r;
        r = bus_device_path(&a, &path);
        if (r < 0)
                return r;
        return reply_path(m, path);
}

int method_get_group(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
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
        if (r < 0)
                return r;
        return reply_path(m, path);
}

/* What a list is narrowed to; NULL and -1: anything. */
typedef struct Filter {
        const char *state, *driver, *rule;
        bool has_group;
        int32_t group;
        bool differs; /* of the device at hand */
} Filter;

static int filter_field(const Field *f, void *userdata)
{
        Filter *filter = userdata;
        const struct {
                const char *name, *wanted;
        } strings[] = {
                { "State", filter->state },
                { "Driver", filter->driver },
                { "Rule", filter->rule },
        };

        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                if (strings[i].wanted && streq(f->name, strings[i].name) &&
                    !streq(strempty(f->string), strings[i].wanted))
                        filter->differs = true;
        if (filter->has_group && streq(f->name, "Group") && f->integer != filter->group)
                filter->differs = true;
        return 0;
}

static bool filter_is_empty(const Filter *f)
{
        return !f->state && !f->driver && !f->rule && !f->has_group;
}

/* 1 if the device passes. */
static int filter_device(Filter *filter, const Snapshot *s, const PciAddress *a)
{
        int r;

        if (filter_is_empty(filter))
                return 1;
        filter->differs = false;
        r = describe_device(s, a, filter_field, filter);
        return r < 0 ? r : !filter->differs;
}

static int append_device(DictWriter *w, const Snapshot *s, const PciAddress *a)
{
        int r;

        r = dict_open(w);
        if (r >= 0)
                r = describe_device(s, a, dict_field, w);
        return r < 0 ? r : dict_close(w);
}

static int append_devices(DictWriter *w, const Snapshot *s, Filter *filter)
{
        int r;

        r = dict_array_open(w);
        for (size_t i = 0; r >= 0 && s->status && i < s->status->n_statuses; i++) {
                const PciAddress *a = &s->status->statuses[i].address;

                r = filter_device(filter, s, a);
                if (r > 0)
                        r = append_device(w, s, a);
        }
        return r < 0 ? r : dict_array_close(w);
}

static int read_no_flags(sd_bus_message *m, sd_bus_error *error)
{
        uint64_t flags;
        int r;

        r = sd_bus_message_read(m, "t", &flags);
        if (r < 0)
                return r;
        return bus_check_flags(flags, 0, error);
}

int method_list_devices(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Snapshot s = manager_snapshot(b->manager);
        BusOption options[] = {
                { .key = "State", .type = FIELD_STRING },
                { .key = "Driver", .type = FIELD_STRING },
                { .key = "Rule", .type = FIELD_STRING },
                { .key = "Group", .type = FIELD_INT },
        };
        DictWriter w = { 0 };
        Filter filter;
        int r;

        r = bus_read_options(m, options, ELEMENTSOF(options), error);
        if (r < 0)
                return r;
        r = read_no_flags(m, error);
        if (r < 0)
                return r;
        filter = (Filter){ .state = options[0].string,
                           .driver = options[1].string,
                           .rule = options[2].string,
                           .has_group = options[3].given,
                           .group = options[3].integer };
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        w.message = reply;
        r = append_devices(&w, &s, &filter);
        if (r < 0)
                return bus_reply_error(r, error);
        return sd_bus_message_send(reply);
}

static int append_groups(DictWriter *w, const Snapshot *s)
{
        int r;

        r = dict_array_open(w);
        for (size_t i = 0; r >= 0 && s->inventory && i < s->inventory->n_groups; i++) {
                r = dict_open(w);
                if (r >= 0)
                        r = describe_group(s, s->inventory->groups[i].number, dict_field, w);
                if (r >= 0)
                        r = dict_close(w);
        }
        return r < 0 ? r : dict_array_close(w);
}

int method_list_groups(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Snapshot s = manager_snapshot(b->manager);
        DictWriter w = { 0 };
        int r;

        r = bus_read_options(m, NULL, 0, error);
        if (r < 0)
                return r;
        r = read_no_flags(m, error);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        w.message = reply;
        r = append_groups(&w, &s);
        if (r < 0)
                return bus_reply_error(r, error);
        return sd_bus_message_send(reply);
}

int method_plan(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Snapshot s = manager_snapshot(b->manager);
        DictWriter w = { 0 };
        int r;

        r = read_no_flags(m, error);
        if (r < 0)
                return r;
        r = bus_read_options(m, NULL, 0, error);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        w.message = reply;
        r = bus_append_plan(&w, s.plan, NULL);
        if (r < 0)
                return bus_reply_error(r, error);
        return sd_bus_message_send(reply);
}

int method_explain(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Snapshot s = manager_snapshot(b->manager);
        DictWriter w = { 0 };
        const char *word;
        PciAddress a;
        int r;

        r = sd_bus_message_read(m, "s", &word);
        if (r < 0)
                return r;
        r = bus_find_device(&s, word, &a, error);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        w.message = reply;
        r = dict_open(&w);
        if (r >= 0)
                r = describe_explanation(&s, &a, dict_field, &w);
        if (r >= 0)
                r = dict_close(&w);
        if (r < 0)
                return r;
        return sd_bus_message_send(reply);
}

static int read_reload_flags(sd_bus_message *m, uint64_t *ret, sd_bus_error *error)
{
        int r;

        r = sd_bus_message_read(m, "t", ret);
        if (r < 0)
                return r;
        return bus_check_flags(*ret, VFIOD_FLAG_FORGET, error);
}

int derive_reload(Bus *b, sd_bus_message *m, CheckList *checks, sd_bus_error *error)
{
        uint64_t flags;
        int r;

        r = read_reload_flags(m, &flags, error);
        if (r < 0)
                return r;
        return check_list_add(checks, POLKIT_ACTION_CONFIGURE, NULL);
}

static int append_diagnostic(DictWriter *w, const Diagnostic *d)
{
        const Field fields[] = {
                { .name = "Path", .type = FIELD_STRING, .string = d->path },
                { .name = "Line", .type = FIELD_UINT, .uinteger = d->line },
                { .name = "Column", .type = FIELD_UINT, .uinteger = d->column },
                { .name = "Error", .type = FIELD_BOOL, .boolean = d->error },
                { .name = "Message", .type = FIELD_STRING, .string = d->message },
        };
        int r;

        r = dict_open(w);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(fields); i++)
                r = dict_field(&fields[i], w);
        return r < 0 ? r : dict_close(w);
}

static int append_diagnostics(DictWriter *w, const Config *c)
{
        int r;

        r = dict_array_open(w);
        for (size_t i = 0; r >= 0 && c && i < c->n_diagnostics; i++)
                r = append_diagnostic(w, &c->diagnostics[i]);
        return r < 0 ? r : dict_array_close(w);
}

int method_reload(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        DictWriter w = { 0 };
        uint64_t flags;
        int r;

        if (!caller->authorised)
                return -EACCES;
        r = read_reload_flags(m, &flags, error);
        if (r < 0)
                return r;
        r = manager_reload(b->manager, flags & VFIOD_FLAG_FORGET);
        if (r < 0)
                return sd_bus_error_set_errnof(error, r, "Cannot reload the configuration: %s",
                                               strerror(-r));
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        w.message = reply;
        r = append_diagnostics(&w, manager_config(b->manager));
        if (r < 0)
                return bus_reply_error(r, error);
        return sd_bus_message_send(reply);
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
                return sd_bus_message_append(reply, "as", 1, "whole-groups");
        if (streq(property, "State"))
                return sd_bus_message_append(reply, "s",
                                             manager_state_to_string(manager_state(b->manager)));
        if (streq(property, "Iommu"))
                return sd_bus_message_append(reply, "b", s.inventory && s.inventory->iommu);
        if (streq(property, "Counts"))
                return append_counts(b->manager, reply);
        return -ENODATA;
}

#define PROPERTY(name, signature, flags) SD_BUS_PROPERTY(name, signature, property_get, 0, flags)

/* clang-format off */
const sd_bus_vtable bus_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        MANAGER_METHODS(VTABLE_READ, VTABLE_WRITE)
        SD_BUS_SIGNAL_WITH_NAMES("JobNew", "to", SD_BUS_PARAM(id) SD_BUS_PARAM(job), 0),
        SD_BUS_SIGNAL_WITH_NAMES("JobRemoved", "tos",
                                 SD_BUS_PARAM(id) SD_BUS_PARAM(job) SD_BUS_PARAM(result), 0),
        PROPERTY("Version", "s", SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Features", "as", SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("State", "s", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Iommu", "b", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Counts", "a{su}", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};
/* clang-format on */
