# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the host needs is not taken from it, unless somebody accepts that by name: on a real kernel."""

import re

from host import DEVICES, Failure
from scenarios import all_on, scenario
from vm import CARD, CARD_DISK, CARD_NIC, DISKS, DISPLAY, hazards_topology

HAZARDS = {"topology": hazards_topology}
MULTIPATH, DISK = DISKS
REMEDIES = {
    "mounted-filesystem": "unmount", "swap": "swapoff", "block-holder": "holder",
    "network-route": "route", "network-address": "address", "boot-display": "display",
}


def refused(host, address, hazards, words, accept=None, member=None):
    """A call and a file are refused by these hazards, the member named with words of the holder.
    Accepting another hazard, or all but one, does not help. Nothing is written."""
    before = host.facts()
    calls = [f"bind {address}", f"bind --accept=no-reset {address}"]
    calls += [f"bind --accept={','.join(h for h in hazards if h != left)} {address}"
              for left in hazards if len(hazards) > 1]
    for call in calls:
        text = host.ctl(call, status=3).err
        accepted = re.search(r"--accept=(\S+)", call)
        for hazard in hazards:
            if not accepted or hazard not in accepted[1].split(","):
                host.contains(call, text, f"refused: {hazard}: ", REMEDIES[hazard], member or address)
        if not accepted:
            host.contains(call, text, *words)
            host.same("hazards", set(re.findall(r"refused: ([a-z-]+): ", text)), set(hazards))
            for hazard in hazards:
                if not re.search(rf"--accept=\S*{hazard}", text):
                    raise Failure(f"no --accept={hazard} in\n{text}")
    host.declare("50-hazard.conf", f"Address={address}", f"Driver=vfio\n{accept or ''}")
    host.ctl("reload")
    item = host.state(address, "blocked")
    host.same("one of the hazards", item["reason"] in hazards, True)
    for verb in ("explain", "show"):
        host.contains(verb, host.ctl(f"{verb} {address}").out, item["reason"])
    host.contains("explain", host.ctl(f"explain {address}").out, *words)
    host.contains("journal", host.journal(), item["reason"])
    host.same("drivers and overrides", host.facts(), before)
    host.retract()
    host.ctl("reload")


def accepted(host, address, hazards, by_file=False):
    """The same, accepted by name, goes through."""
    if by_file:
        host.declare("50-hazard.conf", f"Address={address}", f"Driver=vfio\nAccept={','.join(hazards)}")
        host.settle()
    else:
        host.ctl(f"bind --accept={','.join(hazards)} {address}")
    host.drivers({address: "vfio-pci"})
    host.state(address, "ready")


def released(host, address, driver):
    host.retract()
    host.ctl("reload --forget")
    host.drivers({address: driver})


# Disks


def disk(host, address):
    """The name of the namespace of an NVMe controller, below which there is only a path to it."""
    def found():
        paths = host.sh(f"cd {DEVICES}/{address}/nvme/nvme*/ && ls -d nvme*n*", None).out.split()
        return re.sub(r"c\d+", "", paths[0]) if paths else None
    name = host.until(found, f"the namespace of {address}")
    host.until(lambda: host.sh(f"test -b /dev/{name}", None).status == 0, f"/dev/{name}")
    host.sh("udevadm settle")
    return name


def blank(host, *addresses):
    """Disks with nothing on them, and udev that puts nothing together by itself."""
    host.sh("mkdir -p /etc/udev/rules.d; cd /etc/udev/rules.d; for r in 64-md-raid-assembly 69-lvm "
            "64-btrfs; do ln -sf /dev/null $r.rules; done; udevadm control --reload")
    names = [disk(host, address) for address in addresses]
    for name in names:
        host.sh(f"wipefs -qaf /dev/{name}; udevadm settle")
    return names


def partitioned(host, address):
    """The only partition of a disk, in a table as PCs have had it since 1983: from 1 MiB, 64 MiB."""
    name = disk(host, address)
    host.sh("{ head -c 446 /dev/zero; printf '\\0\\0\\0\\0\\203\\0\\0\\0\\0\\010\\0\\0\\0\\0\\02\\0'; "
            f"head -c 48 /dev/zero; printf '\\125\\252'; }} > /dev/{name}; udevadm settle; "
            f"blockdev --rereadpt /dev/{name}; udevadm settle; test -b /dev/{name}p1")
    return f"/dev/{name}p1"


def fill(host, what, where="/mnt", mkfs="mkfs.ext4 -q -F"):
    """Mounts a new file system with a file."""
    host.sh(f"{mkfs} {what} && mkdir -p {where} && mount {what.split()[-1]} {where}")
    host.sh(f"head -c 1M /dev/urandom > {where}/file; sync; sha256sum {where}/file > /run/sum")


def intact(host):
    host.sh("sync; echo 3 > /proc/sys/vm/drop_caches; sha256sum -c --quiet /run/sum")


@scenario("hazards 1 a mounted file system, on a partition below an NVMe subsystem", "hazards", **HAZARDS)
def mounted(host):
    name, = blank(host, MULTIPATH)
    host.contains("the node of a multipath", host.sh(f"readlink /sys/class/block/{name}").out, "nvme-subsys")
    fill(host, partitioned(host, MULTIPATH))
    refused(host, MULTIPATH, ["mounted-filesystem"], [f"{name}p1", "/mnt"], "Accept=swap")
    intact(host)
    host.sh("echo more > /mnt/more; sync")
    accepted(host, MULTIPATH, ["mounted-filesystem"], by_file=True)
    host.sh("umount /mnt")
    released(host, MULTIPATH, "nvme")
    host.sh(f"mount /dev/{disk(host, MULTIPATH)}p1 /mnt")
    intact(host)
    host.sh("umount /mnt")


@scenario("hazards 1 a file system that only another mount namespace has", "hazards", **HAZARDS)
def mounted_elsewhere(host):
    name, = blank(host, DISK)
    fill(host, f"/dev/{name}")
    host.sh("umount /mnt; systemd-run -q --unit=private --collect -p PrivateMounts=yes -p Type=exec "
            f"sh -c 'mount /dev/{name} /mnt; echo mounted; exec sleep infinity'")
    host.until(lambda: "mounted" in host.journal(unit="private"), "the mount")
    host.sh("! mountpoint -q /mnt")
    refused(host, DISK, ["mounted-filesystem"], [name, "/mnt"])
    host.sh(f"systemctl stop private; mount /dev/{name} /mnt")
    intact(host)
    host.sh("umount /mnt")
    host.ctl(f"bind {DISK}")
    host.drivers({DISK: "vfio-pci"})


@scenario("hazards 1 swap", "hazards", **HAZARDS)
def swap(host):
    name, = blank(host, DISK)
    host.sh(f"mkswap -q /dev/{name} && swapon /dev/{name}")
    refused(host, DISK, ["swap"], [name])
    accepted(host, DISK, ["swap"])
    released(host, DISK, "nvme")
    # The kernel keeps the swap space that it has lost to the end. It is of no device any more.
    host.contains("swaps", host.sh("cat /proc/swaps").out, f"{name}\\040(deleted)")
    host.ctl(f"bind {DISK}")
    host.drivers({DISK: "vfio-pci"})


@scenario("hazards 1 LVM: a mounted volume, and one that is only active", "hazards", **HAZARDS)
def lvm(host):
    name, = blank(host, MULTIPATH)
    host.sh(f"pvcreate -qq /dev/{name} && vgcreate -qq vm /dev/{name} && "
            "lvcreate -qq -Wn -y -L 64M -n data vm; udevadm settle")
    fill(host, "/dev/vm/data")
    mapped = host.sh("basename $(readlink -f /dev/vm/data)").out.strip()
    refused(host, MULTIPATH, ["mounted-filesystem"], [mapped, "/mnt"])
    intact(host)
    host.sh("umount /mnt")
    refused(host, MULTIPATH, ["block-holder"], [name, mapped])
    host.sh("mount /dev/vm/data /mnt")
    intact(host)
    host.sh("umount /mnt")
    accepted(host, MULTIPATH, ["block-holder"])
    host.sh("dmsetup remove vm-data")
    released(host, MULTIPATH, "nvme")
    blank(host, MULTIPATH)


@scenario("hazards 1 a mirror of two disks", "hazards", **HAZARDS)
def mirror(host):
    names = blank(host, *DISKS)
    host.sh("yes | mdadm --create /dev/md/vm --run --level=1 --raid-devices=2 --assume-clean "
            f"--metadata=1.2 {' '.join(f'/dev/{n}' for n in names)}; udevadm settle; test -b /dev/md/vm")
    fill(host, "/dev/md/vm")
    array = host.sh("basename $(readlink -f /dev/md/vm)").out.strip()
    for address in DISKS:
        refused(host, address, ["mounted-filesystem"], [array, "/mnt"])
    intact(host)
    accepted(host, DISK, ["mounted-filesystem"])
    intact(host)
    host.sh("umount /mnt")
    refused(host, MULTIPATH, ["block-holder"], [names[0], array])
    host.sh("mdadm --stop /dev/md/vm")
    released(host, DISK, "nvme")
    blank(host, *DISKS)


@scenario("hazards 1 btrfs over two disks", "hazards", **HAZARDS)
def btrfs(host):
    names = blank(host, *DISKS)
    devices = " ".join(f"/dev/{name}" for name in names)
    fill(host, devices, mkfs="mkfs.btrfs -q -f -m raid1 -d raid1")
    refused(host, MULTIPATH, ["mounted-filesystem"], [names[0], "/mnt"])
    refused(host, DISK, ["mounted-filesystem"], [names[1], "btrfs"])
    intact(host)
    accepted(host, MULTIPATH, ["mounted-filesystem"])
    intact(host)
    host.sh("umount /mnt")
    released(host, MULTIPATH, "nvme")
    blank(host, *DISKS)


@scenario("hazards 1 a loop device on a disk, and one on a file of it", "hazards", **HAZARDS)
def loop(host):
    name, = blank(host, DISK)
    node = host.sh(f"losetup -f --show /dev/{name}").out.strip()
    refused(host, DISK, ["block-holder"], [node.split("/")[-1], name])
    host.sh(f"losetup -d {node}")
    fill(host, f"/dev/{name}", "/srv")
    host.sh("truncate -s 32M /srv/image; mkfs.ext4 -q -F /srv/image; mkdir -p /mnt; "
            "mount -o loop /srv/image /mnt; cp /srv/file /mnt; sync; sha256sum /mnt/file > /run/sum; "
            "umount -l /srv")
    # No table tells any more that the file system below is in use. The disk does.
    refused(host, DISK, ["block-holder"], [name, "exclusively"])
    intact(host)
    host.sh("umount /mnt")
    host.until(lambda: not host.sh("losetup -a").out, "the loop device is gone")


@scenario("hazards 1 a program that holds a disk for itself", "hazards", **HAZARDS)
def exclusive(host):
    name, = blank(host, DISK)
    host.sh(f"systemd-run -q --unit=hold --collect vfio-open exclusive /dev/{name}")
    host.until(lambda: "open" in host.journal(unit="hold"), "the disk is open")
    pid = host.sh("systemctl show -P MainPID hold").out.strip()
    refused(host, DISK, ["block-holder"], [name, "vfio-open", pid])
    accepted(host, DISK, ["block-holder"])
    host.sh("systemctl stop hold")
    released(host, DISK, "nvme")


@scenario("hazards 1 a disk behind the bridge of the wanted card", "hazards", **HAZARDS)
def disk_in_group(host):
    name = host.sh(f"basename {DEVICES}/{CARD_DISK}/virtio*/block/*").out.strip()
    fill(host, f"/dev/{name}")
    refused(host, CARD, ["mounted-filesystem"], [name, "/mnt"], member=CARD_DISK)
    intact(host)
    host.ctl(f"bind --accept=mounted-filesystem {CARD}")
    host.drivers(all_on((CARD, CARD_DISK)))
    host.sh("umount /mnt")
    released(host, CARD, "e1000")
    host.drivers({CARD: "e1000", CARD_DISK: "virtio-pci"})


# Networks


def interface(host):
    found = host.sh(f"ls {DEVICES}/{CARD_NIC}/net").out.strip()
    host.sh(f"ip link set {found} up")
    return found


@scenario("hazards 2 the interface of the default route, and one with an address only", "hazards", **HAZARDS)
def routes(host):
    name = interface(host)
    host.sh(f"ip address add 192.0.2.2/24 dev {name}")
    refused(host, CARD_NIC, ["network-address"], [name, "192.0.2."])
    host.sh("ip route add default via 192.0.2.1")
    refused(host, CARD_NIC, ["network-route", "network-address"], [name, "default"])
    host.sh("ip route show default | grep 192.0.2.1")
    accepted(host, CARD_NIC, ["network-route", "network-address"])
    released(host, CARD_NIC, "e1000e")
    host.ctl(f"bind {CARD_NIC}")


@scenario("hazards 2 a member of a bridge and of a bond", "hazards", **HAZARDS)
def members(host):
    for kind, options in (("bridge", ""), ("bond", "mode active-backup")):
        name = interface(host)
        host.sh(f"ip link add upper0 type {kind} {options}; ip link set {name} down; "
                f"ip link set {name} master upper0; ip link set {name} up; ip link set upper0 up; "
                "ip address add 192.0.2.2/24 dev upper0")
        refused(host, CARD_NIC, ["network-address"], [name, "upper0"])
        host.sh("ip route add default via 192.0.2.1")
        refused(host, CARD_NIC, ["network-route", "network-address"], [name, "upper0"])
        accepted(host, CARD_NIC, ["network-route", "network-address"])
        host.sh("ip link delete upper0")
        released(host, CARD_NIC, "e1000e")


@scenario("hazards 2 an interface in another network namespace", "hazards", **HAZARDS)
def namespace(host):
    name = interface(host)
    host.sh(f"ip netns add other; ip link set {name} netns other")
    refused(host, CARD_NIC, ["network-address"], ["namespace"])
    accepted(host, CARD_NIC, ["network-address"])
    host.sh("ip netns delete other")
    released(host, CARD_NIC, "e1000e")


# The display


@scenario("hazards 3 the display that the machine has booted with", "hazards", **HAZARDS)
def display(host):
    host.same("boot_vga", host.sh(f"cat {DEVICES}/{DISPLAY}/boot_vga").out.strip(), "1")
    driver = host.facts()[DISPLAY][0]
    refused(host, DISPLAY, ["boot-display"], [])
    accepted(host, DISPLAY, ["boot-display"])
    released(host, DISPLAY, driver)
