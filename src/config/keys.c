/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The sections and keys of device files and settings files, and how their values are read. */

#include "basic/io.h"
#include "basic/parse.h"
#include "config/ini.h"
#include "config/pattern.h"
#include "config/source.h"

#include <stdio.h>

#define BLANKS " \t"

enum { USERS_MAX = 8 * 1024 * 1024, WORD_SHOWN_MAX = 64 };

typedef struct Key Key;

/*
 * Puts one word into `field`; "" stands for an empty value. -ENOMEM, -E2BIG for too many values;
 * any other error says that the key cannot have this one.
 */
typedef int (*set_t)(const Source *source, const Key *key, char *word, void *field);

struct Key {
        const char *section, *name;
        set_t set;
        size_t offset;          /* of the field, in Rule, VfSection or DaemonSettings */
        const char *expected;   /* to stand behind "it takes" */
        const char *separators; /* of a list's words; NULL: the value is one word */
        uint64_t min, max;      /* of a number; of a time only the former */
        MatchKey match;         /* of a pattern */
};

static int set_pattern(const Source *source, const Key *key, char *word, void *field)
{
        char ***patterns = field;

        if (word[0])
                return pattern_parse(key->match, word, patterns);
        *patterns = strv_free(*patterns);
        return 0;
}

static int set_drivers(const Source *source, const Key *key, char *word, void *field)
{
        char ***drivers = field;
        TargetKind kind;

        if (!word[0]) {
                *drivers = strv_free(*drivers);
                return 0;
        }
        if (target_kind_parse(word, &kind) < 0 || kind != TARGET_DRIVER)
                return -EINVAL;
        if (strv_length(*drivers) >= CONFIG_VALUES_MAX)
                return -E2BIG;
        return strv_contains(*drivers, word) ? 0 : strv_extend(drivers, word);
}

static int set_hazards(const Source *source, const Key *key, char *word, void *field)
{
        HazardSet *set = field, more;
        int r = hazard_set_parse(word, &more, NULL);

        if (r < 0)
                return r;
        *set = word[0] ? *set | more : 0;
        return 0;
}

static int set_number(const Source *source, const Key *key, char *word, void *field)
{
        unsigned n;

        if (parse_unsigned(word, 10, (unsigned)key->max, &n) < 0 || n < key->min)
                return -EINVAL;
        *(unsigned *)field = n;
        return 0;
}

static int set_expect(const Source *source, const Key *key, char *word, void *field)
{
        if (word[0])
                return set_number(source, key, word, field);
        *(int *)field = -1;
        return 0;
}

static int set_time(const Source *source, const Key *key, char *word, void *field)
{
        uint64_t usec;

        if (parse_sec(word, &usec) < 0 || usec < key->min)
                return -EINVAL;
        *(uint64_t *)field = usec;
        return 0;
}

/* Empty is an error, not the default: an operator may mean no driver, and vfio is not that. */
static int parse_target(const char *word, TargetKind *kind, char **driver)
{
        char *name = NULL;
        int r = target_kind_parse(word, kind);

        if (r < 0)
                return r;
        if (*kind == TARGET_DRIVER) {
                name = strdup(word);
                if (!name)
                        return -ENOMEM;
        }
        free(*driver);
        *driver = name;
        return 0;
}

static int set_target(const Source *source, const Key *key, char *word, void *field)
{
        Rule *rule = field;

        return parse_target(word, &rule->target, &rule->driver);
}

static int set_vf_target(const Source *source, const Key *key, char *word, void *field)
{
        VfSection *section = field;

        return parse_target(word, &section->target, &section->driver);
}

static int set_group_policy(const Source *source, const Key *key, char *word, void *field)
{
        if (word[0] && !streq(word, "whole") && !streq(word, "strict"))
                return -EINVAL;
        *(GroupPolicy *)field = streq(word, "strict") ? GROUP_STRICT : GROUP_WHOLE;
        return 0;
}

/* (uint32_t)-1 means "leave it" to chown(2), so it is no id. */
static int parse_id(const char *s, uint32_t *ret)
{
        return parse_unsigned(s, 10, UINT32_MAX - 1, ret);
}

/*
 * A number, or a name in etc/passwd or etc/group, of which the third field is the id. Never through
 * NSS: a directory server that does not answer must not hold up the boot.
 */
static int find_id(int rootfd, const char *path, const char *name, uint32_t *ret)
{
        _cleanup_free_ char *text = NULL;
        char *rest, *line;
        int r = parse_id(name, ret);

        if (r != -EINVAL)
                return r;
        r = read_file_at(rootfd, path, USERS_MAX, &text, NULL);
        if (r < 0)
                return r;
        rest = text;
        while ((line = strsep(&rest, "\n"))) {
                const char *entry = strsep(&line, ":");

                strsep(&line, ":");
                if (line && streq(entry, name))
                        return parse_id(strsep(&line, ":"), ret);
        }
        return -ENOENT;
}

static int set_owner(const Source *source, const Key *key, char *word, void *field)
{
        Access *access = field;

        access->has_uid = word[0];
        return word[0] ? find_id(source->rootfd, "etc/passwd", word, &access->uid) : 0;
}

static int set_node_group(const Source *source, const Key *key, char *word, void *field)
{
        Access *access = field;

        access->has_gid = word[0];
        return word[0] ? find_id(source->rootfd, "etc/group", word, &access->gid) : 0;
}

static int set_node_mode(const Source *source, const Key *key, char *word, void *field)
{
        Access *access = field;

        access->has_mode = word[0];
        return word[0] ? parse_unsigned(word, 8, 0777, &access->mode) : 0;
}

static int set_vf_count(const Source *source, const Key *key, char *word, void *field)
{
        if (!streq(word, "max"))
                return set_number(source, key, word, field);
        *(unsigned *)field = VF_COUNT_MAX;
        return 0;
}

static int set_index(const Source *source, const Key *key, char *word, void *field)
{
        return vf_section_add_indices(field, word);
}

/* Empty is an error: it would leave standing what the sections before say. */
static int set_vf_setting(const Source *source, const Key *key, char *word, void *field)
{
        VfSetting which = (VfSetting)vf_setting_from_string(key->name);
        uint64_t value;
        int r = vf_setting_parse(which, word, key->max, &value);

        if (r >= 0)
                vf_settings_put(field, which, value);
        return r;
}

#define RULE(field) offsetof(Rule, field)
#define VFS(field) offsetof(VfSection, field)
#define DAEMON(field) offsetof(DaemonSettings, field)

/* The other keys of [Match] are those of MatchKey. */
static const Key keys[] = {
        { "Match", "Expect", set_expect, RULE(match.expect), .max = 65535,
          .expected = "a number of devices from 0 to 65535" },
        { "Device", "Driver", set_target, 0,
          .expected = "vfio, host, none or the name of a driver" },
        { "Device", "Group", set_group_policy, RULE(group_policy),
          .expected = "whole or strict (for the group of the VFIO node see [Access])" },
        { "Device", "Accept", set_hazards, RULE(accept), .separators = BLANKS ",",
          .expected = "names of hazards, see vfiod.devices(5)" },
        { "Access", "Owner", set_owner, RULE(access),
          .expected = "a number or a name in /etc/passwd" },
        { "Access", "Group", set_node_group, RULE(access),
          .expected = "a number or a name in /etc/group" },
        { "Access", "Mode", set_node_mode, RULE(access),
          .expected = "an octal mode up to 0777, such as 0660" },
        { "SR-IOV", "VirtualFunctions", set_vf_count, RULE(num_vfs), .max = VF_COUNT_MAX,
          .expected = "a number from 0 to 65535, or max" },
        { "VirtualFunction", "Index", set_index, 0, .separators = BLANKS,
          .expected = "indices of VFs such as 0-3,6, each once" },
        { "VirtualFunction", "Driver", set_vf_target, 0,
          .expected = "vfio, host, none or the name of a driver" },
        { "VirtualFunction", "MACAddress", set_vf_setting, VFS(settings),
          .expected = "a unicast MAC address such as 02:00:00:00:10:00" },
        { "VirtualFunction", "VLAN", set_vf_setting, VFS(settings), .max = 4094,
          .expected = "a number from 1 to 4094, or 0 for none" },
        { "VirtualFunction", "VLANQoS", set_vf_setting, VFS(settings), .max = 7,
          .expected = "a number from 0 to 7" },
        { "VirtualFunction", "Trust", set_vf_setting, VFS(settings), .expected = "yes or no" },
        { "VirtualFunction", "SpoofCheck", set_vf_setting, VFS(settings), .expected = "yes or no" },
        { "VirtualFunction", "LinkState", set_vf_setting, VFS(settings),
          .expected = "auto, enable or disable" },
        { "VirtualFunction", "MaxTxRate", set_vf_setting, VFS(settings), .max = UINT32_MAX - 1,
          .expected = "a number of Mbit/s, or 0 for no limit" },
        { "VirtualFunction", "MinTxRate", set_vf_setting, VFS(settings), .max = UINT32_MAX - 1,
          .expected = "a number of Mbit/s, or 0 for none" },
        { "Daemon", "StartupTimeoutSec", set_time, DAEMON(startup_timeout_usec),
          .expected = "a time such as 500ms, 30s, 5min or infinity" },
        { "Daemon", "WriteTimeoutSec", set_time, DAEMON(write_timeout_usec), .min = 1,
          .expected = "a time above zero such as 500ms, 30s or 5min" },
        { "Daemon", "RetryMaxSec", set_time, DAEMON(retry_max_usec), .min = 1,
          .expected = "a time above zero such as 500ms, 30s or 5min" },
        { "Daemon", "MaxWorkers", set_number, DAEMON(max_workers), .min = 1, .max = 64,
          .expected = "a number from 1 to 64" },
        { "Daemon", "MaxJobsPerUser", set_number, DAEMON(max_jobs_per_user), .min = 1, .max = 1024,
          .expected = "a number from 1 to 1024" },
        { "Daemon", "AllowedDrivers", set_drivers, DAEMON(allowed_drivers), .separators = BLANKS,
          .expected = "names of drivers, separated by white space" },
};

/* A word of any length would flood the journal; its place is given anyway. */
static const char *show(const char *word)
{
        return strlen(word) > WORD_SHOWN_MAX ? "\xe2\x80\xa6" : word;
}

/* What the keys of a section fill. */
static void *find_object(Source *source, const char *section)
{
        Rule *rule = source->rule;

        if (!rule)
                return &source->settings;
        return streq(section, "VirtualFunction") ? (void *)&rule->vfs[rule->n_vfs - 1] : rule;
}

/* Remembers where something stands of which only the whole shows whether it can hold. */
static void note_place(Source *source, const Key *key, unsigned line, unsigned column)
{
        const Place place = { source->path, line, column };
        int setting = vf_setting_from_string(key->name);

        if (key->set == set_vf_count)
                source->sriov = place;
        else if (key->set == set_index)
                source->vf_places[source->rule->n_vfs - 1].index = place;
        else if (key->set == set_vf_setting)
                source->vf_places[source->rule->n_vfs - 1].settings[setting] = place;
}

static int set_word(Source *source, const Key *key, const IniLine *line, char *word)
{
        unsigned column = line->value_column + (unsigned)(word - line->value);
        _cleanup_free_ char *copy = strdup(word);
        int r;

        if (!copy)
                return -ENOMEM;
        r = key->set(source, key, word, (char *)find_object(source, key->section) + key->offset);
        if (r >= 0)
                note_place(source, key, line->number, column);
        if (r == -ENOMEM || r >= 0)
                return r;
        if (r == -E2BIG)
                return source_report(source, line->number, column, true,
                                     "'%s=' has more than %d values", key->name, CONFIG_VALUES_MAX);
        return source_report(source, line->number, column, true,
                             "'%s=' cannot be '%s': it takes %s", key->name, show(copy),
                             key->expected);
}

static int set_value(Source *source, const Key *key, const IniLine *line)
{
        const char *separators = strempty(key->separators);
        char *next = line->value + strspn(line->value, separators);
        int r;

        do {
                char *word = next;

                next += strcspn(next, separators);
                if (*next)
                        *next++ = 0;
                next += strspn(next, separators);
                r = set_word(source, key, line, word);
        } while (r >= 0 && *next);
        return r;
}

static bool section_is_known(const Source *source, const char *section)
{
        static const char *const names[] = { "Match", "Device", "Access", "SR-IOV",
                                             "VirtualFunction" };

        if (!source->rule)
                return streq(section, "Daemon");
        return string_table_find(names, ELEMENTSOF(names), section) >= 0;
}

static int begin_section(Source *source, const IniLine *line)
{
        const Place place = { source->path, line->number, line->column };

        if (streq(line->section, "SR-IOV"))
                source_begin_sriov(source, &place);
        else if (streq(line->section, "VirtualFunction"))
                return source_begin_vfs(source, &place);
        else if (streq(line->section, "Device"))
                source->has_device = true;
        return 0;
}

static int read_assignment(Source *source, const IniLine *line)
{
        int match = match_key_from_string(line->key);

        if (streq(line->section, "Match") && match >= 0) {
                const Key key = { "Match",
                                  line->key,
                                  set_pattern,
                                  RULE(match.patterns[match]),
                                  .separators = BLANKS,
                                  .match = (MatchKey)match,
                                  .expected = pattern_expected((MatchKey)match) };

                return set_value(source, &key, line);
        }
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (streq(keys[i].section, line->section) && streq(keys[i].name, line->key))
                        return set_value(source, &keys[i], line);
        return source_report(source, line->number, line->column, false,
                             "unknown key '%s=' in section [%s], ignored", show(line->key),
                             line->section);
}

static int read_line(Source *source, const IniLine *line)
{
        if (line->problem)
                return source_report(source, line->number, line->column, true, "%s", line->problem);
        if (section_is_known(source, line->section))
                return line->key ? read_assignment(source, line) : begin_section(source, line);
        /* One with X- belongs to someone else. */
        if (line->key || startswith(line->section, "X-"))
                return 0;
        return source_report(source, line->number, line->column, true, "unknown section [%s]",
                             show(line->section));
}

int source_read_keys(Source *source, char *text)
{
        IniReader reader = { .rest = text };
        IniLine line;
        int r = 0;

        while (r >= 0 && ini_next(&reader, &line))
                r = read_line(source, &line);
        return r;
}
