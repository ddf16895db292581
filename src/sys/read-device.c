/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/io.h"
#include "basic/parse.h"
#include "model/desired.h"
#include "sys/reader.h"
#include "sys/sysfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
        ATTRIBUTE_SIZE = 256, /* of the attributes read here; the longest is modalias */
        NODE_MODE_MASK = 0777,
};

/* What a device's directory has. One listing is cheaper than trying each name. */
typedef enum Entry {
        ENTRY_DRIVER,
        ENTRY_GROUP,
        ENTRY_NUMA_NODE,
        ENTRY_BOOT_VGA,
        ENTRY_RESET_METHOD,
        ENTRY_TOTAL_VFS,
        ENTRY_PHYSFN,
        ENTRY_VFIO_DEV,
        ENTRY_NET,
        _ENTRY_MAX,
} Entry;

static const char *const entry_names[_ENTRY_MAX] = {
        [ENTRY_DRIVER] = "driver",
        [ENTRY_GROUP] = "iommu_group",
        [ENTRY_NUMA_NODE] = "numa_node",
        [ENTRY_BOOT_VGA] = "boot_vga",
        [ENTRY_RESET_METHOD] = "reset_method",
        [ENTRY_TOTAL_VFS] = "sriov_totalvfs",
        [ENTRY_PHYSFN] = "physfn",
        [ENTRY_VFIO_DEV] = "vfio-dev",
        [ENTRY_NET] = "net",
};

typedef struct Look {
        Reader *reader;
        DIR *dir;
        int fd; /* of dir */
        bool has[_ENTRY_MAX];
        int virtio; /* number of the virtio device below, -1: none */
        Device *device;
} Look;

static void look_done(Look *l)
{
        if (l->dir)
                closedir(l->dir);
        device_unref(l->device);
}

/* A whole attribute without its newline. Sysfs gives it in one read(). */
static int read_attribute(int dirfd, const char *name, char buffer[static ATTRIBUTE_SIZE])
{
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;

        fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        n = read(fd, buffer, ATTRIBUTE_SIZE - 1);
        if (n < 0)
                return -errno;
        buffer[n] = 0;
        buffer[strcspn(buffer, "\n")] = 0;
        return 0;
}

/* "0x8086", "7", or fallback where the attribute is absent or says something else. */
static uint64_t read_number(int dirfd, const char *name, uint64_t max, uint64_t fallback)
{
        char buffer[ATTRIBUTE_SIZE];
        const char *hex;
        uint64_t value;

        if (read_attribute(dirfd, name, buffer) < 0)
                return fallback;
        hex = startswith(buffer, "0x");
        return parse_uint(hex ? hex : buffer, hex ? 16 : 10, max, &value) < 0 ? fallback : value;
}

/* The last component of a link, in `buffer`. NULL: there is no link. */
static const char *link_name(int dirfd, const char *name, char buffer[static PATH_MAX])
{
        const char *slash;
        ssize_t n;

        n = readlinkat(dirfd, name, buffer, PATH_MAX - 1);
        if (n <= 0)
                return NULL;
        buffer[n] = 0;
        slash = strrchr(buffer, '/');
        return slash ? slash + 1 : buffer;
}

/*
 * modalias carries six of the attributes in one read (kernel: drivers/pci/pci-sysfs.c,
 * modalias_show()). It is the first thing read: when it is gone, so is the device.
 */
static int read_ids(Look *l)
{
        unsigned vendor, device, subvendor, subdevice, base, sub, interface;
        char alias[ATTRIBUTE_SIZE];
        Device *d = l->device;
        int r;

        r = read_attribute(l->fd, "modalias", alias);
        if (r < 0)
                return r;
        if (sscanf(alias, "pci:v%8Xd%8Xsv%8Xsd%8Xbc%2Xsc%2Xi%2X", &vendor, &device, &subvendor,
                   &subdevice, &base, &sub, &interface) != 7)
                return -EBADMSG;
        d->modalias = strdup(alias);
        if (!d->modalias)
                return -ENOMEM;
        d->vendor = (uint16_t)vendor;
        d->device = (uint16_t)device;
        d->subvendor = (uint16_t)subvendor;
        d->subdevice = (uint16_t)subdevice;
        d->class = base << 16 | sub << 8 | interface;
        d->revision = (uint8_t)read_number(l->fd, "revision", UINT8_MAX, 0);
        return 0;
}

static int add_vf_link(Look *l, const char *name, const char *digits)
{
        Reader *reader = l->reader;
        char buffer[PATH_MAX];
        const char *target;
        uint64_t index;
        PciAddress vf;

        if (parse_uint(digits, 10, INT_MAX, &index) < 0)
                return 0;
        l->device->num_vfs++;
        target = link_name(l->fd, name, buffer);
        if (!target || pci_address_parse(target, &vf) < 0)
                return 0;
        if (reader->n_links == reader->n_links_allocated) {
                size_t want = MAX(reader->n_links_allocated * 2, (size_t)64);
                VfLink *grown = reallocarray(reader->links, want, sizeof(VfLink));

                if (!grown)
                        return -ENOMEM;
                reader->links = grown;
                reader->n_links_allocated = want;
        }
        reader->links[reader->n_links++] = (VfLink){ vf, l->device->address, (int)index };
        return 0;
}

static int note_entry(Look *l, const char *name)
{
        const char *rest;
        uint64_t number;

        rest = startswith(name, "virtfn");
        if (rest)
                return add_vf_link(l, name, rest);
        rest = startswith(name, "virtio");
        if (rest && parse_uint(rest, 10, INT_MAX, &number) >= 0)
                l->virtio = (int)number;
        for (Entry e = 0; e < _ENTRY_MAX; e++)
                if (streq(name, entry_names[e])) {
                        l->has[e] = true;
                        break;
                }
        return 0;
}

static int list_entries(Look *l)
{
        for (const struct dirent *e;;) {
                int r;

                errno = 0;
                e = readdir(l->dir);
                if (!e)
                        return -errno;
                r = note_entry(l, e->d_name);
                if (r < 0)
                        return r;
        }
}

static bool module_is_vfio(const Reader *reader, const char *driver)
{
        char path[SYSFS_PATH_SIZE], buffer[PATH_MAX];
        const char *module;

        if (sysfs_driver_path(driver, "module", path) < 0)
                return false;
        module = link_name(reader->root->sys, path, buffer);
        return module && driver_name_is_vfio(module);
}

static int driver_is_vfio(Reader *reader, const char *name, bool *ret)
{
        DriverEntry *grown;
        char *copy;

        for (size_t i = 0; i < reader->n_drivers; i++)
                if (streq(reader->drivers[i].name, name)) {
                        *ret = reader->drivers[i].is_vfio;
                        return 0;
                }
        grown = reallocarray(reader->drivers, reader->n_drivers + 1, sizeof(DriverEntry));
        if (!grown)
                return -ENOMEM;
        reader->drivers = grown;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        grown[reader->n_drivers++] = (DriverEntry){
                .name = copy,
                .is_vfio = driver_name_is_vfio(name) || module_is_vfio(reader, name),
        };
        *ret = grown[reader->n_drivers - 1].is_vfio;
        return 0;
}

static int read_driver(Look *l)
{
        char buffer[PATH_MAX];
        const char *name;
        int r;

        name = l->has[ENTRY_DRIVER] ? link_name(l->fd, "driver", buffer) : NULL;
        if (!name)
                return 0;
        l->device->driver = strdup(name);
        if (!l->device->driver)
                return -ENOMEM;
        r = driver_is_vfio(l->reader, name, &l->device->driver_is_vfio);
        if (r < 0)
                return r;
        if (l->has[ENTRY_VFIO_DEV])
                l->device->driver_is_vfio = true;
        return 0;
}

/* The node's owner and mode, where a VFIO driver has made one (/dev/vfio/N). */
static void read_node(Look *l)
{
        Device *d = l->device;
        struct stat st;
        char path[64];

        if (!d->driver_is_vfio || d->group < 0)
                return;
        snprintf(path, sizeof(path), "dev/vfio/%s%d", d->group_is_noiommu ? "noiommu-" : "",
                 d->group);
        if (fstatat(l->reader->root->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return;
        d->has_node = true;
        d->node_uid = st.st_uid;
        d->node_gid = st.st_gid;
        d->node_mode = st.st_mode & NODE_MODE_MASK;
}

static void read_group(Look *l)
{
        char buffer[PATH_MAX], group_name[ATTRIBUTE_SIZE];
        const char *name;
        uint64_t number;

        name = l->has[ENTRY_GROUP] ? link_name(l->fd, "iommu_group", buffer) : NULL;
        if (!name || parse_uint(name, 10, INT_MAX, &number) < 0)
                return;
        l->device->group = (int)number;
        /* Only groups that were given a name have the attribute. */
        l->device->group_is_noiommu = read_attribute(l->fd, "iommu_group/name", group_name) >= 0 &&
                                      streq(group_name, "vfio-noiommu");
        read_node(l);
}

static int read_facts(Look *l)
{
        char buffer[ATTRIBUTE_SIZE], link[PATH_MAX];
        Device *d = l->device;
        const char *pf;

        if (l->has[ENTRY_NUMA_NODE])
                d->numa_node = (int)read_number(l->fd, "numa_node", INT_MAX, (uint64_t)-1);
        if (l->has[ENTRY_BOOT_VGA])
                d->boot_vga = read_number(l->fd, "boot_vga", 1, 0) == 1;
        if (l->has[ENTRY_TOTAL_VFS])
                d->total_vfs = (unsigned)read_number(l->fd, "sriov_totalvfs", UINT16_MAX, 0);
        pf = l->has[ENTRY_PHYSFN] ? link_name(l->fd, "physfn", link) : NULL;
        d->is_vf = pf && pci_address_parse(pf, &d->pf) >= 0;
        if (!l->has[ENTRY_RESET_METHOD] || read_attribute(l->fd, "reset_method", buffer) < 0)
                return 0;
        d->reset_methods = strdup(buffer);
        return d->reset_methods ? 0 : -ENOMEM;
}

/*
 * The permanent address of the first port: only addr_assign_type 0 (NET_ADDR_PERM) says that
 * what `address` shows came from the card.
 */
static void read_mac(Device *d, int net, char *const *names)
{
        uint64_t lowest = UINT64_MAX;

        for (; names && *names; names++) {
                char path[NAME_MAX + 32], text[ATTRIBUTE_SIZE];
                uint64_t port;

                snprintf(path, sizeof(path), "%s/addr_assign_type", *names);
                if (read_number(net, path, UINT8_MAX, UINT8_MAX) != 0)
                        continue;
                snprintf(path, sizeof(path), "%s/dev_port", *names);
                port = read_number(net, path, UINT32_MAX, UINT32_MAX);
                snprintf(path, sizeof(path), "%s/address", *names);
                if (port >= lowest || read_attribute(net, path, text) < 0 ||
                    parse_mac(text, d->mac) < 0)
                        continue;
                d->has_mac = true;
                lowest = port;
        }
}

static int read_net(Look *l)
{
        _cleanup_close_ int net = -EBADF;
        char path[64] = "net";
        int r;

        if (l->virtio >= 0)
                snprintf(path, sizeof(path), "virtio%d/net", l->virtio);
        else if (!l->has[ENTRY_NET])
                return 0;
        net = open_dir_at(l->fd, path);
        if (net < 0)
                return 0;
        r = list_dir_at(net, ".", &l->device->netdevs);
        if (r == -ENOMEM)
                return r;
        read_mac(l->device, net, l->device->netdevs);
        return 0;
}

/*
 * "../../../devices/pci0000:00/0000:00:1c.4/0000:41:00.0" becomes "pci0000:00/1c.4/00.0": bus
 * numbers move when a card is added, places in the tree of ports do not.
 */
static int read_topology(Look *l)
{
        char link[PATH_MAX], text[PATH_MAX];
        const PciAddress *a = &l->device->address;
        char *save = NULL, *start = NULL;
        size_t n = 0;
        ssize_t size;

        size = readlinkat(l->reader->devices, PCI_ADDRESS_STR(a), link, sizeof(link) - 1);
        link[MAX(size, 0)] = 0;
        start = strstr(link, "/pci");
        for (char *part = start ? strtok_r(start, "/", &save) : NULL; part;
             part = strtok_r(NULL, "/", &save)) {
                PciAddress hop;

                if (pci_address_parse(part, &hop) >= 0)
                        n += (size_t)snprintf(text + n, sizeof(text) - n, "/%02x.%x", hop.device,
                                              hop.function);
                else
                        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? "/" : "",
                                              part);
                if (n >= sizeof(text))
                        return -ENAMETOOLONG;
        }
        if (n == 0) /* no link, which only a copied tree can have */
                snprintf(text, sizeof(text), "pci%04x:%02x/%02x.%x", a->domain, a->bus, a->device,
                         a->function);
        l->device->topology = strdup(text);
        return l->device->topology ? 0 : -ENOMEM;
}

static int read_slot(Look *l)
{
        const PciAddress *a = &l->device->address;

        for (size_t i = 0; i < l->reader->n_slots; i++) {
                const SlotEntry *s = &l->reader->slots[i];

                if (s->address.domain != a->domain || s->address.bus != a->bus ||
                    (!s->any_device && s->address.device != a->device))
                        continue;
                l->device->slot = strdup(s->name);
                return l->device->slot ? 0 : -ENOMEM;
        }
        return 0;
}

static int look_open(Reader *reader, const PciAddress *address, Look *l)
{
        _cleanup_close_ int fd = -EBADF;

        *l = (Look){ .reader = reader, .virtio = -1 };
        fd = open_dir_at(reader->devices, PCI_ADDRESS_STR(address));
        if (fd < 0)
                return fd;
        l->device = device_new(address);
        if (!l->device)
                return -ENOMEM;
        l->dir = fdopendir(fd);
        if (!l->dir)
                return -errno;
        l->fd = TAKE_FD(fd);
        return 0;
}

int reader_read(Reader *reader, const PciAddress *address, Device **ret)
{
        static int (*const parts[])(Look *) = {
                read_ids, list_entries, read_driver, read_facts, read_net, read_topology, read_slot,
        };
        _cleanup_(look_done) Look l = { 0 };
        int r;

        r = look_open(reader, address, &l);
        for (size_t i = 0; i < ELEMENTSOF(parts) && r >= 0; i++)
                r = parts[i](&l);
        if (r == -ENOENT)
                return -ENODEV;
        if (r < 0)
                return r;
        read_group(&l);
        *ret = TAKE_PTR(l.device);
        return 0;
}
