"""A TCP peer of the program `generations`."""
import subprocess
import sys
import time

from harness import ROOT, TIME_SCALE, expect
from migration_calls import PORT


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
        """Until so many more have come; longest_gap_us is the longest time between two since the last question."""
        deadline = time.monotonic() + 30 * TIME_SCALE
        before, self.longest_gap_us = self.ask()
        while True:
            now, gap_us = self.ask()
            self.longest_gap_us = max(self.longest_gap_us, gap_us)
            if now >= before + number:
                return
            expect(time.monotonic() < deadline, "the numbers stop")
            time.sleep(0.005)
