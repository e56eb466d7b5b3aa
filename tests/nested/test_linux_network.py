"""An unmodified Linux and its network interfaces: both sides see the same."""
import hashlib
import os
import subprocess
import time

import vsock
from api_guest import COMMAND_S, KERNEL, MIB, guest_rss, new_guest, wait_for_rss
from harness import Failure, expect, temporary_folder, test
from netns import Network

TCP_MIB = 64


@test("Linux: network: ping, TCP both ways with checksums and TSO, two interfaces, pause and resume; free pages are reported")
def _():
    with temporary_folder() as folder, Network(taps=2) as network, new_guest(folder, network) as guest:
        for tap in network.taps:
            guest.api.put(f"/network-interfaces/{tap.name}", iface_id=tap.name, host_dev_name=tap.name,
                          guest_mac=tap.guest_mac)
        guest.api.put("/balloon", amount_mib=0, deflate_on_oom=False, free_page_reporting=True)
        guest.boot(KERNEL / "vmlinux")
        guest.wait_ready()
        for number, tap in enumerate(network.taps):
            expect(tap.guest_mac in guest.run(f"cat /sys/class/net/eth{number}/address"), "the MAC address")
            guest.run(f"ip addr add {tap.guest_address}/24 dev eth{number}; ip link set eth{number} up")
            guest.run(f"ping -c 3 -W 20 {tap.host_address}")
            result = network.run(["busybox", "ping", "-c", "3", "-W", "20", tap.guest_address])
            expect(result.code == 0, str(result))
        tap = network.taps[0]
        data = os.urandom(TCP_MIB * MIB)
        tcp_to_guest(guest, network, tap, data)
        expect(tcp_from_guest(guest, network, tap) == data, "what arrived on the host")
        rss = guest_rss(guest)
        guest.run("rm /tmp/data")
        wait_for_rss(guest, rss - TCP_MIB * MIB // 2)  # Linux reports what is free, in pieces of 2 MiB
        packets = int(guest.run("cat /sys/class/net/eth0/statistics/tx_packets"))
        expect(packets * 1400 < 3 * len(data), f"{packets} packets: segmentation was not offloaded")

        pinger = network.popen(["busybox", "ping", "-c", "20", "-i", "0.2", "-W", "20", tap.guest_address],
                               stdout=subprocess.PIPE)
        time.sleep(1)  # some pings before the pause; how many does not matter
        guest.api.patch("/vm", state="Paused")
        time.sleep(2)  # the length of the pause, as the test is to have it
        guest.api.patch("/vm", state="Resumed")
        output = pinger.communicate(timeout=120)[0].decode()
        expect(pinger.returncode == 0 and " 0% packet loss" in output, output)


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
        guest.send(f"nc {tap.host_address} 5002 < /tmp/data")
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
