# SPDX-License-Identifier: LGPL-2.1-or-later
"""Making VFs and moving them, against the floor and against sriov_numvfs with driverctl."""

import collections
import re

from host import CONFIG, DEVICES
from measure import VFIOCTL, timed
from vm import DRIVE, NIC

FILE = f"{CONFIG}/50-bench.conf"
NAMES = {DRIVE: "nvme", NIC: "igb"}


def vfs_of(host, pf):
    return host.sh(f"cd {DEVICES}/{pf}; for l in virtfn*; do [ -L $l ] && readlink $l; done | "
                   "sed 's,.*/,,'").out.split()


def on(addresses, driver):
    return {address: driver for address in addresses}


def remove_vfs(host, pf):
    host.sh(f"rm -f {FILE}; vfioctl reload; vfioctl wait; udevadm settle; "
            f"echo 0 > {DEVICES}/{pf}/sriov_numvfs", None, 120)
    host.until(lambda: not vfs_of(host, pf), "the VFs are gone", 60)


def declare_vfs(host, pf, count):
    host.write(FILE, f"[Match]\nAddress={pf}\n[SR-IOV]\nVirtualFunctions={count}\n"
                     "[VirtualFunction]\nDriver=vfio\n")


def create(host, pf, count, program):
    """Milliseconds from no VF to all of them on vfio-pci. As at boot, the driver of the NIC's VFs is
    loaded by udev when it sees one."""
    host.sh("modprobe -r igbvf")
    if program == "vfiod":
        declare_vfs(host, pf, count)
        command = f"{VFIOCTL} reload; {VFIOCTL} wait --timeout=120"
    elif program == "floor":
        command = f"floor create {pf} {count}"
    else:
        command = (f"echo {count} > {DEVICES}/{pf}/sriov_numvfs; udevadm settle; "
                   f"for l in {DEVICES}/{pf}/virtfn*; do v=$(readlink $l); "
                   "driverctl --nosave set-override ${v##*/} vfio-pci || exit; done")
    time = timed(host, command, {pf: NAMES[pf]})
    addresses = vfs_of(host, pf)
    host.same("VFs", len(addresses), count)
    host.drivers(on(addresses, "vfio-pci"), 1)
    remove_vfs(host, pf)
    return time


def bench_create(host, comparison, pf, count):
    host.sh("modprobe vfio-pci")
    name = f"create{count}-{NAMES[pf]}"
    comparison.alternate(lambda program: {name: create(host, pf, count, program)})
    other = create(host, pf, count, "driverctl")
    # driverctl leaves the device's id in vfio-pci, which then takes such VFs by itself.
    host.sh(f"read -r d < {DEVICES}/{pf}/sriov_vf_device; read -r v < {DEVICES}/{pf}/vendor; "
            'echo "${v#0x} $d" > /sys/bus/pci/drivers/vfio-pci/remove_id', None)
    comparison.line(name, driverctl=other)


def bench_looks(host, count):
    """How often the daemon opens the first attribute of a look at a device, while it makes VFs."""
    declare_vfs(host, DRIVE, count)
    host.sh("strace -qq -f -y -e trace=openat -p $(systemctl show -P MainPID vfiod) -o /run/looks & "
            "sleep 1; vfioctl reload; vfioctl wait --timeout=300; udevadm settle; sleep 1; "
            "kill %1; wait; true", seconds=600)
    looks = collections.Counter(re.findall(r'/(0000:[0-9a-f:]+\.[0-7])>, "modalias"',
                                           host.sh("cat /run/looks").out))
    seen = [looks[address] for address in vfs_of(host, DRIVE)]
    remove_vfs(host, DRIVE)
    print(f"bench looks{count} vfs={len(seen)} most={max(seen)} mean={sum(seen) / len(seen):.1f} "
          f"pf={looks[DRIVE]}", flush=True)


def move(host, addresses, program):
    """From nvme to vfio-pci, and back."""
    devices, names = (" ".join(addresses), f"'{DRIVE}/vf*'")
    command = f"floor {{}} {devices}" if program == "floor" else f"{VFIOCTL} {{}} {names}"
    return {f"to-vfio{len(addresses)}": timed(host, command.format("bind"), on(addresses, "vfio-pci")),
            f"to-nvme{len(addresses)}": timed(host, command.format("release"), on(addresses, "nvme"))}


def unbind(host, addresses, program):
    """From vfio-pci to no driver, which they had before."""
    devices, names = (" ".join(addresses), f"'{DRIVE}/vf*'")
    bind, back = ((f"floor bind {devices}", f"floor clear {devices}") if program == "floor" else
                  (f"{VFIOCTL} bind {names}", f"{VFIOCTL} release {names}"))
    timed(host, bind, on(addresses, "vfio-pci"))
    host.sh("sleep 1")  # an idle device is put to sleep, and is to be woken for that
    return {f"unbind{len(addresses)}": timed(host, back, on(addresses, ""))}


def bench_moves(host, comparison, count):
    """VFs that work, each with a controller of its own."""
    host.sh("modprobe vfio-pci")
    pf = f"{DEVICES}/{DRIVE}"
    host.sh(f"cd {pf}; set -e; nvme-online share /dev/nvme0; until [ -e /dev/nvme0n1 ]; do sleep 0.1; done; "
            f"echo 0 > sriov_drivers_autoprobe; echo {count} > sriov_numvfs; "
            f"nvme-online vfs /dev/nvme0 {count}; echo 1 > sriov_drivers_autoprobe", seconds=120)
    addresses = vfs_of(host, DRIVE)
    timed(host, "floor release " + " ".join(addresses), on(addresses, "nvme"))
    comparison.alternate(lambda program: move(host, addresses, program))
    comparison.line(f"to-vfio{count}")
    comparison.line(f"to-nvme{count}")
    timed(host, f"floor bind {' '.join(addresses)}; floor clear {' '.join(addresses)}", on(addresses, ""))
    comparison.alternate(lambda program: unbind(host, addresses, program))
    comparison.line(f"unbind{count}")
