# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an operator notices of writes that do not return: nothing more is written where they hang, also
by the next daemon, and all else goes on."""

import json
import time
import unittest

from harness import HostTest

A, B, C = "0000:00:03.0", "0000:00:04.0", "0000:00:05.0"
PF, PF2 = "0000:00:06.0", "0000:00:07.0"
VF, VF2 = "0000:01:06.0", "0000:01:06.1"
SHORT_TIMEOUT = "[Daemon]\nWriteTimeoutSec=1s\n"
STOP_SEC = 5  # what a stop may take here at most; a stuck worker must not cost any of it


class StuckTest(HostTest):
    def start_with(self, *devices, pfs=(), timeout=SHORT_TIMEOUT):
        for group, address in enumerate(devices, 1):
            self.host.add_device(address, group)
        for group, pf in enumerate(pfs, 11):
            self.host.add_pf(pf, group)
        self.host.write("etc/vfiod/vfiod.conf", timeout)
        self.host.start()

    def hang(self, verb, address, *words):
        """Runs vfioctl with these words until the write that they lead to is given up."""
        self.host.fault(verb, address, "hang")
        self.assertIn("write-timeout", self.host.expect(7, *words))
        self.host.wait_state(address, "stuck")
        return self.host.worker(address)

    def restart(self, **options):
        begin = time.monotonic()
        self.host.stop()
        self.assertLess(time.monotonic() - begin, STOP_SEC)
        self.host.start(**options)

    def kill(self):
        self.host.daemon.kill()
        self.host.daemon.wait()
        self.host.daemon = None
        self.host.notifications.clear()

    def explain(self, address):
        return json.loads(self.host.expect(0, "explain", "--json=short", address))

    def test_a_restart_knows_what_is_stuck_and_all_else_goes_on(self):
        host = self.host
        self.start_with(A, B)
        worker = self.hang("unbind", A, "bind", A)
        self.assertIn(f"the step unbind has not returned from the kernel (worker {worker})",
                      self.explain(A)["sentence"])
        for _ in range(2):
            self.restart()
            self.assertEqual(host.state(A), "stuck")
            self.assertIn(f"the step unbind has not returned from the kernel (worker {worker})",
                          self.explain(A)["sentence"])
        for verb in ("reload", "apply"):
            host.ctl(verb)
        host.expect(7, "release", A)
        host.expect(0, "bind", B)
        self.assertEqual(host.driver(B), "vfio-pci")
        self.assertEqual(host.state(A), "stuck")
        self.assertEqual(len(host.requests(f"unbind {A}")), 1)
        host.expect(7, "bind", A)
        host.end_fault("unbind", A)
        host.wait_driver(A, "vfio-pci")
        host.wait_state(A, "ready")
        self.assertEqual(len(host.requests(f"unbind {A}")), 1)
        host.wait("the worker of the first daemon does not end", lambda: not host.is_alive(worker))

    def test_who_holds_the_device_is_named(self):
        host = self.host
        self.start_with(A)
        host.expect(0, "bind", A)
        host.open_node(1)
        self.assertIn("device-in-use", host.expect(3, "release", A))
        worker = self.hang("unbind", A, "release", "--accept=device-in-use", A)
        for _ in range(2):
            self.assertEqual(self.explain(A)["sentence"], "the step unbind has not returned from the kernel "
                             f"(worker {worker}): qemu (1234) has /dev/vfio/1 open")
            self.restart()
        users = json.loads(host.expect(0, "who", f"--root={host.root}", "--json=short", A))
        self.assertEqual([(user["address"], user["use"]) for user in users], [(A, "write"), (A, "device-in-use")])
        self.assertRegex(users[0]["by"], rf"vfiod-worker \({worker}\) is at the step unbind, since \d+ s")
        self.assertEqual(users[1]["by"], "qemu (1234) has /dev/vfio/1 open")
        host.close_node()
        host.end_fault("unbind", A)
        host.wait_driver(A, "e1000")

    def test_a_write_of_a_killed_daemon_is_waited_for(self):
        host = self.host
        self.start_with(A, B, timeout="")
        host.fault("unbind", A, "hang")
        client = host.spawn_ctl("bind", "--no-wait", A)
        host.wait_request(f"unbind {A}")
        self.kill()
        host.finish_ctl(client)
        host.start(settled=False)
        host.wait_state(A, "working")
        before = host.requests()
        host.expect(0, "bind", B)
        self.assertEqual([line for line in host.requests()[len(before):] if line.split()[1] == A], [])
        host.end_fault("unbind", A)
        host.wait_driver(A, "vfio-pci")
        host.wait_state(A, "ready")
        self.assertEqual(len(host.requests(f"unbind {A}")), 1)

    def test_a_write_of_a_killed_daemon_is_stuck_when_its_time_is_over(self):
        host = self.host
        self.start_with(A)
        host.fault("unbind", A, "hang")
        client = host.spawn_ctl("bind", "--no-wait", A)
        host.wait_request(f"unbind {A}")
        self.kill()
        host.finish_ctl(client)
        host.start(settled=False)
        host.wait_state(A, "stuck")
        host.end_fault("unbind", A)
        host.wait_driver(A, "vfio-pci")
        self.assertEqual(len(host.requests(f"unbind {A}")), 1)

    def test_a_request_that_a_killed_daemon_left_behind_is_not_begun(self):
        """The worker takes it out of its socket when nobody waits for the answer any more."""
        host = self.host
        self.start_with(A, timeout="")
        host.expect(0, "bind", A)
        host.expect(0, "release", A)  # there is an idle worker
        workers = host.children("S")
        host.pause(*workers)
        client = host.spawn_ctl("bind", "--no-wait", A)
        host.wait("no request is sent", lambda: host.state(A) == "working")
        before = host.requests()
        self.kill()
        host.finish_ctl(client)
        host.resume(*workers)
        for worker in workers:
            host.wait("a worker goes on without its daemon", lambda w=worker: not host.is_alive(w))
        self.assertEqual(host.requests(), before)
        host.start()

    def test_changes_of_numbers_of_vfs_wait_for_the_one_that_hangs(self):
        host = self.host
        self.start_with(B, pfs=(PF, PF2))
        self.hang("numvfs", PF, "sriov", PF, "2")
        for _ in range(2):
            text = host.expect(7, "sriov", PF2, "1")
            self.assertIn("write-timeout", text)
            self.assertIn(PF, text)
            self.restart()
        self.assertEqual(host.requests(f"numvfs {PF2}"), [])
        host.expect(0, "bind", B)
        host.end_fault("numvfs", PF)
        host.wait("the VFs do not come", lambda: len(host.vfs(PF)) == 2 and len(host.vfs(PF2)) == 1)
        self.assertEqual(len(host.requests(f"numvfs {PF}")), 1)

    def test_a_stuck_pf_is_closed_to_its_vfs(self):
        host = self.host
        self.start_with(pfs=(PF, PF2))
        host.expect(0, "sriov", PF, "2")
        before = host.writes(VF)
        self.hang("numvfs", PF, "sriov", PF, "0")
        for _ in range(2):
            self.assertIn(PF, host.expect(7, "bind", VF))
            self.restart()
        self.assertEqual(host.writes(VF), before)
        host.expect(0, "bind", PF2)
        host.end_fault("numvfs", PF)
        host.wait("the VFs do not go", lambda: host.vfs(PF) == [])

    def test_a_stuck_vf_is_closed_to_its_pf(self):
        host = self.host
        self.start_with(pfs=(PF, PF2))
        host.expect(0, "sriov", PF, "2")
        worker = self.hang("unbind", VF, "bind", VF)
        host.expect(0, "bind", VF2)
        for words in (("sriov", PF, "0"), ("bind", "--accept=vfs-exist,vfs-in-use", PF)):
            before = host.requests()
            self.assertIn(VF, host.expect(7, *words))
            self.assertEqual([line for line in host.requests()[len(before):] if line.split()[1] == PF
                              and line.split()[0] in ("numvfs", "unbind")], [])
            host.expect(7, "release", PF)
        host.expect(0, "sriov", PF2, "1")
        self.assertEqual(host.worker(VF), worker)
        host.end_fault("unbind", VF)
        host.wait("the VFs do not go", lambda: host.vfs(PF) == [])

    def test_a_serial_number_that_could_not_be_read_gives_nothing_back(self):
        host = self.host
        host.add_device(A, 1, serial="1")
        host.write("etc/vfiod/vfiod.conf", SHORT_TIMEOUT)
        host.start()
        host.fault("bind", A, "hang")
        host.declare("SerialNumber=00-00-00-00-00-00-00-01")
        host.expect(0, "reload")
        host.wait_state(A, "stuck")
        self.restart()
        self.assertEqual(host.state(A), "stuck")
        before = len(host.requests(f"inspect {A}"))
        host.end_fault("bind", A)
        host.wait_driver(A, "vfio-pci")
        host.wait_state(A, "ready")
        host.wait_request(f"inspect {A}", before + 1)  # for the serial number
        self.assertEqual(host.requests(f"unbind {A} vfio-pci"), [])

    def test_a_serial_number_behind_an_endless_write_keeps_nothing_else(self):
        host = self.host
        host.add_device(A, 1, serial="1")
        host.add_device(B, 2, serial="2")
        host.write("etc/vfiod/vfiod.conf", "[Daemon]\nWriteTimeoutSec=infinity\n")
        host.start()
        host.fault("bind", A, "hang")
        host.expect(0, "bind", "--no-wait", A)
        host.wait_request(f"bind {A}")
        self.kill()
        host.declare("SerialNumber=00-00-00-00-00-00-00-02")
        host.start(settled=False)
        host.wait_driver(B, "vfio-pci")
        self.assertEqual(host.state(A), "working")
        before = len(host.requests(f"inspect {A}"))
        host.end_fault("bind", A)
        host.wait_request(f"inspect {A}", before + 1)  # for the serial number
        host.wait_state(A, "ready")
        self.assertEqual(len(host.requests(f"bind {A}")), 1)

    def test_nothing_is_written_that_cannot_be_locked(self):
        host = self.host
        (host.root / "run/vfiod/locks").mkdir()
        self.start_with(A)
        self.assertIn("/run/vfiod/locks", host.expect(1, "bind", A))
        self.assertEqual(host.writes(A), [])
        self.assertEqual(host.driver(A), "e1000")
        (host.root / "run/vfiod/locks").rmdir()
        host.expect(0, "bind", A)
        self.assertEqual(host.driver(A), "vfio-pci")

    def test_a_lock_file_without_locks_means_nothing(self):
        host = self.host
        host.write("run/vfiod/locks", "rubbish\n" * 4096)
        self.start_with(A)
        host.expect(0, "bind", A)
        self.assertEqual(host.driver(A), "vfio-pci")
        self.kill()
        host.start()
        self.assertEqual(host.state(A), "ready")


if __name__ == "__main__":
    unittest.main()
