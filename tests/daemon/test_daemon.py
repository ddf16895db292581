# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an operator notices of vfiod when devices, workers, files, the disk or the bus fail."""

import errno
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
import unittest

from harness import DEADLINE_SEC, SANITIZER, HostTest

A, B = "0000:00:03.0", "0000:00:03.1"
SERIAL = "SerialNumber=00-00-00-00-00-00-00-01"
SHORT_TIMEOUT = "[Daemon]\nWriteTimeoutSec=1s\n"


class DaemonTest(HostTest):
    def start_pair(self, *stuck):
        """A and B in one group, on vfio-pci; after a release the unbind of each in `stuck` hangs."""
        host = self.host
        host.add_device(A, 1)
        host.add_device(B, 1)
        host.write("etc/vfiod/vfiod.conf", SHORT_TIMEOUT)
        host.start()
        host.expect(0, "bind", A)
        self.assertEqual([host.driver(A), host.driver(B)], ["vfio-pci", "vfio-pci"])
        for address in stuck:
            host.fault("unbind", address, "hang")
        if stuck:
            self.assertIn("write-timeout", host.expect(7, "release", A))
            for address in stuck:
                host.wait_state(address, "stuck")

    def test_a_device_bound_to_a_named_driver_can_be_released(self):
        host = self.host
        host.add_device(A, 1)
        host.start()
        host.expect(0, "bind", "--driver=vfio-pci", A)
        self.assertEqual(host.driver(A), "vfio-pci")
        host.expect(0, "release", A)
        self.assertEqual([host.driver(A), host.override(A)], ["e1000", "(null)"])
        self.assertEqual(host.state(A), "unmanaged")

    def test_list_answers_while_a_reload_waits_for_serial_numbers(self):
        host = self.host
        host.add_device(A, 1, serial="1")
        host.declare("Address=00:03.0")
        host.start()
        host.wait_driver(A, "vfio-pci")
        host.fault("inspect", A, "hang")
        before = len(host.requests("inspect"))
        host.declare(SERIAL)
        reload = host.spawn_ctl("reload")
        host.wait_request(f"inspect {A}", before + 1)
        self.assertIn(A, host.expect(0, "list"))
        host.expect(0, "explain", A)
        host.end_fault("inspect", A)
        self.assertEqual(host.finish_ctl(reload).status, 0)
        host.wait_state(A, "ready")
        self.assertEqual(host.requests(f"unbind {A} vfio-pci"), [])

    def test_a_failed_bind_leaves_devices_bound_before(self):
        host = self.host
        host.add_device(A, 1)
        host.add_device(B, 2)
        host.start()
        host.expect(0, "bind", A)
        host.fault("bind", B, errno.EINVAL)
        text = host.expect(1, "bind", A, B)
        self.assertIn(B, text)
        self.assertIn("driver-rejected", text)
        host.end_fault("bind", B)
        host.wait_driver(B, "e1000")
        host.expect(0, "reload")
        self.assertEqual(host.state(A), "ready")
        self.assertEqual([host.driver(A), host.driver(B)], ["vfio-pci", "e1000"])
        self.assertEqual(host.requests(f"unbind {A} vfio-pci"), [])

    def test_a_stuck_write_is_never_sent_again(self):
        host = self.host
        self.start_pair(A, B)
        host.end_fault("unbind", A)
        host.wait("the write on A does not return", lambda: host.driver(A) != "vfio-pci")
        for verb in ("reload", "apply"):
            host.ctl(verb)
            self.assertEqual(host.state(B), "stuck", verb)
        host.end_fault("unbind", B)
        for address in (A, B):
            host.wait_driver(address, "e1000")
            host.wait_state(address, "unmanaged")
            self.assertEqual(host.override(address), "(null)")
        self.assertEqual(host.requests(f"unbind {B} vfio-pci"), [f"unbind {B} vfio-pci"])

    def test_a_stuck_member_costs_nothing(self):
        host = self.host
        self.start_pair(A)
        seen = []

        def is_quiet():  # what the answers above have begun is over
            seen.append((host.requests(), host.cpu_seconds()))
            time.sleep(0.3)
            return seen[-1] == (host.requests(), host.cpu_seconds())
        host.wait("vfiod does not come to rest", is_quiet)
        requests, cpu = seen[-1]
        time.sleep(1.5)
        self.assertEqual(host.requests(), requests)
        self.assertLess(host.cpu_seconds() - cpu, 0.1)

    def test_a_modules_name_for_a_driver_is_explained(self):
        host = self.host
        host.add_device(A, 1)
        os.rmdir(host.root / "sys/bus/pci/drivers/vfio-pci")
        host.write("lib/modules/6.12.0/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko:\n")
        host.write("modules/vfio_pci", "vfio-pci\n")
        host.declare("Address=00:03.0", "Driver=vfio_pci")
        self.check_back_off("load")
        host.wait("vfioctl does not name the module's driver",
                  lambda: "vfio-pci" in host.expect(0, "explain", A))

    def test_the_sentence_is_of_the_last_attempt(self):
        host = self.host
        host.add_device(A, 1)
        host.fault("bind", A, errno.EINVAL)
        host.declare("Address=00:03.0")
        host.start()
        host.wait_state(A, "failed")
        self.assertIn("EINVAL", host.expect(0, "explain", A))
        host.fault("bind", A, 0)  # the kernel says yes, and does nothing
        host.wait("what the second attempt found is not said",
                  lambda: "failed: driver-rejected: the kernel took every step" in host.expect(0, "explain", A))
        self.assertEqual(len(host.requests(f"bind {A} vfio-pci")), 2, host.evidence())

    def start_with_late_looks(self):
        """A and B are on vfio-pci, B by a request; jobs wait until the fault "inspect" of A ends."""
        host = self.host
        host.add_device(A, 1, serial="1")
        host.add_device(B, 2)
        host.declare("Address=00:03.0")
        host.start()
        host.expect(0, "bind", B)
        host.fault("inspect", A, "hang")
        before = len(host.requests(f"inspect {A}"))
        host.declare(SERIAL)
        host.expect(0, "reload")
        host.wait_request(f"inspect {A}", before + 1)

    def submit(self, *words):
        """Runs vfioctl without waiting, and returns the number of the job."""
        self.host.expect(0, *words, "--no-wait")
        return str(max(job["id"] for job in json.loads(self.host.expect(0, "jobs", "--json=short"))))

    def test_a_cancelled_release_leaves_nothing(self):
        host = self.host
        self.start_with_late_looks()
        for words in (["release", B], ["release", "--accept=device-in-use", B]):
            host.expect(0, "cancel", self.submit(*words))
        host.end_fault("inspect", A)
        host.expect(0, "bind", A)
        self.assertEqual((host.state(B), host.driver(B)), ("ready", "vfio-pci"))
        self.assertEqual(host.requests(f"unbind {B} vfio-pci"), [])

    def test_files_are_written_for_all_devices_or_none(self):
        host = self.host
        host.add_device(A, 1)
        host.add_device("0000:00:04.0", 2)
        host.declare("Address=00:04.0", "Driver=host")
        host.start()
        files = lambda: sorted(path.name for path in (host.root / "etc/vfiod/devices.d").iterdir())
        self.assertIn("10-test.conf", host.expect(1, "bind", "--persist", A, "00:04.0"))
        self.assertEqual(files(), ["10-test.conf"])
        host.expect(0, "bind", "--persist", A)
        self.assertIn("10-test.conf", host.expect(1, "release", "--persist", A, "00:04.0"))
        self.assertEqual(files(), ["10-test.conf", f"50-vfioctl-{A}.conf"])

    def test_doctor_tells_a_daemon_that_hangs_from_none(self):
        host = self.host
        host.start()
        host.pause(host.daemon.pid)
        self.assertIn("vfiod is not answering", host.ctl("doctor", "--timeout=300ms").text)
        host.resume(host.daemon.pid)
        host.wait("vfiod does not answer again", lambda: "vfiod is ready" in host.ctl("doctor").text)
        host.stop()
        self.assertIn("vfiod is not running", host.ctl("doctor").text)

    def test_no_such_job(self):
        self.host.start()
        self.assertEqual(self.host.expect(1, "cancel", "999"), "vfioctl: no such job: '999'; see 'vfioctl jobs'\n")

    def test_monitor_prints_changes_only(self):
        host = self.host
        host.add_device(A, 1)
        host.start()
        monitor = host.spawn_ctl("monitor", "--json=short")

        def is_seen():
            host.expect(0, "bind", A)
            host.expect(0, "release", A)
            return select.select([monitor.stdout], [], [], 0)[0]
        host.wait("nothing is printed", is_seen)
        monitor.terminate()
        events = [json.loads(line) for line in monitor.communicate(timeout=DEADLINE_SEC)[0].splitlines()]
        self.assertTrue({e["event"] for e in events} & {"device", "job"})
        self.assertNotIn("manager", [e["event"] for e in events], "vfiod was ready before, and is")

    def test_a_cancelled_job_leaves_what_others_asked_for(self):
        host = self.host
        self.start_with_late_looks()
        bind = self.submit("bind", "--driver=vfio-pci", B)
        release = self.submit("release", B)
        host.expect(0, "cancel", bind)
        host.end_fault("inspect", A)
        host.wait_driver(B, "e1000")
        self.assertIn(release, host.expect(0, "jobs"))
        host.wait_state(B, "unmanaged")

    def test_a_release_is_not_measured_by_the_bind_before_it(self):
        host = self.host
        host.add_device(A, 1)
        host.start()
        host.fault("bind", A, "hang")
        bind = host.spawn_ctl("bind", A)
        host.wait_request(f"bind {A} vfio-pci")
        release = host.spawn_ctl("release", A)
        host.wait("the second job does not come", lambda: "release" in host.expect(0, "jobs"))
        host.end_fault("bind", A)
        host.finish_ctl(bind)
        answer = host.finish_ctl(release)
        self.assertEqual((answer.status, host.driver(A)), (0, "e1000"), answer)

    def test_a_release_keeps_what_another_one_accepted(self):
        host = self.host
        host.add_device(A, 1)
        host.add_device(B, 2)
        host.start()
        host.expect(0, "bind", A)
        host.fault("bind", B, "hang")
        bind = host.spawn_ctl("bind", B)
        host.wait_request(f"bind {B} vfio-pci")
        host.open_node(2)
        release = host.spawn_ctl("release", "--accept=device-in-use", B)
        host.wait("the second job does not come", lambda: "release" in host.expect(0, "jobs"))
        host.expect(0, "release", "--accept=device-in-use", A)
        host.end_fault("bind", B)
        host.finish_ctl(bind)
        self.assertEqual(host.finish_ctl(release).status, 0, host.evidence())
        self.assertEqual(host.driver(B), "e1000")

    def test_a_failure_is_told_once_until_it_is_another(self):
        host = self.host
        host.add_device(A, 1)
        host.write("etc/vfiod/vfiod.conf", "[Daemon]\nRetryMaxSec=1s\n")
        host.declare("Address=00:03.0")
        host.fault("bind", A, errno.EINVAL)
        host.start(settled=False)
        host.wait_request(f"bind {A} vfio-pci", 3)
        host.fault("bind", A, errno.EIO)
        host.wait_request(f"bind {A} vfio-pci", 5)
        self.assertEqual(host.errors().count("failed: driver-rejected"), 2, host.errors())

    def test_a_release_that_a_restart_cuts_ends_with_the_device_back(self):
        host = self.host
        host.add_device(A, 1)
        host.start()
        host.expect(0, "bind", A)
        host.open_node(1)
        host.fault("unbind", A, "hang")
        release = host.spawn_ctl("release", "--accept=device-in-use", A)
        host.wait_request(f"unbind {A}", 2)
        host.stop()
        self.assertEqual(host.finish_ctl(release).status, 6)
        host.start(settled=False)
        host.end_fault("unbind", A)
        host.wait_driver(A, "e1000")
        host.wait_state(A, "unmanaged")
        host.close_node()
        host.declare("Address=00:03.0")
        host.expect(0, "reload")
        host.wait_driver(A, "vfio-pci")

    def test_a_device_that_vfio_takes_back_is_not_fought_for(self):
        self.host.add_device(A, 1, driver="vfio-pci")
        self.host.declare("Address=00:03.0", "Driver=host")
        self.check_back_off("unbind")

    def check_back_off(self, verb):
        """The daemon starts, fails, and tries again ever more seldom: after 1 s, 2 s, 4 s."""
        host = self.host
        host.start()
        host.wait_request(verb)
        before = len(host.requests(verb))
        time.sleep(3)
        self.assertLessEqual(len(host.requests(verb)) - before, 3, host.evidence())
        host.wait_state(A, "failed")

    def test_a_worker_that_dies_behind_an_unbind_is_rolled_back(self):
        host = self.host
        host.add_device(A, 1)
        host.fault("unbind", A, "die-after")
        host.start()
        text = host.expect(1, "bind", A)
        self.assertIn(A, text)
        host.wait_driver(A, "e1000")
        host.wait_state(A, "unmanaged")
        self.assertEqual(host.override(A), "(null)")

    def test_a_move_that_failed_is_tried_again_as_before(self):
        """The declared member was on its driver already, and what went along had none of the blame."""
        host = self.host
        host.add_device(A, 1, driver="vfio-pci")
        host.add_device(B, 1)
        host.fault("check", B, errno.EIO)
        host.declare("Address=00:03.0")
        host.start()
        host.wait_request(f"check {B}")
        host.wait_state(B, "failed")
        host.end_fault("check", B)
        host.expect(0, "apply")
        host.wait_driver(B, "vfio-pci")

    def test_what_a_program_keeps_from_going_back_is_told(self):
        host = self.host
        host.add_device(A, 1)
        host.declare("Address=00:03.0")
        host.start()
        host.wait_state(A, "ready")
        host.open_node(1)
        (host.root / "etc/vfiod/devices.d/10-test.conf").unlink()
        host.expect(0, "reload")
        host.wait_state(A, "blocked")
        for verb in (("explain", A), ("plan", f"--root={host.root}")):
            self.assertIn("qemu (1234) has /dev/vfio/1 open", host.ctl(*verb).text)
        self.assertEqual(host.driver(A), "vfio-pci")
        host.close_node()
        host.expect(0, "apply")
        host.wait_driver(A, "e1000")

    def test_a_restart_without_serial_numbers_gives_nothing_back(self):
        host = self.host
        self.start_with_card()
        host.stop()
        host.fault("inspect", A, errno.EIO)
        before = len(host.requests("inspect"))
        host.start(settled=False)
        host.wait_request(f"inspect {A}", before + 1)
        host.expect(0, "reload")
        host.state(A)
        host.end_fault("inspect", A)
        host.expect(0, "reload")
        host.wait_state(A, "ready")
        self.assertEqual(host.requests(f"unbind {A} vfio-pci"), [])
        self.assertEqual(host.driver(A), "vfio-pci")

    def test_a_worker_that_dies_over_a_serial_number_is_followed_by_one_more(self):
        host = self.host
        host.add_device(A, 1, serial="1")
        host.declare(SERIAL)
        host.fault("inspect", A, "die")
        host.start(settled=False)
        host.wait_request(f"inspect {A}")
        host.end_fault("inspect", A)
        host.wait_driver(A, "vfio-pci")
        host.wait_state(A, "ready")
        # One that kills them all keeps nothing else.
        host.add_device(B, 2)
        host.fault("inspect", B, "die")
        host.expect(0, "reload")
        host.wait("there are no more looks", lambda: host.state(B))

    def test_a_serial_number_is_asked_for_again_once_workers_can_lock(self):
        host = self.host
        host.add_device(A, 1, serial="1")
        host.declare(SERIAL)
        locks = host.root / "run/vfiod/locks"
        locks.mkdir()
        host.start(settled=False)
        host.wait("it is not told", lambda: "/run/vfiod/locks cannot be locked" in host.errors())
        locks.rmdir()
        host.wait_driver(A, "vfio-pci")
        host.wait_state(A, "ready")

    def start_with_card(self):
        host = self.host
        host.add_device(A, 1, serial="1")
        host.declare(SERIAL)
        host.start()
        host.wait_driver(A, "vfio-pci")
        host.wait_state(A, "ready")

    def expect_other_card(self):
        self.host.wait_state(A, "unmanaged")
        self.assertEqual(self.host.driver(A), "e1000")
        self.assertEqual(len(self.host.requests(f"bind {A}")), 1)

    def test_a_serial_number_goes_with_its_card(self):
        host = self.host
        self.start_with_card()
        host.unplug(A)
        host.expect(0, "reload")
        host.wait("it is still there", lambda: host.state(A) is None)
        host.add_device(A, 1, serial="2")
        host.expect(0, "reload")
        self.expect_other_card()

    def test_serial_numbers_are_read_again_after_events_were_lost(self):
        host = self.host
        if subprocess.run(["unshare", "--net", "true"], check=False).returncode != 0:
            self.skipTest("no network namespaces")
        host.namespace = ["unshare", "--net"]
        self.start_with_card()
        host.unplug(A)
        host.add_device(A, 1, serial="2")
        before = len(host.requests(f"inspect {A}"))
        host.lose_events()
        host.wait_request(f"inspect {A}", before + 1)
        self.expect_other_card()

    def test_a_group_stays_when_the_declared_member_is_unplugged(self):
        host = self.host
        host.add_device(A, 1)
        host.add_device(B, 1)
        host.declare("Address=00:03.0")
        host.start()
        host.wait_state(B, "ready")
        host.unplug(A)
        host.expect(0, "reload")
        self.assertNotIn(host.state(B), ("pending", "working"))
        self.assertEqual(host.driver(B), "vfio-pci")
        host.add_device(A, 1)
        host.expect(0, "reload")
        host.wait_driver(A, "vfio-pci")
        host.wait_state(A, "ready")
        host.wait_state(B, "ready")
        self.assertEqual(host.requests(f"unbind {B} vfio-pci"), [])

    def test_a_bind_beside_a_stuck_device_ends(self):
        self.start_pair(A)
        self.assertIn("write-timeout", self.host.expect(7, "bind", B))

    def test_a_second_daemon_gives_way(self):
        host = self.host
        host.add_device(A, 1)
        host.start()
        second = host.spawn_daemon(subprocess.PIPE)
        try:
            _, errors = second.communicate(timeout=DEADLINE_SEC)
        except subprocess.TimeoutExpired:
            second.kill()
            second.communicate()
            self.fail("the second vfiod goes on")
        self.assertNotEqual(second.returncode, 0)
        self.assertIn(b"org.vfiod1", errors)
        self.assertFalse(SANITIZER.search(errors.decode()), errors)
        host.expect(0, "bind", A)
        self.assertEqual(host.driver(A), "vfio-pci")

    def test_nothing_is_taken_that_cannot_be_written_down(self):
        host = self.host
        host.add_device(A, 1)
        host.add_device(B, 2)
        host.start()
        shutil.rmtree(host.root / "var/lib/vfiod")
        host.write("var/lib/vfiod", "in the way\n")
        self.assertIn("/var/lib/vfiod/state", host.expect(1, "bind", A))
        self.assertEqual(host.driver(A), "e1000")
        (host.root / "var/lib/vfiod").unlink()
        (host.root / "var/lib/vfiod").mkdir()
        host.expect(0, "reload")
        host.expect(0, "bind", B)
        self.assertNotIn(A, (host.root / "var/lib/vfiod/state").read_text())
        host.expect(0, "release", B)
        self.assertEqual(host.writes(A), [])
        self.assertEqual(host.state(A), "unmanaged")

    def test_workers_that_die_or_return_late_leave_no_zombies(self):
        host = self.host
        host.add_device(A, 1)
        host.add_device(B, 2)
        host.write("etc/vfiod/vfiod.conf", SHORT_TIMEOUT)
        host.start()
        host.fault("unbind", A, "die")
        host.expect(1, "bind", A)
        host.wait_no_zombies()
        host.end_fault("unbind", A)
        host.fault("unbind", B, "hang")
        host.expect(7, "bind", B)
        host.end_fault("unbind", B)
        host.wait_driver(B, "vfio-pci")
        host.expect(0, "bind", A)
        host.wait_no_zombies()

    def test_another_root_needs_no_preparation(self):
        host = self.host
        host.add_device(A, 1)
        shutil.rmtree(host.root / "run")
        shutil.rmtree(host.root / "var")
        shutil.rmtree(host.root / "etc")
        host.start()
        host.expect(0, "bind", "--persist", A)
        self.assertEqual(host.driver(A), "vfio-pci")
        host.stop()
        host.start()
        self.assertEqual(host.state(A), "ready")

    def test_what_cannot_last_for_one_device_changes_nothing_for_another(self):
        host = self.host
        other = host.root / "etc/vfiod/devices.d/10-test.conf"
        host.add_device(A, 1)
        host.add_device(B, 2)
        host.declare("Address=00:03.1", "Driver=host")
        host.start()
        host.expect(0, "bind", A)
        self.assertIn(other.name, host.expect(1, "bind", "--persist", A, B))
        self.assertEqual(list(other.parent.iterdir()), [other])
        host.expect(0, "apply")
        self.assertEqual([host.driver(A), host.state(A)], ["vfio-pci", "ready"])
        host.expect(0, "bind", "--persist", A)
        self.assertIn(other.name, host.expect(1, "release", "--persist", A, B))
        self.assertEqual(len(list(other.parent.iterdir())), 2)
        host.expect(0, "release", "--persist", A)
        self.assertEqual(list(other.parent.iterdir()), [other])
        self.assertEqual(host.driver(A), "e1000")

    def test_sighup_during_startup_is_not_readiness(self):
        host = self.host
        host.add_device(A, 1)
        host.add_device(B, 2)
        host.fault("unbind", A, "hang")
        host.declare("Address=00:03.0")
        host.start(settled=False)
        host.wait_request(f"unbind {A}")
        host.declare("Address=00:03.0 00:03.1")
        host.daemon.send_signal(signal.SIGHUP)
        host.wait_driver(B, "vfio-pci")
        host.expect(0, "jobs")
        self.assertNotIn("READY=1", host.notifications)
        host.end_fault("unbind", A)
        host.wait("vfiod does not settle", lambda: "READY=1" in host.notifications)
        self.assertEqual(host.driver(A), "vfio-pci")

    def test_the_daemon_works_without_the_bus_and_comes_back_to_it(self):
        host = self.host
        host.add_device(A, 1)
        host.add_device(B, 2)
        host.start()
        host.stop_bus()
        host.declare("Address=00:03.0")
        host.daemon.send_signal(signal.SIGHUP)
        host.wait_driver(A, "vfio-pci")
        host.start_bus()
        host.wait("vfiod does not come back to the bus", lambda: host.ctl("jobs").status == 0)
        self.assertEqual(host.state(A), "ready")
        host.expect(0, "bind", B)
        self.assertEqual(host.driver(B), "vfio-pci")

    def test_a_look_that_fails_is_tried_again_once_a_second(self):
        host = self.host
        host.add_device(A, 1)
        host.start()
        devices = host.root / "sys/bus/pci/devices"
        aside = devices.with_name("aside")
        devices.rename(aside)
        devices.write_text("")
        begin = time.monotonic()
        host.expect(1, "reload")
        host.wait("it is not tried again", lambda: host.errors().count("Failed to look at the devices") >= 3)
        self.assertGreater(time.monotonic() - begin, 1.5)
        devices.unlink()
        aside.rename(devices)
        host.wait_state(A, "unmanaged")
        host.expect(0, "bind", A)

    def test_it_ends_also_where_the_bus_never_answers(self):
        host = self.host
        host.add_device(A, 1)
        host.stop_bus()
        path = host.root / "bus"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(path))
            silent.listen()
            silent.settimeout(DEADLINE_SEC)
            daemon = host.spawn_daemon(subprocess.DEVNULL)
            connection, _ = silent.accept()
            daemon.send_signal(signal.SIGTERM)
            self.assertEqual(daemon.wait(DEADLINE_SEC), 0)
            connection.close()
        path.unlink()
        host.start_bus()
        host.start()


if __name__ == "__main__":
    unittest.main()
