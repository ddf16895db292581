/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* `bind --persist` and `sriov --persist` write a device file that an operator could have written,
 * `release` takes it away. */

#include "basic/io.h"
#include "basic/names.h"
#include "daemon/manager-internal.h"

#include <stdio.h>

#define DEVICES_DIRECTORY "etc/vfiod/devices.d"
#define FILE_PREFIX "50-vfioctl-"

static int file_name(const PciAddress *a, char **ret)
{
        return asprintf(ret, FILE_PREFIX "%s.conf", PCI_ADDRESS_STR(a)) < 0 ? -ENOMEM : 0;
}

/* What the file is to say: what is asked for now goes before `known`, what it says, or NULL. */
static Operation file_content(const Rule *known, const Operation *op, int *ret_num_vfs)
{
        Operation content = *op;

        *ret_num_vfs = known && known->has_sriov ? (int)known->num_vfs : -1;
        if (op->kind == OPERATION_BIND) {
                if (!target_keeps_vfs(op->target, op->driver))
                        *ret_num_vfs = -1;
                return content;
        }
        *ret_num_vfs = (int)op->num_vfs;
        content.target = known ? known->target : TARGET_UNMANAGED;
        content.driver = known ? known->driver : NULL;
        if (!target_keeps_vfs(content.target, content.driver))
                content.target = TARGET_HOST;
        /* Hazards are accepted beside a driver, and a PF with VFs is on the host's. */
        if (op->accept != 0 && content.target == TARGET_UNMANAGED)
                content.target = TARGET_HOST;
        return content;
}

static int file_text(const Device *d, const Rule *known, const Operation *op, char **ret)
{
        _cleanup_free_ char *text = NULL;
        int num_vfs;
        const Operation content = file_content(known, op, &num_vfs);
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        fprintf(f,
                "# Written by 'vfioctl %s --persist'; 'vfioctl release --persist' removes it.\n"
                "[Match]\nAddress=%s\nId=%04x:%04x\n",
                operation_kind_to_string(op->kind), PCI_ADDRESS_STR(&d->address), d->vendor,
                d->device);
        if (content.target != TARGET_UNMANAGED)
                fprintf(f, "\n[Device]\nDriver=%s\n",
                        target_kind_word(content.target, content.driver));
        for (Reason h = REASON_NONE + 1; reason_is_acceptable(h); h++)
                if (op->accept & hazard_bit(h))
                        fprintf(f, "Accept=%s\n", reason_to_string(h));
        if (num_vfs == VF_COUNT_MAX)
                fputs("\n[SR-IOV]\nVirtualFunctions=max\n", f);
        else if (num_vfs >= 0)
                fprintf(f, "\n[SR-IOV]\nVirtualFunctions=%d\n", num_vfs);
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

/* A file that decides before ours would make ours a lie. */
static int check_earlier_rule(const Manager *m, const PciAddress *a, sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL;
        ssize_t i = inventory_index(m->inventory, a);
        const Target *t = i < 0 ? NULL : &m->desired->targets[i];
        int r = t ? file_name(a, &name) : -ENODEV;

        if (r >= 0 && t->rule && t->matched && !t->requested && strcmp(t->rule->name, name) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED,
                                         "%s: the file '%s' decides for it: change that file",
                                         PCI_ADDRESS_STR(a), t->rule->path);
        return r;
}

static int write_one(Manager *m, const Operation *op, const PciAddress *a, sd_bus_error *error)
{
        _cleanup_free_ char *path = NULL, *name = NULL, *text = NULL;
        const Device *d = inventory_find(m->inventory, a);
        int r;

        if (!d)
                return -ENODEV;
        r = file_name(a, &name);
        if (r >= 0 && asprintf(&path, DEVICES_DIRECTORY "/%s", name) < 0)
                r = -ENOMEM;
        if (r >= 0)
                r = file_text(d, config_find_rule(m->config, name), op, &text);
        if (r >= 0)
                r = sysroot_make_folder(&m->root, DEVICES_DIRECTORY);
        if (r >= 0)
                r = replace_file_at(m->root.root, path, text, strlen(text), 0644);
        if (r < 0 && !sd_bus_error_is_set(error))
                return sd_bus_error_set_errnof(error, -r, "Failed to write '/%s': %s", path,
                                               strerrordesc_np(-r));
        return r;
}

/* The file says it now; what else was asked for of the device stays. */
static int forget_request(Manager *m, const Operation *op, const PciAddress *a)
{
        const Request *known = request_table_find(&m->requests, a);
        Request rest;

        if (!known)
                return 0;
        m->requests_dirty = true;
        rest = *known;
        if (op->kind == OPERATION_SRIOV)
                rest.counts = false;
        else
                rest.target = TARGET_UNMANAGED;
        rest.release = false;
        return request_table_put(&m->requests, &rest);
}

/* Nothing is written before all of it can be. */
int persist_write(Manager *m, const Operation *op, sd_bus_error *error)
{
        int r = 0;

        for (size_t i = 0; i < op->n_addresses && r >= 0; i++)
                r = check_earlier_rule(m, &op->addresses[i], error);
        for (size_t i = 0; i < op->n_addresses && r >= 0; i++)
                r = write_one(m, op, &op->addresses[i], error);
        for (size_t i = 0; i < op->n_addresses && r >= 0; i++)
                r = forget_request(m, op, &op->addresses[i]);
        return r < 0 ? r : manager_reload(m, false);
}

static const Rule *find_rule(const Manager *m, const PciAddress *a)
{
        ssize_t i = inventory_index(m->inventory, a);

        return i < 0 ? NULL : m->desired->targets[i].rule;
}

/* Another's file is its owner's to change, and that of a PF is not its VF's. */
static int check_own_rule(const Manager *m, const PciAddress *a, sd_bus_error *error)
{
        const Rule *rule = find_rule(m, a);

        if (!rule || (startswith(rule->name, FILE_PREFIX) &&
                      m->desired->targets[inventory_index(m->inventory, a)].pf_rule != rule))
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED,
                                 "%s: the file '%s' decides for it: change or remove it",
                                 PCI_ADDRESS_STR(a), rule->path);
}

/* Takes away the file that decides for the device. */
static int remove_one(const Manager *m, const PciAddress *a, sd_bus_error *error)
{
        _cleanup_free_ char *path = NULL;
        const Rule *rule = find_rule(m, a);

        if (!rule)
                return 0;
        if (asprintf(&path, DEVICES_DIRECTORY "/%s", rule->name) < 0)
                return -ENOMEM;
        if (unlinkat(m->root.root, path, 0) < 0 && errno != ENOENT)
                return sd_bus_error_set_errnof(error, errno, "Failed to remove '/%s': %m", path);
        return 0;
}

/* As with writing, all or nothing. */
int persist_release(Manager *m, const Operation *op, sd_bus_error *error)
{
        int r = 0;

        for (size_t i = 0; i < op->n_addresses && r >= 0; i++)
                r = check_own_rule(m, &op->addresses[i], error);
        for (size_t i = 0; i < op->n_addresses && r >= 0; i++)
                r = remove_one(m, &op->addresses[i], error);
        return r < 0 ? r : manager_reload(m, false);
}
