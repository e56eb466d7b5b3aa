"""Live migration between two processes of one host: how long the guest stands still, by its own clock."""
import pathlib
import subprocess
import sys
import tempfile
import time

from figures import BENCH, ROOT, Target
from processes import RUNS, cpu_us, say

sys.path.insert(0, str(ROOT / "tests/system"))
from api import ApiVmm  # noqa: E402
from migration_calls import move, on_tap, start_generations, wait_for_ticks  # noqa: E402
from netns import Network  # noqa: E402
from stream_calls import Peer  # noqa: E402

TITLE = "Live migration"
CONDITIONS = "local, over a unix socket, 1 vCPU, the unikernel; `generations` checks its memory meanwhile, and a look at its " \
    "clock follows each 64 KiB that it writes; maximum downtime 10 ms; `at rest`: its longest gap in as long a time " \
    "without a migration; `by a TCP peer`: the longest time between two numbers of a stream, one each ms, from TAP to TAP " \
    "of a bridge"

# Name, guest memory in MiB, of which the program fills so much, MB/s that it writes, moves for each of RUNS.
GUESTS = (("64 MiB idle", 64, 32, 0, 1), ("64 MiB, 50 MB/s", 64, 32, 50, 7), ("64 MiB, 500 MB/s", 64, 32, 500, 1),
          ("256 MiB idle", 256, 208, 0, 1), ("256 MiB, 50 MB/s", 256, 208, 50, 1), ("256 MiB, 500 MB/s", 256, 208, 500, 1))
POST_COPY = ("256 MiB, 500 MB/s, post-copy", 256, 208, 500, 1)
# Some 37 MiB.
PROGRAMS_IN_MEMORY = ("/usr/bin/python3", "/usr/bin/qemu-system-x86_64", "/usr/bin/openssl", "/usr/bin/perl",
                      "/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3")
FLOOR = "floor: a VM's start to its first exit"
MOVES_IN_A_ROW = "moves in a row of one guest"


def longest_gap_ms(vmm):
    """Of the guest's looks at its clock, since this was last asked. Takes what was seen; it is given back."""
    vmm.process.stdin.write(b"\n")
    vmm.process.stdin.flush()
    before = vmm.wait_for(b"gap ")
    gap = vmm.wait_for(b"\n")
    return int(gap) / 1000, before


class Guest:
    """One guest that moves from process to process."""

    def __init__(self, folder, network, memory_mib, mib, mb_per_s):
        self.folder, self.network, self.moves, self.said = folder, network, 0, b""
        self.vmm = self.start_vmm("start")
        try:
            start_generations(self.vmm, str(folder), mib, mb_per_s, memory_mib, tap=network.taps[0])
            self.peer = Peer(network, network.taps[0])
        except BaseException:
            self.vmm.close()
            raise
        self.vmm.seen = b""
        self.ask()

    def start_vmm(self, name):
        return ApiVmm(self.folder, "--log-path", "/dev/null", socket_name=name, command=self.network.command)

    def ask(self):
        gap, before = longest_gap_ms(self.vmm)
        self.said += before
        return gap

    def move(self, **how):
        other = self.start_vmm(f"process{self.moves}")
        tap = self.network.taps[(self.moves + 1) % 2]
        try:
            status = move(self.vmm, other, str(self.folder), place=on_tap(tap), max_downtime_ms=10, **how)
        except BaseException:
            other.close()
            raise
        self.moves += 1
        self.vmm.process.kill()
        while self.vmm.read_more(30):
            pass
        self.said += self.vmm.seen
        self.vmm.close()
        self.vmm = other
        wait_for_ticks(other, 2)
        return status

    def close(self):
        self.peer.__exit__()
        self.vmm.close()


def measure_floor_ms():
    return float(subprocess.run([BENCH / "programs/floor"], stdout=subprocess.PIPE, check=True).stdout) / 1000


def measure_guest(samples, name, memory_mib, mib, mb_per_s, turns, **how):
    say(f"migration: {name}")
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder, Network(taps=2, bridged=True) as network:
        guest = Guest(pathlib.Path(folder), network, memory_mib, mib, mb_per_s)
        try:
            for _ in range(turns):
                guest.ask()
                guest.peer.ask()
                started = time.monotonic()
                status = guest.move(**how)
                took_s = time.monotonic() - started
                samples.add(f"{name}: downtime by the guest", guest.ask(), "ms")
                guest.peer.wait_for_more(1)
                samples.add(f"{name}: downtime by a TCP peer", guest.peer.longest_gap_us / 1000, "ms")
                samples.add(f"{name}: downtime by the source", status["downtime_us"] / 1000, "ms")
                samples.add(f"{name}: total time", status["total_us"] / 1000, "ms")
                samples.add(f"{name}: sent", status["bytes"] / (1 << 20), "MiB")
                samples.add(f"{name}: rounds", status["rounds"], "")
                time.sleep(min(took_s, 1))
                samples.add(f"{name}: at rest", guest.ask(), "ms")
                samples.add(FLOOR, measure_floor_ms(), "ms")
        finally:
            guest.close()
        if b"broken" in guest.said:
            raise RuntimeError(f"the guest's memory is broken: {guest.said[-200:]!r}")
        samples.add(MOVES_IN_A_ROW, guest.moves, "")


def measure_slow_wire(samples, how):
    """A guest whose memory holds programs and their libraries, over a wire of 50 MB/s."""
    name = f"50 MB/s wire, {', '.join(how.values()) or 'as it is'}"
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder, \
            ApiVmm(folder, "--log-path", "/dev/null", socket_name="a") as one, \
            ApiVmm(folder, "--log-path", "/dev/null", socket_name="b") as two:
        start_generations(one, folder, memory_mib=256, files=PROGRAMS_IN_MEMORY)
        before_us = cpu_us(one.process.pid)
        status = move(one, two, folder, max_bytes_per_s=50_000_000, **how)
        samples.add(f"{name}: CPU time of the source", (cpu_us(one.process.pid) - before_us) / 1000, "ms")
        samples.add(f"{name}: total time", status["total_us"] / 1000, "ms")
        samples.add(f"{name}: sent", status["bytes"] / (1 << 20), "MiB")
        samples.add(f"{name}: pages", status["pages"] / 256, "MiB")


def measure(samples):
    for how in ({}, {"compression": "Zstd"}):
        say(f"migration: over a slow wire {how}")
        for _ in range(min(RUNS, 5)):
            measure_slow_wire(samples, how)
    for name, memory_mib, mib, mb_per_s, turns in GUESTS:
        measure_guest(samples, name, memory_mib, mib, mb_per_s, turns * RUNS)
    name, memory_mib, mib, mb_per_s, turns = POST_COPY
    measure_guest(samples, name, memory_mib, mib, mb_per_s, turns * RUNS, post_copy=True)


def targets(samples):
    rows = []
    for name, _, _, mb_per_s, _ in (*GUESTS, POST_COPY):
        for whose in ("the guest", "a TCP peer"):
            what = f"{name}: downtime by {whose}"
            rows.append(Target(f"{what}, p99 in ms", samples.percentile_99(what), "<=", 30 if mb_per_s else 10,
                               samples.runs(what)))
    rows.append(Target("migrations in a row, none failed", max(samples.values[MOVES_IN_A_ROW]), ">=", 200, 1))
    return rows
