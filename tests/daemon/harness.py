# SPDX-License-Identifier: LGPL-2.1-or-later
"""A made-up host: a sysfs of a few devices below a temporary directory, a bus of its own, and the
real vfiod and vfioctl. fake_worker.py stands for the worker and the kernel."""

import collections
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

VFIOD = os.path.abspath(os.environ["VFIOD"])
VFIOCTL = os.path.abspath(os.environ["VFIOCTL"])
WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_worker.py")
DEADLINE_SEC = 20
NAP_SEC = 0.02
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|: runtime error: ")
WRITES = {"load", "set", "clear", "unbind", "bind", "probe", "node", "autoprobe", "numvfs", "setting"}

BUS = """<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy></busconfig>"""

# From this vfiod learns that it does not know what happened.
LOSE_EVENTS = """
import udev
udev.Sender().send("change", "rubbish")
"""

Answer = collections.namedtuple("Answer", "status text")


class Host:
    def __init__(self, test):
        self.test = test
        self.directory = tempfile.TemporaryDirectory(prefix="vfiod-")
        self.root = pathlib.Path(self.directory.name)
        self.daemon = None
        self.namespace = []  # a program that starts the daemon in one
        self.notifications = []
        for name in ("sys/bus/pci/devices", "sys/bus/pci/drivers/e1000", "sys/bus/pci/drivers/vfio-pci",
                     "sys/class/iommu/dmar0", "var/lib/vfiod", "run/vfiod", "etc/vfiod/devices.d", "faults"):
            (self.root / name).mkdir(parents=True)
        self.write("proc/sys/kernel/random/boot_id", "01234567-0123-0123-0123-0123456789ab\n")
        self.write("proc/sys/kernel/osrelease", "6.12.0\n")
        self.write("proc/cmdline", "quiet\n")
        self.environment = dict(os.environ, LC_ALL="C.UTF-8", NOTIFY_SOCKET=str(self.root / "notify"),
                                DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={self.root}/bus")
        self.environment.pop("JOURNAL_STREAM", None)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.root / "notify"))
        self.receiver = threading.Thread(target=self._receive, daemon=True)
        self.receiver.start()
        self.start_bus()

    def _receive(self):
        while text := self.notify.recv(4096).decode():
            self.notifications += text.splitlines()

    # The tree

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def add_device(self, address, group, driver="e1000", serial=None):
        """`driver` is what it is bound to now, and what the kernel would bind it to."""
        path = self.root / "sys/devices/pci0000:00" / address
        path.mkdir(parents=True)
        (path / "modalias").write_text("pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00\n")
        (path / "numa_node").write_text("-1\n")
        (path / "driver_override").write_text("(null)\n")
        (path / "native").write_text(driver)
        (path / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
        (path / "iommu_group").symlink_to(f"../../../kernel/iommu_groups/{group}")
        members = self.root / f"sys/kernel/iommu_groups/{group}/devices"
        members.mkdir(parents=True, exist_ok=True)
        (members / address).symlink_to(f"../../../../devices/pci0000:00/{address}")
        if serial:
            (path / "serial").write_text(serial)
        (self.root / "sys/bus/pci/devices" / address).symlink_to(f"../../../devices/pci0000:00/{address}")

    def add_pf(self, address, group, total=7):
        for driver in ("igb", "igbvf"):
            (self.root / "sys/bus/pci/drivers" / driver).mkdir(exist_ok=True)
        self.add_device(address, group, driver="igb")
        path = self.root / "sys/devices/pci0000:00" / address
        (path / "sriov_totalvfs").write_text(f"{total}\n")
        (path / "sriov_drivers_autoprobe").write_text("1\n")

    def autoprobe(self, pf):
        return (self.root / "sys/bus/pci/devices" / pf / "sriov_drivers_autoprobe").read_text().strip()

    def vfs(self, pf):
        """The addresses of its VFs, by their indices; none while they come or go."""
        links = sorted((self.root / "sys/bus/pci/devices" / pf).glob("virtfn*"))
        try:
            return [os.path.basename(os.readlink(link)) for link in links]
        except FileNotFoundError:
            return []

    def settings(self, vf):
        return [int(word) for word in (self.root / "sys/bus/pci/devices" / vf / "settings").read_text().split()]

    def open_node(self, group, pid=1234, name="qemu"):
        """A program opens the VFIO node of that group."""
        self.write(f"proc/{pid}/comm", f"{name}\n")
        (self.root / f"proc/{pid}/fd").mkdir()
        (self.root / f"proc/{pid}/fd/3").symlink_to(f"/dev/vfio/{group}")

    def close_node(self, pid=1234):
        (self.root / f"proc/{pid}/fd/3").unlink()

    def unplug(self, address):
        path = self.root / "sys/devices/pci0000:00" / address
        (self.root / "sys/bus/pci/devices" / address).unlink()
        for link in (self.root / "sys/kernel/iommu_groups").glob(f"*/devices/{address}"):
            link.unlink()
        for file in path.iterdir():
            file.unlink()
        path.rmdir()

    def declare_vfs(self, pf, text):
        """`text` is what follows [SR-IOV]."""
        self.write("etc/vfiod/devices.d/10-test.conf", f"[Match]\nAddress={pf}\n\n[SR-IOV]\n{text}\n")

    def declare(self, match, device="Driver=vfio"):
        self.write("etc/vfiod/devices.d/10-test.conf", f"[Match]\n{match}\n\n[Device]\n{device}\n")

    def driver(self, address):
        link = self.root / "sys/bus/pci/devices" / address / "driver"
        return os.path.basename(os.readlink(link)) if link.is_symlink() else None

    def override(self, address):
        return (self.root / "sys/bus/pci/devices" / address / "driver_override").read_text().strip()

    def lose_events(self):
        """Tells the daemon, in a network namespace of its own, that events of udev got lost."""
        subprocess.run(["nsenter", f"--net=/proc/{self.daemon.pid}/ns/net", sys.executable, "-B", "-c", LOSE_EVENTS],
                       check=True)

    # The worker

    def fault(self, verb, address, what):
        new = self.root / "new-fault"
        new.write_text(str(what))
        new.rename(self.root / "faults" / f"{verb}-{address}")

    def end_fault(self, verb, address):
        (self.root / "faults" / f"{verb}-{address}").unlink()

    def requests(self, text=""):
        """The requests to workers so far that begin with this text ("VERB ADDRESS ARGUMENT")."""
        path = self.root / "requests"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(text)]

    def writes(self, address):
        return [line for line in self.requests() if line.split()[0] in WRITES and line.split()[1] == address]

    # Programs

    def start_bus(self):
        self.write("bus.conf", BUS.format(socket=self.root / "bus"))
        with open(self.root / "bus-errors", "a") as errors:
            self.bus = subprocess.Popen(["dbus-daemon", f"--config-file={self.root}/bus.conf", "--nofork",
                                         "--nopidfile", "--print-address"], stdout=subprocess.PIPE, stderr=errors)
        self.bus.stdout.readline()  # printed once it listens

    def stop_bus(self):
        self.bus.kill()
        self.bus.wait()
        self.bus.stdout.close()

    def spawn_daemon(self, errors):
        return subprocess.Popen([*self.namespace, VFIOD, f"--root={self.root}", f"--worker={WORKER}"], env=self.environment,
                                stdin=subprocess.DEVNULL, stderr=errors)

    def start(self, settled=True):
        with open(self.root / "errors", "a") as errors:
            self.daemon = self.spawn_daemon(errors)
        self.wait("vfiod does not answer", lambda: self.ctl("jobs").status == 0)
        if settled:
            self.wait("vfiod does not settle", lambda: "READY=1" in self.notifications)

    def errors(self):
        path = self.root / "errors"
        return path.read_text(errors="replace") if path.exists() else ""

    def spawn_ctl(self, *arguments):
        return subprocess.Popen([VFIOCTL, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish_ctl(self, process):
        words = " ".join(process.args[1:])
        try:
            text, _ = process.communicate(timeout=DEADLINE_SEC)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.test.fail(f"'vfioctl {words}' does not end; {self.evidence()}")
        if SANITIZER.search(text):
            self.test.fail(f"'vfioctl {words}': {text}")
        return Answer(process.returncode, text)

    def ctl(self, *arguments):
        return self.finish_ctl(self.spawn_ctl(*arguments))

    def expect(self, status, *arguments):
        """Runs vfioctl, which must exit with `status`, and returns what it printed."""
        answer = self.ctl(*arguments)
        if answer.status != status:
            self.test.fail(f"'vfioctl {' '.join(arguments)}' exited with {answer.status} instead of {status}, "
                           f"saying:\n{answer.text}{self.evidence()}")
        return answer.text

    def state(self, address):
        text = self.expect(0, "list", "--json=short")
        if not text.startswith("["):  # so it comes not from the daemon
            self.test.fail(f"{text}{self.evidence()}")
        return {row["address"]: row["state"] for row in json.loads(text)}.get(address)

    def evidence(self):
        requests = "\n".join(self.requests()[-20:])
        return f"\n--- requests\n{requests}\n--- vfiod's stderr\n{self.errors()[-4000:]}"

    def wait(self, problem, condition):
        deadline = time.monotonic() + DEADLINE_SEC
        while not condition():
            if self.daemon and self.daemon.poll() is not None:
                self.test.fail(f"{problem}: vfiod ended with {self.daemon.returncode}{self.evidence()}")
            if time.monotonic() > deadline:
                self.test.fail(problem + self.evidence())
            time.sleep(NAP_SEC)

    def wait_state(self, address, *states):
        self.wait(f"{address} does not become {' or '.join(states)}", lambda: self.state(address) in states)

    def wait_driver(self, address, driver):
        self.wait(f"{address} does not get the driver {driver}", lambda: self.driver(address) == driver)

    def wait_request(self, text, count=1):
        self.wait(f"no request '{text}' is sent", lambda: len(self.requests(text)) >= count)

    def children(self, states):
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.daemon.pid and fields[0] in states:
                found.append(int(path.parent.name))
        return found

    def worker(self, address):
        """The process that holds the lock of this device, or None."""
        domain, bus, slot, function = re.fullmatch(r"(\w+):(\w+):(\w+)\.(\w)", address).groups()
        number = int(domain, 16) << 16 | int(bus, 16) << 8 | int(slot, 16) << 3 | int(function, 16)
        offset = (number + 1) * 64  # sys/locks.c
        with open(self.root / "run/vfiod/locks", "r+b") as locks:
            asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, offset, 64, 0)
            kind, *_, pid = struct.unpack("hhqqi4x", fcntl.fcntl(locks, fcntl.F_GETLK, asked))
        return None if kind == fcntl.F_UNLCK else pid

    def is_alive(self, pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    def pause(self, *pids):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    def resume(self, *pids):
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    def wait_no_zombies(self):
        self.wait("vfiod leaves zombies", lambda: not self.children("Z"))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.daemon.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """Stops the daemon as systemd does."""
        self.daemon.send_signal(signal.SIGTERM)
        try:
            status = self.daemon.wait(DEADLINE_SEC)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
            self.test.fail("vfiod does not end on SIGTERM" + self.evidence())
        self.test.assertEqual(status, 0, "vfiod's exit status" + self.evidence())
        self.daemon = None
        self.notifications.clear()

    def close(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        self.stop_bus()
        self.notify.shutdown(socket.SHUT_RD)
        self.receiver.join()
        self.notify.close()
        self.directory.cleanup()


class HostTest(unittest.TestCase):
    def setUp(self):
        self.host = Host(self)
        self.addCleanup(self.host.close)
        self.addCleanup(self.check_end)

    def check_end(self):
        """What must hold after every test: alive, no zombies, a clean end, no sanitizer's report."""
        try:
            if self.host.daemon:
                self.host.wait_no_zombies()
                self.host.stop()
        finally:
            report = SANITIZER.search(self.host.errors())
            self.assertFalse(report, self.host.errors()[report.start():][:4000] if report else None)
