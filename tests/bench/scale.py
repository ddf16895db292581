#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures vfiod on a made-up host of many functions and prints `bench NAME key=value ...` lines.

    VFIOD=build/src/vfiod VFIOCTL=build/src/vfioctl tests/bench/scale.py [--functions=10000]

The built daemon runs in a network namespace of its own, in which this program speaks for udev, on
files in memory and with the worker of tests/daemon. Times of the daemon are those of its CPU.
Nothing is asserted by time. Needs root, or user namespaces.
"""

import argparse
import ctypes
import os
import pathlib
import select
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "daemon"))

import udev  # noqa: E402
from harness import Host  # noqa: E402

PFS, VFS = 32, 64
WAIT_SEC = 120
IN_OPEN = 0x20
NAME = "org.vfiod1"


class Failure(Exception):
    pass


class Test:
    """What harness.Host wants of a test."""

    def fail(self, text):
        raise Failure(text)

    def assertEqual(self, a, b, text):
        if a != b:
            self.fail(text)


class Tree:
    """A sysfs of `count` functions: PFs with their VFs, and cards of four functions behind bridges."""

    def __init__(self, host, count, with_vfs):
        self.host, self.sys, self.group, self.n = host, host.root / "sys", 0, 0
        self.cards = []
        for driver in ("igb", "igbvf", "nvme", "pcieport"):
            (self.sys / "bus/pci/drivers" / driver).mkdir()
        for name in ("bus/pci/slots", "kernel/iommu_groups", "devices/pci0000:00"):
            (self.sys / name).mkdir(parents=True, exist_ok=True)
        self.pfs = [self.pf(0x10 + i // 16, i % 16 * 16, with_vfs) for i in range(PFS)]
        number = 0
        while self.n < count - (0 if with_vfs else PFS * VFS):
            self.card(0x20 + number // 240, number % 240, number)
            number += 1

    def function(self, parent, address, kind, driver, **files):
        path = self.sys / parent / address
        path.mkdir(parents=True)
        files = {"modalias": f"pci:{kind}\n", "numa_node": "0\n", "revision": "0x01\n", "driver_override": "(null)\n",
                 "reset_method": "flr bus\n", **files}
        for name, text in files.items():
            with open(path / name, "w", encoding="ascii") as file:
                file.write(text)
        up = "../" * (len(parent.split("/")) + 1)
        if driver:
            os.symlink(f"{up}bus/pci/drivers/{driver}", path / "driver")
        os.symlink(f"{up}kernel/iommu_groups/{self.group}", path / "iommu_group")
        members = self.sys / f"kernel/iommu_groups/{self.group}/devices"
        members.mkdir(parents=True, exist_ok=True)
        os.symlink(f"../../../../{parent}/{address}", members / address)
        os.symlink(f"../../../{parent}/{address}", self.sys / "bus/pci/devices" / address)
        self.n += 1
        return path

    def pf(self, domain, bus, with_vfs):
        pf = f"{domain:04x}:{bus:02x}:00.0"
        parent = f"devices/pci{domain:04x}:00"
        self.group += 1
        path = self.function(parent, pf, "v00008086d000010C9sv00008086sd0000A03Cbc02sc00i00", "igb",
                             sriov_totalvfs=f"{VFS}\n", sriov_drivers_autoprobe="1\n")
        for i in range(VFS if with_vfs else 0):
            vf = f"{domain:04x}:{bus + 1:02x}:{i // 8:02x}.{i % 8}"
            self.group += 1
            below = self.function(parent, vf, "v00008086d000010CAsv00008086sd0000A03Cbc02sc00i00", "vfio-pci",
                                  settings="0 " * 8, native="igbvf")
            os.symlink(f"../{pf}", below / "physfn")
            os.symlink(f"../{vf}", path / f"virtfn{i}")
        return pf

    def card(self, domain, bus, number):
        port = f"{domain:04x}:00:{bus // 8:02x}.{bus % 8}"
        parent = f"devices/pci{domain:04x}:00"
        self.group += 1
        self.function(parent, port, "v00008086d00003420sv00001028sd00000287bc06sc04i00", "pcieport")
        self.group += 1
        vfio = number % 8 == 0
        for function in range(4):
            address = f"{domain:04x}:{bus + 1:02x}:00.{function}"
            self.function(f"{parent}/{port}", address,
                          "v000010DEd00002204sv000010DEsd00001467bc03sc00i00" if vfio else
                          "v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02", "vfio-pci" if vfio else "nvme")
            if not vfio:
                self.cards.append(address)

    def declare(self):
        """Files as a fleet has them: by glob, by kind, by place, and PFs with their VFs."""
        rules = {"10-vfs": f"[Match]\nId=8086:10c9\n\n[SR-IOV]\nVirtualFunctions={VFS}\n"
                           "[VirtualFunction]\nDriver=vfio\n",
                 "20-gpu": "[Match]\nId=10de:*\n\n[Device]\nDriver=vfio\n"}
        for i in range(8):
            rules[f"30-glob-{i}"] = f"[Match]\nAddress=00{0xa0 + i:x}:*\nClass=0300\n\n[Device]\nDriver=vfio\n"
            rules[f"40-kind-{i}"] = f"[Match]\nId=15b3:10{i}?\nNUMANode={i}\n\n[Device]\nDriver=vfio\n"
            rules[f"50-place-{i}"] = f"[Match]\nAddress=00b{i}:01:00.0\nId=10de:2204\n\n[Device]\nDriver=vfio\n"
        for name, text in rules.items():
            self.host.write(f"etc/vfiod/devices.d/{name}.conf", text)


class Client:
    """As little D-Bus as is needed to wait for signals, and for replies of any size."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert self.socket.recv(100).startswith(b"OK")
        self.socket.sendall(b"BEGIN\r\n")
        self.data, self.serial = b"", 0
        self.bus("Hello")
        self.reply()

    def bus(self, member, *arguments):
        return self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", member, *arguments)

    def call(self, destination, path, interface, member, *arguments):
        self.serial += 1
        fields = b""
        for code, kind, text in ((1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", destination)):
            fields += b"\0" * (-len(fields) % 8) + struct.pack("<BB2s", code, 1, kind.encode() + b"\0")
            fields += struct.pack("<I", len(text)) + text.encode() + b"\0"
        if arguments:
            signature = "s" * len(arguments)
            fields += b"\0" * (-len(fields) % 8) + struct.pack("<BB2sB", 8, 1, b"g\0", len(signature))
            fields += signature.encode() + b"\0"
        body = b""
        for text in arguments:
            body += b"\0" * (-len(body) % 4) + struct.pack("<I", len(text)) + text.encode() + b"\0"
        head = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), self.serial, len(fields)) + fields
        self.socket.sendall(head + b"\0" * (-len(head) % 8) + body)

    def message(self, timeout):
        """The next message: its type, and all of its bytes. None: there is none in that time."""
        deadline = time.monotonic() + timeout
        need, parts, have = 16, [self.data], len(self.data)
        while True:
            if have >= 16:
                data = parts[0] if len(parts[0]) >= 16 else b"".join(parts)
                body, _, fields = struct.unpack_from("<III", data, 4)
                need = 16 + fields + -fields % 8 + body
            if have >= max(need, 16):
                data = b"".join(parts)
                self.data = data[need:]
                return data[1], data[:need]
            if not select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
                self.data = b"".join(parts)
                return None
            parts.append(self.socket.recv(1 << 20))
            have += len(parts[-1])

    def reply(self):
        while got := self.message(WAIT_SEC):
            if got[0] in (2, 3):
                return got[1]
        raise Failure("no reply")


def cpu_ms(pid):
    """Milliseconds of CPU, of user and system, that the daemon has had."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def user_ms(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) * 1000 / os.sysconf("SC_CLK_TCK")


def uss_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def line(name, **values):
    print(f"bench {name} " + " ".join(f"{k}={v:.2f}" if isinstance(v, float) else f"{k}={v}"
                                      for k, v in values.items()), flush=True)


def until(problem, condition, seconds=WAIT_SEC):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(problem)
        time.sleep(0.005)


def start(host):
    """Starts the daemon and waits until it has settled."""
    with open(host.root / "errors", "a", encoding="utf-8") as errors:
        begin = time.monotonic()
        host.daemon = host.spawn_daemon(errors)
    until(f"vfiod does not settle: {host.errors()}",
          lambda: "READY=1" in host.notifications or host.daemon.poll() is not None)
    if host.daemon.poll() is not None:
        raise Failure(host.errors())
    return (time.monotonic() - begin) * 1000


def quiet(pid):
    """Waits until the daemon does nothing any more."""
    def same():
        before = cpu_ms(pid)
        time.sleep(0.3)
        return cpu_ms(pid) == before
    until("vfiod does not come to rest", same)


def bench_start(host, tree):
    wall = start(host)
    pid = host.daemon.pid
    quiet(pid)
    line("start", functions=tree.n, groups=tree.group, wall_ms=wall, user_ms=user_ms(pid), cpu_ms=cpu_ms(pid),
         uss_kib=uss_kib(pid))


def bench_events(host, tree, rounds):
    """Another program takes a driver from a device, or gives it one; udev says so."""
    pid, sender = host.daemon.pid, udev.Sender()
    client = Client(str(host.root / "bus"))
    client.bus("AddMatch", "type='signal',interface='org.freedesktop.DBus.Properties',"
                           f"path_namespace='/org/vfiod1/device'")
    client.reply()
    times, cpus = [], []
    for number in range(rounds):
        address = tree.cards[number * 97 % len(tree.cards)]
        link = host.root / "sys/bus/pci/devices" / address / "driver"
        target = os.readlink(link)
        for action in ("unbind", "bind"):
            quiet(pid)
            if action == "bind":
                os.symlink(target, link)
            else:
                os.unlink(link)
            before, begin = cpu_ms(pid), time.monotonic()
            sender.send(action, address)
            got = client.message(10)
            if not got:
                raise Failure(f"no signal after {action} of {address}")
            times.append((time.monotonic() - begin) * 1000)
            quiet(pid)
            cpus.append(cpu_ms(pid) - before)
    line("event", runs=len(times), wall_ms=statistics.median(times), cpu_ms=statistics.median(cpus),
         cpu_max_ms=max(cpus))


def bench_objects(host, rounds):
    pid = host.daemon.pid
    client = Client(str(host.root / "bus"))
    times, cpus, size = [], [], 0
    for _ in range(rounds):
        time.sleep(1)  # calls that cost this much are limited per second
        before, begin = cpu_ms(pid), time.monotonic()
        client.call(NAME, "/org/vfiod1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        reply = client.reply()
        if reply[1] != 2:
            raise Failure(f"GetManagedObjects: {reply[:300]}")
        size = len(reply)
        times.append((time.monotonic() - begin) * 1000)
        cpus.append(cpu_ms(pid) - before)
    line("objects", runs=rounds, bytes=size, wall_ms=statistics.median(times), cpu_ms=statistics.median(cpus),
         uss_kib=uss_kib(pid))


def bench_storm(host, tree):
    """udev tells thrice of each VF. How often is each looked at?"""
    pid, sender = host.daemon.pid, udev.Sender()
    vfs = [os.path.basename(os.readlink(host.root / "sys/bus/pci/devices" / pf / f"virtfn{i}"))
           for pf in tree.pfs for i in range(VFS)]
    libc = ctypes.CDLL(None, use_errno=True)
    inotify = libc.inotify_init1(os.O_NONBLOCK)
    watches = {}
    for address in vfs:
        path = str(host.root / "sys/bus/pci/devices" / address / "modalias")
        watches[libc.inotify_add_watch(inotify, path.encode(), IN_OPEN)] = 0
    quiet(pid)
    before, begin = cpu_ms(pid), time.monotonic()

    def drain():
        try:
            data = os.read(inotify, 1 << 20)
        except BlockingIOError:
            return
        for offset in range(0, len(data), 16):
            watches[struct.unpack_from("iIII", data, offset)[0]] += 1

    for action in ("add", "bind", "change"):
        for address in vfs:
            sender.send(action, address)
        drain()
    sent = (time.monotonic() - begin) * 1000
    quiet(pid)
    drain()
    line("storm", events=3 * len(vfs), sent_ms=sent, cpu_ms=cpu_ms(pid) - before,
         looks_max=max(watches.values()), looks_mean=statistics.mean(watches.values()))
    os.close(inotify)


def bench_create(host, tree):
    """All PFs get their VFs, and the VFs their driver."""
    host.write("events", "")
    wall = start(host)
    pid = host.daemon.pid
    until("not all VFs are on their driver", lambda: len(host.requests("bind")) >= PFS * VFS)
    quiet(pid)
    line("create", functions=tree.n, vfs=PFS * VFS, wall_ms=wall, user_ms=user_ms(pid), cpu_ms=cpu_ms(pid),
         requests=len(host.requests()), uss_kib=uss_kib(pid))
    wrong = [a for pf in tree.pfs for a in host.vfs(pf) if host.driver(a) != "vfio-pci"]
    if wrong or any(len(host.vfs(pf)) != VFS for pf in tree.pfs):
        raise Failure(f"not as declared: {wrong[:5]}")


def on_host(count, with_vfs, work):
    host = Host(Test())
    try:
        tree = Tree(host, count, with_vfs)
        tree.declare()
        work(host, tree)
        host.stop()
    finally:
        host.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", help="one of start, event, objects, storm, create")
    options = parser.parse_args()
    if not os.environ.get("VFIOD_NAMESPACE"):
        words = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
        os.environ["VFIOD_NAMESPACE"] = "1"
        os.execvp(words[0], [*words, sys.executable, *sys.argv])
    tempfile.tempdir = "/dev/shm"

    def wanted(name):
        return options.only in (None, name)

    def steady(host, tree):
        bench_start(host, tree)
        if wanted("event"):
            bench_events(host, tree, options.rounds)
        if wanted("objects"):
            bench_objects(host, options.rounds)
        if wanted("storm"):
            bench_storm(host, tree)
        line("memory", functions=tree.n, uss_kib=uss_kib(host.daemon.pid))

    if options.only != "create":
        on_host(options.functions, True, steady)
    if wanted("create"):
        on_host(options.functions, False, bench_create)


main()
