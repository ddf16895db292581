# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an operator notices when vfiod's memory cannot be written, is damaged, or of another version."""

import os
import shutil
import time
import unittest

from harness import HostTest

A, B = "0000:00:03.0", "0000:00:04.0"
STATE = "var/lib/vfiod/state"
# The system calls that put the state file in place, and what a disk may answer to each.
SAVE = (("openat", "state.new", ("EROFS", "ENOSPC", "EACCES")),
        ("write", "state.new", ("ENOSPC", "EIO", "EDQUOT")),
        ("fsync", "state.new", ("EIO", "ENOSPC")),
        ("renameat", "state.new", ("EIO", "EROFS")),
        ("fsync", "", ("EIO",)))  # of the directory


class StorageTest(HostTest):
    def inject(self, call, name, what):
        """What befalls that call for that file, in the daemon that is started next."""
        path = f"var/lib/vfiod/{name}".rstrip("/")  # as the call has it; a descriptor has all of it
        self.host.namespace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", path, "-P", str(self.host.root / path),
                               "-e", f"trace={call}", "-e", f"inject={call}:{what}"]
        # A program that is traced cannot look for its leaks.
        self.host.environment["ASAN_OPTIONS"] = "detect_leaks=0"

    def end_injection(self):
        self.host.namespace = []
        self.host.environment.pop("ASAN_OPTIONS", None)
        if "ASAN_OPTIONS" in os.environ:
            self.host.environment["ASAN_OPTIONS"] = os.environ["ASAN_OPTIONS"]

    @unittest.skipUnless(shutil.which("strace"), "there is no strace")
    def test_nothing_is_begun_while_the_disk_fails(self):
        host = self.host
        host.add_device(A, 1)
        for call, name, errors in SAVE:
            for error in errors:
                with self.subTest(call=call, name=name, error=error):
                    self.inject(call, name, f"error={error}")
                    host.start()
                    text = host.expect(1, "bind", A)
                    self.assertIn("/var/lib/vfiod/state", text)
                    self.assertIn("nothing was begun", text)
                    self.assertEqual([host.driver(A), host.override(A)], ["e1000", "(null)"])
                    self.assertEqual(host.writes(A), [])
                    host.stop()
        self.end_injection()
        host.start()
        host.expect(0, "bind", A)
        host.expect(0, "release", A)

    @unittest.skipUnless(shutil.which("strace"), "there is no strace")
    def test_what_was_taken_is_given_back_also_on_a_full_disk(self):
        host = self.host
        host.add_device(A, 1)
        host.start()
        host.expect(0, "bind", A)
        host.stop()
        self.inject("write", "state.new", "error=ENOSPC")
        host.start()
        host.expect(0, "release", A)
        self.assertEqual([host.driver(A), host.override(A)], ["e1000", "(null)"])
        host.wait("it is not told", lambda: "Failed to save /var/lib/vfiod/state" in host.errors())
        host.stop()
        self.end_injection()
        writes = host.writes(A)
        host.start()
        host.wait_state(A, "unmanaged")
        self.assertEqual(host.driver(A), "e1000")
        self.assertFalse([w for w in host.writes(A)[len(writes):] if "unbind" in w or "bind" in w])

    @unittest.skipUnless(shutil.which("strace"), "there is no strace")
    def test_a_disk_that_hangs_keeps_no_answer(self):
        host = self.host
        host.add_device(A, 1)
        host.add_device(B, 2)
        host.write("etc/vfiod/vfiod.conf", "[Daemon]\nWriteTimeoutSec=1s\n")
        self.inject("fsync", "state.new", "delay_enter=4000000:when=1")
        host.start()
        begin = time.monotonic()
        host.expect(0, "bind", "--no-wait", A)
        host.wait_request(f"inspect {A}")
        while time.monotonic() - begin < 1.5:
            before = time.monotonic()
            host.expect(0, "list")
            self.assertLess(time.monotonic() - before, 1)
        # Nobody waits for it any more, and nothing was begun.
        self.assertIn("/var/lib/vfiod/state", host.expect(1, "bind", B))
        self.assertEqual(host.writes(A) + host.writes(B), [])
        # A stop does not wait for it either.
        self.end_injection()
        host.stop()
        host.start()
        host.wait("the disk stays busy", lambda: host.ctl("bind", A).status == 0)
        host.expect(0, "bind", B)
        host.stop()
        host.start()
        host.expect(0, "release", A, B)
        self.assertEqual([host.driver(A), host.driver(B)], ["e1000", "e1000"])

    @unittest.skipUnless(shutil.which("strace"), "there is no strace")
    def test_another_card_that_comes_while_the_disk_is_slow_is_left_alone(self):
        host = self.host
        host.add_device(A, 1)
        host.declare("Address=00:03.0\nId=8086:100e")
        self.inject("fsync", "state.new", "delay_enter=3000000:when=1")
        host.start(settled=False)
        host.wait_state(A, "working")
        host.wait_request(f"check {A}")
        host.unplug(A)
        host.add_device(A, 1)
        host.write(f"sys/bus/pci/devices/{A}/modalias", "pci:v00008086d000010D3sv00001AF4sd00001100bc02sc00i00\n")
        host.expect(0, "reload")
        self.assertEqual(host.state(A), "working", "the disk was not slow enough for this test")
        host.wait_state(A, "blocked")
        self.assertIn("id-mismatch", host.expect(0, "explain", A))
        self.assertEqual([host.driver(A), host.override(A)], ["e1000", "(null)"])
        self.assertEqual(host.writes(A), [])

    def damaged(self, text, aside):
        """A device is declared and bound; then the state file is replaced by `text`."""
        host = self.host
        host.add_device(A, 1)
        host.declare("Address=00:03.0")
        host.start()
        host.wait_driver(A, "vfio-pci")
        host.stop()
        whole = (host.root / STATE).read_text()
        (host.root / STATE).write_text(text(whole))
        writes = host.writes(A)
        host.start()
        host.wait_state(A, "ready")
        self.assertEqual(host.writes(A), writes)
        self.assertEqual((host.root / f"{STATE}.{aside}").read_text(), text(whole))
        self.assertIn("was set aside", host.errors())

    def test_a_torn_file_is_set_aside(self):
        self.damaged(lambda whole: whole[:len(whole) // 2], "broken")

    def test_an_empty_file_is_set_aside(self):
        self.damaged(lambda whole: "", "broken")

    def test_a_changed_file_is_set_aside(self):
        self.damaged(lambda whole: whole.replace("taken=1", "taken=0"), "broken")

    def test_the_file_of_a_newer_version_is_kept(self):
        self.damaged(lambda whole: whole.replace("vfiod-state 1 ", "vfiod-state 2 "), "newer")
        self.assertIn("newer version", self.host.errors())

    def test_what_a_crash_left_beside_the_file_is_no_harm(self):
        host = self.host
        host.add_device(A, 1)
        host.start()
        host.write(f"{STATE}.new", "half a fi")
        host.expect(0, "bind", A)
        host.stop()
        host.start()
        host.expect(0, "release", A)
        self.assertEqual(host.driver(A), "e1000")
