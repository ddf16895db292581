/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * All files together: directories, drop-ins, users and the kernel command line. A line "@N" begins
 * the Nth of the files below.
 */

#include "config-check.h"
#include "config/load.h"

static const char *const paths[] = {
        "proc/cmdline",
        "etc/passwd",
        "etc/group",
        "etc/vfiod/vfiod.conf",
        "run/vfiod/vfiod.conf.d/50-x.conf",
        "usr/lib/vfiod/devices.d/10-a.conf",
        "etc/vfiod/devices.d/10-a.conf",
        "run/vfiod/devices.d/20-b.conf",
        "etc/vfiod/devices.d/10-a.conf.d/50-y.conf",
};

static const uint8_t *find_mark(const uint8_t *data, size_t size)
{
        for (size_t i = 0; i + 2 < size; i++)
                if (data[i] == '@' && data[i + 1] - '0' < (int)ELEMENTSOF(paths) &&
                    data[i + 1] >= '0' && data[i + 2] == '\n' && (i == 0 || data[i - 1] == '\n'))
                        return data + i;
        return data + size;
}

static void write_files(const uint8_t *data, size_t size)
{
        const uint8_t *end = data + size, *mark = find_mark(data, size);

        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                fuzz_remove(paths[i]);
        while (mark < end) {
                const uint8_t *text = mark + 3, *next = find_mark(text, (size_t)(end - text));

                fuzz_file(paths[mark[1] - '0'], text, (size_t)(next - text));
                mark = next;
        }
}

static void check_config(const Config *c)
{
        check_diagnostics(c);
        check_settings(&c->daemon);
        for (size_t i = 0; i < c->n_rules; i++) {
                check_rule(c->rules[i]);
                CHECK(i == 0 || strcmp(c->rules[i - 1]->name, c->rules[i]->name) < 0);
                CHECK(!strv_contains(c->broken, c->rules[i]->name));
        }
        CHECK(strv_length(c->broken) == 0 || config_has_errors(c));
}

/* The same files again: nothing is lost, and nothing is new. */
static void check_same(const Config *a, const Config *b)
{
        CHECK(a->n_rules == b->n_rules && a->disabled == b->disabled);
        CHECK(strv_equal(a->broken, b->broken));
        for (size_t i = 0; i < a->n_rules; i++)
                CHECK(streq(a->rules[i]->name, b->rules[i]->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(config_freep) Config *c = NULL, *again = NULL, *without = NULL;

        write_files(data, size);
        CHECK(config_load(fuzz_root(), "", NULL, &c) == 0);
        check_config(c);
        CHECK(config_load(fuzz_root(), "", c, &again) == 0);
        check_config(again);
        check_same(c, again);
        /* A file that breaks keeps its last good content. */
        fuzz_file("run/vfiod/devices.d/20-b.conf", "[", 1);
        CHECK(config_load(fuzz_root(), "", c, &without) == 0);
        check_config(without);
        CHECK(!config_find_rule(c, "20-b.conf") || config_find_rule(without, "20-b.conf"));
        return 0;
}
