"""A running Linux moves between processes, and does not notice."""
import os

from api_guest import KERNEL, checked, guest_loaded, make_image, new_guest
from harness import expect, temporary_folder, test
from migration_calls import move

VCPUS = 2
MOVES = 2


def move_linux(guest, folder, name):
    """The guest in a process of its own folder; ends the one before."""
    other = guest_loaded(folder, name, lambda other, own: move(guest, other, own, max_downtime_ms=300))
    guest.close()
    return other


@test("Linux: there and on between processes with a mounted disk, while it writes on both vCPUs")
def _():
    with temporary_folder() as folder:
        data = make_image(folder, "data.ext4", 64)
        first = os.path.join(folder, "first")
        os.mkdir(first)
        guest = new_guest(first)
        try:
            guest.api.put("/drives/data", drive_id="data", is_root_device=False, path_on_host=data,
                          cache_type="Writeback")
            guest.api.put("/entropy")
            guest.boot(KERNEL / "vmlinux", vcpus=VCPUS)
            guest.wait_ready()
            guest.run("mount -t ext4 /dev/vda /mnt")
            guest.run("secret=kept; (while :; do echo x >> /tmp/ticks; usleep 10000; done) &")
            guest.run("(n=0; while [ ! -e /tmp/stop ]; do dd if=/dev/urandom of=/mnt/$n bs=64k count=16 2> /dev/null; "
                      "sha256sum /mnt/$n >> /tmp/sums; n=$(((n + 1) % 16)); done; touch /tmp/stopped) &")
            # What the disk brings into the page cache while the guest moves, no vCPU writes.
            guest.run("dd if=/dev/urandom of=/mnt/fixed bs=64k count=64 conv=fsync 2> /dev/null; "
                      "sha256sum /mnt/fixed > /tmp/fixed.sum")
            for number in range(MOVES):
                guest.run("(for i in 1 2 3 4 5; do echo 1 > /proc/sys/vm/drop_caches; cat /mnt/fixed > /dev/null; done) &")
                guest = move_linux(guest, folder, f"process{number}")
                guest.run("sha256sum -c /tmp/fixed.sum > /dev/null")
                expect(guest.run("echo $secret").split() == ["kept"], "the shell's variable")
                guest.run("taskset 2 true && taskset 1 true")
                guest.run("n=$(wc -l < /tmp/ticks); for i in $(seq 200); do [ $(wc -l < /tmp/ticks) -gt $n ] && break; "
                          "usleep 20000; done; [ $(wc -l < /tmp/ticks) -gt $n ]")
            guest.run("touch /tmp/stop; for i in $(seq 500); do [ -e /tmp/stopped ] && break; usleep 20000; done; "
                      "[ -e /tmp/stopped ]")
            guest.run("sync; echo 3 > /proc/sys/vm/drop_caches")
            guest.run("tail -n 8 /tmp/sums | sha256sum -c > /dev/null")
            guest.run("umount /mnt")
            checked(data)
        finally:
            guest.close()
