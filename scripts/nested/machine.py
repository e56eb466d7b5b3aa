"""The machine with hardware KVM: QEMU's emulator of an AMD CPU, and virtiofsd for the host's files.

Why these, as measured with `--timing` on two cores: QEMU's microvm machine boots no faster than q35
(1.6 s to init) and its virtio is the legacy one, which virtiofsd refuses. Debian's cloud kernel has
no 9p. An image of the host's files would have to be made anew for each run; virtiofs costs nothing
before a file is read, and every program of the host is there: Python starts in 0.3 s.

All of QEMU runs on one CPU. On two, guests of the machine's KVM triple-faulted or spun for ever after
some 1,000 interrupts (2 of 4 runs of Linux that wrote 17 kB to its serial port; none of 16 on one
CPU, each 15% slower). QEMU 7.2 changes an emulated CPU's pending interrupts, among them the virtual
one of VMRUN and #VMEXIT, by instructions that are not atomic, on several threads.

In slow motion the machine's clock counts its instructions, 500 million to the second, and time only
passes as it does here while it idles. What runs in it meets a machine nearly as fast as this one,
whose seconds last three to five times as long: a cluster of several hosts, whose deadlines the
emulator's pace made pass (a test of its checkpoints ended in vain after minutes), behaves as on real
hosts. It costs two to three times the time of the host's CPU.
"""
import ctypes
import os
import pathlib
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile

from cpio import Archive, in_memory
from tsc import tsc_khz

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KERNEL = ROOT / "build/nested/kernel"
INIT = pathlib.Path(__file__).with_name("init")
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
BUSYBOX = "/bin/busybox"
PR_SET_PDEATHSIG = 1
# Of an instruction in slow motion, as a power of two. With 0 the same test takes as long, with 2 a
# third longer.
NS_PER_INSTRUCTION_SHIFT = 1
# Then the time-stamp counter counts nanoseconds.
SLOW_MOTION_TSC_KHZ = 1_000_000

# In an order in which each finds what it needs.
MODULES = """drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_modern_dev
    drivers/virtio/virtio_pci_legacy_dev drivers/virtio/virtio_pci drivers/char/virtio_console
    fs/fuse/fuse fs/fuse/virtiofs fs/overlayfs/overlay drivers/net/tun net/llc/llc net/802/stp net/bridge/bridge
    lib/libcrc32c net/netfilter/nfnetlink net/netfilter/nf_tables net/ipv4/netfilter/nf_defrag_ipv4
    net/ipv6/netfilter/nf_defrag_ipv6 net/netfilter/nf_conntrack net/netfilter/nf_nat net/netfilter/nft_ct
    net/netfilter/nft_chain_nat net/netfilter/nft_masq drivers/net/veth
    virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd""".split()
STREAMS = ("stdin", "stdout", "stderr", "control")


class MachineError(Exception):
    """One sentence."""


def need(path, package):
    if not os.access(path, os.X_OK):
        raise MachineError(f"{path} is missing: install {package}")


def make_initramfs(command, config):
    (modules,) = (KERNEL / "lib/modules").iterdir()
    archive = Archive()
    archive.folder("bin", "dev", "proc", "sys", "root", "host", "memory", "modules")
    archive.character_device("dev/console", 5, 1)
    archive.copy("init", INIT)
    archive.copy("bin/busybox", BUSYBOX)
    for module in MODULES:
        archive.copy(f"modules/{os.path.basename(module)}.ko", modules / f"kernel/{module}.ko")
    archive.file("modules/order", "\n".join(map(os.path.basename, MODULES)).encode())
    archive.file("command", command.encode(errors="surrogateescape"))
    archive.file("config", "".join(f"{name}={shlex.quote(value)}\n"
                                   for name, value in config.items()).encode())
    return in_memory(archive.bytes())


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def stay_on_one_cpu():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


class Machine:
    """Starts with the object; close() ends it, as does the end of this process. Nothing of it has a
    name in the file system."""

    def __init__(self, command, config, memory_mib, cpus, slow_motion):
        need(VIRTIOFSD, "qemu-system-common")
        need(BUSYBOX, "busybox-static")
        need(shutil.which("qemu-system-x86_64") or "/usr/bin/qemu-system-x86_64", "qemu-system-x86")
        self.processes = []
        self.log = tempfile.TemporaryFile()
        self.sockets = {}
        self.kernel_log, theirs_log = socket.socketpair()
        theirs = {}
        for name in (*STREAMS, "console"):
            self.sockets[name], theirs[name] = socket.socketpair()
        files = self._serve_files()
        initramfs = make_initramfs(command, config)
        pace = ["tcg,thread=multi"]
        if slow_motion:
            pace = ["tcg,thread=single", "-icount", f"shift={NS_PER_INSTRUCTION_SHIFT},sleep=on"]
        words = ["qemu-system-x86_64", "-M", "q35,memory-backend=memory", "-accel", *pace,
                 "-cpu", "max,-erms,-la57", "-smp", str(cpus), "-m", f"{memory_mib}M",
                 "-object", f"memory-backend-memfd,id=memory,size={memory_mib}M,share=on",
                 "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
                 "-kernel", str(KERNEL / "vmlinuz"), "-initrd", f"/proc/self/fd/{initramfs}",
                 "-append", "console=ttyS0 tsc=reliable mitigations=off quiet panic=-1 random.trust_cpu=on "
                            f"tsc_early_khz={SLOW_MOTION_TSC_KHZ if slow_motion else tsc_khz()}",
                 "-chardev", f"socket,id=log,fd={theirs_log.fileno()}", "-serial", "chardev:log",
                 "-chardev", f"socket,id=files,fd={files.fileno()}",
                 "-device", "vhost-user-fs-pci,chardev=files,tag=host", "-device", "virtio-serial-pci"]
        for number, (name, end) in enumerate(theirs.items(), start=1):
            kind = "virtconsole" if name == "console" else "virtserialport"
            words += ["-chardev", f"socket,id={name},fd={end.fileno()}",
                      "-device", f"{kind},chardev={name},name={name},nr={number}"]
        passed = [end.fileno() for end in (*theirs.values(), theirs_log, files)] + [initramfs]
        self._start(words, passed, stay_on_one_cpu)
        for fd in passed:
            os.close(fd)
        for end in (*theirs.values(), theirs_log, files):
            end.detach()

    def _serve_files(self):
        """Starts virtiofsd on /. The connected socket, for QEMU."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("")  # an abstract name: it is gone with the socket
        listener.listen(1)
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        words = [VIRTIOFSD, f"--fd={listener.fileno()}", "-o", "source=/", "-o", "cache=always",
                 "-o", "sandbox=chroot", f"--rlimit-nofile={min(most, 1 << 20)}"]
        if os.getuid() != 0:
            words = ["unshare", "--map-root-user", *words]
        self._start(words, [listener.fileno()])
        client = socket.socket(socket.AF_UNIX)
        client.connect(listener.getsockname())
        listener.close()
        return client

    def _start(self, words, fds, also=lambda: None):
        # A session of its own: Ctrl-C is for us to answer.
        self.processes.append(subprocess.Popen(
            words, pass_fds=fds, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            start_new_session=True, preexec_fn=lambda: (die_with_parent(), also())))

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def last_words(self):
        """What QEMU and virtiofsd said."""
        self.log.seek(0)
        lines = [line for line in self.log.read().decode(errors="replace").splitlines()
                 if "qemu" in line or "virtiofsd" in line]
        return lines[-1] if lines else ""
