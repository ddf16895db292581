# SPDX-License-Identifier: LGPL-2.1-or-later
"""A write into the kernel that does not return costs its device, and nothing else."""

import json
import re

from host import DEVICES, Failure
from scenarios import ALL, hold, scenario
from vm import E1000E, NVME

TRACE = "/sys/kernel/tracing"


def watch_writes(host):
    """Has the kernel record all writes to `bind` and `unbind`, also those that it refuses."""
    host.sh(f"""cd {TRACE}; echo 0 > events/kprobes/enable 2>/dev/null; echo > kprobe_events; echo > trace
        for verb in bind unbind; do
                echo "p:$verb $verb'_store' text=+0(%si):string" | tr -d "'" >> kprobe_events
        done
        echo 1 > events/kprobes/enable""")


def writes(host, address):
    """The writes that the kernel got for a device: ["unbind", "bind"]."""
    trace = host.sh(f"cat {TRACE}/trace").out
    return re.findall(rf" (bind|unbind): .*text=\"{address}", trace)


def seconds(host, script):
    out = host.sh(f"a=$EPOCHREALTIME; {script} > /dev/null; b=$EPOCHREALTIME; echo $(( ${{b/./}} - ${{a/./}} ))")
    return int(out.out.split()[-1]) / 1e6


def lists_quickly(host):
    """The list of devices, without the start of vfioctl: emulated, that takes longer than the answer."""
    call = "busctl call org.vfiod1 /org/vfiod1 org.vfiod1.Manager ListDevices 'a{sv}t' 0 0"
    ping = "busctl call org.vfiod1 /org/vfiod1 org.freedesktop.DBus.Peer Ping"
    listed, pinged, whole = (min(seconds(host, c) for _ in range(5)) for c in (call, ping, "vfioctl list"))
    print(f"# while a write hangs: list {1000 * (listed - pinged):.0f} ms, vfioctl list {1000 * whole:.0f} ms, "
          f"a ping {1000 * pinged:.0f} ms", flush=True)
    if listed - pinged > 0.1:
        raise Failure(f"the list took {listed:.3f} s, and a ping {pinged:.3f} s")


def on_drivers(host, addresses, driver):
    """Reads links only: before 6.12 whoever reads an override waits for the write that hangs."""
    script = "; ".join(f"basename $(readlink {DEVICES}/{a}/driver)" for a in addresses)
    host.until(lambda: host.sh(script, None).out.split() == [driver] * len(addresses),
               f"{addresses} on {driver}")


def still_stuck(host, pid):
    host.state(NVME, "stuck", "write-timeout")
    host.contains("explain", host.ctl(f"explain {NVME}").out, "write-timeout", "vfio-open", pid)
    users = json.loads(host.ctl(f"who --json=short {NVME}").out)
    host.contains("who", " ".join(f"{user['use']}: {user['by']};" for user in users),
                  "write: vfiod-worker", "device-in-use: vfio-open", f"({pid})")


def restarted(host, script):
    took = seconds(host, script)
    print(f"# {script}: {took:.1f} s", flush=True)
    if took > 10:
        raise Failure(f"{script} took {took:.1f} s")
    host.sh("systemctl is-active -q vfiod || systemctl start vfiod")


@scenario("12 a write that hangs: stuck, also after restarts, and it goes on by itself", "main", ALL)
def hung_write(host):
    host.write("/etc/vfiod/vfiod.conf.d/50-vm.conf", "[Daemon]\nWriteTimeoutSec=3s\n")
    host.sh("systemctl restart vfiod")
    host.ctl(f"bind {NVME}")
    hold(host, NVME)
    pid = host.sh("systemctl show -P MainPID hold").out.strip()
    watch_writes(host)
    host.contains("release", host.ctl(f"release {NVME}", status=3).err,
                  "device-in-use", "vfio-open", pid, "--accept=device-in-use")
    host.same("writes", writes(host, NVME), [])
    host.ctl(f"release --accept=device-in-use {NVME}", status=7)
    still_stuck(host, pid)
    lists_quickly(host)
    host.ctl(f"bind {E1000E[0]}")
    on_drivers(host, E1000E, "vfio-pci")
    host.ctl(f"release {E1000E[0]}")
    on_drivers(host, E1000E, "e1000e")
    for script in ("systemctl restart vfiod", "systemctl stop vfiod"):
        restarted(host, script)
        still_stuck(host, pid)
    host.ctl(f"release {NVME}", status=7)
    host.ctl("apply", status=None)
    host.same("writes", writes(host, NVME), ["unbind"])
    host.sh("systemctl stop hold")
    host.drivers({NVME: "nvme"})
    host.state(NVME, "unmanaged")
    host.same("writes", writes(host, NVME), ["unbind", "bind"])
    host.sh("echo 0 > /sys/kernel/tracing/events/kprobes/enable; "
            "rm -r /etc/vfiod/vfiod.conf.d; systemctl restart vfiod")
