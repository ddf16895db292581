/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verbs that look at devices and groups. */

#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "sys/inspect.h"
#include "sys/locks.h"
#include "sys/scan.h"
#include "sys/usage.h"

#include <inttypes.h>

int verb_list(Ctl *c, char **args)
{
        static const Column columns[] = {
                { "ADDRESS", "address", SCOLS_FL_TREE },
                { "ID", "id", 0 },
                { "CLASS", "class", 0 },
                { "DRIVER", "driver", 0 },
                { "GROUP", "group", SCOLS_FL_RIGHT },
                { "STATE", "state", 0 },
                { "REASON", "reason", 0 },
                { "RULE", "rule", 0 },
                { 0 },
        };
        /* The promised members, in the promised order. */
        static const char *const keys[] = {
                "address", "id",        "class",     "driver", "state",
                "reason",  "group",     "numa_node", "pf",     "vf",
                "num_vfs", "total_vfs", "vfio_node", "rule",   NULL,
        };
        _cleanup_json_ json_object *devices = NULL, *list = json_new_list();
        int r = source_devices(c, args, SELECT_ALL, &devices);

        if (r != 0)
                return r;
        for (size_t i = 0; i < json_count(devices); i++)
                json_append(list, json_pick(json_at(devices, i), keys));
        return print_json(c, list) ? 0 : print_table(c, columns, list, "pf");
}

/* Lines by their address. */
static json_object *index_lines(json_object *lines)
{
        json_object *index = json_new();

        for (size_t i = 0; i < json_count(lines); i++)
                json_add(index, json_word(json_at(lines, i), "address"),
                         json_object_get(json_at(lines, i)));
        return index;
}

/* A VF stands below a PF of its group; a group of VFs alone below the PF, if that is in one. */
static void place_device(json_object *device, json_object *group, json_object *devices)
{
        json_object *pf = json_object_object_get(devices, json_word(device, "pf"));
        bool with_pf = json_text(pf, "group");

        if (with_pf && json_number(pf, "group") == json_number(device, "group"))
                json_add_text(device, "above", json_word(pf, "address"));
        else
                json_add_text(device, "above", json_word(device, "group"));
        if (!with_pf)
                json_add(group, "apart", must(json_object_new_boolean(true)));
        json_add_text(group, "above", json_flag(group, "apart") ? NULL : json_word(pf, "address"));
}

int verb_groups(Ctl *c, char **args)
{
        static const Column columns[] = {
                { "GROUP", "address", SCOLS_FL_TREE },
                { "ID", "id", 0 },
                { "CLASS", "class", 0 },
                { "DRIVER", "driver", 0 },
                { "STATE", "state", 0 },
                { "NODE", "vfio_node", 0 },
                { 0 },
        };
        _cleanup_json_ json_object *groups = NULL, *devices = NULL, *lines = json_new_list();
        _cleanup_json_ json_object *by_number = NULL, *by_address = NULL;
        int r = source_groups(c, &groups);

        if (r != 0 || print_json(c, groups))
                return r;
        r = source_devices(c, NULL, SELECT_ALL, &devices);
        if (r != 0)
                return r;
        /* A group has its number where devices have their address. */
        for (size_t i = 0; i < json_count(groups); i++) {
                json_object *line = json_append(lines, json_new());

                json_add_text(line, "address", json_text(json_at(groups, i), "number"));
                json_add_text(line, "vfio_node", json_text(json_at(groups, i), "vfio_node"));
        }
        by_number = index_lines(lines);
        by_address = index_lines(devices);
        for (size_t i = 0; i < json_count(devices); i++) {
                json_object *d = json_at(devices, i);
                json_object *group = json_object_object_get(by_number, json_word(d, "group"));

                if (!group)
                        continue;
                place_device(d, group, by_address);
                json_append(lines, json_object_get(d));
        }
        return print_table(c, columns, lines, "above");
}

/* One device is an object; several, as a glob or group may name, are a list. */
static bool print_json_objects(const Ctl *c, json_object *list)
{
        return print_json(c, json_count(list) == 1 ? json_at(list, 0) : list);
}

/*
 * The override is not among what the daemon serves: its attribute takes the device's lock, so a
 * read waits for a write that hangs. That may cost this process, but then there is nothing to see.
 */
static void add_override(json_object *device, const Sysroot *root)
{
        const char *state = json_word(device, "state");
        _cleanup_free_ char *override = NULL;
        PciAddress a;

        if (streq(state, "stuck") || streq(state, "working") || streq(state, "absent"))
                return;
        if (pci_address_parse(json_word(device, "address"), &a) >= 0 &&
            inspect_override(root, &a, &override) >= 0)
                json_add_text(device, "driver_override", override);
}

/* Who has the group's node open: seen with the caller's rights, by root for all processes. */
static void add_holders(json_object *device, const Sysroot *root)
{
        const char *node = json_text(device, "vfio_node");
        _cleanup_strv_ char **holders = NULL;

        if (!node || holders_of_node(root, node, &holders) < 0)
                holders = NULL;
        json_add(device, "holders", json_new_strv(holders));
}

int verb_show(Ctl *c, char **args)
{
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;
        _cleanup_json_ json_object *list = NULL;
        int r = source_devices(c, args, SELECT_ALL, &list);

        if (r != 0)
                return r;
        r = sysroot_open(c->root, &root);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_count(list); i++) {
                add_override(json_at(list, i), &root);
                add_holders(json_at(list, i), &root);
                r = source_add_sriov(c, json_at(list, i));
                if (r != 0)
                        return r;
        }
        if (print_json_objects(c, list))
                return 0;
        for (size_t i = 0; i < json_count(list); i++) {
                if (i > 0)
                        putchar('\n');
                print_members(json_at(list, i));
        }
        return 0;
}

static void print_line(const char *title, const char *text)
{
        if (text)
                print_safe(stdout, "  %-8s%s\n", title, text);
}

static void print_explanation(json_object *e)
{
        print_safe(stdout, "%s: %s", json_word(e, "device"), json_word(e, "state"));
        if (json_text(e, "reason"))
                print_safe(stdout, ": %s: %s", json_word(e, "reason"), json_word(e, "sentence"));
        puts(".");
        print_line("Fact:", json_text(e, "fact"));
        print_line("Remedy:", json_text(e, "remedy"));
        print_line("Rule:", json_text(e, "rule") ?: "no file names this device");
}

int verb_explain(Ctl *c, char **args)
{
        _cleanup_json_ json_object *list = NULL, *answers = json_new_list();
        json_object *e;
        int r = source_devices(c, args, SELECT_ALL, &list);

        if (r != 0)
                return r;
        for (size_t i = 0; i < json_count(list); i++) {
                r = source_explain(c, json_word(json_at(list, i), "address"), &e);
                if (r != 0)
                        return r;
                json_append(answers, e);
        }
        if (print_json_objects(c, answers))
                return 0;
        for (size_t i = 0; i < json_count(answers); i++)
                print_explanation(json_at(answers, i));
        return 0;
}

static void add_user(json_object *list, const PciAddress *address, const char *use, const char *by)
{
        json_object *o = json_append(list, json_new());

        json_add_text(o, "address", PCI_ADDRESS_STR(address));
        json_add_text(o, "use", use);
        json_add_text(o, "by", by);
}

/* vfiod itself, also one that is not there any more. */
static void add_worker(json_object *list, const HeldLock *l)
{
        uint64_t sec = (now_usec() - l->since_usec) / USEC_PER_SEC;
        _cleanup_free_ char *by =
                l->since_usec > 0
                        ? format_text("vfiod-worker (%d) is at the step %s, since %" PRIu64 " s",
                                      l->pid, l->step, sec)
                        : format_text("vfiod-worker (%d)", l->pid);

        add_user(list, &l->address, "write", by);
}

/* What keeps a VF from going is no hazard of other devices. */
static const char *name_use(const Use *u)
{
        return u->hazard == REASON_VFS_IN_USE ? "in-use" : reason_to_string(u->hazard);
}

/* Users of the devices that are asked about, in the order of their addresses. */
static int find_users(const Sysroot *root, UseTable *uses, json_object *users)
{
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        _cleanup_free_ HeldLock *locks = NULL;
        size_t n_locks = 0;
        int r = scan_all(root, &inv);

        if (r >= 0)
                r = usage_read(root, inv, uses);
        if (r >= 0)
                r = locks_list(root, &locks, &n_locks);
        if (r < 0 && r != -EACCES)
                return r;
        for (size_t i = 0; i < uses->n_asked; i++) {
                const PciAddress *a = &uses->asked[i];

                for (size_t k = 0; k < n_locks; k++)
                        if (pci_address_equal(&locks[k].address, a))
                                add_worker(users, &locks[k]);
                for (size_t k = 0; k < uses->n_uses; k++)
                        if (pci_address_equal(&uses->uses[k].address, a))
                                add_user(users, a, name_use(&uses->uses[k]), uses->uses[k].by);
        }
        return 0;
}

int verb_who(Ctl *c, char **args)
{
        static const Column columns[] = {
                { "ADDRESS", "address", 0 },
                { "USE", "use", 0 },
                { "BY", "by", 0 },
                { 0 },
        };
        _cleanup_json_ json_object *devices = NULL, *users = json_new_list();
        _cleanup_(use_table_done) UseTable uses = { 0 };
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;
        /* What uses a device uses the bridges above it too, which is not to be told for each. */
        int r = source_devices(c, args, SELECT_ENDPOINTS, &devices);

        if (r != 0)
                return r;
        for (size_t i = 0; i < json_count(devices) && r >= 0; i++) {
                PciAddress a;

                if (pci_address_parse(json_word(json_at(devices, i), "address"), &a) >= 0)
                        r = use_table_ask(&uses, &a);
        }
        if (r >= 0)
                r = sysroot_open(c->root, &root);
        if (r >= 0)
                r = find_users(&root, &uses, users);
        if (r < 0)
                return r;
        if (geteuid() != 0)
                fail(0, "only root sees all users: programs of others are not seen");
        return print_json(c, users) ? 0 : print_table(c, columns, users, NULL);
}
