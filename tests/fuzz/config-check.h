/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What holds for any configuration, whatever the files say. */

#include "basic/parse.h"
#include "config/pattern.h"
#include "fuzz.h"
#include "model/config.h"

enum { VFS_LOOKED_AT = 64 };

static inline bool is_text(const char *s)
{
        return !*text_end(s);
}

/* Reading the normal form again gives the same; a list of indices has become several patterns. */
static inline void check_pattern(MatchKey key, const char *pattern)
{
        _cleanup_free_ char *word = strdup(pattern);
        _cleanup_strv_ char **again = NULL;

        CHECK(word && pattern[pattern[0] == '!']);
        CHECK(pattern_parse(key, word, &again) == 0);
        CHECK(strv_length(again) == 1 && streq(again[0], pattern));
}

static inline void check_match(const Match *m)
{
        bool any = false;

        CHECK(m->expect >= -1 && m->expect <= 65535);
        for (MatchKey k = 0; k < _MATCH_KEY_MAX; k++) {
                CHECK(strv_length(m->patterns[k]) <= CONFIG_VALUES_MAX);
                STRV_FOREACH(p, m->patterns[k])
                        check_pattern(k, *p);
                any |= strv_length(m->patterns[k]) > 0;
        }
        CHECK(any);
}

static inline void check_vf(const Rule *rule, unsigned index)
{
        const VfSettings s = rule_vf_settings(rule, index);
        const char *driver;
        TargetKind kind = rule_vf_target(rule, index, &driver);

        CHECK((kind == TARGET_DRIVER) == (driver != NULL));
        if (vf_settings_has(&s, VF_MAC_ADDRESS)) {
                uint64_t mac = s.values[VF_MAC_ADDRESS];

                CHECK(mac > 0 && mac >> 48 == 0);
                /* How many VFs 'max' gives is not known while files are read. */
                CHECK(!(mac >> 40 & 1) || (rule->num_vfs == VF_COUNT_MAX && index > 0));
        }
        CHECK(!vf_settings_has(&s, VF_VLAN) || s.values[VF_VLAN] <= 4094);
        CHECK(!vf_settings_has(&s, VF_VLAN_QOS) || s.values[VF_VLAN_QOS] <= 7);
        CHECK(!vf_settings_has(&s, VF_LINK_STATE) || s.values[VF_LINK_STATE] < _VF_LINK_STATE_MAX);
}

static inline void check_vf_sections(const Rule *rule)
{
        CHECK(!rule->has_sriov || rule->num_vfs <= VF_COUNT_MAX);
        CHECK(rule->has_sriov || rule->n_vfs == 0);
        for (size_t i = 0; i < rule->n_vfs; i++)
                for (size_t k = 0; k < rule->vfs[i].n_ranges; k++) {
                        const VfRange *r = &rule->vfs[i].ranges[k];

                        CHECK(r->first <= r->last && r->last < rule->num_vfs);
                        CHECK(k == 0 || r[-1].last < r->first);
                }
        for (unsigned i = 0; rule->has_sriov && i < rule->num_vfs && i < VFS_LOOKED_AT; i++)
                check_vf(rule, i);
}

static inline void check_rule(const Rule *rule)
{
        check_match(&rule->match);
        CHECK(rule->target != TARGET_UNMANAGED || rule->has_sriov);
        CHECK((rule->target == TARGET_DRIVER) == (rule->driver != NULL));
        CHECK(!rule->access.has_mode || rule->access.mode <= 0777);
        CHECK(!rule->access.has_uid || rule->access.uid != UINT32_MAX);
        CHECK(!rule->access.has_gid || rule->access.gid != UINT32_MAX);
        check_vf_sections(rule);
}

static inline void check_settings(const DaemonSettings *s)
{
        CHECK(s->write_timeout_usec > 0 && s->retry_max_usec > 0);
        CHECK(s->max_workers >= 1 && s->max_workers <= 64);
        CHECK(s->max_jobs_per_user >= 1 && s->max_jobs_per_user <= 1024);
        STRV_FOREACH(driver, s->allowed_drivers) {
                TargetKind kind;

                CHECK(target_kind_parse(*driver, &kind) == 0 && kind == TARGET_DRIVER);
        }
}

/* They go into the journal, onto the bus and to terminals. */
static inline void check_diagnostics(const Config *c)
{
        for (size_t i = 0; i < c->n_diagnostics; i++) {
                const Diagnostic *d = &c->diagnostics[i];

                CHECK(is_text(d->path) && is_text(d->message) && !strchr(d->message, '\n'));
                CHECK(strlen(d->message) < 512 && (d->line > 0) == (d->column > 0));
        }
}
