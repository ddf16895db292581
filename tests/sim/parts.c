/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is there while a device has its driver: VFIO nodes, network interfaces, block devices. */

#include "sim.h"

#include <stdlib.h>
#include <string.h>

/* vfio_pci_core_register_device(): the node comes with the first member of the group. */
void vfio_add(Device *d)
{
        Group *g = d->group;
        char name[32];

        if (g->vfio_members++ == 0) {
                snprintf(name, sizeof(name), "%d", g->number);
                g->vfio = node_dir(node_path(sim.sys, "devices/virtual/vfio"), name, NULL);
                node_text(g->vfio, "dev", 0444, "244:0\n");
                node_link(node_path(sim.sys, "class/vfio"), name, g->vfio);
                g->chardev = node_attr_named(sim.vfio_dir, name, &vfio_node, g);
                g->chardev->mode = 0600;
                event_node(g->vfio, "add", "vfio");
        }
        if (sim.kernel <= KERNEL_5_10)
                return;
        d->vfio_index = (int)sim.next_vfio++;
        snprintf(name, sizeof(name), "vfio%d", d->vfio_index);
        event_node(node_dir(node_dir(d->node, "vfio-dev", d), name, d), "add", "vfio-dev");
}

/* Waits for those who have the device open: 6.1 with its own node still there. */
void vfio_remove(Device *d)
{
        Group *g = d->group;
        char name[32];

        if (sim.kernel != KERNEL_6_1)
                node_remove_name(d->node, "vfio-dev");
        while (d->users > 0 || g->openers > 0)
                sim_wait();
        node_remove_name(d->node, "vfio-dev");
        if (--g->vfio_members > 0)
                return;
        snprintf(name, sizeof(name), "%d", g->number);
        node_remove(g->chardev);
        node_remove_name(node_path(sim.sys, "class/vfio"), name);
        event_node(g->vfio, "remove", "vfio");
        node_remove(g->vfio);
        g->vfio = g->chardev = NULL;
}

static void add_net(Device *d, unsigned i)
{
        Node *class = node_path(sim.sys, "class/net"), *net;
        char text[32];

        if (!d->nets[i][0])
                snprintf(d->nets[i], sizeof(d->nets[i]), "eth%u", sim.ifindex);
        if (node_child(class, d->nets[i]))
                return;
        net = node_dir(node_dir(d->node, "net", d), d->nets[i], d);
        snprintf(text, sizeof(text), "%u\n", sim.ifindex++);
        node_text(net, "ifindex", 0444, text);
        snprintf(text, sizeof(text), "%s\n", d->macs[i][0] ? d->macs[i] : "02:00:00:00:00:01");
        node_text(net, "address", 0444, text);
        node_text(net, "addr_assign_type", 0444, "0\n");
        snprintf(text, sizeof(text), "%u\n", i);
        node_text(net, "dev_port", 0444, text);
        node_text(net, "flags", 0644, "0x1002\n");
        node_text(net, "operstate", 0444, "down\n");
        node_link(net, "device", d->node);
        node_link(class, d->nets[i], net);
        event_node(net, "add", "net");
}

static void remove_net(Device *d, unsigned i)
{
        Node *net = node_child(d->node, "net");

        net = net ? node_child(net, d->nets[i]) : NULL;
        if (!net)
                return;
        node_remove_name(node_path(sim.sys, "class/net"), d->nets[i]);
        event_node(net, "remove", "net");
        node_remove(net);
}

static Block *find_block(const char *name)
{
        for (Block *b = sim.blocks; b; b = b->next)
                if (strcmp(b->name, name) == 0)
                        return b;
        return NULL;
}

/* "holders" of what is below it, and its "slaves". */
static void add_slaves(Block *b)
{
        char copy[sizeof(b->on)], *save = NULL;

        memcpy(copy, b->on, sizeof(copy));
        for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
                const Block *below = find_block(p);

                if (!below || !below->node)
                        continue;
                node_link(node_dir(b->node, "slaves", NULL), below->name, below->node);
                node_link(node_dir(below->node, "holders", NULL), b->name, b->node);
        }
}

void block_add(Block *b)
{
        const Device *d = b->at[0] ? device_find(b->at) : NULL;
        char text[40];

        if (b->node || (b->at[0] && (!d || !d->node)))
                return;
        b->node = node_dir(node_path(d ? d->node : sim.sys, b->path), b->name, NULL);
        node_dir(b->node, "holders", NULL);
        node_dir(b->node, "slaves", NULL);
        node_link(node_path(sim.sys, "class/block"), b->name, b->node);
        if (b->dev[0]) {
                snprintf(text, sizeof(text), "%s\n", b->dev);
                node_text(b->node, "dev", 0444, text);
                node_link(node_path(sim.sys, "dev/block"), b->dev, b->node);
        }
        add_slaves(b);
        event_node(b->node, "add", "block");
}

static void remove_block(Block *b)
{
        if (!b->node)
                return;
        node_remove_name(node_path(sim.sys, "class/block"), b->name);
        if (b->dev[0])
                node_remove_name(node_path(sim.sys, "dev/block"), b->dev);
        event_node(b->node, "remove", "block");
        node_remove(b->node);
        b->node = NULL;
}

void parts_add(Device *d)
{
        if (d->driver->net) {
                node_dir(d->node, "net", d);
                if (d->n_nets == 0)
                        d->n_nets = 1;
                for (unsigned i = 0; i < d->n_nets; i++)
                        add_net(d, i);
        }
        for (Block *b = sim.blocks; b && d->driver->disks; b = b->next)
                if (strcmp(b->at, d->name) == 0)
                        block_add(b);
}

/* The last first: partitions were declared after their disks. */
static void remove_blocks(Block *b, const Device *d)
{
        if (!b)
                return;
        remove_blocks(b->next, d);
        if (strcmp(b->at, d->name) == 0)
                remove_block(b);
}

void parts_remove(Device *d)
{
        for (unsigned i = 0; i < d->n_nets && d->driver->net; i++)
                remove_net(d, i);
        if (d->driver->net)
                node_remove_name(d->node, "net");
        if (d->driver->disks)
                remove_blocks(sim.blocks, d);
}
