"""An unmodified Linux and its network interfaces: both sides see the same."""
import contextlib
import hashlib
import os
import subprocess
import time

import vsock
from api_guest import COMMAND_S, KERNEL, MIB, guest_rss, new_guest, wait_for_rss
from harness import Failure, expect, run, temporary_folder, test
from linux_guest import BY_64_BIT
from netns import Network
from ram_disk import ram_disk

TCP_MIB = 64
MEMORY_MIB = 5120  # 3 GiB below the hole, 2 GiB above 4 GiB
DISK_MIB = 8
SEGMENT_BYTES = 1448  # of TCP in a packet of 1500 bytes
SEGMENTS_MIN = 4  # in what a driver and its device hand over at once; 30 are usual, 11 on a busy machine, where the sender is careful
MTU = 1400  # of the second interface
# Bits of virtio 1.2, 5.1.3 and 6: checksums, MAC, TSO over IPv4 and IPv6 both ways, mergeable buffers, event index, version 1.
FEATURES = (0, 1, 5, 7, 8, 11, 12, 15, 29, 32)
MTU_FEATURE = 3


# A boot of 5 GiB takes long there: this one has a disk, too.
@test("Linux: network: ping, TCP both ways with checksums and TSO, two interfaces, pause and resume; free pages are reported; "
      "all above 4 GiB, and a block device past both page caches, too")
def _():
    with temporary_folder() as folder, Network(taps=2) as network, ram_disk(DISK_MIB) as disk, \
            new_guest(folder, network, ["direct_io"]) as guest:
        guest.api.put("/drives/ram", drive_id="ram", is_root_device=False, path_on_host=disk, io_engine="Async",
                      direct_io=True)
        for tap, more in zip(network.taps, ({}, {"mtu": MTU})):
            guest.api.put(f"/network-interfaces/{tap.name}", iface_id=tap.name, host_dev_name=tap.name,
                          guest_mac=tap.guest_mac, **more)
        guest.api.put("/balloon", amount_mib=0, deflate_on_oom=False, free_page_reporting=True)
        guest.boot(KERNEL / "vmlinuz", memory_mib=MEMORY_MIB)
        guest.wait_ready()
        expect(guest.number("/proc/sys/kernel/bootloader_type") == BY_64_BIT, "the boot protocol")
        memory_mib = int(guest.run("grep MemTotal /proc/meminfo").split()[1]) // 1024
        expect(0.9 * MEMORY_MIB < memory_mib < MEMORY_MIB, f"{memory_mib} MiB")
        use_disk(guest, disk)
        low_before = free_below_4_gib(guest)
        for number, tap in enumerate(network.taps):
            expect(tap.guest_mac in guest.run(f"cat /sys/class/net/eth{number}/address"), "the MAC address")
            guest.run(f"ip addr add {tap.guest_address}/24 dev eth{number}; ip link set eth{number} up")
            guest.run(f"ping -c 3 -W 20 {tap.host_address}")
            result = network.run(["busybox", "ping", "-c", "3", "-W", "20", tap.guest_address])
            expect(result.code == 0, str(result))
        expect_features(guest, 0, FEATURES, without=(MTU_FEATURE,))
        expect_features(guest, 1, (*FEATURES, MTU_FEATURE))
        mtus = [guest.number(f"/sys/class/net/eth{number}/mtu") for number in (0, 1)]
        expect(mtus == [1500, MTU], f"MTUs: {mtus}")
        tap = network.taps[0]
        data = os.urandom(TCP_MIB * MIB)
        with offloaded(guest, "rx", len(data)):
            tcp_to_guest(guest, network, tap, data)
        with offloaded(guest, "tx", len(data)):
            expect(tcp_from_guest(guest, network, tap) == data, "what arrived on the host")
        # Linux takes what is above 4 GiB first: the packets' buffers and queues, and the file, are there.
        low = free_below_4_gib(guest)
        expect(low_before - low < TCP_MIB // 4, f"of {low_before} MiB below 4 GiB {low} are left")
        rss = guest_rss(guest)
        guest.run("rm /tmp/data")
        wait_for_rss(guest, rss - TCP_MIB * MIB // 2)  # Linux reports what is free, in pieces of 2 MiB
        expect(guest.metric("balloon_free_page_report_freed") >= TCP_MIB * MIB // 2, "the metrics of what was reported")

        pinger = network.popen(["busybox", "ping", "-c", "20", "-i", "0.2", "-W", "20", tap.guest_address],
                               stdout=subprocess.PIPE)
        time.sleep(1)  # some pings before the pause; how many does not matter
        guest.api.patch("/vm", state="Paused")
        time.sleep(2)  # the length of the pause, as the test is to have it
        guest.api.patch("/vm", state="Resumed")
        output = pinger.communicate(timeout=120)[0].decode()
        expect(pinger.returncode == 0 and " 0% packet loss" in output, output)
        for number, tap in enumerate(network.taps):
            expect_counted(guest, number, tap)


def use_disk(guest, disk):
    lowest, highest = map(int, guest.run(f"direct_io /dev/vda {DISK_MIB}").split())
    expect(4096 <= lowest < highest < MEMORY_MIB + 1024, f"the disk had addresses from {lowest} to {highest} MiB")
    inside = guest.run("sha256sum < /dev/vda").split()[0]
    with open(disk, "rb") as file:
        expect(hashlib.sha256(file.read()).hexdigest() == inside, "what the device has")
    expect(guest.metric("block_write_bytes", "ram") == DISK_MIB * MIB, "the metrics of writes")
    expect(guest.metric("block_read_bytes", "ram") >= 2 * DISK_MIB * MIB, "the metrics of reads")


def free_below_4_gib(guest):
    """In MiB."""
    words = guest.run("grep -A 1 'zone *DMA32' /proc/zoneinfo").split()
    return int(words[words.index("free") + 1]) // 256


def expect_features(guest, number, features, without=()):
    """What the driver and the device have agreed on."""
    bits = guest.run(f"cat /sys/class/net/eth{number}/device/features").strip()
    expect(all(bits[bit] == "1" for bit in features) and all(bits[bit] == "0" for bit in without), f"eth{number}: {bits}")


@contextlib.contextmanager
def offloaded(guest, way, size_bytes):
    """What is sent meanwhile goes that way in packets of many segments."""
    path = f"/sys/class/net/eth0/statistics/{way}_packets"
    before = guest.number(path)
    yield
    packets = guest.number(path) - before
    most = size_bytes // SEGMENT_BYTES // SEGMENTS_MIN
    print(f"        {way}: {packets} packets, {size_bytes / packets:.0f} bytes each", flush=True)
    expect(size_bytes // 65536 <= packets <= most, f"{way}: {packets} packets and not {most}: segmentation was not offloaded")


def expect_counted(guest, number, tap):
    """The driver counts what it sent when the device is done with it, the monitor when it is sent: at rest both have the same."""
    names = {f"net_{way}_{what}_count": f"{way}_{what}" for way in ("rx", "tx") for what in ("bytes", "packets")}
    for _ in range(50):
        metrics = [guest.metric(name, tap.name) for name in names]
        inside = [guest.number(f"/sys/class/net/eth{number}/statistics/{name}") for name in names.values()]
        if metrics == inside:
            return
        guest.run("usleep 20000")
    raise Failure(f"{list(names)} are {metrics}, in the guest {inside}")


def tcp_to_guest(guest, network, tap, data):
    """The data are then in /tmp/data."""
    guest.send("nc -l -p 5001 < /dev/null > /tmp/data; md5sum < /tmp/data")
    connection = connect_until(network, (tap.guest_address, 5001))
    connection.sendall(data)
    connection.close()
    digest = hashlib.md5(data).hexdigest()
    expect(digest in guest.wait_for(b"@END@ 0", 240).decode(), "what arrived in the guest")
    guest.wait_for(b"\n")


def tcp_from_guest(guest, network, tap):
    """What the guest has in /tmp/data."""
    with network.socket() as listener:
        listener.bind((tap.host_address, 5002))
        listener.listen()
        listener.settimeout(COMMAND_S)
        guest.send(f"nc {tap.host_address} 5002 -e cat /tmp/data")  # nc itself writes 1 KiB at a time
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(COMMAND_S)
            received = vsock.read_all(connection)
    guest.wait_for(b"@END@ 0")
    guest.wait_for(b"\n")
    return received


def connect_until(network, address):
    deadline = time.monotonic() + 60
    while True:
        connection = network.socket()
        try:
            connection.connect(address)
            return connection
        except ConnectionRefusedError:
            connection.close()
            if time.monotonic() > deadline:
                raise Failure(f"nobody listens at {address}") from None
