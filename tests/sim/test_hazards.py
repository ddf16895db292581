# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the host needs is refused by name, with its holder and a remedy; accepted by that name it goes."""

import concurrent.futures
import json
import subprocess
import unittest

from sim import SimTest

NVME, SATA, NIC, USB = "0000:05:00.0", "0000:00:1f.2", "0000:03:00.0", "0000:02:00.0"
GRAPHICS, CARD = "0000:00:02.0", "0000:01:00.0"
DISK = "/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda"
UUID = "0f5c8b5e-0000-4000-8000-000000000001"

# Lines of the host, mounts ("8:1 /srv"), what is swapped to, the device, the hazard and who it is.
DISKS = {
    "a partition": ((), ("8:1 /srv",), None, SATA, "mounted-filesystem", "/dev/sda1 is mounted at /srv"),
    "a disk": ((), ("8:0 /a\\040b",), None, SATA, "mounted-filesystem", "/dev/sda is mounted at /a b"),
    "LVM": ((), ("253:0 /srv",), None, NVME, "mounted-filesystem", "/dev/dm-0 (vg-root) on /dev/nvme0n1p2 is mounted at /srv"),
    "swap on LVM": ((), (), "/dev/dm-0", NVME, "swap", "/dev/dm-0 (vg-root) on /dev/nvme0n1p2 is used as swap"),
    "swap": ((), (), "/dev/sda1", SATA, "swap", "/dev/sda1 is used as swap"),
    "LVM without a file system": ((), (), None, NVME, "block-holder", "/dev/dm-0 holds /dev/nvme0n1p2"),
    "MD": (("block md0 dev=9:0 on=sda1",), ("9:0 /data",), None, SATA, "mounted-filesystem",
           "/dev/md0 on /dev/sda1 is mounted at /data"),
    "MD without a file system": (("block md0 dev=9:0 on=sda1",), (), None, SATA, "block-holder", "/dev/md0 holds /dev/sda1"),
    "dm on MD": (("block md0 dev=9:0 on=sda1", "block dm-1 dev=253:1 on=md0"), ("253:1 /data",), None, SATA,
                 "mounted-filesystem", "/dev/dm-1 on /dev/sda1 is mounted at /data"),
    "loop": (("block loop0 dev=7:0", "text /sys/devices/virtual/block/loop0/loop/backing_file /dev/sda1"), ("7:0 /image",),
             None, SATA, "mounted-filesystem", "/dev/loop0 on /dev/sda1 is mounted at /image"),
    "btrfs": ((f"mkdir /sys/fs/btrfs/{UUID}/devices", f"link /sys/fs/btrfs/{UUID}/devices/sda1 {DISK}/sda1"), (), None,
              SATA, "mounted-filesystem", "/dev/sda1 is a part of a mounted btrfs file system"),
}
FRAMEBUFFER = ("/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/graphics/fb0", "/sys/class/graphics/fb0")


def mountinfo(mounts):
    rows = [m.split() for m in mounts]
    return "".join(f"{30 + i} 1 {number} / {where} rw - ext4 /dev/x rw\n" for i, (number, where) in enumerate(rows))


class HazardTest(SimTest):
    def host(self, lines=(), mounts=(), swap=None):
        """The desktop with these block devices, mounts and swap."""
        sim = self.sim("desktop", lines=[line for line in lines if line.startswith("block")])
        for line in lines:
            if not line.startswith("block"):
                sim.control("host", line)
        sim.overlay("/proc/1/mountinfo", mountinfo(mounts))
        sim.overlay("/proc/swaps", "Filename Type Size Used Priority\n" + (f"{swap} partition 1 0 -2\n" if swap else ""))
        sim.start()
        return sim

    def check(self, sim, address, hazard, holder, owner=None, moved=None):
        """Refused with nothing written; accepted by another name refused; accepted by its own done."""
        before = {a: sim.driver(a) for a in sim.dump()["devices"]}
        for options in ((), ("--accept=vfs-in-use",)):
            said = sim.expect(3, "bind", *options, address)
            self.assertIn(f"{hazard}", said)
            self.assertIn(holder, said)
            self.assertIn(owner or address, said)
            self.assertRegex(said, rf"--accept=\S*{hazard}|accept.*{hazard}")
        self.assertEqual({a: sim.driver(a) for a in before}, before)
        self.assertEqual(sim.log(), [], "something was written")
        sim.expect(0, "bind", f"--accept={hazard}", address)
        self.assertEqual(sim.driver(moved or address), "vfio-pci")

    def test_disks(self):
        for name, (lines, mounts, swap, address, hazard, holder) in DISKS.items():
            with self.subTest(name):
                self.check(self.host(lines, mounts, swap), address, hazard, holder)
                self.doCleanups()

    def test_who_accepts_one_accepts_no_other(self):
        sim = self.host(mounts=("259:1 /boot",))
        said = sim.expect(3, "bind", "--accept=block-holder", NVME)
        self.assertIn("/dev/nvme0n1p1 is mounted at /boot", said)
        self.assertIn("/dev/dm-0 holds /dev/nvme0n1p2", sim.expect(3, "bind", "--accept=mounted-filesystem", NVME))
        self.assertEqual((sim.driver(NVME), sim.log()), ("nvme", []))
        sim.expect(0, "bind", "--accept=mounted-filesystem,block-holder", NVME)

    def test_who_of_all_devices(self):
        sim = self.host(mounts=("253:0 /srv",))
        users = json.loads(sim.expect(0, "who", "*", "--json=short"))
        self.assertIn((NVME, "mounted-filesystem"), [(u["address"], u["use"]) for u in users])

    def test_a_group_is_named_without_the_platform(self):
        """An ISA bridge and an SMBus controller are beside the disks; none of them ever moves."""
        sim = self.host()
        groups = json.loads(sim.expect(0, "groups", "--json=short"))
        group = next(g for g in groups if g["number"] == sim.group(SATA))
        self.assertEqual((group["members"], len(group["bridges"])), ([SATA], 2))
        sim.expect(0, "bind", f"group:{sim.group(SATA)}")
        self.assertEqual(sim.driver(SATA), "vfio-pci")
        call = ["busctl", "call", "org.vfiod1", "/org/vfiod1", "org.vfiod1.Manager", "Release", "asta{sv}", "1",
                f"group:{sim.group(SATA)}", "0", "0"]
        answer = subprocess.run(call, capture_output=True, text=True, check=True)
        self.assertEqual(answer.stdout.count('"Device"'), 1)

    def test_an_apply_names_what_would_allow_it(self):
        sim = self.host(mounts=("8:1 /srv",))
        sim.declare(f"Address={SATA}")
        sim.expect(0, "reload")
        self.assertEqual(sim.settled(), 8)
        said = sim.expect(3, "apply")
        self.assertIn("Accept=mounted-filesystem", said)
        self.assertNotIn("--accept", said, "apply has no such option")

    def test_only_the_last_path_to_a_namespace_counts(self):
        lines = ("block nvme0c1n1 at=0000:06:00.0 path=nvme/nvme1",)
        sim = self.host(lines, ("259:1 /boot", "253:0 /"))
        sim.control("host bridge 0000:00:1e.0 8086:8c1a bus=6 group=10")
        sim.control("hotplug device 0000:06:00.0 144d:a808 class=010802 group=13 reset=flr")
        sim.wait_for(lambda: "0000:06:00.0" in sim.list())
        sim.expect(0, "bind", NVME)
        self.assertIn("is mounted at", sim.expect(3, "bind", "0000:06:00.0"))

    def test_networks_of_each_member(self):
        """Whoever wants the USB controller would take the network card of its group along."""
        for words, hazard, holder in (
                (("addr", "add", "192.0.2.1/24"), "network-address", "enp3s0 has an address in 192.0.2.0/24"),
                (("route", "add", "default"), "network-route", "enp3s0 carries the default route")):
            with self.subTest(hazard):
                sim = self.host()
                self.addCleanup(subprocess.run, ["ip", "link", "del", "enp3s0"], check=False)
                subprocess.run(["ip", "link", "add", "enp3s0", "type", "veth"], check=True)
                subprocess.run(["ip", "link", "set", "enp3s0", "up"], check=True)
                subprocess.run(["ip", *words, "dev", "enp3s0"], check=True)
                self.check(sim, USB, hazard, holder, NIC)
                self.doCleanups()

    def test_a_port_of_a_bridge(self):
        sim = self.host(("mkdir /sys/devices/virtual/net/br0/bridge", "link /sys/class/net/br0 /sys/devices/virtual/net/br0",
                         "link /sys/devices/pci0000:00/0000:00:1c.1/0000:03:00.0/net/enp3s0/master /sys/devices/virtual/net/br0"))
        self.check(sim, USB, "network-address", "enp3s0 is a port of the bridge br0", NIC)

    def test_displays(self):
        self.check(self.host(), GRAPHICS, "boot-display", "")
        self.doCleanups()
        sim = self.host((f"text {FRAMEBUFFER[0]}/name amdgpudrmfb", f"link {FRAMEBUFFER[1]} {FRAMEBUFFER[0]}",
                         "text /sys/class/vtconsole/vtcon1/name (M) frame buffer device"))
        self.check(sim, CARD, "boot-display", "the console is on its framebuffer fb0 (amdgpudrmfb)")

    def test_an_open_node(self):
        sim = self.host()
        sim.expect(0, "bind", "--accept=block-holder", NVME)
        holder = sim.hold_node(sim.group(NVME))
        said = sim.expect(3, "release", NVME)
        self.assertIn("device-in-use", said)
        self.assertIn(str(holder.pid), said)
        self.assertEqual(sim.driver(NVME), "vfio-pci")
        sim.let_go()
        sim.expect(0, "release", NVME)
        self.assertEqual(sim.driver(NVME), "nvme")

    def test_a_mount_that_comes_between_plan_and_unbind(self):
        sim = self.host()
        sim.fault("hold", path=f"*/{SATA}/driver_override")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            bound = pool.submit(sim.vfioctl, "bind", SATA)
            sim.wait_held()
            sim.overlay("/proc/1/mountinfo", mountinfo(("8:1 /late",)))
            sim.release()
            answer = bound.result()
        self.assertEqual(answer.status, 3, answer.err + sim.evidence())
        self.assertIn("mounted-filesystem: /dev/sda1 is mounted at /late", answer.err)
        self.assertFalse([w for w in sim.log() if w["path"].endswith("/unbind")], "it was unbound")
        self.assertEqual((sim.driver(SATA), sim.override(SATA)), ("ahci", None))

    def test_a_group_that_has_grown(self):
        sim = self.host()
        sim.declare(f"Address={NIC}", "Driver=vfio\nGroup=whole")
        sim.expect(0, "reload")
        sim.wait_driver(NIC, "vfio-pci")
        sim.wait_driver(USB, "vfio-pci")
        sim.control("hotplug device 0000:04:00.0 10ec:8168 class=020000 group=7 net=enp4s0")
        sim.wait_for(lambda: "group-changed" in sim.expect(0, "explain", NIC), "no group-changed")
        self.assertEqual(sim.driver("0000:04:00.0"), "r8169")


if __name__ == "__main__":
    unittest.main()
