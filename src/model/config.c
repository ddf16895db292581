/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/config.h"
#include "basic/parse.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const match_key_names[_MATCH_KEY_MAX] = {
        [MATCH_ADDRESS] = "Address",
        [MATCH_ID] = "Id",
        [MATCH_SUBSYSTEM_ID] = "SubsystemId",
        [MATCH_CLASS] = "Class",
        [MATCH_DRIVER] = "Driver",
        [MATCH_PATH] = "Path",
        [MATCH_SLOT] = "Slot",
        [MATCH_SERIAL_NUMBER] = "SerialNumber",
        [MATCH_MAC_ADDRESS] = "MACAddress",
        [MATCH_PHYSICAL_FUNCTION] = "PhysicalFunction",
        [MATCH_VIRTUAL_FUNCTION] = "VirtualFunction",
        [MATCH_NUMA_NODE] = "NUMANode",
};

DEFINE_STRING_TABLE(match_key, MatchKey);

static const char *const target_words[_TARGET_KIND_MAX] = {
        [TARGET_VFIO] = "vfio",
        [TARGET_HOST] = "host",
        [TARGET_NONE] = "none",
};

int target_kind_parse(const char *s, TargetKind *ret)
{
        TargetKind kind = TARGET_UNMANAGED;

        while (kind < _TARGET_KIND_MAX && !streq_ptr(target_words[kind], s))
                kind++;
        if (kind == _TARGET_KIND_MAX && !name_is_valid(s))
                return -EINVAL;
        *ret = kind < _TARGET_KIND_MAX ? kind : TARGET_DRIVER;
        return 0;
}

const char *target_kind_word(TargetKind kind, const char *driver)
{
        return strempty(kind == TARGET_DRIVER ? driver : target_words[kind]);
}

Rule *rule_new(const char *name, const char *path)
{
        Rule *r = calloc(1, sizeof(Rule));

        if (!r)
                return NULL;
        r->n_ref = 1;
        r->match.expect = -1;
        r->name = strdup(name);
        r->path = strdup(path);
        return r->name && r->path ? r : rule_unref(r);
}

Rule *rule_ref(Rule *r)
{
        r->n_ref++;
        return r;
}

Rule *rule_unref(Rule *r)
{
        if (!r || --r->n_ref > 0)
                return NULL;
        for (size_t i = 0; i < _MATCH_KEY_MAX; i++)
                strv_free(r->match.patterns[i]);
        for (size_t i = 0; i < r->n_vfs; i++) {
                free(r->vfs[i].ranges);
                free(r->vfs[i].driver);
        }
        free(r->vfs);
        free(r->name);
        free(r->path);
        free(r->driver);
        free(r);
        return NULL;
}

bool vf_section_has(const VfSection *s, unsigned index, unsigned *ret_position)
{
        unsigned before = 0;

        for (size_t i = 0; i < s->n_ranges; i++) {
                const VfRange *range = &s->ranges[i];

                if (index >= range->first && index <= range->last) {
                        if (ret_position)
                                *ret_position = before + index - range->first;
                        return true;
                }
                before += range->last - range->first + 1;
        }
        if (s->n_ranges == 0 && ret_position)
                *ret_position = index;
        return s->n_ranges == 0;
}

VfSettings rule_vf_settings(const Rule *r, unsigned index)
{
        VfSettings settings = { 0 };

        for (size_t i = 0; i < r->n_vfs; i++) {
                const VfSettings *said = &r->vfs[i].settings;
                unsigned position;

                if (!vf_section_has(&r->vfs[i], index, &position))
                        continue;
                for (VfSetting k = 0; k < _VF_SETTING_MAX; k++)
                        if (vf_settings_has(said, k))
                                vf_settings_put(&settings, k,
                                                said->values[k] +
                                                        (k == VF_MAC_ADDRESS ? position : 0));
        }
        return settings;
}

TargetKind rule_vf_target(const Rule *r, unsigned index, const char **ret_driver)
{
        TargetKind kind = TARGET_UNMANAGED;

        *ret_driver = NULL;
        for (size_t i = 0; i < r->n_vfs; i++)
                if (r->vfs[i].target != TARGET_UNMANAGED &&
                    vf_section_has(&r->vfs[i], index, NULL)) {
                        kind = r->vfs[i].target;
                        *ret_driver = r->vfs[i].driver;
                }
        return kind;
}

Config *config_new(void)
{
        Config *c = calloc(1, sizeof(Config));

        if (!c)
                return NULL;
        c->daemon = (DaemonSettings){
                .startup_timeout_usec = 30 * USEC_PER_SEC,
                .write_timeout_usec = 30 * USEC_PER_SEC,
                .retry_max_usec = 300 * USEC_PER_SEC,
                .max_workers = 4,
                .max_jobs_per_user = 16,
        };
        if (strv_extend(&c->daemon.allowed_drivers, "vfio-pci") < 0)
                return config_free(c);
        return c;
}

Config *config_free(Config *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_rules; i++)
                rule_unref(c->rules[i]);
        for (size_t i = 0; i < c->n_diagnostics; i++) {
                free(c->diagnostics[i].path);
                free(c->diagnostics[i].message);
        }
        free(c->rules);
        free(c->diagnostics);
        strv_free(c->daemon.allowed_drivers);
        strv_free(c->broken);
        strv_free(c->skipped);
        free(c);
        return NULL;
}

const Rule *config_find_rule(const Config *c, const char *name)
{
        for (size_t i = 0; i < c->n_rules; i++)
                if (streq(c->rules[i]->name, name))
                        return c->rules[i];
        return NULL;
}

bool config_rule_is_broken(const Config *config, const char *name)
{
        return strv_contains(config->broken, name) ||
               strv_contains(config->broken, CONFIG_BROKEN_ANY);
}

int config_add_rule(Config *c, Rule *r)
{
        size_t i = c->n_rules;

        while (i > 0 && strcmp(c->rules[i - 1]->name, r->name) > 0)
                i--;
        if (!INSERT(c->rules, c->n_rules, i))
                return -ENOMEM;
        c->rules[i] = r;
        return 0;
}

int config_add_diagnostic(Config *c, const char *path, unsigned line, unsigned column, bool error,
                          const char *format, ...)
{
        Diagnostic d = { .line = line, .column = column, .error = error };
        va_list ap;
        int r;

        if (!GROW(c->diagnostics, c->n_diagnostics))
                return -ENOMEM;
        va_start(ap, format);
        r = vasprintf(&d.message, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        d.path = strdup(path);
        if (!d.path) {
                free(d.message);
                return -ENOMEM;
        }
        c->diagnostics[c->n_diagnostics++] = d;
        return 0;
}

bool config_has_errors(const Config *c)
{
        for (size_t i = 0; i < c->n_diagnostics; i++)
                if (c->diagnostics[i].error)
                        return true;
        return false;
}

bool config_uses_serial(const Config *c)
{
        for (size_t i = 0; i < c->n_rules; i++)
                if (c->rules[i]->match.patterns[MATCH_SERIAL_NUMBER])
                        return true;
        return false;
}
