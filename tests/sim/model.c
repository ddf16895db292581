/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Functions on the bus and their IOMMU groups: coming, going, locks. */

#include "sim.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

Sim sim = { .kernel = KERNEL_6_12,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .changed = PTHREAD_COND_INITIALIZER };

void sim_wait(void)
{
        pthread_cond_wait(&sim.changed, &sim.lock);
}

void sim_sleep(unsigned msec)
{
        const struct timespec t = { .tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000L };

        if (msec == 0)
                return;
        pthread_mutex_unlock(&sim.lock);
        nanosleep(&t, NULL);
        pthread_mutex_lock(&sim.lock);
}

Device *device_find(const char *name)
{
        Node *link = node_child(sim.bus_devices, name);

        return link ? link->object : NULL;
}

bool device_lock(Device *d)
{
        while (d->locked)
                sim_wait();
        d->locked = true;
        return d->registered;
}

void device_unlock(Device *d)
{
        d->locked = false;
        pthread_cond_broadcast(&sim.changed);
}

void rescan_lock(void)
{
        while (sim.rescan_locked)
                sim_wait();
        sim.rescan_locked = true;
}

void rescan_unlock(void)
{
        sim.rescan_locked = false;
        pthread_cond_broadcast(&sim.changed);
}

Driver *driver_find(const char *name)
{
        for (Driver *drv = sim.drivers; drv; drv = drv->next)
                if (strcmp(drv->name, name) == 0)
                        return drv;
        return NULL;
}

/* The lowest free number, as the kernel's ida gives it. */
static int free_number(void)
{
        Group *g = sim.dense ? sim.dense : sim.groups;

        if (!g || (!sim.dense && g->number > 0))
                return 0;
        while (g->next && g->next->number == g->number + 1)
                g = g->next;
        sim.dense = g;
        return g->number + 1;
}

static Group *group_get(int number)
{
        Group **p = &sim.groups, *g;
        char name[16];

        if (number < 0)
                number = free_number();
        g = sim.dense && sim.dense->number < number ? sim.dense : NULL;
        if (sim.last_group && sim.last_group->number < number &&
            (!g || sim.last_group->number > g->number))
                g = sim.last_group;
        if (g)
                p = &g->next;
        while (*p && (*p)->number < number)
                p = &(*p)->next;
        if (*p && (*p)->number == number)
                return *p;
        g = calloc(1, sizeof(Group));
        if (!g)
                errx(1, "out of memory");
        g->number = number;
        g->next = *p;
        *p = g;
        snprintf(name, sizeof(name), "%d", number);
        g->node = node_dir(node_path(sim.sys, "kernel/iommu_groups"), name, NULL);
        g->devices = node_dir(g->node, "devices", NULL);
        node_text(g->node, "type", 0644, "DMA-FQ\n");
        sim.last_group = g;
        return g;
}

/* Memory stays: a descriptor of its node may be open. */
static void group_put(Group *g)
{
        if (--g->members > 0)
                return;
        sim.last_group = sim.dense = NULL;
        for (Group **p = &sim.groups; *p; p = &(*p)->next)
                if (*p == g) {
                        *p = g->next;
                        break;
                }
        node_remove(g->node);
        g->node = g->devices = NULL;
}

static void join_group(Device *d)
{
        int wanted = d->group_wanted;

        if (d->pf && d->pf->vf_group == -2 && d->pf->group)
                wanted = d->pf->group->number;
        else if (d->pf)
                wanted = d->pf->group ? d->pf->vf_group : -2;
        if (wanted == -2)
                return;
        d->group = group_get(wanted);
        d->group->members++;
        node_link(d->node, "iommu_group", d->group->node);
        node_link(d->group->devices, d->name, d->node);
}

static void leave_group(Device *d)
{
        if (!d->group)
                return;
        node_remove_name(d->group->devices, d->name);
        group_put(d->group);
        d->group = NULL;
}

/* A device driver holds the group's DMA; see kernel.md 2.4 and 2.5. */
bool group_viable(const Group *g)
{
        for (const Device *d = sim.devices; d; d = d->next) {
                if (!d->registered || d->group != g || !d->driver || d->driver->managed)
                        continue;
                if (sim.kernel <= KERNEL_5_10 && d->secondary >= 0)
                        continue;
                return false;
        }
        return true;
}

int group_open(Group *g, int pid)
{
        int r = 0;

        (void)pid;
        pthread_mutex_lock(&sim.lock);
        if (!g)
                r = 0; /* /dev/vfio/vfio */
        else if (g->vfio_members == 0)
                r = -ENODEV;
        else if (g->openers > 0)
                r = -EBUSY;
        else
                g->openers++;
        pthread_mutex_unlock(&sim.lock);
        return r;
}

void group_close(Group *g)
{
        if (!g)
                return;
        pthread_mutex_lock(&sim.lock);
        g->openers--;
        pthread_cond_broadcast(&sim.changed);
        pthread_mutex_unlock(&sim.lock);
}

static Device *find_bridge(const Device *d)
{
        if (d->domain < SMALL_DOMAINS)
                return sim.behind[d->domain][d->bus & 255];
        for (Device *b = sim.devices; b; b = b->next)
                if (b->registered && b->secondary >= 0 && b->domain == d->domain &&
                    (unsigned)b->secondary == d->bus)
                        return b;
        return NULL;
}

/* The directory that it is in: a bridge's, or that of its root bus. */
static Node *find_parent(const Device *d)
{
        Device *b;
        char name[64];

        if (d->pf)
                return d->pf->node->parent;
        b = d->above[0] ? device_find(d->above) : find_bridge(d);
        if (b && b != d)
                return b->node;
        snprintf(name, sizeof(name), "devices/pci%04x:%02x", d->domain, d->bus);
        return node_path(sim.sys, name);
}

static void add_slot(const Device *d)
{
        char text[32];
        Node *slot;

        if (!d->slot_name[0] || node_child(sim.slots, d->slot_name))
                return;
        slot = node_dir(sim.slots, d->slot_name, NULL);
        snprintf(text, sizeof(text), "%04x:%02x:%02x\n", d->domain, d->bus, d->slot);
        node_text(slot, "address", 0444, text);
}

static bool is_listed(const Device *d)
{
        for (const Device *i = sim.devices; i; i = i->next)
                if (i == d)
                        return true;
        return false;
}

/* What device_add() does. The event comes when the group is there and no driver yet. */
void device_register(Device *d, bool event)
{
        char path[PATH_SIZE];

        if (!sim.last_device)
                sim.last_device = &sim.devices;
        if (!event || !is_listed(d)) {
                d->next = NULL;
                *sim.last_device = d;
                sim.last_device = &d->next;
        }
        d->registered = true;
        if (d->secondary >= 0 && d->domain < SMALL_DOMAINS)
                sim.behind[d->domain][d->secondary & 255] = d;
        d->node = node_dir(find_parent(d), d->name, d);
        d->node->device = d;
        free(d->path);
        d->path = strdup(node_write_path(d->node, path, sizeof(path)));
        device_add_attributes(d);
        node_link(sim.bus_devices, d->name, d->node)->object = d;
        node_link(d->node, "subsystem", sim.bus_devices->parent);
        join_group(d);
        add_slot(d);
        if (event)
                event_device(d, "add");
}

static void unlist(Device *d)
{
        for (Device **p = &sim.devices; *p; p = &(*p)->next)
                if (*p == d) {
                        *p = d->next;
                        if (sim.last_device == &d->next)
                                sim.last_device = p;
                        return;
                }
}

/* Those behind a bridge go with it. */
static void remove_below(const Device *d)
{
        for (bool found = d->secondary >= 0; found;) {
                found = false;
                for (Device *i = sim.devices; i && !found; i = i->next)
                        if (i->registered && !i->pf && i->node->parent == d->node) {
                                (void)device_remove(i, true);
                                found = true;
                        }
        }
}

/*
 * What pci_stop_and_remove_bus_device() does: it waits for whoever has it open. The caller has the
 * rescan lock. Surprise: it is out of the machine, and no rescan finds it again.
 */
int device_remove(Device *d, bool surprise)
{
        if (!device_lock(d)) {
                device_unlock(d);
                return -ENODEV;
        }
        remove_below(d);
        device_detach(d);
        if (d->num_vfs > 0)
                sriov_disable(d);
        d->registered = false;
        if (d->secondary >= 0 && d->domain < SMALL_DOMAINS)
                sim.behind[d->domain][d->secondary & 255] = NULL;
        node_remove_name(sim.bus_devices, d->name);
        leave_group(d);
        node_remove(d->node);
        d->node = NULL;
        event_device(d, "remove");
        free(d->override);
        d->override = NULL;
        d->autoprobe = true;
        device_unlock(d);
        if (surprise || d->pf)
                unlist(d);
        return 0;
}

/* Finds what was removed through sysfs and is still in the machine. */
void bus_rescan(void)
{
        rescan_lock();
        for (Device *d = sim.devices; d; d = d->next) {
                if (d->registered)
                        continue;
                device_register(d, true);
                device_lock(d);
                (void)device_attach(d);
                device_unlock(d);
        }
        rescan_unlock();
}

void driver_register(Driver *drv)
{
        char path[256];
        Node *module;

        if (!sim.last_driver)
                sim.last_driver = &sim.drivers;
        *sim.last_driver = drv;
        sim.last_driver = &drv->next;
        drv->node = node_dir(sim.bus_drivers, drv->name, drv);
        driver_add_attributes(drv);
        if (!drv->module[0])
                return;
        snprintf(path, sizeof(path), "module/%s", drv->module);
        module = node_path(sim.sys, path);
        node_link(drv->node, "module", module);
        snprintf(path, sizeof(path), "pci:%s", drv->name);
        node_link(node_dir(module, "drivers", NULL), path, drv->node);
}

/* The folders that are on each host. */
static void make_folders(void)
{
        static const char *const folders[] = {
                "kernel/iommu_groups",
                "class/iommu",
                "class/net",
                "class/block",
                "class/vfio",
                "class/graphics",
                "class/vtconsole",
                "class/nvme-subsystem",
                "dev/block",
                "devices/virtual/vfio",
                "fs/btrfs",
                "firmware",
        };
        Node *bus;

        sim.sys = node_dir(tree_root(), "sys", NULL);
        sim.vfio_dir = node_dir(tree_root(), "vfio", NULL);
        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
                node_path(sim.sys, folders[i]);
        bus = node_path(sim.sys, "bus/pci");
        sim.bus_devices = node_dir(bus, "devices", NULL);
        sim.bus_drivers = node_dir(bus, "drivers", NULL);
        sim.slots = node_dir(bus, "slots", NULL);
        bus_add_attributes(bus);
        node_attr(sim.vfio_dir, &vfio_node, NULL);
        node_path(sim.sys, "module/vfio_iommu_type1/parameters");
        node_text(node_path(sim.sys, "module/vfio_iommu_type1/parameters"),
                  "allow_unsafe_interrupts", 0644, "N\n");
}

/* Each function gets the driver that it has at boot, without events. */
static void bind_all(void)
{
        for (Device *d = sim.devices; d; d = d->next) {
                device_lock(d);
                if (strcmp(d->first_driver, "-") != 0)
                        (void)device_attach(d);
                device_unlock(d);
        }
}

void model_start(void)
{
        if (sim.sys) {
                node_clear(sim.sys);
                node_clear(sim.vfio_dir);
        }
        sim.devices = NULL;
        sim.drivers = NULL;
        sim.groups = sim.last_group = sim.dense = NULL;
        memset(sim.behind, 0, sizeof(sim.behind));
        sim.blocks = NULL;
        sim.last_device = &sim.devices;
        sim.last_driver = &sim.drivers;
        sim.last_block = &sim.blocks;
        sim.ifindex = 2;
        sim.next_vfio = 0;
        sim.rescan_locked = false;
        make_folders();
        if (host_load(sim.host_path) < 0)
                errx(1, "the host cannot be made");
        bind_all();
        for (Block *b = sim.blocks; b; b = b->next)
                if (!b->at[0])
                        block_add(b);
}
