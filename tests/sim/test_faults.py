# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every write of every operation fails with each errno that the kernel gives; devices vanish, other
cards come back, events are lost, writes and reads do not return, and others interfere.

SIM_FULL=1 takes every errno at every write, and not one of them."""

import os
import signal
import time
import unittest

from laws import CONFIG, LawTest, QUIET, is_vfio, picture, without_pins
from sim import PROGRAMS
from test_kill import OPERATIONS, QEMU_GROUP

ERRNOS = ("EBUSY", "ENODEV", "EINVAL", "EAGAIN", "ENOENT", "EPERM", "ENOMEM", "EIO", "ERANGE", "EOPNOTSUPP")
FULL = bool(os.environ.get("SIM_FULL"))
LIST_SEC = 0.1 * (20 if "build-dev" in PROGRAMS["VFIOD"] else 1)  # sanitizers
SHORT_TIMEOUT = "[Daemon]\nWriteTimeoutSec=1s\nRetryMaxSec=50ms\n"
NVME, IGB = "0000:04:00.0", "0000:08:00.0"
CARD = "hotplug device 0000:04:00.0 1b36:0010 class=010802 sub=1af4:1100 group=14"
OTHER_CARD = "hotplug device 0000:04:00.0 8086:10d3 sub=8086:0000 group=14 net=eth9"


class ErrnoTest(LawTest):
    """The same daemon goes through all of it: what it forgets to give back, the next round finds."""

    def begin(self, sim, operation):
        if sim.daemon:
            sim.stop()
        sim.reset()
        sim.write_config("./vfiod.conf", "[Daemon]\nRetryMaxSec=1h\n")
        before = picture(sim.dump())
        operation.prepare(sim)
        sim.control("clear-log")
        return before

    def reasons(self, sim):
        return "".join(sim.vfioctl("explain", a).out for a, row in sim.list().items() if row["state"] not in QUIET)

    def check_reported(self, sim, answer, error):
        """What is not as it is to be says which errno it was."""
        failed = answer is not None and answer.status != 0
        text = self.reasons(sim)
        if failed or text:
            said = text + (answer.out + answer.err if answer else "")
            self.assertRegex(said, rf"\({error}\)|went away|cannot be read", sim.evidence())

    def fail_at(self, sim, operation, number, error, times):
        before = self.begin(sim, operation)
        started = picture(sim.dump())
        sim.fault(f"errno={error}", nth=number, times=times)
        answer = operation.act(sim)
        sim.settled()
        self.check_reported(sim, answer, error)
        self.check_reasons(sim)
        sim.control("clear")
        sim.expect(0, "apply")
        self.check_plan(sim)
        return before, started

    def sweep(self, name):
        operation, begun, points = OPERATIONS[name], time.monotonic(), 0
        sim = self.sim(operation.host)
        self.begin(sim, operation)
        operation.act(sim)
        sim.settled()
        done, n = picture(sim.dump()), sim.count()
        for number in range(1, n + 1):
            for i, error in enumerate(ERRNOS):
                for times in (1, 1000):
                    if not FULL and ((i + number) % len(ERRNOS) != times % 7 or (error, times) == ("EAGAIN", 1000)):
                        continue  # the worker tries a bind again for seconds where the kernel says so
                    with self.subTest(write=number, error=error, times=times):
                        before, started = self.fail_at(sim, operation, number, error, times)
                        ends = [done, started] if operation.request else [done]
                        self.wait_for_picture(sim, [without_pins(end) for end in ends], without_pins)
                        self.check_never_on_host(sim, operation.never)
                        self.check_files(sim)
                        self.check_given_back(sim, before)
                        self.check_writes(sim, operation.devices)
                    points += 1
        print(f"{name}: {points} faults at {n} writes, {time.monotonic() - begun:.1f} s", flush=True)


def add_test(name):
    setattr(ErrnoTest, f"test_{name.lower().replace(' ', '_')}", lambda self: self.sweep(name))


for operation_name in OPERATIONS:
    if operation_name not in ("bind fails", "startup"):
        add_test(operation_name)


class VanishTest(LawTest):
    """A device goes between the look and the write, and another one comes."""

    def test_a_member_vanishes_at_each_write(self):
        sim = self.sim("qemu")
        for number in range(1, 8):
            with self.subTest(write=number):
                sim.reset()
                sim.write_config("./vfiod.conf", CONFIG)
                sim.start()
                sim.fault(f"run unplug {QEMU_GROUP[2]}", nth=number)
                sim.vfioctl("bind", "02:02.0")
                sim.wait_for(lambda: QEMU_GROUP[2] not in sim.dump()["devices"])
                sim.settled()
                self.check_reasons(sim)
                left = {a: d["driver"] for a, d in picture(sim.dump()).items() if a in QEMU_GROUP}
                self.assertIn(left, ({QEMU_GROUP[0]: "e1000", QEMU_GROUP[1]: None},
                                     dict.fromkeys(QEMU_GROUP[:2], "vfio-pci")), sim.evidence())
                sim.expect(0, "reload", "--forget")
                sim.wait_driver(QEMU_GROUP[0], "e1000")
                self.check_writes(sim, QEMU_GROUP)

    def replace_at(self, number, guard):
        sim = self.sim("qemu")
        sim.write_config("./vfiod.conf", CONFIG)
        sim.declare(f"Address={NVME}{guard}")
        sim.fault(f"run unplug {NVME}", nth=number)
        sim.fault(f"run {OTHER_CARD}", nth=number)
        sim.start(settled=False)
        sim.wait_for(lambda: sim.dump()["devices"].get(NVME, {}).get("ids") == "8086:10d3")
        sim.settled()
        return sim

    def test_another_card_does_not_get_the_policy_of_the_first(self):
        for number in (1, 2, 3):
            with self.subTest(write=number):
                sim = self.replace_at(number, "\nId=1b36:0010")
                sim.wait_state(NVME, "blocked")
                self.assertIn("id-mismatch", sim.list()[NVME]["reason"])
                sim.wait_driver(NVME, "e1000e")
                self.assertIsNone(sim.override(NVME), sim.evidence())
                os.unlink("/etc/vfiod/devices.d/10-test.conf")
                n = sim.count()
                sim.expect(0, "reload")
                sim.settled()
                self.assertEqual(sim.count(), n, "the other card was given back what it never had" + sim.evidence())
                self.doCleanups()

    def test_another_card_is_taken_where_only_the_address_counts(self):
        sim = self.replace_at(2, "")
        sim.wait_driver(NVME, "vfio-pci")
        os.unlink("/etc/vfiod/devices.d/10-test.conf")
        sim.expect(0, "reload")
        sim.wait_driver(NVME, "e1000e")
        self.assertIsNone(sim.override(NVME))

    def test_a_card_that_returns_is_bound_again(self):
        sim = self.sim("qemu")
        sim.declare(f"Address={NVME}\nId=1b36:0010")
        sim.start()
        for _ in range(3):
            sim.control("unplug", NVME)
            sim.wait_state(NVME, "absent")
            sim.control(CARD)
            sim.wait_driver(NVME, "vfio-pci")
        os.unlink("/etc/vfiod/devices.d/10-test.conf")
        sim.expect(0, "reload")
        sim.wait_driver(NVME, "nvme")


class EventsTest(LawTest):
    def converges(self, sim):
        """Making and removing VFs, which causes most events."""
        vfs = [f"0000:08:{0x10 + i // 4:02x}.{i % 4 * 2}" for i in range(7)]
        before = picture(sim.dump())
        sim.declare_vfs(IGB, "VirtualFunctions=7\n\n[VirtualFunction]\nDriver=vfio")
        sim.expect(0, "reload")
        sim.wait_for(lambda: [sim.dump()["devices"].get(vf, {}).get("driver") for vf in vfs] == ["vfio-pci"] * 7)
        self.assertEqual(sim.settled(), 0)
        self.check_given_back(sim, before)
        self.check_writes(sim, [IGB, *vfs])

    def test_all_are_lost(self):
        sim = self.sim("qemu")
        sim.start()
        sim.events("lose", 1 << 30)
        self.converges(sim)
        sim.control("unplug", NVME)
        sim.declare(f"Address={NVME}")
        sim.expect(0, "reload")
        sim.wait_state(NVME, "absent")
        sim.control(CARD)
        sim.expect(0, "reload")
        sim.wait_driver(NVME, "vfio-pci")

    def test_doubled(self):
        sim = self.sim("qemu")
        sim.start()
        sim.events("double", 1 << 30)
        self.converges(sim)

    def test_reversed(self):
        sim = self.sim("qemu")
        sim.start()
        for n in (2, 3, 5, 8):
            sim.events("reverse", n)
            self.converges(sim)
            sim.events("normal")

    def test_more_than_its_socket_takes(self):
        sim = self.sim("qemu")
        sim.declare(f"Address={NVME}")
        sim.start()
        sim.daemon.send_signal(signal.SIGSTOP)
        sim.control("unplug", NVME)
        sim.events("flood", 400000)
        sim.control(CARD)
        sim.daemon.send_signal(signal.SIGCONT)
        sim.wait_driver(NVME, "vfio-pci")
        self.assertIn("Events from udev were lost", sim.errors())

    def test_udev_is_quiet_for_a_while(self):
        """As while systemd-udevd is restarted: events come later, all at once."""
        sim = self.sim("qemu")
        sim.start()
        sim.events("hold")
        self.converges(sim)
        sim.declare(f"Address={NVME}")
        sim.expect(0, "reload")
        sim.wait_driver(NVME, "vfio-pci")
        sim.control("unplug", NVME)
        sim.control(CARD)
        sim.events("normal")
        sim.wait_driver(NVME, "vfio-pci")


class HangTest(LawTest):
    def answers(self, sim):
        """The best of some tries: the machine may be busy, the daemon may not."""
        times = []
        for _ in range(10):
            begun = time.monotonic()
            sim.expect(0, "list")
            times.append(time.monotonic() - begun)
        self.assertLess(min(times), LIST_SEC)

    def hold(self, kernel, **rule):
        sim = self.sim("qemu", kernel=kernel)
        sim.write_config("./vfiod.conf", SHORT_TIMEOUT)
        sim.start()
        sim.fault("hold", **rule)
        self.assertEqual(sim.vfioctl("bind", NVME).status, 7)
        self.assertEqual(sim.state(NVME), "stuck")
        return sim

    def test_each_write_that_does_not_return(self):
        for kernel in ("6.12", "6.1"):
            for number in (1, 2, 3):
                with self.subTest(kernel=kernel, write=number):
                    sim = self.hold(kernel, nth=number)
                    self.answers(sim)
                    sim.expect(0, "bind", "02:02.0")
                    self.assertEqual([sim.driver(a) for a in QEMU_GROUP], ["vfio-pci"] * 3)
                    self.answers(sim)
                    n = len([w for w in sim.log() if NVME in (w["value"], w["path"].split("/")[-2])])
                    self.assertEqual(n, number, "something else was written to it" + sim.evidence())
                    sim.release()
                    sim.wait_for(lambda: sim.state(NVME) != "stuck")
                    sim.expect(0, "reload", "--forget")
                    sim.wait_driver(NVME, "nvme")
                    sim.wait_for(lambda: sim.override(NVME) is None)
                    self.doCleanups()

    def test_a_vfio_node_that_is_open(self):
        """Unbinding waits for it; before 6.12 reading driver_override and uevent does so, too."""
        for kernel in ("6.12", "6.1", "5.10"):
            with self.subTest(kernel=kernel):
                sim = self.sim("qemu", kernel=kernel)
                sim.write_config("./vfiod.conf", SHORT_TIMEOUT)
                sim.start()
                sim.expect(0, "bind", NVME)
                sim.hold_node(sim.group(NVME))
                self.assertEqual(sim.vfioctl("release", NVME).status, 3)
                self.assertEqual(sim.vfioctl("release", "--accept=device-in-use", NVME).status, 7)
                self.assertEqual(sim.state(NVME), "stuck")
                self.answers(sim)
                sim.expect(0, "bind", "02:02.0")
                sim.expect(0, "reload")
                self.answers(sim)
                sim.let_go()
                sim.wait_driver(NVME, "nvme")
                self.assertEqual(len([w for w in sim.log() if w["path"].endswith("unbind") and w["value"] == NVME]), 2)
                self.doCleanups()


class FilesTest(LawTest):
    def test_a_file_that_names_something_else_gives_the_whole_group_back(self):
        sim = self.sim("qemu")
        before = picture(sim.dump())
        sim.declare(f"Address={QEMU_GROUP[1]}")
        sim.start()
        self.assertEqual([sim.driver(a) for a in QEMU_GROUP], ["vfio-pci"] * 3)
        sim.declare("Address=0000:7f:00.0")
        sim.expect(0, "reload")
        self.wait_for_picture(sim, [before])


class OthersTest(LawTest):
    def test_who_takes_it_back_again_and_again_is_left_alone(self):
        sim = self.sim("x722")
        address = "0000:1a:00.2"
        sim.declare(f"Address={address}")
        sim.start()

        def take_back():
            if is_vfio(sim.driver(address)):
                sim.write(f"bus/pci/devices/{address}/driver_override", "\n")
                sim.write("bus/pci/drivers/vfio-pci/unbind", address)
                sim.write("bus/pci/drivers/i40e/bind", address)
            return sim.state(address) == "contended"
        sim.wait_for(take_back)
        n = sim.count()
        self.assertEqual(sim.settled(), 8)
        self.assertEqual(sim.count(), n)
        sim.expect(0, "apply")
        sim.wait_driver(address, "vfio-pci")


if __name__ == "__main__":
    unittest.main()
