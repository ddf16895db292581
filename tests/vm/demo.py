# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job, live: what contrib/demo shows."""

import pathlib
import sys

import image
from vm import E1000, EDU, NVME, Guest, GuestError, QemuEnded

FILES = {
    "50-card.conf": f"[Match]\nAddress={EDU}\n\n[Device]\nDriver=vfio\n\n"
                    "[Access]\nOwner=alice\nGroup=kvm\nMode=0660\n",
    "60-nvme.conf": f"[Match]\nAddress={NVME}\nId=1b36:0010\n\n[Device]\nDriver=vfio\n",
}


def say(text):
    print(f"\n=== {text}", flush=True)


def show(guest, *commands):
    """Runs commands as an operator types them. Ends the demonstration at one that fails."""
    for command in commands:
        print(f"\nvm# {command}", flush=True)
        result = guest.run(command, seconds=120)
        print(result.out + result.err, end="", flush=True)
        if result.status != 0:
            raise GuestError(f"{command}: exit status {result.status}")


def demonstrate(guest):
    say("What the machine has")
    show(guest, "vfioctl doctor || true", "vfioctl list", "vfioctl groups")

    say("Two files: a card behind a PCIe-to-PCI bridge, for alice, and an NVMe disk")
    for name, text in FILES.items():
        guest.write(f"/etc/vfiod/devices.d/{name}", text)
        show(guest, f"cat /etc/vfiod/devices.d/{name}")
    show(guest, "vfioctl check", "vfioctl plan")

    say("Applied: the whole IOMMU group of the card moves")
    node = f"/dev/vfio/$(basename $(readlink /sys/bus/pci/devices/{EDU}/iommu_group))"
    read = f"qemu-io -r -f raw -c 'read -v 0 64' nvme://{NVME}/1"
    show(guest, "vfioctl reload", "vfioctl wait", "vfioctl groups", f"ls -l {node}")

    say("A program reads the disk through VFIO")
    show(guest, read)

    say("Reboot")
    guest.reboot()
    show(guest, "vfioctl list", f"ls -l {node}", read)

    say("A file is removed: every member goes back to where it was")
    show(guest, "rm /etc/vfiod/devices.d/50-card.conf", "vfioctl reload", "vfioctl wait",
         "vfioctl groups", f"vfioctl explain {E1000}")

    say("The disk is released by hand")
    show(guest, f"vfioctl release {NVME}", "vfioctl list", "journalctl -q -b -u vfiod -o cat | tail -n 25")


def run_once_or_twice(disk, log):
    try:
        with Guest(disk, log) as guest:
            demonstrate(guest)
    except QemuEnded as error:
        say(f"QEMU has failed ({error}): once more, from the beginning")
        with Guest(disk, log) as guest:
            demonstrate(guest)


def main():
    build_dir = pathlib.Path(sys.argv[1]).resolve()
    try:
        say("Booting a virtual machine")
        disk = image.guest_image("6.12", build_dir)
        run_once_or_twice(disk, build_dir / "vm" / "log" / "demo.log")
    except (GuestError, image.ImageError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    say("End of the demonstration; the virtual machine is gone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
