/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The properties of an event of udev: subsystem and name, one in each line. */

#include "fuzz.h"
#include "sys/monitor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *subsystem = fuzz_line(&data, &size), *name = fuzz_line(&data, &size);
        PciAddress address = { 0 };
        int group = -1;

        switch (monitor_classify(subsystem, name, &address, &group)) {
        case MONITOR_DEVICE:
                CHECK(streq(subsystem, "pci") && address.device < 32 && address.function < 8);
                break;
        case MONITOR_GROUP:
                CHECK(streq(subsystem, "vfio") && group >= 0);
                break;
        default: /* one that cannot be told must not be passed over */
                CHECK(monitor_classify(subsystem, name, &address, &group) == MONITOR_LOST);
        }
        return 0;
}
