"""A running Linux moves between processes, before its memory or after it, and does not notice."""
import os
import shutil

import vsock
from api_guest import KERNEL, checked, guest_loaded, make_image, new_guest
from harness import expect, temporary_folder, test
from migration_calls import move, wait_for_phase
from netns import Network
from test_linux_snapshots import PATTERN, VSOCK_PORT, Streams, balloon_mib, expect_pattern, wait_for_balloon

MOVES = int(os.environ.get("SHOAL_MOVES", "2"))  # then with 1 vCPU, too


def move_linux(guest, folder, number, network):
    """The guest in a process of its own folder, on the other TAP; every second time its memory follows it. Ends the one
    before."""
    place = {"network_overrides": [{"iface_id": "n", "host_dev_name": network.taps[(number + 1) % 2].name}],
             "vsock_override": {"uds_path": os.path.join(folder, f"vsock{number + 1}")}}
    other = guest_loaded(folder, f"process{number}",
                         lambda other, own: move(guest, other, own, place=place, max_downtime_ms=300, post_copy=number % 2 == 1),
                         network.command)
    try:
        wait_for_phase(other, "Running")
        while other.api.get("/migration")["remaining_pages"] > 0:
            pass
    except BaseException:
        other.close()
        raise
    guest.close()
    return other


for vcpus in (1, 2) if "SHOAL_MOVES" in os.environ else (2,):
    @test(f"Linux: moved {MOVES} times between processes while all its devices work and it writes, {vcpus} vCPUs")
    def _(vcpus=vcpus):
        with temporary_folder() as folder, Network(taps=2, bridged=True) as network:
            streams = Streams(network)
            data = make_image(folder, "data.ext4", 64)
            first = os.path.join(folder, "first")
            os.mkdir(first)

            def listen(number):
                return vsock.Listener(os.path.join(folder, f"vsock{number}"), VSOCK_PORT, streams.serve_vsock)

            guest = new_guest(first, network, ["vsock", "generations"])
            try:
                guest.api.put("/drives/data", drive_id="data", is_root_device=False, path_on_host=data,
                              cache_type="Writeback")
                guest.api.put("/network-interfaces/n", iface_id="n", host_dev_name=network.taps[0].name,
                              guest_mac=network.taps[0].guest_mac)
                guest.api.put("/vsock", guest_cid=52, uds_path=os.path.join(folder, "vsock0"))
                guest.api.put("/entropy")
                guest.api.put("/balloon", amount_mib=0, deflate_on_oom=True, stats_polling_interval_s=1)
                guest.boot(KERNEL / "vmlinux", vcpus=vcpus, memory_mib=128)
                guest.wait_ready()
                guest.run("mount -t ext4 /dev/vda /mnt")
                guest.run("secret=kept; (while :; do echo x >> /tmp/ticks; usleep 10000; done) &")
                guest.run("(n=0; while [ ! -e /tmp/stop ]; do dd if=/dev/urandom of=/mnt/$n bs=64k count=16 2> /dev/null; "
                          "sha256sum /mnt/$n >> /tmp/sums; n=$(((n + 1) % 16)); done; touch /tmp/stopped) &")
                # What the disk brings into the page cache while the guest moves, no vCPU writes.
                guest.run("dd if=/dev/urandom of=/mnt/fixed bs=64k count=64 conv=fsync 2> /dev/null; "
                          "sha256sum /mnt/fixed > /tmp/fixed.sum")
                guest.run(PATTERN)
                with listen(0):
                    guest.run(streams.work)
                    streams.wait_for_more((0, 0, 0))
                for number in range(MOVES):
                    guest.run("(for i in 1 2 3 4 5; do echo 1 > /proc/sys/vm/drop_caches; cat /mnt/fixed > /dev/null; done) &")
                    guest.api.patch("/balloon", amount_mib=balloon_mib(number))
                    before = streams.counts()
                    with listen(number + 1):
                        guest = move_linux(guest, folder, number, network)
                        streams.wait_for_more(before)
                    shutil.rmtree(os.path.join(folder, f"process{number - 1}" if number else "first"))
                    wait_for_balloon(guest, number)
                    guest.run("sha256sum -c /tmp/fixed.sum > /dev/null")
                    expect(guest.run("echo $secret").split() == ["kept"], "the shell's variable")
                    guest.run(f"taskset {vcpus} true && taskset 1 true")
                    guest.run("n=$(wc -l < /tmp/ticks); for i in $(seq 200); do [ $(wc -l < /tmp/ticks) -gt $n ] && break; "
                              "usleep 20000; done; [ $(wc -l < /tmp/ticks) -gt $n ]")
                expect_pattern(guest)
                guest.run("touch /tmp/stop; for i in $(seq 500); do [ -e /tmp/stopped ] && break; usleep 20000; done; "
                          "[ -e /tmp/stopped ]")
                guest.run("sync; echo 3 > /proc/sys/vm/drop_caches")
                guest.run("tail -n 8 /tmp/sums | sha256sum -c > /dev/null")
                guest.run("umount /mnt")
                guest.run("killall -INT ping; while pidof ping; do usleep 10000; done; ! grep DUP /tmp/pings")
                checked(data)
                streams.expect_whole(MOVES + 1)
            finally:
                guest.close()
