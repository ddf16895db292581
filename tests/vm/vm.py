# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest under QEMU: its devices, its boots, scripts run in it through the agent, and QMP."""

import json
import os
import pathlib
import select
import socket
import subprocess
import tempfile
import time

from image import command

BOOT_SECONDS = 180
DISK_BYTES = b"vfiod reads this through VFIO"

# Every device has the same address in every boot. Bus 1 is the root port of the PCIe-to-PCI bridge, bus 2
# what is behind it. The two ports of the pair have no ACS: all below them is one group.
BRIDGE, E1000, EDU, TESTDEV = "0000:01:00.0", "0000:02:01.0", "0000:02:02.0", "0000:02:03.0"
E1000E = ("0000:03:00.0", "0000:03:00.1")
NVME = "0000:04:00.0"
PAIR_PF, PAIR_VF, PAIR_NIC = "0000:05:00.0", "0000:05:00.1", "0000:06:00.0"
SPARE_PORT, SPARE = "spare", "0000:07:00.0"

# In the guests of the SR-IOV scenarios: a NIC with up to 7 VFs, below a port that can be unplugged, and
# an NVMe controller with a namespace and with up to 16 or 127 VFs.
NIC_PORT, NIC, DRIVE = "nic", "0000:01:00.0", "0000:02:00.0"
NIC_MODEL = {"driver": "igb", "id": "igb", "bus": NIC_PORT, "mac": "52:54:00:00:00:01", "romfile": ""}
FILE_TEXT = "a file on the PF's namespace"

# In the guests of the hazards: two NVMe disks, the first below a subsystem, so that its node is that of a
# multipath; a card and a disk behind one bridge; a NIC; a display.
DISKS = ("0000:01:00.0", "0000:02:00.0")
CARD_NIC, CARD, CARD_DISK = "0000:03:00.0", "0000:05:01.0", "0000:05:02.0"
DISPLAY = "0000:00:05.0"

IOMMU = ["-device", "intel-iommu,intremap=on,caching-mode=on"]


def full_topology(directory):
    """The devices of the scenarios. The disk of the NVMe controller holds known bytes."""
    disk = directory / "nvme.raw"
    disk.write_bytes(DISK_BYTES.ljust(1 << 20, b"\0"))
    words = ["-drive", f"file={disk},if=none,id=nvme0,format=raw", "-device", "nvme-subsys,id=sriov"]
    for chassis, (name, address, options) in enumerate([
            ("bridge", "10.0", ""), ("nic2", "11.0", ""), ("nvme", "12.0", ""),
            ("pair0", "13.0", ",multifunction=on,disable-acs=on"),
            ("pair1", "13.1", ",multifunction=on,disable-acs=on"), (SPARE_PORT, "14.0", "")], 1):
        words += ["-device", f"pcie-root-port,id={name},bus=pcie.0,addr={address},chassis={chassis}"
                             f"{options}"]
    for device in ["pcie-pci-bridge,id=pci,bus=bridge", "e1000,bus=pci,addr=1,romfile=",
                   "edu,bus=pci,addr=2", "pci-testdev,bus=pci,addr=3",
                   "e1000e,bus=nic2,addr=0.0,multifunction=on,romfile=",
                   "e1000e,bus=nic2,addr=0.1,multifunction=on,romfile=",
                   "nvme,bus=nvme,serial=vm0,drive=nvme0",
                   "nvme,bus=pair0,serial=vm1,subsys=sriov,sriov_max_vfs=4,sriov_vq_flexible=8,"
                   "sriov_vi_flexible=4,max_ioqpairs=11,msix_qsize=9",
                   "e1000e,bus=pair1,romfile="]:
        words += ["-device", device]
    return words


def drive_with_vfs(count):
    """The options of an NVMe controller that can bring `count` VFs online, with two queue pairs each."""
    return (f"sriov_max_vfs={count},sriov_vq_flexible={2 * count},sriov_vi_flexible={count},"
            f"max_ioqpairs={2 * count + 2},msix_qsize={count + 1}")


def sriov_topology(vfs=16):
    """The devices of the SR-IOV scenarios. The namespace holds a file system with a file."""
    def words(directory):
        disk, content = directory / "drive.ext4", directory / "content"
        content.mkdir()
        (content / "file").write_text(FILE_TEXT, encoding="utf-8")
        command("mke2fs", "-q", "-t", "ext4", "-d", content, disk, "8M")
        return ["-device", f"pcie-root-port,id={NIC_PORT},bus=pcie.0,addr=10.0,chassis=1",
                "-device", "pcie-root-port,id=drive,bus=pcie.0,addr=11.0,chassis=2",
                "-device", ",".join(f"{key}={value}" for key, value in NIC_MODEL.items()),
                "-drive", f"file={disk},if=none,id=drive0,format=raw", "-device", "nvme-subsys,id=subsystem",
                "-device", f"nvme,bus=drive,serial=vm0,subsys=subsystem,{drive_with_vfs(vfs)}",
                "-device", "nvme-ns,drive=drive0,nsid=1"]
    return words


def agreement_topology(directory):
    """The devices of the simulated host `qemu`: those of the scenarios, and behind them those of SR-IOV."""
    disk = directory / "drive.raw"
    disk.write_bytes(bytes(1 << 20))
    nic = {**NIC_MODEL, "bus": "igb"}
    return [*full_topology(directory),
            "-device", "pcie-root-port,id=igb,bus=pcie.0,addr=15.0,chassis=7",
            "-device", "pcie-root-port,id=drive,bus=pcie.0,addr=16.0,chassis=8",
            "-device", ",".join(f"{key}={value}" for key, value in nic.items() if key != "id"),
            "-drive", f"file={disk},if=none,id=drive0,format=raw", "-device", "nvme-subsys,id=drives",
            "-device", f"nvme,bus=drive,serial=vm2,subsys=drives,{drive_with_vfs(16)}",
            "-device", "nvme-ns,drive=drive0,nsid=1"]


def hazards_topology(directory):
    """The devices of the scenarios about what the host needs. The disks are blank."""
    words = ["-netdev", "hubport,id=wire,hubid=0"]
    for i in range(3):
        with open(directory / f"disk{i}", "wb") as disk:
            disk.truncate(256 << 20)
        words += ["-drive", f"file={directory}/disk{i},if=none,id=disk{i},format=raw,cache=unsafe"]
    for chassis, port in enumerate(("multipath", "plain", "nic", "bridge"), 1):
        words += ["-device", f"pcie-root-port,id={port},bus=pcie.0,addr={15 + chassis:x}.0,chassis={chassis}"]
    for device in ["nvme-subsys,id=subsystem", "nvme,bus=multipath,serial=vm0,subsys=subsystem",
                   "nvme-ns,drive=disk0,nsid=1", "nvme,bus=plain,serial=vm1,drive=disk1",
                   "e1000e,bus=nic,netdev=wire,romfile=", "pcie-pci-bridge,id=pci,bus=bridge",
                   "e1000,bus=pci,addr=1,romfile=", "virtio-blk-pci,bus=pci,addr=2,drive=disk2",
                   "VGA,bus=pcie.0,addr=5"]:
        words += ["-device", device]
    return words


class GuestError(Exception):
    """The guest did not do what the harness asked of it in time."""


class QemuEnded(GuestError):
    """QEMU 10 with several TCG threads and an IOMMU sometimes fails an assertion of its own
    (iotlb_to_section). What ran then says nothing about the guest and may be run again."""


class Result:
    """What a script in the guest returned."""

    def __init__(self, script, status, out, err):
        self.script, self.status, self.out, self.err = script, status, out, err

    def __str__(self):
        return f"$ {self.script.strip()}\n{self.out}{self.err}(exit status {self.status})"


class Guest:
    """One guest on a fresh overlay of a disk image. Reboots keep the overlay."""

    def __init__(self, image, log_path, topology=full_topology, iommu=True, cmdline="intel_iommu=on"):
        self.image, self.log_path, self.topology = image, pathlib.Path(log_path), topology
        self.iommu, self.cmdline = iommu, cmdline
        self.process, self.port, self.monitor, self.buffer = None, None, None, b""
        self.directory = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        # Sockets have short names only: not below the build directory.
        self.directory = tempfile.TemporaryDirectory(prefix="vm-")
        where = pathlib.Path(self.directory.name)
        disk, vmlinuz, initrd = self.image
        command("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", disk.resolve(),
                where / "overlay")
        words = [
            "qemu-system-x86_64", "-machine", "q35,kernel-irqchip=split", "-accel", "tcg,thread=multi",
            "-cpu", "max", "-smp", "2", "-m", "2G", "-nodefaults", "-display", "none",
            "-kernel", vmlinuz, "-initrd", initrd,
            "-append", f"root=/dev/vda rw console=ttyS0 loglevel=5 panic=-1 {self.cmdline}",
            "-drive", f"file={where}/overlay,if=none,id=root,format=qcow2,cache=unsafe",
            "-device", "virtio-blk-pci,drive=root,bus=pcie.0,addr=0x3",
            "-device", "virtio-serial-pci,bus=pcie.0,addr=0x4",
            "-chardev", f"socket,id=agent,path={where}/agent,server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=vm.agent",
            "-chardev", f"file,id=console,path={self.log_path},append=on",
            "-serial", "chardev:console",
            "-qmp", f"unix:{where}/qmp,server=on,wait=off",
        ]
        words += (IOMMU if self.iommu else []) + self.topology(where)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.log_path.unlink(missing_ok=True)
        self.process = subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL,
                                        stderr=open(f"{self.log_path}.qemu", "w", encoding="utf-8"))
        self.monitor = self._connect(where / "qmp").makefile("rw", encoding="utf-8")
        self.monitor.readline()
        self.qmp("qmp_capabilities")
        self.port = self._connect(where / "agent")
        self._wait_ready()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        if self.directory is not None:
            self.directory.cleanup()
            self.directory = None

    def _connect(self, path):
        deadline = time.monotonic() + 20
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(str(path))
                return connection
            except OSError as error:
                connection.close()
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise GuestError(f"QEMU did not start: {self._errors()}") from error
                time.sleep(0.05)

    def _errors(self):
        """The last of what QEMU said."""
        text = pathlib.Path(f"{self.log_path}.qemu").read_text(encoding="utf-8")
        return "\n".join(text.splitlines()[-2:])

    def _silence(self):
        """The agent ends scripts that take too long, so a guest that says nothing has stopped as a
        whole: by a fault of its kernel, or, without one, since QEMU has lost its clock."""
        console = self.log_path.read_text(encoding="utf-8", errors="replace")
        kind = GuestError if "Kernel panic" in console or "BUG:" in console else QemuEnded
        return kind(f"the guest does not answer; its console is in {self.log_path}")

    def _receive(self, deadline):
        """Adds what the agent sends next to the buffer."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.port], [], [], left)[0]:
            raise self._silence()
        try:
            data = self.port.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise QemuEnded(f"QEMU ended: {self._errors()}")
        self.buffer += data

    def _line(self, deadline):
        while b"\n" not in self.buffer:
            self._receive(deadline)
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode()

    def _bytes(self, size, deadline):
        while len(self.buffer) < size:
            self._receive(deadline)
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data.decode(errors="replace")

    def _wait_ready(self):
        deadline = time.monotonic() + BOOT_SECONDS
        while self._line(deadline) != "ready":
            pass
        self.run("systemctl is-system-running --wait; udevadm settle", seconds=BOOT_SECONDS)

    def run(self, script, seconds=60):
        """Runs a bash script as root in the guest."""
        data = script.encode()
        deadline = time.monotonic() + seconds + 30
        try:
            self.port.sendall(f"{len(data)} {seconds}\n".encode() + data)
        except ConnectionError as error:
            raise QemuEnded(f"QEMU ended: {self._errors()}") from error
        status, out, err = (int(word) for word in self._line(deadline).split())
        return Result(script, status, self._bytes(out, deadline), self._bytes(err, deadline))

    def reboot(self):
        self.run("systemctl reboot --no-block")
        self._wait_ready()

    def reset(self):
        """What the reset button does: nothing is shut down."""
        self.qmp("system_reset")
        self._wait_ready()

    def qmp(self, execute, **arguments):
        json.dump({"execute": execute, "arguments": arguments}, self.monitor)
        self.monitor.write("\n")
        self.monitor.flush()
        while True:
            answer = json.loads(self.monitor.readline())
            if "error" in answer:
                raise GuestError(f"QMP {execute}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def wait_for(self, condition, seconds=30):
        """Waits in the guest until a bash condition holds. Returns whether it came to hold."""
        script = f"until {{ {condition}\n}}; do sleep 0.1; done"
        return self.run(script, seconds).status == 0

    def write(self, path, text, mode="0644"):
        """Writes a file in the guest, its directory included."""
        data = text if isinstance(text, bytes) else text.encode()
        octal = "".join(f"\\{byte:03o}" for byte in data) if len(data) < 65536 else None
        if octal is None:
            raise GuestError("write is for small files")
        result = self.run(f"mkdir -p {os.path.dirname(path)}; printf '{octal}' > {path}; chmod {mode} {path}")
        if result.status != 0:
            raise GuestError(str(result))
