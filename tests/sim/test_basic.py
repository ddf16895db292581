# SPDX-License-Identifier: LGPL-2.1-or-later
"""The simulator does what it promises, and vfiod does its work on it."""

import errno
import os
import pathlib
import select
import signal
import socket
import subprocess
import time
import unittest

from sim import DEADLINE_SEC, HERE, KERNELS, PROGRAMS, SimTest

EDU, E1000, TESTDEV, BRIDGE = "0000:02:02.0", "0000:02:01.0", "0000:02:03.0", "0000:01:00.0"
NVME, IGB, NVME_PF = "0000:04:00.0", "0000:08:00.0", "0000:0a:00.0"


class AgreementTest(SimTest):
    def test_the_list_of_operations(self):
        for kernel in KERNELS:
            with self.subTest(kernel=kernel):
                self.sim("qemu", kernel=kernel)
                r = subprocess.run([PROGRAMS["AGREE"], HERE / "agreement.ops", kernel], capture_output=True, text=True,
                                   timeout=60)
                self.assertEqual(r.returncode, 0, "\n".join(line for line in r.stdout.splitlines() if "DIFF" in line))
                self.doCleanups()


class BindTest(SimTest):
    def test_a_declared_group_is_bound_and_given_back(self):
        for kernel in KERNELS:
            with self.subTest(kernel=kernel):
                sim = self.sim("qemu", kernel=kernel)
                sim.declare(f"Address={EDU}")
                sim.start()
                for address in (EDU, E1000, TESTDEV):
                    self.assertEqual(sim.driver(address), "vfio-pci", sim.evidence())
                self.assertIsNone(sim.driver(BRIDGE))
                os.unlink("/etc/vfiod/devices.d/10-test.conf")
                sim.expect(0, "reload")
                sim.expect(0, "release", EDU)
                sim.wait_driver(E1000, "e1000")
                self.assertIsNone(sim.driver(EDU))
                for address in (EDU, E1000, TESTDEV):
                    self.assertIsNone(sim.override(address))
                self.doCleanups()

    def test_bind_and_release_by_request(self):
        sim = self.sim("x722")
        sim.start()
        before = sim.dump()["devices"]
        sim.expect(0, "bind", "1a:00.2", "1a:00.3")
        self.assertEqual([sim.driver(f"0000:1a:00.{i}") for i in range(4)], ["i40e", "i40e", "vfio-pci", "vfio-pci"])
        sim.expect(0, "release", "1a:00.2", "1a:00.3")
        after = sim.dump()["devices"]
        for device in (*before.values(), *after.values()):
            device.pop("looks"), device.pop("opens")
        self.assertEqual(before, after)

    def test_a_device_that_comes_is_bound(self):
        sim = self.sim("qemu")
        sim.declare("Address=0000:07:00.0")
        sim.start()
        sim.control("hotplug device 0000:07:00.0 8086:10d3 group=30 net=eth9")
        sim.wait_driver("0000:07:00.0", "vfio-pci")


class JournalTest(SimTest):
    def listen(self):
        """What journald would hear from vfiod from now on."""
        path = pathlib.Path("/run/systemd/journal/socket")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.addCleanup(path.unlink)
        journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(journal.close)
        journal.bind(str(path))
        journal.settimeout(DEADLINE_SEC)
        subprocess.run(["busctl", "set-property", "org.vfiod1", "/org/freedesktop/LogControl1",
                        "org.freedesktop.LogControl1", "LogTarget", "s", "journal"], check=True)
        return journal

    def find(self, journal, **wanted):
        """The next entry with these fields."""
        while True:
            entry = dict(line.split("=", 1) for line in journal.recv(65536).decode().splitlines() if "=" in line)
            if all(entry.get(key) == value for key, value in wanted.items()):
                return entry

    def test_fields_of_entries(self):
        sim = self.sim("qemu")
        sim.start()
        journal = self.listen()
        sim.expect(0, "bind", NVME)
        entry = self.find(journal, VFIOD_DEVICE=NVME)
        self.assertEqual((entry["VFIOD_DRIVER"], entry["SYSLOG_IDENTIFIER"]), ("vfio-pci", "vfiod"))
        self.assertIn("MESSAGE_ID", entry)
        sim.expect(0, "release", NVME)
        sim.fault("errno=EBUSY", path="*/vfio-pci/bind", times=100)
        sim.expect(1, "bind", NVME)
        entry = self.find(journal, VFIOD_DEVICE=NVME, VFIOD_REASON="driver-rejected")
        self.assertEqual((entry["ERRNO"], entry["PRIORITY"]), (str(errno.EBUSY), "4"))


class ServiceTest(SimTest):
    """Workers that are no children of vfiod."""

    def test_a_group_is_bound_and_given_back(self):
        sim = self.sim("qemu", service=True)
        sim.declare(f"Address={EDU}")
        sim.start()
        self.assertEqual([sim.driver(a) for a in (EDU, E1000, TESTDEV)], ["vfio-pci"] * 3, sim.evidence())
        sim.expect(0, "release", EDU)
        sim.wait_driver(E1000, "e1000")
        sim.stop()
        sim.wait_for(lambda: sim.workers() == [], "the workers do not end")

    def test_a_worker_that_is_killed(self):
        sim = self.sim("qemu", service=True)
        sim.declare(f"Address={NVME}")
        sim.fault("kill=0", path="*/nvme/unbind")
        sim.start(settled=False)
        sim.wait_driver(NVME, "vfio-pci")

    def test_a_write_that_hangs_outlives_daemon_and_service(self):
        sim = self.sim("qemu", service=True)
        sim.write_config("./vfiod.conf", "[Daemon]\nWriteTimeoutSec=200ms\nRetryMaxSec=50ms\n")
        sim.start()
        sim.fault("hold", path="*/nvme/unbind")
        sim.vfioctl("bind", NVME)
        self.assertEqual(sim.list()[NVME]["state"], "stuck", sim.evidence())
        sim.stop()
        sim.stop_service()
        self.assertEqual(len(sim.workers()), 1)
        sim.start_service()
        sim.start(settled=False)
        sim.wait_state(NVME, "stuck")
        sim.expect(0, "bind", IGB)  # others go on
        sim.release()
        sim.wait_driver(NVME, "vfio-pci")
        self.assertEqual(len([w for w in sim.log() if w["path"].endswith("/nvme/unbind")]), 1)

    def test_no_service(self):
        sim = self.sim("qemu", service=True)
        sim.stop_service()
        sim.start()
        self.assertIn("no worker process can be started", sim.vfioctl("bind", NVME).err)
        self.assertEqual(sim.driver(NVME), "nvme")
        sim.declare(f"Address={NVME}")
        sim.start_service()
        sim.expect(0, "reload")
        sim.wait_driver(NVME, "vfio-pci")


    def test_a_service_that_does_not_begin(self):
        """Who is not served in time is not served at all."""
        sim = self.sim("qemu", service=True)
        sim.stop_service()
        listener = sim.start_socket()
        sim.start()
        self.assertIn("no worker process can be started", sim.vfioctl("bind", NVME, timeout=90).err)
        sim.start_service(listener)
        sim.expect(0, "bind", IGB)  # behind all that were waiting
        self.assertEqual(sim.driver(NVME), "nvme")
        self.assertFalse([w for w in sim.log() if NVME in w["path"] + w["value"]], sim.evidence())

    def test_a_service_that_begins_late(self):
        """Its start is no write that hangs."""
        sim = self.sim("qemu", service=True)
        sim.write_config("./vfiod.conf", "[Daemon]\nWriteTimeoutSec=200ms\n")
        sim.stop_service()
        listener = sim.start_socket()
        sim.start()
        with subprocess.Popen([PROGRAMS["VFIOCTL"], "bind", NVME], env=sim.environment()) as bind:
            sim.wait_for(lambda: select.select([listener], [], [], 0)[0], "no worker was asked for")
            # The pause is the thing tested: it is longer than a write may take.
            self.assertRaises(subprocess.TimeoutExpired, bind.wait, 1)
            sim.start_service(listener)
            self.assertEqual(bind.wait(60), 0, sim.evidence())
        self.assertEqual(sim.driver(NVME), "vfio-pci")

    def test_serial_numbers_wait_for_the_service(self):
        """A card whose number nobody can be asked for is not taken for one without."""
        sim = self.sim("qemu", service=True)
        sim.declare("SerialNumber=52-54-00-ff-ff-00-00-01")
        sim.start()
        self.assertEqual(sim.driver(IGB), "vfio-pci")
        sim.stop()
        sim.stop_service()
        sim.start(settled=False)
        sim.wait_for(lambda: "Failed to ask for its serial number" in sim.errors(), "it does not say what is missing")
        sim.start_service()
        sim.wait_for(lambda: sim.list().get(IGB, {}).get("state") == "ready", "it is not known again")
        self.assertEqual([w for w in sim.log() if "unbind" in w["path"] and w["value"] == IGB][1:], [])


class SriovTest(SimTest):
    def check(self, host, pf, count, expected, **options):
        sim = self.sim(host, **options)
        sim.declare_vfs(pf, f"VirtualFunctions={count}\n\n[VirtualFunction]\nDriver=vfio")
        sim.start()
        vfs = sim.vfs(pf)
        self.assertEqual(len(vfs), count, sim.evidence())
        self.assertEqual(vfs[0], expected)
        for vf in vfs:
            self.assertEqual(sim.driver(vf), "vfio-pci", sim.evidence())
        return sim

    def test_vfs_of_a_network_card(self):
        for kernel in KERNELS:
            with self.subTest(kernel=kernel):
                sim = self.check("qemu", IGB, 7, "0000:08:10.0", kernel=kernel)
                writes = [w for w in sim.log() if w["path"].endswith("/igbvf/bind")]
                self.assertEqual(writes, [])
                self.doCleanups()

    def test_vfs_of_a_drive(self):
        self.check("qemu", NVME_PF, 16, "0000:0a:00.1")

    def test_vfs_of_x722(self):
        self.check("x722", "0000:1a:00.1", 4, "0000:1a:06.0")

    def test_vfs_of_kunpeng(self):
        self.check("kunpeng920", "0000:05:00.0", 8, "0000:05:00.1")

    def test_vfs_that_fall_into_one_group(self):
        sim = self.check("xilinx", "0000:26:00.0", 4, "0000:26:00.4")
        self.assertEqual(len({sim.group(vf) for vf in sim.vfs("0000:26:00.0")}), 1)


class SimulatorTest(SimTest):
    def test_hosts_are_what_they_are_said_to_be(self):
        sim = self.sim("desktop")
        self.assertEqual(sim.members(7), [f"0000:{a}" for a in ("00:1c.0", "00:1c.1", "00:1c.2", "02:00.0", "03:00.0")])
        sim = self.sim("kunpeng920")
        self.assertEqual(len(sim.dump()["devices"]), 40)
        self.assertEqual(len(sim.dump()["groups"]), 40)

    def test_faults_at_writes(self):
        sim = self.sim("qemu")
        sim.fault("errno=EIO", path="*/vfio-pci/bind", times=100)
        sim.start()
        self.assertNotEqual(sim.vfioctl("bind", NVME).status, 0)
        self.assertEqual(sim.driver(NVME), "nvme", sim.evidence())
        sim.clear()
        sim.fault("hold", path="*/vfio-pci/bind")
        sim.expect(0, "bind", "--no-wait", NVME)
        sim.wait_held()
        sim.release()
        sim.wait_driver(NVME, "vfio-pci")

    def test_a_worker_is_killed_and_the_device_is_there_nevertheless(self):
        sim = self.sim("qemu")
        sim.declare(f"Address={NVME}")
        sim.fault("kill=0", path="*/vfio-pci/bind", after=True)
        sim.start(settled=False)
        sim.wait_driver(NVME, "vfio-pci")

    def test_unbind_waits_for_who_has_it_open(self):
        sim = self.sim("qemu")
        sim.write(f"bus/pci/devices/{NVME}/driver_override", "vfio-pci")
        sim.write("bus/pci/drivers/nvme/unbind", NVME)
        sim.write("bus/pci/drivers/vfio-pci/bind", NVME)
        holder = sim.hold_node(sim.group(NVME))
        waiting = subprocess.Popen(["sh", "-c", f"echo {NVME} > /sys/bus/pci/drivers/vfio-pci/unbind"])
        sim.wait_for(lambda: sim.driver(NVME) is None)
        self.assertIsNone(waiting.poll())
        self.assertTrue(sim.dump()["devices"][NVME]["busy"])
        holder.kill()
        self.assertEqual(waiting.wait(sim.deadline), 0)

    def test_reset_restores_the_host(self):
        sim = self.sim("qemu")
        before = sim.dump()
        sim.start()
        sim.expect(0, "bind", NVME)
        started = time.monotonic()
        sim.reset()
        self.assertEqual(sim.dump(), before)
        self.assertLess(time.monotonic() - started, 1)
        sim.start()
        sim.expect(0, "bind", NVME)

    def test_a_write_that_is_held_stays_in_the_log(self):
        sim = self.sim("qemu")
        sim.start()
        sim.fault("hold", path="*/nvme/unbind")
        sim.expect(0, "bind", "--no-wait", NVME)
        sim.wait_held()
        self.assertGreater(len(sim.log()), 1)
        sim.control("clear-log")
        self.assertEqual([w["result"] for w in sim.log()], [None])
        sim.release()
        sim.wait_driver(NVME, "vfio-pci")
        self.assertEqual([w["result"] for w in sim.log() if w["path"].endswith("/nvme/unbind")], [0])

    def test_all_that_is_meant_for_a_write_is_forgotten(self):
        sim = self.sim("qemu")
        sim.fault("hold")
        sim.fault("hold")
        sim.fault("errno=EIO")
        writer = subprocess.Popen(["sh", "-c", f"echo vfio-pci > /sys/bus/pci/devices/{NVME}/driver_override"])
        sim.wait_held()
        sim.clear()
        self.assertEqual(writer.wait(sim.deadline), 0)
        self.assertEqual(sim.override(NVME), "vfio-pci")

    def test_it_answers_while_many_writes_are_held(self):
        sim = self.sim("kunpeng920")
        addresses = [a for a, d in sim.dump()["devices"].items() if not d["class"].startswith("06")]
        sim.fault("hold", times=1000)
        writers = [subprocess.Popen(["sh", "-c", f"echo vfio-pci > /sys/bus/pci/devices/{a}/driver_override"])
                   for a in addresses]
        try:
            sim.wait_held(len(writers))
        finally:
            sim.clear()
        self.assertEqual([writer.wait(sim.deadline) for writer in writers], [0] * len(writers))
        self.assertGreater(len(writers), 16)

    def test_what_is_lost_in_a_flood_is_found_nevertheless(self):
        sim = self.sim("qemu")
        sim.declare("Address=0000:07:00.0")
        sim.start()
        sim.daemon.send_signal(signal.SIGSTOP)
        sim.events("flood", 60000)
        self.assertRegex(pathlib.Path("/proc/net/netlink").read_text(), r" [1-9]\d+ +\d+ *\n", "nothing was dropped")
        sim.events("lose", 10)
        sim.control("hotplug device 0000:07:00.0 8086:10d3 group=30 net=eth9")
        sim.events("normal")
        sim.daemon.send_signal(signal.SIGCONT)
        sim.wait_driver("0000:07:00.0", "vfio-pci")

    def test_a_device_in_use_is_unplugged(self):
        sim = self.sim("qemu")
        sim.start()
        sim.expect(0, "bind", EDU)
        sim.hold_node(sim.group(EDU))
        going = sim.background("unplug", EDU)
        sim.wait_for(lambda: sim.dump()["devices"][EDU]["busy"])
        self.assertTrue(going.is_alive())
        sim.let_go()
        going.join(sim.deadline)
        sim.wait_for(lambda: sim.state(EDU) in (None, "absent"), "it is not missed")

    def test_blocks_and_holders(self):
        sim = self.sim("desktop")
        self.assertEqual(os.listdir("/sys/class/block/nvme0n1p2/holders"), ["dm-0"])
        self.assertEqual(pathlib.Path("/sys/class/block/dm-0/dev").read_text(), "253:0\n")
        self.assertEqual(sim.driver("0000:05:00.0"), "nvme")


if __name__ == "__main__":
    unittest.main()
