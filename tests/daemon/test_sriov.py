# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an operator notices of SR-IOV: VFs are made, set, bound and given back, whatever fails."""

import errno
import itertools
import json
import select
import subprocess
import sys
import unittest

from harness import HostTest

PF = "0000:00:03.0"
VFS = [f"0000:01:03.{i}" for i in range(4)]
MAC, VLAN, TRUST = 0, 1, 3  # as in model/vf.h
BASE = 0x020000001000
ALL_VFIO = "VirtualFunctions=3\n[VirtualFunction]\nDriver=vfio\n"
WITH_MACS = ALL_VFIO + "MACAddress=02:00:00:00:10:00\n"

# Sends a message about the interface lo to whoever listens to interfaces in this namespace.
TOUCH_LO = """
import fcntl, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
"""


class SriovTest(HostTest):
    def start_declared(self, text):
        host = self.host
        host.add_pf(PF, 1)
        host.declare_vfs(PF, text)
        host.start()

    def wait_all(self, state, vfs):
        for address in [PF, *vfs]:
            self.host.wait_state(address, state)

    def order(self, *requests):
        """The first of each of these requests, which must have come in this order."""
        log = self.host.requests()
        places = [next((i for i, line in enumerate(log) if line.startswith(r)), None) for r in requests]
        self.assertNotIn(None, places, log)
        self.assertEqual(places, sorted(places), log)

    def test_a_declared_pf_has_its_vfs_as_declared(self):
        host = self.host
        self.start_declared(WITH_MACS + "Trust=yes\n[VirtualFunction]\nIndex=1\nVLAN=100\n")
        self.wait_all("ready", VFS[:3])
        self.assertEqual(host.vfs(PF), VFS[:3])
        for i, vf in enumerate(VFS[:3]):
            self.assertEqual(host.driver(vf), "vfio-pci")
            settings = host.settings(vf)
            self.assertEqual([settings[MAC], settings[VLAN], settings[TRUST]], [BASE + i, 100 if i == 1 else 0, 1])
            self.order(f"autoprobe {PF} 0", f"numvfs {PF} 3", f"setting {vf}", f"bind {vf} vfio-pci",
                       f"autoprobe {PF} 1")
        self.assertEqual(host.autoprobe(PF), "1")
        self.assertEqual(len(host.requests("numvfs")), 1)
        self.assertEqual([line for line in host.requests("bind") if "igbvf" in line], [])
        self.assertNotIn("failed", host.errors())

    def test_a_device_that_is_no_pf_any_more_is_not_removed(self):
        host, other = self.host, "0000:00:05.0"
        host.add_pf(PF, 1)
        host.add_device(other, 5)
        host.start()
        monitor = host.spawn_ctl("monitor")
        self.addCleanup(monitor.wait)
        self.addCleanup(monitor.stdout.close)
        self.addCleanup(monitor.kill)
        verbs = itertools.cycle(["bind", "release"])
        host.wait("monitor says nothing",
                  lambda: host.expect(0, next(verbs), other) and select.select([monitor.stdout], [], [], 0)[0])
        host.write(f"sys/devices/pci0000:00/{PF}/sriov_totalvfs", "0\n")
        host.expect(0, "reload")
        self.assertEqual(json.loads(host.expect(0, "list", PF, "--json=short"))[0]["total_vfs"], 0)
        host.unplug(other)
        host.expect(0, "reload")
        seen = []
        host.wait("monitor does not see it go",
                  lambda: seen.append(monitor.stdout.readline()) or f"{other}: removed\n" in seen)
        self.assertNotIn(f"{PF}: removed\n", seen)

    def test_a_restart_touches_nothing(self):
        host = self.host
        self.start_declared(WITH_MACS)
        self.wait_all("ready", VFS[:3])
        host.stop()
        before = {address: host.writes(address) for address in [PF, *VFS[:3]]}
        host.start()
        self.wait_all("ready", VFS[:3])
        self.assertEqual({address: host.writes(address) for address in before}, before)

    def test_a_rejected_setting_leaves_the_vf_bound(self):
        host = self.host
        host.fault("setting", VFS[1], errno.EINVAL)
        self.start_declared(WITH_MACS)
        host.wait_state(VFS[1], "failed")
        text = host.expect(0, "explain", VFS[1])
        self.assertIn("vf-setting-rejected", text)
        self.assertIn("02:00:00:00:10:01", text)
        self.assertEqual([host.driver(vf) for vf in VFS[:3]], ["vfio-pci"] * 3)
        for address in (PF, VFS[0], VFS[2]):
            host.wait_state(address, "ready")
        self.assertLessEqual(len(host.requests(f"setting {VFS[1]}")), 3)
        host.end_fault("setting", VFS[1])
        host.wait_state(VFS[1], "ready")
        self.assertEqual(host.settings(VFS[1])[MAC], BASE + 1)
        self.assertEqual(host.requests(f"unbind {VFS[1]}"), [])

    def test_a_changed_setting_touches_no_more_than_that(self):
        host = self.host
        self.start_declared(WITH_MACS)
        self.wait_all("ready", VFS[:3])
        before = len(host.requests("bind"))
        host.declare_vfs(PF, WITH_MACS + "VLAN=7\n")
        host.expect(0, "reload")
        host.wait("the VLAN is not set", lambda: host.settings(VFS[2])[VLAN] == 7)
        self.wait_all("ready", VFS[:3])
        self.assertEqual(len(host.requests("bind")), before)
        self.assertEqual(len(host.requests("numvfs")), 1)

    def test_vfs_in_use_are_not_removed(self):
        host = self.host
        self.start_declared(ALL_VFIO)
        self.wait_all("ready", VFS[:3])
        host.open_node(101)
        text = host.expect(3, "sriov", PF, "2")
        self.assertIn("vfs-in-use", text)
        self.assertIn("qemu (1234)", text)
        host.declare_vfs(PF, ALL_VFIO.replace("3", "2"))
        host.ctl("reload")
        host.wait_state(PF, "blocked")
        self.assertEqual(host.requests("numvfs"), [f"numvfs {PF} 3"])
        host.close_node()
        # No event tells of it.
        host.wait("the number is not changed", lambda: host.vfs(PF) == VFS[:2])
        self.wait_all("ready", VFS[:2])
        self.assertEqual(host.requests("numvfs")[1:], [f"numvfs {PF} 0", f"numvfs {PF} 2"])

    def test_a_hazard_accepted_removes_vfs_in_use(self):
        host = self.host
        self.start_declared(ALL_VFIO)
        self.wait_all("ready", VFS[:3])
        host.open_node(101)
        host.expect(0, "sriov", "--accept=vfs-in-use", PF, "1")
        self.assertEqual(host.vfs(PF), VFS[:1])

    def test_what_was_there_before_comes_back(self):
        host = self.host
        self.start_declared(ALL_VFIO)
        self.wait_all("ready", VFS[:3])
        state = host.root / "var/lib/vfiod/state"
        host.wait("the number before is not written down", lambda: " vfs=0" in state.read_text())
        host.stop()
        (host.root / "etc/vfiod/devices.d/10-test.conf").unlink()
        host.start()
        host.wait("the VFs stay", lambda: host.vfs(PF) == [])
        host.wait_state(PF, "unmanaged")
        self.assertEqual([host.autoprobe(PF), host.driver(PF)], ["1", "igb"])
        host.wait("what was given back is still owed", lambda: PF not in state.read_text())

    def test_a_request_makes_vfs_and_a_release_takes_them_away(self):
        host = self.host
        host.add_pf(PF, 1)
        host.start()
        host.expect(0, "sriov", PF, "2")
        self.assertEqual(host.vfs(PF), VFS[:2])
        self.assertEqual(host.autoprobe(PF), "1")
        self.assertEqual([host.driver(vf) for vf in VFS[:2]], ["igbvf"] * 2)
        self.assertEqual(host.state(PF), "ready")
        self.assertNotIn("failed", host.errors())
        self.assertNotIn(VFS[0], host.errors())
        host.expect(0, "bind", f"{PF}/vf1")
        self.assertEqual([host.driver(vf) for vf in VFS[:2]], ["igbvf", "vfio-pci"])
        host.expect(0, "release", PF)
        self.assertEqual(host.vfs(PF), [])
        host.wait_state(PF, "unmanaged")

    def test_impossible_numbers_are_refused_before_anything_is_done(self):
        host = self.host
        host.add_pf(PF, 1)
        host.add_device("0000:00:04.0", 2)
        host.start()
        for words, reason in (((PF, "8"), "sriov-too-many"), (("0000:00:04.0", "1"), "sriov-unsupported"),
                              (("0000:00:04.0", "0"), "sriov-unsupported")):
            answer = host.ctl("sriov", *words)
            self.assertNotEqual(answer.status, 0)
            self.assertIn(f"{reason}: ", answer.text)
        self.assertEqual(host.writes(PF) + host.writes("0000:00:04.0"), [])
        self.assertEqual(host.state(PF), "unmanaged")

    def test_a_number_that_lasts_is_written_to_a_file(self):
        host = self.host
        host.add_pf(PF, 1)
        host.start()
        host.expect(0, "sriov", "--persist", PF, "2")
        path = host.root / f"etc/vfiod/devices.d/50-vfioctl-{PF}.conf"
        self.assertIn("[SR-IOV]\nVirtualFunctions=2\n", path.read_text())
        self.assertNotIn("Driver=", path.read_text())
        self.assertEqual([host.vfs(PF), host.driver(PF)], [VFS[:2], "igb"])
        host.expect(0, "sriov", "--persist", PF, "max")
        self.assertEqual(len(host.vfs(PF)), 7)
        host.expect(0, "release", "--persist", PF)
        self.assertFalse(path.exists())
        host.wait("the VFs stay", lambda: host.vfs(PF) == [])

    def test_a_failure_is_rolled_back_and_owes_nothing(self):
        host = self.host
        host.add_pf(PF, 1)
        host.start()
        host.fault("numvfs", PF, errno.ENOMEM)
        text = host.expect(1, "sriov", PF, "2")
        self.assertIn("sriov-no-resources", text)
        self.assertIn("pci=realloc", text)
        host.wait("autoprobe stays off", lambda: host.autoprobe(PF) == "1")
        host.wait_state(PF, "unmanaged")
        host.end_fault("numvfs", PF)
        host.expect(0, "reload")
        self.assertEqual(host.vfs(PF), [])
        state = host.root / "var/lib/vfiod/state"
        host.wait("something is still owed", lambda: not state.exists() or PF not in state.read_text())

    def test_a_file_says_what_was_asked_for_last(self):
        host = self.host
        host.add_pf(PF, 1)
        host.start()
        host.expect(0, "sriov", PF, "2", "--persist")
        host.expect(0, "bind", PF, "--accept=vfs-exist", "--persist")
        self.assertEqual((host.driver(PF), host.vfs(PF)), ("vfio-pci", []))
        host.expect(0, "check", f"--root={host.root}")
        self.assertIn("sriov-driver-missing", host.expect(1, "sriov", PF, "2", "--persist"))
        host.expect(0, "bind", "--driver=host", PF)
        host.expect(0, "sriov", PF, "2", "--persist")
        self.assertEqual((host.driver(PF), len(host.vfs(PF))), ("igb", 2))
        host.expect(0, "check", f"--root={host.root}")
        host.expect(0, "reload", "--forget")
        host.wait_state(PF, "ready")
        self.assertEqual((host.driver(PF), len(host.vfs(PF))), ("igb", 2))

    def test_a_pf_is_bound_after_its_vfs_were_removed(self):
        host = self.host
        self.start_declared(ALL_VFIO)
        self.wait_all("ready", VFS[:3])
        self.assertIn("vfioctl sriov PF 0", host.expect(3, "bind", PF))
        host.expect(0, "sriov", PF, "0")
        host.expect(0, "bind", PF)
        self.assertEqual((host.driver(PF), host.vfs(PF)), ("vfio-pci", []))

    def test_a_pf_that_is_to_have_no_driver_gets_no_vfs(self):
        host = self.host
        host.add_pf(PF, 1)
        host.start()
        host.expect(0, "bind", "--driver=none", PF)
        self.assertIn("sriov-driver-missing", host.expect(1, "sriov", "--dry-run", PF, "2"))
        self.assertIn("sriov-driver-missing", host.expect(1, "sriov", PF, "2"))

    def test_a_pf_without_a_driver_is_waited_for(self):
        host = self.host
        host.add_pf(PF, 1)
        (host.root / "sys/bus/pci/devices" / PF / "driver").unlink()
        host.write("etc/vfiod/vfiod.conf", "[Daemon]\nStartupTimeoutSec=1s\n")
        host.declare_vfs(PF, ALL_VFIO)
        host.start()
        host.wait_state(PF, "pending")
        self.assertIn("sriov-driver-missing", host.expect(0, "explain", PF))
        # An apply does not wait for it.
        self.assertIn("sriov-driver-missing", host.expect(1, "apply"))
        (host.root / "sys/bus/pci/devices" / PF / "driver").symlink_to("../../../bus/pci/drivers/igb")
        host.expect(0, "reload")
        self.wait_all("ready", VFS[:3])

    def test_vfs_that_another_removed_are_made_again(self):
        host = self.host
        self.start_declared(WITH_MACS)
        self.wait_all("ready", VFS[:3])
        subprocess.run([sys.executable, "-B", "-c", REMOVE_VFS, str(host.root)], check=True)
        host.expect(0, "reload")
        self.wait_all("ready", VFS[:3])
        self.assertEqual([host.settings(vf)[MAC] for vf in VFS[:3]], [BASE, BASE + 1, BASE + 2])
        self.assertIn("has 0 VFs now, had 3", host.errors())

    def test_a_pf_for_vfio_keeps_its_vfs(self):
        host = self.host
        host.add_pf(PF, 1)
        host.start()
        host.expect(0, "sriov", PF, "2")
        self.assertIn("vfs-exist", host.expect(3, "bind", PF))
        self.assertEqual([host.vfs(PF), host.driver(PF)], [VFS[:2], "igb"])

    def test_a_daemon_killed_on_its_way_finishes(self):
        for verb in ("autoprobe", "numvfs", "wait"):
            with self.subTest(verb=verb):
                host = self.host
                if not (host.root / "sys/bus/pci/devices" / PF).exists():
                    host.add_pf(PF, 1)
                host.declare_vfs(PF, ALL_VFIO)
                host.fault(verb, PF, "hang")
                host.start(settled=False)
                host.wait_request(f"{verb} {PF}")
                host.daemon.kill()
                host.daemon.wait()
                host.end_fault(verb, PF)
                host.start(settled=False)
                self.wait_all("ready", VFS[:3])
                host.wait("autoprobe stays off", lambda: host.autoprobe(PF) == "1")
                (host.root / "etc/vfiod/devices.d/10-test.conf").unlink()
                host.expect(0, "reload")
                host.wait("the VFs stay", lambda: host.vfs(PF) == [])
                host.wait_state(PF, "unmanaged")
                host.stop()
                (host.root / "requests").unlink()

    def test_settings_changed_by_others_are_set_again(self):
        """`ip link set PF vf 0 …` gives no event of udev, but a message about the interface."""
        host = self.host
        if subprocess.run(["unshare", "--net", "true"], check=False).returncode != 0:
            self.skipTest("no network namespaces")
        host.add_pf(PF, 1)
        (host.root / "sys/devices/pci0000:00" / PF / "net/lo").mkdir(parents=True)
        host.declare_vfs(PF, WITH_MACS)
        host.namespace = ["unshare", "--net"]
        host.start()
        self.wait_all("ready", VFS[:3])
        host.write(f"sys/bus/pci/devices/{VFS[1]}/settings", "0 0 0 0 0 0 0 0\n")
        subprocess.run(["nsenter", f"--net=/proc/{host.daemon.pid}/ns/net", sys.executable, "-c", TOUCH_LO],
                       check=True)
        host.wait("the MAC address is not set again", lambda: host.settings(VFS[1])[MAC] == BASE + 1)
        host.wait_state(VFS[1], "ready")
        self.assertEqual(json.loads(host.expect(0, "list", "--json=short"))[0]["num_vfs"], 3)

    def test_settings_are_asked_for_again_after_events_were_lost(self):
        """VFs may have gone and come: as many as before, without their settings."""
        host = self.host
        if subprocess.run(["unshare", "--net", "true"], check=False).returncode != 0:
            self.skipTest("no network namespaces")
        host.namespace = ["unshare", "--net"]
        self.start_declared(WITH_MACS)
        self.wait_all("ready", VFS[:3])
        host.write(f"sys/bus/pci/devices/{VFS[1]}/settings", "0 0 0 0 0 0 0 0\n")
        host.lose_events()
        host.wait("the MAC address is not set again", lambda: host.settings(VFS[1])[MAC] == BASE + 1)

    def test_a_number_that_fails_costs_the_vfs_only_once(self):
        """The job ends, and what was there before is there again, with its drivers."""
        host = self.host
        self.start_declared(ALL_VFIO)
        self.wait_all("ready", VFS[:3])
        host.write("faults/memory-for-vfs", "3")
        answer = host.ctl("sriov", PF, "5")
        self.assertEqual(answer.status, 1, answer)
        self.assertIn("sriov-no-resources", answer.text)
        self.wait_all("ready", VFS[:3])
        self.assertEqual([host.driver(vf) for vf in VFS[:3]], ["vfio-pci"] * 3)
        self.assertEqual([line.split()[2] for line in host.requests(f"numvfs {PF}")], ["3", "0", "5", "3"])

    def test_a_file_that_asks_for_too_much_memory_keeps_the_former_vfs(self):
        host = self.host
        self.start_declared(ALL_VFIO)
        self.wait_all("ready", VFS[:3])
        host.write("faults/memory-for-vfs", "3")
        host.declare_vfs(PF, ALL_VFIO.replace("=3", "=5"))
        host.ctl("reload")
        host.wait_state(PF, "blocked")
        for vf in VFS[:3]:
            host.wait_state(vf, "ready")
        self.assertIn("sriov-no-resources", host.expect(0, "explain", PF))

    def test_vfs_that_had_to_go_in_vain_get_the_hosts_driver_again(self):
        host = self.host
        state = host.root / "var/lib/vfiod/state"
        host.add_pf(PF, 1)
        host.start()
        host.expect(0, "sriov", PF, "2")
        host.write("faults/memory-for-vfs", "2")
        self.assertIn("sriov-no-resources", host.expect(1, "sriov", PF, "5"))
        for vf in VFS[:2]:
            host.wait_driver(vf, "igbvf")
        self.wait_all("ready", [])
        self.assertEqual(host.autoprobe(PF), "1")
        # The same where a file goes on asking for them, and somebody else had made the others.
        host.stop()
        state.unlink()
        (host.root / "run/vfiod/requests").unlink()
        host.declare_vfs(PF, "VirtualFunctions=5\n")
        before = len(host.requests())
        host.start()
        host.wait("the VFs do not come back", lambda: f"numvfs {PF} 2" in host.requests()[before:])
        for vf in VFS[:2]:
            host.wait_driver(vf, "igbvf")
        host.wait_state(PF, "blocked")
        self.assertIn("sriov-no-resources", host.expect(0, "explain", PF))
        self.assertEqual(host.autoprobe(PF), "1")
        self.assertEqual(len(host.requests(f"numvfs {PF} 5")), 2)
        (host.root / "etc/vfiod/devices.d/10-test.conf").unlink()
        host.expect(0, "reload")
        host.wait_state(PF, "unmanaged")
        self.assertEqual([host.vfs(PF), *map(host.driver, VFS[:2])], [VFS[:2], "igbvf", "igbvf"])

    def test_vfs_are_taken_back_that_came_after_their_release(self):
        """Where no driver takes VFs by itself, only the number of before says that they are to go."""
        host = self.host
        host.add_pf(PF, 1)
        host.write(f"sys/bus/pci/devices/{PF}/sriov_drivers_autoprobe", "0\n")
        host.start()
        host.fault("numvfs", PF, "hang")
        host.expect(0, "sriov", "--no-wait", PF, "2")
        host.wait_request(f"numvfs {PF} 2")
        release = host.spawn_ctl("release", PF)
        host.wait("it is not released", lambda: "release" in host.expect(0, "jobs"))
        host.expect(0, "reload")
        host.end_fault("numvfs", PF)
        self.assertEqual(host.finish_ctl(release).status, 0)
        self.assertEqual(host.vfs(PF), [])

    def test_a_number_that_was_not_written_is_tried_again(self):
        """The VFs could not be asked for at the last moment, so none of them went."""
        host = self.host
        self.start_declared("VirtualFunctions=3\n")
        self.wait_all("ready", [])
        host.fault("check", VFS[0], errno.ENODEV)
        host.declare_vfs(PF, "VirtualFunctions=2\n")
        host.ctl("reload")
        host.wait_request(f"check {VFS[0]}")
        host.wait("autoprobe stays off", lambda: host.requests(f"autoprobe {PF}")[-1] == f"autoprobe {PF} 1")
        host.end_fault("check", VFS[0])
        host.wait("it is not tried again", lambda: host.vfs(PF) == VFS[:2])
        self.wait_all("ready", [])
        self.assertEqual([line.split()[2] for line in host.requests(f"numvfs {PF}")], ["3", "0", "2"])

    def test_releasing_a_vf_leaves_the_file_of_its_pf(self):
        host = self.host
        host.add_pf(PF, 1)
        host.start()
        host.expect(0, "sriov", "--persist", PF, "3")
        answer = host.ctl("release", "--persist", f"{PF}/vf0")
        self.assertEqual(answer.status, 1, answer)
        self.assertIn(f"50-vfioctl-{PF}.conf", answer.text)
        self.assertEqual(host.vfs(PF), VFS[:3])


REMOVE_VFS = """
import os, shutil, sys
root = sys.argv[1]
for i in range(3):
    vf = f"0000:01:03.{i}"
    os.unlink(f"{root}/sys/devices/pci0000:00/0000:00:03.0/virtfn{i}")
    os.unlink(f"{root}/sys/bus/pci/devices/{vf}")
    os.unlink(f"{root}/sys/kernel/iommu_groups/{100 + i}/devices/{vf}")
    shutil.rmtree(f"{root}/sys/devices/pci0000:00/{vf}")
"""

if __name__ == "__main__":
    unittest.main()
