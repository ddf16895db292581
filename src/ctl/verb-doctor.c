/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/names.h"
#include "basic/strv.h"
#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/offline.h"
#include "ctl/print.h"
#include "ctl/source.h"
#include "sys/platform.h"

#include <stdarg.h>

/* The results are the words that are shown. */
#define OK "ok"
#define WARN "warn"
#define FAIL "fail"

/* What is found by one check, and `remedy` (may be NULL) behind it. */
_printf_(5, 6) static void say(json_object *list, const char *check, const char *result,
                               const char *remedy, const char *format, ...)
{
        json_object *o = json_append(list, json_new());
        _cleanup_free_ char *message = NULL;
        va_list ap;

        va_start(ap, format);
        message = format_text_va(format, ap);
        va_end(ap);
        json_add_text(o, "check", check);
        json_add_text(o, "result", result);
        json_add_text(o, "message", message);
        json_add_text(o, "remedy", remedy);
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

static void check_iommu(json_object *list, const Platform *p)
{
        _cleanup_free_ char *names = must(strv_join(p->iommus, " "));

        if (p->iommus)
                say(list, "iommu", OK, NULL, "in use: %s", names);
        else if (p->iommu_table)
                say(list, "iommu", FAIL, iommu_remedy(p),
                    "the firmware describes one (%s), and the kernel does not use it",
                    p->iommu_table);
        else
                say(list, "iommu", FAIL, iommu_remedy(p),
                    "the firmware describes none: there is none, or it is off");
}

static void check_interrupts(json_object *list, const Platform *p)
{
        const char *check = "interrupt-remapping";

        if (p->unsafe_interrupts == ANSWER_YES)
                say(list, check, WARN,
                    "take allow_unsafe_interrupts=1 from modprobe.d if the host has interrupt "
                    "remapping",
                    "allow_unsafe_interrupts is on: guests may forge interrupts");
        else if (p->interrupt_remapping == ANSWER_YES)
                say(list, check, OK, NULL, "the interrupts of devices are remapped");
        else if (p->interrupt_remapping == ANSWER_NO)
                say(list, check, FAIL,
                    "switch interrupt remapping (x2APIC, VT-d) on in the firmware and take "
                    "intremap=off away; or, if you trust the guests, set allow_unsafe_interrupts=1 "
                    "for the module vfio_iommu_type1",
                    "none: programs cannot use the devices after they are bound");
        else
                say(list, check, WARN, NULL, "unknown: the IOMMU does not tell here");
}

static void check_vfio(json_object *list, const Platform *p)
{
        _cleanup_free_ char *moved = must(strv_join(p->driverctl, " "));

        if (p->noiommu == ANSWER_YES)
                say(list, "noiommu-mode", WARN,
                    "take enable_unsafe_noiommu_mode=1 of the module vfio away",
                    "unsafe no-IOMMU mode is on: devices can write all memory");
        if (p->container_node)
                say(list, "vfio-node", OK, NULL, "/dev/vfio/vfio is there");
        else
                say(list, "vfio-node", WARN, "load the module vfio",
                    "/dev/vfio/vfio is not there yet");
        if (p->driverctl)
                say(list, "driverctl", WARN,
                    "run 'driverctl unset-override DEVICE' for what vfiod shall manage",
                    "driverctl moves devices at boot too: %s", moved);
}

static void check_devices(json_object *list, const Inventory *inv, const Platform *p)
{
        unsigned n = 0, capable = 0, made = 0;

        for (size_t i = 0; i < inv->n_devices; i++) {
                n += inv->devices[i]->group >= 0;
                capable += inv->devices[i]->total_vfs > 0;
                made += inv->devices[i]->num_vfs;
        }
        if (inv->n_groups > 0)
                say(list, "iommu-groups", OK, NULL, "%zu groups with %u of %zu devices",
                    inv->n_groups, n, inv->n_devices);
        else
                say(list, "iommu-groups", FAIL, iommu_remedy(p), "there are no IOMMU groups");
        say(list, "sriov", OK, NULL, "%u devices can have virtual functions, %u exist", capable,
            made);
}

/* A kernel that tells how devices can be reset (5.15 and newer) tells so of some device. */
static int check_resets(json_object *list, const Inventory *inv)
{
        _cleanup_strv_ char **lacking = NULL;
        _cleanup_free_ char *names = NULL;
        bool told = false;

        for (size_t i = 0; i < inv->n_devices; i++) {
                const Device *d = inv->devices[i];

                told = told || d->reset_methods;
                if (d->driver_is_vfio && !d->reset_methods &&
                    strv_extend(&lacking, PCI_ADDRESS_STR(&d->address)) < 0)
                        return -ENOMEM;
        }
        if (!told || !lacking)
                return 0;
        names = must(strv_join(lacking, " "));
        say(list, "reset", WARN,
            "give them only to users who may see what the last one left in them",
            "the kernel cannot reset these devices on VFIO between users: %s", names);
        return 0;
}

static void check_module(json_object *list, const Sysroot *root, const char *name,
                         const char *check)
{
        static const struct {
                const char *result, *text, *remedy;
        } rows[] = {
                [MODULE_LOADED] = { OK, "is loaded or built in" },
                [MODULE_INSTALLED] = { OK, "is installed, and loaded when needed" },
                [MODULE_ABSENT] = { FAIL, "is not there",
                                    "install the package with this kernel's modules, or build the "
                                    "kernel with CONFIG_VFIO_PCI" },
                [MODULE_UNKNOWN] = { FAIL, "cannot be found: no modules of the running kernel",
                                     "reboot if the kernel was upgraded, else install its "
                                     "modules" },
        };
        ModulePresence m = platform_module(root, name);

        say(list, check, rows[m].result, rows[m].remedy, "%s %s", name, rows[m].text);
}

static void check_configuration(json_object *list, const Config *config)
{
        static const char remedy[] = "'vfioctl check' names each place";

        if (config_has_errors(config))
                say(list, "configuration", FAIL, remedy, "files are in error and not applied");
        else if (config->n_diagnostics > 0)
                say(list, "configuration", WARN, remedy, "files have %zu warnings",
                    config->n_diagnostics);
        else
                say(list, "configuration", OK, NULL, "%zu rules", config->n_rules);
}

static void check_switch(json_object *list, const Platform *p, const char *key, const char *effect,
                         const char *remedy)
{
        _cleanup_free_ char *value = NULL;

        if (platform_switch(p, key, &value) >= 0 && value)
                say(list, "kernel-command-line", WARN, remedy, "%s=%s: %s", key, value, effect);
}

static void check_skipped(json_object *list, const Config *config)
{
        _cleanup_free_ char *names = must(strv_join(config->skipped, ","));

        if (config->skipped)
                say(list, "kernel-command-line", WARN, "boot without it",
                    "vfiod.skip=%s: not applied in this boot", names);
}

static void check_daemon(Ctl *c, json_object *list)
{
        static const char *const remedies[][2] = {
                { "ready", NULL },
                { "disabled", "boot without vfiod=off" },
                { "not running", "systemctl enable --now vfiod.service" },
                { "not answering", "see 'journalctl -u vfiod'; systemctl restart vfiod.service" },
        };
        const char *state = "not running",
                   *remedy = "see 'vfioctl list' and 'vfioctl explain DEVICE'";
        _cleanup_json_ json_object *manager = NULL;
        int r;

        if (c->root)
                return;
        if (bus_has_daemon(c) > 0) {
                r = bus_get_all(c, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, &manager);
                state = r == 0 ? json_word(manager, "state") : "not answering";
        }
        for (size_t i = 0; i < ELEMENTSOF(remedies); i++)
                if (streq(state, remedies[i][0]))
                        remedy = remedies[i][1];
        say(list, "daemon", remedy ? WARN : OK, remedy, "vfiod is %s", state);
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
        int r = source_local(c, /* objects= */ NULL);

        if (r != 0)
                return r;
        root = &c->offline->root;
        r = platform_read(root, &p);
        if (r < 0)
                return r;
        check_iommu(list, &p);
        check_interrupts(list, &p);
        check_vfio(list, &p);
        check_devices(list, c->offline->inventory, &p);
        r = check_resets(list, c->offline->inventory);
        if (r < 0)
                return r;
        check_module(list, root, "vfio_pci", "module-vfio-pci");
        check_module(list, root, "vfio_iommu_type1", "module-vfio-iommu-type1");
        check_daemon(c, list);
        check_configuration(list, c->offline->config);
        check_switch(list, &p, "vfiod", "a switch of vfiod for this boot", "boot without it");
        check_skipped(list, c->offline->config);
        check_switch(list, &p, "vfio-pci.ids", "it takes every device with these ids",
                     "declare these devices in a file of vfiod instead");
        return print_visit(c, list);
}
