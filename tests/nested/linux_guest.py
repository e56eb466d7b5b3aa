"""Debian's unmodified cloud kernel as a guest: its three forms, and an initramfs that looks around."""
import os
import pathlib
import struct
import subprocess
import sys
import threading

from harness import ROOT, TIME_SCALE, VMM, Result, expect

sys.path.insert(0, str(ROOT / "scripts/nested"))
from cpio import Archive, in_memory  # noqa: E402

KERNEL = ROOT / "build/nested/kernel"
BZIMAGE = KERNEL / "vmlinuz"
PVH = KERNEL / "vmlinux"
LINUX64 = pathlib.Path("/tmp/linux-without-pvh")  # made here

DEADLINE_S = 20  # 100 under TCG
QUIET = "console=ttyS0 quiet mitigations=off reboot=k panic=-1 pci=off"

# What Linux says of who has loaded it: by PVH, and of a loader that has no number of its own.
BY_PVH = 0xB0
BY_64_BIT = 0xFF

# What Linux says on a machine without PCI, pci=off or not.
NO_PCI = "PCI: Fatal: No config space access function found"

# Says what it sees and then ends the machine as the word after "--" tells.
INIT = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo "cmdline $(cat /proc/cmdline)"
echo "cpus $(nproc)"
echo "memory $(awk '/MemTotal/ { print $2 }' /proc/meminfo)"
echo "loader $(cat /proc/sys/kernel/bootloader_type)"
echo "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
echo "serial-interrupts $(grep ttyS0 /proc/interrupts | tr -s ' ')"
echo "page-attributes $(dmesg | grep -c 'x86/PAT: Configuration')"
dmesg -r | sed -n 's/^<[0-3]>/error /p'
stty -echo
echo "uptime $(cut -d' ' -f1 /proc/uptime)"
echo "ready"
case $1 in
    reboot) reboot -f ;;
    poweroff) poweroff -f ;;
    panic) exit 3 ;;
    echo)
        while read -r line; do
            [ "$line" = stop ] && poweroff -f
            echo "<$line>"
        done
        ;;
    write)
        seq 3000
        poweroff -f
        ;;
esac
"""


class Boot:
    """One run of the kernel to its end. `typed` is what the console gets once init is ready: what a
    UART receives before its driver is there is lost."""

    def __init__(self, kernel, end, *options, memory=256, words="", typed=b""):
        initramfs = make_initramfs()
        command = [VMM, "--kernel", kernel, "--initrd", f"/proc/self/fd/{initramfs}", "--memory", memory,
                   "--cmdline", f"{QUIET} {words} -- {end}", *options]
        try:
            self.result = run_console([str(word) for word in command], initramfs, typed)
        finally:
            os.close(initramfs)
        self.lines = self.result.out.decode(errors="replace").replace("\r", "").splitlines()

    def all(self, name):
        return [line[len(name) + 1:] for line in self.lines if line.startswith(name + " ")]

    def one(self, name):
        values = self.all(name)
        expect(len(values) == 1, f"there is no one line {name!r}: {self.result}")
        return values[0]

    def expect_end(self, code, *sentence):
        errors = self.result.err.decode(errors="replace")
        expect(self.result.code == code, f"not exit code {code}: {self.result}")
        expect(all(piece in errors for piece in sentence), f"not {sentence}: {self.result}")
        expect(len(errors.splitlines()) == (1 if sentence else 0), f"other sentences: {self.result}")

    def expect_machine(self, cpus, memory, loader):
        expect(self.one("loader") == str(loader), f"the loader: {self.one('loader')}")
        expect(self.one("cpus") == str(cpus), str(self.result))
        seen = int(self.one("memory"))
        expect(0.70 * memory < seen / 1024 < memory, f"{seen} KiB of {memory} MiB: {self.result}")
        errors = [line for line in self.all("error") if NO_PCI not in line]
        expect(errors == [], f"the kernel complains: {errors}")
        expect(self.one("page-attributes") == "1", "the MTRRs are off, so the PAT is not used")
        expect(self.one("clock") == "kvm-clock", self.one("clock"))


def run_console(command, initramfs, typed):
    with subprocess.Popen(command, pass_fds=[initramfs], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        limit = threading.Timer(DEADLINE_S * TIME_SCALE, process.kill)
        limit.start()
        try:
            early = b""
            while b"ready" not in early and (data := os.read(process.stdout.fileno(), 4096)):
                early += data
            late, errors = process.communicate(typed)
        finally:
            limit.cancel()
            process.kill()
    return Result(process.returncode, early + late, errors)


def make_initramfs():
    archive = Archive()
    archive.folder("bin", "dev", "proc", "sys", "mnt")
    archive.character_device("dev/console", 5, 1)
    archive.copy("bin/busybox", "/bin/busybox")
    archive.file("init", INIT)
    return in_memory(archive.bytes())


def without_pvh():
    """The ELF kernel with its PVH note made one that nobody knows: it boots by the 64-bit protocol."""
    if not LINUX64.exists():
        image = bytearray(PVH.read_bytes())
        note = struct.pack("<III4s", 4, 4, 18, b"Xen\0")
        wide = struct.pack("<III4s", 4, 8, 18, b"Xen\0")
        at = max(image.find(note), image.find(wide))
        expect(at > 0, "the kernel has no PVH note")
        struct.pack_into("<I", image, at + 8, 0x5348)
        LINUX64.write_bytes(image)
    return LINUX64
