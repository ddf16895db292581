/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a PF sets for one of its VFs (kernel: rtnetlink, IFLA_VFINFO_LIST), and how the sections
 * [VirtualFunction] of a file say it.
 */

#include "basic/macro.h"

typedef enum VfSetting {
        VF_MAC_ADDRESS, /* the 48 bits as a number: 02:00:00:00:10:00 is 0x020000001000 */
        VF_VLAN,        /* 0: none, up to 4094 */
        VF_VLAN_QOS,    /* 0 to 7 */
        VF_TRUST,       /* 0 or 1 */
        VF_SPOOF_CHECK, /* 0 or 1 */
        VF_LINK_STATE,  /* enum VfLinkState */
        VF_MAX_TX_RATE, /* Mbit/s, 0: no limit */
        VF_MIN_TX_RATE, /* Mbit/s, 0: none is guaranteed */
        _VF_SETTING_MAX,
} VfSetting;

const char *vf_setting_to_string(VfSetting s); /* as in files: "MACAddress", "VLANQoS", … */
int vf_setting_from_string(const char *s);

typedef enum VfLinkState { /* as in the kernel's IFLA_VF_LINK_STATE_* */
                           VF_LINK_AUTO,
                           VF_LINK_ENABLE,
                           VF_LINK_DISABLE,
                           _VF_LINK_STATE_MAX,
} VfLinkState;

const char *vf_link_state_to_string(VfLinkState s); /* "auto", "enable", "disable" */
int vf_link_state_from_string(const char *s);

/* Some settings. What is not in `set` is not declared, or not reported by the driver. */
typedef struct VfSettings {
        uint32_t set; /* bit per VfSetting */
        uint64_t values[_VF_SETTING_MAX];
} VfSettings;

static inline bool vf_settings_has(const VfSettings *s, VfSetting which)
{
        return s->set >> which & 1;
}

static inline void vf_settings_put(VfSettings *s, VfSetting which, uint64_t value)
{
        s->set |= UINT32_C(1) << which;
        s->values[which] = value;
}

/*
 * What of `wanted` is to be set, given what the driver reports. What it does not report is taken
 * for what every VF has at first: the spoof check on, all else 0. A rate or a tag is set together
 * with its other half, if that is wanted.
 */
VfSettings vf_settings_missing(const VfSettings *wanted, const VfSettings *actual);

/* One value as files have it: "02:00:00:00:10:00", "yes", "auto", "1000". Returns buffer. */
enum { VF_VALUE_SIZE = 24 };
const char *vf_value_format(VfSetting which, uint64_t value, char buffer[static VF_VALUE_SIZE]);

/* "MACAddress=02:00:00:00:10:00 VLAN=100", newly allocated; NULL: out of memory. */
char *vf_settings_format(const VfSettings *s);
