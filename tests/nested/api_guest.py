"""A Linux guest in shoal-vmm, driven from outside: through the API, and line by line on its serial console."""
import os
import pathlib
import re
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/system"), str(ROOT / "scripts/nested")]

import cpio
from api import ApiVmm
from harness import BUSYBOX, Failure, expect, run, shorten

KERNEL = ROOT / "build/nested/kernel"
PROGRAMS = ROOT / "build/tests/programs"
BOOT_S = 180  # the machine under the machine is emulated
COMMAND_S = 120
MIB = 1 << 20

# In the order in which they need each other.
MODULES = ("virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "failover", "net_failover", "virtio_net", "vsock",
           "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport", "virtio-rng", "virtio_balloon")

# Says READY, then runs each line it reads and says how that ended.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order 2> /dev/null); do insmod /modules/$module.ko; done
stty -echo -onlcr < /dev/console
echo READY
while read -r line; do
    eval "$line"
    echo "@END@ $?"
done
"""


def _module_file(name):
    found = list((KERNEL / "lib").rglob(name.replace("_", "[-_]") + ".ko"))
    return found[0] if found else None


def initramfs(programs=()):
    """Busybox, the virtio modules, and programs of tests/nested/programs or of whole paths."""
    archive = cpio.Archive()
    archive.folder("bin", "dev", "proc", "sys", "modules", "mnt", "tmp")
    archive.character_device("dev/console", 5, 1)
    archive.copy("bin/busybox", BUSYBOX)
    archive.file("init", INIT.encode())
    order = []
    for name in MODULES:
        path = _module_file(name)
        if path is not None:  # some are part of the kernel
            archive.copy(f"modules/{name}.ko", path)
            order.append(name)
    archive.file("modules/order", "\n".join(order).encode(), 0o644)
    for name in programs:
        archive.copy(f"bin/{pathlib.Path(name).name}", PROGRAMS / name)
    return archive.bytes()


class Guest(ApiVmm):
    """`with Guest(folder) as guest:` a shoal-vmm that waits for requests; configure, boot(), run()."""

    def __init__(self, folder, command=lambda words: words):
        super().__init__(folder, "--log-path", os.path.join(folder, "log"), "--level", "Info", command=command)

    def boot(self, kernel, words="", memory_mib=256, vcpus=1, initrd=True):
        """Configures the machine and starts it; what else it has was put before."""
        self.api.put("/machine-config", vcpu_count=vcpus, mem_size_mib=memory_mib)
        source = {"kernel_image_path": str(kernel),
                  "boot_args": f"console=ttyS0 reboot=k panic=1 quiet mitigations=off {words}".strip()}
        if initrd:
            source["initrd_path"] = str(self.folder / "initramfs")
        self.api.put("/boot-source", **source)
        self.start()

    def wait_ready(self):
        self.wait_for(b"READY", BOOT_S)
        self.wait_for(b"\n")

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def run(self, line, timeout_s=COMMAND_S, code=0):
        """Runs a line of shell in the guest; what it printed."""
        self.send(line)
        output = self.wait_for(b"@END@ ", timeout_s)
        ended = int(self.wait_for(b"\n"))
        if code is not None and ended != code:
            raise Failure(f"{line!r} ended with {ended}: {shorten(output)}")
        return output.decode(errors="replace").replace("\r", "")

    def number(self, path):
        """What a file of the guest says."""
        return int(self.run(f"cat {path}"))

    def metric(self, name, device=None):
        """A counter of the monitor's, as `block_read_bytes` of the drive `data`."""
        text = self.api.request("GET", "/metrics")[1].decode()
        label = f',id="{device}"' if device else ""
        found = re.search(rf'^shoal_{name}{{instance_id="[^"]*"{label}}} (\d+)$', text, re.MULTILINE)
        expect(found is not None, f"there is no {name} of {device}")
        return int(found[1])


def guest_loaded(folder, name, load, command=lambda words: words):
    """A Guest of its own folder there, after load(guest, folder) made it one that ran before."""
    own = os.path.join(folder, name)
    os.mkdir(own)
    guest = Guest(own, command)
    try:
        load(guest, own)
    except BaseException:
        guest.close()
        raise
    return guest


def new_guest(folder, network=None, programs=()):
    with open(os.path.join(folder, "initramfs"), "wb") as file:
        file.write(initramfs(programs))
    return Guest(folder, network.command if network else lambda words: words)


def make_image(folder, name, size_mib, *options):
    """A sparse ext4 image."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.truncate(size_mib * MIB)
    result = run(["mkfs.ext4", "-q", "-F", *options, path])
    expect(result.code == 0, str(result))
    return path


def checked(path):
    result = run(["e2fsck", "-f", "-n", path])
    expect(result.code == 0, f"e2fsck: {result}")


def used_bytes(path):
    return os.stat(path).st_blocks * 512


def guest_rss(guest):
    """Of the guest's memory, in bytes."""
    total = 0
    counted = False
    with open(f"/proc/{guest.process.pid}/smaps", encoding="utf-8") as maps:
        for line in maps:
            if "-" in line.split()[0]:
                counted = "memfd:shoal-guest-ram" in line
            elif counted and line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
    return total


def wait_for_rss(guest, most_bytes):
    deadline = time.monotonic() + 120
    while (rss := guest_rss(guest)) > most_bytes:
        if time.monotonic() > deadline:
            raise Failure(f"{rss} bytes are resident, and not {most_bytes} at most")
        guest.run("usleep 100000")
