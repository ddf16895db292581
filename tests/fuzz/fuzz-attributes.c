/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The attributes of a function in sysfs, one in each line, in the order of the table. */

#include "fuzz.h"
#include "sys/reader.h"

#define DEVICE "sys/bus/pci/devices/0000:41:00.0/"

static const char *const attributes[] = {
        DEVICE "modalias",
        DEVICE "revision",
        DEVICE "numa_node",
        DEVICE "boot_vga",
        DEVICE "sriov_totalvfs",
        DEVICE "sriov_drivers_autoprobe",
        DEVICE "reset_method",
        DEVICE "net/eth0/addr_assign_type",
        DEVICE "net/eth0/dev_port",
        DEVICE "net/eth0/address",
        "sys/bus/pci/slots/1/address",
        "sys/bus/pci/slots/2/address",
};

static void check_device(const Device *d)
{
        CHECK(startswith(d->modalias, "pci:v") && d->class < 1U << 24);
        CHECK(d->numa_node >= -1 && d->autoprobe >= -1 && d->autoprobe <= 1);
        CHECK(d->total_vfs <= UINT16_MAX && (d->total_vfs > 0 || d->autoprobe == -1));
        CHECK(!d->slot || streq(d->slot, "1") || streq(d->slot, "2"));
        CHECK(streq(d->topology, "pci0000:41/00.0") && d->group == -1 && !d->driver && !d->is_vf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;
        _cleanup_(device_unrefp) Device *d = NULL;
        _cleanup_(reader_done) Reader reader = READER_NULL;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(attributes); i++) {
                const uint8_t *line = data;

                free(fuzz_line(&data, &size));
                fuzz_file(attributes[i], line, (size_t)(data - line));
        }
        CHECK(sysroot_open(fuzz_root_path(), &root) == 0);
        CHECK(reader_open(&root, &reader) == 0);
        r = reader_read(&reader, &(PciAddress){ .bus = 0x41 }, &d);
        CHECK(r == 0 || r == -EBADMSG);
        if (r == 0)
                check_device(d);
        return 0;
}
