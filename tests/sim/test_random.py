# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random operations, faults and interference; every few steps the host may settle, and the laws are
checked. SEED= runs it the same again, STEPS= (75 for each host) says how long, HOSTS= on which. The seed
also chooses the kernel of each host, among those of SIM_KERNELS="6.12 6.1 5.10"."""

import json
import os
import pathlib
import random
import subprocess
import time
import unittest

from laws import LawTest, differences, picture
from sim import HERE, KERNELS, SimError

HOSTS = os.environ.get("HOSTS", "desktop x722 xilinx qemu").split()
ALLOWED = os.environ.get("SIM_KERNELS", " ".join(KERNELS)).split()
STEPS = int(os.environ.get("STEPS", 75))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
SETTLE_AFTER, EPOCH = 8, 40  # steps
CONFIG = "[Daemon]\nRetryMaxSec=20ms\nWriteTimeoutSec=300ms\n"
HAZARDS = "--accept=mounted-filesystem,swap,block-holder,network-route,network-address,boot-display," \
          "group-foreign-member,group-changed,vfs-in-use,vfs-exist,device-in-use,no-reset"
ERRNOS = ("EBUSY", "ENODEV", "EINVAL", "EAGAIN", "ENOENT", "EPERM", "ENOMEM", "EIO")
DESCRIPTORS = 80


def to_number(address):
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    return int(domain, 16) << 16 | int(bus, 16) << 8 | int(slot, 16) << 3 | int(function)


def to_address(number):
    return f"{number >> 16:04x}:{number >> 8 & 255:02x}:{number >> 3 & 31:02x}.{number & 7}"


class Host:
    """What the file of a host says."""

    def __init__(self, name, dump):
        self.lines, self.vfs = {}, {}
        for line in (HERE / "hosts" / f"{name}.host").read_text().splitlines():
            words = line.split()
            if words[:1] != ["device"]:
                continue
            self.lines[words[1]] = line
            for word in words:
                if word.startswith("sriov="):
                    total, offset, stride = map(int, word[6:].split(":")[:3])
                    first = to_number(words[1]) + offset
                    self.vfs[words[1]] = [to_address(first + i * stride) for i in range(total)]
        self.mates = {}
        for group in dump["groups"].values():
            for address in group["members"]:
                self.mates[address] = set(group["members"])
        self.system = {a for a, d in dump["devices"].items() if d["class"][:2] in ("06", "08")}
        self.endpoints = sorted({*dump["devices"]} - self.system)

    def family(self, address):
        """All that may have to move with it."""
        pf = next((p for p, vfs in self.vfs.items() if address in vfs), address)
        found = {address, pf, *self.mates.get(address, ()), *self.mates.get(pf, ())}
        for member in [*found]:
            found.update(self.vfs.get(member, ()))
        return found


class World:
    """A host, and what the test did to it since it was as at first."""

    def __init__(self, sim, name, seed):
        self.sim, self.random, self.history, self.others = sim, random.Random(seed), [], []
        self.host = Host(name, sim.dump())
        self.names, self.foreign, self.replugged, self.waiting = set(), set(), set(), []

    def begin(self):
        self.sim.reset()
        self.sim.write_config("./vfiod.conf", CONFIG)
        self.before = picture(self.sim.dump())
        self.names, self.foreign, self.replugged, self.waiting = set(), set(), set(), []
        self.live()

    def live(self):
        """The daemon runs. Only we end it."""
        while not self.sim.daemon or self.sim.daemon.poll() is not None:
            if self.sim.daemon and self.sim.daemon.returncode != -9:
                raise AssertionError(f"vfiod ended with {self.sim.daemon.returncode}{self.sim.evidence()}")
            self.sim.daemon = None
            try:
                self.sim.start(settled=False)
            except AssertionError:
                if self.sim.daemon.poll() is None:
                    raise

    def there(self):
        return sorted(a for a in self.sim.dump()["devices"] if a not in self.host.system)

    def choose(self):
        return self.random.choice(self.there() or self.host.endpoints)

    def pick(self):
        address = self.choose()
        self.names |= self.host.family(address)
        return address

    def pick_pf(self):
        pfs = sorted(set(self.host.vfs) & set(self.there()))
        if not pfs:
            return self.pick()
        pf = self.random.choice(pfs)
        self.names |= self.host.family(pf)
        return pf

    def ctl(self, *words):
        words = [*words, self.random.choice(("--timeout=2", "--no-wait" if words[0] != "reload" else "--timeout=1"))]
        return self.sim.vfioctl(*words, timeout=30).status

    # Steps

    def bind(self):
        words = [self.pick() for _ in range(self.random.choice((1, 1, 1, 2, 3)))]
        driver = self.random.choice((None, None, None, "vfio-pci", "host", "none"))
        return self.ctl("bind", *words, *([f"--driver={driver}"] if driver else []),
                        *([HAZARDS] if self.random.random() < 0.7 else []))

    def release(self):
        return self.ctl("release", self.pick(), *([HAZARDS] if self.random.random() < 0.5 else []))

    def sriov(self):
        return self.ctl("sriov", self.pick_pf(), self.random.choice((0, 1, 2, 3, 4, "max", 99)),
                        *([HAZARDS] if self.random.random() < 0.7 else []))

    def reload(self):
        return self.ctl("reload", *(["--forget"] if self.random.random() < 0.2 else []))

    def apply(self):
        return self.ctl("apply")

    def write_file(self):
        kind, name = self.random.randrange(4), f"{self.random.randrange(4)}0-file.conf"
        accept = "\nAccept=" + HAZARDS[9:].replace(",", " ") if self.random.random() < 0.6 else ""
        driver = self.random.choice(("vfio", "vfio", "vfio", "host", "none"))
        if kind == 0:
            text = self.random.choice(("[Match\nAddress=00:00.0", "[Match]\nAddress=zz\n", "[Device]\nDriver=\n", ""))
        elif kind == 1:
            ids = self.before[self.random.choice(self.host.endpoints)]["ids"]
            for address, device in {**self.sim.dump()["devices"], **self.before}.items():
                if device["ids"] == ids:
                    self.names |= self.host.family(address)
            text = f"[Match]\nId={ids}\n\n[Device]\nDriver={driver}{accept}\n"
        elif kind == 2:
            text = f"[Match]\nAddress={self.pick()}\n\n[Device]\nDriver={driver}{accept}\n"
        else:
            text = f"[Match]\nAddress={self.pick_pf()}\n\n[SR-IOV]\nVirtualFunctions={self.random.choice((1, 2, 3, 4))}" \
                   f"\n\n[VirtualFunction]\nDriver={driver}\n\n[VirtualFunction]\nIndex=0\nDriver=vfio\n"
        self.sim.write_config(name, text)
        return repr(text), self.ctl("reload")

    def remove_file(self):
        files = sorted(pathlib.Path("/etc/vfiod/devices.d").iterdir())
        if files:
            self.random.choice(files).unlink()
        return self.ctl("reload")

    def unplug(self):
        candidates = [a for a in self.host.lines if a in self.there() and a not in self.replugged]
        if not candidates:
            return None
        address = self.random.choice(candidates)
        self.replugged |= self.host.family(address)
        self.waiting.append((self.sim.background("unplug", address), address))
        return address

    def plug(self, address):
        words = self.host.lines[address].split()
        group = [w for w in words if w.startswith("group=")]
        words = [w for w in words if w not in group]
        if self.random.random() < 0.3:
            self.names |= self.host.family(address)  # by a file with that Id=
            words = ["device", address, "8086:10d3", "sub=8086:0000", "net=eth9"]
        # If it was alone there, a VF may have got the number of its group meanwhile.
        self.sim.control("hotplug", *words, *(group if len(self.host.mates.get(address, ())) > 1 else ()))

    def replug(self):
        for thread, address in [*self.waiting]:
            thread.join(0.2)
            if not thread.is_alive():
                self.waiting.remove((thread, address))
                self.plug(address)

    def write(self, path, text):
        """Another program, which may be held or killed as the worker may."""
        writer = subprocess.Popen(["sh", "-c", 'printf %s "$1" > "$2"', "sh", text, f"/sys/{path}"],
                                  stderr=subprocess.DEVNULL)
        self.others.append(writer)
        try:
            writer.wait(0.2)
        except subprocess.TimeoutExpired:
            pass

    def is_open(self):
        """Whether somebody has a device open: then writes do not return, ours neither."""
        return any(g["openers"] for g in self.sim.dump()["groups"].values())

    def interfere(self):
        address = self.choose()
        self.foreign |= self.host.family(address)
        driver = self.sim.driver(address) if address in self.there() else None
        match self.random.randrange(5):
            case 0 if driver and not self.is_open():
                self.write(f"bus/pci/drivers/{driver}/unbind", address)
            case 1:
                self.write(f"bus/pci/devices/{address}/driver_override",
                               self.random.choice(("\n", "vfio-pci\n", "nosuch\n")))
            case 2:
                self.write("bus/pci/drivers_probe", address)
            case 3:
                self.write("bus/pci/drivers/vfio-pci/bind", address)
            case 4:
                pf = self.pick_pf()
                self.foreign |= self.host.family(pf)
                if not self.is_open():
                    self.write(f"bus/pci/devices/{pf}/sriov_numvfs", str(self.random.choice((0, 2))))
        return address

    def fault(self):
        what = self.random.choice((f"errno={self.random.choice(ERRNOS)}", "delay=60", "hold", "kill=0",
                                   f"kill={self.sim.daemon.pid}"))
        self.sim.fault(what, nth=self.random.randrange(1, 12), times=self.random.choice((1, 1, 3)) if "kill" not in what
                       else 1, after=self.random.random() < 0.5 and "errno" not in what)
        return what

    def kill_daemon(self):
        self.sim.kill()

    def stop_daemon(self):
        if self.sim.daemon.poll() is None:
            self.sim.stop()

    def kill_worker(self):
        workers = self.sim.workers()
        if workers:
            os.kill(self.random.choice(workers), 9)

    def events(self):
        what = self.random.choice(("lose", "double", "reverse"))
        self.sim.events(what, self.random.randrange(1, 6))
        return what

    def hold_node(self):
        groups = [int(n) for n, g in self.sim.dump()["groups"].items() if g["node"]]
        if groups and len(self.sim.holders) < 2:
            try:
                self.sim.hold_node(self.random.choice(groups))
            except SimError as error:
                return str(error)
        return len(groups)

    def let_go(self):
        self.sim.let_go()

    def step(self):
        steps = ((12, self.bind), (8, self.release), (5, self.sriov), (3, self.reload), (3, self.apply),
                 (8, self.write_file), (4, self.remove_file), (2, self.unplug), (4, self.replug), (5, self.interfere),
                 (6, self.fault), (2, self.kill_daemon), (1, self.stop_daemon), (2, self.kill_worker), (3, self.events),
                 (2, self.hold_node), (2, self.let_go))
        self.live()
        chosen = self.random.choices([s for _, s in steps], [w for w, _ in steps])[0]
        self.history.append([chosen.__name__, None])
        self.history[-1][1] = chosen()


class RandomTest(LawTest):
    def settle(self, world):
        sim = world.sim
        sim.let_go()
        sim.control("clear")
        sim.events("normal")
        for thread, address in world.waiting:
            thread.join(sim.deadline)
            self.assertFalse(thread.is_alive(), f"{address} cannot be unplugged{sim.evidence()}")
            world.plug(address)
        world.waiting.clear()
        for writer in world.others:
            writer.wait(sim.deadline)
        world.live()
        sim.wait_for(lambda: all(w["result"] is not None for w in sim.log()) or sim.daemon.poll() is not None)
        # One that is killed takes a moment to go.
        for _ in range(3):
            world.live()
            answer = sim.vfioctl("reload")
            if answer.status == 0:
                break
        self.assertEqual(answer.status, 0, answer.err + sim.evidence())
        sim.vfioctl("apply", "--timeout=10")

        def quiet():
            rows = sim.list().values()
            return not any(r["state"] in ("working", "stuck") or (r["state"], r["reason"]) == ("pending", "waiting")
                           for r in rows)
        sim.wait_for(quiet, "it does not settle" + sim.vfioctl("list").out)

    def check_differences(self, sim):
        """What the plan has to do, somebody says why it is not done."""
        if "files are in error" in sim.vfioctl("plan").err:
            return  # the plan is without them, and vfiod keeps to their last good content

        def explained():
            rows, groups = sim.list(), {}
            for row in rows.values():
                groups.setdefault(row["group"], []).append(row)
            entries = json.loads(sim.vfioctl("plan", "--json=short").out or "[]")
            return all(e["type"] == "refusal" or rows.get(e["device"], {}).get("reason") or
                       any(r["reason"] for r in groups.get(e["group"], ())) for e in entries)
        sim.wait_for(explained, "nobody says why this is not done:\n" + sim.vfioctl("plan").out + sim.vfioctl("list").out)

    def check_log(self, world):
        others = {p.pid for p in world.others}
        writes = [w for w in world.sim.log() if w["pid"] not in others]
        self.check_writes(world.sim, world.names, writes)

    def check_given_back_but_ours(self, world):
        """All is given back but what the test itself changed."""
        sim, mine = world.sim, world.foreign | world.replugged
        for path in pathlib.Path("/etc/vfiod/devices.d").iterdir():
            path.unlink()
        sim.expect(0, "reload", "--forget")

        def rest(shape):
            return {a: d for a, d in shape.items() if a not in mine}

        def is_back():
            # What cannot go back because it is in use says so.
            for address, row in sim.list().items():
                if row["state"] == "blocked" and row["reason"] in ("vfs-in-use", "device-in-use"):
                    mine.update(world.host.family(address))
            return rest(picture(sim.dump())) == rest(world.before)
        try:
            sim.wait_for(is_back)
        except AssertionError as error:
            raise AssertionError(f"{differences(rest(picture(sim.dump())), [rest(world.before)])}"
                                 f"{sim.vfioctl('plan').out}{sim.vfioctl('list').out}{error}") from None
        self.check_log(world)

    def run_host(self, name):
        kernel, begun = random.Random(f"{SEED} {name}").choice(ALLOWED), time.monotonic()
        sim = self.sim(name, kernel=kernel)
        world = World(sim, name, f"{SEED} {name}")
        try:
            for number in range(STEPS):
                if number % EPOCH == 0:
                    world.begin()
                world.step()
                if number % SETTLE_AFTER == SETTLE_AFTER - 1 or number % EPOCH == EPOCH - 1 or number == STEPS - 1:
                    self.settle(world)
                    self.check_reasons(sim, world.foreign)
                    self.check_differences(sim)
                    self.check_log(world)
                    self.assertLess(self.descriptors(sim), DESCRIPTORS)
                if number % EPOCH == EPOCH - 1 or number == STEPS - 1:
                    self.check_given_back_but_ours(world)
        except BaseException:
            steps = "\n".join(f"{name} {result}" for name, result in world.history[-EPOCH:])
            print(f"SEED={SEED} HOSTS={name} SIM_KERNELS={kernel}, step {len(world.history)}:\n{steps}", flush=True)
            raise
        print(f"{name}: SEED={SEED}, kernel {kernel}, {STEPS} steps, {time.monotonic() - begun:.1f} s", flush=True)


for host_name in HOSTS:
    setattr(RandomTest, f"test_{host_name}", lambda self, name=host_name: self.run_host(name))

if __name__ == "__main__":
    unittest.main()
