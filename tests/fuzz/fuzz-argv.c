/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vfioctl's command line, one word in each line, up to the verb, which is not run. */

int vfioctl_main(int argc, char **argv);

#define main vfioctl_main
#include "ctl/main.c"
#undef main

#include "fuzz.h"

enum { WORDS_MAX = 64 };

static void check_ctl(const Ctl *c)
{
        HazardSet set;

        CHECK(c->json <= JSON_PRETTY && c->deadline > 0);
        CHECK(!(c->given & OPTION_DRIVER) == !c->driver && !(c->given & OPTION_ROOT) == !c->root);
        STRV_FOREACH(hazard, c->accept)
                CHECK(hazard_set_parse(*hazard, &set, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(ctl_done) Ctl c = { .deadline = USEC_INFINITY };
        char *argv[WORDS_MAX + 2] = { strdup("vfioctl") }, **args = NULL;
        char *words[WORDS_MAX + 2]; /* getopt_long() puts argv into another order */
        const struct Verb *verb = NULL;
        int argc = 1, r;

        while (size > 0 && argc <= WORDS_MAX)
                argv[argc++] = fuzz_line(&data, &size);
        memcpy(words, argv, sizeof(words));
        optind = 0;
        r = parse_options(&c, argc, argv);
        CHECK(r >= 0 && optind <= argc);
        if (r == 0) {
                check_ctl(&c);
                r = parse_verb(&c, argv + optind, &verb, &args);
                CHECK(r == 0 ? verb && strv_length(args) >= verb->min &&
                                       strv_length(args) <= verb->max
                             : r == STATUS_USAGE);
        }
        for (int i = 0; i < argc; i++)
                free(words[i]);
        return 0;
}
