/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Routes and addresses on a function's network interfaces, and on the bridges, bonds and VLANs
 * that are stacked on them. The tables in /proc/net are read without RTNL; they have the main
 * table of IPv4 and all of IPv6.
 */

#include "basic/io.h"
#include "basic/parse.h"
#include "sys/sysfs.h"
#include "sys/usage-internal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>

/* Scopes in /proc/net/if_inet6 (kernel: include/net/ipv6.h, IPV6_ADDR_…). */
enum { SCOPE_LOOPBACK = 0x10, SCOPE_LINK = 0x20 };

static int on_route(Look *l, char **fields, size_t n, const void *userdata)
{
        uint64_t destination, gateway, mask;
        char text[INET_ADDRSTRLEN];
        int length;

        if (n < 8 || parse_uint(fields[1], 16, UINT32_MAX, &destination) < 0 ||
            parse_uint(fields[2], 16, UINT32_MAX, &gateway) < 0 ||
            parse_uint(fields[7], 16, UINT32_MAX, &mask) < 0)
                return 0;
        if (mask == 0)
                return look_fact(l, REASON_NETWORK_ROUTE, fields[0], "carries the default route");
        length = __builtin_popcountll(mask);
        inet_ntop(AF_INET, &(struct in_addr){ (in_addr_t)destination }, text, sizeof(text));
        if (gateway != 0)
                return look_fact(l, REASON_NETWORK_ROUTE, fields[0], "carries the route to %s/%d",
                                 text, length);
        return look_fact(l, REASON_NETWORK_ADDRESS, fields[0], "has an address in %s/%d", text,
                         length);
}

/* 32 hexadecimal digits without colons. */
static bool parse_in6(const char *s, struct in6_addr *ret, char text[static INET6_ADDRSTRLEN])
{
        if (strlen(s) != 32 || s[strspn(s, "0123456789abcdef")])
                return false;
        for (size_t i = 0; i < 16; i++)
                sscanf(s + 2 * i, "%2hhx", &ret->s6_addr[i]);
        return inet_ntop(AF_INET6, ret, text, INET6_ADDRSTRLEN);
}

static int on_route6(Look *l, char **fields, size_t n, const void *userdata)
{
        struct in6_addr destination, gateway;
        char text[INET6_ADDRSTRLEN], unused[INET6_ADDRSTRLEN];
        uint64_t length, flags;

        if (n < 10 || !parse_in6(fields[0], &destination, text) ||
            !parse_in6(fields[4], &gateway, unused) ||
            parse_uint(fields[1], 16, 128, &length) < 0 ||
            parse_uint(fields[8], 16, UINT32_MAX, &flags) < 0 || flags & (RTF_REJECT | RTF_LOCAL))
                return 0;
        if (length == 0)
                return look_fact(l, REASON_NETWORK_ROUTE, fields[9],
                                 "carries the default route of IPv6");
        if (IN6_IS_ADDR_UNSPECIFIED(&gateway))
                return 0;
        return look_fact(l, REASON_NETWORK_ROUTE, fields[9], "carries the route to %s/%u", text,
                         (unsigned)length);
}

static int on_address6(Look *l, char **fields, size_t n, const void *userdata)
{
        char text[INET6_ADDRSTRLEN];
        struct in6_addr address;
        uint64_t scope;

        if (n < 6 || !parse_in6(fields[0], &address, text) ||
            parse_uint(fields[3], 16, UINT8_MAX, &scope) < 0 || scope == SCOPE_LOOPBACK ||
            scope == SCOPE_LINK)
                return 0;
        return look_fact(l, REASON_NETWORK_ADDRESS, fields[5], "has the address %s", text);
}

static int read_tables(Look *l)
{
        int r = look_rows(l, "proc/net/route", on_route, NULL);

        if (r >= 0)
                r = look_rows(l, "proc/net/ipv6_route", on_route6, NULL);
        return r < 0 ? r : look_rows(l, "proc/net/if_inet6", on_address6, NULL);
}

/* Appends an interface and all that are stacked on it (kernel: net/core/dev.c, "upper_br0"). */
static int add_chain(const Sysroot *root, const char *name, char ***chain)
{
        size_t i = strv_length(*chain);
        int r = strv_contains(*chain, name) ? 0 : strv_extend(chain, name);

        for (; r >= 0 && *chain && (*chain)[i]; i++) {
                _cleanup_strv_ char **links = NULL;

                r = look_optional(list_dir_at(
                        root->sys, SYSFS_PATH(SYSFS_NET_CLASS, (*chain)[i], ""), &links));
                STRV_FOREACH(link, links) {
                        const char *upper = startswith(*link, "upper_");

                        if (upper && !strv_contains(*chain, upper) && r >= 0)
                                r = strv_extend(chain, upper);
                }
        }
        return r;
}

/* The first port of a bridge, bond or team on the chain. */
static int find_port(const Look *l, const PciAddress *a, char **chain)
{
        STRV_FOREACH(name, chain) {
                _cleanup_free_ char *master = NULL;
                const char *kind = "";

                if (readlink_name_at(l->root->sys, SYSFS_PATH(SYSFS_NET_CLASS, *name, "master"),
                                     &master) < 0)
                        continue;
                if (exists_at(l->root->sys, SYSFS_PATH(SYSFS_NET_CLASS, master, "bridge")))
                        kind = "the bridge ";
                else if (exists_at(l->root->sys, SYSFS_PATH(SYSFS_NET_CLASS, master, "bonding")))
                        kind = "the bond ";
                return use_table_add(l->table, a, REASON_NETWORK_ADDRESS,
                                     "%s%s%s is a port of %s%s", *name,
                                     streq(*name, chain[0]) ? "" : " on ",
                                     streq(*name, chain[0]) ? "" : chain[0], kind, master);
        }
        return 0;
}

/* What is on an interface of the function itself. */
static int look_at_interface(const Look *l, const PciAddress *a, const char *name)
{
        _cleanup_strv_ char **chain = NULL;
        size_t before = l->table->n_uses;
        int r = add_chain(l->root, name, &chain);

        STRV_FOREACH(s, chain)
                for (size_t i = 0; i < l->n_facts && r >= 0; i++)
                        if (streq(l->facts[i].about, *s))
                                r = use_table_add(l->table, a, l->facts[i].hazard, "%s%s%s %s", *s,
                                                  streq(*s, name) ? "" : " on ",
                                                  streq(*s, name) ? "" : name, l->facts[i].text);
        return r < 0 || l->table->n_uses > before ? r : find_port(l, a, chain);
}

/* Where the links of all interfaces of this namespace point to. */
static int read_links(const Sysroot *root, char ***ret)
{
        _cleanup_strv_ char **all = NULL;
        int r = look_optional(list_dir_at(root->sys, SYSFS_NET_CLASS, &all));

        for (char **name = all; name && *name && r >= 0; name++) {
                _cleanup_free_ char *target = NULL;

                r = readlink_at(root->sys, SYSFS_PATH(SYSFS_NET_CLASS, ".", *name), &target);
                r = r < 0 ? look_optional(r) : strv_extend(ret, target);
        }
        return r;
}

/* Of what is plugged into the function, into a USB controller, say, or a subfunction of it. */
static int list_below(const Device *d, char **links, char ***ret)
{
        char part[PCI_ADDRESS_SIZE + 2];
        int r = 0;

        snprintf(part, sizeof(part), "/%s/", PCI_ADDRESS_STR(&d->address));
        for (char **link = links; link && *link && r >= 0; link++) {
                const char *below = strstr(*link, part),
                           *name = below ? strrchr(below, '/') + 1 : NULL;

                if (name && !strv_contains(*ret, name))
                        r = strv_extend(ret, name);
        }
        return r;
}

/* Its own. `net`: their directory, or none; it is empty when they went to another namespace. */
static int list_own(const Sysroot *root, const Device *d, int *ret_net, char ***ret)
{
        _cleanup_close_ int device = open_dir_at(root->sys, SYSFS_DEVICE_PATH(&d->address, ""));

        *ret_net = device >= 0 ? sysfs_open_net(device, d->driver) : -EBADF;
        return look_optional(*ret_net < 0 ? *ret_net : list_dir_at(*ret_net, ".", ret));
}

static int look_at_function(Look *l, const Device *d, char **links, bool *tables)
{
        _cleanup_strv_ char **names = NULL;
        _cleanup_close_ int net = -EBADF;
        int r = list_own(l->root, d, &net, &names);

        if (r >= 0 && net >= 0 && !names)
                r = use_table_add(l->table, &d->address, REASON_NETWORK_ADDRESS,
                                  "its network interface is in another network namespace");
        if (r >= 0)
                r = list_below(d, links, &names);
        if (r < 0 || !names)
                return r;
        if (!*tables)
                r = read_tables(l);
        *tables = true;
        for (char **name = names; *name && r >= 0; name++)
                r = look_at_interface(l, &d->address, *name);
        for (char **name = names; *name && r >= 0 && net >= 0; name++)
                if (sysfs_read_number(net, SYSFS_PATH(".", *name, "flags"), UINT32_MAX, 0) & IFF_UP)
                        r = use_table_add(l->table, &d->address, REASON_VFS_IN_USE,
                                          "its network interface %s is up", *name);
        return r;
}

int look_at_interfaces(Look *l)
{
        _cleanup_strv_ char **links = NULL;
        bool tables = false;
        int r = read_links(l->root, &links);

        for (size_t i = 0; i < l->table->n_asked && r >= 0; i++) {
                const Device *d = inventory_find(l->inv, &l->table->asked[i]);

                if (d && !d->driver_is_vfio)
                        r = look_at_function(l, d, links, &tables);
        }
        return r;
}

int usage_interfaces(const Sysroot *root, const Device *d, char ***ret)
{
        _cleanup_strv_ char **names = NULL, **links = NULL, **chain = NULL;
        _cleanup_close_ int net = -EBADF;
        int r = read_links(root, &links);

        if (r >= 0)
                r = list_own(root, d, &net, &names);
        if (r >= 0)
                r = list_below(d, links, &names);
        for (char **name = names; name && *name && r >= 0; name++)
                r = add_chain(root, *name, &chain);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(chain);
        return 0;
}
