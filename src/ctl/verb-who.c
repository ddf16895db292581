/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who uses a device: looked for in this process, with the rights of whoever asks. */

#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "sys/locks.h"
#include "sys/scan.h"
#include "sys/usage.h"

#include <inttypes.h>

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
        int r = source_devices(c, args, SELECT_ALL, &devices);

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
        return print_json(c, users) ? 0 : print_table(c, columns, users);
}
