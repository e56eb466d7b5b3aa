"""A Linux guest in shoal-vmm, driven from outside: through the API, and line by line on its serial console."""
import http.client
import json
import os
import pathlib
import select
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/system"), str(ROOT / "scripts/nested")]

import cpio
from harness import BUSYBOX, VMM, Failure, shorten

KERNEL = ROOT / "build/nested/kernel"
PROGRAMS = ROOT / "build/tests/programs"
BOOT_S = 180  # the machine under the machine is emulated
COMMAND_S = 120

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
    """Busybox, the virtio modules, and programs of tests/nested/programs."""
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
        archive.copy(f"bin/{name}", PROGRAMS / name)
    return archive.bytes()


class Api:
    """Requests on the unix socket of a shoal-vmm."""

    def __init__(self, path):
        self.path = str(path)

    def request(self, method, path, body=None):
        """Status and body of the answer."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(30)
        connection.sock.connect(self.path)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def put(self, path, **body):
        self._expect_done("PUT", path, body)

    def patch(self, path, **body):
        self._expect_done("PATCH", path, body)

    def get(self, path):
        status, answer = self.request("GET", path)
        if status != 200:
            raise Failure(f"GET {path}: {status} {answer!r}")
        return json.loads(answer)

    def _expect_done(self, method, path, body):
        status, answer = self.request(method, path, body)
        if status != 204:
            raise Failure(f"{method} {path} {body}: {status} {answer!r}")


class Guest:
    """`with Guest(folder) as guest:` a shoal-vmm that waits for requests; configure, start(), run()."""

    def __init__(self, folder, command=lambda words: words):
        self.folder = pathlib.Path(folder)
        self.socket_path = self.folder / "api.socket"
        self.process = subprocess.Popen(
            command([VMM, "--api-sock", self.socket_path, "--log-path", self.folder / "log", "--level", "Info"]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.api = Api(self.socket_path)
        self.seen = b""  # of the console, not yet asked for
        try:
            self._wait_for_socket()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def _wait_for_socket(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                self.api.request("GET", "/")
                return
            except (FileNotFoundError, ConnectionRefusedError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failure(f"no API: {self.process.stderr.read()!r}") from None
                select.select([], [], [], 0.01)

    def boot(self, kernel, words="", memory_mib=256, vcpus=1, initrd=True):
        """Configures the machine and starts it; what else it has was put before."""
        self.api.put("/machine-config", vcpu_count=vcpus, mem_size_mib=memory_mib)
        source = {"kernel_image_path": str(kernel),
                  "boot_args": f"console=ttyS0 reboot=k panic=1 quiet mitigations=off {words}".strip()}
        if initrd:
            source["initrd_path"] = str(self.folder / "initramfs")
        self.api.put("/boot-source", **source)
        self.api.put("/actions", action_type="InstanceStart")

    def wait_for(self, text, timeout_s=COMMAND_S):
        """What the console says before `text`."""
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read_more(left):
                raise Failure(f"the console never said {text!r}: {shorten(self.seen)}; {self._why_over()}")
        before, self.seen = self.seen.split(text, 1)
        return before

    def _read_more(self, timeout_s):
        ready, _, _ = select.select([self.process.stdout], [], [], timeout_s)
        data = self.process.stdout.read(65536) if ready else None
        self.seen += data or b""
        return bool(data) or not ready

    def _why_over(self):
        if self.process.poll() is None:
            return "it still runs"
        return f"exit code {self.process.returncode}, stderr {self.process.stderr.read()!r}"

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

    def wait_end(self, timeout_s=COMMAND_S):
        """The exit code of shoal-vmm, once the guest has ended."""
        deadline = time.monotonic() + timeout_s
        while self._read_more(max(0, deadline - time.monotonic())) and time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
        try:
            return self.process.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failure(f"the guest did not end: {shorten(self.seen)}") from None
