# SPDX-License-Identifier: LGPL-2.1-or-later
"""A simulated host for tests: `with Sim("x722", kernel="6.12") as sim:` mounts it over /sys, and
sim.start() runs the shipped daemon on it. To be run by tests/sim/run, in namespaces of its own.
docs/HACKING.md tells what the simulator does."""

import collections
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", TOP / "build"))
PROGRAMS = {name: os.path.abspath(os.environ.get(name, BUILD / path)) for name, path in
            {"VFIOD": "src/vfiod", "VFIOCTL": "src/vfioctl", "WORKER": "src/vfiod-worker",
             "VFIO_SIM": "tests/sim/vfio-sim", "AGREE": "tests/sim/agree"}.items()}
KERNELS = ("6.12", "6.1", "5.10")
DEADLINE_SEC = float(os.environ.get("SIM_DEADLINE", 20))
NAP_SEC = 0.005
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|: runtime error: ")
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2

# What the system's own bus allows, and the shipped policy.
BUS = """<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>
<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
<allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus"/></policy>
<include>{policy}</include></busconfig>"""

Answer = collections.namedtuple("Answer", "status out err")
libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind=None, flags=0, options=None):
    words = [str(w).encode() if w is not None else None for w in (source, target, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), options.encode() if options else None) < 0:
        raise OSError(ctypes.get_errno(), f"mounting {source} on {target}")


def umount(target):
    libc.umount2(str(target).encode(), MNT_DETACH)


class Timeout(AssertionError):
    """A condition did not come to hold in time."""


class SimError(Exception):
    """The simulator did not take a command."""


def enter():
    """Once per process: everything that is written to is a tmpfs of ours."""
    if getattr(enter, "done", False):
        return
    if os.getppid() != 1 and os.getpid() != 1:
        raise SimError("simulated hosts are for tests/sim/run: they mount over /sys")
    mount(None, "/", flags=MS_REC | MS_PRIVATE)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False, stderr=subprocess.DEVNULL)
    mount("run", "/run", "tmpfs", options="mode=755")
    for name in ("upper", "work", "usr-upper", "usr-work", "old-dev", "sim", "dbus", "udev"):
        os.mkdir(f"/run/{name}")
    # Without it libudev listens to nothing (libsystemd: sd-device/device-monitor.c).
    pathlib.Path("/run/udev/control").touch()
    mount("/dev", "/run/old-dev", flags=MS_BIND | MS_REC)
    mount("dev", "/dev", "tmpfs", options="mode=755")
    for name in ("null", "zero", "full", "random", "urandom", "fuse", "tty"):
        pathlib.Path("/dev", name).touch()
        mount(f"/run/old-dev/{name}", f"/dev/{name}", flags=MS_BIND)
    os.symlink("/proc/self/fd", "/dev/fd")
    for name in ("vfio", "shm"):
        os.mkdir(f"/dev/{name}")
    umount("/run/old-dev")
    mount("overlay", "/etc", "overlay", options="lowerdir=/etc,upperdir=/run/upper,workdir=/run/work")
    mount("overlay", "/usr/lib", "overlay",
          options="lowerdir=/usr/lib,upperdir=/run/usr-upper,workdir=/run/usr-work")
    mount("lib", "/var/lib", "tmpfs", options="mode=755")
    enter.done = True


class Sim:
    """One simulated host. `host` is the name of a file in tests/sim/hosts, or a path.

    `lines` are lines of a host file to be added. All waiting is bounded by `deadline` seconds. With
    `service`, workers are started by their service and not by vfiod.
    """

    def __init__(self, host, kernel="6.12", lines=(), deadline=DEADLINE_SEC, service=False):
        self.kernel, self.deadline, self.lines = kernel, deadline, list(lines)
        self.host = pathlib.Path(host) if os.sep in str(host) else HERE / "hosts" / f"{host}.host"
        self.simulator = self.daemon = self.bus = self.service = None
        self.worker, self.has_service = PROGRAMS["WORKER"], service
        self.holders, self.overlaid, self.notifications = [], [], []
        self.directory = self.connection = self.notify = None

    def __enter__(self):
        enter()
        try:
            self._start_simulator()
            self._start_bus()
            if self.has_service:
                self.start_service()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    # The host

    def _start_simulator(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(dir="/run/sim"))
        mounted = self.directory / "mnt"
        for name in ("sys", "vfio"):
            os.makedirs(mounted / name)
        (self.directory / "host").write_text(self.host.read_text() + "\n".join(self.lines) + "\n")
        self.simulator = subprocess.Popen([PROGRAMS["VFIO_SIM"], self.directory / "host", self.kernel, mounted,
                                           self.directory / "control"], stdout=subprocess.PIPE)
        if self.simulator.stdout.readline() != b"ready\n":
            raise SimError(f"vfio-sim does not start: {self.simulator.wait()}")
        self._mount()
        self.connection = self._connect()
        self._clean()

    def _mount(self):
        mount(self.directory / "mnt/sys/sys", "/sys", flags=MS_BIND)
        mount(self.directory / "mnt/vfio/vfio", "/dev/vfio", flags=MS_BIND)

    def _clean(self):
        for name in ("/etc/vfiod", "/var/lib/vfiod", "/run/vfiod"):
            shutil.rmtree(name, ignore_errors=True)
        os.makedirs("/etc/vfiod/devices.d")
        os.makedirs("/run/vfiod")
        os.makedirs("/var/lib/vfiod", mode=0o700)
        release = os.uname().release
        os.makedirs(f"/usr/lib/modules/{release}", exist_ok=True)
        pathlib.Path(f"/usr/lib/modules/{release}/modules.alias").write_text(self.control("aliases"))

    def _connect(self):
        s = socket.socket(socket.AF_UNIX)
        with s:
            s.connect(str(self.directory / "control"))
            return s.makefile("rw", encoding="utf-8")

    def control(self, *words, connection=None):
        """A command of the control socket. Returns what it printed, or else what follows "ok"."""
        stream = connection or self.connection
        stream.write(" ".join(str(w) for w in words) + "\n")
        stream.flush()
        text = ""
        while line := stream.readline():
            if line.startswith("error "):
                raise SimError(f"{' '.join(map(str, words))}: {line[6:].strip()}")
            if line.startswith("ok "):
                return text or line[3:].strip()
            text += line
        raise SimError("the simulator is gone")

    def background(self, *words):
        """A command that may take long, as unplugging a device that is in use. Returns its thread."""
        def run():
            connection = self._connect()
            thread.answer = self.control(*words, connection=connection)
            connection.close()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def fault(self, what, **rule):
        """What becomes of writes: `what` is "errno=EBUSY", "delay=MSEC", "hold", "kill=PID" (0: the
        writer, parent: the daemon) or "run COMMAND" of the control socket. The rule says which: path=
        and value= globs, nth= of those that match (1), times= (1), after=True once it took effect."""
        after = rule.pop("after", False)
        self.control("fault", *(f"{key}={value}" for key, value in rule.items()), *(["after"] if after else []), what)

    def clear(self):
        """No faults any more, and what is held goes on."""
        self.control("clear")

    def release(self):
        """What is held goes on."""
        self.control("release")

    def events(self, *words):
        """lose N, double N, reverse N, hold, normal, flood N, sent"""
        return self.control("events", *words)

    def dump(self):
        """The state of the host: devices, groups, dynamic_ids, held."""
        return json.loads(self.control("dump"))

    def log(self):
        """All writes: {pid, path, value, result}; result None is one that is under way."""
        return json.loads(self.control("log"))

    def bound(self):
        """(address, driver) of each time that a driver took a device."""
        text = self.control("bound")
        return [tuple(line.split()) for line in text.splitlines()]

    def count(self):
        """The number of writes so far."""
        return self.dump()["writes"]

    def reset(self):
        """The host as it was at first, within milliseconds; the daemon is stopped and its files are gone."""
        self.kill()
        self.let_go()
        umount("/sys")
        umount("/dev/vfio")
        self.control("reset")
        self._mount()
        self._clean()

    # Facts, as everybody reads them

    def path(self, address, attribute=""):
        return pathlib.Path("/sys/bus/pci/devices", address, attribute)

    def read(self, address, attribute):
        return self.path(address, attribute).read_text().strip()

    def write(self, path, text):
        """Somebody else writes below /sys."""
        fd = os.open(pathlib.Path("/sys", path), os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def driver(self, address):
        try:
            return os.path.basename(os.readlink(self.path(address, "driver")))
        except FileNotFoundError:
            return None

    def override(self, address):
        text = self.read(address, "driver_override")
        return None if text == "(null)" else text

    def group(self, address):
        return int(os.path.basename(os.readlink(self.path(address, "iommu_group"))))

    def members(self, group):
        return sorted(os.listdir(f"/sys/kernel/iommu_groups/{group}/devices"))

    def vfs(self, pf):
        """The addresses of its VFs by their indices."""
        links = [name for name in os.listdir(self.path(pf)) if name.startswith("virtfn")]
        return [os.path.basename(os.readlink(self.path(pf, name))) for name in sorted(links, key=lambda n: int(n[6:]))]

    def hold_node(self, group, name="qemu"):
        """A program, called `name`, has the VFIO node open until it is killed. Returns the process."""
        program = "import os,sys; os.open(sys.argv[1], os.O_RDWR); open('/proc/self/comm','w').write(sys.argv[2]);" \
                  "print(flush=True); sys.stdin.read()"
        process = subprocess.Popen(["python3", "-c", program, f"/dev/vfio/{group}", name],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holders.append(process)
        if not process.stdout.readline():
            raise SimError(f"/dev/vfio/{group} cannot be opened")
        return process

    def let_go(self):
        """All programs of hold_node() end."""
        for process in self.holders:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        self.holders.clear()

    def overlay(self, path, text):
        """A file over another one, such as /proc/1/mountinfo or /proc/swaps."""
        file = self.directory / f"overlay{len(self.overlaid)}"
        file.write_text(text)
        mount(file, path, flags=MS_BIND)
        self.overlaid.append(path)

    # Programs

    def _start_bus(self):
        (self.directory / "bus.conf").write_text(BUS.format(policy=TOP / "dbus/org.vfiod1.conf"))
        self.bus = subprocess.Popen(["dbus-daemon", f"--config-file={self.directory}/bus.conf", "--nofork",
                                     "--nopidfile", "--print-address"], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
        self.bus.stdout.readline()  # printed once it listens

    def stop_bus(self):
        self.bus.kill()
        self.bus.wait()
        self.bus.stdout.close()

    def environment(self):
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS")}
        return dict(keep, LC_ALL="C.UTF-8", SYSTEMD_DEVICE_VERIFY_SYSFS="0")

    def write_config(self, name, text):
        """A file of /etc/vfiod/devices.d, or with a slash of /etc/vfiod."""
        path = pathlib.Path("/etc/vfiod", name if "/" in name else f"devices.d/{name}")
        path.write_text(text)

    def declare(self, match, device="Driver=vfio", name="10-test.conf"):
        """[Match] and [Device] of a file."""
        self.write_config(name, f"[Match]\n{match}\n\n[Device]\n{device}\n")

    def declare_vfs(self, pf, text, name="10-test.conf"):
        """`text` follows [SR-IOV]."""
        self.write_config(name, f"[Match]\nAddress={pf}\n\n[SR-IOV]\n{text}\n")

    def start(self, settled=True, command=()):
        """Starts vfiod, behind `command`, and waits until it is ready, or else until it answers."""
        notify = self._hear()
        with open(self.directory / "errors", "a") as errors:
            self.daemon = subprocess.Popen(
                [*command, PROGRAMS["VFIOD"], f"--worker={self.worker}"], stderr=errors, stdin=subprocess.DEVNULL,
                env=dict(self.environment(), NOTIFY_SOCKET=notify))
        if settled:
            self.wait_for(lambda: "READY=1" in self.notifications, "vfiod does not become ready")
        else:
            self.wait_for(lambda: self.vfioctl("jobs").status == 0, "vfiod does not answer")

    def start_socket(self):
        """vfiod-worker.socket alone. Returns it."""
        self.worker = "/run/vfiod/worker"
        pathlib.Path(self.worker).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.worker)
        listener.listen()
        return listener

    def start_service(self, listener=None):
        """And vfiod-worker.service."""
        with listener or self.start_socket() as listener:
            self.service = subprocess.Popen([PROGRAMS["WORKER"]], stdin=subprocess.DEVNULL, env=self.environment(),
                                            pass_fds=[3], preexec_fn=lambda: os.dup2(listener.fileno(), 3))

    def stop_service(self):
        """As systemd does it, with KillMode=process: only the one that listens is ended."""
        if self.service:
            self.service.terminate()
            self.service.wait(self.deadline)
        self.service = None

    def _hear(self):
        """A socket of its own for each daemon, always read: else it would wait for us. Returns its path."""
        def read(listener, heard):
            with listener:
                while message := listener.recv(4096):
                    heard += message.decode().splitlines()
        self.deafen()
        self.notifications, self.notify = [], str(self.directory / f"notify{time.monotonic_ns()}")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(self.notify)
        threading.Thread(target=read, args=(listener, self.notifications), daemon=True).start()
        return self.notify

    def deafen(self):
        """Ends the thread that reads what the daemon says of itself."""
        if self.notify:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.sendto(b"", self.notify)
        self.notify = None

    def stop(self):
        """As systemd does it. Returns the exit status."""
        self.daemon.send_signal(signal.SIGTERM)
        try:
            status = self.daemon.wait(self.deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Timeout(f"vfiod does not end on SIGTERM{self.evidence()}") from None
        self.daemon = None
        return status

    def kill(self):
        """SIGKILL to the daemon; its workers end by themselves."""
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None

    def workers(self):
        """The processes of vfiod-worker, also of a daemon that is gone, but for the one that listens."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
            try:
                if path.read_text() == "vfiod-worker\n" and "\nState:\tZ" not in (path.parent / "status").read_text():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return [pid for pid in found if not self.service or pid != self.service.pid]

    def vfioctl(self, *words, timeout=None):
        try:
            r = subprocess.run([PROGRAMS["VFIOCTL"], *map(str, words)], env=self.environment(), text=True,
                               stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout or self.deadline)
        except subprocess.TimeoutExpired:
            raise Timeout(f"'vfioctl {' '.join(map(str, words))}' does not end{self.evidence()}") from None
        return Answer(r.returncode, r.stdout, r.stderr)

    def expect(self, status, *words):
        """vfioctl must exit with this status. Returns what it printed."""
        answer = self.vfioctl(*words)
        if answer.status != status:
            raise AssertionError(f"'vfioctl {' '.join(map(str, words))}' exited with {answer.status} instead of "
                                 f"{status}:\n{answer.out}{answer.err}{self.evidence()}")
        return answer.out + answer.err

    def list(self):
        """What the daemon says of each device, by address."""
        return {row["address"]: row for row in json.loads(self.expect(0, "list", "--json=short"))}

    def state(self, address):
        return self.list().get(address, {}).get("state")

    # Waiting

    def wait_for(self, condition, problem="it does not come to hold", deadline=None):
        """Returns the condition's first true value."""
        end = time.monotonic() + (deadline or self.deadline)
        while True:
            value = condition()
            if value:
                return value
            if self.daemon and self.daemon.poll() is not None:
                raise Timeout(f"{problem}: vfiod ended with {self.daemon.returncode}{self.evidence()}")
            if time.monotonic() > end:
                raise Timeout(problem + self.evidence())
            time.sleep(NAP_SEC)

    def wait_driver(self, address, driver):
        self.wait_for(lambda: self.driver(address) == driver, f"{address} does not get the driver {driver}")

    def wait_state(self, address, *states):
        self.wait_for(lambda: self.state(address) in states, f"{address} does not become {' or '.join(states)}")

    def wait_held(self, n=1):
        """Until `n` writes are held by faults."""
        self.wait_for(lambda: self.dump()["held"] >= n, f"{n} writes are not held")

    def settled(self):
        """Waits until no job runs and every device is as declared or cannot be. vfioctl's status."""
        return self.vfioctl("wait", f"--timeout={int(self.deadline)}", timeout=self.deadline + 5).status

    def errors(self):
        path = self.directory / "errors"
        return path.read_text(errors="replace") if path.exists() else ""

    def evidence(self):
        try:
            writes = "\n".join(f"{w['pid']} {w['path']} {w['value']!r} {w['result']}" for w in self.log()[-20:])
        except (SimError, OSError, ValueError):
            writes = "(the simulator does not answer)"
        return f"\n--- last writes\n{writes}\n--- vfiod's stderr\n{self.errors()[-4000:]}"

    def close(self):
        self.kill()
        self.stop_service()
        self.let_go()
        if self.simulator:
            self.simulator.kill()  # ends every request that is held
            self.simulator.wait()
            self.simulator.stdout.close()
        for path in [*self.overlaid, "/sys", "/dev/vfio", self.directory / "mnt/sys", self.directory / "mnt/vfio"]:
            umount(path)
        if self.bus:
            self.stop_bus()
        self.deafen()
        if self.connection:
            self.connection.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class SimTest(unittest.TestCase):
    """A test with simulated hosts: self.sim(...) makes one, which ends with the test. After it nothing
    may be left of vfiod, and no sanitizer may have reported."""

    def sim(self, host, **options):
        sim = Sim(host, **options)
        sim.__enter__()
        self.addCleanup(sim.close)
        self.addCleanup(self.check_end, sim)
        return sim

    def check_end(self, sim):
        if sim.daemon:
            sim.clear()
            self.assertEqual(sim.stop(), 0, "vfiod's exit status" + sim.evidence())
        report = SANITIZER.search(sim.errors())
        self.assertFalse(report, sim.errors()[report.start():][:4000] if report else None)
