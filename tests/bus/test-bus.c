/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a client of the bus sees: objects, properties, arguments, answers, signals, limits. */

#include "bus-fixture.h"

#include <stdio.h>

#define DEVICE_PATH "/org/vfiod1/device/pci_3a0000_3a04_3a00_2e0"
#define PF_PATH "/org/vfiod1/device/pci_3a0000_3a08_3a00_2e0"
#define VF_PATH "/org/vfiod1/device/pci_3a0000_3a08_3a10_2e1"
#define INVALID_ARGS "org.freedesktop.DBus.Error.InvalidArgs"

/* XML: members of one interface as lines, whatever the layout -----------------------------------
 */

typedef struct Canon {
        const char *interface;
        bool inside;
        GString *line;
        GPtrArray *lines;
} Canon;

static const char *attribute(const char **names, const char **values, const char *name)
{
        for (size_t i = 0; names[i]; i++)
                if (streq(names[i], name))
                        return values[i];
        return "";
}

static void on_start(GMarkupParseContext *context, const char *element, const char **names,
                     const char **values, void *userdata, GError **error)
{
        const char *name = attribute(names, values, "name");
        Canon *c = userdata;

        if (streq(element, "interface"))
                c->inside = streq(name, c->interface);
        else if (!c->inside)
                return;
        else if (streq(element, "arg"))
                g_string_append_printf(c->line, " %s:%s:%s", name, attribute(names, values, "type"),
                                       attribute(names, values, "direction"));
        else if (streq(element, "annotation"))
                g_string_append_printf(c->line, " %s=%s", name, attribute(names, values, "value"));
        else {
                g_assert_null(c->line);
                c->line = g_string_new(element);
                g_string_append_printf(c->line, " %s %s %s", name, attribute(names, values, "type"),
                                       attribute(names, values, "access"));
        }
}

static void on_end(GMarkupParseContext *context, const char *element, void *userdata,
                   GError **error)
{
        Canon *c = userdata;

        if (streq(element, "interface"))
                c->inside = false;
        if (c->line && !streq(element, "arg") && !streq(element, "annotation")) {
                g_ptr_array_add(c->lines, g_string_free(c->line, false));
                c->line = NULL;
        }
}

static int compare_lines(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *canonical(const char *xml, const char *interface)
{
        static const GMarkupParser parser = { .start_element = on_start, .end_element = on_end };
        Canon c = { .interface = interface, .lines = g_ptr_array_new_with_free_func(g_free) };
        GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, &c, NULL);
        char *text;

        g_assert_true(g_markup_parse_context_parse(context, xml, -1, NULL));
        g_assert_true(g_markup_parse_context_end_parse(context, NULL));
        g_markup_parse_context_free(context);
        g_ptr_array_sort(c.lines, compare_lines);
        g_ptr_array_add(c.lines, NULL);
        text = g_strjoinv("\n", (char **)c.lines->pdata);
        g_ptr_array_unref(c.lines);
        return text;
}

static char *introspect(Fixture *f, const char *path)
{
        sd_bus_message *m = fixture_new_call(f->nobody, path, "org.freedesktop.DBus.Introspectable",
                                             "Introspect");
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *xml;
        char *copy;

        m = fixture_call(f, m, &error);
        g_assert_cmpstr(error.message, ==, NULL);
        g_assert_cmpint(sd_bus_message_read(m, "s", &xml), >, 0);
        copy = g_strdup(xml);
        sd_bus_message_unref(m);
        return copy;
}

static char *read_contract(const char *interface)
{
        const char *top = g_getenv("VFIOD_SOURCE");
        g_autofree char *name = g_strdup_printf("%s.xml", interface);
        g_autofree char *path = g_build_filename(top ? top : ".", "dbus", name, NULL);
        char *text = NULL;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        return text;
}

static void submit_job(Fixture *f)
{
        f->mode = MOCK_ALLOW;
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", "vfio",
                                    VFIOD_FLAG_NO_WAIT, 0),
                        ==, "");
}

static void test_served_xml_is_the_contract(Fixture *f, gconstpointer data)
{
        static const char *const objects[][2] = {
                { "/org/vfiod1", "org.vfiod1.Manager" },
                { DEVICE_PATH, "org.vfiod1.Device" },
                { PF_PATH, "org.vfiod1.PhysicalFunction" },
                { VF_PATH, "org.vfiod1.VirtualFunction" },
                { "/org/vfiod1/group/7", "org.vfiod1.Group" },
                { "/org/vfiod1/job/1", "org.vfiod1.Job" },
        };

        submit_job(f);
        fixture_add_pf(f);
        for (size_t i = 0; i < G_N_ELEMENTS(objects); i++) {
                g_autofree char *served = introspect(f, objects[i][0]);
                g_autofree char *contract = read_contract(objects[i][1]);
                g_autofree char *a = canonical(served, objects[i][1]);
                g_autofree char *b = canonical(contract, objects[i][1]);

                g_assert_cmpstr(a, !=, "");
                g_assert_cmpstr(a, ==, b);
        }
}

/* Values as text --------------------------------------------------------------------------------
 */

static void print_value(sd_bus_message *m, GString *s)
{
        const char *signature, *text;
        uint64_t number = 0;
        char type;

        g_assert_cmpint(sd_bus_message_peek_type(m, &type, &signature), >, 0);
        g_assert_cmpint(type, ==, 'v');
        g_assert_cmpint(sd_bus_message_enter_container(m, 'v', signature), >, 0);
        g_string_append_printf(s, "%s ", signature);
        if (streq(signature, "as")) {
                g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "s"), >, 0);
                while (sd_bus_message_read(m, "s", &text) > 0)
                        g_string_append_printf(s, "'%s' ", text);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        } else if (streq(signature, "s")) {
                g_assert_cmpint(sd_bus_message_read(m, "s", &text), >, 0);
                g_string_append_printf(s, "'%s'", text);
        } else {
                g_assert_nonnull(strchr("biut", signature[0]));
                g_assert_cmpint(sd_bus_message_read_basic(m, signature[0], &number), >, 0);
                g_string_append_printf(s, "%" PRIi64,
                                       streq(signature, "i") ? (int32_t)number : (int64_t)number);
        }
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
}

/* One a{sv} by key. */
static GHashTable *read_dict(sd_bus_message *m)
{
        GHashTable *dict = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                GString *value = g_string_new(NULL);
                const char *key;

                g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                print_value(m, value);
                g_assert_true(
                        g_hash_table_insert(dict, g_strdup(key), g_string_free(value, false)));
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        return dict;
}

/* An aa{sv}. */
static GPtrArray *read_dicts(sd_bus_message *m)
{
        GPtrArray *dicts = g_ptr_array_new_with_free_func((GDestroyNotify)g_hash_table_unref);

        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "a{sv}"), >, 0);
        while (sd_bus_message_at_end(m, false) == 0)
                g_ptr_array_add(dicts, read_dict(m));
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        return dicts;
}

static const char *value(GPtrArray *dicts, guint i, const char *key)
{
        g_assert_cmpuint(i, <, dicts->len);
        return g_hash_table_lookup(g_ptr_array_index(dicts, i), key);
}

/* A Manager call that must succeed, with its answer. */
static sd_bus_message *ask(Fixture *f, const char *member, const char *types, ...)
{
        sd_bus_message *m =
                fixture_new_call(f->nobody, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, member);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        va_list ap;

        va_start(ap, types);
        g_assert_cmpint(sd_bus_message_appendv(m, types, ap), >=, 0);
        va_end(ap);
        m = fixture_call(f, m, &error);
        g_assert_cmpstr(error.message, ==, NULL);
        g_assert_nonnull(m);
        return m;
}

static GHashTable *get_all(Fixture *f, const char *path, const char *interface)
{
        sd_bus_message *m =
                fixture_new_call(f->nobody, path, "org.freedesktop.DBus.Properties", "GetAll");
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        GHashTable *dict;

        g_assert_cmpint(sd_bus_message_append(m, "s", interface), >=, 0);
        m = fixture_call(f, m, &error);
        g_assert_cmpstr(error.message, ==, NULL);
        dict = read_dict(m);
        sd_bus_message_unref(m);
        return dict;
}

static void assert_dicts_equal(GHashTable *a, GHashTable *b)
{
        GHashTableIter i;
        void *key, *text;

        g_assert_cmpuint(g_hash_table_size(a), ==, g_hash_table_size(b));
        g_hash_table_iter_init(&i, a);
        while (g_hash_table_iter_next(&i, &key, &text))
                g_assert_cmpstr(text, ==, g_hash_table_lookup(b, key));
}

static void test_properties_are_the_listed_fields(Fixture *f, gconstpointer data)
{
        sd_bus_message *m = ask(f, "ListDevices", "a{sv}t", 0, (uint64_t)0);
        g_autoptr(GPtrArray) devices = read_dicts(m);

        g_assert_cmpuint(devices->len, ==, 8);
        for (guint i = 0; i < devices->len; i++) {
                g_autofree char *path = NULL, *text = NULL;
                const char *address = value(devices, i, "Address");
                PciAddress a;

                text = g_strndup(address + 3, strlen(address) - 4);
                g_assert_cmpint(pci_address_parse(text, &a), ==, 0);
                g_assert_cmpint(bus_device_path(&a, &path), ==, 0);
                g_autoptr(GHashTable) all = get_all(f, path, VFIOD_DEVICE_INTERFACE);
                assert_dicts_equal(g_ptr_array_index(devices, i), all);
        }
        sd_bus_message_unref(m);
        m = ask(f, "ListGroups", "a{sv}t", 0, (uint64_t)0);
        g_autoptr(GPtrArray) groups = read_dicts(m);
        g_assert_cmpuint(groups->len, ==, 3);
        for (guint i = 0; i < groups->len; i++) {
                g_autofree char *path =
                        g_strdup_printf("/org/vfiod1/group/%s", value(groups, i, "Number") + 2);
                g_autoptr(GHashTable) all = get_all(f, path, VFIOD_GROUP_INTERFACE);

                assert_dicts_equal(g_ptr_array_index(groups, i), all);
        }
        sd_bus_message_unref(m);
}

static void test_device_shows_what_is_known(Fixture *f, gconstpointer data)
{
        g_autoptr(GHashTable) d = get_all(f, DEVICE_PATH, VFIOD_DEVICE_INTERFACE);
        g_autoptr(GHashTable) gone = NULL, g = NULL;

        g_assert_cmpstr(g_hash_table_lookup(d, "Address"), ==, "s '0000:04:00.0'");
        g_assert_cmpstr(g_hash_table_lookup(d, "Id"), ==, "s '8086:100e'");
        g_assert_cmpstr(g_hash_table_lookup(d, "Driver"), ==, "s 'e1000'");
        g_assert_cmpstr(g_hash_table_lookup(d, "Group"), ==, "i 7");
        g_assert_cmpstr(g_hash_table_lookup(d, "Rule"), ==, "s '10-nic.conf'");
        g_assert_cmpstr(g_hash_table_lookup(d, "State"), ==, "s 'pending'");
        gone = get_all(f, "/org/vfiod1/device/pci_3a0000_3a0a_3a00_2e0", VFIOD_DEVICE_INTERFACE);
        g_assert_cmpstr(g_hash_table_lookup(gone, "State"), ==, "s 'absent'");
        g = get_all(f, "/org/vfiod1/group/7", VFIOD_GROUP_INTERFACE);
        g_assert_cmpstr(g_hash_table_lookup(g, "Members"), ==,
                        "as '0000:04:00.0' '0000:04:01.0' '0000:04:02.0' ");
        g_assert_cmpstr(g_hash_table_lookup(g, "Bridges"), ==, "as '0000:03:00.0' ");
}

/* Of all objects there; each shows the same as when its properties are asked for. */
static unsigned count_objects(Fixture *f, const char *interface)
{
        sd_bus_message *m = fixture_new_call(
                f->nobody, VFIOD_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *path, *name;
        unsigned n = 0;

        m = fixture_call(f, m, &error);
        g_assert_cmpstr(error.message, ==, NULL);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}") > 0) {
                g_assert_cmpint(sd_bus_message_read(m, "o", &path), >, 0);
                g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sa{sv}}"), >, 0);
                while (sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0) {
                        g_assert_cmpint(sd_bus_message_read(m, "s", &name), >, 0);
                        n += streq(name, interface);
                        g_autoptr(GHashTable) properties = read_dict(m);
                        g_autoptr(GHashTable) all = get_all(f, path, name);
                        assert_dicts_equal(properties, all);
                        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
                }
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        sd_bus_message_unref(m);
        return n;
}

static void test_managed_objects_are_all_there(Fixture *f, gconstpointer data)
{
        submit_job(f);
        g_assert_cmpuint(count_objects(f, VFIOD_DEVICE_INTERFACE), ==, 8);
        g_assert_cmpuint(count_objects(f, VFIOD_GROUP_INTERFACE), ==, 3);
        g_assert_cmpuint(count_objects(f, VFIOD_JOB_INTERFACE), ==, 1);
}

static void test_words_name_devices(Fixture *f, gconstpointer data)
{
        static const char *const good[] = { "0000:04:00.0", "04:00.0", "pci:0000:04:00.0",
                                            "0a:00.0" };
        static const char *const bad[] = { "",        "04:00", "0000:04:03.0",
                                           "group:7", "pci:",  "../../etc" };
        g_autofree char *endless = g_strnfill(300, '0');

        for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
                g_assert_cmpstr(fixture_try(f, f->nobody, "GetDevice", "s", good[i]), ==, "");
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_assert_cmpstr(fixture_try(f, f->nobody, "GetDevice", "s", bad[i]), ==,
                                "org.vfiod1.Error.NoSuchDevice");
                g_assert_cmpstr(fixture_try(f, f->nobody, "Explain", "s", bad[i]), ==,
                                "org.vfiod1.Error.NoSuchDevice");
        }
        g_assert_cmpstr(fixture_try(f, f->nobody, "GetDevice", "s", endless), ==,
                        "org.vfiod1.Error.NoSuchDevice");
        g_assert_cmpstr(fixture_try(f, f->nobody, "GetGroup", "u", 7), ==, "");
        g_assert_cmpstr(fixture_try(f, f->nobody, "GetGroup", "u", 6), ==,
                        "org.vfiod1.Error.NoSuchGroup");
        g_assert_cmpstr(fixture_try(f, f->nobody, "GetGroup", "u", UINT32_MAX), ==,
                        "org.vfiod1.Error.NoSuchGroup");
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 2, "04:00.0", "group:6",
                                    "vfio", (uint64_t)0, 0),
                        ==, "org.vfiod1.Error.NoSuchDevice");
        g_assert_cmpstr(
                fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, endless, "vfio", (uint64_t)0, 0),
                ==, INVALID_ARGS);
        g_assert_cmpstr(fixture_try(f, f->nobody, "Release", "asta{sv}", 0, (uint64_t)0, 0), ==,
                        INVALID_ARGS);
}

static void test_paths_that_are_no_objects(Fixture *f, gconstpointer data)
{
        static const char *const paths[] = {
                "/org/vfiod1/device/pci_3a0000_3a04_3a03_2e0",
                "/org/vfiod1/device/pci_3a04_3a00_2e0",
                "/org/vfiod1/device/x",
                "/org/vfiod1/group/6",
                "/org/vfiod1/group/07",
                "/org/vfiod1/group/99999999999999999999",
                "/org/vfiod1/job/1",
                "/org/vfiod1/job/x",
        };

        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
                sd_bus_message *m = fixture_new_call(f->nobody, paths[i],
                                                     "org.freedesktop.DBus.Properties", "GetAll");
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                g_assert_cmpint(sd_bus_message_append(m, "s", ""), >=, 0);
                m = fixture_call(f, m, &error);
                g_assert_null(m);
                g_assert_cmpstr(error.name, ==, "org.freedesktop.DBus.Error.UnknownObject");
        }
}

static void test_unknown_flags_and_options_are_refused(Fixture *f, gconstpointer data)
{
        const uint64_t bad_flag = UINT64_C(1) << 40, forget = VFIOD_FLAG_FORGET;
        const struct {
                const char *member, *types;
        } flagged[] = { { "Plan", "ta{sv}" }, { "Apply", "ta{sv}" } };

        for (size_t i = 0; i < G_N_ELEMENTS(flagged); i++) {
                g_assert_cmpstr(
                        fixture_try(f, f->nobody, flagged[i].member, flagged[i].types, bad_flag, 0),
                        ==, INVALID_ARGS);
                g_assert_cmpstr(fixture_try(f, f->nobody, flagged[i].member, flagged[i].types,
                                            (uint64_t)0, 1, "colour", "s", "red"),
                                ==, INVALID_ARGS);
        }
        g_assert_cmpstr(fixture_try(f, f->nobody, "Plan", "ta{sv}", VFIOD_FLAG_DRY_RUN, 0), ==,
                        INVALID_ARGS);
        g_assert_cmpstr(fixture_try(f, f->nobody, "Apply", "ta{sv}", VFIOD_FLAG_PERSIST, 0), ==,
                        INVALID_ARGS);
        g_assert_cmpstr(fixture_try(f, f->nobody, "Reload", "t", VFIOD_FLAG_NO_WAIT), ==,
                        INVALID_ARGS);
        g_assert_cmpstr(
                fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", "vfio", forget, 0), ==,
                INVALID_ARGS);
        g_assert_cmpstr(fixture_try(f, f->nobody, "ListDevices", "a{sv}t", 1, "Colour", "s", "red",
                                    (uint64_t)0),
                        ==, INVALID_ARGS);
        g_assert_cmpstr(fixture_try(f, f->nobody, "ListDevices", "a{sv}t", 0, bad_flag), ==,
                        INVALID_ARGS);
        g_assert_cmpstr(
                fixture_try(f, f->nobody, "ListGroups", "a{sv}t", 1, "Group", "i", 7, (uint64_t)0),
                ==, INVALID_ARGS);
}

static void test_options_are_strict(Fixture *f, gconstpointer data)
{
        const uint64_t dry = VFIOD_FLAG_DRY_RUN;

        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", "vfio", dry, 1,
                                    "accept", "s", "boot-display"),
                        ==, INVALID_ARGS);
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", "vfio", dry, 2,
                                    "accept", "as", 1, "boot-display", "accept", "as", 1, "swap"),
                        ==, INVALID_ARGS);
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", "vfio", dry, 1,
                                    "accept", "as", 1, "bridge"),
                        ==, INVALID_ARGS);
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", "vfio", dry, 1,
                                    "accept", "as", 1, "no such thing"),
                        ==, INVALID_ARGS);
        g_assert_cmpstr(
                fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", "../x", dry, 0), ==,
                INVALID_ARGS);
        g_assert_cmpstr(fixture_try(f, f->nobody, "ListDevices", "a{sv}t", 1, "Group", "s", "7",
                                    (uint64_t)0),
                        ==, INVALID_ARGS);
        g_assert_cmpstr(
                fixture_try(f, f->nobody, "Bind", "assta{sv}", 1, "04:00.0", "forbidden", dry, 0),
                ==, "org.vfiod1.Error.DriverNotAllowed");
}

static void test_too_many_devices_in_a_call(Fixture *f, gconstpointer data)
{
        sd_bus_message *m =
                fixture_new_call(f->nobody, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Release");
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        g_assert_cmpint(sd_bus_message_open_container(m, 'a', "s"), >=, 0);
        for (int i = 0; i < BUS_DEVICES_MAX + 1; i++)
                g_assert_cmpint(sd_bus_message_append(m, "s", "04:00.0"), >=, 0);
        g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
        g_assert_cmpint(sd_bus_message_append(m, "ta{sv}", (uint64_t)0, 0), >=, 0);
        g_assert_null(fixture_call(f, m, &error));
        g_assert_cmpstr(error.name, ==, "org.freedesktop.DBus.Error.LimitsExceeded");
}

static void test_filters_narrow_the_list(Fixture *f, gconstpointer data)
{
        sd_bus_message *m = ask(f, "ListDevices", "a{sv}t", 2, "Driver", "s", "e1000", "Group", "i",
                                7, (uint64_t)0);
        g_autoptr(GPtrArray) both = read_dicts(m), absent = NULL, ruled = NULL;

        sd_bus_message_unref(m);
        g_assert_cmpuint(both->len, ==, 2);
        g_assert_cmpstr(value(both, 1, "Address"), ==, "s '0000:04:01.0'");
        m = ask(f, "ListDevices", "a{sv}t", 1, "State", "s", "absent", (uint64_t)0);
        absent = read_dicts(m);
        sd_bus_message_unref(m);
        g_assert_cmpuint(absent->len, ==, 1);
        m = ask(f, "ListDevices", "a{sv}t", 1, "Rule", "s", "99-none.conf", (uint64_t)0);
        ruled = read_dicts(m);
        sd_bus_message_unref(m);
        g_assert_cmpuint(ruled->len, ==, 0);
}

static void test_plan_and_explain(Fixture *f, gconstpointer data)
{
        sd_bus_message *m = ask(f, "Plan", "ta{sv}", (uint64_t)0, 0);
        g_autoptr(GPtrArray) steps = read_dicts(m);
        g_autoptr(GHashTable) why = NULL;
        guint n_bind = 0;

        sd_bus_message_unref(m);
        for (guint i = 0; i < steps->len; i++)
                n_bind += g_strcmp0(value(steps, i, "Kind"), "s 'bind'") == 0;
        g_assert_cmpuint(n_bind, ==, 3);
        m = ask(f, "Explain", "s", "04:01.0");
        why = read_dict(m);
        sd_bus_message_unref(m);
        g_assert_cmpstr(g_hash_table_lookup(why, "Device"), ==, "s '0000:04:01.0'");
        g_assert_cmpstr(g_hash_table_lookup(why, "Implied"), ==, "b 1");
}

/* SR-IOV --------------------------------------------------------------------------------------- */

static HostDevice *find_vf(Fixture *f)
{
        const PciAddress a = { .bus = 8, .device = 0x10, .function = 1 };

        return host_find(&f->manager.host, &a);
}

static void test_pfs_and_vfs_show_what_they_are(Fixture *f, gconstpointer data)
{
        g_autoptr(GHashTable) pf = NULL, vf = NULL;

        fixture_add_pf(f);
        vf_settings_put(&find_vf(f)->settings, VF_MAC_ADDRESS, 0x020000001001);
        vf_settings_put(&find_vf(f)->settings, VF_TRUST, 1);
        vf_settings_put(&find_vf(f)->settings, VF_MAX_TX_RATE, UINT32_MAX);
        manager_refresh(&f->manager);
        pf = get_all(f, PF_PATH, VFIOD_PF_INTERFACE);
        g_assert_cmpstr(g_hash_table_lookup(pf, "TotalVFs"), ==, "u 7");
        g_assert_cmpstr(g_hash_table_lookup(pf, "NumVFs"), ==, "u 2");
        g_assert_cmpstr(g_hash_table_lookup(pf, "DriversAutoprobe"), ==, "b 1");
        g_assert_cmpstr(g_hash_table_lookup(pf, "DeclaredVFs"), ==, "i -1");
        g_assert_cmpstr(g_hash_table_lookup(pf, "VirtualFunctions"), ==,
                        "as '0000:08:10.0' '0000:08:10.1' ");
        vf = get_all(f, VF_PATH, VFIOD_VF_INTERFACE);
        g_assert_cmpstr(g_hash_table_lookup(vf, "PhysicalFunction"), ==, "s '0000:08:00.0'");
        g_assert_cmpstr(g_hash_table_lookup(vf, "Index"), ==, "i 1");
        g_assert_cmpstr(g_hash_table_lookup(vf, "MACAddress"), ==, "s '02:00:00:00:10:01'");
        g_assert_cmpstr(g_hash_table_lookup(vf, "Trust"), ==, "s 'yes'");
        g_assert_cmpstr(g_hash_table_lookup(vf, "SpoofCheck"), ==, "s ''");
        g_assert_cmpstr(g_hash_table_lookup(vf, "VLAN"), ==, "i -1");
        g_assert_cmpstr(g_hash_table_lookup(vf, "MaxTxRate"), ==, "i 2147483647");
        g_assert_cmpuint(count_objects(f, VFIOD_PF_INTERFACE), ==, 1);
        g_assert_cmpuint(count_objects(f, VFIOD_VF_INTERFACE), ==, 2);
}

static void test_vfs_are_named_by_their_pf(Fixture *f, gconstpointer data)
{
        static const char *const bad[] = { "08:00.0/vf2",  "08:00.0/vf",   "08:00.0/vf1/vf1",
                                           "08:00.0/vf+1", "08:00.0/1",    "08:10.0/vf0",
                                           "group:20/vf1", "/vf1",         "08:00.0/",
                                           "08:00.0/vf1/", "08:00.0//vf1x" };
        sd_bus_message *m;
        const char *path;

        fixture_add_pf(f);
        m = ask(f, "GetDevice", "s", "0000:08:00.0/vf1");
        g_assert_cmpint(sd_bus_message_read(m, "o", &path), >, 0);
        g_assert_cmpstr(path, ==, VF_PATH);
        sd_bus_message_unref(m);
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                g_assert_cmpstr(fixture_try(f, f->nobody, "GetDevice", "s", bad[i]), ==,
                                "org.vfiod1.Error.NoSuchDevice");
        f->mode = MOCK_ALLOW;
        g_assert_cmpstr(fixture_try(f, f->nobody, "Bind", "assta{sv}", 2, "pci:0000:08:00.0/vf0",
                                    "08:00.0/vf1", "vfio", VFIOD_FLAG_NO_WAIT, 0),
                        ==, "");
        g_assert_cmpuint(f->manager.n_addresses, ==, 2);
        g_assert_true(pci_address_equal(&f->manager.addresses[1], &find_vf(f)->address));
}

static const char *set_vfs(Fixture *f, const char *pf, uint32_t count, uint64_t flags)
{
        return fixture_try(f, f->nobody, "SetVirtualFunctions", "suta{sv}", pf, count, flags, 0);
}

static void test_numbers_of_vfs_are_checked(Fixture *f, gconstpointer data)
{
        static const struct {
                const char *pf;
                uint32_t count;
                uint64_t flags;
                const char *error;
        } calls[] = {
                { "08:00.0", 65536, 0, INVALID_ARGS },
                { "08:00.0", 4, VFIOD_FLAG_FORGET, INVALID_ARGS },
                { "08:01.0", 4, 0, "org.vfiod1.Error.NoSuchDevice" },
                { "0a:00.0", 4, 0, "org.vfiod1.Error.NoSuchDevice" }, /* declared, and not there */
                { "group:20", 4, 0, "org.vfiod1.Error.NoSuchDevice" },
                { "08:00.0", 8, 0, "org.vfiod1.Error.Refused" },
                { "05:00.0", 1, 0, "org.vfiod1.Error.NoSuchDevice" }, /* no PF */
                { "08:00.0/vf1", 1, 0, "org.vfiod1.Error.NoSuchDevice" },
        };

        f->mode = MOCK_ALLOW;
        fixture_add_pf(f);
        for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
                g_assert_cmpstr(set_vfs(f, calls[i].pf, calls[i].count, calls[i].flags), ==,
                                calls[i].error);
        g_assert_cmpstr(fixture_try(f, f->nobody, "SetVirtualFunctions", "suta{sv}", "08:00.0", 4,
                                    (uint64_t)0, 1, "force", "b", 1),
                        ==, INVALID_ARGS);
        g_assert_cmpuint(f->manager.n_submitted, ==, 0);
        g_assert_cmpstr(set_vfs(f, "08:00.0", 4, VFIOD_FLAG_NO_WAIT), ==, "");
        g_assert_cmpuint(f->manager.n_submitted, ==, 1);
        g_assert_cmpint(f->manager.kind, ==, OPERATION_SRIOV);
        g_assert_cmpuint(f->manager.num_vfs, ==, 4);
        g_assert_cmpuint(f->manager.n_addresses, ==, 1);
}

static void test_dry_run_shows_the_way_through_zero(Fixture *f, gconstpointer data)
{
        g_autoptr(GPtrArray) items = NULL;
        g_autoptr(GString) counts = g_string_new(NULL);
        sd_bus_message *m;

        fixture_add_pf(f);
        m = ask(f, "SetVirtualFunctions", "suta{sv}", "08:00.0", 4, VFIOD_FLAG_DRY_RUN, 0);
        g_assert_cmpint(sd_bus_message_skip(m, "o"), >, 0);
        items = read_dicts(m);
        sd_bus_message_unref(m);
        for (guint i = 0; i < items->len; i++)
                if (streq(value(items, i, "Kind"), "s 'set-numvfs'")) {
                        g_string_append_printf(counts, "%s ", value(items, i, "Argument"));
                        g_assert_cmpstr(value(items, i, "Undo"), ==, "s 'set-numvfs'");
                }
        g_assert_cmpstr(counts->str, ==, "s '0' s '4' ");
        g_assert_cmpuint(f->questions->len, ==, 0);
        g_assert_cmpuint(f->manager.n_submitted, ==, 0);
}

static void test_vfs_in_use_are_not_removed(Fixture *f, gconstpointer data)
{
        sd_bus_message *m = fixture_new_call(f->nobody, VFIOD_PATH, VFIOD_MANAGER_INTERFACE,
                                             "SetVirtualFunctions");
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        f->mode = MOCK_ALLOW;
        fixture_add_pf(f);
        g_assert_cmpint(use_table_add(&f->manager.uses, &find_vf(f)->address, REASON_DEVICE_IN_USE,
                                      "qemu (1234) has /dev/vfio/7 open"),
                        ==, 0);
        g_assert_cmpint(sd_bus_message_append(m, "suta{sv}", "08:00.0", 4, (uint64_t)0, 0), >=, 0);
        g_assert_null(fixture_call(f, m, &error));
        g_assert_cmpstr(error.name, ==, "org.vfiod1.Error.Refused");
        g_assert_nonnull(strstr(error.message, "refused: vfs-in-use: "));
        g_assert_nonnull(strstr(error.message, "qemu (1234)"));
        g_assert_cmpuint(f->manager.n_submitted, ==, 0);
        g_assert_cmpstr(fixture_try(f, f->nobody, "SetVirtualFunctions", "suta{sv}", "08:00.0", 4,
                                    VFIOD_FLAG_NO_WAIT, 1, "accept", "as", 1, "vfs-in-use"),
                        ==, "");
        g_assert_cmpuint(f->manager.n_submitted, ==, 1);
}

static void test_job_about_a_pf_explains_its_vfs(Fixture *f, gconstpointer data)
{
        sd_bus_message *m = fixture_new_call(f->nobody, VFIOD_PATH, VFIOD_MANAGER_INTERFACE,
                                             "SetVirtualFunctions");
        g_autoptr(GPtrArray) results = NULL;
        Answer a;

        f->mode = MOCK_ALLOW;
        fixture_add_pf(f);
        g_assert_cmpint(sd_bus_message_append(m, "suta{sv}", "08:00.0", 2, (uint64_t)0, 0), >=, 0);
        fixture_send(f->nobody, m, &a);
        sd_bus_message_unref(m);
        fixture_settle(f);
        manager_end_job(f->manager.jobs, JOB_DONE, REASON_NONE, NULL);
        fixture_wait(f, &a);
        g_assert_cmpint(sd_bus_message_skip(a.message, "o"), >, 0);
        results = read_dicts(a.message);
        g_assert_cmpuint(results->len, ==, 3);
        g_assert_cmpstr(value(results, 2, "Device"), ==, "s '0000:08:10.1'");
        answer_done(&a);
}

/* Late answers --------------------------------------------------------------------------------- */

static void begin_bind(Fixture *f, Answer *a)
{
        sd_bus_message *m =
                fixture_new_call(f->nobody, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Bind");

        f->mode = MOCK_ALLOW;
        g_assert_cmpint(sd_bus_message_append(m, "assta{sv}", 1, "05:00.0", "vfio", (uint64_t)0, 0),
                        >=, 0);
        fixture_send(f->nobody, m, a);
        sd_bus_message_unref(m);
        while (f->manager.n_submitted == 0)
                g_assert_cmpint(sd_event_run(f->event, 20 * USEC_PER_SEC), >, 0);
        g_assert_false(a->arrived);
}

static void test_done_job_answers_with_explanations(Fixture *f, gconstpointer data)
{
        g_autoptr(GPtrArray) results = NULL;
        const char *path;
        Answer a;

        begin_bind(f, &a);
        manager_end_job(f->manager.jobs, JOB_DONE, REASON_NONE, NULL);
        fixture_wait(f, &a);
        g_assert_cmpint(sd_bus_message_read(a.message, "o", &path), >, 0);
        g_assert_cmpstr(path, ==, "/org/vfiod1/job/1");
        results = read_dicts(a.message);
        g_assert_cmpuint(results->len, ==, 1);
        g_assert_cmpstr(value(results, 0, "Device"), ==, "s '0000:05:00.0'");
        answer_done(&a);
}

static void assert_ends_as(Fixture *f, JobState state, Reason reason, const char *detail,
                           const char *name, const char *message)
{
        Answer a;

        begin_bind(f, &a);
        manager_end_job(f->manager.jobs, state, reason, detail);
        fixture_wait(f, &a);
        g_assert_true(sd_bus_message_is_method_error(a.message, name));
        g_assert_cmpstr(sd_bus_message_get_error(a.message)->message, ==, message);
        answer_done(&a);
}

static void test_failed_job_answers_with_its_reason(Fixture *f, gconstpointer data)
{
        assert_ends_as(f, JOB_FAILED, REASON_DRIVER_REJECTED, "bind: Device or resource busy",
                       "org.vfiod1.Error.DeviceBusy",
                       "0000:05:00.0: failed: driver-rejected: bind: Device or resource busy (the "
                       "kernel log says why: journalctl -k)");
}

static void test_hung_job_answers_with_a_timeout(Fixture *f, gconstpointer data)
{
        assert_ends_as(
                f, JOB_TIMEOUT, REASON_WRITE_TIMEOUT, NULL, "org.vfiod1.Error.JobTimeout",
                "0000:05:00.0: stuck: write-timeout: a write into the kernel has not returned "
                "(end the program that uses the device; it goes on by itself then)");
}

static void test_cancelled_job_answers_so(Fixture *f, gconstpointer data)
{
        assert_ends_as(f, JOB_CANCELLED, REASON_NONE, NULL, "org.vfiod1.Error.JobCancelled",
                       "Job 1 was cancelled");
}

static void test_no_wait_answers_at_once(Fixture *f, gconstpointer data)
{
        submit_job(f);
        g_assert_cmpuint(f->manager.n_submitted, ==, 1);
        g_assert_null(f->manager.jobs->message);
        manager_end_job(f->manager.jobs, JOB_DONE, REASON_NONE, NULL);
        fixture_settle(f);
}

/* Refusals ------------------------------------------------------------------------------------- */

static void assert_bind_error(Fixture *f, const char *word, const char *name, const char *message)
{
        sd_bus_message *m =
                fixture_new_call(f->nobody, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Bind");
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        f->mode = MOCK_ALLOW;
        g_assert_cmpint(sd_bus_message_append(m, "assta{sv}", 1, word, "vfio", (uint64_t)0, 0), >=,
                        0);
        g_assert_null(fixture_call(f, m, &error));
        g_assert_cmpstr(error.name, ==, name);
        g_assert_cmpstr(error.message, ==, message);
        g_assert_cmpuint(f->manager.n_submitted, ==, 0);
}

static void test_hazards_are_refused_by_name(Fixture *f, gconstpointer data)
{
        assert_bind_error(f, "0001:07:00.0", "org.vfiod1.Error.Refused",
                          "0001:07:00.0: refused: boot-display: the console is on this device (use "
                          "another display or a serial console for the host)");
}

static void test_apply_tells_all_refusals_at_its_end(Fixture *f, gconstpointer data)
{
        sd_bus_message *m =
                fixture_new_call(f->nobody, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "Apply");
        Answer a;

        f->mode = MOCK_ALLOW;
        g_assert_cmpint(config_add_rule(f->manager.config, make_rule("30-gpu.conf", MATCH_ADDRESS,
                                                                     "0001:07:00.0", TARGET_VFIO)),
                        ==, 0);
        g_assert_cmpint(config_add_rule(f->manager.config, make_rule("40-vga.conf", MATCH_ADDRESS,
                                                                     "0000:03:00.0", TARGET_VFIO)),
                        ==, 0);
        manager_refresh(&f->manager);
        g_assert_cmpint(sd_bus_message_append(m, "ta{sv}", (uint64_t)0, 0), >=, 0);
        fixture_send(f->nobody, m, &a);
        sd_bus_message_unref(m);
        fixture_settle(f);
        /* What is not refused is done all the same. */
        g_assert_cmpuint(f->manager.n_submitted, ==, 1);
        g_assert_false(a.arrived);
        manager_end_job(f->manager.jobs, JOB_FAILED, REASON_BOOT_DISPLAY, NULL);
        fixture_wait(f, &a);
        g_assert_cmpstr(sd_bus_message_get_error(a.message)->name, ==, "org.vfiod1.Error.Refused");
        g_assert_nonnull(strstr(sd_bus_message_get_error(a.message)->message,
                                "0001:07:00.0: refused: boot-display: "));
        g_assert_nonnull(strstr(sd_bus_message_get_error(a.message)->message,
                                "0000:03:00.0: refused: bridge: "));
        answer_done(&a);
}

static void test_a_missing_group_is_no_hazard(Fixture *f, gconstpointer data)
{
        assert_bind_error(f, "06:00.0", "org.vfiod1.Error.NoIommu",
                          "0000:06:00.0: refused: no-iommu-group: the kernel gave it no IOMMU "
                          "group (see 'vfioctl doctor'; the IOMMU may not cover this device)");
}

static void test_dry_run_shows_steps_and_refusals(Fixture *f, gconstpointer data)
{
        sd_bus_message *m = ask(f, "Bind", "assta{sv}", 2, "05:00.0", "0001:07:00.0", "vfio",
                                VFIOD_FLAG_DRY_RUN, 0);
        g_autoptr(GPtrArray) items = NULL;
        guint n_refusals = 0;
        const char *path;

        g_assert_cmpint(sd_bus_message_read(m, "o", &path), >, 0);
        g_assert_cmpstr(path, ==, "/");
        items = read_dicts(m);
        sd_bus_message_unref(m);
        for (guint i = 0; i < items->len; i++) {
                n_refusals += g_strcmp0(value(items, i, "Type"), "s 'refusal'") == 0;
                /* Nothing of group 7, which a file wants, but this call does not name. */
                g_assert_cmpstr(value(items, i, "Group"), !=, "i 7");
        }
        g_assert_cmpuint(n_refusals, ==, 1);
        g_assert_cmpuint(items->len, >, 2);
        g_assert_cmpuint(f->manager.n_submitted, ==, 0);
        g_assert_cmpuint(f->questions->len, ==, 0);
}

/* Signals -------------------------------------------------------------------------------------- */

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        GPtrArray *seen = userdata;
        GString *line = g_string_new(sd_bus_message_get_member(m));
        const char *text;

        if (streq(line->str, "PropertiesChanged")) {
                g_string_append_printf(line, " %s", sd_bus_message_get_path(m));
                g_assert_cmpint(sd_bus_message_skip(m, "s"), >, 0);
                g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
                while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                        g_assert_cmpint(sd_bus_message_read(m, "s", &text), >, 0);
                        g_string_append_printf(line, " %s", text);
                        g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
                }
        } else if (!startswith(line->str, "Job")) {
                g_assert_cmpint(sd_bus_message_read(m, "o", &text), >, 0);
                g_string_append_printf(line, " %s", text);
        }
        g_ptr_array_add(seen, g_string_free(line, false));
        return 0;
}

static GPtrArray *watch(Fixture *f)
{
        GPtrArray *seen = g_ptr_array_new_with_free_func(g_free);

        g_assert_cmpint(sd_bus_add_match(f->nobody, NULL,
                                         "type='signal',sender='org.vfiod1',"
                                         "path_namespace='/org/vfiod1'",
                                         on_signal, seen),
                        >=, 0);
        return seen;
}

static bool was_seen(GPtrArray *seen, const char *line)
{
        for (guint i = 0; i < seen->len; i++)
                if (streq(g_ptr_array_index(seen, i), line))
                        return true;
        return false;
}

static void test_changes_are_signalled_once(Fixture *f, gconstpointer data)
{
        GPtrArray *seen = watch(f);
        Manager *m = &f->manager;

        manager_refresh(m);
        fixture_settle(f);
        g_assert_cmpuint(seen->len, ==, 0);
        m->host.devices[4].driver[0] = 0;
        manager_refresh(m);
        fixture_settle(f);
        g_assert_cmpuint(seen->len, ==, 1);
        g_assert_true(g_str_has_prefix(
                g_ptr_array_index(seen, 0),
                "PropertiesChanged /org/vfiod1/device/pci_3a0000_3a05_3a00_2e0 Driver State "));
        g_assert_nonnull(strstr(g_ptr_array_index(seen, 0), " HostDriver "));
        g_assert_true(g_str_has_suffix(g_ptr_array_index(seen, 0), " Taken"));
        g_assert_null(strstr(g_ptr_array_index(seen, 0), " Address"));
        g_ptr_array_unref(seen);
}

static void test_devices_come_and_go(Fixture *f, gconstpointer data)
{
        GPtrArray *seen = watch(f);
        Manager *m = &f->manager;

        host_add(&m->host, "0000:0a:00.0", "8086:10d3", 0x020000, 12, "e1000e");
        m->host.devices[4] = m->host.devices[--m->host.n];
        manager_refresh(m);
        fixture_settle(f);
        g_assert_true(
                was_seen(seen, "InterfacesRemoved /org/vfiod1/device/pci_3a0000_3a05_3a00_2e0"));
        g_assert_true(was_seen(seen, "InterfacesRemoved /org/vfiod1/group/8"));
        g_assert_true(was_seen(seen, "InterfacesAdded /org/vfiod1/group/12"));
        /* The empty place got a card: the object that stood for it is another now. */
        g_assert_true(
                was_seen(seen, "InterfacesRemoved /org/vfiod1/device/pci_3a0000_3a0a_3a00_2e0"));
        g_assert_true(
                was_seen(seen, "InterfacesAdded /org/vfiod1/device/pci_3a0000_3a0a_3a00_2e0"));
        g_ptr_array_unref(seen);
}

static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        GPtrArray *removed = userdata;
        const char *path, *name;

        g_assert_cmpint(sd_bus_message_read(m, "o", &path), >, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "s"), >, 0);
        while (sd_bus_message_read(m, "s", &name) > 0)
                g_ptr_array_add(removed, g_strdup_printf("%s %s", path, name));
        return 0;
}

static void test_changes_of_vfs_are_signalled(Fixture *f, gconstpointer data)
{
        g_autoptr(GPtrArray) removed = g_ptr_array_new_with_free_func(g_free);
        Step none = { .kind = STEP_SET_NUMVFS, .argument = (char *)"0" };
        GPtrArray *seen;

        fixture_add_pf(f);
        fixture_settle(f);
        seen = watch(f);
        g_assert_cmpint(sd_bus_add_match(f->nobody, NULL,
                                         "type='signal',member='InterfacesRemoved'", on_removed,
                                         removed),
                        >=, 0);
        vf_settings_put(&find_vf(f)->settings, VF_VLAN, 100);
        manager_refresh(&f->manager);
        fixture_settle(f);
        g_assert_cmpuint(seen->len, ==, 1);
        g_assert_true(g_str_has_prefix(g_ptr_array_index(seen, 0),
                                       "PropertiesChanged " VF_PATH " PhysicalFunction "));
        none.address = find_vf(f)->address;
        none.address.device = none.address.function = 0;
        g_assert_cmpint(host_step(&f->manager.host, &none), ==, 0);
        manager_refresh(&f->manager);
        fixture_settle(f);
        g_assert_true(was_seen(removed, VF_PATH " " VFIOD_VF_INTERFACE));
        g_assert_true(was_seen(removed, VF_PATH " " VFIOD_DEVICE_INTERFACE));
        g_assert_false(was_seen(removed, VF_PATH " " VFIOD_PF_INTERFACE));
        g_assert_true(was_seen(seen, "PropertiesChanged " PF_PATH " TotalVFs NumVFs "
                                     "DriversAutoprobe DeclaredVFs VirtualFunctions"));
        g_ptr_array_unref(seen);
}

static void test_jobs_are_signalled(Fixture *f, gconstpointer data)
{
        GPtrArray *seen = watch(f);

        submit_job(f);
        manager_end_job(f->manager.jobs, JOB_DONE, REASON_NONE, NULL);
        bus_job_removed(f->manager.jobs);
        bus_emit_manager_changed(&f->manager);
        fixture_settle(f);
        g_assert_true(was_seen(seen, "JobNew"));
        g_assert_true(was_seen(seen, "InterfacesAdded /org/vfiod1/job/1"));
        g_assert_true(was_seen(seen, "PropertiesChanged /org/vfiod1/job/1 State Reason Sentence"));
        g_assert_true(was_seen(seen, "JobRemoved"));
        g_assert_true(was_seen(seen, "InterfacesRemoved /org/vfiod1/job/1"));
        g_assert_true(was_seen(seen, "PropertiesChanged /org/vfiod1 State Iommu Counts"));
        g_ptr_array_unref(seen);
}

/* Limits --------------------------------------------------------------------------------------- */

static void test_a_flood_is_limited(Fixture *f, gconstpointer data)
{
        enum { N = 100 };
        Answer answers[N];
        unsigned n_limited = 0;

        for (int i = 0; i < N; i++) {
                sd_bus_message *m =
                        fixture_new_call(f->nobody, VFIOD_PATH,
                                         "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");

                fixture_send(f->nobody, m, &answers[i]);
                sd_bus_message_unref(m);
        }
        for (int i = 0; i < N; i++) {
                fixture_wait(f, &answers[i]);
                n_limited += sd_bus_message_is_method_error(
                                     answers[i].message,
                                     "org.freedesktop.DBus.Error.LimitsExceeded") > 0;
                answer_done(&answers[i]);
        }
        g_assert_cmpuint(n_limited, >=, N - 2 * LIMITER_CREDIT / 250);
        /* Cheap calls of the same client, and any of another, are not touched. */
        g_assert_cmpstr(fixture_try(f, f->nobody, "GetDevice", "s", "04:00.0"), ==, "");
        if (f->other)
                g_assert_cmpstr(fixture_try(f, f->other, "Plan", "ta{sv}", (uint64_t)0, 0), ==, "");
}

static void test_limiter_earns_credit_by_time(void)
{
        g_autofree Limiter *l = g_new0(Limiter, 1);
        uint64_t now = USEC_PER_SEC;

        for (int i = 0; i < 4; i++)
                g_assert_true(limiter_take(l, ":1.1", LIMITER_CREDIT / 4, now));
        g_assert_false(limiter_take(l, ":1.1", LIMITER_CREDIT / 4, now));
        g_assert_true(limiter_take(l, ":1.2", 1, now));
        now += USEC_PER_SEC / 4;
        g_assert_true(limiter_take(l, ":1.1", LIMITER_CREDIT / 4, now));
        g_assert_false(limiter_take(l, ":1.1", LIMITER_CREDIT / 4, now));
        /* However long it was away, no more than a burst. */
        now += 3600 * USEC_PER_SEC;
        for (int i = 0; i < 4; i++)
                g_assert_true(limiter_take(l, ":1.1", LIMITER_CREDIT / 4, now));
        g_assert_false(limiter_take(l, ":1.1", LIMITER_CREDIT / 4, now));
}

static void test_limiter_weighs_calls(void)
{
        g_autofree Limiter *l = g_new0(Limiter, 1);

        g_assert_true(limiter_take(l, ":1.1", LIMITER_CREDIT / 2, 1));
        g_assert_true(limiter_take(l, ":1.1", LIMITER_CREDIT / 2, 1));
        g_assert_false(limiter_take(l, ":1.1", LIMITER_CREDIT / 2, 1));
        /* However large the host is, one answer is always to be had. */
        g_assert_true(limiter_take(l, ":1.2", 100 * LIMITER_CREDIT, 1));
}

static void test_limiter_forgets_the_oldest(void)
{
        g_autofree Limiter *l = g_new0(Limiter, 1);
        char name[32];

        for (int i = 0; i < 10 * LIMITER_ENTRIES_MAX; i++) {
                snprintf(name, sizeof(name), ":1.%d", i);
                g_assert_true(limiter_take(l, name, 1, (uint64_t)i));
        }
        g_assert_false(limiter_take(l, ":1.123456789012345678901234567890", 1, 1));
}

static void test_log_level_is_roots_to_set(Fixture *f, gconstpointer data)
{
        const char *const levels[] = { "debug", "nonsense" };
        sd_bus *clients[] = { f->root, f->nobody };

        if (!f->root) {
                g_test_skip("needs root");
                return;
        }
        for (size_t c = 0; c < G_N_ELEMENTS(clients); c++)
                for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
                        sd_bus_message *m =
                                fixture_new_call(clients[c], LOG_CONTROL_PATH,
                                                 "org.freedesktop.DBus.Properties", "Set");
                        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                        g_assert_cmpint(sd_bus_message_append(m, "ssv", LOG_CONTROL_INTERFACE,
                                                              "LogLevel", "s", levels[i]),
                                        >=, 0);
                        sd_bus_message_unref(fixture_call(f, m, &error));
                        g_assert_cmpstr(error.name, ==,
                                        c == 1   ? "org.freedesktop.DBus.Error.AccessDenied"
                                        : i == 1 ? INVALID_ARGS
                                                 : NULL);
                }
}

#define TEST(path, function) \
        g_test_add("/bus/" path, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST("served-xml-is-the-contract", test_served_xml_is_the_contract);
        TEST("properties-are-the-listed-fields", test_properties_are_the_listed_fields);
        TEST("device-shows-what-is-known", test_device_shows_what_is_known);
        TEST("managed-objects-are-all-there", test_managed_objects_are_all_there);
        TEST("words-name-devices", test_words_name_devices);
        TEST("paths-that-are-no-objects", test_paths_that_are_no_objects);
        TEST("unknown-flags-and-options-are-refused", test_unknown_flags_and_options_are_refused);
        TEST("options-are-strict", test_options_are_strict);
        TEST("too-many-devices-in-a-call", test_too_many_devices_in_a_call);
        TEST("filters-narrow-the-list", test_filters_narrow_the_list);
        TEST("plan-and-explain", test_plan_and_explain);
        TEST("pfs-and-vfs-show-what-they-are", test_pfs_and_vfs_show_what_they_are);
        TEST("vfs-are-named-by-their-pf", test_vfs_are_named_by_their_pf);
        TEST("numbers-of-vfs-are-checked", test_numbers_of_vfs_are_checked);
        TEST("dry-run-shows-the-way-through-zero", test_dry_run_shows_the_way_through_zero);
        TEST("vfs-in-use-are-not-removed", test_vfs_in_use_are_not_removed);
        TEST("job-about-a-pf-explains-its-vfs", test_job_about_a_pf_explains_its_vfs);
        TEST("done-job-answers-with-explanations", test_done_job_answers_with_explanations);
        TEST("failed-job-answers-with-its-reason", test_failed_job_answers_with_its_reason);
        TEST("hung-job-answers-with-a-timeout", test_hung_job_answers_with_a_timeout);
        TEST("cancelled-job-answers-so", test_cancelled_job_answers_so);
        TEST("no-wait-answers-at-once", test_no_wait_answers_at_once);
        TEST("hazards-are-refused-by-name", test_hazards_are_refused_by_name);
        TEST("apply-tells-all-refusals-at-its-end", test_apply_tells_all_refusals_at_its_end);
        TEST("a-missing-group-is-no-hazard", test_a_missing_group_is_no_hazard);
        TEST("dry-run-shows-steps-and-refusals", test_dry_run_shows_steps_and_refusals);
        TEST("changes-are-signalled-once", test_changes_are_signalled_once);
        TEST("devices-come-and-go", test_devices_come_and_go);
        TEST("changes-of-vfs-are-signalled", test_changes_of_vfs_are_signalled);
        TEST("jobs-are-signalled", test_jobs_are_signalled);
        TEST("a-flood-is-limited", test_a_flood_is_limited);
        g_test_add_func("/bus/limiter-earns-credit-by-time", test_limiter_earns_credit_by_time);
        g_test_add_func("/bus/limiter-weighs-calls", test_limiter_weighs_calls);
        g_test_add_func("/bus/limiter-forgets-the-oldest", test_limiter_forgets_the_oldest);
        TEST("log-level-is-roots-to-set", test_log_level_is_roots_to_set);
        return g_test_run();
}
