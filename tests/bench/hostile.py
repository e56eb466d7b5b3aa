"""What the API answers while the hostile guest of the system tests hammers every device from two vCPUs."""
import contextlib
import subprocess
import sys
import tempfile

from figures import BENCH, ROOT, Target
from processes import RUNS, VMM, call, say

sys.path[:0] = [str(ROOT / folder) for folder in ("tests/system", "scripts/nested")]
import test_hostile  # noqa: E402
from netns import Network, why_no_network  # noqa: E402

TITLE = "A hostile guest"
CONDITIONS = ("local; 2 vCPUs on all devices at once, for ever; GET / every 2 ms, and beside it the same from a server "
              "that does nothing, which tells what the machine adds")

CALLS = 100  # at a time
PAUSE_US = 2_000
CPUS = 2
FOR_EVER = 1 << 40
API = "GET /"
FLOOR = "a server that does nothing"


def measure(samples):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-bench-"))
        network = None if why_no_network() else stack.enter_context(Network())
        floor_socket = f"{folder}/floor.socket"
        floor = stack.enter_context(subprocess.Popen([BENCH / "programs/answer", floor_socket], stdout=subprocess.PIPE))
        stack.callback(floor.kill)
        floor.stdout.readline()
        test_hostile.ROUNDS = FOR_EVER
        victim = stack.enter_context(test_hostile.Victim(folder, VMM, network))
        victim.wait_for_api()
        victim.start(1, CPUS)
        sockets = {API: victim.folder / "api.socket", FLOOR: floor_socket}
        for turn in range(RUNS):
            for name, path in sockets.items():
                for took in call(path, CALLS, "GET", "/", pause_us=PAUSE_US):
                    samples.add(name, took)
            say(f"hostile: turn {turn + 1} of {RUNS}")


def targets(samples):
    slowest = {name: max(samples.values[name]) / 1000 for name in (API, FLOOR)}
    return [Target(f"slowest answer, guest hostile, in ms ({slowest[FLOOR]:.1f} of {FLOOR})", slowest[API], "<=", 10,
                   samples.runs(API))]
