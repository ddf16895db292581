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

/* What the file is to say. `known`: what it says now, or NULL. */
static Operation file_content(const Rule *known, const Operation *op, int *ret_num_vfs)
{
        Operation content = *op;

        *ret_num_vfs = known && known->has_sriov ? (int)known->num_vfs : -1;
        if (op->kind == OPERATION_BIND)
                return content;
        *ret_num_vfs = (int)op->num_vfs;
        content.target = known ? known->target : TARGET_UNMANAGED;
        content.driver = known ? known->driver : NULL;
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
static int check_earlier_rule(const Manager *m, const Device *d, const char *name,
                              sd_bus_error *error)
{
        const Target *t = &m->desired->targets[inventory_index(m->inventory, &d->address)];

        if (t->rule && t->matched && !t->requested && strcmp(t->rule->name, name) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED,
                                         "%s: the file '%s' decides for it: change that file",
                                         PCI_ADDRESS_STR(&d->address), t->rule->path);
        return 0;
}

static int check_write(const Manager *m, const PciAddress *a, sd_bus_error *error)
{
        const Device *d = inventory_find(m->inventory, a);
        _cleanup_free_ char *name = NULL;
        int r;

        if (!d)
                return -ENODEV;
        r = file_name(a, &name);
        return r < 0 ? r : check_earlier_rule(m, d, name, error);
}

static int write_one(Manager *m, const Operation *op, const PciAddress *a, sd_bus_error *error)
{
        _cleanup_free_ char *path = NULL, *name = NULL, *text = NULL;
        const Device *d = inventory_find(m->inventory, a);
        int r;

        r = file_name(a, &name);
        if (r >= 0 && asprintf(&path, DEVICES_DIRECTORY "/%s", name) < 0)
                r = -ENOMEM;
        if (r >= 0)
                r = file_text(d, config_find_rule(m->config, name), op, &text);
        if (r >= 0)
                r = sysroot_make_folder(&m->root, DEVICES_DIRECTORY);
        if (r >= 0)
                r = replace_file_at(m->root.root, path, text, strlen(text), 0644);
        if (r < 0)
                return sd_bus_error_set_errnof(error, -r, "Failed to write '/%s': %s", path,
                                               strerrordesc_np(-r));
        return 0;
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

int persist_write(Manager *m, const Operation *op, sd_bus_error *error)
{
        int r = 0;

        for (size_t i = 0; i < op->n_addresses && r >= 0; i++)
                r = check_write(m, &op->addresses[i], error);
        for (size_t i = 0; i < op->n_addresses && r >= 0; i++)
                r = write_one(m, op, &op->addresses[i], error);
        for (size_t i = 0; i < op->n_addresses && r >= 0; i++)
                r = forget_request(m, op, &op->addresses[i]);
        return r < 0 ? r : manager_reload(m, false);
}

/* Its target if a file decides for the device, or NULL. */
static const Target *find_decided(const Manager *m, const PciAddress *a)
{
        ssize_t i = inventory_index(m->inventory, a);

        return i >= 0 && m->desired->targets[i].rule ? &m->desired->targets[i] : NULL;
}

/* Another's file is its owner's to change. */
static int check_removal(const Manager *m, const PciAddress *a, sd_bus_error *error)
{
        const Target *t = find_decided(m, a);

        if (!t || (startswith(t->rule->name, FILE_PREFIX) && t->pf_rule != t->rule))
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED,
                                 "%s: the file '%s' decides for it: change or remove it",
                                 PCI_ADDRESS_STR(a), t->rule->path);
}

static int remove_one(Manager *m, const PciAddress *a, sd_bus_error *error)
{
        const Target *t = find_decided(m, a);
        _cleanup_free_ char *path = NULL;

        if (!t)
                return 0;
        if (asprintf(&path, DEVICES_DIRECTORY "/%s", t->rule->name) < 0)
                return -ENOMEM;
        if (unlinkat(m->root.root, path, 0) < 0 && errno != ENOENT)
                return sd_bus_error_set_errnof(error, errno, "Failed to remove '/%s': %m", path);
        return 0;
}

int persist_release(Manager *m, const Operation *op, sd_bus_error *error)
{
        int r = 0;

        for (size_t i = 0; i < op->n_addresses && r >= 0; i++)
                r = check_removal(m, &op->addresses[i], error);
        for (size_t i = 0; i < op->n_addresses && r >= 0; i++)
                r = remove_one(m, &op->addresses[i], error);
        return r < 0 ? r : manager_reload(m, false);
}
