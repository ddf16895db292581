/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/sysfs.h"
#include "sys/usage.h"
#include "worker/steps.h"

#include <arpa/inet.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

typedef struct Talk {
        struct nl_sock *socket;
        const PciAddress *address;
        UseTable *uses;
        char **names; /* of the interfaces */
        int *indices; /* parallel to names */
        int error;
} Talk;

static void talk_done(Talk *t)
{
        nl_socket_free(t->socket);
        strv_free(t->names);
        free(t->indices);
}

static const char *find_name(const Talk *t, int ifindex)
{
        for (size_t i = 0; t->names[i]; i++)
                if (t->indices[i] == ifindex && ifindex > 0)
                        return t->names[i];
        return NULL;
}

/* "" without such an address. */
static const char *format_address(int family, struct nlattr *a, char ret[static INET6_ADDRSTRLEN])
{
        ret[0] = 0;
        if (a && nla_len(a) >= (family == AF_INET ? 4 : 16))
                inet_ntop(family, nla_data(a), ret, INET6_ADDRSTRLEN);
        return ret;
}

static void on_address(struct nlmsghdr *m, Talk *t)
{
        struct nlattr *tb[IFA_MAX + 1];
        char text[INET6_ADDRSTRLEN];
        const struct ifaddrmsg *a;
        const char *name;

        if (nlmsg_parse(m, sizeof(*a), tb, IFA_MAX, NULL) < 0)
                return;
        a = nlmsg_data(m);
        name = find_name(t, (int)a->ifa_index);
        if (!name || a->ifa_scope >= RT_SCOPE_LINK ||
            (a->ifa_family != AF_INET && a->ifa_family != AF_INET6))
                return;
        t->error = use_table_add(
                t->uses, t->address, REASON_NETWORK_ADDRESS, "%s has the address %s", name,
                format_address(a->ifa_family, tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS],
                               text));
}

/* The interface of ours that a route, or one of its paths, leads through. */
static const char *find_route_interface(const Talk *t, struct nlattr *const *tb)
{
        const char *name = NULL;
        struct rtnexthop *hop;
        int left;

        if (tb[RTA_OIF] && nla_len(tb[RTA_OIF]) >= 4)
                return find_name(t, (int)nla_get_u32(tb[RTA_OIF]));
        if (!tb[RTA_MULTIPATH])
                return NULL;
        left = nla_len(tb[RTA_MULTIPATH]);
        for (hop = nla_data(tb[RTA_MULTIPATH]); !name && RTNH_OK(hop, left);
             left -= (int)NLMSG_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
                name = find_name(t, hop->rtnh_ifindex);
        return name;
}

/* The kernel's own follow from addresses. */
static void on_route(struct nlmsghdr *m, Talk *t)
{
        struct nlattr *tb[RTA_MAX + 1];
        char text[INET6_ADDRSTRLEN];
        const struct rtmsg *route;
        const char *name;
        uint32_t table;
        bool far;

        if (nlmsg_parse(m, sizeof(*route), tb, RTA_MAX, NULL) < 0)
                return;
        route = nlmsg_data(m);
        name = find_route_interface(t, tb);
        if (!name || route->rtm_type != RTN_UNICAST || route->rtm_protocol == RTPROT_KERNEL ||
            route->rtm_flags & RTM_F_CLONED ||
            (route->rtm_family != AF_INET && route->rtm_family != AF_INET6))
                return;
        table = tb[RTA_TABLE] && nla_len(tb[RTA_TABLE]) >= 4 ? nla_get_u32(tb[RTA_TABLE])
                                                             : route->rtm_table;
        far = tb[RTA_GATEWAY] || tb[RTA_VIA] || tb[RTA_MULTIPATH];
        if (route->rtm_dst_len == 0)
                t->error = use_table_add(t->uses, t->address, REASON_NETWORK_ROUTE,
                                         "%s carries the default route of table %u", name, table);
        else
                t->error = use_table_add(t->uses, t->address,
                                         far ? REASON_NETWORK_ROUTE : REASON_NETWORK_ADDRESS,
                                         "%s carries the route to %s/%u of table %u", name,
                                         format_address(route->rtm_family, tb[RTA_DST], text),
                                         route->rtm_dst_len, table);
}

static int on_message(struct nl_msg *m, void *userdata)
{
        struct nlmsghdr *header = nlmsg_hdr(m);
        Talk *t = userdata;

        if (header->nlmsg_type == RTM_NEWADDR)
                on_address(header, t);
        else if (header->nlmsg_type == RTM_NEWROUTE)
                on_route(header, t);
        return t->error < 0 ? NL_STOP : NL_OK;
}

static int find_interfaces(const Sysroot *root, const Device *d, Talk *t)
{
        int r = usage_interfaces(root, d, &t->names);

        if (r < 0)
                return r;
        t->indices = calloc(strv_length(t->names) + 1, sizeof(int));
        if (!t->indices)
                return -ENOMEM;
        for (size_t i = 0; t->names && t->names[i]; i++)
                t->indices[i] = (int)sysfs_read_number(
                        root->sys, SYSFS_PATH(SYSFS_NET_CLASS, t->names[i], "ifindex"), INT_MAX, 0);
        return 0;
}

/* What cannot be asked says nothing: /proc/net was read before. */
int check_net(const Sysroot *root, const Device *d, UseTable *uses)
{
        _cleanup_(talk_done) Talk t = { .address = &d->address, .uses = uses };
        const struct rtgenmsg any = { .rtgen_family = AF_UNSPEC };
        int r = root->is_host ? find_interfaces(root, d, &t) : 0;

        if (r < 0 || !t.names)
                return r;
        t.socket = nl_socket_alloc();
        if (!t.socket)
                return -ENOMEM;
        nl_socket_modify_cb(t.socket, NL_CB_VALID, NL_CB_CUSTOM, on_message, &t);
        if (nl_connect(t.socket, NETLINK_ROUTE) < 0)
                return 0;
        for (int type = RTM_GETADDR; type; type = type == RTM_GETADDR ? RTM_GETROUTE : 0)
                if (nl_send_simple(t.socket, type, NLM_F_DUMP, (void *)&any, sizeof(any)) >= 0)
                        (void)nl_recvmsgs_default(t.socket);
        return t.error;
}
