"""A running Linux is saved, and goes on in another process."""
import os
import re
import shutil
import socket
import struct
import threading
import time

import vsock
from api_guest import KERNEL, checked, guest_loaded, make_image, new_guest
from harness import Skipped, expect, temporary_folder, test
from netns import Network
from snapshot_calls import finish_live_snapshot, load, names

VCPUS = 2
TCP_PORT = 5002
VSOCK_PORT = 2000
ECHO_REQUEST = 8  # ICMP
BALLOON_MIB = 16
# The cloud kernel is built without VMGENID.
GENERIC = KERNEL.parent / "generic/vmlinuz"
RESEEDED = "crng reseeded due to virtual machine fork"
CYCLES = {count: int(os.environ.get("SHOAL_CYCLES", few)) for count, few in ((1, 2), (2, 3))}  # 100 take minutes
# Writes over 4 MiB at 50 MB/s and checks them; answers a line of fd 7 in /tmp/checks.
PATTERN = "mkfifo /tmp/ask; generations 4 50 < /tmp/ask > /tmp/checks & exec 7> /tmp/ask; pattern=$!"
# Writes a file, reads it back from the disk, counts in another file and aloud.
WORK = """(i=0; while :; do i=$((i+1)); dd if=/dev/urandom of=/mnt/block bs=64k count=2 conv=fsync 2> /dev/null;
a=$(sha256sum < /mnt/block); echo $i >> /mnt/seq; echo 3 > /proc/sys/vm/drop_caches; b=$(sha256sum < /mnt/block);
[ "$a" = "$b" ] || echo broken > /dev/console; echo tick $i > /dev/console; done) & work=$!""".replace("\n", " ")


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


@test("Linux: the random generator is seeded anew in each copy of a snapshot, because its VM Generation ID has changed")
def _():
    if not GENERIC.exists():
        raise Skipped("there is no general kernel")
    with temporary_folder() as folder:
        with new_guest(folder) as guest:
            guest.boot(GENERIC)
            guest.wait_ready()
            expect(guest.run("dmesg | grep -c 'crng init done'").split() == ["1"], "the generator is not seeded yet")
            expect(RESEEDED not in guest.run("dmesg"), "it is seeded anew before there is a snapshot")
            guest.api.patch("/vm", state="Paused")
            guest.api.put("/snapshot/create", **names(folder))
        said = []
        for name in ("first", "second"):
            with load_linux(folder, name, folder) as guest:
                guest.run(f"for i in $(seq 200); do dmesg | grep -q '{RESEEDED}' && break; usleep 20000; done; "
                          f"dmesg | grep -q '{RESEEDED}'")
                said.append(guest.run("head -c 32 /dev/urandom | sha256sum"))
        expect(said[0] != said[1], f"both copies draw {said[0]}")


def read_to_end(guest):
    """What the process that was killed had said besides what was asked for."""
    while guest.read_more(30):
        pass
    return guest.seen


def balloon_mib(number):
    """What the balloon is to have from the end of that cycle on."""
    return BALLOON_MIB * (number % 2)


def expect_pattern(guest):
    """The program of PATTERN has checked all that it writes since this was called."""
    guest.run("n=$(grep -c checked /tmp/checks); echo c >&7; for i in $(seq 3000); do [ $(grep -c checked /tmp/checks) -gt $n ] && "
              "break; usleep 20000; done; [ $(grep -c checked /tmp/checks) -gt $n ] && ! grep broken /tmp/checks")


def is_compressed(number, vcpus):
    return number % 10 == 2 * vcpus


def save_and_end(guest, folder, number, vcpus):
    """The guest is paused whatever it does at that moment. Every second snapshot is a Diff over the one before, and every
    fourth over one that was written behind the guest, which went on; a Diff is no part of a compressed one, nor can a guest
    that reads one be saved behind itself."""
    guest.api.patch("/balloon", amount_mib=balloon_mib(number))
    is_diff = number % 2 == 1 and not is_compressed(number - 1, vcpus)
    if is_diff and number % 4 == 1:
        guest.api.put("/snapshot/create", resume_vm=True, **names(folder))
        finish_live_snapshot(guest)
    guest.api.patch("/vm", state="Paused")
    more = {"compression": "Zstd"} if is_compressed(number, vcpus) else {}
    guest.api.put("/snapshot/create", snapshot_type="Diff" if is_diff else "Full", **names(folder), **more)
    guest.process.kill()
    return read_to_end(guest)


def wait_for_balloon(guest, number):
    deadline = time.monotonic() + 100
    while (actual := guest.api.get("/balloon/statistics")["actual_mib"]) != balloon_mib(number):
        expect(time.monotonic() < deadline, f"the balloon has {actual} MiB instead of {balloon_mib(number)}")
        time.sleep(0.01)


class Streams:
    """What the guest sends: over TCP, on one connection; over vsock, on a new one for each number until its echo came; and
    pings, each of which is seen here once."""

    def __init__(self, network):
        self.tcp = b""
        self.vsock = []
        self.pings = []
        tap = network.taps[0]
        self.listener = network.socket()
        self.listener.bind((tap.host_address, TCP_PORT))
        self.listener.listen()
        self.echo_requests = network.socket(kind=socket.SOCK_RAW, protocol=socket.IPPROTO_ICMP)
        threading.Thread(target=self._read_tcp, daemon=True).start()
        threading.Thread(target=self._read_pings, daemon=True).start()
        self.work = f"""ip addr add {tap.guest_address}/24 dev eth0; ip link set eth0 up;
(i=0; while :; do i=$((i+1)); echo $i; usleep 5000; done) | nc {tap.host_address} {TCP_PORT} &
(i=1; while :; do [ "$(echo $i | vsock connect {VSOCK_PORT} 2> /dev/null)" = $i ] && i=$((i+1)) || usleep 10000;
done) &
ping -i 0.1 {tap.host_address} > /tmp/pings &
(while :; do dd if=/dev/hwrng bs=64 count=1 2> /dev/null | sha256sum >> /tmp/random; usleep 50000; done) &""".replace("\n", " ")

    def _read_tcp(self):
        connection, _ = self.listener.accept()
        with connection:
            while data := connection.recv(65536):
                self.tcp += data

    def _read_pings(self):
        while packet := self.echo_requests.recv(65536):
            kind, number = struct.unpack_from("!B5xH", packet, 4 * (packet[0] & 15))
            if kind == ECHO_REQUEST:
                self.pings.append(number)

    def serve_vsock(self, connection):
        line = vsock.read_all(connection)
        if line.endswith(b"\n"):  # else the connection was reset
            self.vsock.append(int(line))
            connection.sendall(line)

    def counts(self):
        return self.tcp.count(b"\n"), len(self.vsock), len(self.pings)

    def wait_for_more(self, before):
        deadline = time.monotonic() + 100
        while any(now <= then for now, then in zip(self.counts(), before)):
            expect(time.monotonic() < deadline, f"a stream stands still: {self.counts()} after {before}")
            time.sleep(0.01)

    def expect_whole(self, most_repeated):
        """No number is missing; over vsock one comes again only where its connection was reset."""
        tcp = [int(number) for number in self.tcp[:self.tcp.rindex(b"\n")].split()]
        expect(tcp == list(range(1, len(tcp) + 1)), f"over TCP: {tcp[-20:]}")
        steps = [later - earlier for earlier, later in zip(self.vsock, self.vsock[1:])]
        expect(self.vsock[0] == 1 and set(steps) <= {0, 1}, f"over vsock: {self.vsock}")
        expect(steps.count(0) <= most_repeated, f"{steps.count(0)} numbers came twice over vsock")
        expect(self.pings == [number % 65536 for number in range(len(self.pings))], f"pings: {self.pings}")


for count, cycles in CYCLES.items():
    @test(f"Linux: saved and loaded {cycles} times in a row while all its devices work, none of that is "
          f"lost or doubled, {count} vCPUs")
    def _(count=count, cycles=cycles):
        with temporary_folder() as folder, Network() as network:
            streams = Streams(network)
            data = make_image(folder, "data.ext4", 32)
            said = b""

            def listen(number):
                return vsock.Listener(os.path.join(folder, f"vsock{number}"), VSOCK_PORT, streams.serve_vsock)

            def loaded(number):
                """In a process of its own, with the TAP of the one before."""
                override = {"uds_path": os.path.join(folder, f"vsock{number}")}
                return guest_loaded(folder, f"cycle{number}",
                                    lambda one, _: load(one, folder, resume_vm=True, track_dirty_pages=True,
                                                        vsock_override=override), network.command)

            with listen(0), new_guest(folder, network, ["vsock", "generations"]) as guest:
                guest.api.put("/drives/data", drive_id="data", is_root_device=False, path_on_host=data,
                              cache_type="Writeback", io_engine="Async")
                guest.api.put("/network-interfaces/n", iface_id="n", host_dev_name=network.taps[0].name,
                              guest_mac=network.taps[0].guest_mac)
                guest.api.put("/vsock", guest_cid=52, uds_path=os.path.join(folder, "vsock0"))
                guest.api.put("/entropy")
                guest.api.put("/balloon", amount_mib=0, deflate_on_oom=True, stats_polling_interval_s=1)
                guest.boot(KERNEL / "vmlinux", vcpus=count, memory_mib=128)
                guest.wait_ready()
                guest.run("mount -t ext4 /dev/vda /mnt")
                guest.run(streams.work)
                guest.run(PATTERN)
                guest.send(WORK)
                guest.wait_for(b"tick 1\n", 100)
                streams.wait_for_more((0, 0, 0))
                said += b"tick 1\n" + save_and_end(guest, folder, 0, count)
            started = time.monotonic()
            for number in range(1, cycles + 1):
                before = streams.counts()
                with listen(number), loaded(number) as guest:
                    said += guest.wait_for(b"tick", 100) + b"tick"
                    streams.wait_for_more(before)
                    wait_for_balloon(guest, number - 1)
                    said += save_and_end(guest, folder, number, count)
                shutil.rmtree(os.path.join(folder, f"cycle{number}"))
                if number % 10 == 0:
                    print(f"        {number} cycles of {count} vCPUs, {time.monotonic() - started:.0f} s", flush=True)
            before = streams.counts()
            with listen(cycles + 1), loaded(cycles + 1) as guest:
                said += guest.wait_for(b"tick", 100) + b"tick"
                streams.wait_for_more(before)
                wait_for_balloon(guest, cycles)
                expect_pattern(guest)
                guest.run("kill $pattern")
                guest.run("kill $work; awk '$1 != NR { exit 1 }' /mnt/seq && for i in $(seq 100); do umount /mnt && break; usleep 100000; done")
                guest.run("n=$(wc -l < /tmp/random); while [ $(wc -l < /tmp/random) = $n ]; do usleep 10000; done")
                guest.run("killall -INT ping; while pidof ping; do usleep 10000; done")
                repeated = guest.run("sort /tmp/random | uniq -d; grep DUP /tmp/pings", code=1)
                expect(repeated == "", f"what came twice: {repeated}")
                pings = guest.run("tail -n 2 /tmp/pings")
                sent, answered = map(int, re.findall(r"(\d+) packets", pings))
                # The TAP's queue is gone with its process.
                expect(sent - (cycles + 2) <= answered <= sent, pings)
                print(f"        {answered} of {sent} pings", flush=True)
                checked(data)
            streams.expect_whole(cycles + 1)
            ticks = [int(tick) for tick in re.findall(rb"tick (\d+)\n", said)]
            expect(b"broken" not in said, f"what was read back: {said[-500:]!r}")
            expect(ticks == list(range(1, len(ticks) + 1)) and len(ticks) >= cycles / 2, f"the ticks: {ticks}")
