/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kernel command line: the value of a switch, and what vfiod=… and vfiod.skip=… do. */

#include "config/load.h"
#include "fuzz.h"
#include "sys/platform.h"

static void check_switch(char *cmdline)
{
        const Platform platform = { .cmdline = cmdline };
        _cleanup_free_ char *value = NULL;

        CHECK(platform_switch(&platform, "intel_iommu", &value) == 0);
        CHECK(!value ||
              (strstr(cmdline, "intel_iommu=") && strstr(cmdline, value) && !strchr(value, ' ')));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char rule[] = "[Match]\nAddress=41:00.0\n[Device]\n";
        _cleanup_free_ char *text = fuzz_text(data, size);
        _cleanup_(config_freep) Config *c = NULL;

        check_switch(text);
        fuzz_file("proc/cmdline", data, size);
        fuzz_file("etc/vfiod/devices.d/1.conf", rule, strlen(rule));
        CHECK(config_load(fuzz_root(), "", NULL, &c) == 0);
        CHECK(!config_has_errors(c));
        /* Nothing but the switches switches anything. */
        CHECK(!c->disabled || strstr(text, "vfiod="));
        CHECK(c->n_rules + c->n_diagnostics == 1);
        CHECK(c->n_rules == 1 || (strstr(text, "vfiod.skip=") && strstr(text, "1.conf")));
        return 0;
}
