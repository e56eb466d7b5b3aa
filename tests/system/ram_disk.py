"""Disks of the host's memory, where a test cannot use the host's own."""
import contextlib
import os

from harness import ROOT, expect, run

DISK = "/dev/ram0"


@contextlib.contextmanager
def ram_disk(mib):
    """A block device that has no file system and may be read past the page cache."""
    module = next((ROOT / "build/nested/kernel/lib").rglob("brd.ko"))
    result = run(["busybox", "insmod", module, "rd_nr=1", f"rd_size={mib << 10}"])
    expect(result.code == 0, f"insmod brd: {result}")
    try:
        yield DISK
    finally:
        run(["busybox", "rmmod", "brd"])


def takes_direct(folder):
    path = os.path.join(folder, "direct")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT))
    except OSError:  # tmpfs, before Linux 6.6
        return False
    finally:
        os.unlink(path)
    return True


@contextlib.contextmanager
def direct_folder(folder, mib):
    """An empty folder in this one on a file system that takes O_DIRECT."""
    path = os.path.join(folder, "disks")
    os.mkdir(path)
    if takes_direct(path):
        yield path
        return
    with ram_disk(mib) as disk:
        made = run(["mkfs.ext4", "-q", "-O", "^has_journal", disk])
        expect(made.code == 0, f"mkfs.ext4: {made}")
        mounted = run(["mount", disk, path])
        expect(mounted.code == 0, f"mount: {mounted}")
        os.rmdir(os.path.join(path, "lost+found"))
        try:
            yield path
        finally:
            run(["umount", path])
