/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Texts of device files, the rules that they give, and what is said about them. */

#include "../config-parse.h"
#include "config-root.h"

#define DEVICE "[Device]\n"
#define MATCH "[Match]\nAddress=41:00.0\n"

static TestRoot test_root;

static inline Config *new_config(void)
{
        Config *c = config_new();

        g_assert_nonnull(c);
        return c;
}

static inline Rule *parse_size(Config *c, const char *text, size_t size)
{
        Rule *rule = NULL;

        g_assert_cmpint(
                config_parse_rule(c, test_root.fd, "10-x.conf", "/10-x.conf", text, size, &rule),
                ==, 0);
        return rule;
}

static inline Rule *parse(Config *c, const char *text)
{
        return parse_size(c, text, strlen(text));
}

/* The rule of a text in which nothing is wrong. */
static inline Rule *parse_good(const char *text)
{
        _cleanup_(config_freep) Config *c = new_config();
        Rule *rule = parse(c, text);

        for (size_t i = 0; i < c->n_diagnostics; i++)
                g_test_message("%u:%u: %s", c->diagnostics[i].line, c->diagnostics[i].column,
                               c->diagnostics[i].message);
        g_assert_cmpuint(c->n_diagnostics, ==, 0);
        g_assert_nonnull(rule);
        return rule;
}

/* A text, and the one diagnostic that it gives. */
typedef struct Fault {
        const char *text;
        unsigned line, column;
        const char *part; /* of the message */
} Fault;

static inline void assert_diagnostic(const Config *c, size_t i, bool error, const Fault *expected)
{
        const Diagnostic *d;

        g_assert_cmpuint(i, <, c->n_diagnostics);
        d = &c->diagnostics[i];
        if (!strstr(d->message, expected->part))
                g_error("'%s' is not in '%s'", expected->part, d->message);
        g_assert_cmpuint(d->line, ==, expected->line);
        g_assert_cmpuint(d->column, ==, expected->column);
        g_assert_cmpint(d->error, ==, error);
}

static inline void assert_bad(const char *text, unsigned line, unsigned column, const char *part)
{
        _cleanup_(config_freep) Config *c = new_config();
        const Fault fault = { text, line, column, part };

        g_assert_null(parse(c, text));
        g_assert_cmpuint(c->n_diagnostics, ==, 1);
        g_assert_cmpstr(c->diagnostics[0].path, ==, "/10-x.conf");
        assert_diagnostic(c, 0, true, &fault);
}

static inline void assert_all_bad(const Fault *faults, size_t n)
{
        for (size_t i = 0; i < n; i++)
                assert_bad(faults[i].text, faults[i].line, faults[i].column, faults[i].part);
}
