# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon or the worker is killed at each write of each operation, before and after the write
takes effect. SIM_KERNELS="6.12 6.1 5.10" runs it on more than one kernel."""

import collections
import os
import pathlib
import time
import unittest

from laws import CONFIG, LawTest, picture, without_pins

KERNELS = os.environ.get("SIM_KERNELS", "6.12").split()
FILE = "10-test.conf"
X722 = "0000:1a:00.1"
X722_VFS = [f"0000:1a:06.{i}" for i in range(4)]
QEMU_GROUP = [f"0000:02:0{i}.0" for i in (1, 2, 3)]
XILINX = "0000:26:00.0"
XILINX_VFS = [f"0000:26:00.{i}" for i in range(4, 8)]
MIXED = "VirtualFunctions=4\n\n[VirtualFunction]\nIndex=0-1\nDriver=vfio\n\n[VirtualFunction]\nIndex=2-3\nDriver=host"

# `prepare` brings about the state in which it begins, `act` is the operation itself; both get the Sim.
# `never`: VFs that no host driver may get. `request`: done or not done, as its client was told nothing.
Operation = collections.namedtuple("Operation", "host devices prepare act never request", defaults=((), False))


def nothing(sim):
    sim.start()


def remove_file(sim):
    pathlib.Path("/etc/vfiod/devices.d", FILE).unlink()
    sim.vfioctl("reload")


def declare(sim, host_file):
    host_file(sim)
    sim.vfioctl("reload")


def with_file(host_file):
    def prepare(sim):
        host_file(sim)
        sim.start()
    return prepare


def with_request(*words):
    def prepare(sim):
        sim.start()
        sim.expect(0, *words)
    return prepare


def fail_last(sim):
    sim.start()
    sim.fault("errno=EIO", path="*/vfio-pci/bind", value=QEMU_GROUP[2], times=1000)


def group_file(sim):
    sim.declare(f"Address={QEMU_GROUP[1]}")


def startup_files(sim):
    sim.declare("Address=0000:1a:00.2 0000:1a:00.3")
    sim.declare_vfs(X722, MIXED, name="20-vfs.conf")


OPERATIONS = {
    "bind a function": Operation("x722", ["0000:1a:00.2"], nothing, lambda s: s.vfioctl("bind", "1a:00.2"),
                                 request=True),
    "bind a group": Operation("qemu", QEMU_GROUP, nothing, lambda s: s.vfioctl("bind", "02:02.0"), request=True),
    "bind a declared group": Operation("qemu", QEMU_GROUP, nothing, lambda s: declare(s, group_file)),
    "bind a group of ports": Operation("desktop", ["0000:02:00.0", "0000:03:00.0"], nothing,
                                       lambda s: s.vfioctl("bind", "03:00.0"), request=True),
    "remove a file": Operation("qemu", QEMU_GROUP, with_file(group_file), remove_file),
    "release": Operation("qemu", QEMU_GROUP, with_request("bind", "02:02.0"),
                         lambda s: s.vfioctl("release", "02:02.0"), request=True),
    "make VFs": Operation("x722", [X722, *X722_VFS], nothing,
                          lambda s: declare(s, lambda s: s.declare_vfs(X722, MIXED)), X722_VFS[:2]),
    "make VFs of one group": Operation(
        "xilinx", [XILINX, *XILINX_VFS], nothing,
        lambda s: declare(s, lambda s: s.declare_vfs(XILINX, "VirtualFunctions=4\n\n[VirtualFunction]\nDriver=vfio")),
        XILINX_VFS),
    "change the number of VFs": Operation(
        "x722", [X722, *X722_VFS], with_file(lambda s: s.declare_vfs(X722, MIXED)),
        lambda s: declare(s, lambda s: s.declare_vfs(X722, MIXED.replace("=4", "=3").replace("2-3", "2"))),
        X722_VFS[:2]),
    "remove VFs": Operation("x722", [X722, *X722_VFS], with_file(lambda s: s.declare_vfs(X722, MIXED)), remove_file),
    "bind fails": Operation("qemu", QEMU_GROUP, fail_last, lambda s: s.vfioctl("bind", "02:02.0"), request=True),
    "startup": Operation("x722", ["0000:1a:00.2", "0000:1a:00.3", X722, *X722_VFS], startup_files,
                         lambda s: s.start(settled=False), X722_VFS[:2]),
}


class KillTest(LawTest):
    def begin(self, sim, operation):
        sim.reset()
        sim.write_config("./vfiod.conf", CONFIG)
        before = picture(sim.dump())
        operation.prepare(sim)
        sim.control("clear-log")
        return before

    def measure(self, sim, operation):
        """What it writes, and what becomes of it, if nobody is killed."""
        before = self.begin(sim, operation)
        started = picture(sim.dump())
        operation.act(sim)
        self.finish(sim)
        n, done = sim.count(), picture(sim.dump())
        self.check_all(sim, operation, before, [done])
        bound = {a: dict(d, driver="vfio-pci", override="vfio-pci") if a in operation.devices else d
                 for a, d in started.items()}
        return n, [done, started, bound] if operation.request else [done]

    def finish(self, sim):
        sim.settled()
        sim.control("clear")
        sim.vfioctl("apply")
        self.check_plan(sim)

    def check_all(self, sim, operation, before, ends):
        self.wait_for_picture(sim, [without_pins(end) for end in ends], without_pins)
        self.check_reasons(sim)
        self.check_never_on_host(sim, operation.never)
        self.check_files(sim)
        self.check_given_back(sim, before)
        self.check_writes(sim, operation.devices)
        sim.wait_for(lambda: not self.strays(sim), "workers of no daemon are left")

    def strays(self, sim):
        """Workers that are not of this daemon. Some end at any time."""
        found = []
        for pid in sim.workers():
            try:
                if f"\nPPid:\t{sim.daemon.pid}\n" not in pathlib.Path(f"/proc/{pid}/status").read_text():
                    found.append(pid)
            except OSError:
                continue
        return found

    def kill_at(self, sim, operation, number, who, after):
        before = self.begin(sim, operation)
        sim.fault(f"kill={who}", nth=number, after=after)
        try:
            operation.act(sim)
        except AssertionError:
            self.assertIsNotNone(sim.daemon.poll(), sim.evidence())  # killed before it was ready
        if who == "parent":
            sim.daemon.wait(sim.deadline)
            sim.start(settled=False)
        self.finish(sim)
        return before

    def sweep(self, name):
        operation, started, points, converged = OPERATIONS[name], time.monotonic(), 0, 0
        for kernel in KERNELS:
            sim = self.sim(operation.host, kernel=kernel)
            n, ends = self.measure(sim, operation)
            self.assertGreater(n, 0)
            for number in range(1, n + 1):
                for who in ("parent", 0):
                    for after in (False, True):
                        with self.subTest(kernel=kernel, write=number, who=who, after=after):
                            before = self.kill_at(sim, operation, number, who, after)
                            self.check_all(sim, operation, before, ends)
                            converged += 1
                        points += 1
            self.doCleanups()
        print(f"{name}: {points} kills, {converged} converged, {time.monotonic() - started:.1f} s", flush=True)


def add_test(name):
    setattr(KillTest, f"test_{name.lower().replace(' ', '_')}", lambda self: self.sweep(name))


for operation_name in OPERATIONS:
    add_test(operation_name)

if __name__ == "__main__":
    unittest.main()
