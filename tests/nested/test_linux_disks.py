"""An unmodified Linux and its disks: both sides see the same."""
import hashlib
import os
import shutil

import linux_disks
from api_guest import BOOT_S, KERNEL, MIB, checked, make_image, new_guest, used_bytes
from harness import expect, run, temporary_folder, test

# The emulated CPU takes long for each.
CONTENT_MIB = 1  # of a disk that is read only
FILE_MIB = 8


def make_root(folder):
    """A root file system whose init writes a note and switches the machine off."""
    tree = os.path.join(folder, "tree")
    for name in ("bin", "dev", "proc", "sys"):
        os.makedirs(os.path.join(tree, name))
    shutil.copy("/bin/busybox", os.path.join(tree, "bin/busybox"))
    init = "#!/bin/busybox sh\n/bin/busybox mount -t proc proc /proc\n/bin/busybox grep ' / ' /proc/mounts\n" \
           "echo written > /note\n/bin/busybox sync\n/bin/busybox poweroff -f\n"
    with open(os.path.join(tree, "init"), "w", encoding="utf-8") as file:
        file.write(init)
    os.chmod(os.path.join(tree, "init"), 0o755)
    return make_image(folder, "root.ext4", 32, "-d", tree)


@test("Linux: disks: checksums, fsync, discard, read-only, another image and another limit at run time, counters; a host without room; "
      "one that another process serves; one as root, and power-off")
def _():
    with temporary_folder() as folder, linux_disks.file_without_room(folder) as no_room, \
            linux_disks.served_disk(folder) as (served, served_socket), new_guest(folder) as guest:
        data = make_image(folder, "data.ext4", 64)
        other = make_image(folder, "other.ext4", 32)
        root = make_root(folder)
        readonly = os.path.join(folder, "readonly")
        content = os.urandom(CONTENT_MIB * MIB)
        with open(readonly, "wb") as file:
            file.write(content)
        guest.api.put("/drives/data", drive_id="data", is_root_device=False, path_on_host=data, cache_type="Writeback",
                      io_engine="Async", rate_limiter=linux_disks.SLOW)
        guest.api.put("/drives/ro", drive_id="ro", is_root_device=False, path_on_host=readonly, is_read_only=True,
                      io_engine="Sync")
        guest.api.put("/drives/root", drive_id="root", is_root_device=True, path_on_host=root, cache_type="Writeback")
        guest.api.put("/drives/room", drive_id="room", is_root_device=False, path_on_host=no_room, io_engine="Async")
        guest.api.put("/drives/served", drive_id="served", is_root_device=False, socket=served_socket)
        guest.boot(KERNEL / "vmlinux")
        guest.wait_ready()
        # The root device comes first.
        expect("root=/dev/vda rw" in guest.run("cat /proc/cmdline"), "the command line")
        expect(guest.run("cat /sys/block/vdb/size /sys/block/vdc/size /sys/block/vdc/ro").split()
               == [str(64 * 2048), str(CONTENT_MIB * 2048), "1"], "sizes")
        expect(hashlib.sha256(content).hexdigest() in guest.run("sha256sum < /dev/vdc"), "what was read")
        guest.run("dd if=/dev/zero of=/dev/vdc bs=512 count=1 2> /dev/null", code=1)

        linux_disks.changing_limits(guest, "data", "vdb")
        linux_disks.failing_writes(guest, "room", "vdd")
        linux_disks.use_served(guest, "vde", served)

        guest.run("mount -t ext4 -o discard /dev/vdb /mnt")
        guest.run(f"dd if=/dev/urandom of=/mnt/file bs=64k count={FILE_MIB * 16} conv=fsync 2> /dev/null")
        written = guest.run("sha256sum < /mnt/file").split()[0]
        guest.run("umount /mnt")
        full = used_bytes(data)
        expect(full > FILE_MIB * MIB, f"{full} bytes are used")
        checked(data)
        inside = run(["debugfs", "-R", "cat /file", data])
        expect(hashlib.sha256(inside.out).hexdigest() == written, "what was written")

        guest.run("mount -t ext4 -o discard /dev/vdb /mnt; rm /mnt/file; sync; fstrim /mnt; umount /mnt")
        expect(used_bytes(data) < full - FILE_MIB * MIB * 3 // 4, f"{used_bytes(data)} of {full} bytes are still used")
        checked(data)
        for drive, name in {"data": "vdb", "ro": "vdc"}.items():
            linux_disks.expect_counted(guest, drive, name)

        guest.api.patch("/drives/data", drive_id="data", path_on_host=other)
        guest.run("for i in $(seq 100); do [ $(cat /sys/block/vdb/size) = 65536 ] && break; usleep 20000; done; "
                  "[ $(cat /sys/block/vdb/size) = 65536 ]")
        guest.run("mount -t ext4 /dev/vdb /mnt && umount /mnt")
        checked(other)
        expect(guest.metric("block_update_count", "data") == 1, "the metrics of other images")

        # The kernel's virtio drivers are modules, so init in memory has loaded them.
        guest.send("mount -t ext4 /dev/vda /mnt && exec switch_root /mnt /init")
        guest.wait_for(b"/dev/vda / ext4 rw", BOOT_S)
        expect(guest.wait_end(BOOT_S) == 0, "exit code after power-off")
        checked(root)
        expect(run(["debugfs", "-R", "cat /note", root]).out == b"written\n", "the note")
