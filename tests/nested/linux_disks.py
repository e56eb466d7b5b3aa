"""What a Linux guest meets on a disk: limits that change, a host without room, a disk that another process serves."""
import contextlib
import hashlib
import os
import time

from api_guest import MIB, checked, make_image
from harness import expect, run
from vhost_user import serve_disk

SECTOR_BYTES = 512
SLOW_MIB_S = 1
SLOW = {"bandwidth": {"size": SLOW_MIB_S * MIB // 4, "refill_time": 250}}
AT_ONCE_MIB = 0.5  # as in Firecracker: what a full bucket has, and what came in while it was full
UNLIMITED = {"bandwidth": {"size": 0, "refill_time": 0}}
SLOW_MIB = 2  # are read while the disk is slow
FAST_MIB = 32  # while the limit goes: half a minute, if it did not
ROOM_MIB = 1  # where the drive without room lies
SERVED_MIB = 16


def read_direct(name, mib):
    return f"dd if=/dev/{name} of=/dev/null bs=64k count={mib * 16} iflag=direct 2> /dev/null"


def changing_limits(guest, drive, name):
    """A drive that began as SLOW, which goes while it is read, and comes back."""
    expect_slow(guest, name)
    before = guest.metric("block_read_bytes", drive)
    guest.send(read_direct(name, FAST_MIB))
    while guest.metric("block_read_bytes", drive) == before:
        time.sleep(0.01)
    guest.api.patch(f"/drives/{drive}", drive_id=drive, rate_limiter=UNLIMITED)
    started = time.monotonic()
    guest.wait_for(b"@END@ 0\n", 2 * FAST_MIB)
    took_s = time.monotonic() - started
    expect(took_s < FAST_MIB / SLOW_MIB_S / 2, f"{FAST_MIB} MiB took {took_s:.2f} s without a limit")
    guest.api.patch(f"/drives/{drive}", drive_id=drive, rate_limiter=SLOW)
    expect_slow(guest, name)
    guest.api.patch(f"/drives/{drive}", drive_id=drive, rate_limiter=UNLIMITED)
    expect(guest.metric("block_rate_limiter_throttled_events", drive) > 0, "the metrics of the limiter")


def expect_slow(guest, name):
    started = time.monotonic()
    guest.run(read_direct(name, SLOW_MIB))
    took_s = time.monotonic() - started
    expect(took_s >= (SLOW_MIB - AT_ONCE_MIB) / SLOW_MIB_S, f"{SLOW_MIB} MiB at {SLOW_MIB_S} MiB/s took {took_s:.2f} s")


@contextlib.contextmanager
def file_without_room(folder):
    """The path of a file that is larger than the file system it lies in."""
    room = os.path.join(folder, "room")
    os.mkdir(room)
    expect(run(["mount", "-t", "tmpfs", "-o", f"size={ROOM_MIB}m", "tmpfs", room]).code == 0, "mount")
    try:
        path = os.path.join(room, "file")
        with open(path, "wb") as file:
            file.truncate(4 * ROOM_MIB * MIB)
        yield path
    finally:
        run(["umount", "-l", room])


def failing_writes(guest, drive, name):
    """What the host cannot write is an I/O error for who wrote it, and for nobody else."""
    write = f"dd if=/dev/urandom of=/dev/{name} bs=64k oflag=direct"
    guest.run(f"{write} count=8 2> /dev/null")
    said = guest.run(f"{write} count=64 2>&1", code=1)
    expect("Input/output error" in said or "I/O error" in said, said)
    expect(guest.metric("block_execute_fails", drive) > 0, "the metrics of what failed")
    guest.run(read_direct(name, ROOM_MIB))
    guest.run(f"{write} count=8 2> /dev/null")


@contextlib.contextmanager
def served_disk(folder):
    """The image and the socket of a disk that qemu-storage-daemon serves."""
    image, path = make_image(folder, "served.ext4", SERVED_MIB), os.path.join(folder, "served.socket")
    with serve_disk(image, path) as server:
        try:
            yield image, path
        finally:
            server.kill()


def use_served(guest, name, image):
    size = guest.number(f"/sys/block/{name}/size") * SECTOR_BYTES
    expect(size == SERVED_MIB * MIB, f"{size} bytes")
    guest.run(f"mount -t ext4 /dev/{name} /mnt && dd if=/dev/urandom of=/mnt/file bs=64k count=32 conv=fsync 2> /dev/null")
    written = guest.run("sha256sum < /mnt/file; umount /mnt").split()[0]
    checked(image)
    inside = run(["debugfs", "-R", "cat /file", image]).out
    expect(hashlib.sha256(inside).hexdigest() == written, "what another process has written")


def expect_counted(guest, drive, name):
    """The guest's counters of the disk are the monitor's. Linux counts zeroes as it does writes."""
    words = guest.run(f"cat /sys/block/{name}/stat").split()
    inside = [int(words[at]) * SECTOR_BYTES for at in (2, 6, 13)]
    read, written, zeroed, discarded = (guest.metric(f"block_{what}_bytes", drive)
                                        for what in ("read", "write", "write_zeroes", "discard"))
    expect(inside == [read, written + zeroed, discarded],
           f"read, written, discarded: {inside} in the guest, {[read, written, zeroed, discarded]} outside")
