/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The settings that a PF keeps for its VFs, by rtnetlink messages about the PF's network
 * interface: IFLA_VFINFO_LIST { IFLA_VF_INFO { one attribute per setting } }.
 */

#include "basic/io.h"
#include "basic/parse.h"
#include "basic/strv.h"
#include "sys/reader.h"
#include "sys/sysfs.h"
#include "worker/steps.h"

#include <limits.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>

#define MAC_MAX ((UINT64_C(1) << 48) - 1)

enum { NONE = _VF_SETTING_MAX, RENAMES_MAX = 16 };

/*
 * What is set by one message. The attributes but that of the MAC address are the number of the VF
 * and one or two others, all of 32 bits (struct ifla_vf_vlan, ifla_vf_rate, ifla_vf_trust, …).
 */
static const struct {
        int attribute;
        unsigned first, second; /* VfSetting */
} parts[] = {
        { IFLA_VF_MAC, VF_MAC_ADDRESS, NONE },
        { IFLA_VF_VLAN, VF_VLAN, VF_VLAN_QOS },
        { IFLA_VF_TRUST, VF_TRUST, NONE },
        { IFLA_VF_SPOOFCHK, VF_SPOOF_CHECK, NONE },
        { IFLA_VF_LINK_STATE, VF_LINK_STATE, NONE },
        { IFLA_VF_RATE, VF_MIN_TX_RATE, VF_MAX_TX_RATE },
};

/* A conversation about one PF. */
typedef struct Talk {
        struct nl_sock *socket;
        int ifindex;
        int error; /* negative errno of the kernel: libnl's own codes blur it */
        unsigned first;
        WorkerReply *reply;
} Talk;

static void talk_done(Talk *t)
{
        nl_socket_free(t->socket);
}

static void msg_freep(struct nl_msg **m)
{
        nlmsg_free(*m);
}

static int find_pf(const Sysroot *root, const PciAddress *vf, PciAddress *ret_pf,
                   unsigned *ret_index)
{
        _cleanup_(reader_done) Reader reader = READER_NULL;
        _cleanup_free_ char *name = NULL;
        PciAddress a;
        int r = readlink_name_at(root->sys, SYSFS_DEVICE_PATH(vf, "physfn"), &name);

        if (r < 0 || pci_address_parse(name, ret_pf) < 0)
                return r == -ENOMEM ? r : -ENODEV;
        reader.devices = open_dir_at(root->sys, SYSFS_PCI_DEVICES);
        for (*ret_index = 0; reader_find_vf(&reader, ret_pf, *ret_index, &a); ++*ret_index)
                if (pci_address_equal(&a, vf))
                        return 0;
        return -ENODEV;
}

/* The first port of the PF speaks for all its VFs. 0: there was one, which got another name. */
static int read_ifindex(int net)
{
        _cleanup_strv_ char **names = NULL;
        uint64_t lowest = UINT64_MAX, found = 0;
        int r = list_dir_at(net, ".", &names);

        if (r < 0 || !names)
                return r < 0 ? r : -ENONET;
        STRV_FOREACH(name, names) {
                _cleanup_close_ int fd = open_dir_at(net, *name);
                uint64_t port = sysfs_read_number(fd, "dev_port", UINT32_MAX, UINT32_MAX);
                uint64_t ifindex = sysfs_read_number(fd, "ifindex", INT_MAX, 0);

                if (ifindex > 0 && port < lowest) {
                        lowest = port;
                        found = ifindex;
                }
        }
        return (int)found;
}

static int find_ifindex(const Sysroot *root, const PciAddress *pf,
                        char text[static WORKER_ARGUMENT_SIZE])
{
        _cleanup_close_ int device = -EBADF, net = -EBADF;
        _cleanup_free_ char *driver = NULL;
        int r = 0;

        device = open_dir_at(root->sys, SYSFS_DEVICE_PATH(pf, ""));
        if (device < 0)
                return device == -ENOENT ? -ENODEV : device;
        if (readlink_name_at(device, "driver", &driver) == -ENOMEM)
                return -ENOMEM;
        net = sysfs_open_net(device, driver);
        for (int i = 0; i < RENAMES_MAX && net >= 0 && r == 0; i++)
                r = read_ifindex(net);
        if (r > 0)
                return r;
        if (net < 0 || r == -ENONET)
                snprintf(text, WORKER_ARGUMENT_SIZE, "%s %s", PCI_ADDRESS_STR(pf),
                         net >= 0 ? "has its network interface in another network namespace"
                                  : "has no network interface");
        return r < 0 ? r : -ENONET;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *userdata)
{
        Talk *t = userdata;

        t->error = e->error;
        return NL_STOP;
}

static int talk_open(const Sysroot *root, const PciAddress *pf, WorkerReply *p, Talk *t)
{
        t->reply = p;
        t->ifindex = find_ifindex(root, pf, p->text);
        if (t->ifindex < 0)
                return t->ifindex;
        p->ifindex = (uint32_t)t->ifindex;
        if (!root->is_host)
                return -ENOSYS;
        t->socket = nl_socket_alloc();
        if (!t->socket)
                return -ENOMEM;
        if (nl_connect(t->socket, NETLINK_ROUTE) < 0)
                return errno > 0 ? -errno : -EIO;
        nl_socket_disable_auto_ack(t->socket);
        nl_socket_enable_msg_peek(t->socket); /* a report of 127 VFs is larger than a page */
        nl_socket_modify_err_cb(t->socket, NL_CB_CUSTOM, on_error, t);
        return 0;
}

static struct nl_msg *new_message(const Talk *t, int type, int flags)
{
        struct ifinfomsg info = { .ifi_index = t->ifindex };
        struct nl_msg *m = nlmsg_alloc_simple(type, flags);

        if (!m || nlmsg_append(m, &info, sizeof(info), NLMSG_ALIGNTO) >= 0)
                return m;
        nlmsg_free(m);
        return NULL;
}

/* Sends and takes the one answer. */
static int exchange(Talk *t, struct nl_msg *m)
{
        int r;

        t->error = 0;
        r = nl_send_auto(t->socket, m);
        if (r >= 0)
                r = nl_recvmsgs_default(t->socket);
        return t->error < 0 ? t->error : r < 0 ? -EIO : 0;
}

static int put_part(struct nl_msg *m, size_t part, unsigned vf, const VfSettings *s)
{
        uint64_t first = s->values[parts[part].first];
        bool two = parts[part].second != NONE;
        const uint32_t numbers[3] = { vf, (uint32_t)first,
                                      two ? (uint32_t)s->values[parts[part].second] : 0 };
        struct ifla_vf_mac mac = { .vf = vf };

        if (parts[part].attribute != IFLA_VF_MAC)
                return nla_put(m, parts[part].attribute, two ? 12 : 8, numbers);
        for (unsigned i = 0; i < 6; i++)
                mac.mac[i] = (uint8_t)(first >> (40 - 8 * i));
        return nla_put(m, IFLA_VF_MAC, sizeof(mac), &mac);
}

static int set_part(Talk *t, size_t part, unsigned vf, const VfSettings *s)
{
        _cleanup_(msg_freep) struct nl_msg *m = new_message(t, RTM_SETLINK, NLM_F_ACK);
        struct nlattr *list, *info;

        list = m ? nla_nest_start(m, IFLA_VFINFO_LIST) : NULL;
        info = list ? nla_nest_start(m, IFLA_VF_INFO) : NULL;
        if (!info || put_part(m, part, vf, s) < 0)
                return -ENOMEM;
        nla_nest_end(m, info);
        nla_nest_end(m, list);
        return exchange(t, m);
}

/* "MACAddress=01:…: Invalid argument (EINVAL); VLAN=…" */
static void add_rejected(char text[static WORKER_ARGUMENT_SIZE], const VfSettings *s, int error)
{
        _cleanup_free_ char *setting = vf_settings_format(s);
        size_t n = strlen(text);

        snprintf(text + n, WORKER_ARGUMENT_SIZE - n, "%s%s: %s (%s)", n > 0 ? "; " : "",
                 strempty(setting), strempty(strerrordesc_np(-error)),
                 strempty(strerrorname_np(-error)));
}

/* Those of one message, the other half of a pair being 0 if it is not asked for. */
static VfSettings pick(const VfSettings *s, size_t part)
{
        VfSettings picked = { 0 };

        for (unsigned i = 0; i < _VF_SETTING_MAX; i++)
                if ((i == parts[part].first || i == parts[part].second) && vf_settings_has(s, i))
                        vf_settings_put(&picked, i, s->values[i]);
        return picked;
}

static bool settings_are_sane(const VfSettings *s)
{
        for (unsigned i = 0; i < _VF_SETTING_MAX; i++)
                if (s->values[i] > (i == VF_MAC_ADDRESS ? MAC_MAX : UINT32_MAX))
                        return false;
        return true;
}

int step_vf_setting(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_(talk_done) Talk t = { 0 };
        int r, error = 0;
        PciAddress pf;
        unsigned vf;

        if (!settings_are_sane(&q->settings))
                return -EINVAL;
        r = find_pf(root, &q->address, &pf, &vf);
        /* Waits for a PF that is still making its VFs: what is set before that is lost. */
        if (r >= 0)
                (void)sysfs_read_number(root->sys, SYSFS_DEVICE_PATH(&pf, "sriov_numvfs"),
                                        UINT16_MAX, 0);
        if (r >= 0)
                r = talk_open(root, &pf, p, &t);
        for (size_t i = 0; i < ELEMENTSOF(parts) && r >= 0; i++) {
                const VfSettings s = pick(&q->settings, i);
                int e = s.set ? set_part(&t, i, vf, &s) : 0;

                if (e < 0)
                        add_rejected(p->text, &s, e);
                error = error < 0 ? error : e;
        }
        return r < 0 ? r : error;
}

/* All bits set: the driver does not say (kernel: net/core/rtnetlink.c, rtnl_fill_vfinfo()). */
static void put_reported(VfSettings *s, unsigned which, uint32_t value)
{
        if (which != NONE && value != UINT32_MAX)
                vf_settings_put(s, which, value);
}

static void read_vf(struct nlattr *info, Talk *t)
{
        struct nlattr *tb[IFLA_VF_MAX + 1];
        WorkerReply *p = t->reply;
        struct ifla_vf_mac mac;
        VfSettings s = { 0 };

        if (nla_parse_nested(tb, IFLA_VF_MAX, info, NULL) < 0 || !tb[IFLA_VF_MAC] ||
            nla_len(tb[IFLA_VF_MAC]) < (int)sizeof(mac))
                return;
        memcpy(&mac, nla_data(tb[IFLA_VF_MAC]), sizeof(mac));
        if (mac.vf < t->first || mac.vf - t->first >= WORKER_VFS_MAX)
                return;
        vf_settings_put(&s, VF_MAC_ADDRESS, mac_to_number(mac.mac));
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                int size = parts[i].second != NONE ? 12 : 8;
                uint32_t numbers[3] = { 0 };

                if (parts[i].attribute == IFLA_VF_MAC || !tb[parts[i].attribute] ||
                    nla_len(tb[parts[i].attribute]) < size)
                        continue;
                memcpy(numbers, nla_data(tb[parts[i].attribute]), (size_t)size);
                put_reported(&s, parts[i].first, numbers[1]);
                put_reported(&s, parts[i].second, numbers[2]);
        }
        p->vfs[mac.vf - t->first] = s;
        p->n_vfs = MAX(p->n_vfs, mac.vf - t->first + 1);
}

static int on_link(struct nl_msg *m, void *userdata)
{
        struct nlattr *list, *info;
        int left;

        list = nlmsg_find_attr(nlmsg_hdr(m), sizeof(struct ifinfomsg), IFLA_VFINFO_LIST);
        if (!list)
                return NL_OK;
        nla_for_each_nested(info, list, left)
        {
                if (nla_type(info) == IFLA_VF_INFO)
                        read_vf(info, userdata);
        }
        return NL_OK;
}

int step_report_vfs(const Sysroot *root, const WorkerRequest *q, WorkerReply *p)
{
        _cleanup_(talk_done) Talk t = { .first = q->first };
        _cleanup_(msg_freep) struct nl_msg *m = NULL;
        int r = talk_open(root, &q->address, p, &t);

        if (r < 0)
                return r;
        nl_socket_modify_cb(t.socket, NL_CB_VALID, NL_CB_CUSTOM, on_link, &t);
        m = new_message(&t, RTM_GETLINK, 0);
        if (!m || nla_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS) < 0)
                return -ENOMEM;
        return exchange(&t, m);
}
