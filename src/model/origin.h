/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What vfiod took and what was there before: the memory that survives crashes and reboots. */

#include "model/inventory.h"

typedef struct Origin {
        PciAddress address;
        uint64_t stamp; /* no two entries that were ever put into a table have the same */
        Identity identity;
        char *driver;   /* host driver before, NULL: none */
        char *override; /* driver_override before, NULL: unset */
        char *intended; /* the driver it was taken for; "" for no driver */
        char *rule;     /* the file that wanted it, NULL: a request */
        bool implied;   /* only because its IOMMU group moved as a whole */
        bool has_mac;
        uint8_t mac[6];     /* the NIC's permanent address, seen under the host driver */
        bool taken;         /* in this boot. Else only a memory of an earlier boot */
        bool counted;       /* of a PF: vfiod changed its number of VFs in this boot */
        unsigned num_vfs;   /* if counted: the number before */
        bool autoprobe_off; /* vfiod set sriov_drivers_autoprobe to 0, and is to put back 1 */
} Origin;

typedef struct OriginTable {
        Origin *origins; /* sorted by address */
        size_t n_origins;
        uint64_t last_stamp;
} OriginTable;

/*
 * Whether the override that was there before names another driver than `driver`, which is to come
 * back: then it would keep that one out, and is set only after the bind.
 */
bool origin_override_comes_late(const Origin *o, const char *driver);

/*
 * The host driver that a device has before it is taken. `known` (may be NULL) is its earlier
 * entry, which goes first while the device is taken, or has no driver now. NULL: none.
 */
const char *origin_former_driver(const Origin *known, const Device *d);

void origin_done(Origin *o);
void origin_table_done(OriginTable *t);

Origin *origin_table_find(const OriginTable *t, const PciAddress *address);

/* The entry of exactly this card at this address, or NULL. */
const Origin *origin_table_find_device(const OriginTable *t, const Device *d);

/* The entries by their cards, valid until the table changes; to be freed. */
_must_check_ int origin_table_sort(const OriginTable *t, const Origin ***ret);

/*
 * Whether this card is among the `n` entries of such a list, at whatever address: it was seen when
 * it was moved; `vfio`: to a VFIO driver.
 */
bool origins_know(const Origin *const *sorted, size_t n, const Device *d, bool vfio);

/* vfio-pci and its variants, by the names that they have in the kernel. */
bool driver_name_is_vfio(const char *name);

/* The same for all devices: parallel to Inventory.devices, valid until the table changes. */
_must_check_ int origin_table_join(const OriginTable *t, const Inventory *inv, const Origin ***ret);

/* Adds or replaces by address. Takes over the content of `o` and zeroes it, on success. */
_must_check_ int origin_table_put(OriginTable *t, Origin *o);
void origin_table_remove(OriginTable *t, const PciAddress *address);

/* Each forgets its half of an entry, and with the last half the entry. */
void origin_table_forget_taken(OriginTable *t, const PciAddress *address);
void origin_table_forget_counted(OriginTable *t, const PciAddress *address);

/* Whether the PF's number of VFs or its autoprobe is to be put back one day. */
static inline bool origin_owes_vfs(const Origin *o)
{
        return o && (o->counted || o->autoprobe_off);
}
