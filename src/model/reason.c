/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/reason.h"
#include "basic/names.h"
#include "basic/strv.h"

#define REFUSED VFIOD_ERROR("Refused")

static const ReasonRow rows[_REASON_MAX] = {
        [REASON_NONE] = { "", "", "", "" },
        [REASON_MOUNTED_FILESYSTEM] = { "mounted-filesystem",
                                        "a file system on this device is mounted",
                                        "unmount it first", REFUSED },
        [REASON_SWAP] = { "swap", "the host swaps to this device", "run swapoff first", REFUSED },
        [REASON_BLOCK_HOLDER] = { "block-holder",
                                  "another block device or program holds a disk of this device",
                                  "stop its holder (LVM, MD, dm) first", REFUSED },
        [REASON_NETWORK_ROUTE] = { "network-route", "a route of the host goes through this device",
                                   "move the route to another interface first", REFUSED },
        [REASON_NETWORK_ADDRESS] = { "network-address", "the host has an address on this device",
                                     "remove the address first", REFUSED },
        [REASON_BOOT_DISPLAY] = { "boot-display", "the console is on this device",
                                  "use another display or a serial console for the host", REFUSED },
        [REASON_GROUP_FOREIGN_MEMBER] = { "group-foreign-member",
                                          "its IOMMU group has a member that no file matches",
                                          "match every member in a file, or use Group=whole",
                                          REFUSED },
        [REASON_GROUP_CHANGED] = { "group-changed",
                                   "its IOMMU group has a member it did not have when approved",
                                   "look at the group and accept the new member", REFUSED },
        [REASON_VFS_IN_USE] = { "vfs-in-use", "virtual functions of this device are in use",
                                "stop what uses them first", REFUSED },
        [REASON_VFS_EXIST] = { "vfs-exist", "this device has virtual functions",
                               "remove them first: 'vfioctl sriov PF 0', or else write 0 to its "
                               "sriov_numvfs",
                               REFUSED },
        [REASON_DEVICE_IN_USE] = { "device-in-use", "its VFIO node is open",
                                   "stop the program that has it open first", REFUSED },
        [REASON_NO_RESET] = { "no-reset", "the kernel cannot reset this device between users",
                              "accept it if the next user may see what the last one left",
                              REFUSED },
        [REASON_BRIDGE] = { "bridge", "this is a bridge or a part of the platform",
                            "name the devices behind it instead", REFUSED },
        [REASON_NO_IOMMU_GROUP] = { "no-iommu-group", "the kernel gave it no IOMMU group",
                                    "see 'vfioctl doctor'; the IOMMU may not cover this device",
                                    VFIOD_ERROR("NoIommu") },
        [REASON_ID_MISMATCH] = { "id-mismatch",
                                 "another card sits at the address that a file names",
                                 "correct Address= or Id= in the file", REFUSED },
        [REASON_EXPECT_MISMATCH] = { "expect-mismatch",
                                     "a file matches another number of devices than its Expect=",
                                     "correct the file's [Match] or its Expect=", REFUSED },
        [REASON_MODULE_MISSING] = { "module-missing", "no module provides the driver",
                                    "install the module, or load it by hand to see why it fails",
                                    VFIOD_ERROR("DriverNotFound") },
        [REASON_MODULE_BLOCKED] = { "module-blocked", "loading the driver's module is blocked",
                                    "look for 'install' lines in modprobe.d, and at module signing",
                                    VFIOD_ERROR("DriverNotFound") },
        [REASON_DRIVER_REJECTED] = { "driver-rejected", "the driver refused the device",
                                     "the kernel log says why: journalctl -k",
                                     VFIOD_ERROR("DeviceBusy") },
        [REASON_IOMMU_OFF] = { "iommu-off", "the IOMMU is off",
                               "switch VT-d or AMD-Vi on in the firmware (BIOS) and boot with "
                               "intel_iommu=on; see 'vfioctl doctor'",
                               VFIOD_ERROR("NoIommu") },
        [REASON_GROUP_NOT_VIABLE] = { "group-not-viable",
                                      "a member of its IOMMU group must stay on a host driver",
                                      "declare that member for VFIO too, or choose another slot",
                                      VFIOD_ERROR("GroupNotViable") },
        [REASON_SRIOV_UNSUPPORTED] = { "sriov-unsupported",
                                       "it is no PF: it has no SR-IOV capability, or is a VF",
                                       "declare VFs for a PF only; SR-IOV may be off in the "
                                       "firmware (BIOS)",
                                       VFIOD_ERROR("NoSuchDevice") },
        [REASON_SRIOV_DRIVER_MISSING] = { "sriov-driver-missing",
                                          "it has no driver that can make VFs",
                                          "load its host driver: the VFs are made when it is bound",
                                          VFIOD_ERROR("DriverNotFound") },
        [REASON_SRIOV_TOO_MANY] = { "sriov-too-many", "it cannot have that many VFs",
                                    "ask for fewer; 'vfioctl show' gives its limit", REFUSED },
        [REASON_SRIOV_NO_RESOURCES] = { "sriov-no-resources",
                                        "bus numbers or memory space do not suffice for its VFs",
                                        "boot with pci=realloc, and switch SR-IOV and Above 4G "
                                        "Decoding on in the firmware (BIOS); journalctl -k says "
                                        "which it is",
                                        VFIOD_ERROR("DeviceBusy") },
        [REASON_VF_SETTING_REJECTED] = { "vf-setting-rejected",
                                         "a setting of the VF was rejected by its PF's driver",
                                         "correct it in its section [VirtualFunction]; "
                                         "journalctl -k may say more",
                                         VFIOD_ERROR("DeviceBusy") },
        [REASON_WRITE_TIMEOUT] = { "write-timeout", "a write into the kernel has not returned",
                                   "end the program that uses the device; it goes on by itself "
                                   "then",
                                   VFIOD_ERROR("JobTimeout") },
        [REASON_DEVICE_GONE] = { "device-gone", "the device went away",
                                 "it is looked at again when it comes back",
                                 VFIOD_ERROR("DeviceGone") },
        [REASON_CONTENDED] = { "contended", "another program keeps moving it to another driver",
                               "stop that program, then run 'vfioctl apply'",
                               VFIOD_ERROR("DeviceBusy") },
        [REASON_WAITING] = { "waiting", "work on it has not begun", "wait",
                             VFIOD_ERROR("DeviceBusy") },
        [REASON_WORKING] = { "working", "it is being moved", "wait", VFIOD_ERROR("DeviceBusy") },
        [REASON_DISABLED] = { "disabled", "vfiod=off is on the kernel command line",
                              "boot without it", VFIOD_ERROR("Disabled") },
        [REASON_ABSENT] = { "absent", "a file names it, and it is not there",
                            "put the card in, or correct the file", VFIOD_ERROR("NoSuchDevice") },
};

const ReasonRow *reason_row(Reason r)
{
        return &rows[r];
}

const char *reason_to_string(Reason r)
{
        return rows[r].id;
}

int reason_from_string(const char *s)
{
        for (int i = REASON_NONE + 1; i < _REASON_MAX; i++)
                if (streq(rows[i].id, s))
                        return i;
        return -EINVAL;
}

int hazard_set_parse(const char *s, HazardSet *ret, char **ret_bad)
{
        _cleanup_strv_ char **words = NULL;
        HazardSet set = 0;
        int r;

        r = strv_split(s, ", \t", &words);
        if (r < 0)
                return r;
        STRV_FOREACH(w, words) {
                r = reason_from_string(*w);
                if (r < 0 || !reason_is_acceptable((Reason)r)) {
                        if (ret_bad)
                                *ret_bad = strdup(*w);
                        return -EINVAL;
                }
                set |= hazard_bit((Reason)r);
        }
        *ret = set;
        return 0;
}
