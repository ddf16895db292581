/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Events as systemd-udevd sends them to group 2 of NETLINK_KOBJECT_UEVENT of this network
 * namespace: a header that libudev's filters look at (libsystemd: sd-device/device-monitor.c), and
 * properties.
 */

#include "sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { UDEV_GROUP = 2, UDEV_MAGIC = 0xfeedcafe, MESSAGE_SIZE = 8000 };

typedef struct Message {
        size_t size;
        struct Message *next;
        char subsystem[NAME_SIZE];
        char data[];
} Message;

/* What is to become of the next events: that many are lost, doubled, or kept and then reversed. */
static struct {
        pthread_mutex_t lock;
        unsigned lose, twice, reverse, n_kept;
        bool hold;
        Message *kept;
        unsigned long sent;
        unsigned long long seqnum;
} events = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int events_fd = -1;

static uint32_t murmur2(const char *text)
{
        uint32_t n = (uint32_t)strlen(text), h = n;

        for (; n >= 4; n -= 4, text += 4) {
                uint32_t k;

                memcpy(&k, text, sizeof(k));
                k *= 0x5bd1e995;
                k ^= k >> 24;
                h = h * 0x5bd1e995 ^ k * 0x5bd1e995;
        }
        if (n > 0) {
                for (uint32_t i = 0; i < n; i++)
                        h ^= (uint32_t)(unsigned char)text[i] << 8 * i;
                h *= 0x5bd1e995;
        }
        h ^= h >> 13;
        h *= 0x5bd1e995;
        return h ^ h >> 15;
}

static uint64_t bloom(const char *tag)
{
        uint32_t h = murmur2(tag);

        return 1ull << (h & 63) | 1ull << (h >> 6 & 63) | 1ull << (h >> 12 & 63) |
               1ull << (h >> 18 & 63);
}

static bool is_tagged(const char *subsystem)
{
        return strcmp(subsystem, "pci") == 0 || strcmp(subsystem, "vfio") == 0;
}

static void transmit(const Message *m)
{
        struct {
                char prefix[8];
                uint32_t magic, header_size, properties_offset, properties_size;
                uint32_t subsystem_hash, devtype_hash, tags_high, tags_low;
        } header = { "libudev",
                     htonl(UDEV_MAGIC),
                     sizeof(header),
                     sizeof(header),
                     (uint32_t)m->size,
                     htonl(murmur2(m->subsystem)),
                     0,
                     0,
                     0 };
        struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_groups = UDEV_GROUP };
        struct iovec parts[] = { { &header, sizeof(header) }, { (void *)m->data, m->size } };
        struct msghdr h = {
                .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = parts, .msg_iovlen = 2
        };

        if (is_tagged(m->subsystem)) {
                header.tags_high = htonl((uint32_t)(bloom("vfiod") >> 32));
                header.tags_low = htonl((uint32_t)bloom("vfiod"));
        }
        (void)sendmsg(events_fd, &h, 0); /* nobody listening is ECONNREFUSED */
        events.sent++;
}

/* The last kept goes first. */
static void flush_kept(void)
{
        while (events.kept) {
                Message *m = events.kept;

                events.kept = m->next;
                transmit(m);
                free(m);
        }
        events.n_kept = 0;
}

/* With events.lock. Takes over the message. */
static void dispose(Message *m)
{
        if (events.lose > 0) {
                events.lose--;
        } else if (events.hold || events.reverse > 0) {
                m->next = events.kept;
                events.kept = m;
                events.n_kept++;
                if (events.reverse > 0 && --events.reverse == 0 && !events.hold)
                        flush_kept();
                return;
        } else {
                transmit(m);
                if (events.twice > 0) {
                        events.twice--;
                        transmit(m);
                }
        }
        free(m);
}

/* Properties are lines; the wire has NULs. */
static void send_event(const char *subsystem, const char *properties)
{
        Message *m = malloc(sizeof(Message) + MESSAGE_SIZE);

        if (!m)
                return;
        pthread_mutex_lock(&events.lock);
        m->next = NULL;
        snprintf(m->subsystem, sizeof(m->subsystem), "%s", subsystem);
        events.seqnum++;
        m->size = (size_t)snprintf(
                m->data, MESSAGE_SIZE, "%sSUBSYSTEM=%s\nSEQNUM=%llu\nUSEC_INITIALIZED=1000000\n%s",
                properties, subsystem, events.seqnum,
                is_tagged(subsystem) ? "TAGS=:vfiod:\nCURRENT_TAGS=:vfiod:\n" : "");
        for (size_t i = 0; i < m->size; i++)
                if (m->data[i] == '\n')
                        m->data[i] = 0;
        dispose(m);
        pthread_mutex_unlock(&events.lock);
}

void event_device(const Device *d, const char *action)
{
        char text[2048], driver[NAME_SIZE + 16] = "";

        if (events_fd < 0 || !d->path)
                return;
        if (d->bound && strcmp(action, "unbind") != 0)
                snprintf(driver, sizeof(driver), "DRIVER=%s\n", d->driver->name);
        snprintf(text, sizeof(text),
                 "ACTION=%s\nDEVPATH=%s\n%sPCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n",
                 action, d->path + strlen("/sys"), driver, d->class, d->vendor, d->device, d->name);
        send_event("pci", text);
}

void event_node(const Node *node, const char *action, const char *subsystem)
{
        char text[2048], path[PATH_SIZE], name[NAME_SIZE + 32] = "";

        if (events_fd < 0)
                return;
        node_write_path(node, path, sizeof(path));
        if (strcmp(subsystem, "net") == 0)
                snprintf(name, sizeof(name), "INTERFACE=%s\n", node->name);
        else if (strcmp(subsystem, "vfio-dev") != 0)
                snprintf(name, sizeof(name), "DEVNAME=/dev/%s%s\n",
                         strcmp(subsystem, "vfio") == 0 ? "vfio/" : "", node->name);
        snprintf(text, sizeof(text), "ACTION=%s\nDEVPATH=%s\n%s", action, path + strlen("/sys"),
                 name);
        send_event(subsystem, text);
}

int events_open(void)
{
        struct sockaddr_nl address = { .nl_family = AF_NETLINK };

        events_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
        if (events_fd < 0 || bind(events_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        return 0;
}

/* Large messages that pass the filter, until the receivers have no room. */
static void flood(unsigned n)
{
        Message *m = calloc(1, sizeof(Message) + MESSAGE_SIZE);

        if (!m)
                return;
        snprintf(m->subsystem, sizeof(m->subsystem), "pci");
        m->size = (size_t)snprintf(m->data, MESSAGE_SIZE,
                                   "ACTION=change%cDEVPATH=/devices/pci0000:00/0000:00:1f.7%c"
                                   "SUBSYSTEM=pci%cSEQNUM=1%cPAD=",
                                   0, 0, 0, 0);
        memset(m->data + m->size, 'x', MESSAGE_SIZE - m->size - 1);
        m->size = MESSAGE_SIZE;
        while (n-- > 0)
                transmit(m);
        free(m);
}

int events_command(int argc, char *argv[], char *error, size_t size)
{
        const char *what = argc > 1 ? argv[1] : "";
        unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

        pthread_mutex_lock(&events.lock);
        events.hold = strcmp(what, "hold") == 0;
        if (strcmp(what, "lose") == 0)
                events.lose = n;
        else if (strcmp(what, "double") == 0)
                events.twice = n;
        else if (strcmp(what, "reverse") == 0)
                events.reverse = n;
        else if (strcmp(what, "flood") == 0)
                flood(n);
        else if (strcmp(what, "normal") == 0) {
                flush_kept();
                events.lose = events.twice = events.reverse = 0;
        } else if (!events.hold && strcmp(what, "sent") != 0) {
                snprintf(error, size, "events: no such word: '%s'", what);
                pthread_mutex_unlock(&events.lock);
                return -EINVAL;
        }
        snprintf(error, size, "%lu", events.sent);
        pthread_mutex_unlock(&events.lock);
        return 0;
}
