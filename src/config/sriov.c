/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The sections about VFs: their values, and what they say as a whole. */

#include "basic/parse.h"
#include "config/pattern.h"
#include "config/source.h"
#include "model/desired.h"

#include <limits.h>

enum { COUNT_MISSING = UINT_MAX }; /* in Rule.num_vfs while VirtualFunctions= has not been read */

typedef struct VfMac {
        uint64_t mac;
        unsigned index;
} VfMac;

void source_begin_sriov(Source *source, const Place *place)
{
        if (source->rule->has_sriov)
                return;
        source->rule->has_sriov = true;
        source->rule->num_vfs = COUNT_MISSING;
        source->sriov = *place;
}

int source_begin_vfs(Source *source, const Place *place)
{
        Rule *rule = source->rule;

        if (rule->n_vfs >= CONFIG_VALUES_MAX)
                return source_report(source, place->line, place->column, true,
                                     "has more than %d sections [VirtualFunction]",
                                     CONFIG_VALUES_MAX);
        if (!GROW(source->vf_places, rule->n_vfs) || !GROW(rule->vfs, rule->n_vfs))
                return -ENOMEM;
        source->vf_places[rule->n_vfs] = (VfPlaces){ .index = *place };
        rule->vfs[rule->n_vfs++] = (VfSection){ 0 };
        return 0;
}

/* A VF named twice would have two places among the section's MAC addresses. */
static int add_range(VfSection *section, VfRange range)
{
        size_t i = section->n_ranges;

        for (size_t k = 0; k < section->n_ranges; k++)
                if (range.first <= section->ranges[k].last &&
                    section->ranges[k].first <= range.last)
                        return -EEXIST;
        if (section->n_ranges >= CONFIG_VALUES_MAX)
                return -E2BIG;
        while (i > 0 && section->ranges[i - 1].first > range.first)
                i--;
        if (!INSERT(section->ranges, section->n_ranges, i))
                return -ENOMEM;
        section->ranges[i] = range;
        return 0;
}

int vf_section_add_indices(VfSection *section, char *word)
{
        const char *s;
        VfRange range;
        int r = 0;

        if (!word[0]) {
                section->n_ranges = 0;
                return 0;
        }
        while (r >= 0 && (s = strsep(&word, ","))) {
                r = vf_range_parse(s, &range);
                if (r >= 0)
                        r = add_range(section, range);
        }
        return r;
}

/* One that is not unicast cannot be a VF's own, and zero means none to the kernel. */
static int parse_mac_number(const char *word, uint64_t *ret)
{
        uint8_t mac[6];

        if (parse_mac(word, mac) < 0 || mac[0] & 1 || mac_to_number(mac) == 0)
                return -EINVAL;
        *ret = mac_to_number(mac);
        return 0;
}

int vf_setting_parse(VfSetting which, const char *word, uint64_t max, uint64_t *ret)
{
        bool on;
        int r;

        switch (which) {
        case VF_MAC_ADDRESS:
                return parse_mac_number(word, ret);
        case VF_TRUST:
        case VF_SPOOF_CHECK:
                r = parse_boolean(word, &on);
                if (r >= 0)
                        *ret = on;
                return r;
        case VF_LINK_STATE:
                r = vf_link_state_from_string(word);
                if (r >= 0)
                        *ret = (uint64_t)r;
                return MIN(r, 0);
        default:
                return parse_uint(word, 10, max, ret);
        }
}

#define REPORT(source, place, error, ...)                                              \
        ({                                                                             \
                const Place *_at = (place);                                            \
                (source)->path = _at->path;                                            \
                source_report((source), _at->line, _at->column, (error), __VA_ARGS__); \
        })

static int check_indices(Source *source)
{
        const Rule *rule = source->rule;
        int r = 0;

        if (!rule->has_sriov)
                return 0;
        for (size_t i = 0; r >= 0 && i < rule->n_vfs; i++) {
                const VfSection *s = &rule->vfs[i];

                if (s->n_ranges > 0 && s->ranges[s->n_ranges - 1].last >= rule->num_vfs)
                        r = REPORT(source, &source->vf_places[i].index, true,
                                   "'Index=' cannot have VF %u: there are %u VFs, counted from 0",
                                   s->ranges[s->n_ranges - 1].last, rule->num_vfs);
        }
        return r;
}

static int check_sections(Source *source)
{
        const Rule *rule = source->rule;

        if (!rule->has_sriov)
                return REPORT(source, &source->vf_places[0].index, true,
                              "has [VirtualFunction] without [SR-IOV], which says how many");
        if (rule->num_vfs == COUNT_MISSING)
                return REPORT(source, &source->sriov, true,
                              "has [SR-IOV] without 'VirtualFunctions=', which says how many");
        if (rule->num_vfs > 0 && !target_keeps_vfs(rule->target, rule->driver))
                return REPORT(source, &source->sriov, true,
                              "'VirtualFunctions=' needs the PF on a driver of the host: "
                              "leave out 'Driver=', or set 'Driver=host'");
        return 0;
}

/* Where the setting of a VF comes from. */
static const Place *find_place(const Source *source, unsigned index, VfSetting which)
{
        const VfSection *vfs = source->rule->vfs;
        size_t i = source->rule->n_vfs;

        while (--i > 0)
                if (vf_settings_has(&vfs[i].settings, which) &&
                    vf_section_has(&vfs[i], index, NULL))
                        break;
        return &source->vf_places[i].settings[which];
}

static int check_vf(Source *source, unsigned index, const VfSettings *s)
{
        if (vf_settings_has(s, VF_MAC_ADDRESS) && s->values[VF_MAC_ADDRESS] >> 40 & 1)
                return REPORT(source, find_place(source, index, VF_MAC_ADDRESS), true,
                              "'MACAddress=' would give VF %u the multicast address %s", index,
                              vf_value_format(VF_MAC_ADDRESS, s->values[VF_MAC_ADDRESS],
                                              (char[VF_VALUE_SIZE]){ 0 }));
        if (vf_settings_has(s, VF_MIN_TX_RATE) && vf_settings_has(s, VF_MAX_TX_RATE) &&
            s->values[VF_MAX_TX_RATE] > 0 && s->values[VF_MIN_TX_RATE] > s->values[VF_MAX_TX_RATE])
                return REPORT(source, find_place(source, index, VF_MIN_TX_RATE), true,
                              "'MinTxRate=' of VF %u is over its 'MaxTxRate='", index);
        return 0;
}

static int compare_macs(const void *a, const void *b)
{
        const VfMac *x = a, *y = b;

        if (x->mac != y->mac)
                return x->mac < y->mac ? -1 : 1;
        return x->index < y->index ? -1 : x->index > y->index;
}

static int check_macs(Source *source, VfMac *macs, size_t n)
{
        qsort(macs, n, sizeof(VfMac), compare_macs);
        for (size_t i = 1; i < n; i++)
                if (macs[i - 1].mac == macs[i].mac)
                        return REPORT(source, find_place(source, macs[i].index, VF_MAC_ADDRESS),
                                      true, "'MACAddress=' would give VF %u and VF %u both %s",
                                      macs[i - 1].index, macs[i].index,
                                      vf_value_format(VF_MAC_ADDRESS, macs[i].mac,
                                                      (char[VF_VALUE_SIZE]){ 0 }));
        return 0;
}

/* Of 'max' only those that the file names are known to be meant, and there is one at least. */
static unsigned count_known_vfs(const Rule *rule)
{
        unsigned n = 1;

        if (rule->num_vfs < VF_COUNT_MAX)
                return rule->num_vfs;
        for (size_t i = 0; i < rule->n_vfs; i++)
                if (rule->vfs[i].n_ranges > 0)
                        n = MAX(n, rule->vfs[i].ranges[rule->vfs[i].n_ranges - 1].last + 1);
        return n;
}

/* The first fault stands for all, as most are those of a whole range. */
static int check_vfs(Source *source)
{
        unsigned n_vfs = count_known_vfs(source->rule);
        _cleanup_free_ VfMac *macs = calloc(n_vfs + 1, sizeof(VfMac));
        size_t n = 0;
        int r = 0;

        if (!macs)
                return -ENOMEM;
        for (unsigned i = 0; r >= 0 && source->n_errors == 0 && i < n_vfs; i++) {
                VfSettings s = rule_vf_settings(source->rule, i);

                r = check_vf(source, i, &s);
                if (vf_settings_has(&s, VF_MAC_ADDRESS))
                        macs[n++] = (VfMac){ s.values[VF_MAC_ADDRESS], i };
        }
        return r < 0 || source->n_errors > 0 ? r : check_macs(source, macs, n);
}

/* Each PF that the file matches would give its VFs the same addresses. */
static int warn_of_shared_macs(Source *source)
{
        const Match *match = &source->rule->match;
        char **address = match->patterns[MATCH_ADDRESS];

        if (match->expect == 1 || (strv_length(address) == 1 && !strpbrk(address[0], "!*?[")))
                return 0;
        for (size_t i = 0; i < source->rule->n_vfs; i++)
                if (vf_settings_has(&source->rule->vfs[i].settings, VF_MAC_ADDRESS))
                        return REPORT(source, &source->vf_places[i].settings[VF_MAC_ADDRESS], false,
                                      "'MACAddress=' is the same for each PF that the file "
                                      "matches: add 'Expect=1' to [Match]");
        return 0;
}

int source_check_sriov(Source *source)
{
        static int (*const checks[])(Source * source) = { check_sections, check_vfs,
                                                          warn_of_shared_macs };
        int r;

        if (!source->rule->has_sriov && source->rule->n_vfs == 0)
                return 0;
        r = check_indices(source);
        /* The rest would be mere guesses while values could not be read. */
        for (size_t i = 0; r >= 0 && source->n_errors == 0 && i < ELEMENTSOF(checks); i++)
                r = checks[i](source);
        return r;
}
