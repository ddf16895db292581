/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* modules.alias: a modalias, and in the lines behind it the file. */

#include "basic/parse.h"
#include "fuzz.h"
#include "sys/drivers.h"
#include "sys/sysfs.h"

#include <fnmatch.h>

enum { WILDCARDS_MAX = 8 }; /* of one line: what many cost is known */

static unsigned count(const char *s, char c)
{
        unsigned n = 0;

        for (; *s; s++)
                n += *s == c;
        return n;
}

/* The module of the first of the lines with the fewest wildcards that match. */
static char *find_module(const char *modalias, const uint8_t *data, size_t size)
{
        unsigned fewest = UINT32_MAX;
        char *best = NULL;

        while (size > 0) {
                _cleanup_free_ char *line = fuzz_line(&data, &size);
                const char *pattern = startswith(line, "alias vfio_pci:");
                char *space = strrchr(line, ' ');

                if (!pattern || !space || space < pattern || !name_is_valid(space + 1))
                        continue;
                *space = 0;
                if (count(pattern, '*') >= fewest || fnmatch(pattern, modalias + 4, 0) != 0)
                        continue;
                fewest = count(pattern, '*');
                free(best);
                best = strdup(space + 1);
        }
        return best;
}

static void resolve(const char *modalias, const char *module)
{
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;
        _cleanup_(device_unrefp) Device *d = device_new(&(PciAddress){ .bus = 0x41 });
        Inventory inv = { .devices = &d, .n_devices = 1 };
        Target target = { .kind = TARGET_VFIO };
        const Desired desired = { .targets = &target };
        const OriginTable origins = { 0 };
        AliasCache cache = { 0 };
        DriverChoice *choices;

        CHECK(d && sysroot_open(fuzz_root_path(), &root) == 0);
        d->modalias = strdup(modalias);
        CHECK(driver_choices_resolve(&root, &cache, &inv, &desired, &origins, &choices) == 0);
        if (module) {
                CHECK(streq_ptr(choices[0].module, module));
                CHECK(streq(choices[0].driver, streq(module, "vfio_pci") ? "vfio-pci" : module));
        } else
                CHECK(!choices[0].driver && choices[0].reason == REASON_MODULE_MISSING);
        driver_choices_free(choices, 1);
        alias_cache_done(&cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *modalias = fuzz_line(&data, &size), *text = fuzz_text(data, size);
        _cleanup_free_ char *module = NULL;

        if (!startswith(modalias, "pci:") || count(text, '*') > WILDCARDS_MAX)
                return 0;
        fuzz_file("proc/sys/kernel/osrelease", "6.1\n", 4);
        fuzz_file("sys/bus/pci/drivers_probe", "", 0);
        fuzz_file("lib/modules/6.1/modules.alias", data, size);
        module = find_module(modalias, data, size);
        resolve(modalias, module);
        return 0;
}
