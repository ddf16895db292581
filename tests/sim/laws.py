# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must hold on a simulated host, whatever happened: the laws that sweeps and random tests check."""

import errno
import os
import pathlib
import re

from sim import SimTest

ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
KEPT = ("ids", "driver", "override", "group", "class", "autoprobe", "num_vfs", "vfs", "pf")
QUIET = ("ready", "unmanaged")
CONFIG = "[Daemon]\nRetryMaxSec=20ms\n"


def picture(dump):
    """What a host looks like: what must be as before once all is given back. VFs may be in other groups."""
    return {a: {k: d[k] for k in KEPT if k in d and not (k == "group" and d["pf"])} for a, d in dump["devices"].items()}


def differences(now, ends):
    """What a host has that differs from the nearest of what it may look like, in words; "" for nothing."""
    def one(end):
        return {a: {k: (v, (now.get(a) or {}).get(k)) for k, v in (end.get(a) or {"": "is not to be there"}).items()
                    if v != (now.get(a) or {}).get(k)} for a in {*end, *now} if end.get(a) != now.get(a)}
    found = min((one(end) for end in ends), key=len)
    return "".join(f"{a}: {words} (expected, found)\n" for a, words in sorted(found.items()))


def without_pins(shape):
    """The same, no matter whether what has a driver is also kept to it by its override: a kill between
    two writes may leave that, and it goes with the rest."""
    return {a: dict(d, override=None) if d["driver"] and d["override"] == d["driver"] else d for a, d in shape.items()}


def target(write):
    """The device that a write is about, or None."""
    found = ADDRESS.findall(write["path"])
    if "/drivers/" in write["path"] or write["path"].endswith("drivers_probe"):
        found = ADDRESS.findall(write["value"])
    return found[-1] if found else None


def is_vfio(driver):
    return bool(driver) and driver.endswith(("vfio-pci", "vfio_pci"))


class LawTest(SimTest):
    def check_writes(self, sim, allowed, writes=None):
        """Only these devices, and none that is a bridge or a part of the platform, were written to."""
        dump = sim.dump()["devices"]
        for write in sim.log() if writes is None else writes:
            address = target(write)
            if not write["path"]:  # the device was gone while it was written to
                self.assertEqual(write["result"], -errno.ENODEV)
                continue
            self.assertIn(address, allowed, f"{write}{sim.evidence()}")
            self.assertNotIn(dump.get(address, {"class": ""})["class"][:2], ("06", "08"), write)

    def check_never_on_host(self, sim, addresses):
        for address, driver in sim.bound():
            if address in addresses:
                self.assertTrue(is_vfio(driver), f"{address} was on {driver}{sim.evidence()}")

    def check_reasons(self, sim, others=()):
        """What is not as declared says why, and a group is on VFIO as a whole or somebody says why not.
        What nobody declares, of `others`, may be on VFIO by them."""
        rows = sim.list()
        for row in rows.values():
            self.assertTrue(row["state"] in QUIET or row["reason"], row)
        dump = sim.dump()
        for number, group in dump["groups"].items():
            members = {a: dump["devices"][a] for a in group["members"] if a in rows}
            if not any(is_vfio(d["driver"]) and not (a in others and rows[a]["state"] == "unmanaged")
                       for a, d in members.items()):
                continue
            foreign = [a for a, d in members.items() if d["driver"] and not is_vfio(d["driver"])
                       and not d["class"].startswith("0604")]
            self.assertTrue(not foreign or any(rows[a]["reason"] for a in members),
                            f"group {number} is half on VFIO: {foreign}{sim.evidence()}")

    def check_files(self, sim):
        """What the daemon keeps can be read: nothing was set aside."""
        self.assertNotIn("set aside", sim.errors())
        self.assertEqual([p.name for p in pathlib.Path("/var/lib/vfiod").glob("state?*")], [])

    def check_plan(self, sim):
        """Sooner or later nothing is to be done. What was given back is not at once on disk."""
        sim.wait_for(lambda: sim.vfioctl("plan", "--check").status == 0,
                     f"this is left to be done: {sim.vfioctl('plan').out}{sim.vfioctl('list').out}")

    def check_given_back(self, sim, before):
        """Without files and requests the host is as it was."""
        for path in pathlib.Path("/etc/vfiod/devices.d").iterdir():
            path.unlink()
        sim.expect(0, "reload", "--forget")
        self.wait_for_picture(sim, [before])

    def wait_for_picture(self, sim, ends, seen=lambda shape: shape):
        """Until the host looks like one of these."""
        try:
            sim.wait_for(lambda: seen(picture(sim.dump())) in ends)
        except AssertionError as error:
            raise AssertionError(f"{differences(seen(picture(sim.dump())), ends)}{sim.vfioctl('plan').out}{error}") from None

    def descriptors(self, sim):
        return len(os.listdir(f"/proc/{sim.daemon.pid}/fd"))
