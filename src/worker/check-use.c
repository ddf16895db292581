/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who uses a device right before it is taken away. The plan asked already; since then somebody may
 * have come, and some uses show only to those who may wait for an answer.
 */

#include "basic/io.h"
#include "sys/reader.h"
#include "sys/sysfs.h"
#include "sys/usage.h"
#include "worker/steps.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>

/* Another worker may have the node open for the same reason, and for a moment. */
enum { NODE_TRIES = 5, NODE_PAUSE_USEC = 1000, NODE_SIZE = 300 };

/* Without the names of slots, which take longest. */
static int read_device(const Sysroot *root, const PciAddress *a, Inventory **ret)
{
        _cleanup_(reader_done) Reader reader = READER_NULL;
        _cleanup_(device_unrefp) Device *d = NULL;
        int r;

        reader.root = root;
        reader.devices = open_dir_at(root->sys, SYSFS_PCI_DEVICES);
        r = reader_read(&reader, a, &d);
        if (r >= 0)
                r = inventory_new(&d, 1, true, NULL, ret);
        if (r < 0)
                return r == -ENOMEM ? r : -ENODEV;
        TAKE_PTR(d);
        return 0;
}

static const Use *find_hazard(const UseTable *uses, HazardSet accept)
{
        for (size_t i = 0; i < uses->n_uses; i++)
                if (!(accept & hazard_bit(uses->uses[i].hazard)))
                        return &uses->uses[i];
        return NULL;
}

static int try_node(const Sysroot *root, const char *path)
{
        int fd = -1;

        for (int i = 0; i < NODE_TRIES && fd < 0; i++) {
                if (i > 0)
                        usleep(NODE_PAUSE_USEC);
                fd = openat(root->root, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
                if (fd < 0 && errno != EBUSY)
                        return -errno;
        }
        if (fd < 0)
                return -EBUSY;
        close(fd);
        return 0;
}

/*
 * A group's node opens for one at a time, and is not free before its devices are closed (kernel:
 * drivers/vfio/group.c). To try it costs less than to look at every process.
 */
static int check_node(const Sysroot *root, const Inventory *inv, UseTable *uses)
{
        const Device *d = inv->devices[0];
        const char *node = DEVICE_NODE(d);
        int tried = try_node(root, node + 1), r = 0;

        /* A kernel may have only the nodes of devices, which open for many. */
        if (tried == -ENOENT && !exists_at(root->sys, SYSFS_DEVICE_PATH(&d->address, "vfio-dev")))
                return 0;
        if (tried < 0)
                r = usage_read_nodes(root, inv, uses);
        if (r < 0 || tried != -EBUSY)
                return r;
        return use_table_add(uses, &d->address, REASON_DEVICE_IN_USE,
                             "a program has %s open, or a device of it", node);
}

static int add_block_holder(const Sysroot *root, const PciAddress *a, const char *name,
                            UseTable *uses)
{
        _cleanup_strv_ char **holders = NULL;
        _cleanup_free_ char *list = NULL;
        char node[NODE_SIZE];
        int r;

        snprintf(node, sizeof(node), "/dev/%s", name);
        r = holders_of_node(root, node, &holders);
        list = strv_join(holders, ", ");
        if (r == -ENOMEM || !list)
                return -ENOMEM;
        return use_table_add(uses, a, REASON_BLOCK_HOLDER, "%s is held exclusively%s%s", node,
                             *list ? ", opened by " : "", list);
}

/* Mounted, swapped to, a part of something, or a program's own: the kernel then lets no other
 * have it exclusively. Where the tables told what it is, this is no news. */
static int check_blocks(const Sysroot *root, const Inventory *inv, UseTable *uses)
{
        const PciAddress *a = &inv->devices[0]->address;
        _cleanup_strv_ char **names = NULL;
        char path[NODE_SIZE];
        int r;

        if (inv->devices[0]->driver_is_vfio || use_table_find(uses, a, REASON_MOUNTED_FILESYSTEM) ||
            use_table_find(uses, a, REASON_SWAP) || use_table_find(uses, a, REASON_BLOCK_HOLDER))
                return 0;
        r = usage_blocks(root, a, &names);
        for (char **name = names; name && *name && r >= 0; name++) {
                _cleanup_close_ int fd = -EBADF;

                snprintf(path, sizeof(path), "dev/%s", *name);
                fd = openat(root->root, path,
                            O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
                if (fd < 0 && errno == EBUSY)
                        r = add_block_holder(root, a, *name, uses);
        }
        return r;
}

/* What shows only to those who may wait for an answer; `uses` has what else is known. */
static int look_closely(const Sysroot *root, const Inventory *inv, HazardSet accept, UseTable *uses)
{
        int r = 0;

        if (!find_hazard(uses, accept))
                r = check_node(root, inv, uses);
        if (r >= 0 && !find_hazard(uses, accept))
                r = check_blocks(root, inv, uses);
        if (r >= 0 && !find_hazard(uses, accept))
                r = check_net(root, inv->devices[0], uses);
        return r;
}

/* `planned`: whether all that anybody can see was asked just now. */
static int find_uses(const Sysroot *root, const Inventory *inv, const WorkerRequest *q,
                     bool planned, UseTable *uses)
{
        int r = use_table_ask(uses, &q->address);

        if (r >= 0 && !planned)
                r = usage_read_host(root, inv, uses);
        return r < 0 ? r : look_closely(root, inv, q->accept, uses);
}

int step_check_use(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_(inventory_freep) Inventory *inv = NULL;
        _cleanup_(use_table_done) UseTable seen = { 0 }, uses = { 0 };
        const Use *use;
        int r = read_device(root, &q->address, &inv);

        if (r >= 0 && q->planned) {
                r = find_uses(root, inv, q, true, &seen);
                if (r >= 0 && !find_hazard(&seen, q->accept))
                        return 0;
        }
        /* Who it is, if somebody came since, the tables tell best. */
        if (r >= 0)
                r = find_uses(root, inv, q, false, &uses);
        if (r < 0)
                return r;
        use = find_hazard(&uses, q->accept);
        if (!use)
                return 0;
        p->hazard = use->hazard;
        snprintf(p->text, sizeof(p->text), "%s", use->by);
        return -EBUSY;
}

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
        for (int type = RTM_GETADDR; type && t.error >= 0;
             type = type == RTM_GETADDR ? RTM_GETROUTE : 0)
                if (nl_send_simple(t.socket, type, NLM_F_DUMP, (void *)&any, sizeof(any)) >= 0)
                        (void)nl_recvmsgs_default(t.socket);
        return t.error;
}
