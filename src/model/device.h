/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One PCI function as the kernel showed it at one moment. Immutable once shared; counted. */

#include "basic/strv.h"
#include "model/address.h"
#include "model/vf.h"

typedef enum VfReport {
        VF_REPORT_PENDING,     /* the PF has not been asked yet */
        VF_REPORT_THERE,       /* Device.vf_settings is what the PF says */
        VF_REPORT_UNAVAILABLE, /* the PF has no network interface in this namespace */
} VfReport;

typedef struct Device {
        /* What each look asks of each device comes first, to be near. */
        unsigned n_ref;
        PciAddress address;
        uint32_t class;      /* 24 bits: base class, subclass, programming interface */
        int group;           /* IOMMU group number, -1: none */
        char *driver;        /* the driver link; NULL: none. Present already while probe runs */
        bool driver_is_vfio; /* vfio-pci or one of its variants */
        bool is_vf;
        bool group_is_noiommu; /* the synthetic group of no-IOMMU mode: no isolation */
        PciAddress pf;         /* if is_vf */
        int vf_index;          /* -1 while unknown or no VF */
        unsigned total_vfs;    /* sriov_totalvfs, 0 if no PF */
        unsigned num_vfs;      /* counted virtfn links */
        VfReport vf_report;    /* of a VF */
        uint16_t vendor, device, subvendor, subdevice;
        uint8_t revision;
        int numa_node; /* -1: none */
        bool boot_vga;
        char *modalias;
        char *reset_methods; /* as in reset_method, NULL where the kernel has none */
        char *slot;          /* name of the physical slot, NULL if none */
        char *topology;      /* chain of devfn from the host bridge: pci0000:00/1c.4/00.0 */
        int autoprobe;       /* sriov_drivers_autoprobe, -1 if no PF */
        VfSettings vf_settings;
        char **netdevs; /* in this network namespace */
        bool has_mac;
        uint8_t mac[6]; /* permanent address of the function's NIC */
        bool has_serial;
        uint64_t serial;                        /* PCIe device serial number */
        bool has_node;                          /* the group's VFIO node exists */
        uint32_t node_uid, node_gid, node_mode; /* of that node; mode & 0777 */
} Device;

/* A zeroed device with one reference and the "none" values set. NULL: out of memory. */
Device *device_new(const PciAddress *address);
Device *device_ref(Device *d);
Device *device_unref(Device *d);
DEFINE_CLEANUP_FUNC(Device *, device_unref);

/*
 * Base class 06: host, PCI and other bridges. They are never bound. A PCI bridge in a group is
 * left alone; the kernel counts it as viable (kernel: drivers/pci/pcie/portdrv,
 * driver_managed_dma).
 */
bool device_is_bridge(const Device *d);

/* Bridge, or a function of the platform itself (RAM, class 08, SMBus, IPMI): never taken. */
bool device_is_system(const Device *d);

/* The VFIO node of the device's group: "/dev/vfio/12", without an IOMMU "/dev/vfio/noiommu-0". */
enum { DEVICE_NODE_SIZE = 40 };
const char *device_node(const Device *d, char buffer[static DEVICE_NODE_SIZE]);

/* Valid until the end of the enclosing block. */
#define DEVICE_NODE(d) device_node(d, (char[DEVICE_NODE_SIZE]){ 0 })

/* What stays the same when buses are renumbered: ids, serial number, topology. */
typedef struct Identity {
        uint16_t vendor, device, subvendor, subdevice;
        bool has_serial;
        uint64_t serial;
        char *topology;
} Identity;

_must_check_ int identity_from_device(const Device *d, Identity *ret);
void identity_done(Identity *i);

/* Whether this is the same card in the same place. A serial number counts if both have one. */
bool identity_matches(const Identity *i, const Device *d);
