/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/reader.h"
#include "basic/io.h"
#include "basic/parse.h"
#include "model/desired.h"
#include "sys/sysfs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { NODE_MODE_MASK = 0777 };

static int read_slots(Reader *reader)
{
        _cleanup_strv_ char **names = NULL;
        int r = list_dir_at(reader->root->sys, SYSFS_PCI_SLOTS, &names);

        STRV_FOREACH(name, names) {
                _cleanup_free_ char *address = NULL;

                r = read_line_at(reader->root->sys, SYSFS_PATH(SYSFS_PCI_SLOTS, *name, "address"),
                                 &address);
                if (r < 0 || *text_end(*name))
                        continue;
                r = strv_extend(&reader->slots, *name);
                if (r >= 0)
                        r = strv_extend(&reader->slot_addresses, address);
                if (r < 0)
                        return r;
        }
        return ok_without(r);
}

int reader_open(const Sysroot *root, Reader *ret)
{
        _cleanup_(reader_done) Reader reader = READER_NULL;
        int r;

        reader.root = root;
        reader.devices = open_dir_at(root->sys, SYSFS_PCI_DEVICES);
        if (reader.devices < 0)
                return reader.devices;
        r = read_slots(&reader);
        if (r < 0)
                return r;
        *ret = reader;
        reader = READER_NULL;
        return 0;
}

void reader_done(Reader *reader)
{
        closep(&reader->devices);
        strv_free(reader->slots);
        strv_free(reader->slot_addresses);
        *reader = READER_NULL;
}

static bool read_address_link(int dirfd, const char *name, PciAddress *ret)
{
        _cleanup_free_ char *target = NULL;

        return readlink_name_at(dirfd, name, &target) >= 0 && pci_address_parse(target, ret) >= 0;
}

bool reader_find_vf(const Reader *reader, const PciAddress *pf, unsigned n, PciAddress *ret)
{
        char path[64];

        snprintf(path, sizeof(path), "%s/virtfn%u", PCI_ADDRESS_STR(pf), n);
        return read_address_link(reader->devices, path, ret);
}

/*
 * modalias carries six of the attributes in one read (kernel: drivers/pci/pci-sysfs.c,
 * modalias_show()). It is the first thing read: when it is gone, so is the device.
 */
static int read_ids(int fd, Device *d)
{
        unsigned vendor, device, subvendor, subdevice, base, sub, interface;
        int r = read_line_at(fd, "modalias", &d->modalias);

        if (r < 0)
                return r;
        /* sscanf() would take a sign. */
        if (strpbrk(d->modalias, "+-") ||
            sscanf(d->modalias, "pci:v%8Xd%8Xsv%8Xsd%8Xbc%2Xsc%2Xi%2X", &vendor, &device,
                   &subvendor, &subdevice, &base, &sub, &interface) != 7)
                return -EBADMSG;
        d->vendor = (uint16_t)vendor;
        d->device = (uint16_t)device;
        d->subvendor = (uint16_t)subvendor;
        d->subdevice = (uint16_t)subdevice;
        d->class = base << 16 | sub << 8 | interface;
        return 0;
}

static int read_facts(int fd, Device *d)
{
        d->revision = (uint8_t)sysfs_read_number(fd, "revision", UINT8_MAX, 0);
        d->numa_node = (int)sysfs_read_number(fd, "numa_node", INT_MAX, (uint64_t)-1);
        d->boot_vga = sysfs_read_number(fd, "boot_vga", 1, 0) == 1;
        d->total_vfs = (unsigned)sysfs_read_number(fd, "sriov_totalvfs", UINT16_MAX, 0);
        if (d->total_vfs > 0)
                d->autoprobe =
                        (int)sysfs_read_number(fd, "sriov_drivers_autoprobe", 1, (uint64_t)-1);
        d->is_vf = read_address_link(fd, "physfn", &d->pf);
        return ok_without(read_line_at(fd, "reset_method", &d->reset_methods));
}

static int read_driver(const Reader *reader, int fd, Device *d)
{
        _cleanup_free_ char *module = NULL;
        int r = readlink_name_at(fd, "driver", &d->driver);

        if (r < 0)
                return ok_without(r);
        d->driver_is_vfio = driver_name_is_vfio(d->driver) || exists_at(fd, "vfio-dev");
        if (d->driver_is_vfio)
                return 0;
        r = readlink_name_at(reader->root->sys, SYSFS_PATH(SYSFS_PCI_DRIVERS, d->driver, "module"),
                             &module);
        d->driver_is_vfio = r >= 0 && driver_name_is_vfio(module);
        return ok_without(r);
}

/* The group, and the owner and mode of its node where a VFIO driver has made one (/dev/vfio/N). */
static void read_group(const Reader *reader, int fd, Device *d)
{
        _cleanup_free_ char *number = NULL, *name = NULL;
        unsigned value;
        struct stat st;
        const char *node;

        if (readlink_name_at(fd, "iommu_group", &number) < 0 ||
            parse_unsigned(number, 10, INT_MAX, &value) < 0)
                return;
        d->group = (int)value;
        /* Only groups that were given a name have the attribute. */
        d->group_is_noiommu =
                read_line_at(fd, "iommu_group/name", &name) >= 0 && streq(name, "vfio-noiommu");
        node = DEVICE_NODE(d) + 1;
        if (!d->driver_is_vfio || fstatat(reader->root->root, node, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return;
        d->has_node = true;
        d->node_uid = st.st_uid;
        d->node_gid = st.st_gid;
        d->node_mode = st.st_mode & NODE_MODE_MASK;
}

/*
 * The permanent address of the first port: only addr_assign_type 0 (NET_ADDR_PERM) says that
 * what `address` shows came from the card.
 */
static void read_mac(int net, Device *d)
{
        uint64_t lowest = UINT64_MAX;

        STRV_FOREACH(name, d->netdevs) {
                _cleanup_close_ int fd = open_dir_at(net, *name);
                _cleanup_free_ char *mac = NULL;
                uint64_t port;

                if (fd < 0 || sysfs_read_number(fd, "addr_assign_type", UINT8_MAX, UINT8_MAX) != 0)
                        continue;
                port = sysfs_read_number(fd, "dev_port", UINT32_MAX, UINT32_MAX);
                if (port >= lowest || read_line_at(fd, "address", &mac) < 0 ||
                    parse_mac(mac, d->mac) < 0)
                        continue;
                d->has_mac = true;
                lowest = port;
        }
}

/* Whoever has an interface in a namespace of his own may give it a name that is no text. */
static void keep_texts(char **names)
{
        char **kept = names;

        STRV_FOREACH(name, names) {
                if (*text_end(*name))
                        free(*name);
                else
                        *kept++ = *name;
        }
        if (names)
                *kept = NULL;
}

static int read_net(int fd, Device *d)
{
        _cleanup_close_ int net = sysfs_open_net(fd, d->driver);

        if (net < 0)
                return 0;
        if (list_dir_at(net, ".", &d->netdevs) == -ENOMEM)
                return -ENOMEM;
        read_mac(net, d);
        keep_texts(d->netdevs);
        return 0;
}

/*
 * "../../../devices/pci0000:00/0000:00:1c.4/0000:41:00.0" becomes "pci0000:00/1c.4/00.0": bus
 * numbers move when a card is added, places in the tree of ports do not.
 */
static int read_topology(const Reader *reader, Device *d)
{
        _cleanup_strv_ char **hops = NULL, **parts = NULL;
        _cleanup_free_ char *link = NULL;
        const PciAddress *a = &d->address;
        const char *start = NULL;
        PciAddress hop;
        int r = readlink_at(reader->devices, PCI_ADDRESS_STR(a), &link);

        if (r >= 0)
                start = strstr(link, "/pci");
        if (start)
                r = strv_split(start, "/", &parts);
        else /* no link, which only a copied tree can have */
                r = strv_extendf(&parts, "pci%04x:%02x/%02x.%x", a->domain, a->bus, a->device,
                                 a->function);
        STRV_FOREACH(part, parts) {
                if (pci_address_parse(*part, &hop) >= 0)
                        r = strv_extendf(&hops, "%02x.%x", hop.device, hop.function);
                else
                        r = strv_extend(&hops, *part);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        d->topology = strv_join(hops, "/");
        return d->topology ? 0 : -ENOMEM;
}

/* A slot of one device tells more than one of its whole bus. */
static int find_slot(const Reader *reader, Device *d)
{
        const char *address = PCI_ADDRESS_STR(&d->address), *found = NULL;
        size_t longest = 0;

        for (size_t i = 0; reader->slots && reader->slots[i]; i++) {
                const char *place = reader->slot_addresses[i];
                const char *rest = startswith(address, place);

                if (!rest || (*rest != '.' && *rest != ':') || strlen(place) <= longest)
                        continue;
                found = reader->slots[i];
                longest = strlen(place);
        }
        if (found)
                d->slot = strdup(found);
        return found && !d->slot ? -ENOMEM : 0;
}

int reader_read(const Reader *reader, const PciAddress *address, Device **ret)
{
        _cleanup_(device_unrefp) Device *d = device_new(address);
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!d)
                return -ENOMEM;
        fd = open_dir_at(reader->devices, PCI_ADDRESS_STR(address));
        if (fd < 0)
                return fd;
        r = read_ids(fd, d);
        if (r >= 0)
                r = read_facts(fd, d);
        if (r >= 0)
                r = read_driver(reader, fd, d);
        if (r >= 0)
                r = read_net(fd, d);
        if (r >= 0)
                r = read_topology(reader, d);
        if (r >= 0)
                r = find_slot(reader, d);
        if (r < 0)
                return r;
        read_group(reader, fd, d);
        *ret = TAKE_PTR(d);
        return 0;
}
