# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ten thousand functions, and 2,048 VFs that appear: what they cost the daemon. Prints `scale NAME
key=value …` lines. Counts, CPU and memory are asserted; times by the clock are only told."""

import concurrent.futures
import os
import pathlib
import statistics
import sys
import time
import unittest

from sim import TOP, SimTest

sys.path.insert(0, str(TOP / "tests/daemon"))
import raw_bus  # noqa: E402

N_PFS, N_VFS, N_EVENTS = 32, 64, 20
BUS_SOCKET = "/run/dbus/system_bus_socket"
QUIET_SEC, DEADLINE_SEC = 0.3, 300
OVERHEAD_KIB, DEVICE_KIB = 2048, 3
START_USER_SEC, EVENT_CPU_MSEC, OBJECTS_MSEC = 1.0, 5.0, 200.0
SLACK = float(os.environ.get("SCALE_SLACK", 2))  # CPU time grows where others share the caches
LOOKS_MEAN, LOOKS_MAX = 16, N_VFS


def say(name, **values):
    words = (f"{key}={value:.3f}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items())
    print(f"scale {name} {' '.join(words)}", flush=True)


class ScaleTest(SimTest):
    def start(self):
        sim = self.sim("big", deadline=DEADLINE_SEC)
        started = time.monotonic()
        sim.start()
        self.quiet(sim)
        self.wall = time.monotonic() - started - QUIET_SEC
        return sim

    def cpu(self, sim):
        """Nanoseconds of the daemon."""
        tasks = pathlib.Path(f"/proc/{sim.daemon.pid}/task").glob("*/schedstat")
        return sum(int(path.read_text().split()[0]) for path in tasks)

    def quiet(self, sim):
        """Until the daemon does nothing for a while."""
        last = [self.cpu(sim), time.monotonic()]

        def is_quiet():
            now = self.cpu(sim)
            if now != last[0]:
                last[:] = now, time.monotonic()
            return time.monotonic() - last[1] > QUIET_SEC
        sim.wait_for(is_quiet, "the daemon does not come to rest")

    def times(self, sim):
        """Seconds in the daemon's own code and in the kernel for it."""
        words = pathlib.Path(f"/proc/{sim.daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(words[11]) / 100, int(words[12]) / 100

    def check_memory(self, sim, functions):
        """What work took goes back to the kernel soon after it."""
        limit = OVERHEAD_KIB + DEVICE_KIB * functions

        def own():
            lines = pathlib.Path(f"/proc/{sim.daemon.pid}/smaps_rollup").read_text().splitlines()
            return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
        sim.wait_for(lambda: own() < limit, f"USS stays over {limit} KiB", deadline=5)
        say("memory", functions=functions, uss_kib=own(), limit_kib=limit)

    def check_looks(self, sim, name):
        looks = [d["looks"] for d in sim.dump()["devices"].values()]
        say("looks", what=name, devices=len(looks), mean=statistics.mean(looks), max=max(looks))
        self.assertLessEqual(statistics.mean(looks), LOOKS_MEAN)
        self.assertLessEqual(max(looks), LOOKS_MAX)

    def test_start(self):
        sim = self.start()
        user, system = self.times(sim)
        say("start", functions=10000, user_sec=user, system_sec=system, wall_sec=self.wall)
        self.assertLess(user, START_USER_SEC * SLACK)
        self.check_looks(sim, "start")
        self.check_memory(sim, 10000)

    def test_all_objects(self):
        sim = self.start()
        took = []
        for _ in range(5):
            client = raw_bus.Client(BUS_SOCKET, deadline=DEADLINE_SEC)
            before, started = self.cpu(sim), time.monotonic()
            error, length = client.wait(client.send_expensive())
            client.close()
            if not error:  # one who asks too often is refused
                took.append((self.cpu(sim) - before, time.monotonic() - started, length))
        cpu, wall = min(t[0] for t in took) / 1e6, min(t[1] for t in took) * 1e3
        say("objects", functions=10000, kib=took[0][2] // 1024, cpu_msec=cpu, wall_msec=wall)
        self.assertGreater(took[0][2], 10000 * 100)
        self.assertLess(cpu, OBJECTS_MSEC * SLACK)
        self.check_memory(sim, 10000)

    def test_an_event(self):
        """A function comes and nothing is declared of it, its driver changes, and it goes."""
        sim = self.start()
        for name, words in (("comes", "hotplug device {} 8086:1533 class=0c0300"), ("goes", "unplug {}")):
            costs, sent = [], int(sim.events("sent"))
            for i in range(N_EVENTS):
                before = self.cpu(sim)
                sim.control(words.format(f"00f0:00:{i:02x}.0"))
                self.quiet(sim)
                costs.append((self.cpu(sim) - before) / 1e6)
            sent = int(sim.events("sent")) - sent
            per_event = sum(costs) / sent
            say("event", what=name, events=sent, cpu_msec=per_event, max_msec=max(costs) * len(costs) / sent)
            self.assertLess(per_event, EVENT_CPU_MSEC * SLACK)

    def test_an_event_to_its_result(self):
        """A declared function comes and gets its driver."""
        sim = self.sim("big", deadline=DEADLINE_SEC)
        sim.declare("Id=8086:1533")
        sim.start()
        self.quiet(sim)
        costs, walls, sent = [], [], int(sim.events("sent"))
        for i in range(N_EVENTS):
            address = f"00f0:00:{i:02x}.0"
            before, started = self.cpu(sim), time.monotonic()
            sim.control(f"hotplug device {address} 8086:1533 class=0c0300")
            sim.wait_driver(address, "vfio-pci")
            walls.append((time.monotonic() - started) * 1e3)
            self.quiet(sim)
            costs.append((self.cpu(sim) - before) / 1e6)
        sent = int(sim.events("sent")) - sent
        per_event = sum(costs) / sent
        say("declared", events=sent, cpu_msec=per_event, cpu_each_msec=statistics.mean(costs),
            wall_median_msec=statistics.median(walls), wall_max_msec=max(walls))
        self.assertLess(per_event, EVENT_CPU_MSEC * SLACK)

    def pfs(self, sim):
        found = sorted(a for a in sim.dump()["devices"] if sim.path(a, "sriov_numvfs").exists())
        self.assertEqual(len(found), N_PFS)
        return found

    def test_a_storm_that_others_make(self):
        sim = self.start()
        pfs = self.pfs(sim)
        sim.control("clear-looks")
        before, started = self.times(sim), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda pf: sim.write(f"bus/pci/devices/{pf}/sriov_numvfs", str(N_VFS)), pfs))
        self.quiet(sim)
        wall, after = time.monotonic() - started - QUIET_SEC, self.times(sim)
        say("storm", vfs=N_PFS * N_VFS, user_sec=after[0] - before[0], system_sec=after[1] - before[1], wall_sec=wall)
        self.check_looks(sim, "storm")
        rows = sim.list()
        for pf in pfs:
            vfs = sim.vfs(pf)
            self.assertEqual(len(vfs), N_VFS)
            for vf in vfs:
                self.assertEqual((rows[vf]["driver"], rows[vf]["state"]), ("igbvf", "unmanaged"), sim.evidence())
        self.check_memory(sim, len(rows))

    def test_a_storm_that_is_declared(self):
        sim = self.start()
        pfs = self.pfs(sim)
        sim.write_config("10-vfs.conf", f"[Match]\nId=8086:1520\n\n[SR-IOV]\nVirtualFunctions={N_VFS}\n\n"
                                        "[VirtualFunction]\nDriver=vfio\n")
        sim.control("clear-looks")
        before, started = self.times(sim), time.monotonic()
        sim.expect(0, "reload")
        self.assertEqual(sim.settled(), 0, sim.evidence())
        self.quiet(sim)
        wall, after = time.monotonic() - started - QUIET_SEC, self.times(sim)
        say("declared-storm", vfs=N_PFS * N_VFS, user_sec=after[0] - before[0], system_sec=after[1] - before[1],
            wall_sec=wall)
        self.check_looks(sim, "declared-storm")
        for pf in pfs:
            vfs = sim.vfs(pf)
            self.assertEqual(len(vfs), N_VFS, sim.evidence())
            self.assertEqual({sim.driver(vf) for vf in vfs}, {"vfio-pci"}, sim.evidence())
        self.check_memory(sim, len(sim.list()))


if __name__ == "__main__":
    unittest.main()
