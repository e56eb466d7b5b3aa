"""A guest that attacks every device of its monitor (guests/hostile), which survives and stays answerable."""
import contextlib
import hashlib
import os
import pathlib
import random
import select
import socket
import subprocess
import time

import vsock
from api import Api
from harness import PROGRAMS, ROOT, TIME_SCALE, VMM, Failure, expect, shorten, temporary_folder, test
from netns import Network, why_no_network
from own_time import Answers

GUEST = PROGRAMS.parent / "guests/hostile.elf"
SANITIZED_VMM = ROOT / "build/asan-ubsan/shoal-vmm"
SURVIVED = 42  # the guest's exit code: nobody else ends the monitor with it
MIB = 1 << 20
DISK_BYTES = 4 * MIB
# By vCPUs. RAM that ends where the hole begins, as the guest's mapping here does, and RAM on both sides of it.
MEMORY_MIB = {1: 3072, 2: 3584}
ROUNDS = 150
DEADLINE_S = 60
# The emulated machine of tests/nested takes ten seconds for one attack.
IS_FAST = TIME_SCALE == 1
# What the monitor has for itself. A sanitizer keeps freed memory, and notes about all of it.
PRIVATE_BYTES_MAX = 32 * MIB
SANITIZED_PRIVATE_BYTES_MAX = 512 * MIB
ANSWER_MS = 10
LOG_BYTES_MAX = 256 << 10
SANITIZER_OPTIONS = {"ASAN_OPTIONS": "quarantine_size_mb=16:detect_stack_use_after_return=0",
                     "UBSAN_OPTIONS": "print_stacktrace=1"}


class Victim:
    """A shoal-vmm with every device, in a folder of its own."""

    def __init__(self, folder, vmm, network, level="Info"):
        self.folder = pathlib.Path(folder)
        self.files = {name: os.urandom(size) for name, size in
                      (("sync", DISK_BYTES), ("async", DISK_BYTES), ("read-only", DISK_BYTES), ("bystander", 4096))}
        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)
        self.network = network
        words = [str(vmm), "--api-sock", str(self.folder / "api.socket"), "--log-path", str(self.folder / "log"),
                 "--level", level, "--boot-timer"]
        with open(self.folder / "out", "wb") as out, open(self.folder / "err", "wb") as err:
            self.process = subprocess.Popen(network.command(words) if network else words, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=err, env={**os.environ, **SANITIZER_OPTIONS})
        self.api = Api(self.folder / "api.socket")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def wait_for_api(self):
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return self.api.get("/")
            except (FileNotFoundError, ConnectionRefusedError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failure(f"no API: {self.said()}") from None
                select.select([], [], [], 0.01)

    def start(self, seed, cpus):
        drive = {"is_root_device": False}
        self.api.put("/drives/sync", drive_id="sync", path_on_host=str(self.folder / "sync"), io_engine="Sync", **drive)
        self.api.put("/drives/async", drive_id="async", path_on_host=str(self.folder / "async"), io_engine="Async",
                     cache_type="Writeback", **drive)
        self.api.put("/drives/ro", drive_id="ro", path_on_host=str(self.folder / "read-only"), is_read_only=True,
                     **drive)
        self.api.put("/vsock", guest_cid=3, uds_path=str(self.folder / "vsock"))
        self.api.put("/entropy")
        self.api.put("/balloon", amount_mib=0, deflate_on_oom=True, stats_polling_interval_s=1, free_page_hinting=True,
                     free_page_reporting=True)
        if self.network:
            tap = self.network.taps[0]
            self.api.put("/network-interfaces/net", iface_id="net", host_dev_name=tap.name, guest_mac=tap.guest_mac)
        self.api.put("/machine-config", vcpu_count=cpus, mem_size_mib=MEMORY_MIB[cpus])
        self.api.put("/boot-source", kernel_image_path=str(GUEST),
                     boot_args=f"hostile.seed={seed} hostile.rounds={ROUNDS} hostile.cpus={cpus}")
        self.api.put("/actions", action_type="InstanceStart")

    def said(self):
        return f"exit code {self.process.poll()}, stderr {shorten_more((self.folder / 'err').read_bytes())}"

    def private_bytes(self):
        """Of memory that is not the guest's; 0 when the process is about to end."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as lines:
            return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))

    def expect_files_untouched(self, others=()):
        for name, content in self.files.items():
            now = (self.folder / name).read_bytes()
            if name in ("sync", "async"):
                expect(len(now) == len(content), f"the disk {name} has {len(now)} bytes, not {len(content)}")
            else:
                expect(hashlib.sha256(now).digest() == hashlib.sha256(content).digest(), f"{name} was written")
        known = {*self.files, *others, "log", "out", "err", "api.socket", "vsock", "vsock_52"}
        there = {path.name for path in self.folder.iterdir()}
        expect(there <= known, f"new files: {there - known}")
        # What we asked for is not the guest's doing.
        ours = ("The API server received", "The request was executed", "Received Error", "\n")
        with open(self.folder / "log", encoding="utf-8") as lines:
            size = sum(len(line) for line in lines if not line.partition("] ")[2].startswith(ours))
        expect(size <= LOG_BYTES_MAX, f"the guest made the log {size} bytes long")


def shorten_more(data):
    """A sanitizer's report is told by its first lines."""
    return shorten(data) if len(data) <= 300 else data[:6000].decode(errors="replace")


class Host:
    """What happens on the host's side meanwhile: requests, connections, packets."""

    def __init__(self, victim, seed):
        self.victim = victim
        self.random = random.Random(seed)
        self.connections = []
        self.packets = victim.network.socket(kind=socket.SOCK_DGRAM) if victim.network else None
        if self.packets:
            self.packets.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self.packets.setblocking(False)

    def close(self):
        for one in (*self.connections, *([self.packets] if self.packets else [])):
            one.close()

    def act(self):
        self.random.choice((self.connect, self.send_packets, self.ask_balloon, self.patch))()

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            connection.connect(str(self.victim.folder / "vsock"))
            connection.send(b"CONNECT 1000\n" + bytes(self.random.randrange(65536)))
        self.connections.append(connection)
        if len(self.connections) > 20:
            self.connections.pop(self.random.randrange(20)).close()

    def send_packets(self):
        for _ in range(20 if self.packets else 0):
            with contextlib.suppress(OSError):
                self.packets.sendto(bytes(self.random.randrange(1400)), ("10.88.0.255", 9))

    def ask_balloon(self):
        """Refused as long as the guest's driver is not there."""
        request = self.victim.api.request
        self.random.choice((
            lambda: request("PATCH", "/balloon", {"amount_mib": self.random.randrange(64)}),
            lambda: request("PATCH", "/balloon/hinting/start", {"acknowledge_on_stop": True}),
            lambda: request("PATCH", "/balloon/hinting/stop", {}),
            lambda: request("GET", "/balloon/statistics"),
        ))()

    def patch(self):
        bucket = self.random.choice(({"size": 1 << 16, "refill_time": 10}, {"size": 0, "refill_time": 0}))
        limiter = {"bandwidth": bucket, "ops": {"size": 100, "refill_time": 10}}
        request = self.victim.api.request
        self.random.choice((
            lambda: request("PATCH", "/drives/async", {"drive_id": "async", "rate_limiter": limiter}),
            lambda: request("PATCH", "/drives/sync", {"drive_id": "sync",
                                                      "path_on_host": str(self.victim.folder / "sync")}),
            lambda: (request("PATCH", "/vm", {"state": "Paused"}), request("PATCH", "/vm", {"state": "Resumed"})),
        ))()


def serve(connection):
    """A host program that says much and then listens."""
    connection.sendall(bytes(100_000))
    vsock.read_all(connection)


def attack(folder, vmm, network, seed, cpus, private_max):
    with Victim(folder, vmm, network) as victim, vsock.Listener(victim.folder / "vsock", 52, serve):
        victim.wait_for_api()
        victim.start(seed, cpus)
        host = Host(victim, seed)
        answers, most_bytes = hammer(victim, host)
        host.close()
        code = victim.process.wait(DEADLINE_S)
        what = f"seed {seed}, {cpus} vCPUs: "
        expect(code == SURVIVED, what + victim.said())
        said = (victim.folder / "out").read_bytes() + (victim.folder / "err").read_bytes()
        expect(said == b"", what + shorten_more(said))
        expect(most_bytes <= private_max, f"{what}{most_bytes >> 20} MiB of private memory")
        victim.expect_files_untouched()
        print(f"        {what}{answers}; private memory at most {most_bytes / MIB:.1f} MiB", flush=True)
        expect_prompt(answers, what)


def hammer(victim, host):
    """Until the guest has ended: the answers to GET /, the most private memory."""
    deadline = time.monotonic() + DEADLINE_S * TIME_SCALE
    answers = Answers(victim.process.pid)
    most_bytes = 0
    while victim.process.poll() is None:
        expect(time.monotonic() < deadline, f"the guest has not ended in time: {victim.said()}")
        try:
            answers.time(lambda: victim.api.get("/"))
            most_bytes = max(most_bytes, victim.private_bytes())
            host.act()
        except (OSError, ValueError):
            # It is ending. Whether in the right way is seen by its code.
            with contextlib.suppress(subprocess.TimeoutExpired):
                victim.process.wait(0.1)
        select.select([], [], [], 0.002)
    expect(answers.took_ms, "it never answered")
    return answers, most_bytes


def expect_prompt(answers, what):
    """The event loop's turns are short, whatever the guest does. A hypervisor below us may still take its time, now and then;
    below the emulated machine of tests/nested it does so often, and its scheduler does not see it."""
    late = sum(own_ms > ANSWER_MS for own_ms in answers.own_ms)
    expect(not IS_FAST or late <= len(answers.own_ms) // 100, f"{what}{late} answers took more than {ANSWER_MS} ms: {answers}")


def attacks(vmm, private_max, seeds):
    reason = why_no_network()
    if reason:
        expect(os.environ.get("CI") != "true", reason)
        print(f"        without a network interface: {reason}", flush=True)
    for seed in seeds:
        for cpus in (1, 2):
            with temporary_folder() as folder, contextlib.ExitStack() as stack:
                network = None if reason else stack.enter_context(Network())
                attack(folder, vmm, network, seed, cpus, private_max)


def new_seed():
    """Other attacks on each day, and the same when SHOAL_HOSTILE_SEED says so."""
    return int(os.environ.get("SHOAL_HOSTILE_SEED", time.time_ns() // 86_400_000_000_000))


@test("a hostile guest attacks every device: the monitor survives, stays small and answers")
def _():
    attacks(VMM, PRIVATE_BYTES_MAX, (1, 2, new_seed()) if IS_FAST else (new_seed(),))


@test("a hostile guest attacks every device of a monitor with sanitizers")
def _():
    expect(SANITIZED_VMM.exists(), f"there is no {SANITIZED_VMM}: make test builds it")
    attacks(SANITIZED_VMM, SANITIZED_PRIVATE_BYTES_MAX, (1, new_seed()))
