# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the scenarios say of a guest: vfioctl, sysfs, nodes, journal, and expectations of them."""

import json
import time

CONFIG = "/etc/vfiod/devices.d"
DEVICES = "/sys/bus/pci/devices"


class Failure(Exception):
    """A scenario found something other than what the contract says."""


class Host:
    """The operator's view of one guest."""

    def __init__(self, guest):
        self.guest = guest
        self.initial = self.facts()
        self.cursor = ""
        self.mark_journal()

    # Commands

    def sh(self, script, status=0, seconds=60):
        """Runs a script and expects an exit status (None: any)."""
        result = self.guest.run(script, seconds)
        if status is not None and result.status != status:
            raise Failure(f"exit status {status} expected of\n{result}")
        return result

    def ctl(self, arguments, status=0, user=None, seconds=90):
        """Runs vfioctl, as root or another user, and expects an exit status."""
        prefix = f"runuser -u {user} -- " if user else ""
        return self.sh(f"{prefix}vfioctl {arguments} < /dev/null", status, seconds)

    def write(self, path, text, mode="0644"):
        self.guest.write(path, text, mode)

    def declare(self, name, match, device="Driver=vfio", access=""):
        """Writes a file of devices.d."""
        text = f"[Match]\n{match}\n\n[Device]\n{device}\n"
        self.write(f"{CONFIG}/{name}", text + (f"\n[Access]\n{access}\n" if access else ""))

    def retract(self, names="*"):
        self.sh(f"rm -rf {CONFIG}/{names}")

    # Looking

    def facts(self):
        """Address to (driver, override) of every function, read from sysfs."""
        lines = self.sh(f"cd {DEVICES} && for d in *; do read -r o < $d/driver_override; l=; "
                        "[ -e $d/driver ] && l=$(readlink $d/driver); "
                        "echo \"$d ${l##*/} $o\"; done").out.splitlines()
        words = [line.split(" ") for line in lines]
        return {w[0]: (w[1], " ".join(w[2:])) for w in words}

    def listed(self):
        """What `vfioctl list` says of each device, by address."""
        items = json.loads(self.ctl("list --json=short").out)
        return {item["address"]: item for item in items}

    def group(self, address):
        return self.sh(f"basename $(readlink {DEVICES}/{address}/iommu_group)").out.strip()

    def mark_journal(self):
        self.cursor = self.sh("echo mark | systemd-cat -t vm-mark; journalctl --sync; journalctl -q "
                              "-t vm-mark -n 1 --show-cursor | sed -n 's/^-- cursor: //p'").out.strip()

    def journal(self, options="-o cat", unit="vfiod"):
        """What a unit has logged since the mark."""
        # --after-cursor with a unit leaves out the unit's first entry in systemd 252.
        return self.sh("journalctl --sync; "
                       f"journalctl -q -u {unit} --cursor='{self.cursor}' {options}").out

    def kernel_log(self):
        """What the kernel has logged since the mark, and in this boot."""
        return self.sh(f"journalctl --sync; journalctl -q -k -o cat --cursor='{self.cursor}'").out

    # Expecting

    def until(self, condition, what, seconds=30):
        """Waits until a function returns something true, and returns that."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise Failure(f"not within {seconds} s: {what() if callable(what) else what}")
            time.sleep(0.1)

    def drivers(self, expected, seconds=30):
        """Waits until devices are on drivers: {address: driver}, "" for none. Their overrides too:
        set while on vfio-pci, clear otherwise."""
        def override(driver):
            return driver if driver == "vfio-pci" else "(null)"
        wanted = {a: (d, override(d)) for a, d in expected.items()}

        def seen():
            facts = self.facts()
            return {a: facts.get(a, ("absent", "")) for a in wanted}
        self.until(lambda: seen() == wanted, lambda: f"{wanted} expected, {seen()} seen", seconds)

    def state(self, address, state, reason=None, seconds=30):
        """Waits until vfioctl lists a device in a state, for a reason, and returns what it lists."""
        def matching():
            item = self.listed().get(address)
            return item if item and item["state"] == state and reason in (None, item["reason"]) else None
        return self.until(matching, lambda: f"{address} {state} {reason or ''}: "
                                            f"{self.listed().get(address)}", seconds)

    def same(self, what, found, expected):
        if found != expected:
            raise Failure(f"{what}: {expected!r} expected, {found!r} found")

    def contains(self, what, text, *parts):
        for part in parts:
            if part not in text:
                raise Failure(f"{what}: no {part!r} in\n{text}")

    def viable(self, address, user=None):
        prefix = f"runuser -u {user} -- " if user else ""
        out = self.sh(f"{prefix}vfio-open status {self.group(address)}").out.strip()
        self.same(f"group of {address}", out, "viable")

    def settle(self):
        """Applies the files, and waits until everything is as declared."""
        self.ctl("reload")
        self.ctl("wait --timeout=60")

    def reset(self):
        """Gives everything back; the host must be as it was after the boot."""
        self.retract()
        self.sh("systemctl is-active -q vfiod || systemctl restart vfiod")
        self.ctl("reload --forget")
        self.until(lambda: self.facts() == self.initial,
                   lambda: "the host as it was: " + str(
                       {a: f for a, f in self.facts().items() if self.initial.get(a) != f}), 60)
        self.mark_journal()

    # Uevents

    def watch_uevents(self):
        """Records the kernel's PCI events of now and later in /run/uevents."""
        self.sh("systemctl stop uevents 2>/dev/null; rm -f /run/uevents; systemd-run -q --unit=uevents "
                "--collect -p StandardOutput=append:/run/uevents stdbuf -oL "
                "udevadm monitor --kernel --property --subsystem-match=pci")
        self.until(lambda: "KERNEL" in self.sh("cat /run/uevents", None).out, "the uevent monitor")

    def uevents(self, address):
        """[(seconds, action, driver)] of a device."""
        return [event[1:] for event in self.all_uevents() if event[0] == address]

    def all_uevents(self):
        """[(address, seconds, action, driver)] of all devices, after a marker event showed that the
        record is complete."""
        marker = f"{DEVICES}/0000:00:00.0/uevent"
        before = self.sh("grep -c 00:00.0 /run/uevents", None).out
        self.sh(f"echo change > {marker}")
        self.until(lambda: self.sh("grep -c 00:00.0 /run/uevents", None).out != before, "the marker")
        events = []
        for block in self.sh("cat /run/uevents").out.split("\n\n"):
            fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            header = next((line for line in block.splitlines() if line.startswith("KERNEL[")), None)
            if header and "PCI_SLOT_NAME" in fields:
                seconds = float(header[len("KERNEL["):header.index("]")])
                events.append((fields["PCI_SLOT_NAME"], seconds, fields["ACTION"],
                               fields.get("DRIVER", "")))
        return events
