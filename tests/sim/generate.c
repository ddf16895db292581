/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Large hosts: root ports with cards of one, two, four or eight functions, the first with SR-IOV.
 */

#include "sim.h"

#include <err.h>
#include <string.h>

enum { PORTS_PER_DOMAIN = 240 };

static void add(const char *format, ...)
{
        char line[512], error[256];
        va_list ap;

        va_start(ap, format);
        vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        if (!host_line(line, error, sizeof(error)))
                errx(1, "generate: %s", error);
}

/* Functions of a card with several are in one group on every other port, as without ACS. */
static unsigned add_card(unsigned port, unsigned domain, unsigned bus, unsigned left)
{
        unsigned n = 1u << port % 4, group = 100000 + port;

        if (n > left)
                n = left;
        for (unsigned i = 0; i < n; i++)
                if (port % 8 < 4)
                        add("device %04x:%02x:00.%u 8086:10c9 class=020000 numa=%u group=%u multi "
                            "serial=%x reset=flr",
                            domain, bus, i, domain % 2, group, 0x1000000 + port);
                else
                        add("device %04x:%02x:00.%u 144d:a80a class=010802 numa=%u reset=flr",
                            domain, bus, i, domain % 2);
        return n;
}

void generate(unsigned functions, unsigned pfs, unsigned vfs)
{
        for (unsigned made = 0, port = 0; made < functions; port++) {
                unsigned domain = port / PORTS_PER_DOMAIN, n = port % PORTS_PER_DOMAIN;

                add("bridge %04x:00:%02x.%u 8086:a110 bus=%x group=%u numa=%u", domain, n / 8 + 1,
                    n % 8, n + 1, 200000 + port, domain % 2);
                made++;
                if (made == functions)
                        break;
                if (port >= pfs) {
                        made += add_card(port, domain, n + 1, functions - made);
                        continue;
                }
                add("device %04x:%02x:00.0 8086:1520 class=020000 sriov=%u:8:1:1521 reset=flr "
                    "numa=%u",
                    domain, n + 1, vfs, domain % 2);
                made++;
        }
}
