"""What processes take of the host's memory: how far MemAvailable falls when they have come, and rises when they have ended."""
import contextlib
import ctypes
import os
import pathlib
import re
import statistics
import time

from processes import say

STILL_S = 1.5  # the kernel sums up once a second what its CPUs have counted
LOOK_S = 0.05
LIMIT_S = 10
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") >> 10
PR_SET_CHILD_SUBREAPER = 36
FALL, RISE = ", fall of MemAvailable", ", rise after their end"
STEADY = "MemAvailable was steady"


def available_kib():
    """MemAvailable, and the free pages that each CPU keeps on a list of its own, which MemAvailable leaves out: hundreds of
    MiB after many processes have ended (`pagesets` of /proc/zoneinfo)."""
    lines = pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    kept = re.findall(r"^ +count: +(\d+)$", pathlib.Path("/proc/zoneinfo").read_text(encoding="ascii"), re.M)
    return available + sum(map(int, kept)) * PAGE_KIB


def settle(samples, tolerance_kib):
    """MemAvailable in KiB, once all looks of STILL_S are within the tolerance; a sample says whether it came to that."""
    deadline = time.monotonic() + LIMIT_S
    looks = []
    while not (is_steady := len(looks) * LOOK_S >= STILL_S and max(looks) - min(looks) <= tolerance_kib):
        if time.monotonic() > deadline:
            say(f"MemAvailable moves by {max(looks) - min(looks)} KiB within {STILL_S} s: it is not steady")
            break
        time.sleep(LOOK_S)
        looks = [*looks, available_kib()][-round(STILL_S / LOOK_S):]
    samples.add(STEADY, 100 * is_steady, "%")
    return statistics.median(looks)


class Held:
    """`with Held(samples, name, count) as held:` the body brings so many processes and calls held.all_are_there(); when
    it is left they are ending. Adds the fall and the rise of each."""

    def __init__(self, samples, name, count):
        self._samples, self._name, self._count = samples, name, count
        self._tolerance_kib = max(256, 4 * count)

    def __enter__(self):
        # To see the end of those whose parent was killed.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._before = settle(self._samples, self._tolerance_kib)
        return self

    def all_are_there(self):
        self._held = settle(self._samples, self._tolerance_kib)
        self._samples.add(self._name + FALL, (self._before - self._held) / self._count, "KiB")

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        after = settle(self._samples, self._tolerance_kib)
        self._samples.add(self._name + RISE, (after - self._held) / self._count, "KiB")
