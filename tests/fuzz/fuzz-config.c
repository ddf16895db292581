/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One file, read as a device file and as settings. */

#include "../config-parse.h"
#include "config-check.h"

/* Whether the text has that place; one behind the end of a line is part of it. */
static bool has_place(const char *text, size_t size, unsigned line, unsigned column)
{
        const char *end = text + size, *newline;

        for (unsigned i = 1; i < line; i++) {
                newline = memchr(text, '\n', (size_t)(end - text));
                if (!newline)
                        return false;
                text = newline + 1;
        }
        newline = memchr(text, '\n', (size_t)(end - text));
        return column <= (size_t)((newline ? newline : end) - text) + 1;
}

static void check_places(const Config *c, const char *text, size_t size)
{
        check_diagnostics(c);
        for (size_t i = 0; i < c->n_diagnostics; i++) {
                const Diagnostic *d = &c->diagnostics[i];

                CHECK(d->line == 0 || has_place(text, size, d->line, d->column));
        }
}

static void read_rule(const char *text, size_t size)
{
        _cleanup_(config_freep) Config *c = config_new();
        _cleanup_(rule_unrefp) Rule *rule = NULL;

        CHECK(config_parse_rule(c, fuzz_root(), "10-x.conf", "/10-x.conf", text, size, &rule) == 0);
        CHECK(config_has_errors(c) == !rule);
        check_places(c, text, size);
        if (rule)
                check_rule(rule);
}

static void read_settings(const char *text, size_t size)
{
        _cleanup_(config_freep) Config *c = config_new();

        CHECK(config_parse_settings(c, "/vfiod.conf", text, size) == 0);
        check_places(c, text, size);
        check_settings(&c->daemon);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char passwd[] = "root:x:0:0::/root:/bin/sh\nqemu:x:64055:108::/:\nodd:x\n";
        static const char group[] = "root:x:0:\nkvm:x:108:qemu\nodd:x:-1:\n";
        static bool ready;

        if (!ready) {
                fuzz_file("etc/passwd", passwd, strlen(passwd));
                fuzz_file("etc/group", group, strlen(group));
                ready = true;
        }
        read_rule((const char *)data, size);
        read_settings((const char *)data, size);
        return 0;
}
