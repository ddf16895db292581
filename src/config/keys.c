/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/keys.h"
#include "basic/parse.h"
#include "config/load.h"
#include "config/pattern.h"
#include "config/users.h"

#define BLANKS " \t"

enum { EXPECT_MAX = 65535, WORKERS_MAX = 64, JOBS_PER_USER_MAX = 1024 };

/* `data` is the Rule or the DaemonSettings. */
typedef int (*key_parser_t)(Source *source, const IniEvent *event, void *data);

typedef struct Key {
        const char *section, *name;
        key_parser_t parse;
} Key;

/* A word of a list, with its column in the file. */
typedef struct Word {
        char *text;
        unsigned column;
} Word;

static void word_done(Word *word)
{
        free(word->text);
}

/* 1: a word behind *position. 0: no more. */
static int next_word(const IniEvent *event, const char *separators, const char **position,
                     Word *ret)
{
        const char *start = *position + strspn(*position, separators);
        size_t n = strcspn(start, separators);
        char *text;

        if (n == 0)
                return 0;
        text = strndup(start, n);
        if (!text)
                return -ENOMEM;
        *position = start + n;
        *ret = (Word){ text, event->value_column + (unsigned)(start - event->value) };
        return 1;
}

/* Says what a key takes, at the column of what it does not take. */
static int report_value(Source *source, const IniEvent *event, unsigned column, const char *value,
                        const char *expected)
{
        if (!value[0])
                return source_report(source, event->line, column, true,
                                     "'%s=' is empty: it takes %s", event->key, expected);
        return source_report(source, event->line, column, true, "'%s=' cannot be '%s': it takes %s",
                             event->key, CLIP(value), expected);
}

static int report_too_many(Source *source, const IniEvent *event, unsigned column)
{
        return source_report(source, event->line, column, true,
                             "'%s=' has more than %d values: use globs or more files", event->key,
                             CONFIG_VALUES_MAX);
}

static int parse_pattern_word(Source *source, const IniEvent *event, MatchKey key, const Word *word,
                              char ***patterns)
{
        int r;

        r = pattern_parse(key, word->text, patterns);
        if (r != -EINVAL)
                return r;
        if (key != MATCH_VIRTUAL_FUNCTION && strchr(word->text, ','))
                return source_report(source, event->line,
                                     word->column + (unsigned)strcspn(word->text, ","), true,
                                     "'%s=' has a comma: its values are separated by white space",
                                     event->key);
        return report_value(source, event, word->column, word->text, pattern_expected(key));
}

static int parse_patterns(Source *source, const IniEvent *event, MatchKey key, Rule *rule)
{
        char ***patterns = &rule->match.patterns[key];
        const char *position = event->value;
        size_t n;
        int r;

        if (!event->value[0]) {
                *patterns = strv_free(*patterns);
                return 0;
        }
        for (n = strv_length(*patterns); n < CONFIG_VALUES_MAX; n++) {
                _cleanup_(word_done) Word word = { 0 };

                r = next_word(event, BLANKS, &position, &word);
                if (r <= 0)
                        return r;
                r = parse_pattern_word(source, event, key, &word, patterns);
                if (r < 0)
                        return r;
        }
        return position[0] ? report_too_many(source, event, event->value_column) : 0;
}

static int parse_expect(Source *source, const IniEvent *event, void *data)
{
        Rule *rule = data;
        uint64_t n;

        if (!event->value[0]) {
                rule->match.expect = -1;
                return 0;
        }
        if (parse_uint(event->value, 10, EXPECT_MAX, &n) < 0)
                return report_value(source, event, event->value_column, event->value,
                                    "a number of devices from 0 to 65535");
        rule->match.expect = (int)n;
        return 0;
}

/* Empty is an error, not the default: an operator may mean no driver, and vfio is not that. */
static int parse_target(Source *source, const IniEvent *event, void *data)
{
        Rule *rule = data;
        TargetKind kind;
        char *driver = NULL;

        if (target_kind_parse(event->value, &kind) < 0)
                return report_value(source, event, event->value_column, event->value,
                                    "vfio, host, none or the name of a driver");
        if (kind == TARGET_DRIVER) {
                driver = strdup(event->value);
                if (!driver)
                        return -ENOMEM;
        }
        free(rule->driver);
        rule->driver = driver;
        rule->target = kind;
        return 0;
}

static int parse_group_policy(Source *source, const IniEvent *event, void *data)
{
        Rule *rule = data;

        if (!event->value[0] || streq(event->value, "whole"))
                rule->group_policy = GROUP_WHOLE;
        else if (streq(event->value, "strict"))
                rule->group_policy = GROUP_STRICT;
        else
                return report_value(source, event, event->value_column, event->value,
                                    "whole or strict (the group that owns the VFIO node is "
                                    "'Group=' in section [Access])");
        return 0;
}

static int parse_accept(Source *source, const IniEvent *event, void *data)
{
        const char *position = event->value;
        Rule *rule = data;
        int r;

        if (!event->value[0])
                rule->accept = 0;
        for (;;) {
                _cleanup_(word_done) Word word = { 0 };
                HazardSet hazard;

                r = next_word(event, BLANKS ",", &position, &word);
                if (r <= 0)
                        return r;
                r = hazard_set_parse(word.text, &hazard, NULL);
                if (r == -EINVAL)
                        r = source_report(source, event->line, word.column, true,
                                          "'Accept=' names an unknown hazard '%s'",
                                          CLIP(word.text));
                else if (r >= 0)
                        rule->accept |= hazard;
                if (r < 0)
                        return r;
        }
}

static int report_lookup(Source *source, const IniEvent *event, int error, const char *what,
                         const char *database)
{
        if (error == -ENOENT)
                return source_report(source, event->line, event->value_column, true,
                                     "'%s=' names an unknown %s '%s': it is not in /%s, and one "
                                     "from elsewhere is given by its number",
                                     event->key, what, CLIP(event->value), database);
        if (error == -EINVAL)
                return report_value(source, event, event->value_column, event->value,
                                    "a name or a number below 4294967295");
        return source_report(source, event->line, event->value_column, true,
                             "'%s=' cannot be looked up in /%s: %s", event->key, database,
                             strerror(-error));
}

static int parse_owner(Source *source, const IniEvent *event, void *data)
{
        Access *access = &((Rule *)data)->access;
        int r;

        access->has_uid = false;
        if (!event->value[0])
                return 0;
        r = user_lookup(source->rootfd, event->value, &access->uid);
        if (r < 0)
                return report_lookup(source, event, r, "user", "etc/passwd");
        access->has_uid = true;
        return 0;
}

static int parse_node_group(Source *source, const IniEvent *event, void *data)
{
        Access *access = &((Rule *)data)->access;
        int r;

        access->has_gid = false;
        if (!event->value[0])
                return 0;
        r = group_lookup(source->rootfd, event->value, &access->gid);
        if (r < 0)
                return report_lookup(source, event, r, "group", "etc/group");
        access->has_gid = true;
        return 0;
}

static int parse_node_mode(Source *source, const IniEvent *event, void *data)
{
        Access *access = &((Rule *)data)->access;
        mode_t mode;

        access->has_mode = false;
        if (!event->value[0])
                return 0;
        if (parse_mode(event->value, &mode) < 0)
                return report_value(source, event, event->value_column, event->value,
                                    "an octal mode up to 0777, such as 0660");
        access->mode = mode;
        access->has_mode = true;
        return 0;
}

static int parse_timeout(Source *source, const IniEvent *event, bool zero, uint64_t *ret)
{
        uint64_t usec;

        if (parse_sec(event->value, &usec) < 0 || (usec == 0 && !zero))
                return report_value(source, event, event->value_column, event->value,
                                    zero ? "a time such as 500ms, 30s, 5min or infinity"
                                         : "a time above zero such as 500ms, 30s or 5min");
        *ret = usec;
        return 0;
}

static int parse_startup_timeout(Source *source, const IniEvent *event, void *data)
{
        return parse_timeout(source, event, true, &((DaemonSettings *)data)->startup_timeout_usec);
}

static int parse_write_timeout(Source *source, const IniEvent *event, void *data)
{
        return parse_timeout(source, event, false, &((DaemonSettings *)data)->write_timeout_usec);
}

static int parse_retry_max(Source *source, const IniEvent *event, void *data)
{
        return parse_timeout(source, event, false, &((DaemonSettings *)data)->retry_max_usec);
}

static int parse_max_workers(Source *source, const IniEvent *event, void *data)
{
        uint64_t n;

        if (parse_uint(event->value, 10, WORKERS_MAX, &n) < 0 || n == 0)
                return report_value(source, event, event->value_column, event->value,
                                    "a number from 1 to 64");
        ((DaemonSettings *)data)->max_workers = (unsigned)n;
        return 0;
}

static int parse_max_jobs_per_user(Source *source, const IniEvent *event, void *data)
{
        uint64_t n;

        if (parse_uint(event->value, 10, JOBS_PER_USER_MAX, &n) < 0 || n == 0)
                return report_value(source, event, event->value_column, event->value,
                                    "a number from 1 to 1024");
        ((DaemonSettings *)data)->max_jobs_per_user = (unsigned)n;
        return 0;
}

static int parse_allowed_drivers(Source *source, const IniEvent *event, void *data)
{
        DaemonSettings *settings = data;
        const char *position = event->value;
        int r;

        if (!event->value[0]) {
                settings->allowed_drivers = strv_free(settings->allowed_drivers);
                return 0;
        }
        for (size_t n = strv_length(settings->allowed_drivers); n < CONFIG_VALUES_MAX; n++) {
                _cleanup_(word_done) Word word = { 0 };
                TargetKind kind;

                r = next_word(event, BLANKS, &position, &word);
                if (r <= 0)
                        return r;
                if (target_kind_parse(word.text, &kind) < 0 || kind != TARGET_DRIVER)
                        r = report_value(source, event, word.column, word.text,
                                         "names of drivers, separated by white space");
                else if (!strv_contains(settings->allowed_drivers, word.text))
                        r = strv_extend(&settings->allowed_drivers, word.text);
                if (r < 0)
                        return r;
        }
        return position[0] ? report_too_many(source, event, event->value_column) : 0;
}

/* The other keys of [Match] are those of MatchKey. */
static const Key rule_keys[] = {
        { "Match", "Expect", parse_expect },       { "Device", "Driver", parse_target },
        { "Device", "Group", parse_group_policy }, { "Device", "Accept", parse_accept },
        { "Access", "Owner", parse_owner },        { "Access", "Group", parse_node_group },
        { "Access", "Mode", parse_node_mode },     { 0 },
};

static const Key settings_keys[] = {
        { "Daemon", "StartupTimeoutSec", parse_startup_timeout },
        { "Daemon", "WriteTimeoutSec", parse_write_timeout },
        { "Daemon", "RetryMaxSec", parse_retry_max },
        { "Daemon", "MaxWorkers", parse_max_workers },
        { "Daemon", "MaxJobsPerUser", parse_max_jobs_per_user },
        { "Daemon", "AllowedDrivers", parse_allowed_drivers },
        { 0 },
};

/* What is read, and into what. */
typedef struct Reading {
        Source *source;
        const Key *keys;
        Rule *rule; /* or NULL */
        void *data;
        on_section_t on_section;
        void *userdata;
} Reading;

static bool section_is_known(const Key *keys, const char *section)
{
        for (; keys->section; keys++)
                if (streq(keys->section, section))
                        return true;
        return false;
}

static int read_section(const Reading *reading, const IniEvent *event)
{
        if (startswith(event->section, "X-"))
                return 0;
        if (!section_is_known(reading->keys, event->section))
                return source_report(reading->source, event->line, event->column, true,
                                     "unknown section [%s]", CLIP(event->section));
        if (reading->on_section)
                reading->on_section(reading->userdata, event);
        return 0;
}

static int read_assignment(const Reading *reading, const IniEvent *event)
{
        int match_key = match_key_from_string(event->key);

        /* An unknown section has been told of, and one with X- belongs to someone else. */
        if (!section_is_known(reading->keys, event->section))
                return 0;
        if (reading->rule && streq(event->section, "Match") && match_key >= 0)
                return parse_patterns(reading->source, event, (MatchKey)match_key, reading->rule);
        for (const Key *key = reading->keys; key->section; key++)
                if (streq(key->section, event->section) && streq(key->name, event->key))
                        return key->parse(reading->source, event, reading->data);
        return source_report(reading->source, event->line, event->column, false,
                             "unknown key '%s=' in section [%s], ignored", CLIP(event->key),
                             event->section);
}

static int read_event(const Reading *reading, const IniEvent *event)
{
        switch (event->kind) {
        case INI_SECTION:
                return read_section(reading, event);
        case INI_ASSIGNMENT:
                return read_assignment(reading, event);
        default:
                return source_report(reading->source, event->line, event->column, true, "%s",
                                     event->problem);
        }
}

static int read_text(const Reading *reading, const char *text, size_t size)
{
        _cleanup_(ini_done) IniReader reader = { 0 };
        IniEvent event;
        int r;

        if (size > CONFIG_FILE_MAX)
                return source_report(reading->source, 0, 0, true, "is larger than %d bytes",
                                     CONFIG_FILE_MAX);
        r = ini_init(&reader, text, size);
        if (r < 0)
                return r;
        for (ini_next(&reader, &event); event.kind != INI_END; ini_next(&reader, &event)) {
                r = read_event(reading, &event);
                if (r < 0)
                        return r;
        }
        return 0;
}

int keys_read_rule(Source *source, const char *text, size_t size, Rule *rule,
                   on_section_t on_section, void *userdata)
{
        const Reading reading = { source, rule_keys, rule, rule, on_section, userdata };

        return read_text(&reading, text, size);
}

int keys_read_settings(Source *source, const char *text, size_t size, DaemonSettings *settings)
{
        const Reading reading = { source, settings_keys, NULL, settings, NULL, NULL };

        return read_text(&reading, text, size);
}
