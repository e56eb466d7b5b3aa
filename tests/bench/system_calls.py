"""Cycles of system calls in the unikernel, beside the host's Linux."""
import subprocess

from figures import BENCH
from processes import RUNS, SHOAL, stop

TITLE = "System calls in the unikernel, and on the host"
CONDITIONS = ("1 CPU; a static glibc program; TSC cycles of a call through the C library, the least of 60 batches of 500 "
              "calls a run; read of /dev/zero and write to /dev/null, 1 byte; `unchanged`: a syscall instruction that the unikernel leaves alone")

PROGRAM = str(BENCH / "guest/system_calls")
TURNS = min(RUNS, 10)


def add(samples, place, words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    if done.returncode != 0 or len(lines) != 5:
        stop(f"{' '.join(words)}: {done}")
    for name, cycles in lines:
        samples.add(f"{name.replace(',', ', ')}, {place}", float(cycles), "cycles")


def measure(samples, _contenders=None):
    for _ in range(TURNS):
        add(samples, "unikernel", [SHOAL, "run", "--", PROGRAM])
        add(samples, "host", [PROGRAM])


def targets(_samples):
    return []
