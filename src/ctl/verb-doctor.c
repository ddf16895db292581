/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/names.h"
#include "basic/strv.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/offline.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "sys/platform.h"

/* The results are the words that are shown. */
#define OK "ok"
#define WARN "warn"
#define FAIL "fail"

/* What may be said of the host. Of the rows of one check the first that applies is said. */
typedef struct Finding {
        const char *check;
        bool applies;
        const char *result, *message, *remedy;
} Finding;

static void report(json_object *list, const Finding *rows, size_t n)
{
        const char *said = "";

        for (size_t i = 0; i < n; i++) {
                json_object *o;

                if (!rows[i].applies || streq(rows[i].check, said))
                        continue;
                said = rows[i].check;
                o = json_append(list, json_new());
                json_add_text(o, "check", said);
                json_add_text(o, "result", rows[i].result);
                json_add_text(o, "message", rows[i].message);
                json_add_text(o, "remedy", rows[i].remedy);
        }
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

static void check_platform(json_object *list, const Platform *p)
{
        _cleanup_free_ char *names = must(strv_join(p->iommus, " "));
        _cleanup_free_ char *in_use = format_text("in use: %s", names);
        _cleanup_free_ char *unused =
                format_text("the firmware describes one (%s), and the kernel does not use it",
                            strempty(p->iommu_table));
        _cleanup_free_ char *moved = must(strv_join(p->driverctl, " "));
        _cleanup_free_ char *driverctl =
                format_text("driverctl moves devices at boot too: %s", moved);
        const Finding rows[] = {
                { "iommu", p->iommus, OK, in_use, NULL },
                { "iommu", p->iommu_table, FAIL, unused, iommu_remedy(p) },
                { "iommu", true, FAIL, "the firmware describes none: there is none, or it is off",
                  iommu_remedy(p) },
                { "interrupt-remapping", p->unsafe_interrupts == ANSWER_YES, WARN,
                  "allow_unsafe_interrupts is on: guests may forge interrupts",
                  "take allow_unsafe_interrupts=1 from modprobe.d if the host has interrupt "
                  "remapping" },
                { "interrupt-remapping", p->interrupt_remapping == ANSWER_YES, OK,
                  "the interrupts of devices are remapped", NULL },
                { "interrupt-remapping", p->interrupt_remapping == ANSWER_NO, FAIL,
                  "none: programs cannot use the devices after they are bound",
                  "switch interrupt remapping (x2APIC, VT-d) on in the firmware and take "
                  "intremap=off away; or, if you trust the guests, set allow_unsafe_interrupts=1 "
                  "for the module vfio_iommu_type1" },
                { "interrupt-remapping", true, WARN, "unknown: the IOMMU does not tell here",
                  NULL },
                { "noiommu-mode", p->noiommu == ANSWER_YES, WARN,
                  "unsafe no-IOMMU mode is on: devices can write all memory",
                  "take enable_unsafe_noiommu_mode=1 of the module vfio away" },
                { "vfio-node", p->container_node, OK, "/dev/vfio/vfio is there", NULL },
                { "vfio-node", true, WARN, "/dev/vfio/vfio is not there yet",
                  "load the module vfio" },
                { "driverctl", p->driverctl, WARN, driverctl,
                  "run 'driverctl unset-override DEVICE' for what vfiod shall manage" },
        };

        report(list, rows, ELEMENTSOF(rows));
}

static void check_devices(json_object *list, const Inventory *inv, const Platform *p)
{
        _cleanup_free_ char *groups = NULL, *sriov = NULL;
        unsigned n = 0, capable = 0, made = 0;

        for (size_t i = 0; i < inv->n_devices; i++) {
                n += inv->devices[i]->group >= 0;
                capable += inv->devices[i]->total_vfs > 0;
                made += inv->devices[i]->num_vfs;
        }
        groups = format_text("%zu groups with %u of %zu devices", inv->n_groups, n, inv->n_devices);
        sriov = format_text("%u devices can have virtual functions, %u exist", capable, made);
        report(list,
               (Finding[]){
                       { "iommu-groups", inv->n_groups > 0, OK, groups, NULL },
                       { "iommu-groups", true, FAIL, "there are no IOMMU groups", iommu_remedy(p) },
                       { "sriov", true, OK, sriov, NULL },
               },
               3);
}

static void check_module(json_object *list, const Sysroot *root, const char *name,
                         const char *check)
{
        static const char *const words[] = {
                [MODULE_LOADED] = "is loaded or built in",
                [MODULE_INSTALLED] = "is installed, and loaded when needed",
                [MODULE_ABSENT] = "is not there",
                [MODULE_UNKNOWN] = "cannot be found: no modules of the running kernel",
        };
        _cleanup_free_ char *message = NULL;
        ModulePresence presence;

        if (platform_module(root, name, &presence) < 0)
                presence = MODULE_UNKNOWN;
        message = format_text("%s %s", name, words[presence]);
        report(list,
               (Finding[]){
                       { check, presence == MODULE_ABSENT, FAIL, message,
                         "install the package with this kernel's modules, or build the kernel "
                         "with CONFIG_VFIO_PCI" },
                       { check, presence == MODULE_UNKNOWN, FAIL, message,
                         "reboot if the kernel was upgraded, else install its modules" },
                       { check, true, OK, message, NULL },
               },
               3);
}

static void check_configuration(json_object *list, const Config *config)
{
        static const char *const remedy = "'vfioctl check' names each place";
        _cleanup_free_ char *warnings =
                format_text("files have %zu warnings", config->n_diagnostics);
        _cleanup_free_ char *rules = format_text("%zu rules", config->n_rules);

        report(list,
               (Finding[]){
                       { "configuration", config_has_errors(config), FAIL,
                         "files are in error and not applied", remedy },
                       { "configuration", config->n_diagnostics > 0, WARN, warnings, remedy },
                       { "configuration", true, OK, rules, NULL },
               },
               3);
}

static void check_switch(json_object *list, const Platform *p, const char *key, const char *effect,
                         const char *remedy)
{
        _cleanup_free_ char *value = NULL, *message = NULL;

        if (platform_switch(p, key, &value) < 0 || !value)
                return;
        message = format_text("%s=%s: %s", key, value, effect);
        report(list, &(Finding){ "kernel-command-line", true, WARN, message, remedy }, 1);
}

static void check_daemon(Ctl *c, json_object *list)
{
        _cleanup_json_ json_object *manager = NULL;
        _cleanup_free_ char *message = NULL;
        const char *state;

        if (c->root)
                return;
        if (bus_has_daemon(c) > 0 &&
            bus_get_all(c, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, &manager) == 0)
                state = json_word(manager, "state");
        else
                state = "not running";
        message = format_text("vfiod is %s", state);
        report(list,
               (Finding[]){
                       { "daemon", streq(state, "ready"), OK, message, NULL },
                       { "daemon", streq(state, "disabled"), WARN, message,
                         "boot without vfiod=off" },
                       { "daemon", !manager, WARN, message,
                         "systemctl enable --now vfiod.service" },
                       { "daemon", true, WARN, message,
                         "see 'vfioctl list' and 'vfioctl explain DEVICE'" },
               },
               4);
}

static void print_check(const Ctl *c, json_object *o)
{
        const char *result = json_word(o, "result"), *color = color_of(c, result);

        printf("%s%-5s%s", color, result, *color ? "\033[0m" : "");
        print_safe(stdout, "%s: %s\n", json_word(o, "check"), json_word(o, "message"));
        if (json_text(o, "remedy"))
                print_safe(stdout, "     remedy: %s\n", json_text(o, "remedy"));
}

static int print_visit(const Ctl *c, json_object *list)
{
        bool printed = print_json(c, list);
        int status = 0;

        for (size_t i = 0; i < json_count(list); i++) {
                if (!printed)
                        print_check(c, json_at(list, i));
                if (streq(json_word(json_at(list, i), "result"), FAIL))
                        status = STATUS_FAILED;
        }
        return status;
}

/* Reads the host itself in every case: the daemon may be what is wrong. */
int verb_doctor(Ctl *c, char **args)
{
        _cleanup_(platform_done) Platform p = { 0 };
        _cleanup_json_ json_object *list = json_new_list();
        const Sysroot *root;
        int r;

        r = source_local(c, /* objects= */ NULL);
        if (r != 0)
                return r;
        root = &c->offline->root;
        r = platform_read(root, &p);
        if (r < 0)
                return r;
        check_platform(list, &p);
        check_devices(list, c->offline->inventory, &p);
        check_module(list, root, "vfio_pci", "module-vfio-pci");
        check_module(list, root, "vfio_iommu_type1", "module-vfio-iommu-type1");
        check_daemon(c, list);
        check_configuration(list, c->offline->config);
        check_switch(list, &p, "vfiod", "a switch of vfiod for this boot", "boot without it");
        check_switch(list, &p, "vfiod.skip", "this file is not applied in this boot",
                     "boot without it");
        check_switch(list, &p, "vfio-pci.ids", "it takes every device with these ids",
                     "declare these devices in a file of vfiod instead");
        return print_visit(c, list);
}
