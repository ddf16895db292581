/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/parse.h"
#include "basic/strv.h"
#include "ctl/bus.h"
#include "ctl/offline.h"
#include "ctl/verbs.h"
#include "model/reason.h"

#include <getopt.h>
#include <locale.h>
#include <stdio.h>

/* Options that change what a verb does. One that a verb does not know is refused, not ignored. */
typedef enum Special {
        SPECIAL_DRY_RUN = 1 << 0,
        SPECIAL_ACCEPT = 1 << 1,
        SPECIAL_PERSIST = 1 << 2,
        SPECIAL_DRIVER = 1 << 3,
        SPECIAL_NO_WAIT = 1 << 4,
        SPECIAL_FORGET = 1 << 5,
        SPECIAL_CHECK = 1 << 6,
        SPECIAL_ROOT = 1 << 7,
} Special;

enum {
        SPECIAL_APPLY = SPECIAL_DRY_RUN | SPECIAL_NO_WAIT,
        SPECIAL_CHANGE = SPECIAL_APPLY | SPECIAL_ACCEPT | SPECIAL_PERSIST,
        ANY_NUMBER = 1024 * 1024,
};

static const struct Verb {
        const char *name;
        const char *arguments;
        unsigned min, max;
        unsigned specials;
        int (*run)(Ctl *c, char **args);
        const char *help;
} verbs[] = {
        { "list", "[DEVICE...]", 0, ANY_NUMBER, SPECIAL_ROOT, verb_list,
          "PCI devices and their states (default)" },
        { "groups", "", 0, 0, SPECIAL_ROOT, verb_groups, "IOMMU groups and their members" },
        { "show", "DEVICE...", 1, ANY_NUMBER, SPECIAL_ROOT, verb_show, "all that is known of it" },
        { "explain", "DEVICE...", 1, ANY_NUMBER, SPECIAL_ROOT, verb_explain,
          "why it is, or is not, as declared" },
        { "plan", "", 0, 0, SPECIAL_ROOT | SPECIAL_CHECK | SPECIAL_DRY_RUN, verb_plan,
          "what a reload would do, as the files are now" },
        { "apply", "", 0, 0, SPECIAL_APPLY, verb_apply,
          "do what failed before again, and what was released" },
        { "bind", "DEVICE...", 1, ANY_NUMBER, SPECIAL_CHANGE | SPECIAL_DRIVER, verb_bind,
          "move devices, with their IOMMU groups, to VFIO or --driver=" },
        { "release", "DEVICE...", 1, ANY_NUMBER, SPECIAL_CHANGE, verb_release,
          "give devices back to their host drivers" },
        { "reload", "", 0, 0, SPECIAL_FORGET, verb_reload, "read the files again" },
        { "check", "[FILE...]", 0, ANY_NUMBER, SPECIAL_ROOT, verb_check,
          "look for errors in the files" },
        { "wait", "", 0, 0, 0, verb_wait, "until every device is as declared, or cannot be" },
        { "monitor", "", 0, 0, 0, verb_monitor, "print changes as they happen" },
        { "jobs", "", 0, 0, 0, verb_jobs, "operations under way" },
        { "cancel", "JOB", 1, 1, 0, verb_cancel, "call off a job that has not begun" },
        { "doctor", "", 0, 0, SPECIAL_ROOT, verb_doctor, "what the host lacks for VFIO" },
};

#define FLAG(member) offsetof(Options, member) + 1

/* `code` is the short option's letter where there is one; `flag` a switch in Options, or 0. */
static const struct OptionRow {
        const char *name;
        const char *argument;
        int code;
        unsigned special;
        size_t flag;
        const char *help;
} option_rows[] = {
        { "json", "short|pretty|off", 'J', 0, 0, "print JSON" },
        { "dry-run", NULL, 'n', SPECIAL_DRY_RUN, FLAG(dry_run),
          "print what would be done, do nothing" },
        { "accept", "HAZARD,...", 'A', SPECIAL_ACCEPT, 0, "go on in spite of these hazards" },
        { "persist", NULL, 'P', SPECIAL_PERSIST, FLAG(persist),
          "also after a reboot: writes a file" },
        { "driver", "NAME", 'D', SPECIAL_DRIVER, 0, "vfio (default), a driver, host or none" },
        { "no-wait", NULL, 'W', SPECIAL_NO_WAIT, FLAG(no_wait),
          "print the job's number, do not wait for it" },
        { "check", NULL, 'C', SPECIAL_CHECK, FLAG(check),
          "plan: exit with 8 if something differs" },
        { "forget", NULL, 'F', SPECIAL_FORGET, FLAG(forget),
          "reload: drop what was asked for in this boot" },
        { "timeout", "SEC", 'T', 0, 0, "wait no longer than this" },
        { "no-ask-password", NULL, 'Q', 0, FLAG(no_ask_password), "do not ask for authentication" },
        { "no-legend", NULL, 'L', 0, FLAG(no_legend), "no table headings" },
        { "no-pager", NULL, 'G', 0, 0, "accepted; there is no pager" },
        { "system", NULL, 'S', 0, 0, "the system bus (default)" },
        { "address", "BUS", 'B', 0, 0, "the D-Bus address of another bus" },
        { "root", "DIR", 'R', SPECIAL_ROOT, 0,
          "read sysfs and the files below DIR, ask no daemon" },
        { "help", NULL, 'h', 0, 0, "this text" },
        { "version", NULL, 'V', 0, 0, "print the version" },
};

typedef struct CommandLine {
        Options options;
        const struct Verb *verb;
        unsigned specials; /* of the options given */
        char **args;
        bool help, version;
} CommandLine;

static int print_help(void)
{
        puts("vfioctl [OPTION...] [VERB] [ARGUMENT...]\n\n"
             "Show and move PCI devices for VFIO passthrough.\n\nVerbs:");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                printf("  %-8s %-12s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
        puts("\nOptions:");
        for (size_t i = 0; i < ELEMENTSOF(option_rows); i++) {
                const struct OptionRow *o = &option_rows[i];
                char text[64];

                snprintf(text, sizeof(text), "--%s%s%s", o->name, o->argument ? "=" : "",
                         strempty(o->argument));
                if (strchr("nh", o->code))
                        printf("  -%c, %-24s %s\n", o->code, text, o->help);
                else
                        printf("      %-24s %s\n", text, o->help);
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
        static const char *const words[] = { "off", "short", "pretty" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(words[i], s)) {
                        *ret = (JsonMode)i;
                        return 0;
                }
        return fail(STATUS_USAGE, "'--json=%s': it is short, pretty or off", s);
}

static int parse_accept(const char *s, char ***ret)
{
        _cleanup_strv_ char **words = NULL;
        _cleanup_free_ char *bad = NULL;
        HazardSet unused;
        int r;

        r = hazard_set_parse(s, &unused, &bad);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return fail(STATUS_USAGE,
                            "'--accept=%s': no hazard is called '%s'; vfioctl(1) "
                            "lists them",
                            s, bad ?: s);
        r = strv_split(s, ", ", &words);
        if (r < 0)
                return r;
        STRV_FOREACH(w, words) {
                r = strv_extend(ret, *w);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int parse_timeout(const char *s, Options *o)
{
        if (parse_sec(s, &o->timeout_usec) < 0)
                return fail(STATUS_USAGE, "'--timeout=%s' is no time", s);
        o->has_timeout = true;
        return 0;
}

static int parse_option(CommandLine *l, int code, const char *argument)
{
        Options *o = &l->options;

        switch (code) {
        case 'j':
                o->json = isatty(STDOUT_FILENO) ? JSON_PRETTY : JSON_SHORT;
                return 0;
        case 'J':
                return parse_json(argument, &o->json);
        case 'A':
                return parse_accept(argument, &o->accept);
        case 'D':
                o->driver = argument;
                return 0;
        case 'T':
                return parse_timeout(argument, o);
        case 'S':
        case 'B':
                o->address = argument;
                return 0;
        case 'R':
                o->root = argument;
                return 0;
        case 'h':
                l->help = true;
                return 0;
        case 'V':
                l->version = true;
                return 0;
        case '?':
                return STATUS_USAGE; /* getopt_long() said it */
        default:
                return 0;
        }
}

/* What the table says of an option: a switch to set, a kind that verbs may refuse. */
static void note_option(CommandLine *l, int code)
{
        for (size_t i = 0; i < ELEMENTSOF(option_rows); i++) {
                if (option_rows[i].code != code)
                        continue;
                if (option_rows[i].flag)
                        *(bool *)((char *)&l->options + option_rows[i].flag - 1) = true;
                l->specials |= option_rows[i].special;
        }
}

static int parse_options(CommandLine *l, int argc, char **argv)
{
        struct option options[ELEMENTSOF(option_rows) + 1] = { 0 };
        int code, r;

        for (size_t i = 0; i < ELEMENTSOF(option_rows); i++)
                options[i] = (struct option){
                        .name = option_rows[i].name,
                        .has_arg = option_rows[i].argument ? required_argument : no_argument,
                        .val = option_rows[i].code,
                };
        while ((code = getopt_long(argc, argv, "hjn", options, NULL)) >= 0) {
                r = parse_option(l, code, optarg);
                if (r != 0)
                        return r;
                note_option(l, code);
        }
        l->args = argv + optind;
        return 0;
}

/* The verb, and whether words and options suit it. */
static int parse_verb(CommandLine *l)
{
        const char *name = l->args[0] ?: "list";
        unsigned n;

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, name))
                        l->verb = &verbs[i];
        if (!l->verb)
                return fail(STATUS_USAGE, "unknown verb '%s'; 'vfioctl --help' lists the verbs",
                            name);
        if (l->args[0])
                l->args++;
        n = (unsigned)strv_length(l->args);
        if (n < l->verb->min || n > l->verb->max)
                return fail(STATUS_USAGE, "usage: vfioctl %s %s", name, l->verb->arguments);
        for (size_t i = 0; i < ELEMENTSOF(option_rows); i++)
                if (option_rows[i].special & l->specials & ~l->verb->specials)
                        return fail(STATUS_USAGE, "'--%s' does not go with '%s'",
                                    option_rows[i].name, name);
        return 0;
}

static int parse_command_line(CommandLine *l, int argc, char **argv)
{
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
        int r;

        l->options.color =
                isatty(STDOUT_FILENO) && isempty(no_color) && !streq(strempty(term), "dumb");
        r = parse_options(l, argc, argv);
        if (r != 0 || l->help || l->version)
                return r;
        return parse_verb(l);
}

void ctl_done(Ctl *c)
{
        agent_close(c);
        c->bus = sd_bus_flush_close_unref(c->bus);
        c->offline = offline_free(c->offline);
        c->options.accept = strv_free(c->options.accept);
}

static int run(int argc, char **argv)
{
        _cleanup_(ctl_done) Ctl c = { 0 };
        CommandLine l = { 0 };
        int r;

        r = parse_command_line(&l, argc, argv);
        c.options = l.options;
        if (r != 0)
                return r;
        if (l.help)
                return print_help();
        if (l.version) {
                puts("vfioctl " PACKAGE_VERSION);
                return 0;
        }
        return l.verb->run(&c, l.args);
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
