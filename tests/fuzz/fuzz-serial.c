/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* PCI configuration space, of which the serial number is looked for. */

#include "fuzz.h"
#include "sys/inspect.h"

#include <endian.h>

enum { START = 0x100, END = 0x1000 };

static bool read_dword(const uint8_t *data, size_t size, size_t offset, uint32_t *ret)
{
        if (offset + sizeof(*ret) > size)
                return false;
        memcpy(ret, data + offset, sizeof(*ret));
        *ret = le32toh(*ret);
        return true;
}

/* Each capability once: a list that comes back to one has no end. */
static bool find_serial(const uint8_t *data, size_t size, uint64_t *ret)
{
        bool seen[END] = { false };
        uint32_t header, lower, upper;

        for (size_t at = START; at >= START && !seen[at]; at = header >> 20 & 0xffc) {
                seen[at] = true;
                if (!read_dword(data, size, at, &header) || header == 0 || header == UINT32_MAX)
                        return false;
                if ((header & 0xffff) != 3)
                        continue;
                if (!read_dword(data, size, at + 4, &lower) ||
                    !read_dword(data, size, at + 8, &upper))
                        return false;
                *ret = (uint64_t)upper << 32 | lower;
                return true;
        }
        return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(sysroot_done) Sysroot root = SYSROOT_NULL;
        uint64_t serial = 0, expected = 0;
        bool has;

        if (size > END)
                return 0;
        fuzz_file("sys/bus/pci/devices/0000:41:00.0/config", data, size);
        CHECK(sysroot_open(fuzz_root_path(), &root) == 0);
        CHECK(inspect_serial(&root, &(PciAddress){ .bus = 0x41 }, &has, &serial) == 0);
        CHECK(has == find_serial(data, size, &expected));
        CHECK(!has || serial == expected);
        return 0;
}
