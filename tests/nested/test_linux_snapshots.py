"""A running Linux is saved, and goes on in another process."""
from api_guest import KERNEL, guest_loaded
from harness import expect, temporary_folder, test
from snapshot_calls import load, names
from test_linux_devices import checked, make_image, new_guest

VCPUS = 2


def load_linux(folder, name, snapshot_folder):
    """A process of its own folder in which the snapshot runs on."""
    return guest_loaded(folder, name, lambda guest, _: load(guest, snapshot_folder, resume_vm=True))


@test("Linux: a snapshot with a mounted disk goes on: files, processes and both vCPUs")
def _():
    with temporary_folder() as folder:
        data = make_image(folder, "data.ext4", 64)
        with new_guest(folder) as guest:
            guest.api.put("/drives/data", drive_id="data", is_root_device=False, path_on_host=data,
                          cache_type="Writeback")
            guest.api.put("/entropy")
            guest.boot(KERNEL / "vmlinux", vcpus=VCPUS)
            guest.wait_ready()
            guest.run("mount -t ext4 /dev/vda /mnt")
            guest.run("dd if=/dev/urandom of=/mnt/before bs=64k count=64 2> /dev/null")
            written = guest.run("sha256sum < /mnt/before").split()[0]
            guest.run("secret=kept; (while :; do echo x >> /tmp/ticks; usleep 10000; done) &")
            guest.api.patch("/vm", state="Paused")
            guest.api.put("/snapshot/create", **names(folder))
        with load_linux(folder, "restored", folder) as guest:
            expect(guest.run("echo $secret").split() == ["kept"], "the shell's variable")
            expect(guest.run("sha256sum < /mnt/before").split()[0] == written, "the file of before")
            expect(guest.run("grep -c ^processor /proc/cpuinfo").split() == [str(VCPUS)], "the vCPUs")
            guest.run("taskset 2 true && taskset 1 true")
            guest.run("n=$(wc -l < /tmp/ticks); for i in $(seq 200); do [ $(wc -l < /tmp/ticks) -gt $n ] && break; "
                      "usleep 20000; done; [ $(wc -l < /tmp/ticks) -gt $n ]")
            guest.run("dd if=/dev/urandom of=/mnt/after bs=64k count=64 conv=fsync 2> /dev/null")
            guest.run("dd if=/dev/hwrng of=/dev/null bs=16 count=1 2> /dev/null", code=None)
            guest.run("umount /mnt")
            checked(data)
