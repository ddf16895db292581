# SPDX-License-Identifier: LGPL-2.1-or-later
"""SR-IOV on a real kernel, as an operator sees it: nine scenarios, some in several parts.

The NIC's driver makes an interface of each VF that its driver igbvf gets, and the kernel logs that.
"""

import json

from host import CONFIG, DEVICES, Failure
from scenarios import all_on, hold, kill_when, scenario
from vm import DRIVE, FILE_TEXT, NIC, NIC_MODEL, sriov_topology

SRIOV = {"topology": sriov_topology()}
MANY = {"topology": sriov_topology(127)}
VFIO = "[VirtualFunction]\nDriver=vfio\n"
ADDRESSES = VFIO + "MACAddress=02:00:00:00:10:00\nVLAN=100\nVLANQoS=3\n"
AS_MADE = {"mac": "00:00:00:00:00:00", "vlan": 0, "qos": 0, "trust": False, "spoof": True, "rate": 0}


def declare_vfs(host, count, sections=VFIO, match="Id=8086:10c9\nExpect=1", name="50-vfs.conf", more=""):
    host.write(f"{CONFIG}/{name}",
               f"[Match]\n{match}\n{more}\n[SR-IOV]\nVirtualFunctions={count}\n{sections}")


def vfs(host, pf=NIC):
    """Addresses of the VFs, by index. Counts links: reading sriov_numvfs would wait for the kernel."""
    lines = host.sh(f"cd {DEVICES}/{pf}; for l in virtfn*; do [ -L $l ] && readlink $l; done; true").out
    count = len(lines.split())
    return host.sh(f"cd {DEVICES}/{pf}; for ((i = 0; i < {count}; i++)); do "
                   "l=$(readlink virtfn$i) && echo ${l##*/}; done; true").out.split()


def on_drivers(host, drivers, pf=NIC, seconds=60):
    """Waits until the VFs are on these drivers, in the order of their indices, and returns their
    addresses. Overrides are a matter of how a driver was declared, and not looked at."""
    def seen():
        addresses, facts = vfs(host, pf), host.facts()
        return {address: facts.get(address, ("gone",))[0] for address in addresses}
    host.until(lambda: list(seen().values()) == drivers,
               lambda: f"VFs on {drivers} expected, {seen()} found", seconds)
    return vfs(host, pf)


def are_ready(host, addresses, seconds=60):
    def others():
        listed = host.listed()
        return {a: (listed[a]["state"], listed[a]["reason"]) if a in listed else None
                for a in addresses if a not in listed or listed[a]["state"] != "ready"}
    host.until(lambda: not others(), lambda: f"all ready: {others()}", seconds)


def autoprobe(host, expected, pf=NIC):
    path = f"{DEVICES}/{pf}/sriov_drivers_autoprobe"
    host.until(lambda: host.sh(f"cat {path}").out.strip() == expected, f"autoprobe {expected}", 10)


def settings(host):
    """What `ip link` says of each VF of the NIC, by index."""
    link = json.loads(host.sh(f"ip -j link show dev $(ls {DEVICES}/{NIC}/net)").out)[0]
    tags = [vf.get("vlan_list", [{}])[0] for vf in link["vfinfo_list"]]
    return [{"mac": vf["address"], "vlan": tag.get("vlan", 0), "qos": tag.get("qos", 0),
             "trust": vf["trust"], "spoof": vf["spoofchk"], "rate": vf["rate"]["max_tx"]}
            for vf, tag in zip(link["vfinfo_list"], tags)]


def addressed(index, **more):
    """The settings of a VF with the sections ADDRESSES."""
    return {**AS_MADE, "mac": f"02:00:00:00:10:{index:02x}", "vlan": 100, "qos": 3, **more}


def set_as(host, expected, seconds=30):
    host.until(lambda: settings(host) == expected,
               lambda: f"settings {expected} expected, {settings(host)} found", seconds)


def never_probed(host):
    """No VF ever had a host driver, nor an interface."""
    log = host.kernel_log()
    host.contains("kernel log", log, "VFs allocated")
    for line in log.splitlines():
        if "igbvf 0000:" in line:
            raise Failure(f"igbvf had a VF: {line}")
    recorded = host.sh("cat /run/interfaces", None).out
    if "/0000:01:1" in recorded:
        raise Failure(f"a VF had an interface:\n{recorded}")


def prepare_nic(host):
    """The NIC is up whenever it is there, as network services have it, and udev records interfaces."""
    host.write("/etc/systemd/network/10-nic.network",
               "[Match]\nDriver=igb\n[Link]\nActivationPolicy=always-up\nRequiredForOnline=no\n"
               "[Network]\nLinkLocalAddressing=no\nConfigureWithoutCarrier=yes\n")
    host.write("/etc/udev/rules.d/99-record.rules",
               'ACTION=="add", SUBSYSTEM=="net", RUN+="/bin/sh -c \'echo %p >> /run/interfaces\'"\n')
    host.sh("systemctl mask -q systemd-networkd-wait-online; systemctl enable -q --now systemd-networkd; "
            "networkctl reload; udevadm control --reload; : > /run/interfaces; modprobe igbvf")
    host.until(lambda: host.sh(f"cat {DEVICES}/{NIC}/net/*/carrier", None).out.strip() == "1",
               "the NIC is up")


def nothing_left(host, pf=NIC):
    """The files removed: no VF, the PF on its driver, autoprobe as it was."""
    host.retract()
    host.settle()
    on_drivers(host, [], pf)
    autoprobe(host, "1", pf)
    host.same("the whole host", host.facts(), host.initial)


# 1


@scenario("SR-IOV 1 seven VFs for VFIO with their settings, also after three reboots", "sriov", **SRIOV)
def seven_vfs(host):
    prepare_nic(host)
    declare_vfs(host, 7, ADDRESSES + "[VirtualFunction]\nIndex=2,5\nTrust=yes\n"
                "[VirtualFunction]\nIndex=4\nMaxTxRate=200\n", more="[Access]\nGroup=kvm\nMode=0660\n")
    host.ctl("check")
    expected = [addressed(i, trust=i in (2, 5), rate=200 if i == 4 else 0) for i in range(7)]
    host.contains("plan", host.ctl("plan --check", status=8).out, NIC)
    host.same("before the reload", host.facts(), host.initial)
    host.ctl("reload", None)
    for boot in range(4):
        if boot:
            host.guest.reboot()
        addresses = on_drivers(host, ["vfio-pci"] * 7)
        are_ready(host, [NIC, *addresses])
        set_as(host, expected, 0)
        autoprobe(host, "1")
        never_probed(host)
        host.drivers(all_on(addresses))
        for address in addresses:
            node = f"/dev/vfio/{host.group(address)}"
            host.same(node, host.sh(f"stat -c '%U %G %a' {node}").out.strip(), "root kvm 660")
            host.viable(address)
        host.ctl("wait --timeout=60")
        host.ctl("plan --check")
    items = host.listed()
    host.same("what list says", [(items[a]["pf"], items[a]["vf"]) for a in addresses],
              [(NIC, i) for i in range(7)])
    host.same("its numbers", (items[NIC]["num_vfs"], items[NIC]["total_vfs"]), (7, 7))
    host.contains("show", host.ctl(f"show {NIC}/vf4").out, "02:00:00:00:10:04", "200", addresses[4])
    nothing_left(host)


# 2


@scenario("SR-IOV 2 some VFs on their host driver; changed, only what differs is touched", "sriov", **SRIOV)
def mixed(host):
    prepare_nic(host)
    drivers = ["igbvf"] * 3 + ["vfio-pci"] * 4
    declare_vfs(host, 7, ADDRESSES + "[VirtualFunction]\nIndex=0-2\nDriver=igbvf\n")
    host.ctl("reload", None)
    addresses = on_drivers(host, drivers)
    are_ready(host, [NIC, *addresses])
    autoprobe(host, "1")
    set_as(host, [addressed(i) for i in range(7)])
    probed = {address for address in addresses if f"igbvf {address}" in host.kernel_log()}
    host.same("VFs that igbvf has had", probed, set(addresses[:3]))
    host.until(lambda: host.sh("grep -c 0000:01:1 /run/interfaces", None).out.strip() == "3",
               "their three interfaces")
    host.watch_uevents()
    declare_vfs(host, 7, ADDRESSES + "[VirtualFunction]\nIndex=0,1,3\nDriver=igbvf\n"
                "[VirtualFunction]\nIndex=5\nTrust=yes\n")
    host.ctl("reload", None)
    on_drivers(host, ["igbvf", "igbvf", "vfio-pci", "igbvf"] + ["vfio-pci"] * 3)
    are_ready(host, addresses)
    set_as(host, [addressed(i, trust=i == 5) for i in range(7)])
    events = host.all_uevents()
    host.same("devices moved", {e[0] for e in events if e[2] in ("bind", "unbind")},
              {addresses[2], addresses[3]})
    host.same("devices made or removed", [e for e in events if e[2] in ("add", "remove")], [])
    nothing_left(host)


@scenario("SR-IOV 2 a file that names a VF itself decides for it", "sriov", **SRIOV)
def named_itself(host):
    declare_vfs(host, 4, ADDRESSES)
    host.declare("60-vf.conf", f"PhysicalFunction={NIC}\nVirtualFunction=1", "Driver=none")
    host.ctl("reload", None)
    addresses = on_drivers(host, ["vfio-pci", "", "vfio-pci", "vfio-pci"])
    are_ready(host, [NIC, *addresses])
    host.same("its file", host.listed()[addresses[1]]["rule"], "60-vf.conf")
    set_as(host, [addressed(i) for i in range(4)])
    nothing_left(host)


# 3


def uptime(host, script):
    """Runs a script and returns the kernel's clock then."""
    return float(host.sh(f"{script}\nread -r now _ < /proc/uptime; echo $now").out.split()[-1])


def again(host, floor, since, what):
    """The VFs are there again, as declared. Returns how long that took besides the bare writes."""
    addresses = on_drivers(host, ["vfio-pci"] * 7)
    are_ready(host, [NIC, *addresses])
    set_as(host, [addressed(i) for i in range(7)])
    events = host.all_uevents()
    bound = [e[1] for e in events if e[0] in addresses and e[2:] == ("bind", "vfio-pci")]
    if since is None:
        since = [e[1] for e in events if e[0] == NIC and e[2:] == ("bind", "igb")][-1]
    taken = bound[-1] - since
    print(f"# {what}: as declared after {taken:.2f} s, of which the bare writes take {floor:.2f} s")
    never_probed(host)
    autoprobe(host, "1")
    return taken - floor


def soon(host, floor, begin, what):
    """Within 2 s besides the kernel's own time: once in three times, for the guest's processors are not its own."""
    late = []
    while len(late) < 3:
        host.watch_uevents()
        late.append(again(host, floor, begin(), what))
        if late[-1] < 2:
            return
    raise Failure(f"{what}: {late} s besides the bare writes")


def replug(host):
    host.guest.qmp("device_del", id=NIC_MODEL["id"])
    host.until(lambda: NIC not in host.facts(), "unplugged", 60)
    host.guest.qmp("device_add", **NIC_MODEL)


@scenario("SR-IOV 3 VFs removed, driver reloaded, card replugged: there again, soon", "sriov", **SRIOV)
def removed(host):
    prepare_nic(host)
    floor = float(host.sh(f"modprobe vfio-pci; a=$EPOCHREALTIME; floor create {NIC} 7 || exit; "
                          f"b=$EPOCHREALTIME; echo 0 > {DEVICES}/{NIC}/sriov_numvfs; "
                          "echo $(( ${b/./} - ${a/./} ))").out) / 1e6
    declare_vfs(host, 7, ADDRESSES)
    host.settle()
    on_drivers(host, ["vfio-pci"] * 7)

    soon(host, floor, lambda: uptime(host, f"echo 0 > {DEVICES}/{NIC}/sriov_numvfs"), "VFs removed")
    soon(host, floor, lambda: host.sh("modprobe -r igb && modprobe igb") and None, "driver reloaded")
    soon(host, floor, lambda: replug(host), "card replugged")
    nothing_left(host)


# 4


@scenario("SR-IOV 4 another number is refused while a VF is open, and nothing is touched", "sriov", **SRIOV)
def held(host):
    prepare_nic(host)
    declare_vfs(host, 7, ADDRESSES)
    host.settle()
    addresses = on_drivers(host, ["vfio-pci"] * 7)
    hold(host, addresses[3])
    facts, pid = host.facts(), host.sh("systemctl show -P MainPID hold").out.strip()
    host.watch_uevents()
    host.contains("sriov", host.ctl(f"sriov {NIC} 5", status=3).err, "vfs-in-use", "vfio-open", pid)
    host.contains("sriov", host.ctl(f"sriov {NIC} 5", status=3).err, "--accept=vfs-in-use")
    declare_vfs(host, 5, ADDRESSES)
    host.ctl("reload", None)
    host.state(NIC, "blocked", "vfs-in-use")
    host.contains("explain", host.ctl(f"explain {NIC}").out, "vfs-in-use", "vfio-open", pid)
    host.contains("journal", host.journal(), "vfs-in-use")
    host.same("drivers and overrides", host.facts(), facts)
    set_as(host, [addressed(i) for i in range(7)], 0)
    host.same("events", [e for e in host.all_uevents() if e[0] in (NIC, *addresses)], [])
    host.sh("systemctl stop hold")
    host.ctl("reload", None)
    are_ready(host, [NIC, *on_drivers(host, ["vfio-pci"] * 5)])
    set_as(host, [addressed(i) for i in range(5)])
    nothing_left(host)


@scenario("SR-IOV 4 a VF whose interface the host uses is in use; --accept goes on", "sriov", **SRIOV)
def interface_used(host):
    prepare_nic(host)
    declare_vfs(host, 2, "[VirtualFunction]\nDriver=igbvf\n")
    host.ctl("reload", None)
    addresses = on_drivers(host, ["igbvf"] * 2)
    are_ready(host, [NIC, *addresses])
    host.sh(f"ip link set $(ls {DEVICES}/{addresses[1]}/net) up")
    host.contains("sriov", host.ctl(f"sriov {NIC} 1", status=3).err, "vfs-in-use")
    host.same("addresses", vfs(host), addresses)
    host.ctl(f"sriov --accept=vfs-in-use {NIC} 1")
    are_ready(host, [NIC, *on_drivers(host, ["igbvf"])])
    host.ctl("reload --forget")
    are_ready(host, [NIC, *on_drivers(host, ["igbvf"] * 2)])
    nothing_left(host)


# 5


def read_all_through(host):
    """Reads a file on the PF's namespace, past the page cache, until the unit `reader` is stopped."""
    host.sh("mkdir -p /mnt/drive; mount /dev/disk/by-path/pci-0000:02:00.0-nvme-1 /mnt/drive; "
            "rm -f /run/read; systemd-run -q --unit=reader --collect bash -c "
            "'while dd if=/mnt/drive/file iflag=direct bs=4096 status=none; do echo; sleep 0.1; done "
            "> /run/read'")


def was_read_all_through(host):
    host.sh("systemctl is-active reader && systemctl stop reader; umount /mnt/drive")
    lines = host.sh("cat /run/read").out.splitlines()
    host.same("what was read", set(lines), {FILE_TEXT})
    if len(lines) < 10:
        raise Failure(f"read {len(lines)} times only")


def drive_vfs(host, declared, count):
    read_all_through(host)
    declare_vfs(host, declared, match=f"Address={DRIVE}")
    host.ctl("reload", None)
    addresses = on_drivers(host, ["vfio-pci"] * count, DRIVE)
    are_ready(host, [DRIVE, *addresses])
    host.drivers({DRIVE: "nvme", **all_on(addresses)})
    autoprobe(host, "1", DRIVE)
    host.same("VFs", host.listed()[DRIVE]["num_vfs"], count)
    log = host.kernel_log()
    host.same("VFs that nvme has had", [a for a in addresses if f"pci function {a}" in log], [])
    host.same("nodes", host.sh("ls /dev/vfio | grep -c '^[0-9]'").out.strip(), str(count))
    nothing_left(host, DRIVE)
    was_read_all_through(host)


@scenario("SR-IOV 5 sixteen VFs of an NVMe drive whose namespace is mounted", "sriov", **SRIOV)
def sixteen(host):
    drive_vfs(host, 16, 16)


@scenario("SR-IOV 5 all 127 VFs of an NVMe drive whose namespace is mounted", "sriov-127", **MANY)
def hundred_and_twenty_seven(host):
    drive_vfs(host, "max", 127)


# 6


@scenario("SR-IOV 6 a PF with VFs is refused to VFIO", "sriov", **SRIOV)
def pf_to_vfio(host):
    host.sh(f"cd {DEVICES}/{DRIVE}; echo 0 > sriov_drivers_autoprobe; echo 4 > sriov_numvfs; "
            "echo 1 > sriov_drivers_autoprobe")
    facts = host.facts()
    host.contains("bind", host.ctl(f"bind {DRIVE}", status=3).err, "vfs-exist")
    host.declare("50-drive.conf", f"Address={DRIVE}")
    host.ctl("reload", None)
    host.state(DRIVE, "blocked", "vfs-exist")
    host.same("drivers and overrides", host.facts(), facts)
    host.retract()
    host.settle()
    host.sh(f"echo 0 > {DEVICES}/{DRIVE}/sriov_numvfs")


@scenario("SR-IOV 6 a PF's driver goes and leaves VFs behind: told, and right again with it", "sriov", **SRIOV)
def driver_gone(host):
    declare_vfs(host, 4, match=f"Address={DRIVE}")
    host.settle()
    on_drivers(host, ["vfio-pci"] * 4, DRIVE)
    host.sh(f"echo {DRIVE} > /sys/bus/pci/drivers/nvme/unbind")
    host.state(DRIVE, "pending", "sriov-driver-missing")
    host.sh("systemctl is-active vfiod")
    host.same("still there", len(vfs(host, DRIVE)), 4)
    declare_vfs(host, 8, match=f"Address={DRIVE}")
    host.ctl("reload", None)
    host.contains("explain", host.ctl(f"explain {DRIVE}").out, "sriov-driver-missing")
    host.same("still there", len(vfs(host, DRIVE)), 4)
    host.sh(f"echo {DRIVE} > /sys/bus/pci/drivers/nvme/bind")
    addresses = on_drivers(host, ["vfio-pci"] * 8, DRIVE)
    are_ready(host, [DRIVE, *addresses])
    nothing_left(host, DRIVE)


# 7


@scenario("SR-IOV 7 what no file can mean is refused by check, with its place", "sriov", **SRIOV)
def refused_by_check(host):
    for line, section in (("MACAddress=03:00:00:00:10:00", VFIO), ("VLAN=5000", VFIO),
                          ("Index=3,7", VFIO), ("VLANQoS=8", VFIO), ("Trust=perhaps", VFIO)):
        declare_vfs(host, 7, section + line + "\n")
        number = host.sh(f"grep -n '^{line}' {CONFIG}/50-vfs.conf").out.split(":")[0]
        result = host.ctl("check", status=1)
        host.contains(line, result.out + result.err, f"50-vfs.conf:{number}:")
    host.ctl("reload", None)
    host.same("nothing made", vfs(host), [])


@scenario("SR-IOV 7 too many VFs: blocked, and none is made", "sriov", **SRIOV)
def too_many(host):
    declare_vfs(host, 8)
    host.ctl("reload", None)
    host.state(NIC, "blocked", "sriov-too-many")
    host.contains("explain", host.ctl(f"explain {NIC}").out, "sriov-too-many", "7")
    host.contains("sriov", host.ctl(f"sriov {NIC} 8", status=3).err, "sriov-too-many")
    host.contains("sriov", host.ctl(f"sriov {NIC}/vf0 1", status=5).err, "no VF 0")
    host.contains("sriov", host.ctl("sriov 0000:00:1f.2 1", status=5).err, "sriov-unsupported")
    host.same("nothing made", vfs(host), [])


@scenario("SR-IOV 7 a setting that the PF's driver rejects: told for its VF, the rest in place", "sriov", **SRIOV)
def rejected(host):
    prepare_nic(host)
    declare_vfs(host, 4, ADDRESSES + "[VirtualFunction]\nIndex=1\nLinkState=enable\nTrust=yes\n"
                "[VirtualFunction]\nIndex=2\nMaxTxRate=2000\n")
    host.ctl("reload", None)
    addresses = on_drivers(host, ["vfio-pci"] * 4)
    for index, name, errno in ((1, "LinkState", "EOPNOTSUPP|not supported"),
                               (2, "MaxTxRate", "EINVAL|Invalid argument")):
        host.state(addresses[index], "failed", "vf-setting-rejected")
        text = host.ctl(f"explain {addresses[index]}").out
        host.contains("explain", text, name)
        if not any(word in text for word in errno.split("|")):
            raise Failure(f"no {errno} in\n{text}")
    are_ready(host, [NIC, addresses[0], addresses[3]])
    set_as(host, [addressed(i, trust=i == 1) for i in range(4)])
    host.contains("journal", host.journal(), "vf-setting-rejected", addresses[1])
    autoprobe(host, "1")
    never_probed(host)
    nothing_left(host)


# 8


def pf_file(name):
    return f"devices/{NIC}/{name}"


def of_vfs(test, joint):
    return f" {joint} ".join(test.format(pf_file(f"virtfn{i}")) for i in range(7))


AUTOPROBE_IS = "{{ read -r a < " + pf_file("sriov_drivers_autoprobe") + " && [[ $a = {} ]]; }}"
ALL_BOUND = "[[ " + of_vfs("-e {}/driver", "&&") + " ]]"
CREATION_MOMENTS = {
    "at once": "true",
    "autoprobe 0": AUTOPROBE_IS.format(0),
    "first VF": f"[[ -e {pf_file('virtfn0')} ]]",
    "fourth VF": f"[[ -e {pf_file('virtfn3')} ]]",
    "last VF": f"[[ -e {pf_file('virtfn6')} ]]",
    "a moment later": f"[[ -e {pf_file('virtfn6')} ]] && sleep 0.05",
    "first override": of_vfs("{{ read -r o < {}/driver_override && [[ $o = vfio-pci ]]; }}", "||"),
    "first VF bound": "[[ " + of_vfs("-e {}/driver", "||") + " ]]",
    "all VFs bound": ALL_BOUND,
    "autoprobe back": f"{ALL_BOUND} && {AUTOPROBE_IS.format(1)}",
}


@scenario("SR-IOV 8 killed at ten points of a creation: converges, no VF bound wrongly", "sriov", **SRIOV)
def killed_in_creation(host):
    prepare_nic(host)
    for name, moment in CREATION_MOMENTS.items():
        print(f"# killed: {name}", flush=True)
        host.mark_journal()
        declare_vfs(host, 7, ADDRESSES)
        host.watch_uevents()
        kill_when(host, "vfioctl reload", f"{{ {moment}; }} 2> /dev/null")
        addresses = on_drivers(host, ["vfio-pci"] * 7)
        are_ready(host, [NIC, *addresses])
        set_as(host, [addressed(i) for i in range(7)])
        autoprobe(host, "1")
        never_probed(host)
        drivers = {e[3] for e in host.all_uevents() if e[0] in addresses and e[2] == "bind"}
        host.same("drivers that had VFs", drivers, {"vfio-pci"})
        nothing_left(host)


# 9


@scenario("SR-IOV 9 a VF given to its host driver under autoprobe 0 really has it", "sriov", **SRIOV)
def given_under_autoprobe_0(host):
    prepare_nic(host)
    switch = f"{DEVICES}/{NIC}/sriov_drivers_autoprobe"
    host.sh(f"echo 0 > {switch}")
    declare_vfs(host, 3, ADDRESSES)
    host.settle()
    addresses = on_drivers(host, ["vfio-pci"] * 3)
    declare_vfs(host, 3, ADDRESSES + "[VirtualFunction]\nIndex=1\nDriver=host\n")
    host.ctl("reload", None)
    on_drivers(host, ["vfio-pci", "igbvf", "vfio-pci"])
    are_ready(host, [NIC, *addresses])
    host.same("its override", host.facts()[addresses[1]], ("igbvf", "(null)"))
    autoprobe(host, "0")
    host.retract()
    host.settle()
    on_drivers(host, [])
    autoprobe(host, "0")
    host.sh(f"echo 1 > {switch}")


@scenario("SR-IOV 9 a VF bound by hand and released under autoprobe 0 has its host driver", "sriov", **SRIOV)
def released_under_autoprobe_0(host):
    switch, number = (f"{DEVICES}/{NIC}/{name}" for name in ("sriov_drivers_autoprobe", "sriov_numvfs"))
    host.sh(f"echo 2 > {number}; echo 0 > {switch}", seconds=120)
    on_drivers(host, ["igbvf"] * 2)
    host.ctl(f"bind {NIC}/vf1")
    addresses = on_drivers(host, ["igbvf", "vfio-pci"])
    host.ctl(f"release {NIC}/vf1")
    on_drivers(host, ["igbvf"] * 2)
    host.same("its override", host.facts()[addresses[1]], ("igbvf", "(null)"))
    host.sh(f"echo 0 > {number}; echo 1 > {switch}")


# What goes with it


@scenario("SR-IOV settings that someone changed are put right", "sriov", **SRIOV)
def settings_drift(host):
    prepare_nic(host)
    declare_vfs(host, 2, ADDRESSES)
    host.settle()
    are_ready(host, [NIC, *on_drivers(host, ["vfio-pci"] * 2)])
    host.watch_uevents()
    host.sh(f"n=$(ls {DEVICES}/{NIC}/net); ip link set $n vf 1 vlan 7; ip link set $n vf 0 trust on")
    # Nobody has declared anything of trust: that is left as it is.
    set_as(host, [addressed(0, trust=True), addressed(1)])
    host.same("devices moved", [e for e in host.all_uevents() if e[2] in ("bind", "unbind")], [])
    nothing_left(host)


@scenario("SR-IOV the PF's interface is in another network namespace: told, VFs bound", "sriov", **SRIOV)
def other_namespace(host):
    host.sh(f"systemctl stop systemd-networkd; ip netns add away; "
            f"ip link set $(ls {DEVICES}/{NIC}/net) netns away")
    declare_vfs(host, 2, ADDRESSES)
    host.ctl("reload", None)
    addresses = on_drivers(host, ["vfio-pci"] * 2)
    host.state(addresses[0], "failed", "vf-setting-rejected")
    host.contains("explain", host.ctl(f"explain {addresses[0]}").out, "namespace")
    host.sh("ip -n away link set enp1s0 netns 1; ip netns del away; systemctl start systemd-networkd")
    are_ready(host, [NIC, *addresses])
    set_as(host, [addressed(i) for i in range(2)])
    nothing_left(host)


@scenario("SR-IOV vfioctl sriov makes VFs, release takes them back", "sriov", **SRIOV)
def by_request(host):
    host.ctl(f"sriov {NIC} 3", user="alice", status=4)
    host.same("refused", vfs(host), [])
    host.ctl(f"sriov --dry-run {NIC} 3")
    host.same("only planned", vfs(host), [])
    host.ctl(f"sriov {DRIVE} 3")
    host.same("made", len(vfs(host, DRIVE)), 3)
    host.ctl(f"bind '{DRIVE}/vf*'")
    on_drivers(host, ["vfio-pci"] * 3, DRIVE)
    host.contains("list", host.ctl(f"list {DRIVE} '{DRIVE}/vf*'").out, "─0000:02:00.1")
    host.ctl(f"release {DRIVE}")
    on_drivers(host, [], DRIVE)
    host.ctl("reload --forget")
