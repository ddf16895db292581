/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/parse.h"
#include "basic/strv.h"
#include "ctl/bus.h"
#include "ctl/offline.h"
#include "ctl/print.h"
#include "model/reason.h"

#include <getopt.h>
#include <limits.h>
#include <locale.h>

enum {
        /* Options that change what a verb does; a verb that does not know one refuses it. */
        OPTIONS_APPLY = OPTION_DRY_RUN | OPTION_NO_WAIT,
        OPTIONS_RELEASE = OPTIONS_APPLY | OPTION_ACCEPT | OPTION_PERSIST,
        OPTIONS_BIND = OPTIONS_RELEASE | OPTION_DRIVER,
        OPTIONS_PLAN = OPTION_ROOT | OPTION_CHECK | OPTION_DRY_RUN,
        OPTIONS_SPECIAL = OPTIONS_BIND | OPTIONS_PLAN | OPTION_FORGET,
};

static const struct Verb {
        const char *name;
        const char *arguments;
        unsigned min, max;
        unsigned special;
        int (*run)(Ctl *c, char **args);
        const char *help;
} verbs[] = {
        { "list", "[DEVICE...]", 0, UINT_MAX, OPTION_ROOT, verb_list,
          "PCI devices and their states (default)" },
        { "groups", "", 0, 0, OPTION_ROOT, verb_groups, "IOMMU groups and their members" },
        { "show", "DEVICE...", 1, UINT_MAX, OPTION_ROOT, verb_show, "all that is known of it" },
        { "explain", "DEVICE...", 1, UINT_MAX, OPTION_ROOT, verb_explain,
          "why it is, or is not, as declared" },
        { "plan", "", 0, 0, OPTIONS_PLAN, verb_plan,
          "what a reload would do, as the files are now" },
        { "apply", "", 0, 0, OPTIONS_APPLY, verb_apply,
          "do what failed before again, and what was released" },
        { "bind", "DEVICE...", 1, UINT_MAX, OPTIONS_BIND, verb_bind,
          "move devices, with their IOMMU groups, to VFIO or --driver=" },
        { "release", "DEVICE...", 1, UINT_MAX, OPTIONS_RELEASE, verb_release,
          "give devices back to their host drivers" },
        { "sriov", "PF COUNT", 2, 2, OPTIONS_RELEASE, verb_sriov,
          "give a PF so many VFs; COUNT is a number or max" },
        { "reload", "", 0, 0, OPTION_FORGET, verb_reload, "read the files again" },
        { "check", "[FILE...]", 0, UINT_MAX, OPTION_ROOT, verb_check,
          "look for errors in the files" },
        { "wait", "", 0, 0, 0, verb_wait, "until every device is as declared, or cannot be" },
        { "monitor", "", 0, 0, 0, verb_monitor, "print changes as they happen" },
        { "who", "DEVICE...", 1, UINT_MAX, OPTION_ROOT, verb_who, "who uses it" },
        { "jobs", "", 0, 0, 0, verb_jobs, "operations under way" },
        { "cancel", "JOB", 1, 1, 0, verb_cancel, "call off a job that has not begun" },
        { "doctor", "", 0, 0, OPTION_ROOT, verb_doctor, "what the host lacks for VFIO" },
};

static const struct OptionRow {
        Option option;
        const char *name;
        char letter;
        const char *argument;
        const char *help;
} rows[] = {
        { OPTION_JSON, "json", 0, "short|pretty|off", "print JSON" },
        { OPTION_DRY_RUN, "dry-run", 'n', NULL, "print what would be done, do nothing" },
        { OPTION_ACCEPT, "accept", 0, "HAZARD,...", "go on in spite of these hazards" },
        { OPTION_PERSIST, "persist", 0, NULL, "also after a reboot: writes a file" },
        { OPTION_DRIVER, "driver", 0, "NAME", "vfio (default), a driver, host or none" },
        { OPTION_NO_WAIT, "no-wait", 0, NULL, "print the job's number, do not wait for it" },
        { OPTION_CHECK, "check", 0, NULL, "plan: exit with 8 if something differs" },
        { OPTION_FORGET, "forget", 0, NULL, "reload: drop what was asked for in this boot" },
        { OPTION_TIMEOUT, "timeout", 0, "SEC", "wait no longer than this" },
        { OPTION_NO_ASK_PASSWORD, "no-ask-password", 0, NULL, "do not ask for authentication" },
        { OPTION_NO_LEGEND, "no-legend", 0, NULL, "no table headings" },
        { OPTION_NO_PAGER, "no-pager", 0, NULL, "accepted; there is no pager" },
        { OPTION_SYSTEM, "system", 0, NULL, "the system bus (default)" },
        { OPTION_ADDRESS, "address", 0, "BUS", "the D-Bus address of another bus" },
        { OPTION_ROOT, "root", 0, "DIR", "read sysfs and the files below DIR, ask no daemon" },
        { OPTION_HELP, "help", 'h', NULL, "this text" },
        { OPTION_VERSION, "version", 0, NULL, "print the version" },
};

static int print_help(void)
{
        puts("vfioctl [OPTION...] [VERB] [ARGUMENT...]\n\n"
             "Show and move PCI devices for VFIO passthrough.\n\nVerbs:");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                printf("  %-8s %-12s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
        puts("\nOptions:");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const struct OptionRow *o = &rows[i];
                char letter[] = "-X,", text[64];

                letter[1] = o->letter;
                snprintf(text, sizeof(text), "--%s%s%s", o->name, o->argument ? "=" : "",
                         strempty(o->argument));
                printf("  %3s %-24s %s\n", o->letter ? letter : "", text, o->help);
        }
        puts("  -j                           --json=pretty on a terminal, else --json=short\n\n"
             "DEVICE is an address (0000:41:00.0 or 41:00.0), a glob, PF/vfN, a network\n"
             "interface or group:N.\n\n"
             "Exit status: 0 done, 1 failed, 2 usage, 3 refused by a hazard, 4 not authorised,\n"
             "5 no such device, 6 vfiod not reachable, 7 timed out or stuck, 8 not as declared.");
        return 0;
}

static int parse_json(const char *s, JsonMode *ret)
{
        static const char *const words[] = {
                [JSON_OFF] = "off",
                [JSON_SHORT] = "short",
                [JSON_PRETTY] = "pretty",
        };
        int mode = string_table_find(words, ELEMENTSOF(words), s);

        if (mode < 0)
                return fail(STATUS_USAGE, "'--json=%s': it is short, pretty or off", s);
        *ret = (JsonMode)mode;
        return 0;
}

static int parse_accept(const char *s, char ***ret)
{
        _cleanup_free_ char *bad = NULL;
        HazardSet unused;
        int r = hazard_set_parse(s, &unused, &bad);

        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return fail(STATUS_USAGE, "'--accept=%s': no hazard is called '%s'", s, bad ?: s);
        *ret = strv_free(*ret);
        return strv_split(s, ", ", ret);
}

static int parse_timeout(const char *s, uint64_t *ret_deadline)
{
        uint64_t usec, now = now_usec();

        if (parse_sec(s, &usec) < 0)
                return fail(STATUS_USAGE, "'--timeout=%s' is no time", s);
        *ret_deadline = usec < USEC_INFINITY - now ? now + usec : USEC_INFINITY;
        return 0;
}

static int parse_argument(Ctl *c, Option option, const char *argument)
{
        switch (option) {
        case OPTION_JSON:
                return parse_json(argument, &c->json);
        case OPTION_ACCEPT:
                return parse_accept(argument, &c->accept);
        case OPTION_TIMEOUT:
                return parse_timeout(argument, &c->deadline);
        case OPTION_DRIVER:
                c->driver = argument;
                return 0;
        case OPTION_ROOT:
                c->root = argument;
                return 0;
        case OPTION_ADDRESS:
                /* As libsystemd reads it, and the authentication agent. */
                return setenv("DBUS_SYSTEM_BUS_ADDRESS", argument, 1) < 0 ? -errno : 0;
        default:
                return 0;
        }
}

static int parse_options(Ctl *c, int argc, char **argv)
{
        struct option options[ELEMENTSOF(rows) + 1] = { 0 };
        int code, r;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                options[i] = (struct option){
                        .name = rows[i].name,
                        .has_arg = rows[i].argument ? required_argument : no_argument,
                        .val = rows[i].option,
                };
        while ((code = getopt_long(argc, argv, "hjn", options, NULL)) >= 0) {
                if (code == '?')
                        return STATUS_USAGE; /* getopt_long() said it */
                if (code == 'j')
                        c->json = isatty(STDOUT_FILENO) ? JSON_PRETTY : JSON_SHORT;
                for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                        if (code == (int)rows[i].option || code == rows[i].letter)
                                c->given |= rows[i].option;
                r = parse_argument(c, (Option)code, optarg);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* The verb, if words and options suit it, and the words behind it. */
static int parse_verb(const Ctl *c, char **args, const struct Verb **ret, char ***ret_args)
{
        const char *name = args[0] ?: "list";
        const struct Verb *verb = NULL;
        size_t n;

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, name))
                        verb = &verbs[i];
        if (!verb)
                return fail(STATUS_USAGE, "unknown verb '%s'; 'vfioctl --help' lists the verbs",
                            name);
        args += args[0] ? 1 : 0;
        n = strv_length(args);
        if (n < verb->min || n > verb->max)
                return fail(STATUS_USAGE, "usage: vfioctl %s %s", name, verb->arguments);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].option & c->given & OPTIONS_SPECIAL & ~verb->special)
                        return fail(STATUS_USAGE, "'--%s' does not go with '%s'", rows[i].name,
                                    name);
        *ret = verb;
        *ret_args = args;
        return 0;
}

static void ctl_done(Ctl *c)
{
        sd_bus_flush_close_unref(c->bus);
        offline_free(c->offline);
        strv_free(c->accept);
}

static int run(int argc, char **argv)
{
        _cleanup_(ctl_done) Ctl c = { .deadline = USEC_INFINITY };
        const char *term = strempty(getenv("TERM"));
        const struct Verb *verb = NULL;
        char **args = NULL;
        int r;

        c.color = isatty(STDOUT_FILENO) && isempty(getenv("NO_COLOR")) && !streq(term, "dumb");
        r = parse_options(&c, argc, argv);
        if (r != 0)
                return r;
        if (c.given & OPTION_HELP)
                return print_help();
        if (c.given & OPTION_VERSION) {
                puts("vfioctl " PACKAGE_VERSION);
                return 0;
        }
        r = parse_verb(&c, argv + optind, &verb, &args);
        if (r != 0)
                return r;
        c.takes_accept = verb->special & OPTION_ACCEPT;
        return verb->run(&c, args);
}

int main(int argc, char **argv)
{
        int r;

        setlocale(LC_ALL, "");
        if (argc > 0)
                argv[0] = (char *)"vfioctl"; /* what getopt_long() begins its messages with */
        r = run(argc, argv);
        if (r < 0)
                r = fail(STATUS_FAILED, "%s", strerror(-r));
        /* Whoever closed our output has read enough. */
        if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE)
                r = fail(STATUS_FAILED, "cannot write the output: %s", strerror(errno));
        return r;
}
