/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Two functions, and who uses them. */

#include "fake-tree.h"
#include "sys/scan.h"
#include "sys/usage.h"

#define FIRST "0000:41:10.0"
#define SECOND "0000:41:10.2"
#define ALIAS "pci:v00008086d000010CAsv00008086sd0000A03Cbc02sc00i00\n"

/* Two VFs in groups 17 and 18, on a VFIO driver or on a host's. */
static inline FakeTree *host_with_vfs(const char *driver)
{
        FakeTree *t = fake_new();

        fake_device(t, "pci0000:00", FIRST, ALIAS);
        fake_device(t, "pci0000:00", SECOND, ALIAS);
        fake_group(t, FIRST, 17);
        fake_group(t, SECOND, 18);
        fake_driver(t, FIRST, driver);
        fake_driver(t, SECOND, driver);
        return t;
}

/* All uses of one, both being asked about; to be freed. */
static inline char *read_users(const FakeTree *t, const char *address)
{
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        _cleanup_(use_table_done) UseTable table = { 0 };
        static const char *const addresses[] = { FIRST, SECOND };
        GString *text = g_string_new(NULL);
        PciAddress a, wanted;

        g_assert_cmpint(pci_address_parse(address, &wanted), ==, 0);
        g_assert_cmpint(scan_all(&t->root, &inv), ==, 0);
        for (size_t i = 0; i < 2; i++) {
                g_assert_cmpint(pci_address_parse(addresses[i], &a), ==, 0);
                g_assert_cmpint(use_table_ask(&table, &a), ==, 0);
        }
        g_assert_cmpint(usage_read(&t->root, inv, &table), ==, 0);
        for (size_t i = 0; i < table.n_uses; i++)
                if (pci_address_equal(&table.uses[i].address, &wanted))
                        g_string_append_printf(text, "%s%s: %s", text->len > 0 ? "\n" : "",
                                               reason_to_string(table.uses[i].hazard),
                                               table.uses[i].by);
        return g_string_free(text, FALSE);
}

/* "HAZARD: sentence", joined by newlines; "" if nobody uses it. */
static inline void assert_use(const FakeTree *t, const char *address, const char *expected)
{
        g_autofree char *text = read_users(t, address);

        g_assert_cmpstr(text, ==, expected);
}

static inline void assert_users(const FakeTree *t, const char *first, const char *second)
{
        assert_use(t, FIRST, first ? first : "");
        assert_use(t, SECOND, second ? second : "");
}
