# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one client can do to the others: floods, clients that come again, clients that do not read."""

import os
import pathlib
import struct
import subprocess
import time
import unittest

from harness import DEADLINE_SEC, VFIOD, WRITES, HostTest
from raw_bus import MANAGER, NOBODY, Client, pad, text

A, B = "0000:00:03.0", "0000:00:03.1"
LIMITED = "org.freedesktop.DBus.Error.LimitsExceeded"
FLOOD = 128  # as many calls as the system bus lets one connection have unanswered
ANSWER_SEC = 0.15
SLOW = 20 if "build-dev" in VFIOD else 1  # sanitizers
NO_WAIT = 2
FUZZ_SEC = int(os.environ.get("FUZZ_SECONDS", 4))


def bind(address):
    """The arguments of a Bind with NO_WAIT."""
    devices = text(address)
    body = pad(struct.pack("<I", len(devices)) + devices, 4) + text("vfio")
    return pad(pad(body, 8) + struct.pack("<QI", NO_WAIT, 0), 8)


class HostileTest(HostTest):
    def start(self, count):
        for i in range(count):
            self.host.add_device(f"0000:{i >> 5:02x}:{i & 31:02x}.0", i)
        self.host.start()
        self.clients = []
        self.addCleanup(lambda: [client.close() for client in self.clients])

    def connect(self, other=False):
        """`other`: as another user, where that can be."""
        uid = NOBODY if other and os.geteuid() == 0 and not self.in_namespace() else None
        if uid:
            self.host.root.chmod(0o755)
        self.clients.append(Client(self.host.root / "bus", uid, DEADLINE_SEC))
        return self.clients[-1]

    @staticmethod
    def in_namespace():
        return pathlib.Path("/proc/self/uid_map").read_text().split()[2] != "4294967295"

    def resident(self):
        """KiB."""
        status = pathlib.Path(f"/proc/{self.host.daemon.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def get_sec(self, client):
        begin = time.monotonic()
        self.assertEqual(client.get()[0], "")
        return time.monotonic() - begin

    def patience(self, client):
        """Seconds that a Get may take. It waits for one expensive call at most: on a slow or busy machine
        that alone takes longer."""
        begin = time.monotonic()
        self.assertEqual(client.wait(client.send_expensive())[0], "")
        return max(ANSWER_SEC * SLOW, 2 * (time.monotonic() - begin))

    def test_a_flood_delays_nobody_else(self):
        self.start(1000)
        other, times = self.connect(), []
        patience = self.patience(other)
        for _ in range(3):
            attacker = self.connect(other=True)
            attacker.send_expensive(FLOOD)
            times.append(self.get_sec(other))
            errors = {attacker.read()[2] for _ in range(FLOOD)}
            self.assertLessEqual(errors, {"", LIMITED})
            self.assertIn(LIMITED, errors)
        self.assertLess(sorted(times)[1], patience)
        self.assertEqual(other.wait(other.send_expensive())[0], "")

    def test_connecting_again_delays_nobody_else(self):
        self.start(1000)
        other, times = self.connect(), []
        patience = self.patience(other)
        for _ in range(50):
            attacker = self.connect(other=True)
            attacker.send_expensive(8)
            attacker.close()
            times.append(self.get_sec(other))
        self.assertLess(sorted(times)[40], patience)

    def test_clients_that_do_not_read_cost_no_memory(self):
        self.start(300)
        other = self.connect()
        clients = [self.connect(other=True) for _ in range(20)]
        for client in clients:
            client.bus("AddMatch", "type='signal'")
            client.send_expensive()
        other.get()
        before = self.resident()
        for _ in range(10):
            for client in clients:
                client.send_expensive(FLOOD // 10)
            self.assertEqual(other.get()[0], "")
            self.host.expect(0, "reload")
        if SLOW == 1:
            self.assertLess(self.resident(), before + 32 * 1024)

    def test_there_are_not_any_number_of_jobs(self):
        host = self.host
        host.add_device(A, 5000)
        host.add_device(B, 5001)
        self.start(0)
        host.fault("set", A, "hang")
        client = self.connect()
        arguments = (MANAGER, "org.vfiod1.Manager", "Bind")
        names = set()
        for _ in range(16):
            last = client.send(*arguments, count=80, signature="assta{sv}", body=bind(A))
            while True:
                kind, answers, name, _ = client.read()
                names.add(name)
                if answers == last:
                    break
        self.assertEqual(names, {"", LIMITED})
        self.assertEqual(len(host.requests(f"set {A}")), 1)
        host.end_fault("set", A)
        host.wait_driver(A, "vfio-pci")
        # Those that are over make room.
        host.expect(0, "bind", B)

    def test_calls_that_wait_keep_no_descriptors(self):
        host = self.host
        host.add_device(A, 5000)
        self.start(0)
        host.fault("set", A, "hang")
        files = pathlib.Path(f"/proc/{host.daemon.pid}/fd")
        body = bind(A).replace(struct.pack("<QI", NO_WAIT, 0), bytes(12))
        for _ in range(4):
            client = self.connect()
            client.send_descriptors(16, MANAGER, "org.vfiod1.Manager", "Bind", signature="assta{sv}", body=body)
            client.get()
        self.assertLess(len(list(files.iterdir())), 4 * 16)
        host.end_fault("set", A)

    def fuzz(self, *arguments):
        """Runs fuzz-bus, and checks that the daemon is none the worse for it."""
        host = self.host
        memory, files = self.resident(), self.open_files()
        program = subprocess.run([os.environ["FUZZ_BUS"], f"--seconds={FUZZ_SEC}", f"--within={1000 * SLOW}",
                                  *arguments], env=host.environment, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=FUZZ_SEC + 120)
        print(program.stdout, end="", flush=True)
        self.assertEqual(program.returncode, 0, program.stdout + host.evidence())
        self.assertIsNone(host.daemon.poll())
        host.wait("vfiod keeps files open", lambda: self.open_files() <= files + 2)
        if SLOW == 1:  # the sanitizer keeps what is freed
            self.assertLess(self.resident(), memory + 16 * 1024)

    def open_files(self):
        """Without those of its workers, of which some are kept."""
        links = [os.readlink(path) for path in pathlib.Path(f"/proc/{self.host.daemon.pid}/fd").iterdir()]
        return len([link for link in links if not link.startswith(("pidfd", "anon_inode:[pidfd]", "socket:"))])

    def start_fuzzing(self):
        self.host.add_device(A, 1)
        self.host.add_device(B, 1)
        self.host.add_pf("0000:00:04.0", 2)
        self.start(3)

    def test_rubbish_from_root(self):
        self.start_fuzzing()
        self.fuzz()

    def test_rubbish_from_nobody_changes_nothing(self):
        if os.geteuid() != 0 or self.in_namespace():
            self.skipTest("needs root")
        self.start_fuzzing()
        self.host.root.chmod(0o755)
        before = self.host.requests()
        self.fuzz(f"--uid={NOBODY}")
        writes = [line for line in self.host.requests()[len(before):] if line.split()[0] in WRITES]
        self.assertEqual(writes, [])


if __name__ == "__main__":
    unittest.main()
