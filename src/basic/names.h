/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names of the bus, used by daemon, vfioctl and tests. */

#define VFIOD_BUS_NAME "org.vfiod1"
#define VFIOD_PATH "/org/vfiod1"
#define VFIOD_DEVICE_PREFIX VFIOD_PATH "/device"
#define VFIOD_GROUP_PREFIX VFIOD_PATH "/group"
#define VFIOD_JOB_PREFIX VFIOD_PATH "/job"

#define VFIOD_MANAGER_INTERFACE VFIOD_BUS_NAME ".Manager"
#define VFIOD_DEVICE_INTERFACE VFIOD_BUS_NAME ".Device"
#define VFIOD_PF_INTERFACE VFIOD_BUS_NAME ".PhysicalFunction"
#define VFIOD_VF_INTERFACE VFIOD_BUS_NAME ".VirtualFunction"
#define VFIOD_GROUP_INTERFACE VFIOD_BUS_NAME ".Group"
#define VFIOD_JOB_INTERFACE VFIOD_BUS_NAME ".Job"

#define VFIOD_ERROR(name) VFIOD_BUS_NAME ".Error." name

/* Flags of methods. Unknown bits are InvalidArgs. */
#define VFIOD_FLAG_DRY_RUN (UINT64_C(1) << 0)
#define VFIOD_FLAG_NO_WAIT (UINT64_C(1) << 1)
#define VFIOD_FLAG_PERSIST (UINT64_C(1) << 3)
#define VFIOD_FLAG_FORGET (UINT64_C(1) << 4) /* Reload: drop this boot's requests */

/* Objects of devices: VFIOD_DEVICE_PREFIX and sd_bus_path_encode() of this and the address. */
#define VFIOD_DEVICE_ID_PREFIX "pci:"
