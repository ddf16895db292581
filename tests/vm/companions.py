# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes with the main job: every [Match] key, other drivers, events lost, boot switches."""

from host import CONFIG, DEVICES
from scenarios import BEHIND_BRIDGE, HOST_DRIVERS, all_on, declare_bridge_group, scenario
from vm import E1000, E1000E, EDU, NVME, PAIR_PF


def check_selects(host, match, members, others):
    """A file with this [Match] takes these devices, and no others; taken away, it gives them back."""
    host.declare("50-match.conf", match)
    host.settle()
    host.drivers(all_on(members))
    host.ctl("reload")
    host.drivers({**all_on(members), **others})
    host.retract()
    host.settle()
    host.same(f"the host after {match!r}", host.facts(), host.initial)


@scenario("every [Match] key selects what it names", "main")
def match_keys(host):
    nvme = {NVME: "nvme"}
    nic = all_on(E1000E, "e1000e")
    serial = host.sh(f"lspci -vvs {E1000E[0]} | sed -n 's/.*Device Serial Number //p'").out.strip()
    mac = host.sh(f"cat {DEVICES}/{E1000E[0]}/net/*/address").out.strip()
    slot = host.sh(f"cd /sys/bus/pci/slots; grep -l {NVME[:-2]} */address").out.split("/")[0]
    subsystem = host.sh(f"cd {DEVICES}/{E1000}; sed s/0x// subsystem_vendor subsystem_device"
                        ).out.split()
    for match, members, others in (
            (f"SerialNumber={serial}", E1000E, nvme),
            (f"MACAddress={mac}", E1000E, nvme),
            (f"Slot={slot}", (NVME,), nic),
            (f"Path=pci-{NVME}", (NVME,), nic),
            (f"Driver=nvme\nAddress={NVME[5:]}", (NVME,), nic),
            (f"Class=0200\nId=8086:100e\nSubsystemId={':'.join(subsystem)}", BEHIND_BRIDGE, nic),
            (f"Class=0108\nAddress=!{PAIR_PF}\nNUMANode=-1", (NVME,), nic),
            ("Id=8086:10d3\nAddress=0000:03:*\nExpect=2", E1000E, nvme)):
        check_selects(host, match, members, others)
    host.declare("50-match.conf", "Id=8086:10d3\nAddress=0000:03:*\nExpect=3")
    host.ctl("reload")
    host.state(E1000E[0], "blocked", "expect-mismatch")
    host.same("nothing touched", host.facts(), host.initial)


@scenario("PhysicalFunction= and VirtualFunction= select a VF by its PF", "faults")
def match_virtual_function(host):
    host.sh(f"echo 0 > {DEVICES}/{PAIR_PF}/sriov_drivers_autoprobe; "
            f"echo 1 > {DEVICES}/{PAIR_PF}/sriov_numvfs")
    vf = host.sh(f"basename $(readlink {DEVICES}/{PAIR_PF}/virtfn0)").out.strip()
    host.declare("50-vf.conf", f"PhysicalFunction={PAIR_PF}\nVirtualFunction=1-3")
    host.ctl("reload")
    host.state(vf, "unmanaged")
    host.declare("50-vf.conf", f"PhysicalFunction={PAIR_PF}\nVirtualFunction=0", "Driver=none")
    host.settle()
    item = host.state(vf, "ready")
    host.same("its PF and index", (item["pf"], item["vf"]), (PAIR_PF, 0))
    host.retract()
    host.settle()
    host.sh(f"echo 0 > {DEVICES}/{PAIR_PF}/sriov_numvfs; "
            f"echo 1 > {DEVICES}/{PAIR_PF}/sriov_drivers_autoprobe")


@scenario("Driver= takes a driver's name, host and none", "main")
def other_drivers(host):
    host.sh("modprobe pci-stub")
    host.declare("50-nvme.conf", f"Address={NVME}", "Driver=pci-stub")
    host.ctl("reload")
    host.ctl("wait --timeout=60")
    host.same("driver and override", host.facts()[NVME], ("pci-stub", "pci-stub"))
    host.declare("50-nvme.conf", f"Address={NVME}", "Driver=none")
    host.settle()
    host.same("driver and override", host.facts()[NVME], ("", "none"))
    host.declare("50-nvme.conf", f"Address={NVME}", "Driver=vfio-pci")
    host.settle()
    host.drivers({NVME: "vfio-pci"})
    host.declare("50-nvme.conf", f"Address={NVME}", "Driver=host")
    host.settle()
    host.drivers({NVME: "nvme"})
    host.ctl(f"bind --driver=e1000 {NVME}", status=1)
    host.ctl(f"bind --driver=none {NVME}")
    host.same("driver and override", host.facts()[NVME], ("", "none"))
    host.ctl("reload --forget")
    host.drivers({NVME: "nvme"})


@scenario("bind and release --persist write and remove a file", "main")
def persist(host):
    host.ctl(f"bind --persist {NVME}")
    host.drivers({NVME: "vfio-pci"})
    host.sh(f"vfioctl check && grep -q 1b36:0010 {CONFIG}/*{NVME}*")
    host.sh("systemctl restart vfiod")
    host.state(NVME, "ready")
    host.ctl(f"release --persist {NVME}")
    host.drivers({NVME: "nvme"})
    host.sh(f"! ls {CONFIG}/* 2>/dev/null")


@scenario("a node made again has the declared owner again", "main")
def node_again(host):
    declare_bridge_group(host)
    host.settle()
    node = f"/dev/vfio/{host.group(EDU)}"
    for member in BEHIND_BRIDGE:
        host.sh(f"echo {member} > /sys/bus/pci/drivers/vfio-pci/unbind", None)
    host.drivers(all_on(BEHIND_BRIDGE))
    host.until(lambda: host.sh(f"stat -c '%U %G %a' {node}", None).out.strip() == "alice kvm 660",
               "the owner of the new node")


@scenario("events lost and a storm of events: looked at again", "events")
def lost_events(host):
    # With CAP_NET_ADMIN the buffer holds every storm that udev can make here.
    drop_in = "/run/systemd/system/vfiod.service.d/small.conf"
    host.write(drop_in, "[Service]\nCapabilityBoundingSet=~CAP_NET_ADMIN\n")
    host.sh("systemctl daemon-reload; systemctl restart vfiod")
    declare_bridge_group(host)
    host.settle()
    host.drivers(all_on(BEHIND_BRIDGE))
    # More events than the receive buffer holds, and one that matters among them.
    host.sh(f"""
        pid=$(systemctl show -P MainPID vfiod)
        kill -STOP $pid
        for i in {{1..40}}; do udevadm trigger -s pci -c change; done
        udevadm settle
        echo {E1000} > /sys/bus/pci/drivers/vfio-pci/unbind
        echo > {DEVICES}/{E1000}/driver_override
        udevadm settle
        kill -CONT $pid""", seconds=120)
    host.drivers(all_on(BEHIND_BRIDGE))
    host.until(lambda: "were lost" in host.journal(), "the journal says that events were lost")
    reads = host.sh("""
        pid=$(systemctl show -P MainPID vfiod)
        reads() { sed -n 's/^syscr: //p' /proc/$pid/io; }
        before=$(reads)
        for i in {1..10}; do udevadm trigger -s pci -c change; done
        udevadm settle
        vfioctl list > /dev/null
        devices=(/sys/bus/pci/devices/*)
        echo $(( $(reads) - before )) ${#devices[@]}""", seconds=120).out.split()
    print(f"# a storm of {10 * int(reads[1])} events cost {reads[0]} reads", flush=True)
    host.sh(f"rm {drop_in}; systemctl daemon-reload; systemctl restart vfiod")


@scenario("vfiod=off on the kernel command line: nothing is touched", "off",
          cmdline="intel_iommu=on vfiod=off")
def switched_off(host):
    declare_bridge_group(host)
    host.ctl("reload")
    host.state(EDU, "blocked", "disabled")
    host.contains("bind", host.ctl(f"bind {NVME}", status=1).err, "vfiod=off")
    host.contains("state", host.sh("busctl get-property org.vfiod1 /org/vfiod1 org.vfiod1.Manager "
                                   "State").out, "disabled")
    host.same("nothing touched", host.facts(), host.initial)


@scenario("vfiod.skip= leaves out one file", "skip", cmdline="intel_iommu=on vfiod.skip=50-edu.conf")
def skipped_file(host):
    declare_bridge_group(host)
    host.declare("60-nvme.conf", f"Address={NVME}")
    host.settle()
    host.drivers({**HOST_DRIVERS, NVME: "vfio-pci"})


@scenario("systemd: log level, watchdog, status, unit files", "main")
def systemd_integration(host):
    host.sh("systemctl service-log-level vfiod debug && systemctl service-log-level vfiod | grep debug"
            " && systemctl service-log-level vfiod info")
    host.sh("[[ $(systemctl show -P WatchdogUSec vfiod) = 3min ]]")
    host.contains("status", host.sh("systemctl show -P StatusText vfiod").out, "ready")
    # What is on the bus does not write into the kernel; what does so is in the other unit.
    readers = host.sh("""
        systemctl start vfiod-worker
        for unit in vfiod vfiod-worker; do
                mounts=/proc/$(systemctl show -P MainPID $unit)/mountinfo
                ! grep -q ' /sys/bus ro,' $mounts || ! grep -q ' /sys/devices ro,' $mounts || echo $unit
        done""").out.split()
    host.same("units that see sysfs read-only", readers, ["vfiod"])
    host.sh("systemctl kill -s HUP vfiod; systemctl reload vfiod; systemctl is-active vfiod")
    host.sh("systemd-analyze verify --man=no vfiod.service vfiod-worker.service vfiod-worker.socket"
            " vfiod-wait-settled.service vfiod-settled.target")
    host.sh("journalctl --list-catalog | grep -qi vfio || { journalctl --update-catalog; "
            "journalctl --list-catalog | grep -qi vfio; }")


@scenario("a module that modprobe.d blocks is told, and nothing is left half done", "skip",
          cmdline="intel_iommu=on vfiod.skip=50-edu.conf")
def blocked_module(host):
    host.sh("modprobe -r vfio_pci; ! test -e /sys/bus/pci/drivers/vfio-pci; "
            "echo 'install vfio_pci /bin/false' > /etc/modprobe.d/block.conf")
    host.contains("bind", host.ctl(f"bind {NVME}", status=1).err, NVME, "module-blocked")
    host.same("the host", host.facts(), host.initial)
    host.sh("rm /etc/modprobe.d/block.conf")
    host.ctl(f"bind {NVME}")
    host.drivers({NVME: "vfio-pci"})
