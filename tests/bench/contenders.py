"""Linux guests in shoal-vmm and in QEMU's microvm machine, with the same kernel, initramfs, image and kind of TAP.

Inside the nested machine. Both guests are booted once, when first asked for, and wait for commands on
their serial consoles: who has no turn sleeps.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from figures import BENCH, ROOT
from processes import QEMU, say

sys.path[:0] = [str(ROOT / folder) for folder in ("tests/system", "tests/nested", "scripts/nested")]
import cpio  # noqa: E402
from api_guest import KERNEL, Guest, initramfs  # noqa: E402
from harness import BUSYBOX, Failure, run  # noqa: E402
from netns import Network  # noqa: E402

MIB = 1 << 20
MEMORY_MIB = 256
IMAGE_MIB = 64
PORT = 5001
WORDS = "console=ttyS0 quiet mitigations=off reboot=k panic=-1"
# The options with which this kernel starts fastest in QEMU: without ACPI it finds no interrupt for its
# console, and without pit, pic and rtc it takes twice as long.
MICROVM = [QEMU, "-M", "microvm,acpi=on,rtc=on", "-accel", "kvm", "-cpu", "host", "-smp", "1", "-m", str(MEMORY_MIB),
           "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
           # Virtio 1, as Shoal's devices have it.
           "-global", "virtio-mmio.force-legacy=false"]


def with_programs(names):
    """The tests' initramfs and programs of tests/bench/guest."""
    archive = cpio.Archive()
    for name in names:
        archive.copy(f"bin/{name}", BENCH / "guest" / name)
    # The kernel unpacks archives one after the other.
    return initramfs() + archive.bytes()


class QemuGuest(Guest):
    """Of Guest, what is about the console."""

    def __init__(self, words):  # pylint: disable=super-init-not-called
        self.seen = b""
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)


class Contenders:
    """`with Contenders() as contenders:`; folder is in memory, shoal and qemu are the guests."""

    def __init__(self):
        self._temporary = tempfile.TemporaryDirectory(prefix="shoal-bench-")
        self.folder = pathlib.Path(self._temporary.name)
        self.guests = {}
        self.network = None
        self.server = None
        self.disk = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for guest in self.guests.values():
            guest.close()
        if self.server:
            self.server.kill()
            self.server.wait()
        if self.network:
            self.network.close()
        if self.disk:
            run(["umount", self.disk])
        self._temporary.cleanup()

    def kernel(self, name):
        """In memory, so that no boot waits for the host's files."""
        path = self.folder / name
        if not path.exists():
            shutil.copy(KERNEL / name, path)
        return str(path)

    def boot(self):
        """Both guests with a disk and a NIC, ready for commands."""
        if self.guests:
            return self.guests
        say("boots a guest in each VMM")
        self._make_image()
        (self.folder / "initramfs").write_bytes(with_programs(("disk", "net")))
        self.network = Network(taps=2)
        self.guests["shoal"] = self._boot_shoal(self.network.taps[0])
        self.guests["qemu"] = self._boot_qemu(self.network.taps[1])
        for guest, tap in zip(self.guests.values(), self.network.taps):
            guest.wait_ready()
            guest.run(f"ip addr add {tap.guest_address}/24 dev eth0; ip link set eth0 up")
            guest.run(f"ping -c 1 -W 20 {tap.host_address}")
        self._serve()
        return self.guests

    def _make_image(self):
        """A file without holes, on ext4 on a RAM disk: a real file system, and no disk to wait for."""
        module = next((KERNEL / "lib").rglob("brd.ko"))
        self._do(BUSYBOX, "insmod", module, "rd_nr=1", f"rd_size={2 * IMAGE_MIB * 1024}")
        self._do("mkfs.ext4", "-q", "/dev/ram0")
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self._do("mount", "-t", "ext4", "/dev/ram0", self.disk)
        (self.disk / "image").write_bytes(os.urandom(IMAGE_MIB * MIB))
        self._do("sync")

    @staticmethod
    def _do(*words):
        result = run(words)
        if result.code != 0:
            raise Failure(f"{words}: {result}")

    def _boot_shoal(self, tap):
        guest = Guest(self.folder, self.network.command)
        guest.api.put("/drives/disk", drive_id="disk", is_root_device=False, path_on_host=str(self.disk / "image"),
                      cache_type="Writeback", io_engine="Async")
        guest.api.put("/network-interfaces/net", iface_id="net", host_dev_name=tap.name, guest_mac=tap.guest_mac)
        guest.api.put("/vsock", guest_cid=3, uds_path=str(self.folder / "vsock"))
        guest.api.put("/balloon", amount_mib=0, deflate_on_oom=True)
        guest.api.put("/machine-config", vcpu_count=1, mem_size_mib=MEMORY_MIB, huge_pages="Transparent")
        guest.api.put("/boot-source", kernel_image_path=self.kernel("vmlinux"), boot_args=WORDS,
                      initrd_path=str(self.folder / "initramfs"))
        guest.api.put("/actions", action_type="InstanceStart")
        return guest

    def _boot_qemu(self, tap):
        words = [*MICROVM, "-kernel", self.kernel("vmlinux"), "-initrd", str(self.folder / "initramfs"),
                 "-append", WORDS]
        # One image, twice: with each of QEMU's ways to do I/O.
        for way in ("io_uring", "threads"):
            words += ["-drive", f"id={way},if=none,format=raw,cache=writeback,aio={way},file.locking=off,"
                                f"file={self.disk / 'image'}",
                      "-device", f"virtio-blk-device,drive={way},serial={way}"]
        words += ["-netdev", f"tap,id=net,ifname={tap.name},script=no,downscript=no,vhost=off",
                  "-device", f"virtio-net-device,netdev=net,mac={tap.guest_mac}"]
        return QemuGuest(self.network.command(words))

    def _serve(self):
        # On all addresses: each guest has its own TAP.
        self.server = self.network.popen([BENCH / "guest/net", "serve", "0.0.0.0", str(PORT)], stdout=subprocess.PIPE)
        self.server.stdout.readline()
