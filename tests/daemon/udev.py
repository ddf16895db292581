# SPDX-License-Identifier: LGPL-2.1-or-later
"""Speaks for udev: sends what udevd sends to those who listen with libudev, in the same network
namespace. The frame is that of systemd's sd-device monitor."""

import socket
import struct

NETLINK_KOBJECT_UEVENT, UDEV_GROUP = 15, 2
TAG = "vfiod"


def string_hash(text):
    """MurmurHash2 with seed 0, as in the filters of sd-device."""
    data, factor, mask = text.encode(), 0x5bd1e995, 0xffffffff
    h = len(data)
    while len(data) >= 4:
        k = struct.unpack_from("<I", data)[0] * factor & mask
        h = (h * factor & mask) ^ ((k ^ k >> 24) * factor & mask)
        data = data[4:]
    if data:
        h = (h ^ int.from_bytes(data, "little")) * factor & mask
    h = (h ^ h >> 13) * factor & mask
    return h ^ h >> 15


def bloom(text):
    h = string_hash(text)
    return 1 << (h & 63) | 1 << (h >> 6 & 63) | 1 << (h >> 12 & 63) | 1 << (h >> 18 & 63)


class Sender:
    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT)
        self.number = 0

    def send(self, action, name, subsystem="pci"):
        """An event of udev about a PCI function; the path is not looked at by anyone."""
        self.number += 1
        words = {"ACTION": action, "DEVPATH": f"/devices/pci0000:00/{name}", "SUBSYSTEM": subsystem,
                 "SEQNUM": str(self.number), "TAGS": f":{TAG}:", "CURRENT_TAGS": f":{TAG}:"}
        properties = b"".join(f"{key}={value}".encode() + b"\0" for key, value in words.items())
        tags = bloom(TAG)
        header = b"libudev\0" + struct.pack(">I", 0xfeedcafe) + struct.pack("=III", 40, 40, len(properties))
        header += struct.pack(">IIII", string_hash(subsystem), 0, tags >> 32, tags & 0xffffffff)
        self.socket.sendto(header + properties, (0, UDEV_GROUP))
