/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The attributes of functions, drivers and the bus. */

#include "sim.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OVERRIDE_MAX = 4094, DSN_CAPABILITY = 0x0003, EXTENDED = 0x100 };

#define SHOW(name_) \
        static ssize_t show_##name_(void *object, char *buffer, size_t size, off_t offset)
#define STORE(name_) static int store_##name_(void *object, const char *data, size_t length)
#define NUMBER(name_, format_, value_)                               \
        SHOW(name_)                                                  \
        {                                                            \
                const Device *d = object;                            \
                                                                     \
                return snprintf(buffer, size, format_ "\n", value_); \
        }

NUMBER(vendor, "0x%04x", d->vendor)
NUMBER(device, "0x%04x", d->device)
NUMBER(subvendor, "0x%04x", d->subvendor)
NUMBER(subdevice, "0x%04x", d->subdevice)
NUMBER(class, "0x%06x", d->class)
NUMBER(revision, "0x%02x", d->revision)
NUMBER(numa, "%d", d->numa)
NUMBER(boot_vga, "%d", d->boot_vga)
NUMBER(reset, "%s", d->reset)
NUMBER(total, "%u", sriov_total(d))
NUMBER(offset, "%u", d->offset)
NUMBER(stride, "%u", d->stride)
NUMBER(vf_device, "%x", d->vf_device)
NUMBER(autoprobe, "%d", d->autoprobe)

SHOW(modalias)
{
        const Device *d = object;

        return snprintf(buffer, size, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n", d->vendor,
                        d->device, d->subvendor, d->subdevice, d->class >> 16 & 0xff,
                        d->class >> 8 & 0xff, d->class & 0xff);
}

/* Kernels before 6.12.91 take the device's lock for override and uevent; see kernel.md 1.1. */
static Device *enter(void *object, bool locked)
{
        pthread_mutex_lock(&sim.lock);
        if (locked)
                (void)device_lock(object);
        return object;
}

static void leave(Device *d, bool locked)
{
        if (locked)
                device_unlock(d);
        pthread_mutex_unlock(&sim.lock);
}

SHOW(override)
{
        bool locks = sim.kernel < KERNEL_6_12;
        Device *d = enter(object, locks);
        ssize_t n = snprintf(buffer, size, "%s\n", d->override ? d->override : "(null)");

        leave(d, locks);
        return n;
}

/* Cut at the first newline; nothing before it clears. */
STORE(override)
{
        bool locks = sim.kernel < KERNEL_6_12;
        char *text = strndup(data, strcspn(data, "\n"));
        Device *d;

        if (length > OVERRIDE_MAX) {
                free(text);
                return -EINVAL;
        }
        d = enter(object, locks);
        free(d->override);
        d->override = text && text[0] ? text : NULL;
        if (!d->override)
                free(text);
        leave(d, locks);
        return 0;
}

SHOW(uevent)
{
        bool locks = sim.kernel < KERNEL_6_12;
        Device *d = enter(object, locks);
        char driver[NAME_SIZE + 16] = "", modalias[96];
        ssize_t n;

        show_modalias(d, modalias, sizeof(modalias), 0);
        if (d->driver)
                snprintf(driver, sizeof(driver), "DRIVER=%s\n", d->driver->name);
        n = snprintf(buffer, size,
                     "%sPCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n"
                     "PCI_SLOT_NAME=%s\nMODALIAS=%s",
                     driver, d->class, d->vendor, d->device, d->subvendor, d->subdevice, d->name,
                     modalias);
        leave(d, locks);
        return n;
}

STORE(uevent)
{
        static const char *const actions[] = { "add",    "remove",  "change", "move",
                                               "online", "offline", "bind",   "unbind" };
        size_t n = strcspn(data, " \n");

        for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
                if (strlen(actions[i]) == n && strncmp(actions[i], data, n) == 0) {
                        event_device(object, actions[i]);
                        return 0;
                }
        return -EINVAL;
}

SHOW(numvfs)
{
        Device *d = enter(object, true);
        ssize_t n = snprintf(buffer, size, "%u\n", d->num_vfs);

        leave(d, true);
        return n;
}

STORE(numvfs)
{
        int r;

        pthread_mutex_lock(&sim.lock);
        r = sriov_store(object, data);
        pthread_mutex_unlock(&sim.lock);
        return r;
}

/* kstrtobool() */
static int parse_bool(const char *text, bool *ret)
{
        switch (text[0]) {
        case 'y':
        case 'Y':
        case 't':
        case 'T':
        case '1':
                *ret = true;
                return 0;
        case 'n':
        case 'N':
        case 'f':
        case 'F':
        case '0':
                *ret = false;
                return 0;
        case 'o':
        case 'O':
                if (text[1] != 'n' && text[1] != 'N' && text[1] != 'f' && text[1] != 'F')
                        return -EINVAL;
                *ret = text[1] == 'n' || text[1] == 'N';
                return 0;
        default:
                return -EINVAL;
        }
}

STORE(autoprobe)
{
        Device *d = object;

        return parse_bool(data, &d->autoprobe);
}

SHOW(power)
{
        return snprintf(buffer, size, "auto\n");
}

/* Takes the device's lock (drivers/base/power/sysfs.c, control_store()). */
STORE(power)
{
        leave(enter(object, true), true);
        return strncmp(data, "on", 2) == 0 || strncmp(data, "auto", 4) == 0 ? 0 : -EINVAL;
}

STORE(remove)
{
        int r;

        if (data[0] != '1')
                return 0;
        pthread_mutex_lock(&sim.lock);
        rescan_lock();
        r = device_remove(object, false);
        rescan_unlock();
        pthread_mutex_unlock(&sim.lock);
        return r;
}

static void put_dword(uint8_t *config, unsigned at, uint32_t value)
{
        value = htole32(value);
        memcpy(config + at, &value, sizeof(value));
}

/* Asked for without a buffer it returns the size. */
SHOW(config)
{
        const Device *d = object;
        uint8_t c[4096] = { 0 };

        if (!buffer)
                return d->config_size;
        put_dword(c, 0, d->device << 16 | d->vendor);
        put_dword(c, 8, d->class << 8 | d->revision);
        c[0x0e] = (uint8_t)((d->secondary >= 0 ? 1 : 0) | (d->multifunction ? 0x80 : 0));
        put_dword(c, 0x2c, d->subdevice << 16 | d->subvendor);
        if (d->serial) {
                put_dword(c, EXTENDED, 0x14000000u | 1 << 16 | 0x0001);
                put_dword(c, 0x140, 1 << 16 | DSN_CAPABILITY);
                put_dword(c, 0x144, (uint32_t)d->serial);
                put_dword(c, 0x148, (uint32_t)(d->serial >> 32));
        }
        if (offset >= d->config_size)
                return 0;
        if (size > d->config_size - (size_t)offset)
                size = d->config_size - (size_t)offset;
        memcpy(buffer, c + offset, size);
        return (ssize_t)size;
}

SHOW(resource)
{
        size_t n = 0;

        for (int i = 0; i < 13; i++)
                n += (size_t)snprintf(buffer + n, size - n,
                                      "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
        return (ssize_t)n;
}

static bool has_vga(void *d)
{
        return ((Device *)d)->boot_vga >= 0;
}
static bool has_reset(void *d)
{
        return ((Device *)d)->reset[0] && sim.kernel > KERNEL_5_10;
}
static bool has_vfs(void *d)
{
        return ((Device *)d)->total_vfs > 0;
}
static bool is_no_vf(void *d)
{
        return !((Device *)d)->pf;
}

static const Attr device_attrs[] = {
        { "vendor", 0444, show_vendor, NULL, false, NULL, false },
        { "device", 0444, show_device, NULL, false, NULL, false },
        { "subsystem_vendor", 0444, show_subvendor, NULL, false, NULL, false },
        { "subsystem_device", 0444, show_subdevice, NULL, false, NULL, false },
        { "class", 0444, show_class, NULL, false, NULL, false },
        { "revision", 0444, show_revision, NULL, false, NULL, false },
        { "modalias", 0444, show_modalias, NULL, false, NULL, true },
        { "resource", 0444, show_resource, NULL, false, NULL, false },
        { "numa_node", 0644, show_numa, NULL, false, NULL, false },
        { "boot_vga", 0444, show_boot_vga, NULL, false, has_vga, false },
        { "reset_method", 0644, show_reset, NULL, false, has_reset, false },
        { "config", 0644, show_config, NULL, true, NULL, false },
        { "driver_override", 0644, show_override, store_override, false, NULL, false },
        { "uevent", 0644, show_uevent, store_uevent, false, NULL, false },
        { "sriov_totalvfs", 0444, show_total, NULL, false, has_vfs, true },
        { "sriov_numvfs", 0644, show_numvfs, store_numvfs, false, has_vfs, false },
        { "sriov_offset", 0444, show_offset, NULL, false, has_vfs, false },
        { "sriov_stride", 0444, show_stride, NULL, false, has_vfs, false },
        { "sriov_vf_device", 0444, show_vf_device, NULL, false, has_vfs, false },
        { "sriov_drivers_autoprobe", 0644, show_autoprobe, store_autoprobe, false, has_vfs, false },
        { "remove", 0220, NULL, store_remove, false, is_no_vf, false },
};

static const Attr power_attr = { "control", 0644, show_power, store_power, false, NULL, false };

void device_add_attributes(Device *d)
{
        for (size_t i = 0; i < sizeof(device_attrs) / sizeof(device_attrs[0]); i++)
                if (!device_attrs[i].has || device_attrs[i].has(d))
                        node_attr(d->node, &device_attrs[i], d);
        node_attr(node_dir(d->node, "power", d), &power_attr, d);
}

#define DRIVER_STORE(name_, function_)           \
        STORE(name_)                             \
        {                                        \
                int r;                           \
                                                 \
                pthread_mutex_lock(&sim.lock);   \
                r = function_(object, data);     \
                pthread_mutex_unlock(&sim.lock); \
                return r;                        \
        }

DRIVER_STORE(bind, driver_bind)
DRIVER_STORE(unbind, driver_unbind)
DRIVER_STORE(new_id, driver_new_id)
DRIVER_STORE(remove_id, driver_remove_id)

void driver_add_attributes(Driver *drv)
{
        static const Attr attrs[] = {
                { "bind", 0200, NULL, store_bind, false, NULL, false },
                { "unbind", 0200, NULL, store_unbind, false, NULL, false },
                { "new_id", 0200, NULL, store_new_id, false, NULL, false },
                { "remove_id", 0200, NULL, store_remove_id, false, NULL, false },
        };

        for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
                node_attr(drv->node, &attrs[i], drv);
}

STORE(probe)
{
        int r;

        pthread_mutex_lock(&sim.lock);
        r = bus_probe(data);
        pthread_mutex_unlock(&sim.lock);
        return r;
}

STORE(rescan)
{
        pthread_mutex_lock(&sim.lock);
        if (data[0] == '1')
                bus_rescan();
        pthread_mutex_unlock(&sim.lock);
        return 0;
}

SHOW(one)
{
        return snprintf(buffer, size, "1\n");
}

void bus_add_attributes(Node *bus)
{
        static const Attr attrs[] = {
                { "drivers_probe", 0200, NULL, store_probe, false, NULL, false },
                { "rescan", 0200, NULL, store_rescan, false, NULL, false },
                { "drivers_autoprobe", 0444, show_one, NULL, false, NULL, false },
        };

        for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
                node_attr(bus, &attrs[i], NULL);
}

/* Of a group, and with no object the container. An open counts; see fuse.c. */
const Attr vfio_node = { "vfio", 0666, NULL, NULL, false, NULL, false };
