"""Block I/O of a Linux guest, Shoal and QEMU in turns on the same image."""
from contenders import IMAGE_MIB
from figures import Target
from processes import RUNS, say

TITLE = "Disk of a Linux guest"
CONDITIONS = (f"nested hardware KVM, 1 CPU, transparent huge pages, O_DIRECT and io_uring in the guest, one {IMAGE_MIB} MiB raw image on ext4 on a RAM disk, "
              "through the page cache, flush on request; Shoal: io_engine Async; QEMU: cache=writeback, the better of "
              "aio=io_uring and aio=threads, virtio-mmio 1.0; both serve it on their main loop")

ROUNDS = min(RUNS, 3)
SECONDS = 2
# name, verb, access, block size
PATTERNS = (("4 KiB random read", "read", "random", 4 << 10), ("4 KiB random write", "write", "random", 4 << 10),
            ("128 KiB sequential read", "read", "sequential", 128 << 10),
            ("128 KiB sequential write", "write", "sequential", 128 << 10))
DEPTHS = (1, 32)
LOADS = [(f"{name}, depth {depth}", f"{verb} {access} {size} {depth}", size)
         for name, verb, access, size in PATTERNS for depth in DEPTHS]
QEMU_WAYS = ("io_uring", "threads")


def device(guest, serial):
    """The guest's disk with this serial number."""
    return guest.run(f"for disk in /sys/block/vd*; do [ \"$(cat $disk/serial)\" = {serial} ] && "
                     "echo /dev/${disk##*/}; done; true").strip()


def find_ways(guests):
    """(contender, guest, device) for each."""
    return [("shoal", guests["shoal"], "/dev/vda"),
            *((f"qemu {way}", guests["qemu"], device(guests["qemu"], way)) for way in QEMU_WAYS)]


def measure(samples, contenders):
    ways = find_ways(contenders.boot())
    for turn in range(ROUNDS):
        say(f"disk: turn {turn + 1} of {ROUNDS}, {len(LOADS) * len(ways) * SECONDS} s each")
        for name, words, size in LOADS:
            for contender, guest, path in ways:
                count, took_us = map(int, guest.run(f"disk {path} {words} {SECONDS}").split())
                if size >= 128 << 10:
                    samples.add(f"{name}, {contender}", count * size / took_us, "MB/s")
                else:
                    samples.add(f"{name}, {contender}", count * 1e6 / took_us, "1/s")


def targets(samples):
    rows = []
    for name, _, _ in LOADS:
        shoal = f"{name}, shoal"
        qemu = [f"{name}, qemu {way}" for way in QEMU_WAYS]
        rows.append(Target(f"{name}, Shoal to QEMU", samples.median(shoal) / max(map(samples.median, qemu)), ">=", 1,
                           samples.runs(shoal, *qemu)))
    return rows
