#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What vfioctl says of a made-up host below --root=: tables, JSON, plans, exit statuses. And that
# --help, the bash completion and the man page know the same verbs and options.
#
#   VFIOCTL=build/vfioctl tests/ctl/test-offline.sh

set -u
vfioctl=${VFIOCTL:?path of vfioctl}
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
root=$dir/root
failures=0
export LC_ALL=C.UTF-8 NO_COLOR=1

fail() {
        printf 'FAIL: %s\n' "$1"
        [ -n "${2-}" ] && printf '%s\n' "$2" | sed 's/^/      /'
        failures=$((failures + 1))
}

# run STATUS ARGUMENT...: output in $out, diagnostics in $err
run() {
        local expected=$1 status
        shift
        out=$("$vfioctl" "$@" 2>"$dir/stderr" </dev/null)
        status=$?
        err=$(cat "$dir/stderr")
        [ "$status" = "$expected" ] || fail "'$*' exited $status, expected $expected" "$out$err"
}

# has WHAT TEXT PATTERN...
has() {
        local what=$1 text=$2
        shift 2
        for pattern in "$@"; do
                printf '%s\n' "$text" | grep -Eq -- "$pattern" || fail "$what: no '$pattern' in" "$text"
        done
}

hasnt() {
        printf '%s\n' "$2" | grep -Eq -- "$3" && fail "$1: '$3' in" "$2"
        return 0
}

# json EXPRESSION: a Python expression over the parsed output `j` is true
json() {
        printf '%s' "$out" | python3 -m json.tool >/dev/null || fail "no JSON" "$out"
        printf '%s' "$out" | python3 -c "import json, sys
j = json.load(sys.stdin)
sys.exit(0 if ($1) else 1)" || fail "not so: $1" "$out"
}

# device ADDRESS VENDOR DEVICE CLASS(6 digits) GROUP DRIVER
device() {
        local d=$root/sys/devices/pci0000:00/$1 c=$4
        mkdir -p "$d"
        ln -sfn "../../../devices/pci0000:00/$1" "$root/sys/bus/pci/devices/$1"
        printf 'pci:v0000%sd0000%ssv00001AF4sd00001100bc%ssc%si%s\n' "${2^^}" "${3^^}" \
                "${c:0:2}" "${c:2:2}" "${c:4:2}" >"$d/modalias"
        for pair in "vendor 0x$2" "device 0x$3" "subsystem_vendor 0x1af4" "subsystem_device 0x1100" \
                "class 0x$c" "revision 0x01" "numa_node 0" "driver_override (null)"; do
                printf '%s\n' "${pair#* }" >"$d/${pair%% *}"
        done
        if [ -n "$5" ]; then
                mkdir -p "$root/sys/kernel/iommu_groups/$5/devices"
                ln -sfn "../../../kernel/iommu_groups/$5" "$d/iommu_group"
                ln -sfn "../../../../devices/pci0000:00/$1" "$root/sys/kernel/iommu_groups/$5/devices/$1"
        fi
        if [ -n "$6" ]; then
                mkdir -p "$root/sys/bus/pci/drivers/$6"
                ln -sfn "../../../bus/pci/drivers/$6" "$d/driver"
        fi
}

netdev() {
        local n=$root/sys/devices/pci0000:00/$1/net/$2
        mkdir -p "$n"
        echo "$3" >"$n/address"
        echo 0 >"$n/addr_assign_type"
        echo 0 >"$n/dev_port"
}

make_host() {
        local pf=$root/sys/devices/pci0000:00/0000:05:00.0
        mkdir -p "$root"/sys/{bus/pci/{devices,drivers/vfio-pci,slots},class/iommu,kernel/iommu_groups} \
                "$root"/sys/module/{vfio_pci,vfio_iommu_type1/parameters,vfio} \
                "$root"/{etc/vfiod/devices.d,run,var/lib,dev/vfio,proc/sys/kernel/random}
        echo 6.1.0-test >"$root/proc/sys/kernel/osrelease"
        echo 'root=/dev/vda1 quiet' >"$root/proc/cmdline"
        echo 12345678-1234-1234-1234-123456789abc >"$root/proc/sys/kernel/random/boot_id"
        echo N >"$root/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
        mkdir -p "$root/sys/devices/virtual/iommu/dmar0/intel-iommu"
        echo f020df >"$root/sys/devices/virtual/iommu/dmar0/intel-iommu/ecap"
        ln -s ../../devices/virtual/iommu/dmar0 "$root/sys/class/iommu/dmar0"
        touch "$root/dev/vfio/vfio"

        device 0000:03:00.0 1b36 000e 060400 13 pcieport
        device 0000:04:00.0 8086 100e 020000 13 e1000
        device 0000:04:01.0 1234 11e8 00ff00 13 ''
        device 0000:04:02.0 1b36 0005 00ff00 13 ''
        netdev 0000:04:00.0 enp4s0 52:54:00:12:34:56
        device 0000:05:00.0 8086 10c9 020000 14 igb
        netdev 0000:05:00.0 enp5s0 02:00:00:00:00:01
        device 0000:05:10.0 8086 10ca 020000 15 ''
        ln -s ../0000:05:10.0 "$pf/virtfn0"
        ln -s ../0000:05:00.0 "$root/sys/devices/pci0000:00/0000:05:10.0/physfn"
        echo 7 >"$pf/sriov_totalvfs"
        echo 1 >"$pf/sriov_numvfs"
        echo 1 >"$pf/sriov_drivers_autoprobe"
        device 0000:06:00.0 10de 2684 030000 16 vfio-pci
        echo 1 >"$root/sys/devices/pci0000:00/0000:06:00.0/boot_vga"
        touch "$root/dev/vfio/16"
}

# declare NAME LINE...
declare_file() {
        local name=$1
        shift
        printf '%s\n' "$@" >"$root/etc/vfiod/devices.d/$name"
}

test_list() {
        run 0 --root="$root" list
        has list "$out" '^ADDRESS +ID +CLASS +DRIVER +GROUP +STATE +REASON +RULE' \
                '^0000:04:00.0 +8086:100e +020000 +e1000 +13 +unmanaged +- +-' \
                '^0000:04:01.0 +1234:11e8 +00ff00 +- +13 +unmanaged'
        [ "$(printf '%s\n' "$out" | grep -oE '^[^0-9A-Z]*[0-9:.]{12}' | sed 's/^└─0000:05:10/0000:05:10/')" = \
                "$(ls "$root/sys/bus/pci/devices")" ] ||
                fail 'list: not all devices by address, the VF below its PF' "$out"
        hasnt 'list with --root= speaks of no daemon' "$err" .
        run 0 --root="$root" --no-legend
        hasnt 'no legend' "$out" ADDRESS
        out=$(LC_ALL=C "$vfioctl" --root="$root" list)
        has 'list in plain ASCII' "$out" '^`-0000:05:10.0 +8086:10ca'
        run 0 --root="$root" list '04:*' enp5s0 05:00.0/vf0
        [ "$(printf '%s\n' "$out" | tail -n +2 | wc -l)" = 5 ] || fail 'list of words' "$out"
        run 0 --root="$root" list --json=short
        json '[list(d) for d in j] == [["address", "id", "class", "driver", "state", "reason",
                "group", "numa_node", "pf", "vf", "num_vfs", "total_vfs", "vfio_node", "rule"]] * 7'
        json 'j[0]["class"] == "060400" and j[2]["driver"] is None and j[2]["group"] == 13'
        json 'j[5]["pf"] == "0000:05:00.0" and j[5]["vf"] == 0 and j[4]["vf"] is None'
        json 'j[4]["num_vfs"] == 1 and j[4]["total_vfs"] == 7 and j[4]["numa_node"] == 0'
        json 'j[6]["vfio_node"] == "/dev/vfio/16"'
        [ "$(printf '%s\n' "$out" | wc -l)" = 1 ] || fail 'short JSON is not one line'
        run 0 --root="$root" list --json=pretty
        json 'len(j) == 7'
        run 5 --root="$root" list 0000:99:00.0
        has 'no device' "$err" "^vfioctl: no such device: '0000:99:00.0'; 'vfioctl list' has all$"
        [ -z "$out" ] || fail 'output in spite of an error' "$out"
}

# addresses WORD...: which devices the words name
addresses() {
        run 0 --root="$root" list --json=short "$@"
        printf '%s' "$out" | python3 -c 'import json, sys; print(*[d["address"] for d in json.load(sys.stdin)])'
}

test_vf_names() {
        for name in 0000:05:00.0/vf0 05:00.0/vf0 enp5s0/vf0 group:14/vf0 'enp5s0/vf*' '05:*/vf[0-3]'; do
                [ "$(addresses "$name")" = 0000:05:10.0 ] || fail "'$name' is not the VF"
        done
        run 0 --root="$root" list 05:00.0/vf0
        has 'a VF without its PF' "$out" '^0000:05:10.0 '
        run 5 --root="$root" show enp5s0/vf9
        has 'no such VF' "$err" '^vfioctl: 0000:05:00.0 has no VF 9: it has 1 \(0 to 0\)$'
        run 5 --root="$root" list 04:00.0/vf0
        has 'VF of no PF' "$err" '^vfioctl: 0000:04:00.0: sriov-unsupported: .* \(.*\)$'
        run 5 --root="$root" list eth9/vf0
        has 'VF of nothing' "$err" "^vfioctl: no such device: 'eth9/vf0'; 'vfioctl list' has all$"
}

test_names_of_any_bytes() {
        mkdir -p "$root/proc/77/fd"
        echo $'qemu\xff' >"$root/proc/77/comm"
        ln -s /dev/vfio/16 "$root/proc/77/fd/3"
        run 0 --root="$root" show --json=short 06:00.0
        printf '%s' "$out" | python3 -c 'import sys; sys.stdin.buffer.read().decode("utf-8")' ||
                fail 'JSON that is no UTF-8' "$out"
        json '"qemu?" in j["holders"][0]'
        rm -r "$root/proc/77"
}

test_groups() {
        run 0 --root="$root" groups
        has groups "$out" '^GROUP' '^13' '[├|]-?─?0000:04:00.0 +8086:100e +020000 +e1000 +unmanaged' \
                '^16 .*/dev/vfio/16$' '^14' '^└─0000:05:00.0' '^  └─15' '^    └─0000:05:10.0'
        run 0 --root="$root" groups --json=short
        json '[g["number"] for g in j] == [13, 14, 15, 16]'
        json 'j[0]["members"] == ["0000:04:00.0", "0000:04:01.0", "0000:04:02.0"]'
        json 'j[0]["bridges"] == ["0000:03:00.0"] and j[3]["vfio_node"] == "/dev/vfio/16"'
}

test_show() {
        run 0 --root="$root" show 04:00.0
        has show "$out" '^ *Address: 0000:04:00.0$' '^ *Driver: e1000$' '^ *NUMA node: 0$' \
                '^ *Network interfaces: enp4s0$' '^ *MAC address: 52:54:00:12:34:56$' \
                '^ *Driver override: -$'
        hasnt 'show of no PF' "$out" unction:
        run 0 --root="$root" show 05:00.0
        has 'show PF' "$out" '^Physical function:$' '^ *Total VFs: 7$' '^ *Num VFs: 1$' \
                '^ *Drivers autoprobe: yes$' '^ *Declared VFs: -$' '^ *Virtual functions: 0000:05:10.0$'
        run 0 --root="$root" show --json=short enp5s0/vf0
        json 'j["pf"] == "0000:05:00.0" and j["vf"] == 0 and "virtual_function" not in j'
        echo vfio-pci >"$root/sys/devices/pci0000:00/0000:06:00.0/driver_override"
        run 0 --root="$root" show 06:00.0 --json=short
        json 'j["address"] == "0000:06:00.0" and j["driver_override"] == "vfio-pci" and j["boot_vga"]'
        run 0 --root="$root" show group:13 -j
        json 'len(j) == 4'
        declare_file 50-absent.conf '[Match]' 'Address=0000:99:00.0' '[Device]' 'Driver=vfio'
        run 0 --root="$root" show --json=short 99:00.0
        json 'j["state"] == "absent" and not [k for k in ("id", "class", "subsystem_id", "path", "group") if j[k]]'
        rm "$root/etc/vfiod/devices.d/50-absent.conf"
        run 5 --root="$root" show eth99
        run 2 --root="$root" show
}

test_plan_sriov() {
        local driver=$root/sys/devices/pci0000:00/0000:05:00.0/driver
        declare_file 50-nic.conf '[Match]' 'Address=05:00.0' '[SR-IOV]' 'VirtualFunctions=3' \
                '[VirtualFunction]' 'Driver=vfio' 'VLAN=100'
        run 8 --root="$root" plan --check
        has 'plan of a PF' "$out" '^0000:05:00.0 and its VFs:$' '^ +[12]\. 0000:05:00.0: .*0' '^ +[45]\. 0000:05:00.0: .*3'
        run 0 --root="$root" plan -j
        json '[(s["kind"], s["argument"]) for s in j] == [("set-autoprobe", "0"), ("set-numvfs", "0"),
                ("wait-vfs", "0"), ("set-numvfs", "3"), ("wait-vfs", "3")]'
        run 0 --root="$root" show 05:00.0 -j
        json 'j["physical_function"]["declared_vfs"] == 3 and j["state"] == "pending"'
        run 0 --root="$root" explain enp5s0 enp5s0/vf0
        has 'explain of PF and VF' "$out" '^0000:05:00.0: pending: ' '^0000:05:10.0: pending: '

        device 0000:05:10.0 8086 10ca 020000 15 vfio-pci
        mkdir -p "$root/proc/4711/fd"
        echo qemu >"$root/proc/4711/comm"
        ln -s /dev/vfio/15 "$root/proc/4711/fd/9"
        run 8 --root="$root" plan --check
        has 'a VF in use' "$out" ' 0000:05:00.0: refused: vfs-in-use: .*0000:05:10.0.*qemu.*4711'
        hasnt 'nothing else is done' "$out" '^ +[0-9]+\. 0000:05'
        run 0 --root="$root" who enp5s0/vf0 05:00.0 04:00.0
        has 'who' "$out" '^ADDRESS +USE +BY$' '^0000:05:10.0 +device-in-use +qemu \(4711\) has /dev/vfio/15 open$'
        hasnt 'who' "$out" '^0000:04'
        run 0 --root="$root" who -j 04:00.0
        json 'j == []'
        run 5 --root="$root" who '03:*'
        has 'a bridge' "$err" "^vfioctl: '03:\*' names only bridges or .*, which never move$"
        run 5 --root="$root" who 99:00.0
        run 2 --root="$root" who
        rm -r "$root/proc/4711" "$root/sys/devices/pci0000:00/0000:05:10.0/driver"

        mv "$driver" "$dir/driver"
        run 8 --root="$root" plan --check
        has 'a PF without its driver' "$out" ' 0000:05:00.0: waits: sriov-driver-missing: .* \(.*\)$'
        hasnt 'what waits' "$out" refused
        mv "$dir/driver" "$driver"
        declare_file 50-nic.conf '[Match]' 'Address=05:00.0' '[SR-IOV]' 'VirtualFunctions=8'
        run 8 --root="$root" plan --check
        has 'too many' "$out" ' 0000:05:00.0: refused: sriov-too-many: '
        declare_file 50-nic.conf '[Match]' 'Address=05:00.0' '[SR-IOV]' 'VirtualFunctions=1' \
                '[VirtualFunction]' 'VLAN=100'
        run 0 --root="$root" plan --check
        has 'settings of VFs offline' "$err" '^vfioctl: settings of VFs .*not planned for$'
        rm "$root/etc/vfiod/devices.d/50-nic.conf"
}

test_plan() {
        run 0 --root="$root" plan --check
        has plan "$out" '^Nothing to do: every declared device is as declared\.$'
        declare_file 50-edu.conf '[Match]' 'Address=04:01.0' '[Device]' 'Driver=vfio'
        run 0 --root="$root" plan
        has plan "$out" '^IOMMU group 13:$' '^ +1\. ' '0000:04:00.0: unbind from e1000' \
                '0000:04:00.0: bind to vfio-pci' '0000:04:02.0: bind to vfio-pci'
        hasnt 'plan: the bridge' "$out" 0000:03:00.0
        run 8 --root="$root" plan --check
        hasnt 'plan of a boot with vfiod' "$err" .
        echo 'quiet vfiod=off' >"$root/proc/cmdline"
        run 0 --root="$root" plan
        has 'plan of a boot without vfiod' "$err" 'vfiod=off .*nothing'
        echo 'quiet' >"$root/proc/cmdline"
        run 0 --root="$root" plan --json=short
        json 'all(s["type"] == "step" and s["group"] == 13 for s in j)'
        json '[s["device"] for s in j if s["kind"] == "unbind"] == ["0000:04:00.0"]'
        run 0 --root="$root" list --json=short 04:01.0 04:00.0 05:00.0
        json '[d["state"] for d in j] == ["pending", "pending", "unmanaged"]'
        json 'j[1]["rule"] == "50-edu.conf" and j[1]["reason"] == "waiting"'
}

test_refused() {
        declare_file 60-strict.conf '[Match]' 'Address=0000:04:02.0' '[Device]' 'Driver=vfio' 'Group=strict'
        rm "$root/etc/vfiod/devices.d/50-edu.conf"
        run 8 --root="$root" plan --check
        has refusal "$out" ' 0000:04:0[01]\.0: refused: group-foreign-member: .* \(.*\)$'
        hasnt 'a refused unit has steps' "$out" '^ +1\.'
        run 0 --root="$root" explain 04:02.0
        has explain "$out" '^0000:04:02.0: blocked: group-foreign-member: ' '^  Fact: ' '^  Remedy: ' \
                '^  Rule: .*60-strict.conf$'
        run 0 --root="$root" explain 04:02.0 --json=pretty
        json 'j["state"] == "blocked" and j["reason"] == "group-foreign-member" and j["group"] == 13'
        run 0 --root="$root" explain enp5s0
        has explain "$out" '^0000:05:00.0: unmanaged\.$' 'no file names this device'
        rm "$root/etc/vfiod/devices.d/60-strict.conf"
}

test_check() {
        declare_file 50-edu.conf '[Match]' 'Address=04:01.0' '[Device]' 'Driver=vfio'
        run 0 --root="$root" check
        has check "$out" '^1 device files: 1 rules$'
        declare_file 51-bad.conf '[Match]' 'Address=0000:zz:00.0' '[Device]' 'Driver=vfio'
        run 1 --root="$root" check
        has check "$out" '51-bad\.conf:2:[0-9]+: error: ' '1 files in error'
        run 1 --root="$root" check --json=short
        json 'j[0]["line"] == 2 and j[0]["error"] is True and j[0]["path"].endswith("51-bad.conf")'
        run 0 check "$root/etc/vfiod/devices.d/50-edu.conf"
        run 1 check "$root/etc/vfiod/devices.d/51-bad.conf"
        has 'check FILE' "$out" '51-bad\.conf:2:[0-9]+: error: '
        run 0 --root="$root" plan
        has 'plan beside a bad file' "$out" '0000:04:01.0: bind to vfio-pci'
        has 'plan says it' "$err" "see 'vfioctl check'"
        run 1 --root="$root" doctor
        has doctor "$out" '^fail configuration:'
        rm "$root"/etc/vfiod/devices.d/*
        for file in "$top"/docs/examples/*.conf; do
                run 0 check "$file"
                [ -z "$out" ] || fail "$file has warnings" "$out"
        done
}

test_doctor() {
        run 0 --root="$root" doctor
        has doctor "$out" '^ok   iommu: in use: dmar0$' '^ok   iommu-groups: 4 groups' \
                '^ok   interrupt-remapping: ' '^ok   module-vfio-pci: ' '^ok   vfio-node: ' \
                '^ok   sriov: 1 devices .* 1 exist$' '^ok   configuration: '
        hasnt 'doctor: daemon' "$out" daemon
        hasnt 'a kernel that tells of no resets' "$out" '^warn reset'
        echo 'flr pm bus' >"$root/sys/devices/pci0000:00/0000:05:00.0/reset_method"
        run 0 --root="$root" doctor
        has 'no reset' "$out" '^warn reset: .*users: 0000:06:00.0$' 'remedy: give them only'

        echo f020d7 >"$root/sys/class/iommu/dmar0/intel-iommu/ecap"
        run 1 --root="$root" doctor
        has 'no interrupt remapping' "$out" '^fail interrupt-remapping: ' 'remedy: .*allow_unsafe_interrupts=1'
        echo Y >"$root/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
        run 0 --root="$root" doctor
        has 'unsafe interrupts' "$out" '^warn interrupt-remapping: '

        rm "$root/sys/class/iommu/dmar0"
        run 1 --root="$root" doctor
        has 'no tables' "$out" '^fail iommu: ' 'remedy: .*\(BIOS\)'
        mkdir -p "$root/sys/firmware/acpi/tables"
        touch "$root/sys/firmware/acpi/tables/DMAR"
        run 1 --root="$root" doctor
        has 'switched off' "$out" '^fail iommu: .*DMAR' 'remedy: add intel_iommu=on'

        rm -r "$root/sys/module/vfio_pci"
        mkdir -p "$root/lib/modules/6.1.0-test" "$root/etc/driverctl.d"
        echo 'kernel/drivers/vfio/vfio-other.ko: kernel/x.ko' >"$root/lib/modules/6.1.0-test/modules.dep"
        touch "$root/etc/driverctl.d/0000:06:00.0"
        touch "$root"/etc/vfiod/devices.d/{50-one,51-two,52-three}.conf
        echo 'quiet vfio-pci.ids=10de:2684 vfiod=off vfiod.skip=50-one.conf,51-two.conf vfiod.skip=52-three.conf' \
                >"$root/proc/cmdline"
        run 1 --root="$root" doctor
        has doctor "$out" '^fail module-vfio-pci: vfio_pci is not there' '^warn driverctl: .*0000:06:00.0' \
                '^warn kernel-command-line: vfio-pci.ids=10de:2684' '^warn kernel-command-line: vfiod=off' \
                '^warn kernel-command-line: vfiod.skip=50-one.conf,51-two.conf,52-three.conf: '
        echo 'kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/x.ko' >>"$root/lib/modules/6.1.0-test/modules.dep"
        run 1 --root="$root" doctor --json=short
        json 'all(list(c) == ["check", "result", "message", "remedy"] for c in j)'
        json '[c["result"] for c in j if c["check"] == "module-vfio-pci"] == ["ok"]'
}

test_usage() {
        run 2 lst
        has 'unknown verb' "$err" "unknown verb 'lst'.*--help"
        run 2 --json=yaml list
        run 2 --accept=danger bind 04:00.0
        has 'unknown hazard' "$err" danger
        run 2 --timeout=soon list
        run 2 --bogus
        run 2 --dry-run reload
        run 2 --root="$root" bind 04:00.0
        run 2 sriov 05:00.0
        run 2 sriov 05:00.0 0x2
        has 'no number of VFs' "$err" "'0x2' is no number of VFs"
        run 2 --driver=vfio sriov 05:00.0 2
        run 6 --address=unix:path="$dir/none" sriov 05:00.0 max
        run 2 cancel one two
        run 1 --root="$dir/nowhere" list
        run 6 --address=unix:path="$dir/none" wait
        run 6 --address=unix:path="$dir/none" bind 04:00.0
        run 6 --address=unix:path="$dir/none" jobs
        has 'no bus' "$err" '^vfioctl: cannot connect to the bus: .* \(.*dbus\.socket.*\)$'
        run 0 --version
        has version "$out" '^vfioctl [0-9]'
        "$vfioctl" --root="$root" list | head -n 0
        [ "${PIPESTATUS[0]}" -ne 134 ] || fail 'closed output'
        run 0 --address=unix:path="$dir/none" check "/dev/null"
}

# --help is made of the tables in main.c; the others follow it.
test_documents() {
        local verbs options man=$top/docs/man/vfioctl.1.scd
        run 0 --help
        verbs=$(printf '%s\n' "$out" | sed -n '/^Verbs:/,/^Options:/s/^  \([a-z]\+\) .*/\1/p' | sort)
        options=$(printf '%s\n' "$out" | grep -oE -- '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort)
        [ "$(printf '%s\n' "$verbs" | wc -l)" = 17 ] || fail 'verbs in --help' "$verbs"

        # shellcheck disable=SC1091
        . "$top/contrib/bash-completion/vfioctl"
        [ "$(complete_words '')" = "$(printf '%s\n' "$verbs")" ] ||
                fail 'the completion knows other verbs' "$(complete_words '')"
        [ "$(complete_words --)" = "$(printf '%s\n' "$options" | sort)" ] ||
                fail 'the completion knows other options' "$(complete_words --)"

        compare verbs "$verbs" "$(sed -n '/^# VERBS/,/^# OPTIONS/s/^\*\([a-z]\+\)\*.*/\1/p' "$man" | sort)"
        compare options "$options" "$(sed -n '/^# OPTIONS/,/^# EXIT STATUS/p' "$man" |
                grep -oE -- '^(\*-[a-z]\*, )?\*--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort)"
        if command -v scdoc >/dev/null; then
                scdoc <"$man" >/dev/null || fail 'the man page does not build'
        fi
}

compare() {
        [ "$2" = "$3" ] || fail "the man page knows other $1" "$(diff <(echo "$2") <(echo "$3"))"
}

# What the completion offers for one word behind the program's name.
complete_words() {
        COMP_WORDS=("$vfioctl" "$1") COMP_CWORD=1 COMPREPLY=()
        _vfioctl "$vfioctl" "$1" "$vfioctl"
        printf '%s\n' "${COMPREPLY[@]%%=}" | sort
}

make_host
test_list
test_vf_names
test_names_of_any_bytes
test_groups
test_show
test_plan_sriov
test_plan
test_refused
test_check
test_doctor
test_usage
test_documents
[ "$failures" = 0 ] || printf '%s failures\n' "$failures"
[ "$failures" = 0 ]
