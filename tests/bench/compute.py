"""How fast a program computes in the unikernel, next to the host: sha256sum of one file."""
import os
import time

from figures import BENCH, Target
from processes import BUSYBOX, RUNS, SHOAL, say, spawn

TITLE = "Speed of a program in the unikernel"
CONDITIONS = "local /dev/kvm, 1 CPU, 1024 MiB; busybox sha256sum of 256 MB of memory"

HASHED_BYTES = 256_000_000
MOST_S = 240


def make_data(folder):
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    if not data.exists() or data.stat().st_size != HASHED_BYTES:
        with open(data, "wb") as file:
            for _ in range(HASHED_BYTES // 1_000_000):
                file.write(os.urandom(1_000_000))
    return data


def measure(samples):
    """One pass over a file that was read before: a run with two passes less one with one."""
    folder = BENCH / "root"
    data = make_data(folder)
    inside = [SHOAL, "run", "--memory", "1024", "--root", str(folder), BUSYBOX, "sha256sum"]
    outside = [BUSYBOX, "sha256sum"]
    try:
        begin = time.monotonic()
        for turn in range(RUNS):
            if turn > 0 and time.monotonic() - begin > MOST_S:
                break
            say(f"compute: turn {turn + 1} of at most {RUNS}, {time.monotonic() - begin:.0f} of {MOST_S} s")
            for name, words, path in (("sha256sum inside", inside, "/data"),
                                      ("sha256sum on the host", outside, str(data))):
                once = spawn([*words, path])[0]
                samples.add(name, spawn([*words, path, path])[0] - once)
    finally:
        data.unlink()


def targets(samples):
    share = samples.median("sha256sum on the host") / samples.median("sha256sum inside")
    return [Target("sha256sum of 256 MB inside, share of native speed", share, ">=", 0.95,
                   samples.runs("sha256sum inside"))]
