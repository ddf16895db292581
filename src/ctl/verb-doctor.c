/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/names.h"
#include "basic/strv.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/offline.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "ctl/verbs.h"
#include "sys/platform.h"

#include <stdarg.h>

/* The results are the words that are shown, worst last. */
#define OK "ok"
#define WARN "warn"
#define FAIL "fail"

/* What the checks look at, and where their results go. */
typedef struct Visit {
        Ctl *ctl;
        const Offline *host;
        Platform platform;
        json_object *list;
} Visit;

/* Returns 0, so that a check ends with it. */
static int report(Visit *v, const char *check, const char *result, const char *remedy,
                  const char *format, ...) _printf_(5, 6);

static int report(Visit *v, const char *check, const char *result, const char *remedy,
                  const char *format, ...)
{
        _cleanup_free_ char *message = NULL;
        json_object *o = json_new();
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&message, format, ap);
        va_end(ap);
        json_add_text(o, "check", check);
        json_add_text(o, "result", result);
        json_add_text(o, "message", must(r < 0 ? NULL : message));
        json_add_text(o, "remedy", remedy);
        json_append(v->list, o);
        return 0;
}

static const char *iommu_remedy(const Platform *p)
{
        if (!p->iommu_table)
                return "switch VT-d (Intel) or AMD-Vi (AMD) on in the firmware (BIOS)";
        if (streq(p->iommu_table, "DMAR"))
                return "add intel_iommu=on to the kernel command line, and take intel_iommu=off "
                       "and iommu=off away";
        if (streq(p->iommu_table, "IVRS"))
                return "take amd_iommu=off and iommu=off from the kernel command line";
        return "load the driver of the IOMMU before the devices, in the initramfs";
}

static int check_iommu(Visit *v)
{
        const Platform *p = &v->platform;
        _cleanup_free_ char *names = NULL;

        if (p->iommus) {
                names = must(strv_join(p->iommus, " "));
                return report(v, "iommu", OK, NULL, "in use: %s", names);
        }
        if (p->iommu_table)
                return report(v, "iommu", FAIL, iommu_remedy(p),
                              "the firmware describes one (%s), and the kernel does not use it",
                              p->iommu_table);
        return report(v, "iommu", FAIL, iommu_remedy(p),
                      "the firmware describes none: there is none, or it is off");
}

static int check_groups(Visit *v)
{
        const Inventory *inv = offline_snapshot(v->host).inventory;
        size_t n = 0;

        for (size_t i = 0; i < inv->n_devices; i++)
                if (inv->devices[i]->group >= 0)
                        n++;
        if (inv->n_groups == 0)
                return report(v, "iommu-groups", FAIL, iommu_remedy(&v->platform),
                              "there are no IOMMU groups");
        return report(v, "iommu-groups", OK, NULL, "%zu groups with %zu of %zu devices",
                      inv->n_groups, n, inv->n_devices);
}

static int check_interrupts(Visit *v)
{
        const Platform *p = &v->platform;
        static const char *const remedy =
                "switch interrupt remapping (x2APIC, VT-d) on in the firmware and take "
                "intremap=off away; or, if you trust the guests, set "
                "allow_unsafe_interrupts=1 for the module vfio_iommu_type1";

        if (p->unsafe_interrupts == ANSWER_YES)
                return report(v, "interrupt-remapping", WARN,
                              "take allow_unsafe_interrupts=1 from modprobe.d if the host has "
                              "interrupt remapping",
                              "allow_unsafe_interrupts is on: guests may forge interrupts");
        if (p->interrupt_remapping == ANSWER_YES)
                return report(v, "interrupt-remapping", OK, NULL, "devices are confined");
        if (p->interrupt_remapping == ANSWER_NO)
                return report(v, "interrupt-remapping", FAIL, remedy,
                              "none: programs cannot use the devices after they are bound");
        return report(v, "interrupt-remapping", WARN, NULL,
                      "unknown: the IOMMU does not tell here");
}

static int check_noiommu(Visit *v)
{
        if (v->platform.noiommu != ANSWER_YES)
                return 0;
        return report(v, "noiommu-mode", WARN,
                      "take enable_unsafe_noiommu_mode=1 of the module vfio away",
                      "unsafe no-IOMMU mode is on: devices can write all memory");
}

static int check_module(Visit *v, const char *name, const char *check)
{
        ModulePresence presence;
        int r;

        r = platform_module(offline_root(v->host), name, &presence);
        if (r < 0)
                return r;
        if (presence == MODULE_LOADED)
                return report(v, check, OK, NULL, "%s is loaded or built in", name);
        if (presence == MODULE_INSTALLED)
                return report(v, check, OK, NULL, "%s is installed, and loaded when needed", name);
        if (presence == MODULE_ABSENT)
                return report(v, check, FAIL,
                              "install the package with this kernel's modules, or build the "
                              "kernel with CONFIG_VFIO_PCI",
                              "%s is not there", name);
        return report(v, check, FAIL, "reboot if the kernel was upgraded, else install its modules",
                      "%s: the modules of the running kernel cannot be read", name);
}

static int check_modules(Visit *v)
{
        int r;

        r = check_module(v, "vfio_pci", "module-vfio-pci");
        if (r < 0)
                return r;
        r = check_module(v, "vfio_iommu_type1", "module-vfio-iommu-type1");
        if (r < 0)
                return r;
        if (v->platform.container_node)
                return report(v, "vfio-node", OK, NULL, "/dev/vfio/vfio is there");
        return report(v, "vfio-node", WARN, "load the module vfio",
                      "/dev/vfio/vfio is not there yet");
}

static int check_sriov(Visit *v)
{
        const Inventory *inv = offline_snapshot(v->host).inventory;
        unsigned capable = 0, made = 0;

        for (size_t i = 0; i < inv->n_devices; i++) {
                capable += inv->devices[i]->total_vfs > 0;
                made += inv->devices[i]->num_vfs;
        }
        return report(v, "sriov", OK, NULL, "%u devices can have virtual functions, %u exist",
                      capable, made);
}

static int check_daemon(Visit *v)
{
        _cleanup_json_ json_object *manager = NULL;
        const char *state;
        int r;

        if (v->ctl->options.root)
                return 0;
        if (bus_has_daemon(v->ctl) <= 0)
                return report(v, "daemon", WARN, "systemctl enable --now vfiod.service",
                              "vfiod is not running");
        r = bus_get_all(v->ctl, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, &manager);
        if (r != 0)
                return r;
        state = json_word(manager, "state");
        if (streq(state, "ready"))
                return report(v, "daemon", OK, NULL, "vfiod runs: every device is as declared");
        if (streq(state, "disabled"))
                return report(v, "daemon", WARN, "boot without vfiod=off", "vfiod is disabled");
        return report(v, "daemon", WARN, "see 'vfioctl list' and 'vfioctl explain DEVICE'",
                      "vfiod is %s", state);
}

static int check_configuration(Visit *v)
{
        const Config *config = offline_config(v->host);

        if (config_has_errors(config))
                return report(v, "configuration", FAIL, "'vfioctl check' names each place",
                              "files are in error and not applied");
        if (config->n_diagnostics > 0)
                return report(v, "configuration", WARN, "'vfioctl check' names each place",
                              "files have %zu warnings", config->n_diagnostics);
        return report(v, "configuration", OK, NULL, "%zu rules", config->n_rules);
}

static int check_switch(Visit *v, const char *key, const char *remedy, const char *effect)
{
        _cleanup_free_ char *value = NULL;
        int r;

        r = platform_switch(&v->platform, key, &value);
        if (r < 0 || !value)
                return r;
        return report(v, "kernel-command-line", WARN, remedy, "%s=%s: %s", key, value, effect);
}

static int check_command_line(Visit *v)
{
        static const struct {
                const char *key, *remedy, *effect;
        } rows[] = {
                { "vfiod", "boot without it", "a switch of vfiod for this boot" },
                { "vfiod.skip", "boot without it", "this file is not applied in this boot" },
                { "vfio-pci.ids", "declare these devices in a file of vfiod instead",
                  "it takes every device with these ids, behind the back of vfiod" },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                r = check_switch(v, rows[i].key, rows[i].remedy, rows[i].effect);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_others(Visit *v)
{
        _cleanup_free_ char *devices = NULL;

        if (!v->platform.driverctl)
                return 0;
        devices = must(strv_join(v->platform.driverctl, " "));
        return report(v, "driverctl", WARN,
                      "run 'driverctl unset-override DEVICE' for what vfiod shall manage",
                      "driverctl moves devices at boot too: %s", devices);
}

static int visit(Visit *v)
{
        static int (*const checks[])(Visit * v) = {
                check_iommu, check_groups, check_interrupts,    check_noiommu,      check_modules,
                check_sriov, check_daemon, check_configuration, check_command_line, check_others,
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(checks); i++) {
                r = checks[i](v);
                if (r != 0)
                        return r;
        }
        return 0;
}

static void print_check(const Ctl *c, json_object *o)
{
        const char *result = json_word(o, "result"), *color = "";

        if (c->options.color)
                color = streq(result, OK)     ? "\033[32m"
                        : streq(result, WARN) ? "\033[33m"
                                              : "\033[31m";
        printf("%s%-5s%s", color, result, *color ? "\033[0m" : "");
        print_safe(stdout, "%s: %s\n", json_word(o, "check"), json_word(o, "message"));
        if (json_text(o, "remedy"))
                print_safe(stdout, "     remedy: %s\n", json_text(o, "remedy"));
}

static int print_visit(const Ctl *c, json_object *list)
{
        int status = 0;

        if (c->options.json != JSON_OFF)
                print_json(c, list);
        for (size_t i = 0; i < json_count(list); i++) {
                if (c->options.json == JSON_OFF)
                        print_check(c, json_at(list, i));
                if (streq(json_word(json_at(list, i), "result"), FAIL))
                        status = STATUS_FAILED;
        }
        return status;
}

/* Reads the host itself in every case: the daemon may be what is wrong. */
int verb_doctor(Ctl *c, char **args)
{
        _cleanup_json_ json_object *list = json_new_list();
        Visit v = { .ctl = c, .list = list };
        Offline *host;
        int r;

        r = source_local(c, &host);
        if (r != 0)
                return r;
        v.host = host;
        r = platform_read(offline_root(host), &v.platform);
        if (r < 0)
                return r;
        r = visit(&v);
        platform_done(&v.platform);
        return r != 0 ? r : print_visit(c, list);
}
