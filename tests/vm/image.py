# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guest images: a Debian base tree, cached by what goes into it, with the project installed on top."""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
KERNELS = {"6.12": "trixie", "6.1": "bookworm", "5.10": "bullseye"}  # the suites that have them
RELEASES = ["bullseye", "bookworm", "trixie"]  # oldest first
PACKAGES = """
    systemd-sysv dbus polkitd udev kmod linux-image-amd64 initramfs-tools zstd pciutils qemu-utils
    e2fsprogs libsmartcols1 libjson-c5 libnl-route-3-200 libkmod2 iproute2 driverctl strace
    lvm2 mdadm btrfs-progs
""".split()
PREFERENCES = """\
Package: linux-image-*
Pin: release n={}*
Pin-Priority: 990
"""
# Which drivers there are before the root file system: those for it only, as many distributions do it,
# or nearly all, which takes a quarter of the time of a boot here.
SMALL_INITRD = ["6.12"]
INITRD = """\
set -e
cd "$1"
mkdir -p etc/initramfs-tools/conf.d etc/initramfs-tools/hooks
echo MODULES=list > etc/initramfs-tools/conf.d/root
cat > etc/initramfs-tools/hooks/root <<'END'
#!/bin/sh
[ "$1" = prereqs ] && exit
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_blk ext4
END
chmod 755 etc/initramfs-tools/hooks/root
"""
EXCLUDED = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"]
PROGRAMS = {  # installed in /usr/local/bin of the guest
    "vm-agent": [HERE / "agent.c"],
    "vfio-open": [HERE / "vfio-open.c"],
    "agree": [HERE.parent / "sim" / "agree.c", HERE.parent / "sim" / "agree-words.c"],
    "floor": [HERE.parent / "bench" / "floor.c"],
    "nvme-online": [HERE.parent / "bench" / "nvme-online.c"],
}
AGENT_UNIT = """\
[Unit]
Description=Agent of the virtual machine tests
After=dev-virtio\\x2dports-vm.agent.device
Requires=dev-virtio\\x2dports-vm.agent.device
[Service]
ExecStart=/usr/local/bin/vm-agent
KillMode=process
[Install]
WantedBy=multi-user.target
"""
CUSTOMISE = """\
set -e
echo vm > etc/hostname
echo '127.0.0.1 localhost vm' > etc/hosts
printf '[Journal]\\nStorage=persistent\\nRateLimitIntervalSec=0\\n' > etc/systemd/journald.conf
chroot . useradd -m alice
chroot . groupadd -f kvm
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \\
            fstrim.timer e2scrub_reap.service systemd-pcrphase.service getty@tty1.service; do
        ln -sf /dev/null "etc/systemd/system/$unit"
done
echo 0123456789abcdef0123456789abcdef > etc/machine-id
rm -rf etc/apt/sources.list etc/apt/sources.list.d var/cache/apt var/lib/apt/lists
"""


class ImageError(Exception):
    """The image cannot be made; the text says why."""


def log(text):
    print(f"# {text}", flush=True)


def command(*words, **options):
    """Runs a command quietly; its output is shown when it fails."""
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, **options)
    if done.returncode != 0:
        raise ImageError(f"{words[0]} failed ({done.returncode}):\n{done.stdout[-4000:]}")
    return done.stdout


def host_suite():
    for line in pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.split("=", 1)[1].strip('"')
    raise ImageError("this host is no Debian release")


def guest_suite(kernel):
    """The suite around a kernel: its own, but none older than the host that builds the programs."""
    oldest = "bookworm" if host_suite() == "bookworm" else "trixie"
    return max(KERNELS[kernel], oldest, key=RELEASES.index)


def apt_sources(suites):
    """One-line sources for suites, at the addresses that the host's own apt uses."""
    codename = host_suite()
    lines = command("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)",
                    "Created-By: Packages").splitlines()
    address = {release: uri for uri, release in reversed([line.split() for line in lines])}
    if codename not in address:
        raise ImageError(f"no apt source of this host serves {codename}")
    sources = [f"deb {address[codename]} {suite} main" for suite in suites]
    if f"{codename}-security" in address:
        security = address[f"{codename}-security"]
        sources += [f"deb {security} {suite}-security main" for suite in suites]
    return sources


def base_tree(kernel, cache):
    """The directory with the Debian tree around a kernel, made if the cache has none."""
    suite = guest_suite(kernel)
    initrd = INITRD if kernel in SMALL_INITRD else "true"
    content = "\n".join([suite, *PACKAGES, *EXCLUDED, CUSTOMISE, PREFERENCES, initrd])
    tree = cache / f"base-{kernel}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    if tree.exists():
        return tree
    log(f"making the base tree: {suite}, kernel {kernel}")
    for old in cache.glob(f"base-{kernel}-*"):
        shutil.rmtree(old)
    work = cache / f"new-{kernel}"
    shutil.rmtree(work, ignore_errors=True)
    command("mmdebstrap", "--mode=root", "--variant=minbase",
            "--aptopt=APT::Install-Recommends \"false\"",
            *[f"--dpkgopt=path-exclude={path}" for path in EXCLUDED],
            f"--setup-hook=echo '{PREFERENCES.format(KERNELS[kernel])}' > "
            "\"$1/etc/apt/preferences.d/kernel\"",
            f"--setup-hook={initrd}",
            f"--include={','.join(PACKAGES)}", suite, work,
            *apt_sources(sorted({suite, KERNELS[kernel]})))
    command("sh", "-c", CUSTOMISE, cwd=work)
    work.rename(tree)
    return tree


def build_programs(build_dir, into):
    """The C programs of the tests, static, so that every guest runs them."""
    into.mkdir(parents=True, exist_ok=True)
    for name, sources in PROGRAMS.items():
        binary = build_dir / "vm" / name
        if not binary.exists() or binary.stat().st_mtime < max(source.stat().st_mtime for source in sources):
            command("gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-static", "-o", binary, *sources)
        shutil.copy2(binary, into / name)


def install_project(build_dir, tree):
    """What `meson install` installs, then what an operator enables."""
    if not (build_dir / "build.ninja").exists():
        raise ImageError(f"{build_dir} is not a configured build directory")
    staging = tree.with_name(tree.name + "-install")
    shutil.rmtree(staging, ignore_errors=True)
    command("meson", "install", "-C", build_dir, "--quiet", "--no-rebuild",
            env={**os.environ, "DESTDIR": str(staging)})
    if not (staging / "usr/bin/vfioctl").exists():
        raise ImageError(f"{build_dir} is not configured with --prefix=/usr")
    # /lib, /bin and /sbin are links in the guest: install through them.
    command("sh", "-c", 'tar -C "$1" -c . | tar -C "$2" -x --keep-directory-symlink', "sh",
            staging, tree)
    shutil.rmtree(staging)
    command("systemctl", f"--root={tree}", "enable", "vfiod.service")


def guest_image(kernel, build_dir, project=True):
    """Makes the guest's disk, one process at a time. Returns (disk, vmlinuz, initrd)."""
    cache = build_dir / "vm"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = base_tree(kernel, cache)
        disk = make_disk(kernel, base, build_dir, project)
    return disk, next(base.glob("boot/vmlinuz-*")), next(base.glob("boot/initrd.img-*"))


def base_trees(kernels, build_dir):
    """Makes what takes longest in making the images, and does not need the project."""
    cache = build_dir / "vm"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for kernel in kernels:
            base_tree(kernel, cache)


def make_disk(kernel, base, build_dir, project):
    tree = base.with_name(f"tree-{kernel}")
    shutil.rmtree(tree, ignore_errors=True)
    command("cp", "-al", base, tree)
    try:
        build_programs(build_dir, tree / "usr/local/bin")
        unit = tree / "etc/systemd/system/vm-agent.service"
        unit.write_text(AGENT_UNIT, encoding="utf-8")
        command("systemctl", f"--root={tree}", "enable", "vm-agent.service")
        if project:
            install_project(build_dir, tree)
        disk = base.with_name(f"guest-{kernel}.ext4")
        disk.unlink(missing_ok=True)
        command("mke2fs", "-q", "-t", "ext4", "-d", tree, disk, "2G")
    finally:
        shutil.rmtree(tree)
    return disk
