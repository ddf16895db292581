/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/rule.h"
#include "config/keys.h"
#include "config/load.h"

int rule_reader_init(RuleReader *reader, Config *config, int rootfd, const char *name,
                     const char *path)
{
        Rule *rule = rule_new(name, path);

        if (!rule)
                return -ENOMEM;
        rule->target = TARGET_VFIO;
        *reader = (RuleReader){ .config = config, .rootfd = rootfd, .rule = rule };
        return 0;
}

void rule_reader_done(RuleReader *reader)
{
        reader->rule = rule_unref(reader->rule);
}

static void on_section(void *userdata, const IniEvent *event)
{
        RuleReader *reader = userdata;

        reader->has_section = true;
        if (streq(event->section, "Device"))
                reader->has_device = true;
        if (streq(event->section, "Match") && reader->match_line == 0)
                reader->match_line = event->line;
}

int rule_reader_feed(RuleReader *reader, const char *path, const char *text, size_t size)
{
        Source source = { .config = reader->config, .path = path, .rootfd = reader->rootfd };
        int r;

        r = keys_read_rule(&source, text, size, reader->rule, on_section, reader);
        if (r < 0)
                return r;
        if (source.n_errors > 0)
                reader->failed = true;
        return 0;
}

static bool match_is_empty(const Match *match)
{
        for (size_t i = 0; i < _MATCH_KEY_MAX; i++)
                if (match->patterns[i])
                        return false;
        return true;
}

static int check_whole(RuleReader *reader)
{
        const char *path = reader->rule->path;
        int r = 0;

        if (!reader->has_section) {
                reader->failed = true;
                return config_add_diagnostic(reader->config, path, 0, 0, true,
                                             "has no section: empty it to switch it off, or remove "
                                             "it");
        }
        if (match_is_empty(&reader->rule->match)) {
                reader->failed = true;
                r = config_add_diagnostic(reader->config, path, reader->match_line,
                                          reader->match_line > 0, true,
                                          "has no [Match] key, so it would match every device: "
                                          "'Address=*' says so explicitly");
        }
        if (r >= 0 && !reader->has_device) {
                reader->failed = true;
                r = config_add_diagnostic(reader->config, path, 0, 0, true,
                                          "says nothing about what is wanted: it has no section "
                                          "[Device]");
        }
        return r;
}

int rule_reader_finish(RuleReader *reader, Rule **ret)
{
        int r;

        /* What is missing says nothing while lines could not be read. */
        if (!reader->failed) {
                r = check_whole(reader);
                if (r < 0)
                        return r;
        }
        *ret = reader->failed ? NULL : TAKE_PTR(reader->rule);
        return 0;
}

int config_parse_rule(Config *c, int rootfd, const char *name, const char *path, const char *text,
                      size_t size, Rule **ret)
{
        _cleanup_(rule_reader_done) RuleReader reader = { 0 };
        int r;

        r = rule_reader_init(&reader, c, rootfd, name, path);
        if (r < 0)
                return r;
        r = rule_reader_feed(&reader, path, text, size);
        if (r < 0)
                return r;
        return rule_reader_finish(&reader, ret);
}
