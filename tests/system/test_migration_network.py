"""Live migration: a TCP connection of the guest's survives it."""
import itertools
import socket
import time

from api import ApiVmm
from harness import TIME_SCALE, Failure, expect, temporary_folder, test
from migration_calls import NO_LOG, kill, move, on_tap, start_generations, wait_for_ticks
from netns import Network, need_network
from stream_calls import Peer

IP6 = "fd00::2"
ALL_PACKETS = 3  # ETH_P_ALL


class Capture:
    """What the guest behind a TAP sends from now on, below all protocols."""

    def __init__(self, network, tap, name):
        """At the interface of that name; the guest has the addresses of `tap`."""
        self._socket = network.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PACKETS))
        self._socket.bind((name, ALL_PACKETS))
        self._mac = bytes.fromhex(tap.guest_mac.replace(":", ""))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def wait_for(self, wanted):
        """Until so many frames of each kind have come; `wanted` is {name: (count, how to tell one)}."""
        left = {name: count for name, (count, _) in wanted.items()}
        deadline = time.monotonic() + 30 * TIME_SCALE
        while any(count > 0 for count in left.values()):
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                frame = self._socket.recv(65536)
            except TimeoutError:
                raise Failure(f"these frames never came: {left}") from None
            if frame[6:12] == self._mac:
                for name, (_, is_one) in wanted.items():
                    left[name] -= is_one(frame)


def announcements(tap):
    mac, ip4 = bytes.fromhex(tap.guest_mac.replace(":", "")), socket.inet_aton(tap.guest_address)
    ip6 = socket.inet_pton(socket.AF_INET6, IP6)
    everybody = b"\xff" * 6

    def is_reverse_arp(frame):
        return frame[:6] == everybody and frame[12:14] == b"\x80\x35" and frame[22:28] == mac

    def is_gratuitous_arp(frame):
        return frame[:6] == everybody and frame[12:14] == b"\x08\x06" and (
            frame[22:28] == mac and frame[28:32] == frame[38:42] == ip4)

    # To ff02::1, of type 136, not solicited and overriding, with its address; the checksum is right.
    def is_advertisement(frame):
        if frame[12:14] != b"\x86\xdd" or frame[20] != 58 or frame[54] != 136 or frame[62:78] != ip6:
            return False
        expect(frame[:6] == bytes.fromhex("333300000001") and frame[21] == 255 and frame[22:38] == ip6 and
               frame[38:54] == socket.inet_pton(socket.AF_INET6, "ff02::1") and frame[58] == 0x20 and
               frame[78:86] == b"\2\1" + mac, f"the advertisement: {frame.hex()}")
        summed = frame[22:54] + (32).to_bytes(4, "big") + (58).to_bytes(4, "big") + frame[54:86]
        total = sum(int.from_bytes(summed[at:at + 2], "big") for at in range(0, len(summed), 2))
        expect((total & 0xFFFF) + (total >> 16) in (0xFFFF, 0x1FFFE), f"the checksum: {frame.hex()}")
        return True

    return {"reverse ARP, again and again": (3, is_reverse_arp), "gratuitous ARP": (1, is_gratuitous_arp),
            "unsolicited neighbour advertisement": (1, is_advertisement)}


@test("migration: a TCP connection goes on through ten moves from TAP to TAP, no byte lost or doubled; where it is now is announced")
def _():
    need_network()
    with temporary_folder() as folder, Network(taps=2, bridged=True) as network:
        vmm = ApiVmm(folder, *NO_LOG, command=network.command, socket_name="start")
        try:
            start_generations(vmm, folder, mb_per_s=20, tap=network.taps[0], ip6=f"shoal.ip6={IP6}/64")
            with Peer(network, network.taps[0]) as peer:
                for number, tap in zip(range(10), itertools.cycle(reversed(network.taps))):
                    peer.wait_for_more(20)
                    other = ApiVmm(folder, *NO_LOG, command=network.command, socket_name=f"process{number}")
                    try:
                        with Capture(network, network.taps[0], tap.name) as capture:
                            move(vmm, other, folder, place=on_tap(tap))
                            if number < 2:
                                capture.wait_for(announcements(network.taps[0]))
                    except BaseException:
                        other.close()
                        raise
                    kill([vmm])
                    vmm.close()
                    vmm = other
                    wait_for_ticks(vmm, 3)
                peer.wait_for_more(20)
        finally:
            vmm.close()
