/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vfio-sim: a host whose PCI devices, drivers, IOMMU groups and VFIO nodes are made up. See
 * docs/HACKING.md. What the kernel does is told in the words of its source (drivers/base,
 * drivers/pci, drivers/vfio); where generations differ, sim.kernel says which one it is.
 */

#include "tree.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

enum {
        KERNEL_5_10 = 510,
        KERNEL_6_1 = 601,
        KERNEL_6_12 = 612,
        NAME_SIZE = 64,
        MAX_NETS = 4,
        PATH_SIZE = 1024,
        SMALL_DOMAINS = 64,
};

typedef struct Device Device;

typedef struct Id {
        uint32_t vendor, device, subvendor, subdevice, class, mask; /* UINT32_MAX: any */
        struct Id *next;
} Id;

typedef enum SriovKind { SRIOV_NONE, SRIOV_REMOVES, SRIOV_LEAVES } SriovKind;

typedef struct Driver {
        char name[NAME_SIZE], module[NAME_SIZE];
        char alias[160]; /* its line in modules.alias, without "alias" and the module */
        Id *ids, *dynamic;
        bool vfio, managed; /* takes no count of the group's DMA ownership */
        bool net, disks;    /* what its devices have while it is bound */
        SriovKind sriov;
        int probe_error;
        unsigned probe_msec, remove_msec;
        Node *node;
        struct Driver *next;
} Driver;

typedef struct Group {
        int number;
        unsigned members, openers;
        unsigned vfio_members; /* bound to a VFIO driver: then the node exists */
        Node *node, *devices, *vfio, *chardev;
        struct Group *next;
} Group;

/* A block device, there while its function has the driver that makes it; or a virtual one. */
typedef struct Block {
        char name[NAME_SIZE], path[128], dev[32], on[256];
        char at[32]; /* a function, or "" */
        Node *node;
        bool hidden;
        struct Block *next;
} Block;

struct Device {
        char name[32];
        unsigned domain, bus, slot, function;
        uint32_t vendor, device, subvendor, subdevice, class, revision;
        int numa, boot_vga;
        char reset[NAME_SIZE], slot_name[NAME_SIZE], above[32];
        uint64_t serial;
        unsigned config_size;
        int secondary; /* bus behind a bridge, or -1 */
        bool multifunction;

        /* SR-IOV */
        Device *pf;
        unsigned vf_index, total_vfs, hardware_vfs, offset, stride, vf_device, num_vfs;
        int vf_group; /* -1: each its own; -2: that of the PF; else one for all */
        bool autoprobe;
        Device **vfs;

        /* State. All of it is under sim.lock. */
        bool registered, locked, linked; /* linked: the driver link is there */
        int group_wanted;                /* -1: one of its own; -2: none */
        Group *group;
        char *override;
        Driver *driver; /* from before the probe until after the remove */
        bool bound;
        unsigned users; /* who have it open, besides those of the group node */
        int vfio_index;
        char nets[MAX_NETS][16];
        unsigned n_nets;
        char macs[MAX_NETS][18];
        Node *node;
        char *path; /* of the node, "/sys/…", also when that is gone */
        char first_driver[NAME_SIZE];
        unsigned looks, opens; /* readings of modalias; all opens and readlinks below it */
        Device *next;
};

typedef struct Sim {
        int kernel;
        pthread_mutex_t lock;
        pthread_cond_t changed; /* some device's lock, opener or hold */
        bool rescan_locked;
        Device *devices, **last_device;
        Driver *drivers, **last_driver;
        Group *groups;                      /* by number */
        Group *last_group, *dense;          /* the last that was asked for; the last before a gap */
        Device *behind[SMALL_DOMAINS][256]; /* the bridge to a bus of a small domain */
        Block *blocks, **last_block;
        Node *sys, *vfio_dir, *bus_devices, *bus_drivers, *slots;
        char host_path[512];
        unsigned ifindex, next_vfio;
} Sim;

extern Sim sim;

/* All below is called with sim.lock, if nothing else is said. */

/* host.c: false and a text in `error` where a line means nothing. */
int host_load(const char *path);
bool host_line(char *line, char *error, size_t size);
Device *host_device(char *words, char *error, size_t size);
void generate(unsigned functions, unsigned pfs, unsigned vfs);

/* model.c: functions and groups */
void sim_wait(void);
void sim_sleep(unsigned msec);
Device *device_find(const char *name);
bool device_lock(Device *d); /* false: it is no longer there */
void device_unlock(Device *d);
void rescan_lock(void);
void rescan_unlock(void);
void device_register(Device *d, bool event);
int device_remove(Device *d, bool surprise);
Driver *driver_find(const char *name);
void driver_register(Driver *drv);
void model_start(void);
int group_open(Group *g, int pid); /* takes the lock itself */
void group_close(Group *g);        /* so does this */
bool group_viable(const Group *g);
void bus_rescan(void);

/* bind.c: what drivers/base/dd.c does */
bool driver_matches(const Driver *drv, const Device *d);
int driver_bind(Driver *drv, const char *name);
int driver_unbind(Driver *drv, const char *name);
int bus_probe(const char *name);
int device_attach(Device *d); /* with its lock */
void device_detach(Device *d);
int driver_new_id(Driver *drv, const char *text);
int driver_remove_id(Driver *drv, const char *text);

/* sriov.c */
int sriov_store(Device *pf, const char *text);
void sriov_disable(Device *pf);
unsigned sriov_total(const Device *pf);

/* parts.c: what a bound driver makes */
void parts_add(Device *d);
void parts_remove(Device *d);
void vfio_add(Device *d);
void vfio_remove(Device *d);
void block_add(Block *b);

/* attrs.c */
extern const Attr vfio_node;
void device_add_attributes(Device *d);
void driver_add_attributes(Driver *drv);
void bus_add_attributes(Node *bus);

/* netlink.c. Without the lock or with it. */
void event_device(const Device *d, const char *action);
void event_node(const Node *node, const char *action, const char *subsystem);
int events_open(void);
int events_command(int argc, char *argv[], char *error, size_t size);

/* fault.c: around each write. They take no lock of ours. */
typedef struct Write {
        int pid;
        const char *path, *value;
        unsigned number;
        const void *after; /* the rule that acts once more afterwards */
} Write;
int write_begins(Write *w);
int write_ends(const Write *w, int result);
int faults_add(int argc, char *argv[], char *error, size_t size);
void faults_clear(void);
void faults_release(void);
void faults_dump(FILE *f);
unsigned faults_held(void);
void log_dump(FILE *f);
void log_clear(bool all);                               /* or but those that are under way */
void log_bound(const char *device, const char *driver); /* a driver took the device */
void log_dump_bound(FILE *f);
unsigned log_count(void);
void count_look(const Node *node); /* with the tree's lock */

/* control.c, dump.c, fuse.c */
int control_start(const char *path);
int control_run(char *line, FILE *out);
void dump_state(FILE *f);
int serve(const char *where);
