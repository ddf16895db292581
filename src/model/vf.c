/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/vf.h"
#include "basic/strv.h"

#include <stdio.h>

static const char *const vf_setting_names[_VF_SETTING_MAX] = {
        [VF_MAC_ADDRESS] = "MACAddress", [VF_VLAN] = "VLAN",
        [VF_VLAN_QOS] = "VLANQoS",       [VF_TRUST] = "Trust",
        [VF_SPOOF_CHECK] = "SpoofCheck", [VF_LINK_STATE] = "LinkState",
        [VF_MAX_TX_RATE] = "MaxTxRate",  [VF_MIN_TX_RATE] = "MinTxRate",
};

DEFINE_STRING_TABLE(vf_setting, VfSetting);

static const char *const vf_link_state_names[_VF_LINK_STATE_MAX] = {
        [VF_LINK_AUTO] = "auto",
        [VF_LINK_ENABLE] = "enable",
        [VF_LINK_DISABLE] = "disable",
};

DEFINE_STRING_TABLE(vf_link_state, VfLinkState);

/* Settings that one message carries together (kernel: struct ifla_vf_vlan, struct ifla_vf_rate). */
static const struct {
        VfSetting one, other;
} pairs[] = {
        { VF_VLAN, VF_VLAN_QOS },
        { VF_MAX_TX_RATE, VF_MIN_TX_RATE },
};

VfSettings vf_settings_missing(const VfSettings *wanted, const VfSettings *actual)
{
        VfSettings missing = *wanted;

        missing.set = 0;
        for (VfSetting i = 0; i < _VF_SETTING_MAX; i++)
                if (vf_settings_has(wanted, i) &&
                    wanted->values[i] !=
                            (vf_settings_has(actual, i) ? actual->values[i] : i == VF_SPOOF_CHECK))
                        vf_settings_put(&missing, i, wanted->values[i]);
        for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
                uint32_t pair = UINT32_C(1) << pairs[i].one | UINT32_C(1) << pairs[i].other;

                if (missing.set & pair)
                        missing.set |= pair & wanted->set;
        }
        return missing;
}

const char *vf_value_format(VfSetting which, uint64_t value, char buffer[static VF_VALUE_SIZE])
{
        switch (which) {
        case VF_MAC_ADDRESS:
                snprintf(buffer, VF_VALUE_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x",
                         (unsigned)(value >> 40 & 0xff), (unsigned)(value >> 32 & 0xff),
                         (unsigned)(value >> 24 & 0xff), (unsigned)(value >> 16 & 0xff),
                         (unsigned)(value >> 8 & 0xff), (unsigned)(value & 0xff));
                return buffer;
        case VF_TRUST:
        case VF_SPOOF_CHECK:
                return value ? "yes" : "no";
        case VF_LINK_STATE:
                return value < _VF_LINK_STATE_MAX ? vf_link_state_to_string((VfLinkState)value)
                                                  : "";
        default:
                snprintf(buffer, VF_VALUE_SIZE, "%llu", (unsigned long long)value);
                return buffer;
        }
}

char *vf_settings_format(const VfSettings *s)
{
        char value[VF_VALUE_SIZE], *text = NULL;
        const char *space = "";
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (VfSetting i = 0; i < _VF_SETTING_MAX; i++)
                if (vf_settings_has(s, i)) {
                        fprintf(f, "%s%s=%s", space, vf_setting_to_string(i),
                                vf_value_format(i, s->values[i], value));
                        space = " ";
                }
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}
