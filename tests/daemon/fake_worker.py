#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Takes the place of vfiod-worker, and of the kernel behind it: moves the driver links of a
made-up sysfs. harness.py tells it by files in ROOT/faults, named VERB-ADDRESS, what goes wrong:

    hang       the write does not return before the file is gone
    die        the worker ends before the write
    die-after  the worker ends when the write is done, before it answers
    NUMBER     the kernel answers with this errno
"""

import errno
import os
import socket
import struct
import sys
import time

WORKER_FD = 3
VERBS = ("load", "set", "clear", "unbind", "bind", "probe", "node", "inspect")  # as in exec/protocol.h
REQUEST = struct.Struct("=IIQIBBBxiIII256s")
REPLY = struct.Struct("=IiQB7xQ256s")
NAP_SEC = 0.01


class Kernel:
    def __init__(self, root):
        self.root = root

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

    def attach(self, address, driver):
        os.symlink(f"../../../bus/pci/drivers/{driver}", self.device(address, "driver"))

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
            return int(fault), ""
        if not os.path.isdir(self.device(address, ".")):
            return errno.ENODEV, ""
        answer = getattr(self, f"do_{verb}")(address, argument)
        if fault == "die-after":
            os._exit(1)
        return answer


def main():
    kernel = Kernel(sys.argv[2])  # vfiod-worker --root DIRECTORY
    daemon = socket.socket(fileno=WORKER_FD)
    while data := daemon.recv(4096):
        version, verb, number, domain, bus, device, function, _, _, _, _, text = REQUEST.unpack(data)
        address = f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}"
        error, answer = kernel.serve(VERBS[verb], address, text.split(b"\0")[0].decode())
        serial = kernel.read(kernel.device(address, "serial"))
        try:
            daemon.send(REPLY.pack(version, error, number, bool(serial), int(serial or "0", 16), answer.encode()))
        except BrokenPipeError:
            break


main()
