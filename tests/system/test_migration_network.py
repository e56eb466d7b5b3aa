"""Live migration: a TCP connection of the guest's survives it."""
import itertools
import subprocess
import sys
import time

from api import ApiVmm
from harness import ROOT, TIME_SCALE, expect, temporary_folder, test
from migration_calls import NO_LOG, PORT, kill, move, on_tap, start_generations, wait_for_ticks
from netns import Network, why_no_network


class Peer:
    """A TCP peer of `generations`, in the network: a process of its own, so that its clock is not ours."""

    def __init__(self, network, tap):
        with network.socket() as connection:
            connection.settimeout(30 * TIME_SCALE)
            connection.connect((tap.guest_address, PORT))
            connection.settimeout(None)
            self.process = subprocess.Popen(
                [sys.executable, ROOT / "tests/system/stream_peer.py", str(connection.fileno())], text=True,
                pass_fds=[connection.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self):
        """How many numbers have come, and the longest time in us between two since this was last asked."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except OSError:
            pass  # its last words say why
        line = self.process.stdout.readline()
        expect(line, f"the peer: {self.process.stderr.read() if not line else ''}")
        return tuple(map(int, line.split()))

    def wait_for_more(self, number):
        """Until so many more have come."""
        deadline = time.monotonic() + 30 * TIME_SCALE
        before, _ = self.ask()
        while self.ask()[0] < before + number:
            expect(time.monotonic() < deadline, "the numbers stop")
            time.sleep(0.005)


@test("migration: a TCP connection goes on through ten moves from TAP to TAP, no byte lost or doubled")
def _():
    if reason := why_no_network():
        print(f"skipped: {reason}", flush=True)
        return
    with temporary_folder() as folder, Network(taps=2, bridged=True) as network:
        vmm = ApiVmm(folder, *NO_LOG, command=network.command, socket_name="start")
        try:
            start_generations(vmm, folder, mb_per_s=20, tap=network.taps[0])
            with Peer(network, network.taps[0]) as peer:
                for number, tap in zip(range(10), itertools.cycle(reversed(network.taps))):
                    peer.wait_for_more(20)
                    other = ApiVmm(folder, *NO_LOG, command=network.command, socket_name=f"process{number}")
                    try:
                        move(vmm, other, folder, place=on_tap(tap))
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
