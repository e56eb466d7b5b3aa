"""CPU time that idle microVMs take of a host's CPU, next to the same programs without one."""
import os
import subprocess
import sys
import tempfile
import time

from figures import ROOT, Target
from processes import BUSYBOX, SHOAL, cpu_us, say
from servers import NGINX_CONFIG  # its files are all in a folder of its own

sys.path.insert(0, str(ROOT / "tests/system"))
from netns import Network, why_no_network  # noqa: E402
from test_servers import LIBRARIES, NGINX, REDIS_SERVER  # noqa: E402
from test_sockets import options, wait_for_port  # noqa: E402

TITLE = "CPU time of idle microVMs"
SECONDS = 10
QUIET_SECONDS = 16  # the unikernel's network looks after its neighbours for 15 s after traffic
CONDITIONS = f"local, share of one CPU over {SECONDS} s, all threads of the process, 16 s after the port answered; " \
    "redis-server wakes ten times a second by itself"


def share(pid):
    before, started = cpu_us(pid), time.monotonic()
    time.sleep(SECONDS)
    return 100 * (cpu_us(pid) - before) / 1e6 / (time.monotonic() - started)


def environment():
    name, value = LIBRARIES.split("=", 1)
    return {**os.environ, name: value}


def sample(samples, name, words, listens, **more):
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          **more) as process:
        try:
            listens()
            time.sleep(QUIET_SECONDS)
            samples.add(name, share(process.pid), "%")
        finally:
            process.kill()


def wait_in_microvm(network, tap, port):
    wait_for_port(network, tap.guest_address, port).close()


def measure_server(samples, network, name, port, program, extra=()):
    tap = network.taps[0]
    inside = [SHOAL, "run", *options(tap), "--env", LIBRARIES, *extra, "--", *map(str, program)]
    sample(samples, f"{name} in a microVM", network.command(inside), lambda: wait_in_microvm(network, tap, port))
    sample(samples, f"{name} natively", network.command(list(map(str, program))), lambda: time.sleep(1),
           env=environment())


def measure(samples):
    sleeper = [SHOAL, "run", "--", BUSYBOX, "sleep", "1000"]
    sample(samples, "sleep in a microVM", sleeper, lambda: time.sleep(1))
    if reason := why_no_network():
        say(f"no servers: {reason}")
        return
    with Network() as network, tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder:
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(NGINX_CONFIG.format(root=folder))
        measure_server(samples, network, "nginx", 80, [NGINX, "-p", folder, "-c", config], ["--with", folder])
        measure_server(samples, network, "redis-server", 6379,
                       [REDIS_SERVER, "--save", "", "--protected-mode", "no"])


def targets(samples):
    names = [name for name in samples.values if name.endswith("in a microVM")]
    return [Target(name, samples.median(name), "<=", 0.1, samples.runs(name)) for name in names]
