#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Takes the place of vfiod-worker, and of the kernel behind it: moves the driver links of a
made-up sysfs. harness.py tells it by files in ROOT/faults, named VERB-ADDRESS, what goes wrong:

    hang       the write does not return before the file is gone
    die        the worker ends before the write
    die-after  the worker ends when the write is done, before it answers
    NUMBER     the kernel answers with this errno

For more VFs than faults/memory-for-vfs says there is no memory.
PFs have VFs at the same place of the next bus, with the settings that were made in the file
"settings". If there is a file ROOT/events, udev's events come in its network namespace.
"""

import errno
import fcntl
import os
import select
import shutil
import socket
import struct
import sys
import time

import udev

WORKER_FD = 3
# As in exec/protocol.h. Of settings a mask comes first, and then a number for each.
VERBS = ("load", "set", "clear", "unbind", "bind", "probe", "node", "inspect", "autoprobe", "numvfs", "wait",
         "setting", "report", "check")
N_SETTINGS = 8
SETTINGS = f"I4x{N_SETTINGS}Q"
VFS_MAX = 16
REQUEST = struct.Struct(f"=IIQIBBBxiIIII12x{SETTINGS}256s")
REPLY = struct.Struct(f"=IiQBB6xQIII12x{SETTINGS * VFS_MAX}256s")
NAP_SEC = 0.01
SLOT_SIZE = 64  # of the lock file, as in sys/locks.c
# The words of exec/protocol.c for the verbs.
STEPS = ("load-module", "set-override", "clear-override", "unbind", "bind", "probe", "node-access", "inspect",
         "set-autoprobe", "set-numvfs", "wait-vfs", "vf-setting", "report-vfs", "check-use")


class Kernel:
    def __init__(self, root):
        self.root = root
        self.settings = [0] * (1 + N_SETTINGS)  # of the request
        self.first = 0
        self.udev = udev.Sender() if os.path.exists(f"{root}/events") else None

    def device(self, address, name):
        return f"{self.root}/sys/bus/pci/devices/{address}/{name}"

    def read(self, path):
        try:
            with open(path) as f:
                return f.read().strip()
        except FileNotFoundError:
            return ""

    def driver(self, address):
        try:
            return os.path.basename(os.readlink(self.device(address, "driver")))
        except FileNotFoundError:
            return ""

    def override(self, address):
        text = self.read(self.device(address, "driver_override"))
        return "" if text == "(null)" else text

    def tell(self, action, address):
        if self.udev:
            self.udev.send(action, address)

    def attach(self, address, driver):
        os.symlink(f"../../../bus/pci/drivers/{driver}", self.device(address, "driver"))
        self.tell("bind", address)

    def do_load(self, address, module):
        """As a real module: its driver is there then. The name of that driver is the answer."""
        driver = self.read(f"{self.root}/modules/{module}")
        if driver:
            os.makedirs(f"{self.root}/sys/bus/pci/drivers/{driver}", exist_ok=True)
        return 0, driver

    def do_set(self, address, driver):
        with open(self.device(address, "driver_override"), "w") as f:
            f.write(f"{driver or '(null)'}\n")
        return 0, ""

    do_clear = do_set

    def do_unbind(self, address, driver):
        if self.driver(address) == driver:
            os.unlink(self.device(address, "driver"))
        return 0, ""

    def do_bind(self, address, driver):
        if not os.path.isdir(f"{self.root}/sys/bus/pci/drivers/{driver}"):
            return errno.ENOENT, ""
        if self.driver(address) not in ("", driver):
            return errno.EBUSY, ""
        if not self.driver(address):
            self.attach(address, driver)
        return 0, ""

    def do_probe(self, address, _):
        driver = self.override(address) or self.read(self.device(address, "native"))
        if driver and not self.driver(address):
            self.attach(address, driver)
        return 0, self.driver(address)

    def do_node(self, address, _):
        return 0, ""

    def do_inspect(self, address, _):
        return 0, self.override(address)

    def do_check(self, address, _):
        return 0, ""

    def do_autoprobe(self, address, value):
        with open(self.device(address, "sriov_drivers_autoprobe"), "w") as f:
            f.write(f"{value}\n")
        return 0, ""

    def vfs(self, pf):
        links = [name for name in os.listdir(self.device(pf, ".")) if name.startswith("virtfn")]
        links.sort(key=lambda name: int(name.removeprefix("virtfn")))
        return [os.path.basename(os.readlink(self.device(pf, name))) for name in links]

    def vf_address(self, pf, index):
        bus, device = int(pf[5:7], 16) + 1, int(pf[8:10], 16) + index // 8
        return f"{pf[:4]}:{bus:02x}:{device:02x}.{index % 8}"

    def vf_group(self, vf):
        """No two VFs share one, but for those of PFs on the root bus."""
        domain, bus, device = int(vf[:4], 16), int(vf[5:7], 16), int(vf[8:10], 16)
        return 100 + int(vf[11]) + (((domain << 8 | bus - 1) << 8 | device) << 3 if domain or bus > 1 else 0)

    def make_vf(self, pf, index):
        address = self.vf_address(pf, index)
        path, group = f"{self.root}/sys/devices/pci0000:00/{address}", self.vf_group(address)
        members = f"{self.root}/sys/kernel/iommu_groups/{group}/devices"
        os.mkdir(path)
        os.makedirs(members, exist_ok=True)
        for name, text in {"modalias": "pci:v00008086d000010CAsv00008086sd00000000bc02sc00i00",
                           "numa_node": "-1", "driver_override": "(null)", "native": "igbvf",
                           "settings": " ".join("0" * N_SETTINGS)}.items():
            with open(f"{path}/{name}", "w") as f:
                f.write(f"{text}\n")
        os.symlink(f"../../../kernel/iommu_groups/{group}", f"{path}/iommu_group")
        os.symlink(f"../{pf}", f"{path}/physfn")
        os.symlink(f"../../../../devices/pci0000:00/{address}", f"{members}/{address}")
        os.symlink(f"../../../devices/pci0000:00/{address}", f"{self.root}/sys/bus/pci/devices/{address}")
        os.symlink(f"../{address}", self.device(pf, f"virtfn{index}"))
        self.tell("add", address)
        if self.read(self.device(pf, "sriov_drivers_autoprobe")) == "1":
            self.attach(address, "igbvf")

    def remove_vf(self, pf, index, address):
        path, group = f"{self.root}/sys/devices/pci0000:00/{address}", self.vf_group(address)
        os.unlink(self.device(pf, f"virtfn{index}"))
        os.unlink(f"{self.root}/sys/bus/pci/devices/{address}")
        os.unlink(f"{self.root}/sys/kernel/iommu_groups/{group}/devices/{address}")
        shutil.rmtree(path)

    def do_numvfs(self, pf, text):
        now, wanted = self.vfs(pf), int(text)
        if len(now) == wanted:
            return 0, ""
        if wanted > int(self.read(self.device(pf, "sriov_totalvfs"))):
            return errno.ERANGE, ""
        if self.driver(pf) in ("", "vfio-pci"):
            return errno.ENOENT, ""
        if now and wanted:
            return errno.EBUSY, ""
        if wanted > int(self.read(f"{self.root}/faults/memory-for-vfs") or wanted):
            return errno.ENOMEM, ""
        for index, address in enumerate(now):
            self.remove_vf(pf, index, address)
        for index in range(wanted):
            self.make_vf(pf, index)
        return 0, ""

    def do_wait(self, pf, text):
        return (0 if len(self.vfs(pf)) == int(text) else errno.ENOSPC), ""

    def vf_settings(self, vf):
        return [int(word) for word in self.read(self.device(vf, "settings")).split()]

    def do_setting(self, vf, text):
        mask, *values = self.settings
        mixed = [new if mask >> i & 1 else old for i, (new, old) in enumerate(zip(values, self.vf_settings(vf)))]
        path = self.device(vf, "settings")
        with open(f"{path}.new", "w") as f:
            f.write(" ".join(str(value) for value in mixed) + "\n")
        os.replace(f"{path}.new", path)
        return 0, ""

    def do_report(self, pf, _):
        return 0, ""

    def reports(self, pf):
        """The settings of some VFs, as they stand in a reply."""
        return [[(1 << N_SETTINGS) - 1, *self.vf_settings(vf)] for vf in self.vfs(pf)[self.first:][:VFS_MAX]]

    def fault(self, verb, address):
        """What is to go wrong with this request. Returns once a hanging write is to return."""
        path = f"{self.root}/faults/{verb}-{address}"
        fault = self.read(path)
        if fault == "hang":
            while os.path.exists(path):
                time.sleep(NAP_SEC)
        if not os.path.isdir(self.root):  # the test is over
            os._exit(0)
        return fault

    def serve(self, verb, address, argument):
        with open(f"{self.root}/requests", "a") as log:
            log.write(f"{verb} {address} {argument}".rstrip() + "\n")
        fault = self.fault(verb, address)
        if fault == "die":
            os._exit(1)
        if fault.isdigit():
            return int(fault), f"the PF rejected {argument}" if verb == "setting" else ""
        if not os.path.isdir(self.device(address, ".")):
            return errno.ENODEV, ""
        answer = getattr(self, f"do_{verb}")(address, argument)
        if fault == "die-after":
            os._exit(1)
        return answer


def lock(root, verb, slot):
    """A descriptor that holds the locks of a request, or the errno for which there is none."""
    try:
        fd = os.open(f"{root}/run/vfiod/locks", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        return None, error.errno
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, SLOT_SIZE, slot * SLOT_SIZE)
        if verb == "numvfs":
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, SLOT_SIZE, 0)
    except BlockingIOError:
        os.close(fd)
        return None, errno.EBUSY
    text = f"{time.monotonic_ns() // 1000} {STEPS[VERBS.index(verb)]}"
    os.pwrite(fd, text.encode().ljust(SLOT_SIZE, b"\0"), slot * SLOT_SIZE)
    return fd, 0


def is_gone(daemon):
    poll = select.poll()
    poll.register(daemon, select.POLLRDHUP)
    return bool(poll.poll(0))


def main():
    kernel = Kernel(sys.argv[2])  # vfiod-worker --root DIRECTORY
    daemon = socket.socket(fileno=WORKER_FD)
    while data := daemon.recv(4096):
        version, verb, number, domain, bus, device, function, _, _, _, _, first, *settings, text = REQUEST.unpack(data)
        address = f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}"
        kernel.first, kernel.settings = first, settings
        held, not_begun = None, 0
        if VERBS[verb] != "report":
            held, not_begun = lock(kernel.root, VERBS[verb], (domain << 16 | bus << 8 | device << 3 | function) + 1)
        if held and is_gone(daemon):
            break
        error, answer = (not_begun, "") if not_begun else kernel.serve(VERBS[verb], address,
                                                                       text.split(b"\0")[0].decode())
        serial = kernel.read(kernel.device(address, "serial"))
        there = os.path.isdir(kernel.device(address, "."))
        reports = kernel.reports(address) if VERBS[verb] == "report" and error == 0 else []
        flat = [value for report in reports for value in report]
        flat += [0] * (VFS_MAX * (1 + N_SETTINGS) - len(flat))
        if held:
            os.close(held)
        try:
            daemon.send(REPLY.pack(version, error, number, bool(not_begun), bool(serial), int(serial or "0", 16),
                                   len(kernel.vfs(address)) if there else 0, 1, len(reports), *flat, answer.encode()))
        except BrokenPipeError:
            break


main()
